"""What should air and when: programmes, recurrence by RFC 5545, and single airings.

Times inside a recurrence are civil (no offset) and belong to the schedule's time zone; every
airing is a moment in UTC. Nothing here reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from agent.model.bulletin import AiringId, BulletinClass, ClockTrust, Item, SourceLevel, ZoneId


class Resume(StrEnum):
    """What becomes of an airing that something higher cut or kept from beginning."""

    STOPPED = "stopped"
    """It goes on where it stopped, as long as its window lasts: bulletins."""

    CLOCK = "clock"
    """It goes on where the wall clock is by then: relays."""

    DROP = "drop"
    """It does not come back."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """When a programme starts.

    Attributes:
        start: first civil date and time, without offset.
        rrule: RFC 5545 RRULE value such as `FREQ=DAILY;BYHOUR=5,17`; None airs once, at `start`.
        exdates: civil starts left out.
        rdates: civil starts added.
    """

    start: datetime
    rrule: str | None = None
    exdates: frozenset[datetime] = frozenset()
    rdates: frozenset[datetime] = frozenset()


@dataclass(frozen=True, slots=True)
class Programme:
    """Ordered items that air together, gapless, at each of its starts.

    Attributes:
        zones: where it sounds; empty means every zone of the box.
        valid_from: no airing starts before this moment (UTC).
        valid_until: no airing starts at or after this moment (UTC).
        clock_needed: least clock trust with which an airing may start.
        resume: what becomes of it after a cut.
        window: how long after its planned end it may still sound, if it was cut.
        fallback: it sounds only where nothing else does.
    """

    id: str
    title: str
    bulletin_class: BulletinClass
    level: SourceLevel
    items: tuple[Item, ...]
    recurrences: tuple[Recurrence, ...]
    zones: tuple[ZoneId, ...] = ()
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    clock_needed: ClockTrust = ClockTrust.RTC
    resume: Resume = Resume.STOPPED
    window: timedelta = timedelta(minutes=30)
    fallback: bool = False

    @property
    def duration(self) -> timedelta:
        """Length of one airing: the sum of its items."""
        return timedelta(milliseconds=self.duration_ms)

    @property
    def duration_ms(self) -> int:
        """Length of one airing in milliseconds."""
        return sum(item.media.duration_ms for item in self.items)

    def locate(self, position_ms: int) -> tuple[int, int] | None:
        """Item index and offset in milliseconds of a position, None outside the programme."""
        if position_ms < 0:
            return None
        for index, item in enumerate(self.items):
            if position_ms < item.media.duration_ms:
                return index, position_ms
            position_ms -= item.media.duration_ms
        return None


@dataclass(frozen=True, slots=True)
class Schedule:
    """A whole, versioned plan of a station; replaced as one, never patched."""

    id: str
    version: int
    station: str
    timezone: str
    programmes: tuple[Programme, ...]

    @property
    def media(self) -> dict[str, Item]:
        """Every file the schedule needs, by SHA-256."""
        return {
            item.media.sha256: item
            for programme in self.programmes
            for item in programme.items
            if item.media.is_file
        }


@dataclass(frozen=True, slots=True)
class Airing:
    """One occurrence of a programme, or one round of what an order asks for.

    Attributes:
        key: id of its own, `<anything>@<YYYYmmddTHHMMSSZ>`; empty for an occurrence of the schedule.
        order_id: the order that asked for it, empty for the schedule's.
    """

    programme: Programme
    start: datetime
    key: str = ""
    order_id: str = ""

    @property
    def id(self) -> AiringId:
        """Stable across schedule versions, so that an edited schedule repeats nothing already aired."""
        if self.key:
            return AiringId(self.key)
        return AiringId(f"{self.programme.id}@{self.start.astimezone(UTC):%Y%m%dT%H%M%SZ}")

    @property
    def end(self) -> datetime:
        """Planned end in UTC."""
        return self.start + self.programme.duration

    def position(self, now: datetime) -> tuple[int, int] | None:
        """Item index and offset in milliseconds that the wall clock says is due, None outside the airing."""
        return self.programme.locate(self.elapsed_ms(now))

    def elapsed_ms(self, now: datetime) -> int:
        """Milliseconds since the planned start, negative before it."""
        return (now - self.start) // timedelta(milliseconds=1)


def airing_start(airing: AiringId) -> datetime:
    """Planned start of an airing, read from its id."""
    return datetime.strptime(airing.rpartition("@")[2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
