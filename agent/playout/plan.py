"""What is on air now, in each zone, and why: one pure function of the station's state and the clock.

In a zone the highest candidate of the ladder (`ladder.order`) wins. What cannot sound (clock, media, audio,
hours, a live source that is away) is no candidate, so it never silences something below it. A scheduled
airing keeps to the wall clock: whoever comes late joins at the position the clock says, so boxes of a
commune stay in step. What something higher cut goes on as its programme says: where it stopped, where the
clock is, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agent.model.bulletin import ClockTrust, Item, ZoneId
from agent.model.hours import Permission, permission
from agent.model.live import LiveState
from agent.model.report import MissedReason
from agent.model.schedule import Airing, Resume
from agent.model.timetable import Timetable
from agent.playout.ladder import (
    AiringInZone,
    Candidate,
    Held,
    Reason,
    Rung,
    Standing,
    StationState,
    order,
    rung_of,
    zones_of,
)

LOOK_BACK = timedelta(hours=36)
"""Airings that started longer ago are no longer reported as missed."""

MAX_MISSED = 500
"""Missed airings told by one plan; the next plan goes on where this one stopped."""

LONGEST_LOOK = timedelta(hours=1)
LONGEST_BOUNDARY = timedelta(minutes=5)
"""A live source that is back waits no longer than this for the item on air to end."""

FRESH_MS = 3_000
"""An airing found waiting so soon after its start was kept from beginning, not joined late."""

_LOOK_IF_BLOCKED = timedelta(seconds=1)
_LOOK_IF_NEXT_BLOCKED = timedelta(seconds=60)
_MAX_AIRINGS_READ = 5_000
_LOOKED_AFTER = frozenset({Reason.CLOCK_NOT_TRUSTED, Reason.LIVE_BOUNDARY})
_HOLDING = frozenset({Reason.PREEMPTED, Reason.PAUSED, Reason.SAFETY_STOP, Reason.LIVE_BOUNDARY})
"""Reasons for which a bulletin is kept for later instead of running on unheard."""


@dataclass(frozen=True, slots=True)
class Due:
    """What must sound in a zone now.

    Attributes:
        item_index, offset_ms: position at which it would begin. The item may be one of the missing: then the
            zone is silent until it is over.
        missing: indices, from `item_index` on, of items whose media is not on disk.
        floating: once begun it keeps its own time; its position is not that of the wall clock.
        cap_dbfs: level cap by the hours, None without one.
    """

    airing: Airing
    item_index: int
    offset_ms: int
    rung: Rung
    missing: tuple[int, ...] = ()
    floating: bool = False
    cap_dbfs: float | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """An airing whose time it is, and why it does not sound."""

    airing: Airing
    reason: Reason
    rung: Rung = Rung.PROGRAMME


@dataclass(frozen=True, slots=True)
class ZonePlan:
    """One zone: at most one source.

    Attributes:
        reason: `due` if `on_air`, else why the zone is silent: of several, that of the highest airing.
        waiting: airings whose time it is but that do not sound, highest first.
        next: the next airing to start in this zone.
        next_blocked: why `next` could not start as things stand.
        holds: airings that are to go on later where they are now; the caller hands them in as
            `StationState.cut`, with the position that was measured if they were heard.
        hours: what the hours say.
    """

    zone: ZoneId
    on_air: Due | None
    reason: Reason
    waiting: tuple[Waiting, ...] = ()
    next: Airing | None = None
    next_blocked: Reason | None = None
    holds: tuple[Held, ...] = ()
    hours: Permission | None = None


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
    view = _View(state, now, clock_trust)
    timetable = state.timetable
    active = timetable.active(now) if timetable is not None else []
    coming = {zone: timetable.next(now, zone) if timetable is not None else None for zone in state.zones}
    zones = {zone: _zone_plan(view, zone, active, coming[zone]) for zone in state.zones}
    look_again = _look_again(view, active, zones)
    if timetable is None:
        return Plan(zones, (), look_again, state.planned_until)
    missed, more_from = _missed(view, timetable)
    if more_from is not None:
        look_again = min(look_again, now + _LOOK_IF_BLOCKED)
    waited = {(one.airing.id, zone): one.reason for zone in zones for one in zones[zone].waiting}
    return Plan(zones, missed, look_again, _planned_until(view, active, more_from), waited)


@dataclass(frozen=True, slots=True)
class _View:
    """The state at one moment."""

    state: StationState
    now: datetime
    trust: ClockTrust

    def is_accounted(self, airing: Airing) -> bool:
        """Nothing more needs to be found out about it: it has a record in each of its zones."""
        keys = [(airing.id, zone) for zone in zones_of(airing, self.state.zones)]
        return all(key in self.state.finished or key in self.state.begun for key in keys)

    def permission(self, zone: ZoneId) -> Permission:
        """What the hours say of a zone."""
        hours = self.state.hours
        session = hours.session(self.now) if hours is not None and hours.windows else None
        used = self.state.used.get((zone, session.key), timedelta(0)) if session is not None else timedelta(0)
        return permission(hours, self.now, used)

    def blocked(self, one: Candidate, zone: ZoneId, hours: Permission) -> Reason | None:
        """Why a candidate cannot sound, apart from what stands above it."""
        airing, state = one.airing, self.state
        if state.safety.get(zone, self.now) > self.now:
            return Reason.SAFETY_STOP
        if one.rung < Rung.EMERGENCY:
            if state.pauses.get(zone, self.now) > self.now:
                return Reason.PAUSED
            if not hours.allowed and one.rung is not Rung.TEST:
                return Reason.OUTSIDE_HOURS
        if airing.programme.clock_needed > self.trust and (airing.id, zone) not in state.begun:
            return Reason.CLOCK_NOT_TRUSTED
        place = airing.programme.locate(one.position_ms)
        items = airing.programme.items[place[0] if place else 0 :]
        if not any(self._there(item) for item in items):
            return Reason.MEDIA_MISSING
        waits_for = items if one.floating else items[:1]
        if any(item.live is not None and not self._ready(item) for item in waits_for):
            return Reason.LIVE_WAITING
        if not state.audio_ok.get(zone, True):
            return Reason.AUDIO_UNAVAILABLE
        return None

    def missing(self, airing: Airing, first: int) -> tuple[int, ...]:
        """Indices, from `first` on, of items whose file is not on disk."""
        items = airing.programme.items
        return tuple(number for number, item in enumerate(items) if number >= first and not self._there(item))

    def came_back(self, one: Candidate) -> datetime | None:
        """When the live source that a candidate would sound now came back after a loss."""
        place = one.airing.programme.locate(one.position_ms)
        item = one.airing.programme.items[place[0]] if place else None
        if item is None or item.live is None:
            return None
        status = self.state.live.get(item.media.live_id or "")
        return status.back_at if status is not None else None

    def last_start(self, airing: Airing) -> datetime:
        """Until when something that was cut may begin again."""
        return airing.end + airing.programme.window

    def _there(self, item: Item) -> bool:
        return not item.media.is_file or item.media.sha256 in self.state.held

    def _ready(self, item: Item) -> bool:
        status = self.state.live.get(item.media.live_id or "")
        return status is not None and status.state is LiveState.READY


def _candidates(view: _View, zone: ZoneId, active: Sequence[Airing]) -> Iterator[Candidate]:
    """Everything that wants a zone now, able to sound or not."""
    state, now = view.state, view.now
    standing = {one.airing.id: one for one in state.orders if not one.zones or zone in one.zones}
    for airing in active:
        if zone in zones_of(airing, state.zones) and (airing.id, zone) not in state.cut:
            yield Candidate(airing, rung_of(airing), airing.elapsed_ms(now))
    for (airing_id, where), held in state.cut.items():
        if where != zone or held.airing.key:  # an order's airing lives and ends with its order
            continue
        if (airing_id, zone) in state.running or now < view.last_start(held.airing):
            late = now >= held.airing.end
            yield Candidate(held.airing, rung_of(held.airing), held.position_ms, late, floating=True)
    for one in standing.values():
        yield from _wish(view, zone, one)


def _wish(view: _View, zone: ZoneId, one: Standing) -> Iterator[Candidate]:
    """What a standing order wants of a zone now."""
    now, airing = view.now, one.airing
    if now < airing.start or (one.until is not None and now >= one.until):
        return
    held = view.state.cut.get((airing.id, zone))
    if held is None and one.fixed:
        if (position_ms := airing.elapsed_ms(now)) < airing.programme.duration_ms:
            yield Candidate(airing, one.rung, position_ms, rank=one.rank)
        return
    position_ms = held.position_ms if held is not None else 0
    if one.fixed and now >= view.last_start(airing) and (airing.id, zone) not in view.state.running:
        return
    late = one.fixed and now >= airing.end
    yield Candidate(airing, one.rung, position_ms, late, floating=True, rank=one.rank)


def _zone_plan(view: _View, zone: ZoneId, active: Sequence[Airing], coming: Airing | None) -> ZonePlan:
    state, hours = view.state, view.permission(zone)
    wanting = sorted(
        (one for one in _candidates(view, zone, active) if (one.airing.id, zone) not in state.finished),
        key=lambda one: order(one, state.preference),
    )
    chosen: Candidate | None = None
    waiting: list[tuple[Candidate, Reason]] = []
    for number, one in enumerate(wanting):
        reason = view.blocked(one, zone, hours) or (Reason.PREEMPTED if chosen else None)
        if reason is None and _must_wait_for_boundary(view, one, wanting[number + 1 :], zone, hours):
            reason = Reason.LIVE_BOUNDARY
        if reason is not None:
            waiting.append((one, reason))
        else:
            chosen = one
    no_plan = state.timetable is None and not wanting
    reason = Reason.DUE if chosen else waiting[0][1] if waiting else Reason.NOTHING_DUE
    if state.safety.get(zone, view.now) > view.now:
        reason = Reason.SAFETY_STOP
    elif no_plan:
        reason = Reason.NO_SCHEDULE
    elif chosen is None and not hours.allowed and not waiting:
        reason = Reason.OUTSIDE_HOURS
    return ZonePlan(
        zone,
        _due(view, chosen, hours) if chosen else None,
        reason,
        tuple(Waiting(one.airing, why, one.rung) for one, why in waiting),
        coming,
        _next_blocked(view, zone, coming) if coming else None,
        tuple(_held(view, one, zone) for one, why in waiting if _is_kept(one, why)),
        hours,
    )


def _due(view: _View, one: Candidate, hours: Permission) -> Due:
    index, offset_ms = one.airing.programme.locate(one.position_ms) or (0, 0)
    cap = hours.cap_dbfs if one.rung < Rung.EMERGENCY else None
    missing = view.missing(one.airing, index)
    return Due(one.airing, index, offset_ms, one.rung, missing, one.floating, cap)


def _held(view: _View, one: Candidate, zone: ZoneId) -> Held:
    """Where it goes on: one that had no chance to begin starts at its beginning."""
    fresh = one.position_ms < FRESH_MS and (one.airing.id, zone) not in view.state.begun
    return Held(one.airing, 0 if fresh else one.position_ms)


def _is_kept(one: Candidate, why: Reason) -> bool:
    return why in _HOLDING and not one.floating and one.airing.programme.resume is Resume.STOPPED


def _must_wait_for_boundary(
    view: _View, one: Candidate, below: Sequence[Candidate], zone: ZoneId, hours: Permission
) -> bool:
    """Whether a live source that came back leaves the item on air its end."""
    back_at = view.came_back(one)
    if back_at is None or view.now >= back_at + LONGEST_BOUNDARY:
        return False
    for other in below:
        running = view.state.running.get((other.airing.id, zone))
        if running is not None and view.blocked(other, zone, hours) is None:
            return running.item_from <= back_at and view.now < running.item_until
    return False


def _next_blocked(view: _View, zone: ZoneId, coming: Airing) -> Reason | None:
    """Why the next airing could not start as things stand; what will be different by then is left out."""
    always = Permission(allowed=True, until=view.now)
    found = view.blocked(Candidate(coming, rung_of(coming), 0), zone, always)
    return None if found is Reason.LIVE_WAITING else found


def _planned_until(view: _View, active: Sequence[Airing], more_from: datetime | None) -> datetime:
    known = view.state.planned_until
    if known is not None and known > view.now and view.trust < ClockTrust.RTC:
        return known  # a box without a clock chip wakes in the past; that undoes nothing
    kept = [one.airing for one in view.state.cut.values() if not one.airing.key]
    open_starts = [airing.start for airing in (*active, *kept) if not view.is_accounted(airing)]
    return min([more_from or view.now, *open_starts])


def _missed(view: _View, timetable: Timetable) -> tuple[tuple[Missed, ...], datetime | None]:
    """Airings that ended without a record; if there are too many, also the start from which to go on.

    An airing counts if it ended by now, has no record in the zone, and was promised: the schedule was in
    force at its start, or came into force while it was due and this box was already watching. One that
    waits to go on counts once its window has passed.
    """
    state, now = view.state, view.now
    since = state.planned_until or state.in_force_since
    if since is None or state.in_force_since is None or since > now:
        return (), None
    found: list[Missed] = []
    for number, airing in enumerate(timetable.between(max(since, now - LOOK_BACK), now)):
        if len(found) + len(state.zones) > MAX_MISSED or number >= _MAX_AIRINGS_READ:
            return tuple(found), airing.start
        if airing.end > now or airing.end <= state.in_force_since or airing.programme.fallback:
            continue
        if airing.start < state.in_force_since and state.planned_until is None:
            continue
        for zone in zones_of(airing, state.zones):
            key = (airing.id, zone)
            if key in state.finished or key in state.begun or key in state.missed:
                continue
            if key in state.cut and now < view.last_start(airing):
                continue
            found.append(Missed(airing, zone, _why_missed(view, timetable, airing, zone)))
    return tuple(found), None


def _why_missed(view: _View, timetable: Timetable, airing: Airing, zone: ZoneId) -> MissedReason:
    """The likeliest reason: what is known of the time of the airing, else how things stand now."""
    running_since = view.state.running_since
    if running_since is not None and airing.end <= running_since:
        return MissedReason.BOX_OFF
    one = Candidate(airing, rung_of(airing), 0)
    known = view.state.waited.get((airing.id, zone)) or view.blocked(one, zone, view.permission(zone))
    if known in _MISSED_REASONS:
        return _MISSED_REASONS[known]
    middle = airing.start + (airing.end - airing.start) / 2
    others = (Candidate(other, rung_of(other), 0) for other in timetable.active(middle))
    if any(zone in zones_of(two.airing, view.state.zones) and order(two) < order(one) for two in others):
        return MissedReason.PREEMPTED
    if running_since is not None and airing.start < running_since:
        return MissedReason.BOX_OFF
    return MissedReason.CLOCK  # no plan was made between its start and its end: the clock jumped over it


_MISSED_REASONS = {
    Reason.CLOCK_NOT_TRUSTED: MissedReason.CLOCK,
    Reason.MEDIA_MISSING: MissedReason.MEDIA,
    Reason.AUDIO_UNAVAILABLE: MissedReason.AUDIO,
    Reason.PREEMPTED: MissedReason.PREEMPTED,
    Reason.LIVE_BOUNDARY: MissedReason.PREEMPTED,
    Reason.SAFETY_STOP: MissedReason.SAFETY_STOP,
    Reason.PAUSED: MissedReason.STOPPED,
    Reason.OUTSIDE_HOURS: MissedReason.HOURS,
    Reason.LIVE_WAITING: MissedReason.LIVE,
}


def _look_again(view: _View, active: Sequence[Airing], zones: Mapping[ZoneId, ZonePlan]) -> datetime:
    now, state = view.now, view.state
    moments = [now + LONGEST_LOOK]
    moments += [zone.next.start for zone in zones.values() if zone.next is not None]
    for airing in (*active, *(one.airing for one in state.orders if one.fixed)):
        moments.append(airing.end)
        edge = airing.start
        for item in airing.programme.items:
            edge += timedelta(milliseconds=item.media.duration_ms)
            if edge > now:
                moments.append(edge)
                break
    for one in state.orders:
        moments += [one.airing.start, *([one.until] if one.until is not None else [])]
    moments += [view.last_start(held.airing) for held in state.cut.values()]
    moments += [held.airing.end for held in state.cut.values()]
    moments += [*state.safety.values(), *state.pauses.values()]
    # Trust and media change without the plan being told of the moment; look often while they matter.
    for zone in zones.values():
        if zone.hours is not None:
            moments.append(zone.hours.until)
        if any(one.reason in _LOOKED_AFTER for one in zone.waiting):
            moments.append(now + _LOOK_IF_BLOCKED)
        elif zone.waiting or zone.next_blocked is not None:
            moments.append(now + _LOOK_IF_NEXT_BLOCKED)
    return min(moment for moment in moments if moment > now)


__all__ = [
    "LOOK_BACK",
    "MAX_MISSED",
    "AiringInZone",
    "Due",
    "Held",
    "Missed",
    "Plan",
    "Reason",
    "Rung",
    "Standing",
    "StationState",
    "Waiting",
    "ZonePlan",
    "plan",
]
