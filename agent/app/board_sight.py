"""What boards see of their box: the facts their programmes decide by, gathered from every room."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from agent.app import board_state as become
from agent.app.board_memory import BoardMemory
from agent.app.takeovers import Takeovers
from agent.clock import Clock
from agent.config import BoardSection, Config
from agent.errors import AgentError
from agent.health.issues import IssueBook
from agent.latest import Latest
from agent.model.board import Facts, Look, Page, PageKind, Pattern
from agent.model.bulletin import ClockTrust, Media, ZoneId
from agent.model.issue import Fault
from agent.model.text import say
from agent.playout.contracts import ZoneView
from agent.playout.notices import Notice
from agent.playout.station import Station
from agent.signage.programme import BoardState, Cleared, Lease, OnAir
from agent.wire.orders import Desired

_NEXT_AHEAD = timedelta(hours=24)


class Player(Protocol):
    """A zone, as far as boards are concerned."""

    @property
    def view(self) -> ZoneView: ...


class Notices(Protocol):
    """Orders that stand, as far as boards are concerned."""

    changed: Latest[int]

    def notices(self) -> tuple[Notice, ...]: ...

    def notice(self, order_id: str) -> Notice | None: ...

    def was_cancelled(self, order_id: str) -> bool: ...


class CheckedFiles(Protocol):
    """Files on disk whose bytes were checked against their hash."""

    async def checked(self, sha256: str) -> Path: ...


class Sight:
    """Answers what a board should know now.

    Attributes:
        players: zones of the box, set once they are built.
        orders: set once the room of orders is built.
        station_name: of the schedule in force.
        leases: test pictures, and the monotonic moment at which each ends.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock,
        issues: IssueBook,
        station: Station,
        desired: Latest[Desired | None],
        files: CheckedFiles,
        held: Callable[[str], bool],
        title_of: Callable[[str], str],
        took: Takeovers,
        memory: BoardMemory,
        proved: Callable[[], datetime | None] = lambda: None,
    ) -> None:
        """As `Boards`; `took` and `memory` are its own."""
        self._proved = proved
        self.players: Mapping[ZoneId, Player] = {}
        self.orders: Notices | None = None
        self.station_name = ""
        self.leases: dict[str, tuple[Pattern, float]] = {}
        self._config = config
        self._clock = clock
        self._issues = issues
        self._station = station
        self._desired = desired
        self._files = files
        self._held = held
        self._title_of = title_of
        self._took = took
        self._memory = memory
        self._started_s = clock.monotonic()

    def shows(self, zones: tuple[str, ...]) -> bool:
        """Whether a board of this box shows what is meant for these zones (none: for all)."""
        return any(become.concerns(zones, one.zones, self._station.zones) for one in self._config.boards)

    def needed(self) -> tuple[Media, ...]:
        """Pictures and videos of the boards' pages."""
        boards = tuple(one.id for one in self._config.boards)
        return become.page_files(self._desired.value, boards) if boards else ()

    def state(self, section: BoardSection) -> BoardState:
        """All that decides what a board shows."""
        now, box = self._clock.now(), self._station.zones
        notices = self.orders.notices() if self.orders is not None else ()
        desired = self._desired.value
        pages = become.own_pages(desired, section.id, self._config.box.timezone) if desired else ()
        lease = self.lease(section.id)
        name = self.station_text()
        started = now + timedelta(seconds=section.power_on_s - (self._clock.monotonic() - self._started_s))
        return BoardState(
            idle=Page("idle", PageKind.IDLE, title=name),
            safe=Page("safe", PageKind.SAFE, title=name),
            dark_when_idle=section.when_idle == "dark",
            commercial=section.owner == "commercial",
            emergency_takes=section.emergency_takes,
            taken_until=self._took.until(section.id),
            emergencies=become.warned(notices, section.zones, box, self._title_of),
            cleared=tuple(
                Cleared((page,), until)
                for page, until, zones in self._memory.cleared
                if become.concerns(zones, section.zones, box)
            ),
            on_air=(
                *self._on_air(section, now),
                *become.read_only(notices, section.zones, box, now),
            ),
            playlist=pages,
            playlist_until=desired.expires if desired else None,
            fault=bool(pages) and self._issues.is_open(Fault.NOT_ENROLLED),
            link_limit=self._memory.link_limit(section.lost_link_minutes),
            clock_known=self._clock.trust >= ClockTrust.RTC,
            at_least=self._proved(),
            off=become.off_hours(section, self._config.box.timezone),
            started_until=started if started > now else None,
            lease=lease,
        )

    def _on_air(self, section: BoardSection, now: datetime) -> tuple[OnAir, ...]:
        zones = self._station.zones
        found = []
        if zones:
            for zone, player in self.players.items():
                view = player.view
                if view.on_air is not None and (not section.zones or zone in section.zones):
                    found.append(become.sounding(view.on_air, view.rung, view.item))
        elif (timetable := self._station.state.timetable) is not None and self._clock.trust >= ClockTrust.RTC:
            found = [
                become.due(airing, now)
                for airing in timetable.active(now)
                if become.concerns(airing.programme.zones, section.zones, zones)
            ]
        return tuple(one for one in found if one is not None)

    def station_text(self) -> str:
        """Name of the station for people."""
        return self.station_name or self._config.box.name or say("board.no_name", self._config.box.language)

    def facts(self) -> Facts:
        """What templates may show besides the page."""
        title, start = self._next()
        settings = self._desired.value.settings if self._desired.value is not None else {}
        weather = settings.get("weather", "")
        return Facts(
            station=self.station_text(),
            next_title=title,
            next_start=start,
            clock_known=self._clock.trust >= ClockTrust.RTC,
            weather=weather[:300] if isinstance(weather, str) else "",
            timezone=self._config.box.timezone,
        )

    def _next(self) -> tuple[str, datetime | None]:
        now = self._clock.now()
        coming = [one.view.next for one in self.players.values()]
        timetable = self._station.state.timetable
        if not self._station.zones and timetable is not None:
            coming += list(timetable.between(now, now + _NEXT_AHEAD, 1))
        known = [one for one in coming if one is not None and now < one.start < now + _NEXT_AHEAD]
        first = min(known, key=lambda one: one.start, default=None)
        return (first.programme.title, first.start) if first is not None else ("", None)

    def brightness(self, board: str) -> float | None:
        """Brightness ordered by the settings `board_brightness.<board>` or `board_brightness`."""
        settings = self._desired.value.settings if self._desired.value is not None else {}
        value = settings.get(f"board_brightness.{board}", settings.get("board_brightness"))
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return min(1.0, max(0.0, float(value)))

    async def assets(self, look: Look) -> Mapping[str, Path]:
        """Files of a look that are on the box, checked."""
        found = {}
        for page in look.pages:
            for sha256 in (page.picture, page.video):
                if sha256 and self._held(sha256):
                    with contextlib.suppress(AgentError):  # one bad file must not cost the others
                        path = await self._files.checked(sha256)
                        if self._held(sha256):
                            found[sha256] = path
        return found

    def lease(self, board: str) -> Lease | None:
        lease = self.leases.get(board)
        if lease is None:
            return None
        left_s = lease[1] - self._clock.monotonic()
        if left_s <= 0:
            del self.leases[board]
            return None
        return Lease(lease[0], self._clock.now() + timedelta(seconds=left_s))


class BoardRoom:
    """What one engine asks of its box; see `agent.signage.engine.Room`."""

    def __init__(self, sight: Sight, section: BoardSection, changed: Latest[int]) -> None:
        self._sight = sight
        self._section = section
        self._changed = changed

    @property
    def changed(self) -> Latest[int]:
        return self._changed

    def state(self) -> BoardState:
        return self._sight.state(self._section)

    def facts(self) -> Facts:
        return self._sight.facts()

    async def assets(self, look: Look) -> Mapping[str, Path]:
        return await self._sight.assets(look)

    def brightness(self) -> float | None:
        return self._sight.brightness(self._section.id)
