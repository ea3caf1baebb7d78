"""What is on air now, in each zone, and why: one pure function of the station's state and the clock.

The ladder, highest first, is `Rung`. In a zone the highest rung wins; within a rung the higher level,
then the earlier start, then the id. What cannot sound (clock, media, audio) is no candidate, so it never
silences something below it. Every airing is a relay of the wall clock in this version: whoever comes late,
or comes back after being preempted, joins at the position the clock says, so boxes of a commune stay in step.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from agent.model.bulletin import AiringId, BulletinClass, ClockTrust, SourceLevel, ZoneId
from agent.model.report import MissedReason
from agent.model.schedule import Airing
from agent.model.timetable import Timetable

LOOK_BACK = timedelta(hours=36)
"""Airings that started longer ago are no longer reported as missed."""

MAX_MISSED = 500
"""Missed airings told by one plan; the next plan goes on where this one stopped."""

LONGEST_LOOK = timedelta(hours=1)
_LOOK_IF_BLOCKED = timedelta(seconds=1)
_LOOK_IF_NEXT_BLOCKED = timedelta(seconds=60)
_MAX_AIRINGS_READ = 5_000


class Rung(IntEnum):
    """The ladder: a higher rung takes the zone from a lower one."""

    FALLBACK = 10
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


AiringInZone = tuple[AiringId, ZoneId]


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


@dataclass(frozen=True, slots=True)
class Due:
    """What must sound in a zone now.

    Attributes:
        item_index, offset_ms: position by the wall clock. The item may be one of the missing: then the
            zone is silent until it is over.
        missing: indices, from `item_index` on, of items whose media is not on disk.
    """

    airing: Airing
    item_index: int
    offset_ms: int
    rung: Rung
    missing: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """An airing whose time it is, and why it does not sound."""

    airing: Airing
    reason: Reason


@dataclass(frozen=True, slots=True)
class ZonePlan:
    """One zone: at most one source.

    Attributes:
        reason: `due` if `on_air`, else why the zone is silent: of several, that of the highest airing.
        waiting: airings whose time it is but that do not sound, highest first.
        next: the next airing to start in this zone.
        next_blocked: why `next` could not start as things stand.
    """

    zone: ZoneId
    on_air: Due | None
    reason: Reason
    waiting: tuple[Waiting, ...] = ()
    next: Airing | None = None
    next_blocked: Reason | None = None


@dataclass(frozen=True, slots=True)
class Missed:
    """An airing that was promised in a zone and never began."""

    airing: Airing
    zone: ZoneId
    reason: MissedReason


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole answer.

    Attributes:
        missed: newly missed airings, oldest first; the caller records them and adds them to
            `StationState.missed`.
        look_again: the earliest moment at which the passing of time alone can change the answer, at most
            an hour ahead; always after `now`.
        waited: hand this in with the next state.
        planned_until: hand this in with the next state: everything that started earlier is accounted for.
    """

    zones: Mapping[ZoneId, ZonePlan]
    missed: tuple[Missed, ...]
    look_again: datetime
    planned_until: datetime | None
    waited: Mapping[AiringInZone, Reason] = field(default_factory=dict)


def plan(state: StationState, now: datetime, clock_trust: ClockTrust) -> Plan:
    """Say what is on air in each zone at `now` (aware)."""
    timetable = state.timetable
    if timetable is None:
        silent = {zone: ZonePlan(zone, None, Reason.NO_SCHEDULE) for zone in state.zones}
        return Plan(silent, (), now + LONGEST_LOOK, state.planned_until)
    view = _View(state, now, clock_trust)
    active = sorted(timetable.active(now), key=order)
    coming = {zone: timetable.next(now, zone) for zone in state.zones}
    zones = {zone: _zone_plan(view, zone, active, coming[zone]) for zone in state.zones}
    missed, more_from = _missed(view, timetable)
    look_again = _look_again(view, active, zones)
    if more_from is not None:
        look_again = min(look_again, now + _LOOK_IF_BLOCKED)
    waited = {(one.airing.id, zone): one.reason for zone in zones for one in zones[zone].waiting}
    return Plan(zones, missed, look_again, _planned_until(view, active, more_from), waited)


def rung_of(airing: Airing) -> Rung:
    """The rung a scheduled airing stands on; the schedule's classes reach no higher than priority."""
    return Rung.PROGRAMME if airing.programme.bulletin_class is BulletinClass.NORMAL else Rung.PRIORITY


def order(airing: Airing) -> tuple[int, int, datetime, str]:
    """Sort key: who wins a zone comes first."""
    return -rung_of(airing), _LEVELS[airing.programme.level], airing.start, airing.id


_LEVELS = {level: number for number, level in enumerate(SourceLevel)}


