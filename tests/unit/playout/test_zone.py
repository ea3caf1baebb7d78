"""One zone's player with a hand-moved clock and a sound output that obeys the contract in no time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from agent.model.bulletin import (
    AiringId,
    BulletinClass,
    ClockTrust,
    Item,
    ItemKind,
    Media,
    SourceLevel,
    ZoneId,
)
from agent.model.issue import Fault
from agent.model.report import AsRun, CutReason, MissedReason, Verdict
from agent.model.schedule import Airing, Programme, Recurrence, Schedule
from agent.model.timetable import Timetable
from agent.playout.accounts import MissedKeeper
from agent.playout.airing_log import blank_record
from agent.playout.amplifier import AmplifierSwitch, AmplifierTimes
from agent.playout.contracts import PlayoutSettings
from agent.playout.station import Station
from agent.playout.zone import ZonePlayer
from drivers.api import (
    AmplifierState,
    AudioEvent,
    CueEnded,
    CueItem,
    CueStarted,
    DeviceUnavailableError,
    EndReason,
    ItemFailed,
    Level,
    LineReading,
)
from tests.support.clock import NS, FakeClock, settle

ZONE = ZoneId("main")
NOON = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)  # 12:00 in Vietnam


class Speaker:
    """Plays cues in fake time and says what it consumed, as a worker would."""

    name = "main"

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.opened = 0
        self.cues: list[tuple[int, tuple[CueItem, ...], int]] = []
        self.levels: list[tuple[float, float]] = []
        self.level_dbfs = -16.0
        self.missing = False
        self._events: asyncio.Queue[AudioEvent | DeviceUnavailableError] = asyncio.Queue()
        self._playing: dict[int, asyncio.Task[None]] = {}
        self._begun: set[int] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Speaker]:
        if self.missing:
            raise DeviceUnavailableError("no card")
        self.opened += 1
        self._events = asyncio.Queue()
        try:
            yield self
        finally:
            for task in self._playing.values():
                task.cancel()
            self._playing.clear()

    async def cue(
        self,
        cue: int,
        items: tuple[CueItem, ...],
        at_ns: int,
        *,
        fade_in_ms: int = 5,
        max_dbfs: float = -1.0,
        volume_db: float = 0.0,
        duck_ms: int = 0,
        duck_db: float = -18.0,
    ) -> None:
        self.levels.append((volume_db, max_dbfs))
        for pending in [one for one in self._playing if one not in self._begun]:
            self._playing.pop(pending).cancel()  # a worker holds one cue that has not begun
            self._events.put_nowait(CueEnded(pending, self.clock.monotonic_ns(), EndReason.STOPPED, 0))
        self.cues.append((cue, items, at_ns))
        task = asyncio.create_task(self._play(cue, items, at_ns))
        self._playing[cue] = task

    async def _play(self, cue: int, items: tuple[CueItem, ...], at_ns: int) -> None:
        await self.clock.sleep((at_ns - self.clock.monotonic_ns()) / NS)
        for other in [one for one in self._playing if one < cue]:
            await self.stop(other)
        self._begun.add(cue)
        self._events.put_nowait(CueStarted(cue, at_ns))
        total_ms = sum(item.duration_ms - item.start_ms for item in items)
        played = 0
        while played < total_ms:
            step = min(200, total_ms - played)
            await self.clock.sleep(step / 1000)
            played += step
            self._events.put_nowait(Level(cue, 0, played, self.level_dbfs, -3.0))
        del self._playing[cue]
        self._events.put_nowait(CueEnded(cue, self.clock.monotonic_ns(), EndReason.FINISHED, played))

    async def stop(self, cue: int, *, fade_ms: int = 50) -> None:
        task = self._playing.pop(cue, None)
        if task is not None:
            task.cancel()
            start = next(at for number, _, at in self.cues if number == cue)
            played = max(0, (self.clock.monotonic_ns() - start) // 1_000_000)
            self._events.put_nowait(CueEnded(cue, self.clock.monotonic_ns(), EndReason.STOPPED, int(played)))

    async def adjust(self, cue: int, *, volume_db: float, max_dbfs: float, ramp_ms: int = 200) -> None:
        self.levels.append((volume_db, max_dbfs))

    def die(self) -> None:
        for task in self._playing.values():
            task.cancel()
        self._playing.clear()
        self._events.put_nowait(DeviceUnavailableError("worker gone"))

    def unplug(self) -> None:
        """The card goes away in mid-cue; the worker lives on."""
        for cue, task in self._playing.items():
            task.cancel()
            self._events.put_nowait(
                CueEnded(cue, self.clock.monotonic_ns(), EndReason.DEVICE_LOST, 0, "unplugged")
            )
        self._playing.clear()

    async def probe(self) -> None:
        if self.missing:
            raise DeviceUnavailableError("no card")

    async def events(self) -> AsyncIterator[AudioEvent]:
        while True:
            event = await self._events.get()
            if isinstance(event, DeviceUnavailableError):
                raise event
            yield event


class Quiet:
    """An amplifier that always works."""

    name = "amp"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Quiet]:
        yield self

    async def set_power(self, *, on: bool) -> None: ...

    async def set_mute(self, *, muted: bool) -> None: ...

    async def read(self) -> AmplifierState:
        return AmplifierState(powered=True, muted=False)

    async def probe(self) -> None: ...


class Line:
    """A line sensor that hears what it is told to."""

    name = "line"

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.active = True

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Line]:
        yield self

    async def read(self) -> LineReading:
        return LineReading(self.active, None, self.clock.monotonic_ns())

    async def probe(self) -> None: ...


class Shelf:
    """As-run records in memory, with the durable one's rules."""

    def __init__(self) -> None:
        self.open: dict[AiringId, AsRun] = {}
        self.final: dict[AiringId, AsRun] = {}

    async def begin(self, record: AsRun) -> bool:
        if record.airing in self.final:
            return False
        self.open[record.airing] = record
        return True

    async def update(self, record: AsRun) -> None:
        if record.airing in self.open:
            self.open[record.airing] = record

    async def finish(self, record: AsRun) -> None:
        self.open.pop(record.airing, None)
        assert record.airing not in self.final, "finished twice"
        self.final[record.airing] = record

    async def open_records(self, zone: ZoneId) -> Iterable[AsRun]:
        return list(self.open.values())


