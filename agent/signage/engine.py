"""Keeps one board showing what it should; a board that is absent and a worker that died are states.

Deciding is `programme.decide`; drawing and the card belong to a child process behind `client`. This service
follows what changes, hands over looks, replaces a lost child at once, and keeps the proof of what was shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from agent.clock import Clock
from agent.latest import Latest
from agent.model.board import Facts, Look, PageRank
from agent.model.bulletin import ClockTrust
from agent.model.issue import Fault
from agent.signage import client as worker
from agent.signage.files import LookFiles
from agent.signage.programme import BoardState, decide
from agent.signage.proof import ScreenLog, Shown
from drivers.api import BoardAbilities, BoardGeometry, BoardStatus, DeviceUnavailableError, DriverError

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""What no bell announces (the next item of a programme, a file that came) is noticed so soon."""

LOOK_LIMIT_S = 30.0
"""A worker whose board shows no first frame of a look within this is replaced; serial cards take seconds."""

STATUS_EVERY_S = 10.0
RETRY_S = 2.0
URGENT_RETRY_S = 0.5
"""How soon a board that did not take a look is given it again; an emergency sooner, never without pause."""

URGENT_WAIT_S = 1.0
"""How long an emergency waits for the next try to open a board, however often it failed."""

_WAIT_GRAIN_S = 0.25

LATEST_S = 60.0
"""What a worker tells of the past counts from then at the earliest."""

HEALTHY_S = 10.0
MANY_LOSSES = 3
"""So many workers lost within `LOSSES_S`: TL-603."""

LOSSES_S = 60.0
FOREIGN_S = 600.0
"""For how long TL-602 stands after the strange picture was painted over, so that somebody sees it."""

_WAITS_S = (0.0, 0.25, 1.0, 2.0, 5.0, 10.0)
_CLOCK_STEP_NS = 20_000_000


class Issues(Protocol):
    """Where conditions a person can fix are told."""

    def raise_(self, fault: Fault, subject: str = "", detail: str = "") -> None: ...

    def clear(self, fault: Fault, subject: str = "") -> None: ...


class Client(Protocol):
    """What draws a board; see `agent.signage.client.BoardClient`."""

    @property
    def geometry(self) -> BoardGeometry: ...

    @property
    def abilities(self) -> BoardAbilities: ...

    async def look(self, number: int, look: Look, facts: Facts, assets: Mapping[str, Path]) -> None: ...

    async def set_clock(self, wall_minus_monotonic_ns: int, known: bool) -> None: ...

    async def set_brightness(self, level: float | None) -> None: ...

    async def screenshot(self) -> bytes: ...

    async def status(self) -> BoardStatus: ...

    def events(self) -> AsyncIterator[worker.Shown | worker.Problem]: ...


class Room(Protocol):
    """What the engine asks of the box about its board."""

    @property
    def changed(self) -> Latest[int]:
        """Counts up when a look may have to change at once."""
        ...

    def state(self) -> BoardState: ...

    def facts(self) -> Facts: ...

    async def assets(self, look: Look) -> Mapping[str, Path]:
        """Pictures and videos of a look that are on the box, by SHA-256, checked."""
        ...

    def brightness(self) -> float | None:
        """Brightness that was ordered, 0 to 1; None: as planned."""
        ...


@dataclass(frozen=True, slots=True)
class BoardView:
    """What a board shows, for people who ask.

    Attributes:
        page: id of the page on the board; empty while it is dark or does not answer.
        title: its headline.
        sha256: of the screen on the board.
        since: when that page came up.
        look: what the page on the board belongs to.
        answers: whether the board shows what it was told.
        status: what the card said last, None if it never did.
        geometry, abilities: of the board, None before it was first opened.
        thumbnail: PNG of the screen on the board.
    """

    page: str = ""
    title: str = ""
    sha256: str = ""
    since: datetime | None = None
    look: Look | None = None
    answers: bool = False
    status: BoardStatus | None = None
    geometry: BoardGeometry | None = None
    abilities: BoardAbilities | None = None
    thumbnail: bytes = b""


Given = tuple[Look, Facts, Mapping[str, Path]]
"""What a worker is told. Its look has no `until`: this service decides anew at that moment, and a worker
whose agent is gone goes to its safe screen by itself."""


