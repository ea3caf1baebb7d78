"""The ladder: who may have a zone, what the plan knows of the box, and who comes before whom.

Highest first: local safety stop, emergency (by level, then the newest), live, priority (in the order a
person at the commune set), programme, on-site test, fallback. Values and orderings only; `plan` decides.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from agent.model.bulletin import AiringId, BulletinClass, SourceLevel, ZoneId
from agent.model.hours import Hours
from agent.model.live import LiveStatus
from agent.model.schedule import Airing
from agent.model.timetable import Timetable


class Rung(IntEnum):
    """The ladder: a higher rung takes the zone from a lower one."""

    FALLBACK = 10
    TEST = 15
    PROGRAMME = 20
    PRIORITY = 30
    LIVE = 40
    EMERGENCY = 50
    SAFETY_STOP = 60


class Reason(StrEnum):
    """Why a zone sounds, or why it does not."""

    DUE = "due"
    NOTHING_DUE = "nothing_due"
    NO_SCHEDULE = "no_schedule"
    CLOCK_NOT_TRUSTED = "clock_not_trusted"
    MEDIA_MISSING = "media_missing"
    AUDIO_UNAVAILABLE = "audio_unavailable"
    PREEMPTED = "preempted"
    SAFETY_STOP = "safety_stop"
    OUTSIDE_HOURS = "outside_hours"
    PAUSED = "paused"
    LIVE_WAITING = "live_waiting"
    LIVE_BOUNDARY = "live_boundary"


AiringInZone = tuple[AiringId, ZoneId]


@dataclass(frozen=True, slots=True)
class Standing:
    """What an order asks for, beside the schedule.

    Attributes:
        airing: what is to sound; its start is the earliest moment.
        rung: where it stands on the ladder.
        zones: where; empty for every zone.
        until: not wanted any more from this moment on; None while the order stands.
        rank: among orders of one rung and level the higher goes first: the number of their arrival.
        fixed: it keeps to the wall clock, as a scheduled airing does; otherwise it begins whenever it gets
            the zone.
    """

    airing: Airing
    rung: Rung
    zones: tuple[ZoneId, ...] = ()
    until: datetime | None = None
    rank: int = 0
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """An airing that something higher cut or kept from beginning, and where it goes on."""

    airing: Airing
    position_ms: int


@dataclass(frozen=True, slots=True)
class Running:
    """An airing that is being heard, and the item of it: since when, and until when if nothing happens."""

    item_from: datetime
    item_until: datetime


@dataclass(frozen=True, slots=True)
class StationState:
    """All that the plan depends on, apart from the clock.

    Attributes:
        zones: zones of this box.
        timetable: the schedule in force, None without one.
        in_force_since: when that schedule came into force on this box; None reports nothing as missed.
        running_since: when the agent started, as the wall clock *now* sees it (now minus uptime), so that
            a clock step does not turn into time off; None if it always ran.
        begun: airings with an open record: they go on although the clock lost trust, and are not missed.
        finished: airings that must not sound (again): recorded as final, or stopped. This, `begun` and
            `missed` must reach back further than `LOOK_BACK` plus the longest airing (24 h).
        missed: airings already told as missed. They are not told again, yet would air if due after all
            (the clock had been ahead and was set back).
        waited: `Plan.waited` of the last plan: why airings that are due did not sound so far.
        planned_until: `Plan.planned_until` of the last plan, kept over restarts; None if there was none.
        held: SHA-256 of the media on disk; anything with `in`.
        audio_ok: whether a zone has a working sound output; a zone not named has.
        orders: what orders ask for beside the schedule.
        cut: airings that go on from a position of their own instead of that of the wall clock.
        running: what is being heard.
        safety: zones under a local safety stop, and until when.
        pauses: zones paused by a job, and until when; an emergency sounds all the same.
        hours: when the station may sound; None at all times.
        used: what has sounded in the present session of the hours.
        preference: ids of priority programmes and bulletins in the order a person at the commune set.
        live: how live sources stand, by live id.
    """

    zones: tuple[ZoneId, ...]
    timetable: Timetable | None = None
    schedule_version: int = 0
    in_force_since: datetime | None = None
    running_since: datetime | None = None
    begun: frozenset[AiringInZone] = frozenset()
    finished: frozenset[AiringInZone] = frozenset()
    missed: frozenset[AiringInZone] = frozenset()
    waited: Mapping[AiringInZone, Reason] = field(default_factory=dict)
    planned_until: datetime | None = None
    held: Container[str] = frozenset()
    audio_ok: Mapping[ZoneId, bool] = field(default_factory=dict)
    orders: tuple[Standing, ...] = ()
    cut: Mapping[AiringInZone, Held] = field(default_factory=dict)
    running: Mapping[AiringInZone, Running] = field(default_factory=dict)
    safety: Mapping[ZoneId, datetime] = field(default_factory=dict)
    pauses: Mapping[ZoneId, datetime] = field(default_factory=dict)
    hours: Hours | None = None
    used: Mapping[tuple[ZoneId, str], timedelta] = field(default_factory=dict)
    preference: tuple[str, ...] = ()
    live: Mapping[str, LiveStatus] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that wants a zone now.

    Attributes:
        position_ms: where it would begin or be.
        late: it sounds outside its planned time, so what is planned for now goes first.
        floating: it keeps its own position, not that of the wall clock.
    """

    airing: Airing
    rung: Rung
    position_ms: int
    late: bool = False
    floating: bool = False
    rank: int = 0


def rung_of(airing: Airing) -> Rung:
    """The rung a scheduled airing stands on; the schedule's classes reach no higher than priority."""
    if airing.programme.fallback:
        return Rung.FALLBACK
    return Rung.PROGRAMME if airing.programme.bulletin_class is BulletinClass.NORMAL else Rung.PRIORITY


def order(one: Candidate, preference: tuple[str, ...] = ()) -> tuple[int, int, int, int, float, str]:
    """Sort key: who wins a zone comes first."""
    airing = one.airing
    level = LEVELS[airing.programme.level]
    if one.rung >= Rung.LIVE:
        return -one.rung, 0, level, -one.rank, airing.start.timestamp(), airing.id
    chosen = len(preference)
    if one.rung is Rung.PRIORITY and airing.programme.id in preference:
        chosen = preference.index(airing.programme.id)
    return -one.rung, chosen, level, int(one.late), airing.start.timestamp(), airing.id


def zones_of(airing: Airing, zones: tuple[ZoneId, ...]) -> tuple[ZoneId, ...]:
    """Where a scheduled airing sounds on this box."""
    wanted = airing.programme.zones
    return tuple(zone for zone in zones if not wanted or zone in wanted)


LEVELS = {level: number for number, level in enumerate(SourceLevel)}