class Files:
    def __init__(self) -> None:
        self.held = {"a" * 64, "b" * 64}
        self.rechecked: list[str] = []

    def __contains__(self, sha256: object) -> bool:
        return sha256 in self.held

    async def checked(self, sha256: str) -> Path:
        return Path("/media") / sha256

    async def recheck(self, sha256: str) -> None:
        self.rechecked.append(sha256)


class Issues:
    def __init__(self) -> None:
        self.open: set[Fault] = set()
        self.ever: set[Fault] = set()

    def raise_(self, fault: Fault, subject: str = "", detail: str = "") -> None:
        self.open.add(fault)
        self.ever.add(fault)

    def clear(self, fault: Fault, subject: str = "") -> None:
        self.open.discard(fault)


class Bench:
    """A zone and everything around it."""

    def __init__(self, *programmes: Programme) -> None:
        self.clock = FakeClock(NOON - timedelta(seconds=10))
        self.speaker = Speaker(self.clock)
        self.line = Line(self.clock)
        self.shelf = Shelf()
        self.files = Files()
        self.issues = Issues()
        self.on_air: list[tuple[str, bool]] = []
        self.station = Station(
            (ZONE,), self.clock, begun=set(), finished=set(), planned_until=None, held=self.files
        )
        self.publish(*programmes)
        self.player = self._player()
        self.missed = MissedKeeper(self.station, self.shelf, self.clock)
        self._tasks: list[asyncio.Task[None]] = []

    def publish(self, *programmes: Programme, version: int = 1) -> None:
        schedule = Schedule("s", version, "Đài", "Asia/Ho_Chi_Minh", programmes)
        self.station.set_schedule(Timetable(schedule), version, "order", self.clock.now())

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
        )

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self.player.run()),
            asyncio.create_task(self.missed.run()),
            asyncio.create_task(self._nudge()),
        ]
        await settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _nudge(self) -> None:
        """Waits inside the player are on the real loop; fake time has to wake them."""
        while True:
            await self.clock.sleep(0.05)
            self.station.touch()
            self.player.amplifier._changed.set()

    async def until(self, seconds_after_noon: float) -> None:
        ahead = (NOON + timedelta(seconds=seconds_after_noon) - self.clock.now()).total_seconds()
        await self.clock.pass_(ahead)


def programme(
    name: str,
    start: str = "12:00:00",
    seconds: int = 10,
    media: str = "a",
    bulletin_class: BulletinClass = BulletinClass.NORMAL,
) -> Programme:
    item = Item("i", "Bản tin", ItemKind.SPEECH, Media(media * 64, 10, seconds * 1000, 0.0, "/m"))
    when = Recurrence(datetime.fromisoformat(f"2026-11-22T{start}"))
    return Programme(name, name, bulletin_class, SourceLevel.COMMUNE, (item,), (when,))


def only(records: dict[AiringId, AsRun]) -> AsRun:
    assert len(records) == 1
    return next(iter(records.values()))


