"""A box without sound: a station, a clock moved by hand, and zones that do what the plan says.

It imitates `ZonePlayer` (holds, cuts, records) in no time, and checks after every change what must always
be true, by rules of its own instead of those of the plan.
"""

# ruff: noqa: DTZ001 - civil times carry no offset

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent.model.bulletin import (
    BulletinClass,
    ClockTrust,
    Item,
    ItemKind,
    LiveInput,
    LiveSource,
    Media,
    Signal,
    SourceLevel,
    ZoneId,
    live_media,
    signal_media,
)
from agent.model.hours import Hours, Window
from agent.model.live import LiveState, LiveStatus
from agent.model.report import CutReason
from agent.model.schedule import Airing, Programme, Recurrence, Resume, Schedule
from agent.model.timetable import Timetable
from agent.playout.airing_log import AiringLog, blank_record
from agent.playout.ladder import LEVELS, AiringInZone, Reason, Rung, Standing, StationState
from agent.playout.plan import LONGEST_LOOK, Due, Plan, ZonePlan, plan
from agent.playout.station import Station
from agent.playout.stretch import KEPT, Stretch, cut_of
from tests.support.clock import FakeClock

ZONES = (ZoneId("square"), ZoneId("market"))
BEGIN = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
WINDOW = timedelta(seconds=40)
FILES = ("a" * 64, "b" * 64, "c" * 64)
LIVE_IDS = ("relay", "grant")
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def file_item(name: str, sha256: str, length_s: int) -> Item:
    return Item(name, name, ItemKind.SPEECH, Media(sha256, 1, length_s * 1000, 0.0, "/m"))


def live_item(live_id: str, length_s: int) -> Item:
    live = LiveInput(LiveSource.STREAM, "http://radio/x")
    return Item(live_id, live_id, ItemKind.LIVE, live_media(live_id, length_s * 1000), live=live)


def signal_item(length_s: int) -> Item:
    return Item("attention", "attention", ItemKind.SIGNAL, signal_media(Signal.ATTENTION, length_s * 1000))


def scheduled(
    name: str,
    start_s: int,
    items: tuple[Item, ...],
    *,
    bulletin_class: BulletinClass = BulletinClass.NORMAL,
    resume: Resume = Resume.STOPPED,
    clock_needed: ClockTrust = ClockTrust.RTC,
    fallback: bool = False,
    zones: tuple[ZoneId, ...] = (),
) -> Programme:
    start = datetime(2026, 11, 22, 5, 0) + seconds(start_s)
    return Programme(
        name, name, bulletin_class, SourceLevel.COMMUNE, items, (Recurrence(start),), zones,
        clock_needed=clock_needed, resume=resume, window=WINDOW, fallback=fallback,
    )  # fmt: skip


def asked_for(
    name: str, bulletin_class: BulletinClass, level: SourceLevel, items: tuple[Item, ...]
) -> Programme:
    return Programme(
        name, name, bulletin_class, level, items, (), clock_needed=ClockTrust.UNKNOWN, window=WINDOW
    )


class Clock(FakeClock):
    """Moved at once; nobody sleeps here."""

    def move(self, by: timedelta) -> None:
        self._wall += by
        self._mono_ns += by // TICK * 1000


@dataclass(slots=True)
class Playing:
    """What a zone sounds."""

    stretch: Stretch
    since: datetime

    @property
    def airing(self) -> Airing:
        return self.stretch.airing

    @property
    def ends(self) -> datetime:
        return self.since + timedelta(milliseconds=self.stretch.left_ms)


@dataclass(frozen=True, slots=True)
class Cut:
    """How a stretch ended before its time."""

    position_ms: int
    at: datetime
    why: CutReason


