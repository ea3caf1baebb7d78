"""All boards of a box: what each is told, what people and orders do to it, the proof of what it showed."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from pathlib import Path

from agent.app import board_state as become
from agent.app.board_memory import CLEAR_SHOWN, BoardMemory
from agent.app.board_reports import board_health, board_info, board_setup, screen_report
from agent.app.board_sight import BoardRoom, CheckedFiles, Sight
from agent.app.takeovers import Takeovers
from agent.clock import Clock
from agent.config import BoardSection, Config
from agent.errors import StoreError
from agent.field.boards import BoardAbsentError, BoardInfo, ControlRefusedError, Shot
from agent.health.issues import IssueBook
from agent.latest import Latest
from agent.lifecycle import Service
from agent.model.board import Pattern
from agent.model.issue import Fault
from agent.playout.notices import Notice
from agent.playout.station import Station
from agent.signage.client import open_worker
from agent.signage.engine import Client, SignageEngine
from agent.signage.programme import is_mine
from agent.signage.proof import ScreenLog, Stay
from agent.signage.theme import ThemeError, load_theme
from agent.source.api import SourceStatus
from agent.store.store import Store
from agent.wire.orders import AnyOrder, Cancel, Desired, Emergency, Takeover
from agent.wire.reports import BoardHealth, EventType
from agent.wire.ulid import new_ulid
from drivers import registry
from drivers.api import DriverError

logger = logging.getLogger(__name__)

_QUEUE = 1_000
_TICK_S = 1.0
_WRITE_AGAIN_S = 5.0

Tell = Callable[[EventType, str, str, str], None]


class Boards:
    """Builds and feeds the boards; a service that keeps what must outlive a power cut, and reports screens.

    Attributes:
        changed: counts up when a board may have to change at once.
        engines: one for each board.
        sight: what they see of the box.
    """

    name = "boards"

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock,
        issues: IssueBook,
        store: Store,
        station: Station,
        desired: Latest[Desired | None],
        link: Callable[[], SourceStatus],
        files: CheckedFiles,
        held: Callable[[str], bool],
        tell: Tell,
        may_cancel: Callable[[str, str], bool],
        title_of: Callable[[str], str],
        proved: Callable[[], datetime | None] = lambda: None,
    ) -> None:
        """Build every board; nothing is opened yet.

        Args:
            config: of the box.
            clock: time.
            issues: where faults are told.
            store: for state and reports.
            station: schedule and zones.
            desired: what the source system wants the box to hold: its pages and settings.
            link: how the box stands with its source system.
            files: media, checked.
            held: whether a file is on the box.
            tell: events.
            may_cancel: whether the first issuer may end an order of the second.
            title_of: name of an issuer for people.
            proved: newest moment ever known for certain.
        """
        self.changed: Latest[int] = Latest(0)
        self._clock = clock
        self._issues = issues
        self._store = store
        self._station = station
        self._desired = desired
        self._link = link
        self._tell = tell
        self._title_of = title_of
        self._sections = {one.id: one for one in config.boards}
        self._keep = config.box.data_dir / "boards"
        self._took = Takeovers(clock, may_cancel, store.close_order, tell, proved)
        self._memory = BoardMemory(store, clock, tuple(self._sections))
        self.sight = Sight(
            config,
            clock=clock,
            issues=issues,
            station=station,
            desired=desired,
            files=files,
            held=held,
            title_of=title_of,
            took=self._took,
            memory=self._memory,
            proved=proved,
        )
        self._stays: deque[Stay] = deque()
        self._stayed = asyncio.Event()
        self._dropped = 0
        self.engines = {section.id: self._engine(section) for section in config.boards}

    def _engine(self, section: BoardSection) -> SignageEngine:
        keep = self._keep / section.id if registry.board_remembers(section.kind) else None
        setup = board_setup(section, self._theme(section), keep)

        def open_client() -> AbstractAsyncContextManager[Client]:
            return open_worker(f"board {section.id}", setup)

        return SignageEngine(
            section.id,
            open_client,
            BoardRoom(self.sight, section, self.changed),
            clock=self._clock,
            issues=self._issues,
            log=ScreenLog(section.id, self._keep_stay),
        )

    def _theme(self, section: BoardSection) -> Path | None:
        """The theme of a board, None for the built-in one also where the commune's is wrong."""
        if section.theme is not None:
            try:
                load_theme(section.theme)
            except ThemeError as error:
                self._issues.raise_(Fault.BOARD_THEME, section.id, str(error))
                return None
        return section.theme

    # --- running -------------------------------------------------------------------------------------

    async def restore(self) -> None:
        """Know again what must outlive a power cut."""
        await self._memory.restore()
        for board in self._sections:
            self._tell_dead(board)

    def services(self) -> tuple[Service, ...]:
        """What must run."""
        return (self, *self.engines.values()) if self.engines else ()

    async def run(self) -> None:
        """Report screens, keep state, end what is over."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._report_stays(), name="screen reports")
            if self.sight.orders is not None:
                group.create_task(self._ring(self.sight.orders.changed), name="orders for boards")
            group.create_task(self._ring(self._station.changed), name="station for boards")
            group.create_task(self._ring(self._desired), name="pages for boards")
            while True:
                await self._took.end_over()
                await self._memory.look(reachable=self._link().reachable)
                await self._clock.sleep(_TICK_S)

    async def _ring(self, latest: Latest[int] | Latest[Desired | None]) -> None:
        async for _ in latest.follow():
            self.touch()

    def touch(self) -> None:
        """Something boards depend on changed."""
        self.changed.set(self.changed.value + 1)

    # --- orders --------------------------------------------------------------------------------------

    async def take(self, order: AnyOrder, ended: Notice | None = None) -> None:
        """Take an accepted order, after the sounding orders have taken it.

        Args:
            order: any; only takeovers and cancels matter here.
            ended: of a cancel: the notice it was to end, as it stood before.
        """
        if not self._sections:
            return
        if isinstance(order, Takeover):
            self._took.accept(order)
        elif isinstance(order, Cancel):
            await self._took.cancel(order)
            gone = self.sight.orders is not None and self.sight.orders.was_cancelled(order.cancels)
            if (
                ended is not None
                and gone
                and isinstance(ended.order, Emergency)
                and order.all_clear is not None
            ):
                now = self._clock.now()
                page = become.clear_page(order.id, order.all_clear, now, self._title_of(order.issuer))
                self._memory.clear(page, now + CLEAR_SHOWN, ended.zones)
                await self._memory.save()
        else:
            return
        self.touch()

    # --- proof ---------------------------------------------------------------------------------------

    def _keep_stay(self, stay: Stay) -> None:
        if len(self._stays) >= _QUEUE:  # the card takes nothing: what was only a page goes first
            least = min(self._stays, key=lambda one: one.rank)
            self._dropped += 1
            if least.rank > stay.rank:
                return
            self._stays.remove(least)
        self._stays.append(stay)
        self._stayed.set()

    async def _report_stays(self) -> None:
        while True:
            self._stayed.clear()
            await self._write_stays()
            if self._stays:  # the card refused; nothing is lost while there is room here
                await self._clock.sleep(_WRITE_AGAIN_S)
            else:
                await self._stayed.wait()

    async def _write_stays(self) -> None:
        """Report what was shown, as far as the store takes it."""
        while self._stays:
            stay = self._stays[0]
            try:
                await self._store.report(screen_report(new_ulid(self._clock.now()), stay))
            except StoreError as error:
                logger.warning("board %s: %r not reported yet: %s", stay.board, stay.page.id, error)
                return
            except ValueError:
                self._dropped += 1
                logger.exception("board %s: %r cannot be reported", stay.board, stay.page.id)
            if self._stays and self._stays[0] is stay:
                self._stays.popleft()

    async def close(self) -> None:
        """After everything has stopped: report what was on the boards until then."""
        await self._write_stays()
        await self._memory.save()

    def health(self) -> tuple[BoardHealth, ...]:
        """For the heartbeat."""
        return tuple(board_health(one) for one in self.info())

    # --- hands ---------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._sections)

    def info(self) -> tuple[BoardInfo, ...]:
        return tuple(
            board_info(
                section,
                self.engines[board].view,
                self.sight.lease(board),
                self._took.until(board),
                self._memory.dead(board),
            )
            for board, section in self._sections.items()
        )

    async def pattern(self, board: str, pattern: str, minutes: int, by: str) -> datetime:
        section = self._section(board)
        if not is_mine(self.sight.state(section), self._clock.now()):
            raise ControlRefusedError("board_not_ours", f"board {board} is its owner's")
        self.sight.leases[board] = Pattern(pattern), self._clock.monotonic() + minutes * 60
        self._tell(EventType.CONTROL, board, by, f"pattern {pattern} for {minutes} minutes")
        self.touch()
        return self._clock.now() + timedelta(minutes=minutes)

    async def end_pattern(self, board: str, by: str) -> None:
        self._section(board)
        if self.sight.leases.pop(board, None) is not None:
            self._tell(EventType.CONTROL, board, by, "pattern ended")
            self.touch()

    async def module(self, board: str, row: int, column: int, *, dead: bool, by: str) -> tuple[str, ...]:
        self._section(board)
        self._memory.module(board, f"{row}/{column}", dead=dead)
        await self._memory.save()
        self._tell_dead(board)
        word = "dead" if dead else "works again"
        self._tell(EventType.CONTROL, board, by, f"module row {row} column {column} {word}")
        return self._memory.dead(board)

    async def screenshot(self, board: str) -> Shot:
        self._section(board)
        engine = self.engines[board]
        try:
            png = await engine.screenshot()
        except DriverError as error:
            raise BoardAbsentError(str(error)) from error
        view = engine.view
        size = view.geometry
        return Shot(
            board, png, view.thumbnail, view.sha256, view.page,
            size.width_px if size else 0, size.height_px if size else 0,
        )  # fmt: skip

    def _section(self, board: str) -> BoardSection:
        section = self._sections.get(board)
        if section is None:
            raise ControlRefusedError("unknown_board", f"there is no board {board!r}")
        return section

    def _tell_dead(self, board: str) -> None:
        dead = self._memory.dead(board)
        self._issues.put(Fault.BOARD_MODULE_DEAD, bool(dead), board, ", ".join(dead))