async def test_airing_is_cued_for_its_exact_start_and_proved() -> None:
    async with Bench(programme("tin")) as bench:
        await bench.until(12)
        (_, items, at_ns) = bench.speaker.cues[0]
        record = only(bench.shelf.final)
    assert at_ns == 1_010 * NS
    assert (items[0].path, items[0].start_ms) == (Path("/media") / ("a" * 64), 0)
    assert (record.verdict, record.first_sound, record.played_ms) == (Verdict.HEARD, NOON, 10_000)
    assert bench.on_air == [("tin", True), ("tin", False)]


async def test_airing_heard_by_nobody_behind_the_amplifier_is_silent_and_named() -> None:
    async with Bench(programme("tin")) as bench:
        bench.line.active = False
        await bench.until(8)
        assert Fault.LINE_SILENT in bench.issues.open
        await bench.until(12)
    assert only(bench.shelf.final).verdict is Verdict.SILENT


async def test_lost_worker_is_replaced_and_the_airing_goes_on_where_the_wall_clock_is() -> None:
    async with Bench(programme("tin")) as bench:
        await bench.until(4)
        bench.speaker.die()
        await bench.until(12)
        record = only(bench.shelf.final)
        _, items, _ = bench.speaker.cues[1]
    assert bench.speaker.opened == 2
    assert [one.cut for one in record.segments] == [CutReason.AUDIO, CutReason.NONE]
    assert 4_000 <= items[0].start_ms <= 5_000
    assert 9_000 <= record.played_ms < 10_000


async def test_priority_takes_over_at_its_start_and_the_programme_goes_on_where_it_stopped() -> None:
    urgent = programme("uu-tien", "12:00:03", 3, "b", BulletinClass.PRIORITY)
    async with Bench(programme("thuong", seconds=12), urgent) as bench:
        await bench.until(15)
        (normal,) = [one for one in bench.shelf.final.values() if one.programme == "thuong"]
        (first,) = [one for one in bench.shelf.final.values() if one.programme == "uu-tien"]
    assert first.verdict is Verdict.HEARD
    assert first.first_sound == NOON + timedelta(seconds=3)
    assert [one.cut for one in normal.segments] == [CutReason.PREEMPTED, CutReason.NONE]
    assert normal.segments[1].from_ms == 3_000
    assert normal.verdict is Verdict.HEARD


async def test_programme_withdrawn_in_mid_airing_stops_at_once() -> None:
    async with Bench(programme("tin")) as bench:
        await bench.until(4)
        bench.publish(programme("khac", "15:00:00"), version=2)
        await bench.until(12)
        record = only(bench.shelf.final)
    assert [one.cut for one in record.segments] == [CutReason.SCHEDULE_CHANGED]
    assert record.played_ms < 5_000


async def test_schedule_edited_after_the_airing_does_not_repeat_it() -> None:
    async with Bench(programme("tin")) as bench:
        await bench.until(11)
        bench.publish(programme("tin", seconds=60), version=2)
        await bench.until(30)
        assert len(bench.speaker.cues) == 1


async def test_missing_media_ends_as_missed_with_its_reason() -> None:
    async with Bench(programme("tin", media="c")) as bench:
        await bench.until(25)
        record = only(bench.shelf.final)
    assert (record.verdict, record.missed) == (Verdict.MISSED, MissedReason.MEDIA)
    assert bench.speaker.cues == []


async def test_media_that_arrives_late_is_joined_at_the_position_of_the_clock() -> None:
    async with Bench(programme("tin", media="c")) as bench:
        await bench.until(4)
        bench.files.held.add("c" * 64)
        await bench.until(12)
        record = only(bench.shelf.final)
    assert record.segments[0].from_ms >= 4_000
    assert record.verdict is Verdict.PARTIAL


async def test_missing_card_is_an_issue_and_sound_comes_back_with_it() -> None:
    bench = Bench(programme("tin", seconds=30))
    bench.speaker.missing = True
    async with bench:
        await bench.until(2)
        assert Fault.AUDIO_CARD_MISSING in bench.issues.open
        bench.speaker.missing = False
        await bench.until(32)
        record = only(bench.shelf.final)
    assert Fault.AUDIO_CARD_MISSING not in bench.issues.open
    assert record.segments[0].from_ms > 2_000


async def test_clock_set_before_the_start_moves_the_start() -> None:
    async with Bench(programme("tin")) as bench:
        await bench.until(-1)
        bench.clock.step(timedelta(seconds=-30))
        await bench.until(12)
        record = only(bench.shelf.final)
    assert record.first_sound == NOON
    assert record.verdict is Verdict.HEARD