@dataclass(frozen=True, slots=True)
class _View:
    """The state at one moment."""

    state: StationState
    now: datetime
    trust: ClockTrust

    def zones_of(self, airing: Airing) -> tuple[ZoneId, ...]:
        wanted = airing.programme.zones
        return tuple(zone for zone in self.state.zones if not wanted or zone in wanted)

    def is_accounted(self, airing: Airing) -> bool:
        """Nothing more needs to be found out about it: it has a record in each of its zones."""
        keys = [(airing.id, zone) for zone in self.zones_of(airing)]
        return all(key in self.state.finished or key in self.state.begun for key in keys)

    def blocked(self, airing: Airing, zone: ZoneId, from_item: int = 0) -> Reason | None:
        """Why it cannot sound from item `from_item` on."""
        if airing.programme.clock_needed > self.trust and (airing.id, zone) not in self.state.begun:
            return Reason.CLOCK_NOT_TRUSTED
        if all(one.media.sha256 not in self.state.held for one in airing.programme.items[from_item:]):
            return Reason.MEDIA_MISSING
        if not self.state.audio_ok.get(zone, True):
            return Reason.AUDIO_UNAVAILABLE
        return None


def _zone_plan(view: _View, zone: ZoneId, active: list[Airing], coming: Airing | None) -> ZonePlan:
    on_air: Due | None = None
    waiting: list[Waiting] = []
    for airing in active:
        position = airing.position(view.now)
        if position is None or zone not in view.zones_of(airing):
            continue
        if (airing.id, zone) in view.state.finished:
            continue
        index, offset_ms = position
        reason = view.blocked(airing, zone, index) or (Reason.PREEMPTED if on_air else None)
        if reason is not None:
            waiting.append(Waiting(airing, reason))
            continue
        missing = tuple(
            number
            for number, item in enumerate(airing.programme.items)
            if number >= index and item.media.sha256 not in view.state.held
        )
        on_air = Due(airing, index, offset_ms, rung_of(airing), missing)
    reason = Reason.DUE if on_air else waiting[0].reason if waiting else Reason.NOTHING_DUE
    next_blocked = view.blocked(coming, zone) if coming else None
    return ZonePlan(zone, on_air, reason, tuple(waiting), coming, next_blocked)


def _planned_until(view: _View, active: list[Airing], more_from: datetime | None) -> datetime:
    known = view.state.planned_until
    if known is not None and known > view.now and view.trust < ClockTrust.RTC:
        return known  # a box without a clock chip wakes in the past; that undoes nothing
    open_starts = [airing.start for airing in active if not view.is_accounted(airing)]
    return min([more_from or view.now, *open_starts])


def _missed(view: _View, timetable: Timetable) -> tuple[tuple[Missed, ...], datetime | None]:
    """Airings that ended without a record; if there are too many, also the start from which to go on.

    An airing counts if it ended by now, has no record in the zone, and was promised: the schedule was in
    force at its start, or came into force while it was due and this box was already watching.
    """
    state, now = view.state, view.now
    since = state.planned_until or state.in_force_since
    if since is None or state.in_force_since is None or since > now:
        return (), None
    found: list[Missed] = []
    for number, airing in enumerate(timetable.between(max(since, now - LOOK_BACK), now)):
        if len(found) + len(state.zones) > MAX_MISSED or number >= _MAX_AIRINGS_READ:
            return tuple(found), airing.start
        if airing.end > now or airing.end <= state.in_force_since:
            continue
        if airing.start < state.in_force_since and state.planned_until is None:
            continue
        for zone in view.zones_of(airing):
            key = (airing.id, zone)
            if not (key in state.finished or key in state.begun or key in state.missed):
                found.append(Missed(airing, zone, _why_missed(view, timetable, airing, zone)))
    return tuple(found), None


def _why_missed(view: _View, timetable: Timetable, airing: Airing, zone: ZoneId) -> MissedReason:
    """The likeliest reason: what is known of the time of the airing, else how things stand now."""
    running_since = view.state.running_since
    if running_since is not None and airing.end <= running_since:
        return MissedReason.BOX_OFF
    known = view.state.waited.get((airing.id, zone)) or view.blocked(airing, zone)
    if known in _MISSED_REASONS:
        return _MISSED_REASONS[known]
    middle = airing.start + (airing.end - airing.start) / 2
    if any(zone in view.zones_of(one) and order(one) < order(airing) for one in timetable.active(middle)):
        return MissedReason.PREEMPTED
    if running_since is not None and airing.start < running_since:
        return MissedReason.BOX_OFF
    return MissedReason.CLOCK  # no plan was made between its start and its end: the clock jumped over it


_MISSED_REASONS = {
    Reason.CLOCK_NOT_TRUSTED: MissedReason.CLOCK,
    Reason.MEDIA_MISSING: MissedReason.MEDIA,
    Reason.AUDIO_UNAVAILABLE: MissedReason.AUDIO,
    Reason.PREEMPTED: MissedReason.PREEMPTED,
}


def _look_again(view: _View, active: list[Airing], zones: Mapping[ZoneId, ZonePlan]) -> datetime:
    now = view.now
    moments = [now + LONGEST_LOOK]
    moments += [zone.next.start for zone in zones.values() if zone.next is not None]
    for airing in active:
        moments.append(airing.end)
        edge = airing.start
        for item in airing.programme.items:
            edge += timedelta(milliseconds=item.media.duration_ms)
            if edge > now:
                moments.append(edge)
                break
    # Trust and media change without the plan being told of the moment; look often while they matter.
    for zone in zones.values():
        if any(one.reason is Reason.CLOCK_NOT_TRUSTED for one in zone.waiting):
            moments.append(now + _LOOK_IF_BLOCKED)
        elif zone.waiting or zone.next_blocked is not None:
            moments.append(now + _LOOK_IF_NEXT_BLOCKED)
    return min(moments)
