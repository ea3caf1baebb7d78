"""Plays looks on one board: which screen now, the ticker's frames, the blinking border, the proof of it all.

The loop of the worker belongs to the frames; layout and painting happen in threads. What is urgent has
threads of its own, so that it never waits for what is only painted ahead.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from agent.model.board import Facts, Look, Page, PageKind, PageRank
from agent.signage.animation import Animation, wait
from agent.signage.crawl import Crawl
from agent.signage.desk import Bill, Desk
from agent.signage.link import BoardEvent, Problem
from agent.signage.projector import Projector
from agent.signage.reel import Reel
from agent.signage.screen import Screen
from agent.signage.studio import Studio
from agent.signage.teller import Teller
from agent.signage.video import VideoError
from drivers.api import Board, CardTicker, Frame, TickerKind

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_SAFE = Look((Page(id="safe", kind=PageKind.SAFE),), reason="safe")


class Stage:
    """One board and what plays on it."""

    def __init__(
        self, board: Board, studio: Studio, emit: Callable[[BoardEvent], None], player: str = "ffmpeg"
    ) -> None:
        """Play on an opened board; `player` is `ffmpeg`, or `mpv` where the board lets go of its display."""
        self.lock = asyncio.Lock()  # one question at a time for the driver; frames of a canvas go beside it
        self.facts = Facts()
        self._board = board
        self._studio = studio
        self._emit = emit
        self._projector = Projector(board, player)
        self._loop = asyncio.get_running_loop()
        self._alarm = ThreadPoolExecutor(2, "alarm")  # what takes long for others never holds up an emergency
        self._urgent = ThreadPoolExecutor(2, "urgent")
        self._quiet = ThreadPoolExecutor(1, "ahead")
        self._told: deque[Problem] = deque(maxlen=200)
        self._desk = Desk(studio, lambda problem: self._loop.call_soon_threadsafe(self._complain, problem))
        self._clock_moved = False
        self._bill: Bill | None = None
        self._wake = asyncio.Event()
        self._ahead = asyncio.Event()
        self._tick = asyncio.Event()
        self._force = False
        self._dark: bool | None = None
        self._on: Screen | None = None
        self._on_bill: Bill | None = None
        self._rgb = bytes(board.geometry.width_px * board.geometry.height_px * 3)
        self._crawl = Crawl(board, studio, self._complain)
        self._animation = Animation(board, studio, self._crawl)
        self._teller = Teller(studio, emit, self._quiet)
        self._safe_for: Facts | None = None

    # --- asked by the agent ----------------------------------------------------------------------------

    async def look(self, number: int, look: Look, facts: Facts, assets: Mapping[str, Path]) -> None:
        """Show a look; comes back when its first frame is on the board or something newer replaced it."""
        before = self._bill
        self.facts = facts
        shown: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        bill = Bill(number, look, facts, assets, None, True, shown)
        if before is not None and before.assets != assets:
            self._studio.forget()
        if look.mine and look.pages:
            await self._lay_out(bill, before)
            newest = self._bill
            if newest is not before and newest is not None and newest.number > number:
                return
        if self._bill is not None:
            self._bill.done()
        self._bill = bill
        if bill.reel is not None and self._on is not None and self._goes_on(bill.reel, self._on):
            self._record(bill, self._on, self._rgb)
        else:
            self._wake.set()
        await shown
        self._ahead.set()
        self._tick.set()

    def set_clock(self, offset_ns: int, known: bool) -> None:
        """Take the wall clock: nanoseconds since 1970 minus CLOCK_MONOTONIC."""
        self._clock_moved = self._desk.set_clock(offset_ns, known) or self._clock_moved
        self._tick.set()

    def now(self) -> datetime:
        """Wall clock, UTC."""
        return self._desk.now()

    @property
    def frames(self) -> int:
        """Frames of tickers and borders given to the board so far."""
        return self._animation.frames

    @property
    def clock_known(self) -> bool:
        return self._desk.clock_known and self.facts.clock_known

    @property
    def mine(self) -> bool:
        """Whether the board shows something of ours."""
        return not self._projector.lent and self._on_bill is not None and self._on_bill.look.mine

    async def screenshot(self) -> bytes:
        """PNG of what is shown now."""
        seen = await self._in(self._quiet, self._animation.seen(self._rgb))
        return await self._in(self._quiet, partial(self._studio.png, seen))

    def repaint(self, code: str, detail: str) -> None:
        """Show again what should be there, because the board lost it or somebody changed it."""
        self._emit(Problem("", code, detail))
        self._force = True
        self._wake.set()

    # --- life -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Play until cancelled; raises DriverError when the board is lost."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._play(), name="play")
                group.create_task(self._paint_ahead(), name="ahead")
                group.create_task(self._keep_fresh(), name="fresh")
                group.create_task(self._teller.run(), name="tell")
        finally:
            self._crawl.close()
            for pool in (self._alarm, self._urgent, self._quiet):
                pool.shutdown(wait=False, cancel_futures=True)

    @staticmethod
    async def _in(pool: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    def _first_hand(self, bill: Bill) -> ThreadPoolExecutor:
        """Threads for what is needed at once."""
        return self._alarm if bill.look.rank is PageRank.EMERGENCY else self._urgent

    # --- layout -----------------------------------------------------------------------------------------

    def _complain(self, problem: Problem) -> None:
        if problem not in self._told:
            self._told.append(problem)
            self._emit(problem)

    async def _lay_out(self, bill: Bill, before: Bill | None) -> None:
        """Lay out as much as the first frame needs, and paint that."""
        pages, pool = bill.look.pages, self._first_hand(bill)
        same = before is not None and before.complete and before.look.pages == pages
        if same and bill.look.rank is not PageRank.EMERGENCY:
            screens = await self._in(pool, partial(self._desk.all, bill))
        else:
            screens, used = (), 0
            while not screens and used < len(pages):
                screens = await self._in(pool, partial(self._desk.page, bill, pages[used]))
                used += 1
            bill.complete = used >= len(pages)
        if not screens:
            screens = await self._in(pool, partial(self._desk.page, bill, _SAFE.pages[0]))
            bill.complete = True
        if not screens:
            return
        reel = Reel(screens, time.monotonic())
        if same and before is not None and before.reel is not None and reel.continues(before.reel):
            reel = replace(reel, began_s=before.reel.began_s)
        first = screens[reel.at(time.monotonic()).index]
        if not self._projector.plays(first):
            await self._in(pool, partial(self._studio.paint, first, bill.assets))
        bill.reel = reel

    async def _paint_ahead(self) -> None:
        """Lay out the other pages of a look, then keep the next screens painted."""
        while True:
            await self._ahead.wait()
            self._ahead.clear()
            bill = self._bill
            if bill is None or bill.reel is None:
                continue
            await self._set_safe(bill)
            if not bill.complete:
                screens: tuple[Screen, ...] = ()
                for page in bill.look.pages:
                    screens += await self._in(self._quiet, partial(self._desk.page, bill, page))
                    if bill is not self._bill:
                        break
                if bill is not self._bill or not screens:
                    continue
                bill.complete = True
                self._tick.set()
                self._renew(bill, replace(bill.reel, screens=screens))
            index = bill.reel.at(time.monotonic()).index
            for screen in bill.reel.after(index)[: self._studio.room - 1]:
                if bill is not self._bill:
                    break
                if not self._projector.plays(screen) and self._studio.kept(screen) is None:
                    await self._in(self._quiet, partial(self._studio.paint, screen, bill.assets))

    async def _set_safe(self, bill: Bill) -> None:
        """Give the driver what it leaves on the board, whenever what is on it changes."""
        facts = Facts(station=bill.facts.station, timezone=bill.facts.timezone)
        if facts != self._safe_for:
            self._safe_for = facts
            frame = await self._in(self._quiet, partial(self._desk.safe, facts))
            async with self.lock:
                await self._board.set_safe(frame)

    async def _keep_fresh(self) -> None:
        """Lay clocks out again when their minute is over, or when the clock was set."""
        while True:
            bill = self._bill
            self._tick.clear()
            due_s = math.inf
            if bill is not None:
                due_s = min(bill.stale_s if bill.complete else math.inf, self._desk.over_s(bill))
            await wait(self._tick, due_s)
            bill = self._bill
            if bill is None:
                continue
            if self._desk.over_s(bill) <= time.monotonic():
                logger.warning("look %d is over and nothing new came: safe screen", bill.number)
                self._emit(Problem("", "expired", f"look {bill.number} was over and nothing new came"))
                await self.look(bill.number, _SAFE, bill.facts, bill.assets)
                continue
            if bill.reel is None or not bill.complete:
                continue
            if self._clock_moved or bill.stale_s <= time.monotonic():
                self._clock_moved = False
                await self._refresh(bill)

    async def _refresh(self, bill: Bill) -> None:
        bill.stale_s = math.inf
        screens = await self._in(self._quiet, partial(self._desk.all, bill))
        if bill is not self._bill or not screens or bill.reel is None:
            return
        if screens == bill.reel.screens:
            # A stream that was lost may be there again.
            if not self._projector.playing and any(one.video for one in screens):
                self._wake.set()
            return
        reel = replace(bill.reel, screens=screens)
        screen = screens[reel.at(time.monotonic()).index]
        if not self._projector.plays(screen):
            await self._in(self._quiet, partial(self._studio.paint, screen, bill.assets))
        self._renew(bill, reel)
        self._ahead.set()

    def _renew(self, bill: Bill, reel: Reel) -> None:
        """Go on with other screens; a video that is still due is not disturbed."""
        bill.reel = reel
        if self._on is None or not self._goes_on(reel, self._on):
            self._wake.set()

    def _goes_on(self, reel: Reel, screen: Screen) -> bool:
        """Whether a video that plays now is due in a reel too."""
        due = reel.screens[reel.at(time.monotonic()).index]
        return due == screen and screen.video != "" and screen.video == self._projector.playing

    # --- playing ----------------------------------------------------------------------------------------

    async def _play(self) -> None:
        while True:
            self._wake.clear()
            bill = self._bill
            if bill is None:
                await self._wake.wait()
            elif bill.reel is None:
                await self._leave_alone(bill)
            else:
                spot = bill.reel.at(time.monotonic())
                screen = bill.reel.screens[spot.index]
                if self._projector.plays(screen):
                    await self._play_video(bill, screen)
                    continue
                if screen != self._on or self._force:
                    await self.put(bill, screen)
                elif bill is not self._on_bill:
                    self._record(bill, screen, self._rgb)
                await self._stay(bill, screen, spot.ends_s)

    async def _leave_alone(self, bill: Bill) -> None:
        """Dark, or handed back to the owner of the board."""
        if bill is not self._on_bill or self._force:
            self._force = False
            async with self.lock:
                if bill.look.mine:
                    # Switched on again, it must not show for a moment what was on it long ago.
                    await self._board.show(self._studio.frame(bytes(len(self._rgb))), "dark")
                    await self._board.power(False)
                else:
                    await self._board.hand_back()
            self._dark = True
            self._on = None
            self._crawl.stop()
            self._animation.rest()
            self._rgb = bytes(len(self._rgb))
            self._record(bill, None, self._rgb if bill.look.mine else b"")
        await self._wake.wait()

    async def put(self, bill: Bill, screen: Screen) -> None:
        """Show a screen as one whole picture."""
        painted = self._studio.kept(screen)
        if painted is None:
            painted = await self._in(self._first_hand(bill), partial(self._studio.paint, screen, bill.assets))
        self._force = False
        rgb, ticker = await self._crawl.dress(screen.ticker, painted.rgb)
        label = f"{screen.page_id} {screen.number}/{screen.count}"
        await self._show(self._studio.frame(rgb), label, ticker)
        self._on, self._rgb = screen, rgb
        self._record(bill, screen, rgb)
        for problem in painted.problems:
            self._complain(problem)
        self._ahead.set()

    async def _show(self, frame: Frame, label: str, ticker: CardTicker | None) -> None:
        async with self.lock:
            if self._dark is not False:
                await self._board.power(True)
                self._dark = False
            await self._board.show(frame, label, ticker)
            self._animation.rest()

    def _record(self, bill: Bill, screen: Screen | None, rgb: bytes) -> None:
        """Note that something is on the board from now on."""
        self._on_bill = bill
        self._teller.record(bill.number, screen, rgb)
        bill.done()

    async def _stay(self, bill: Bill, screen: Screen, ends_s: float) -> None:
        """Let a screen stand, with what moves on it, until the next one is due or something is new."""
        if self._animation.moves(screen):
            work = partial(self._animation.halves, screen, bill.assets)
            halves = await self._in(self._first_hand(bill), work)
            await self._animation.run(screen, halves, self._wake, ends_s)
            return
        until_s = ends_s
        if screen.ticker is not None and self._board.abilities.ticker is TickerKind.CARD:
            until_s = min(ends_s, await self._crawl.end_of_turn(screen.ticker))
        await wait(self._wake, until_s)
        if not self._wake.is_set() and until_s < ends_s:
            self._crawl.turn += 1
            self._force = True

    # --- video ------------------------------------------------------------------------------------------

    async def _play_video(self, bill: Bill, screen: Screen) -> None:
        """Play a video until its time is over; one that cannot be played is told and left out."""
        source = bill.assets.get(screen.video, screen.video)

        def ends() -> float:
            # Its reel may grow, get fresh clocks or another look, while the video goes on.
            reel = None if self._bill is None else self._bill.reel
            if reel is None:
                return 0.0
            spot = reel.at(time.monotonic())
            return spot.ends_s if reel.screens[spot.index] == screen else 0.0

        async def first(rgb: bytes) -> None:
            await self._show(self._studio.frame(rgb), f"{screen.page_id} video", None)
            self._on, self._rgb, self._force = screen, rgb, False
            self._crawl.stop()
            if not self._projector.lent:
                self._animation.fill()
            self._record(bill, screen, rgb)

        try:
            await self._projector.play(screen, source, first, self._wake, ends)
        except VideoError as error:
            self._complain(Problem(screen.page_id, error.code, str(error)))
            bill.stale_s = min(bill.stale_s, self._projector.again_s(screen))
            self._tick.set()
            others = (
                tuple(one for one in bill.reel.screens if self._projector.plays(one) or not one.video)
                if bill.reel
                else ()
            )
            if others and bill.reel is not None:
                bill.reel = Reel(others, time.monotonic())
        finally:
            self._on = None  # the same screen as a still picture is another one
