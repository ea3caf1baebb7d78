"""One zone under emergencies, live sound, hours, safety stops and the hands of people, in fake time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from agent.model.bulletin import (
    BulletinClass,
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
from agent.model.issue import Fault
from agent.model.live import LiveState, LiveStatus
from agent.model.report import AsRun, CutReason, MissedReason, Verdict
from agent.model.schedule import Airing, Programme, Recurrence, Resume
from agent.playout.airing_log import AiringLog, blank_record
from agent.playout.amplifier import AmplifierSwitch, AmplifierTimes
from agent.playout.contracts import PlayoutSettings
from agent.playout.ladder import Reason, Rung, Standing
from agent.playout.zone import ZonePlayer
from drivers.api import FeedKind, LiveFeed
from drivers.api import Signal as Sound
from tests.unit.playout.test_zone import NOON, ZONE, Bench, Quiet, only, programme


def speech(name: str, media: str = "b", seconds: int = 4) -> Item:
    return Item(name, name, ItemKind.SPEECH, Media(media * 64, 10, seconds * 1000, 0.0, "/m"))


def emergency(name: str = "lu", level: SourceLevel = SourceLevel.COMMUNE, rank: int = 1) -> Standing:
    attention = Item("attention", "attention", ItemKind.SIGNAL, signal_media(Signal.ATTENTION, 2_000))
    made = replace(
        programme(name, bulletin_class=BulletinClass.EMERGENCY),
        items=(attention, speech("text")),
        level=level,
    )
    airing = Airing(made, NOON - timedelta(seconds=60), f"{name}.main.0@20261122T045900Z", name)
    return Standing(airing, Rung.EMERGENCY, (ZONE,), None, rank)


def bulletin(*items: Item, name: str = "tin-xa", start_s: float = -60) -> Standing:
    made = replace(programme(name, bulletin_class=BulletinClass.PRIORITY), items=items)
    airing = Airing(made, NOON + timedelta(seconds=start_s), f"{name}.main.0@20261122T045900Z", name)
    return Standing(airing, Rung.PRIORITY, (ZONE,))


class Radio:
    """A room with one live source that always gives a feed."""

    def __init__(self) -> None:
        self.released: list[str] = []
        self.said: list[tuple[int, int]] = []

    def feed(self, live_id: str, zone: str) -> LiveFeed:
        return LiveFeed(FeedKind.PIPE, f"/run/{live_id}")

    def release(self, live_id: str, zone: str) -> None:
        self.released.append(live_id)

    def heard(self, live_id: str, *, silent_ms: int, starved_ms: int) -> None:
        self.said.append((silent_ms, starved_ms))


class OrderBench(Bench):
    """A zone with orders beside its schedule."""

    def __init__(self, *programmes: Programme) -> None:
        self.standings: list[Standing] = []
        self.radio = Radio()
        super().__init__(*programmes)
        self.cancelled: set[str] = set()
        self.statuses: dict[str, LiveStatus] = {}
        self.station.orders = lambda: tuple(self.standings)
        self.station.live = lambda: self.statuses
        self.station.was_cancelled = lambda order: order in self.cancelled

    def _player(self) -> ZonePlayer:
        async def on_air(zone: ZoneId, airing: Airing, begins: bool) -> None:
            self.on_air.append((airing.programme.id, begins))

        switch = AmplifierSwitch("main", Quiet().open, AmplifierTimes(0, 0, 0), self.clock, self.issues)
        return ZonePlayer(
            ZONE,
            station=self.station,
            open_audio=self.speaker.open,
            open_line=self.line.open,
            amplifier=switch,
            media=self.files,
            shelf=self.shelf,
            clock=self.clock,
            issues=self.issues,
            settings=PlayoutSettings(),
            on_air=on_air,
            progress=lambda: None,
            live=self.radio,
            on_final=self._final,
        )

    def _final(self, record: AsRun) -> None:
        self.standings = [one for one in self.standings if one.airing.order_id != record.order_id]

    def order(self, standing: Standing) -> None:
        self.standings.append(standing)
        self.station.touch()

    def cancel(self, name: str) -> None:
        self.cancelled.add(name)
        self.standings = [one for one in self.standings if one.airing.order_id != name]
        self.station.touch()

    def record(self, name: str) -> AsRun:
        (found,) = [one for one in self.shelf.final.values() if one.programme == name]
        return found


def cuts(record: AsRun) -> list[CutReason]:
    return [one.cut for one in record.segments]


async def test_an_emergency_cuts_a_programme_which_goes_on_where_it_stopped() -> None:
    async with OrderBench(programme("tin")) as bench:
        await bench.until(4)
        bench.order(emergency())
        await bench.until(5)
        assert bench.player.view.rung is Rung.EMERGENCY
        await bench.until(19)
        warned, cut = bench.record("lu"), bench.record("tin")
    assert warned.verdict is Verdict.HEARD
    assert warned.first_sound is not None
    assert warned.first_sound - (NOON + timedelta(seconds=4)) < timedelta(milliseconds=500)
    assert cuts(cut) == [CutReason.PREEMPTED, CutReason.NONE]
    first, second = cut.segments
    assert second.from_ms == first.from_ms + first.played_ms
    assert cut.played_ms == 10_000


async def test_of_two_emergencies_the_higher_level_sounds_and_the_other_begins_anew() -> None:
    async with OrderBench() as bench:
        bench.order(emergency("thon", SourceLevel.HAMLET, rank=2))
        await bench.until(-7)
        bench.order(emergency("tinh", SourceLevel.PROVINCE, rank=1))
        await bench.until(10)
        first, second = bench.record("tinh"), bench.record("thon")
    assert first.verdict is Verdict.HEARD
    assert cuts(second) == [CutReason.PREEMPTED, CutReason.NONE]
    assert second.segments[1].from_ms == 0


async def test_a_cancel_silences_an_emergency_for_good() -> None:
    async with OrderBench() as bench:
        bench.order(emergency())
        await bench.until(-7)
        assert bench.player.view.sounding
        bench.cancel("lu")
        await bench.until(0)
        assert bench.player.view.on_air is None
        record = only(bench.shelf.final)
        assert len(bench.speaker.cues) == 1
    assert cuts(record) == [CutReason.CANCELLED]


async def test_a_waiting_bulletin_that_is_cancelled_never_sounds() -> None:
    async with OrderBench() as bench:
        bench.order(emergency())
        waiting = replace(bulletin(speech("x", "a"), start_s=-9), fixed=True)
        bench.order(waiting)
        await bench.until(-6)
        bench.cancel("tin-xa")
        await bench.until(10)
    assert {one.programme for one in bench.shelf.final.values()} == {"lu"}
    assert len(bench.speaker.cues) == 1


async def test_a_safety_stop_silences_even_an_emergency_which_then_begins_anew() -> None:
    async with OrderBench() as bench:
        bench.order(emergency())
        await bench.until(-6)
        bench.station.safety_stop((ZONE,), 5)
        await bench.until(-5)
        assert bench.player.view.on_air is None
        assert bench.player.view.reason is Reason.SAFETY_STOP
        await bench.until(8)
        record = only(bench.shelf.final)
    assert cuts(record) == [CutReason.SAFETY_STOP, CutReason.NONE]
    assert record.segments[1].from_ms == 0


async def test_a_safety_stop_keeps_a_bulletin_where_it_stopped() -> None:
    async with OrderBench(programme("tin")) as bench:
        await bench.until(3)
        bench.station.safety_stop((ZONE,), 4)
        await bench.until(16)
        record = only(bench.shelf.final)
    first, second = record.segments
    assert first.cut is CutReason.SAFETY_STOP
    assert second.from_ms == first.played_ms
    assert second.started - first.started >= timedelta(seconds=7)


async def test_a_pause_silences_a_programme_but_no_emergency() -> None:
    async with OrderBench(programme("tin")) as bench:
        await bench.until(3)
        bench.station.pause(ZONE, 600)
        await bench.until(4)
        assert bench.player.view.on_air is None
        bench.order(emergency())
        await bench.until(11)
        assert bench.record("lu").played_ms == 6_000
        assert bench.player.view.on_air is None
        bench.station.pause(ZONE, 0)
        await bench.until(20)
        record = bench.record("tin")
    assert cuts(record) == [CutReason.PAUSED, CutReason.NONE]
    assert record.played_ms == 10_000


def night_from(hour: int, minute: int, second: int, **more: int) -> Hours:
    end = hour * 3600 + minute * 60 + second
    return Hours(1, "Asia/Ho_Chi_Minh", (Window(frozenset(range(1, 8)), 0, end, **more),))


async def test_hours_end_a_programme_and_leave_an_emergency_alone() -> None:
    async with OrderBench(programme("tin")) as bench:
        bench.station.set_hours(night_from(12, 0, 4))
        await bench.until(5)
        assert bench.player.view.reason is Reason.OUTSIDE_HOURS
        bench.order(emergency())
        await bench.until(13)
        assert bench.record("lu").played_ms == 6_000
        record = bench.record("tin")
    assert cuts(record) == [CutReason.HOURS]
    assert 3_500 <= record.played_ms <= 4_500


async def test_the_cap_of_the_hours_holds_for_a_programme_and_not_for_an_emergency() -> None:
    async with OrderBench(programme("tin")) as bench:
        window = Window(frozenset(range(1, 8)), 0, 86_400, None, -12.0)
        bench.station.set_hours(Hours(1, "Asia/Ho_Chi_Minh", (window,)))
        bench.station.set_volume(ZONE, -6.0)
        await bench.until(3)
        bench.order(emergency())
        await bench.until(4)
    assert bench.speaker.levels[0] == (-6.0, -12.0)
    assert bench.speaker.levels[-1] == (0.0, -1.0)


async def test_what_sounds_is_counted_against_the_minutes_of_the_session() -> None:
    async with OrderBench(programme("tin")) as bench:
        bench.station.set_hours(
            Hours(1, "Asia/Ho_Chi_Minh", (Window(frozenset(range(1, 8)), 0, 86_400, 60),))
        )
        await bench.until(12)
        ((key, used),) = bench.station.used.items()
    assert key == (ZONE, "2026-11-22/0")
    assert used == timedelta(seconds=10)


async def test_stop_ends_a_programme_for_good() -> None:
    async with OrderBench(programme("tin")) as bench:
        await bench.until(3)
        assert await bench.player.stop_airing() == "tin"
        await bench.until(12)
        record = only(bench.shelf.final)
        assert len(bench.speaker.cues) == 1
    assert cuts(record) == [CutReason.STOPPED]


async def test_stop_does_not_touch_an_emergency() -> None:
    async with OrderBench() as bench:
        bench.order(emergency())
        await bench.until(-7)
        assert await bench.player.stop_airing() == ""
        assert await bench.player.next_item() == ""
        await bench.until(0)
        assert cuts(bench.record("lu")) == [CutReason.NONE]


def three_items() -> tuple[Item, ...]:
    return speech("mot", "a"), speech("hai", "b"), speech("ba", "a")


async def test_next_goes_on_with_the_next_item() -> None:
    async with OrderBench(replace(programme("tin"), items=three_items())) as bench:
        await bench.until(1)
        assert await bench.player.next_item() == "hai"
        await bench.until(3)
        assert bench.player.view.item == 1
        await bench.until(12)
        record = only(bench.shelf.final)
    assert [one.from_ms for one in record.segments] == [0, 4_000]
    assert cuts(record) == [CutReason.STOPPED, CutReason.NONE]


async def test_next_twice_goes_on_twice() -> None:
    async with OrderBench(replace(programme("tin"), items=three_items())) as bench:
        await bench.until(1)
        await bench.player.next_item()
        await bench.until(3)
        assert await bench.player.next_item() == "ba"
        await bench.until(4.5)
        assert bench.player.view.item == 2


async def test_next_on_the_last_item_ends_the_airing() -> None:
    async with OrderBench(programme("tin")) as bench:
        await bench.until(1)
        assert await bench.player.next_item() == ""
        await bench.until(3)
        assert cuts(only(bench.shelf.final)) == [CutReason.STOPPED]


async def test_silence_restarts_the_worker_then_leaves_the_item_out_then_gives_up() -> None:
    made = replace(programme("tin"), items=(speech("mot", "a", 12), speech("hai", "b", 12)))
    async with OrderBench(made) as bench:
        bench.speaker.level_dbfs = -90.0
        await bench.until(4)
        assert Fault.OUTPUT_SILENT in bench.issues.open
        assert bench.speaker.opened == 2
        await bench.until(9)
        assert bench.speaker.opened == 3
        assert bench.player.view.item == 1
        await bench.until(14)
        record = only(bench.shelf.final)
    assert record.verdict is not Verdict.HEARD
    assert record.segments[-1].from_ms == 12_000


def relay(seconds: int = 20, resume: Resume = Resume.CLOCK) -> Programme:
    live = LiveInput(LiveSource.STREAM, "http://vov/1")
    item = Item("vov", "VOV1", ItemKind.LIVE, live_media("vov", seconds * 1000), live=live)
    return replace(programme("vov", bulletin_class=BulletinClass.PRIORITY), items=(item,), resume=resume)


async def test_a_relay_that_is_lost_gives_way_to_what_is_due_and_comes_back_where_the_clock_is() -> None:
    bench = OrderBench(relay(), programme("tin", seconds=20))
    bench.statuses["vov"] = LiveStatus(LiveState.READY, NOON)
    async with bench:
        await bench.until(3)
        assert bench.player.view.rung is Rung.PRIORITY
        bench.statuses["vov"] = LiveStatus(LiveState.LOST, bench.clock.now())
        bench.station.touch()
        await bench.until(6)
        on_air = bench.player.view.on_air
        assert on_air is not None
        assert on_air.programme.id == "tin"
        assert bench.radio.released == ["vov"]
        bench.statuses["vov"] = LiveStatus(LiveState.READY, bench.clock.now())
        bench.station.touch()
        await bench.until(22)
        record = bench.record("vov")
    assert len(record.segments) == 2
    assert 5_900 <= record.segments[1].from_ms <= 7_500
    assert bench.radio.said


async def test_the_record_of_a_lost_relay_names_the_loss() -> None:
    bench = OrderBench(relay(), programme("tin", seconds=20))
    bench.statuses["vov"] = LiveStatus(LiveState.READY, NOON)
    async with bench:
        await bench.until(3)
        bench.statuses["vov"] = LiveStatus(LiveState.LOST, bench.clock.now())
        bench.station.touch()
        await bench.until(22)
        record = bench.record("vov")
    assert cuts(record) == [CutReason.LIVE_LOST]


async def test_a_relay_that_never_came_is_missed_with_its_reason() -> None:
    bench = OrderBench(relay(5))
    async with bench:
        await bench.until(20)
        record = only(bench.shelf.final)
    assert record.missed is MissedReason.LIVE


def kept(made: Programme, played_ms: int, cut: CutReason) -> AsRun:
    """The open record that an earlier run left."""
    log = AiringLog(blank_record(Airing(made, NOON), ZONE, 1, "order"))
    log.begin(NOON, 0)
    log.end(NOON + timedelta(milliseconds=played_ms), played_ms, cut)
    return log.record()


async def restarted(made: Programme) -> AsRun:
    """Cut by something higher at 2 s, a power cut, and up again at 5 s."""
    bench = OrderBench(made)
    bench.statuses["vov"] = LiveStatus(LiveState.READY, NOON)
    bench.clock.step(timedelta(seconds=15))
    record = kept(made, 2_000, CutReason.PREEMPTED)
    await bench.shelf.begin(record)
    async with bench:
        await bench.until(30)
        return only(bench.shelf.final)


async def test_a_bulletin_that_was_cut_before_a_power_cut_goes_on_where_it_stopped() -> None:
    record = await restarted(programme("tin"))
    assert [one.from_ms for one in record.segments] == [0, 2_000]
    assert record.played_ms == 10_000


async def test_a_relay_that_was_cut_before_a_power_cut_goes_on_where_the_clock_is() -> None:
    record = await restarted(relay())
    assert record.segments[1].from_ms >= 5_000


async def test_an_emergency_left_open_by_a_power_cut_begins_anew() -> None:
    bench, standing = OrderBench(), emergency()
    log = AiringLog(blank_record(standing.airing, ZONE, 0, "lu"))
    log.begin(NOON - timedelta(seconds=60), 0)
    log.end(NOON - timedelta(seconds=57), 3_000, CutReason.RESTART)
    await bench.shelf.begin(log.record())
    bench.standings = [standing]
    async with bench:
        await bench.until(0)
        record = only(bench.shelf.final)
    assert record.segments[1].from_ms == 0
    assert cuts(record) == [CutReason.RESTART, CutReason.NONE]


async def test_a_chimed_bulletin_begins_over_what_sounds_and_that_goes_on_from_there() -> None:
    chime = Item("chime", "chime", ItemKind.CHIME, signal_media(Signal.TONE, 700))
    async with OrderBench(programme("tin")) as bench:
        await bench.until(4)
        bench.order(bulletin(chime, speech("x")))
        await bench.until(17)
        record = bench.record("tin")
    _, items, _ = bench.speaker.cues[1]
    assert items[0].signal is Sound.TONE
    assert cuts(record) == [CutReason.PREEMPTED, CutReason.NONE]
    assert 3_900 <= record.segments[1].from_ms <= 4_700


async def test_what_is_to_be_dropped_does_not_come_back_after_a_safety_stop() -> None:
    made = replace(programme("tin"), resume=Resume.DROP, recurrences=(Recurrence(NOON.replace(tzinfo=None) + timedelta(hours=7)),))  # fmt: skip
    async with OrderBench(made) as bench:
        await bench.until(2)
        bench.station.safety_stop((ZONE,), 2)
        await bench.until(12)
        assert len(bench.speaker.cues) == 1