async def test_clock_set_in_mid_airing_joins_at_the_new_position() -> None:
    async with Bench(programme("tin", seconds=60)) as bench:
        await bench.until(5)
        bench.clock.step(timedelta(seconds=20))
        await bench.until(62)
        record = only(bench.shelf.final)
    assert [one.cut for one in record.segments] == [CutReason.CLOCK_STEP, CutReason.NONE]
    assert record.segments[1].from_ms >= 25_000


async def test_stop_in_mid_airing_keeps_what_was_heard() -> None:
    async with Bench(programme("tin")) as bench:
        await bench.until(4)
    record = only(bench.shelf.open)
    assert record.segments[0].cut is CutReason.RESTART
    assert 3_500 <= record.played_ms <= 4_500
    assert bench.shelf.final == {}


async def test_started_shortly_before_a_priority_airing_both_are_heard_in_their_turn() -> None:
    urgent = programme("uu-tien", "12:00:03", 3, "b", BulletinClass.PRIORITY)
    bench = Bench(programme("thuong", "11:59:50", 30), urgent)
    bench.clock.step(timedelta(seconds=11))  # the box starts at 12:00:01, in the middle of the programme
    async with bench:
        await bench.until(25)
        finals = {one.programme: one for one in bench.shelf.final.values()}
    assert finals["uu-tien"].first_sound == NOON + timedelta(seconds=3)
    assert finals["uu-tien"].verdict is Verdict.HEARD
    assert [one.cut for one in finals["thuong"].segments] == [CutReason.PREEMPTED, CutReason.NONE]
    assert len(bench.speaker.cues) == 3


async def test_card_that_glitches_once_sounds_again_in_the_next_airing() -> None:
    async with Bench(programme("mot"), programme("hai", "12:01:00")) as bench:
        await bench.until(4)
        bench.speaker.unplug()
        await bench.until(75)
        finals = {one.programme: one for one in bench.shelf.final.values()}
    assert finals["hai"].verdict is Verdict.HEARD
    assert Fault.AUDIO_CARD_MISSING not in bench.issues.open


async def test_board_hears_that_a_lost_airing_is_off_the_air() -> None:
    async with Bench(programme("tin")) as bench:
        await bench.until(4)
        bench.speaker.missing = True
        bench.speaker.die()
        await bench.until(20)
    assert bench.on_air == [("tin", True), ("tin", False)]


async def test_recording_replaced_on_air_is_heard_from_the_position_of_the_clock() -> None:
    async with Bench(programme("tin", seconds=20)) as bench:
        await bench.until(4)
        bench.publish(programme("tin", seconds=20, media="b"), version=2)
        await bench.until(22)
        record = only(bench.shelf.final)
        _, items, _ = bench.speaker.cues[-1]
    assert items[0].path == Path("/media") / ("b" * 64)
    assert items[0].start_ms >= 4_000
    assert [one.cut for one in record.segments] == [CutReason.SCHEDULE_CHANGED, CutReason.NONE]
    assert record.schedule_version == 2


async def test_power_cut_in_the_pre_roll_is_missed_and_not_called_silent() -> None:
    bench = Bench(programme("tin"))
    airing = Airing(programme("tin"), NOON)
    await bench.shelf.begin(blank_record(airing, ZONE, 1, "order"))
    bench.station.begin(airing.id, ZONE)
    bench.clock.step(timedelta(minutes=5))
    async with bench:
        await bench.clock.pass_(2)
        record = only(bench.shelf.final)
    assert (record.verdict, record.missed) == (Verdict.MISSED, MissedReason.BOX_OFF)


async def test_file_that_cannot_be_decoded_is_named_and_checked_again() -> None:
    async with Bench(programme("tin")) as bench:
        await bench.until(2)
        bench.speaker._events.put_nowait(ItemFailed(1, 0, "truncated", "ends early"))
        await bench.until(12)
        record = only(bench.shelf.final)
    assert Fault.MEDIA_UNREADABLE in bench.issues.open
    assert bench.files.rechecked == ["a" * 64]
    assert record.verdict is Verdict.PARTIAL


async def test_what_a_wrong_clock_says_was_missed_before_the_start_waits_for_the_right_time() -> None:
    bench = Bench(programme("tin", "11:00:00"))
    bench.station.planned_until = NOON - timedelta(hours=3)
    bench.station._facts = replace(bench.station._facts, in_force_since=NOON - timedelta(days=1))
    bench.clock.trust = ClockTrust.RTC
    async with bench:
        await bench.clock.pass_(30, 1.0)
        assert bench.shelf.final == {}
        bench.clock.trust = ClockTrust.SYNCHRONISED
        await bench.clock.pass_(2)
        record = only(bench.shelf.final)
    assert record.missed is MissedReason.BOX_OFF