class World:
    """A station under events, and the checks."""

    def __init__(self, programmes: Iterable[Programme]) -> None:
        self.clock = Clock(BEGIN)
        self.files = set(FILES[:2])
        self.statuses: dict[str, LiveStatus] = {}
        self.standings: list[Standing] = []
        self.final: dict[AiringInZone, str] = {}
        self.logs: set[AiringInZone] = set()
        self.known: dict[AiringInZone, Airing] = {}
        self.cuts: dict[AiringInZone, Cut] = {}
        self.playing: dict[ZoneId, Playing] = {}
        self.starts: list[tuple[AiringInZone, int]] = []
        self.gone: set[AiringInZone] = set()
        self.numbers = 0
        self.station = Station(
            ZONES, self.clock, begun=set(), finished=set(), planned_until=BEGIN, held=self.files
        )
        self.station.orders = lambda: tuple(self.standings)
        self.station.live = lambda: dict(self.statuses)
        self.timetable = Timetable(Schedule("s", 1, "Đài", "UTC", tuple(programmes)))
        self.station.set_schedule(self.timetable, 1, "order", BEGIN)
        self.settle()

    # --- events --------------------------------------------------------------------------------------

    def order(
        self, rung: Rung, level: SourceLevel, length_s: int, *, fixed: bool = False, limit_s: float = 300
    ) -> None:
        """An order comes and wants every zone, each with an airing of its own."""
        self.numbers += 1
        name, now = f"o{self.numbers}", self.clock.now()
        items: tuple[Item, ...] = (file_item("part", FILES[0], length_s),)
        bulletin_class = BulletinClass.PRIORITY
        if rung is Rung.EMERGENCY:
            items, bulletin_class = (signal_item(4), *items), BulletinClass.EMERGENCY
        elif rung is Rung.LIVE:
            items = (live_item("grant", length_s),)
        elif rung is Rung.TEST:
            bulletin_class = BulletinClass.NORMAL
        programme = asked_for(name, bulletin_class, level, items)
        start = now + 3 * SECOND if fixed else now
        for zone in ZONES:
            airing = Airing(programme, start, f"{name}.{zone}@{now:%Y%m%dT%H%M%SZ}", name)
            self.standings.append(
                Standing(airing, rung, (zone,), now + seconds(limit_s), self.numbers, fixed)
            )
        self.settle()

    def cancel(self, number: int) -> None:
        """One of the orders that stand is gone."""
        names = sorted({one.airing.order_id for one in self.standings})
        if names:
            name = names[number % len(names)]
            gone = [one for one in self.standings if one.airing.order_id == name]
            self.gone |= {(one.airing.id, one.zones[0]) for one in gone}
            self.standings = [one for one in self.standings if one not in gone]
            self.settle()

    def live(self, live_id: str, state: LiveState) -> None:
        before = self.statuses.get(live_id)
        was_lost = before is not None and before.state is LiveState.LOST
        if before is None or before.state is not state:
            back_at = self.clock.now() if was_lost and state is LiveState.READY else None
            self.statuses[live_id] = LiveStatus(state, self.clock.now(), back_at)
            self.station.touch()
            self.settle()

    def hours(self, begin_s: int, end_s: int, max_minutes: int | None) -> None:
        """The station may sound from and until so many seconds after the beginning."""
        five = 5 * 3600
        window = Window(frozenset(range(1, 8)), five + begin_s, five + end_s, max_minutes, -6.0)
        self.station.set_hours(Hours(1, "UTC", (window,)))
        self.settle()

    def always(self) -> None:
        self.station.set_hours(None)
        self.settle()

    def media(self, number: int, *, there: bool) -> None:
        (self.files.add if there else self.files.discard)(FILES[number])
        self.station.touch()
        self.settle()

    def audio(self, zone: ZoneId, *, ok: bool) -> None:
        self.station.set_audio(zone, ok=ok)
        self.settle()

    def trust(self, trust: ClockTrust) -> None:
        self.clock.trust = trust
        self.settle()

    def safety(self, zone: ZoneId, length_s: float) -> None:
        if length_s:
            self.station.safety_stop((zone,), length_s)
        else:
            self.station.safety_release((zone,))
        self.settle()

    def pause(self, zone: ZoneId, length_s: float) -> None:
        self.station.pause(zone, length_s)
        self.settle()

    def wait(self, length: timedelta) -> None:
        """Time goes by; the zones look again when the plan said so, or when something is over."""
        end = self.clock.now() + length
        while (now := self.clock.now()) < end:
            told = plan(self.station.state, now, self.clock.trust)
            ends = [one.ends for one in self.playing.values() if one.ends > now]
            self.move(min([end, told.look_again, *ends]) - now)

    def move(self, by: timedelta) -> None:
        for zone, one in self.playing.items():
            hours = self.station.hours
            session = hours.session(self.clock.now()) if hours is not None else None
            if session is not None and one.stretch.rung < Rung.EMERGENCY:
                self.station.add_used(zone, session.key, by // timedelta(milliseconds=1))
        self.clock.move(by)
        self.settle()

    # --- what a zone does ----------------------------------------------------------------------------

    def settle(self) -> None:
        """Let the zones follow the plan until nothing changes any more."""
        for _ in range(30):
            changed = [self._follow(zone) for zone in ZONES]
            if not any(changed):
                break
        else:
            raise AssertionError("the zones never come to rest")
        self._account()
        self._check()

    def _follow(self, zone: ZoneId) -> bool:
        now = self.clock.now()
        current = self.playing.get(zone)
        if current is not None and now >= current.ends:
            self._end(zone, current, CutReason.NONE)
            return True
        wanted = plan(self.station.state, now, self.clock.trust).zones[zone]
        changed = self._finish_over(zone, now)
        for held in wanted.holds:
            if current is None or current.airing.id != held.airing.id:
                key = (held.airing.id, zone)
                before = self.station.state.cut.get(key)
                self.station.hold(held.airing, zone, held.position_ms)
                changed = changed or self.station.state.cut.get(key) != before
        due = wanted.on_air
        if current is not None and (due is None or due.airing.id != current.airing.id):
            reasons = {one.airing.id: cut_of(one.reason) for one in wanted.waiting}
            self._end(zone, current, reasons.get(current.airing.id, CutReason.CANCELLED))
            return True
        if current is None and due is not None and (due.airing.id, zone) not in self.final:
            self._start(zone, due, wanted)
            return True
        return changed

    def _start(self, zone: ZoneId, due: Due, wanted: ZonePlan) -> None:
        airing, now = due.airing, self.clock.now()
        key = (airing.id, zone)
        from_ms = (
            sum(item.media.duration_ms for item in airing.programme.items[: due.item_index]) + due.offset_ms
        )
        self._check_start(key, due, from_ms)
        self.logs.add(key)
        self.known[key] = airing
        self.station.begin(airing.id, zone)
        stretch = Stretch(
            1, airing, due.rung, 0, from_ms, due.item_index, due.floating,
            AiringLog(blank_record(airing, zone, 1, airing.order_id)), 0, (), -1.0, 0.0,
            started_ns=0,
        )  # fmt: skip
        self.playing[zone] = Playing(stretch, now)
        self.starts.append((key, from_ms))
        self._note(zone)

    def _end(self, zone: ZoneId, one: Playing, cut: CutReason) -> None:
        now = self.clock.now()
        key = (one.airing.id, zone)
        del self.playing[zone]
        self.station.set_running(zone, None)
        one.stretch.played_ms = (now - one.since) // timedelta(milliseconds=1)
        if cut is CutReason.NONE:
            self._finish(key, "heard")
            return
        self.cuts[key] = Cut(one.stretch.position_ms, now, cut)
        if cut in KEPT and one.airing.programme.resume is Resume.DROP:
            self._finish(key, "dropped")
            return
        position_ms = one.stretch.goes_on_at(cut)
        if position_ms is not None:
            self.station.hold(one.airing, zone, position_ms)

    def _note(self, zone: ZoneId) -> None:
        one = self.playing[zone]
        gone_ms, left_ms = one.stretch.item_times_ms()
        self.station.set_running(zone, one.airing.id, gone_ms, left_ms)

    def _finish_over(self, zone: ZoneId, now: datetime) -> bool:
        found = False
        for key in [one for one in self.logs if one[1] == zone and one not in self.final]:
            airing = self.known[key]
            playing = self.playing.get(zone)
            if playing is not None and playing.airing.id == key[0]:
                continue
            over = airing.end <= now or airing.key != ""
            if over and not self.station.is_open(airing.id, zone, now):
                self._finish(key, "cut short")
                found = True
        return found

    def _finish(self, key: AiringInZone, how: str) -> None:
        assert key not in self.final, "an airing has two final records"
        self.final[key] = how
        self.station.finish(*key)
        self.standings = [one for one in self.standings if one.airing.id != key[0]]

    def _account(self) -> None:
        told = plan(self.station.state, self.clock.now(), self.clock.trust)
        for one in told.missed:
            assert (one.airing.id, one.zone) not in self.logs, "what was heard is told as missed"
            self._finish((one.airing.id, one.zone), "missed")
        self.station.waited = told.waited
        self.station.planned_until = told.planned_until

    # --- what must be true ---------------------------------------------------------------------------

    def _check_start(self, key: AiringInZone, due: Due, from_ms: int) -> None:
        now, airing = self.clock.now(), due.airing
        assert key not in self.gone, "an order sounds that is gone"
        assert now >= airing.start, "an airing sounds before its time"
        elapsed_ms = airing.elapsed_ms(now)
        if not airing.key:
            late = now >= airing.end
            assert not late or (due.floating and now < airing.end + WINDOW), "it goes on outside its window"
        if due.rung >= Rung.LIVE or due.rung is Rung.TEST:
            assert from_ms == 0 or key in self.cuts, "it does not begin at its beginning"
            return
        cut = self.cuts.get(key)
        resume = airing.programme.resume
        if cut is None:
            assert from_ms <= max(elapsed_ms, 0), "it skips what was not missed"
        elif resume is Resume.DROP:
            assert cut.why is not CutReason.PREEMPTED, "what was to be dropped came back"
        elif resume is Resume.CLOCK:
            assert from_ms == elapsed_ms, "a relay is not where the clock is"
        else:
            missed_ms = (now - cut.at) // timedelta(milliseconds=1)
            assert from_ms >= cut.position_ms, f"it goes back ({cut.why})"
            assert from_ms - cut.position_ms <= missed_ms + 1, "it skips more than was missed"
            if cut.why in KEPT:
                assert from_ms == cut.position_ms, "it does not go on where it stopped"

    def _check(self) -> None:
        now, state, trust = self.clock.now(), self.station.state, self.clock.trust
        told = plan(state, now, trust)
        assert plan(state, now, trust) == told, "the plan is no function of its state"
        assert now < told.look_again <= now + LONGEST_LOOK
        sounds = heard(told)
        for share in (0.5, 1.0):
            moment = now + (told.look_again - TICK - now) * share
            assert heard(plan(state, moment, trust)) == sounds, "it changes before it is looked at again"
        for zone in ZONES:
            self._check_zone(state, told.zones[zone], zone)

    def _check_zone(self, state: StationState, told: ZonePlan, zone: ZoneId) -> None:
        now = self.clock.now()
        due, playing = told.on_air, self.playing.get(zone)
        assert (due.airing.id if due else None) == (playing.airing.id if playing else None)
        if zone in state.safety:
            assert due is None, "something sounds under a safety stop"
            assert told.reason is Reason.SAFETY_STOP
            return
        rung = due.rung if due else None
        outside = told.hours is not None and not told.hours.allowed
        if outside:
            assert rung is None or rung is Rung.TEST or rung >= Rung.EMERGENCY
        if zone in state.pauses:
            assert rung is None or rung >= Rung.EMERGENCY
        if rung is not None and rung < Rung.EMERGENCY and told.hours is not None:
            assert due is not None
            assert due.cap_dbfs == told.hours.cap_dbfs
        able = [one for one in self.standings if self._can(one, zone, state, now, outside=outside)]
        for one in able:
            assert due is not None, "silence while something could sound"
            assert due.rung >= one.rung, "something lower sounds"
            if due.rung is one.rung and one.rung >= Rung.LIVE:
                assert self._before(due.airing, one), "the newest of the highest level goes first"
        best = max((one.rung for one in able), default=0)
        for waiting in told.waiting:
            if waiting.reason is Reason.PREEMPTED:
                assert due is not None
                assert due.rung >= waiting.rung
            if waiting.rung is Rung.EMERGENCY:
                assert waiting.reason not in {
                    Reason.OUTSIDE_HOURS,
                    Reason.PAUSED,
                    Reason.CLOCK_NOT_TRUSTED,
                }
        assert rung is None or rung >= best

    def _before(self, airing: Airing, other: Standing) -> bool:
        mine = next((one for one in self.standings if one.airing.id == airing.id), None)
        if mine is None:
            return True
        one, two = (LEVELS[each.airing.programme.level] for each in (mine, other))
        return one < two or (one == two and mine.rank >= other.rank)

    def _can(self, one: Standing, zone: ZoneId, state: StationState, now: datetime, *, outside: bool) -> bool:
        """Whether an order could sound now, judged by the rules a person would give."""
        airing = one.airing
        if zone not in one.zones or (airing.id, zone) in self.final or one.fixed:
            return False
        if now < airing.start or (one.until is not None and now >= one.until):
            return False
        if not state.audio_ok[zone]:
            return False
        if one.rung is Rung.EMERGENCY:
            return True
        if zone in state.pauses or (outside and one.rung is not Rung.TEST):
            return False
        if one.rung is Rung.LIVE:
            status = self.statuses.get("grant")
            return status is not None and status.state is LiveState.READY and status.back_at is None
        return FILES[0] in self.files

    def close(self) -> None:
        """Let everything come to its end, then see that every promise was kept or told as missed."""
        self.wait(seconds(600))
        promised = {
            (airing.id, zone)
            for airing in self.timetable.between(BEGIN, self.clock.now())
            for zone in ZONES
            if not airing.programme.fallback
            and (not airing.programme.zones or zone in airing.programme.zones)
        }
        assert promised <= set(self.final), "a promised airing has no final record"
        for key, how in self.final.items():
            assert (how == "missed") == (key not in self.logs)


def heard(told: Plan) -> dict[ZoneId, tuple[str, int] | None]:
    return {
        zone: (one.on_air.airing.id, one.on_air.item_index) if one.on_air else None
        for zone, one in told.zones.items()
    }


__all__ = [
    "BEGIN",
    "FILES",
    "SECOND",
    "WINDOW",
    "ZONES",
    "World",
    "file_item",
    "live_item",
    "scheduled",
    "seconds",
]