class SignageEngine:
    """Service of one board."""

    def __init__(
        self,
        board: str,
        open_client: Callable[[], AbstractAsyncContextManager[Client]],
        room: Room,
        *,
        clock: Clock,
        issues: Issues,
        log: ScreenLog,
    ) -> None:
        self.name = f"board {board}"
        self.view = BoardView()
        self._board = board
        self._open = open_client
        self._room = room
        self._clock = clock
        self._issues = issues
        self._log = log
        self._client: Client | None = None
        self._number = 0
        self._looks: dict[int, Look] = {}
        self._given: Given | None = None
        self._said: Look | None = None  # in the log
        self._failed: Given | None = None  # not taken by the board
        self._again = asyncio.Event()
        self._files = LookFiles(room.assets, self._again.set, clock.monotonic)
        self._losses_s: list[float] = []
        self._foreign_s: float | None = None
        self._problems: set[tuple[str, str]] = set()

    async def run(self) -> None:
        failures = 0
        while True:
            began_s = self._clock.monotonic()
            try:
                async with self._open() as client:
                    await self._drive(client)
            except* DriverError as errors:
                detail = _first(errors)
                self._lost(detail, was_open=self._client is not None)
            except* Exception as errors:  # a mistake in here must not keep an emergency off the board
                logger.exception("board %s: given up and opened again", self._board)
                self._lost(repr(errors.exceptions[0]), was_open=self._client is not None)
            finally:
                self._client = None
            healthy = self._clock.monotonic() - began_s >= HEALTHY_S
            failures = 0 if healthy else failures + 1
            wait_s = _WAITS_S[min(failures, len(_WAITS_S) - 1)] if failures > 1 else 0.0
            await self._pause(wait_s)

    async def _pause(self, wait_s: float) -> None:
        """Before the next try; an emergency, also one that comes meanwhile, cuts it short."""
        began_s = self._clock.monotonic()
        while True:
            look = decide(self._room.state(), self._clock.now())
            longest_s = URGENT_WAIT_S if look.rank is PageRank.EMERGENCY else wait_s
            left_s = min(wait_s, longest_s) - (self._clock.monotonic() - began_s)
            await self._clock.sleep(min(left_s, _WAIT_GRAIN_S))
            if left_s <= _WAIT_GRAIN_S:
                return

    async def screenshot(self) -> bytes:
        """PNG of what is on the board now.

        Raises:
            DeviceUnavailableError: the board does not answer.
        """
        if self._client is None:
            raise DeviceUnavailableError(f"board {self._board}: does not answer")
        return await self._client.screenshot()

    async def ask_status(self) -> BoardStatus:
        """Ask the card now.

        Raises:
            DriverError: it does not answer, or not as it should.
        """
        if self._client is None:
            raise DeviceUnavailableError(f"board {self._board}: does not answer")
        return self._heed(await self._client.status())

    # --- while a worker lives ------------------------------------------------------------------------

    async def _drive(self, client: Client) -> None:
        self._client, self._given, self._failed = client, None, None
        self.view = replace(self.view, geometry=client.geometry, abilities=client.abilities)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(client), name=f"{self.name} events")
                group.create_task(self._care(client), name=f"{self.name} care")
                group.create_task(self._ring(), name=f"{self.name} bell")
                group.create_task(self._follow(client), name=f"{self.name} looks")
        finally:
            self._files.stop()
            self._dark()

    async def _ring(self) -> None:
        async for _ in self._room.changed.follow():
            self._again.set()

    async def _follow(self, client: Client) -> None:
        """Hand over each look as soon as it is another one; a newer one does not wait for an older."""
        giving: asyncio.Task[None] | None = None
        retry_s = 0.0
        try:
            while True:
                self._again.clear()
                if giving is not None and giving.done():
                    retry_s = self._given_out(giving)
                    giving = None
                look = decide(self._room.state(), self._clock.now())
                assets = self._files.of(look)
                if assets is None:
                    await self._wait(look, _WAIT_GRAIN_S if look.rank < PageRank.EMERGENCY else 0.02)
                    continue
                # A board that is dark or its owner's has nothing to do with what is next on the programme.
                facts = self._room.facts() if look.pages else Facts()
                wish = replace(look, until=None), facts, assets
                left_s = retry_s - self._clock.monotonic() if wish == self._failed else 0.0
                if wish != self._given and left_s <= 0:
                    if giving is not None:
                        giving.cancel()
                    self._given = wish
                    giving = asyncio.create_task(self._give(client, look, wish), name=f"{self.name} look")
                    giving.add_done_callback(lambda _: self._again.set())
                await self._wait(look, left_s if left_s > 0 else LOOK_EVERY_S)
        finally:
            if giving is not None:
                giving.cancel()

    def _given_out(self, giving: asyncio.Task[None]) -> float:
        """Take notice of how handing over a look ended; the moment before which it is not tried again."""
        if giving.cancelled():
            return 0.0
        error = giving.exception()
        if error is None:
            return 0.0
        if not isinstance(error, DriverError):
            raise error
        self._failed, self._given = self._given, None
        urgent = self._failed is not None and self._failed[0].rank is PageRank.EMERGENCY
        self._dark()
        self._issues.raise_(Fault.BOARD_UNAVAILABLE, self._board, str(error))
        return self._clock.monotonic() + (URGENT_RETRY_S if urgent else RETRY_S)

    async def _give(self, client: Client, look: Look, wish: Given) -> None:
        self._number += 1
        number = self._number
        self._looks[number] = look
        for old in sorted(self._looks)[:-4]:
            del self._looks[old]
        self._log.given(number, look)
        before = self._said
        try:
            async with asyncio.timeout(LOOK_LIMIT_S):
                await client.look(number, *wish)
        except TimeoutError as error:
            raise DeviceUnavailableError(f"no picture within {LOOK_LIMIT_S:.0f} s") from error
        self.view = replace(self.view, answers=True)
        self._issues.clear(Fault.BOARD_UNAVAILABLE, self._board)
        self._forget_problems(look)
        self._said = look
        if before is None or (before.reason, before.pages) != (look.reason, look.pages):
            shows = ", ".join(page.title or page.id for page in look.pages[:3])
            logger.info("board %s: %s, %d pages %r", self._board, look.reason, len(look.pages), shows[:120])

    async def _wait(self, look: Look, most_s: float) -> None:
        """Until something may have to change."""
        wait_s = min(most_s, LOOK_EVERY_S)
        if look.until is not None:
            wait_s = min(wait_s, max(0.01, (look.until - self._clock.now()).total_seconds()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._again.wait()

    async def _listen(self, client: Client) -> None:
        async for event in client.events():
            if isinstance(event, worker.Shown):
                self._came_up(event)
            else:
                self._complained(event)
        raise DeviceUnavailableError(f"board {self._board}: its worker went away")

    def _came_up(self, event: worker.Shown) -> None:
        look = self._looks.get(event.look)
        page = next((one for one in look.pages if one.id == event.page_id), None) if look else None
        now_s = self._clock.monotonic()
        at_s = min(max(event.at_ns / 1e9, now_s - LATEST_S), now_s)
        at = self._clock.now() - timedelta(seconds=now_s - at_s)
        self._log.shown(
            Shown(
                event.look, event.page_id, event.number, event.count, event.sha256, at, event.thumbnail, at_s
            )
        )  # fmt: skip
        if look is not None:
            self.view = replace(self.view, look=look)
        if page is None:
            if event.number == 0:
                self._log.dark(at, at_s)
                self.view = replace(
                    self.view, page="", title="", sha256=event.sha256, since=at, thumbnail=event.thumbnail
                )
            return
        known = self.view.thumbnail if event.sha256 == self.view.sha256 else b""
        since = self.view.since if self.view.page == page.id and self.view.since is not None else at
        self.view = replace(
            self.view,
            page=page.id,
            title=page.title,
            sha256=event.sha256,
            since=since,
            thumbnail=event.thumbnail or known,
        )

    def _complained(self, problem: worker.Problem) -> None:
        logger.warning(
            "board %s: page %r: %s %r", self._board, problem.page_id, problem.code, problem.detail[:200]
        )
        if problem.code == "foreign":
            self._changed(problem.detail)
            return
        if problem.code == "power_lost":  # painted again by the worker; nothing is left to be repaired
            return
        if problem.code == "theme":
            self._issues.raise_(Fault.BOARD_THEME, self._board, problem.detail)
            return
        self._log.complained(problem.page_id, f"{problem.code} {problem.detail}"[:200].strip())
        subject = f"{self._board}/{problem.page_id}" if problem.page_id else self._board
        self._problems.add((subject, problem.page_id))
        self._issues.raise_(Fault.BOARD_CONTENT, subject, f"{problem.code} {problem.detail}")

    def _forget_problems(self, look: Look) -> None:
        shown = {page.id for page in look.pages}
        for subject, page_id in [one for one in self._problems if one[1] not in shown]:
            self._problems.discard((subject, page_id))
            self._issues.clear(Fault.BOARD_CONTENT, subject)

    # --- the card ------------------------------------------------------------------------------------

    async def _care(self, client: Client) -> None:
        """Keep the worker's clock and brightness right, and ask the card how it is."""
        told: tuple[int, bool] | None = None
        level: float | None = None  # what a fresh worker goes by: its plan
        began_s = self._clock.monotonic()
        asked_s = began_s - STATUS_EVERY_S + LOOK_EVERY_S
        while True:
            offset_ns = round((self._clock.now().timestamp() - self._clock.monotonic()) * 1e9)
            known = self._clock.trust >= ClockTrust.RTC
            if told is None or abs(told[0] - offset_ns) > _CLOCK_STEP_NS or told[1] is not known:
                told = offset_ns, known
                await client.set_clock(offset_ns, known)
            ordered = self._room.brightness()
            if ordered != level:
                level = ordered
                await client.set_brightness(ordered)
            if self._losses_s and self._clock.monotonic() - began_s >= LOSSES_S:
                self._losses_s = []
                self._issues.clear(Fault.BOARD_WORKER, self._board)
            if self._clock.monotonic() - asked_s >= STATUS_EVERY_S:
                asked_s = self._clock.monotonic()
                await self._ask(client)
            await self._clock.sleep(LOOK_EVERY_S)

    async def _ask(self, client: Client) -> None:
        try:
            self._heed(await client.status())
        except DriverError as error:
            if self.view.answers:
                self._dark()
                self._given = None
                self._issues.raise_(Fault.BOARD_UNAVAILABLE, self._board, str(error))

    def _heed(self, status: BoardStatus) -> BoardStatus:
        """Take notice of what the card says; the worker itself paints again what was lost or changed."""
        self.view = replace(self.view, status=status)
        if status.foreign and (self.view.look is None or self.view.look.mine):
            self._changed(status.detail)
        elif self._foreign_s is not None and self._clock.monotonic() - self._foreign_s >= FOREIGN_S:
            self._foreign_s = None
            self._issues.clear(Fault.BOARD_CHANGED, self._board)
        return status

    def _changed(self, detail: str) -> None:
        """Something was shown that is not ours."""
        self._foreign_s = self._clock.monotonic()
        self._issues.raise_(Fault.BOARD_CHANGED, self._board, detail)

    def _lost(self, detail: str, *, was_open: bool) -> None:
        now_s = self._clock.monotonic()
        if not was_open:
            self._issues.raise_(Fault.BOARD_UNAVAILABLE, self._board, detail)
            return
        self._losses_s = [one for one in self._losses_s if now_s - one < LOSSES_S] + [now_s]
        logger.warning("board %s: worker replaced: %s", self._board, detail)
        bad = self._files.lost_with(self._given[2] if self._given is not None else {})
        if bad:
            logger.error("board %s: files left out, workers die with them: %s", self._board, sorted(bad))
        if len(self._losses_s) >= MANY_LOSSES:
            self._issues.raise_(Fault.BOARD_WORKER, self._board, detail)

    def _dark(self) -> None:
        """Nobody knows any more that anything of ours is on the board."""
        self._log.dark(self._clock.now(), self._clock.monotonic())
        self.view = replace(
            self.view,
            page="", title="", sha256="", since=None, answers=False, status=None, thumbnail=b"",
        )  # fmt: skip


def _first(errors: ExceptionGroup[DriverError]) -> str:
    """What the first of nested errors says."""
    one: BaseException = errors
    while isinstance(one, BaseExceptionGroup):
        one = one.exceptions[0]
    return str(one)
