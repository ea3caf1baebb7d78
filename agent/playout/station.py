"""What the plan needs to know about this box, kept in one place and handed out as a value."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from agent.clock import Clock
from agent.latest import Latest
from agent.model.bulletin import AiringId, ZoneId
from agent.model.hours import Hours
from agent.model.live import LiveStatus
from agent.model.schedule import Airing, Resume, airing_start
from agent.model.timetable import Timetable
from agent.playout.ladder import AiringInZone, Held, Reason, Rung, Running, Standing, StationState

KEEP = timedelta(hours=72)
"""How long settled airings are remembered; longer than the plan looks back."""


class Station:
    """The changing facts behind `StationState`; what may change the plan wakes those who follow `changed`.

    Attributes:
        order_id: the order that put the schedule in force.
        planned_until: every airing that started before this moment is accounted for.
        waited: why airings that are due did not sound so far.
        orders: asked for what orders want beside the schedule.
        live: asked how live sources stand.
        was_cancelled: asked whether an order that is gone was cancelled; otherwise it ran out.
        used: what has sounded in each session of the hours.
        volume_db: gain of each zone, set by a person; 0 where none was set.
    """

    def __init__(
        self,
        zones: tuple[ZoneId, ...],
        clock: Clock,
        *,
        begun: set[AiringInZone],
        finished: set[AiringInZone],
        planned_until: datetime | None,
        held: Container[str],
    ) -> None:
        """Start from what earlier runs left.

        Args:
            zones: zones of this box.
            clock: time.
            begun: airings with an open record.
            finished: airings recorded as final in the last 72 hours or longer.
            planned_until: as an earlier run left it, None on a new box.
            held: media on disk with the right hash, by SHA-256.
        """
        self.changed: Latest[int] = Latest(0)
        self.order_id = ""
        self.planned_until = planned_until
        self.waited: Mapping[AiringInZone, Reason] = {}
        self._clock = clock
        self._started_s = clock.monotonic()
        self._begun = set(begun)
        self._finished = set(finished)
        self._audio_ok = dict.fromkeys(zones, True)
        self._state: StationState | None = None
        self._facts = StationState(zones=zones, held=held)
        self.orders: Callable[[], tuple[Standing, ...]] = tuple
        self.live: Callable[[], Mapping[str, LiveStatus]] = dict
        self.was_cancelled: Callable[[str], bool] = lambda _order: False
        self.used: dict[tuple[ZoneId, str], timedelta] = {}
        self.volume_db: dict[ZoneId, float] = {}
        self._cut: dict[AiringInZone, Held] = {}
        self._running: dict[AiringInZone, Running] = {}
        self._safety_s: dict[ZoneId, float] = {}
        self._pauses_s: dict[ZoneId, float] = {}

    @property
    def state(self) -> StationState:
        """The facts as they stand."""
        if self._state is None:
            self._state = replace(
                self._facts,
                begun=frozenset(self._begun),
                finished=frozenset(self._finished),
                audio_ok=dict(self._audio_ok),
                cut=dict(self._cut),
                running=dict(self._running),
                used=dict(self.used),
            )
        return replace(
            self._state,
            orders=self.orders(),
            live=self.live(),
            safety=self._moments(self._safety_s),
            pauses=self._moments(self._pauses_s),
            running_since=self._clock.now() - timedelta(seconds=self.uptime_s),
            planned_until=self.planned_until,
            waited=self.waited,
        )

    @property
    def uptime_s(self) -> float:
        """Seconds since this run began."""
        return self._clock.monotonic() - self._started_s

    @property
    def zones(self) -> tuple[ZoneId, ...]:
        """Zones of this box."""
        return self._facts.zones

    @property
    def schedule_version(self) -> int:
        """Version of the schedule in force, 0 without one."""
        return self._facts.schedule_version

    def set_schedule(
        self, timetable: Timetable | None, version: int, order_id: str, since: datetime | None
    ) -> None:
        """A schedule came into force, or none is any more."""
        self.order_id = order_id
        self._facts = replace(
            self._facts, timetable=timetable, schedule_version=version, in_force_since=since
        )
        for (airing_id, zone), held in list(self._cut.items()):
            if not held.airing.key:  # what another schedule still promises goes on, with its new items
                self._cut.pop((airing_id, zone))
                self.hold_again(airing_id, zone, held.position_ms)
        self.touch()

    def set_hours(self, hours: Hours | None) -> None:
        """When the station may sound."""
        if hours != self._facts.hours:
            self._facts = replace(self._facts, hours=hours)
            self.touch()

    @property
    def hours(self) -> Hours | None:
        """When the station may sound, None for always."""
        return self._facts.hours

    def set_preference(self, ids: tuple[str, ...]) -> None:
        """The order of priority programmes and bulletins, as a person at the commune wants it."""
        if ids != self._facts.preference:
            self._facts = replace(self._facts, preference=ids)
            self.touch()

    @property
    def preference(self) -> tuple[str, ...]:
        """The order of priority programmes and bulletins, as a person at the commune set it."""
        return self._facts.preference

    # --- what was cut, and what runs -----------------------------------------------------------------

    def hold(self, airing: Airing, zone: ZoneId, position_ms: int) -> None:
        """An airing was cut, or kept from beginning; it goes on from `position_ms` when it may."""
        key = (airing.id, zone)
        held = Held(airing, position_ms)
        if key not in self._finished and self._cut.get(key) != held:
            self._cut[key] = held
            self.touch()

    def hold_again(self, airing_id: AiringId, zone: ZoneId, position_ms: int) -> None:
        """As `hold`, for an airing known by its id only; nothing if neither schedule nor orders know it."""
        standing = next((one for one in self.orders() if one.airing.id == airing_id), None)
        if standing is not None and (standing.rung >= Rung.LIVE or standing.rung is Rung.TEST):
            return  # these begin anew
        airing = self.find(airing_id)
        if airing is not None and airing.programme.resume is Resume.STOPPED:
            self.hold(airing, zone, min(position_ms, max(0, airing.programme.duration_ms - 1)))

    def find(self, airing_id: AiringId) -> Airing | None:
        """The airing of an id, as orders or the schedule in force know it."""
        for one in self.orders():
            if one.airing.id == airing_id:
                return one.airing
        timetable = self._facts.timetable
        if timetable is None:
            return None
        start = airing_start(airing_id)
        near = timetable.between(start, start + timedelta(seconds=1))
        return next((one for one in near if one.id == airing_id), None)

    def is_open(self, airing_id: AiringId, zone: ZoneId, now: datetime) -> bool:
        """Whether an airing may still begin or go on, although its planned time is over."""
        if any(one.airing.id == airing_id for one in self.orders()):
            return True
        held = self._cut.get((airing_id, zone))
        if held is None or held.airing.key:
            return False
        return (airing_id, zone) in self._running or now < held.airing.end + held.airing.programme.window

    def set_running(self, zone: ZoneId, airing: AiringId | None, item_ms: int = 0, left_ms: int = 0) -> None:
        """What is heard in a zone, None for nothing; its item began `item_ms` ago and lasts `left_ms` yet."""
        self._running = {key: value for key, value in self._running.items() if key[1] != zone}
        if airing is not None:
            now = self._clock.now()
            begun, ends = now - timedelta(milliseconds=item_ms), now + timedelta(milliseconds=left_ms)
            self._running[airing, zone] = Running(begun, ends)
        self._state = None

    def add_used(self, zone: ZoneId, session: str, sounded_ms: int) -> None:
        """Sound was made in a session of the hours."""
        key = (zone, session)
        self.used[key] = self.used.get(key, timedelta(0)) + timedelta(milliseconds=sounded_ms)
        self._state = None

    # --- what people at the box say ------------------------------------------------------------------

    def safety_stop(self, zones: Iterable[ZoneId], seconds: float) -> None:
        """Silence zones, for people who work at the horns; ends by itself after `seconds`.

        A stop that lasts longer already stands.
        """
        for zone in zones:
            until_s = self._clock.monotonic() + seconds
            self._safety_s[zone] = max(until_s, self._safety_s.get(zone, until_s))
        self.touch()

    def safety_release(self, zones: Iterable[ZoneId]) -> None:
        """Nobody works at the horns any more."""
        for zone in zones:
            self._safety_s.pop(zone, None)
        self.touch()

    def safety_left_s(self, zone: ZoneId) -> float:
        """Seconds for which a zone still is under a safety stop; 0 if it is not."""
        return max(0.0, self._safety_s.get(zone, 0.0) - self._clock.monotonic())

    def pause(self, zone: ZoneId, seconds: float) -> None:
        """Silence a zone below emergencies, for `seconds` at most; 0 resumes."""
        self._pauses_s[zone] = self._clock.monotonic() + seconds
        self.touch()

    def paused_left_s(self, zone: ZoneId) -> float:
        """Seconds for which a zone still is paused; 0 if it is not."""
        return max(0.0, self._pauses_s.get(zone, 0.0) - self._clock.monotonic())

    def set_volume(self, zone: ZoneId, volume_db: float) -> None:
        """Gain of a zone, in dB."""
        self.volume_db[zone] = volume_db
        self.touch()

    def _moments(self, deadlines_s: Mapping[ZoneId, float]) -> dict[ZoneId, datetime]:
        """Deadlines as the wall clock sees them now, so that a clock step neither ends nor prolongs one."""
        now, now_s = self._clock.now(), self._clock.monotonic()
        return {
            zone: now + timedelta(seconds=deadline - now_s)
            for zone, deadline in deadlines_s.items()
            if deadline > now_s
        }

    def set_audio(self, zone: ZoneId, *, ok: bool) -> None:
        """Whether a zone can sound at all."""
        if self._audio_ok[zone] != ok:
            self._audio_ok[zone] = ok
            self.touch()

    def audio_ok(self, zone: ZoneId) -> bool:
        """Whether a zone can sound, as last seen."""
        return self._audio_ok[zone]

    def begin(self, airing: AiringId, zone: ZoneId) -> None:
        """An airing has an open record."""
        self._begun.add((airing, zone))
        self._state = None

    def is_begun(self, airing: str, zone: ZoneId) -> bool:
        """Whether an airing has an open record in a zone."""
        return (airing, zone) in self._begun

    def is_finished(self, airing: str, zone: ZoneId) -> bool:
        """Whether an airing has its final record in a zone."""
        return (airing, zone) in self._finished

    def finish(self, airing: AiringId, zone: ZoneId) -> None:
        """An airing has its final record; it will not sound (again) in this zone."""
        self._begun.discard((airing, zone))
        self._finished.add((airing, zone))
        self._cut.pop((airing, zone), None)
        self._state = None

    def forget_old(self) -> None:
        """Drop settled airings so old that no plan names them any more."""
        oldest = self._clock.now() - KEEP
        self._finished = {key for key in self._finished if airing_start(key[0]) >= oldest}
        live = {key for key, held in self._cut.items() if self.is_open(key[0], key[1], self._clock.now())}
        self._cut = {key: held for key, held in self._cut.items() if key in live}
        session = self._facts.hours.session(self._clock.now()) if self._facts.hours is not None else None
        self.used = {key: value for key, value in self.used.items() if session and key[1] == session.key}
        self._state = None

    def touch(self) -> None:
        """Something the plan depends on changed (a file arrived, the clock was set)."""
        self._state = None
        self.changed.set(self.changed.value + 1)
