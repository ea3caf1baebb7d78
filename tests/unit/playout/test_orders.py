"""Orders beside the schedule: taken once, counted over restarts, and each comes to an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.errors import AgentError
from agent.model.bulletin import (
    BulletinClass,
    ClockTrust,
    Item,
    ItemKind,
    LiveSource,
    Media,
    Signal,
    SourceLevel,
    ZoneId,
    signal_media,
)
from agent.model.live import LiveState, LiveStatus
from agent.model.report import AsRun, Verdict
from agent.playout.airing_log import blank_record
from agent.playout.ladder import Rung, Standing
from agent.playout.orders import MAX_STANDING, StandingOrders
from agent.wire.orders import (
    Bulletin,
    BulletinPart,
    Cancel,
    Emergency,
    EmergencyEvent,
    Grant,
    Scope,
    ScopeKind,
)
from agent.wire.ulid import new_ulid
from tests.support.clock import FakeClock, settle

SQUARE, MARKET = ZoneId("square"), ZoneId("market")
NOON = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
LEVELS = {"province": SourceLevel.PROVINCE, "commune": SourceLevel.COMMUNE, "hamlet": SourceLevel.HAMLET}
RECORDED, STAGED = "a" * 64, "b" * 64


def a_part(text: str = "Nước lên nhanh", **more: Any) -> BulletinPart:
    return BulletinPart(title="Cảnh báo lũ", text=text, **more)


def _common(issuer: str) -> dict[str, Any]:
    return {
        "id": new_ulid(NOON),
        "issuer": issuer,
        "seq": 1,
        "scope": Scope(kind=ScopeKind.STATION, id="xa"),
        "not_before": NOON,
        "expires": NOON + timedelta(hours=6),
    }


def an_emergency(issuer: str = "commune", **more: Any) -> Emergency:
    known = {**_common(issuer), "event": EmergencyEvent.FLOOD, "level": LEVELS[issuer], "parts": (a_part(),)}
    return Emergency(**{**known, **more})


def a_bulletin(bulletin_class: BulletinClass = BulletinClass.PRIORITY, **more: Any) -> Bulletin:
    known = {
        **_common("commune"),
        "class": bulletin_class,
        "level": SourceLevel.COMMUNE,
        "parts": (a_part(),),
    }
    return Bulletin(**{**known, **more})


def a_grant(**more: Any) -> Grant:
    known = {
        **_common("commune"),
        "speaker": "Chủ tịch xã",
        "level": SourceLevel.COMMUNE,
        "source": LiveSource.MICROPHONE,
    }
    return Grant(**{**known, **more})


def a_cancel(order: Emergency | Bulletin | Grant, issuer: str = "commune", **more: Any) -> Cancel:
    return Cancel(**{**_common(issuer), "cancels": order.id, **more})


class Disk:
    """What outlives a run."""

    def __init__(self) -> None:
        self.progress: Mapping[str, Mapping[str, object]] = {}
        self.closed: dict[str, bool] = {}

    async def load(self) -> Mapping[str, Mapping[str, object]]:
        return self.progress

    async def save(self, progress: Mapping[str, Mapping[str, object]]) -> None:
        self.progress = progress

    async def close(self, order_id: str, *, cancelled: bool) -> None:
        assert order_id not in self.closed, "an order ends twice"
        self.closed[order_id] = cancelled


class Speech:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.fails = False
        self.open = asyncio.Event()
        self.open.set()

    async def render(self, text: str, language: str) -> Media:
        await self.open.wait()
        if self.fails:
            raise AgentError("no voice")
        self.said.append(text)
        sha256 = f"{abs(hash((text, language))):064x}"[-64:]
        self.held.add(sha256)
        return Media(sha256, 1, 3_000, 0.0, "")

    held: set[str]


class Bench:
    """The engine and a world of fakes around it."""

    def __init__(self, disk: Disk | None = None, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock(NOON)
        self.disk = disk or Disk()
        self.speech = Speech()
        self.held: set[str] = set()
        self.speech.held = self.held
        self.stored: dict[tuple[str, str], Media] = {}
        self.begun: set[tuple[str, ZoneId]] = set()
        self.live: dict[str, LiveStatus] = {}
        self.told: list[tuple[str, str, str]] = []
        self.woken = 0
        self.engine = StandingOrders(
            (SQUARE, MARKET),
            self.clock,
            library=self,
            speech=self.speech,
            held=self.held,
            shelf=self.disk,
            level_of=LEVELS.get,
            tell=self._tell,
            wake=self._wake,
            is_begun=lambda airing, zone: (airing, zone) in self.begun,
            is_finished=lambda _airing, _zone: False,
            live=lambda: self.live,
        )

    def staged(self, event: str, language: str) -> Media | None:
        return self.stored.get((event, language))

    def _tell(self, event: str, subject: str, code: str = "", detail: str = "") -> None:
        self.told.append((event, subject, code))

    def _wake(self) -> None:
        self.woken += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Bench]:
        await self.engine.restore()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.engine.run())
            await settle()
            yield self
            task.cancel()

    async def look(self) -> None:
        """The engine looks once a second of the real clock; here at once."""
        self.engine._look.set()
        await settle()

    def of(self, zone: ZoneId = SQUARE) -> list[Standing]:
        return [one for one in self.engine.standings() if one.zones == (zone,)]

    def only(self, zone: ZoneId = SQUARE) -> Standing:
        (found,) = self.of(zone)
        return found

    def begin(self, zone: ZoneId = SQUARE) -> Standing:
        found = self.only(zone)
        self.begun.add((found.airing.id, zone))
        return found

    def finish(self, standing: Standing, zone: ZoneId = SQUARE) -> None:
        record = blank_record(standing.airing, zone, 0, standing.airing.order_id)
        self.engine.final(replace(record, verdict=Verdict.HEARD, final=True))


def items(standing: Standing) -> list[str]:
    return [item.id for item in standing.airing.programme.items]


# --- emergencies -------------------------------------------------------------------------------------


async def test_an_emergency_is_wanted_at_once_in_every_zone_with_its_text_spoken() -> None:
    async with Bench().running() as bench:
        order = an_emergency()
        await bench.engine.accept(order)
        standing = bench.only()
        assert (standing.rung, standing.airing.start, standing.airing.order_id) == (
            Rung.EMERGENCY,
            NOON,
            order.id,
        )
        assert standing.until == NOON + timedelta(minutes=60)
        assert items(standing) == ["attention", "text-0", "pause"]
        assert items(bench.only(MARKET)) == items(standing)
        assert bench.only(MARKET).airing.id != standing.airing.id
        assert bench.engine.emergency
        assert bench.told == [("emergency_begun", order.id, "flood")]
        assert bench.woken


async def test_an_emergency_is_durable_before_a_second_has_passed() -> None:
    async with Bench().running() as bench:
        order = an_emergency()
        await bench.engine.accept(order)
        await settle()
        assert bench.disk.progress[order.id]["accepted"] == NOON.isoformat()


async def test_the_same_order_taken_again_is_one_order() -> None:
    async with Bench().running() as bench:
        order = an_emergency()
        for _ in range(3):  # by MQTT, by HTTPS and from a stick
            await bench.engine.accept(order)
        assert len(bench.of()) == 1
        assert len(bench.told) == 1


async def test_an_emergency_sounds_only_in_the_zones_it_names() -> None:
    async with Bench().running() as bench:
        await bench.engine.accept(an_emergency(zones=("market",)))
        assert bench.of(SQUARE) == []
        assert len(bench.of(MARKET)) == 1


async def test_rounds_follow_each_other_then_come_by_the_repeat_rule() -> None:
    async with Bench().running() as bench:
        await bench.engine.accept(an_emergency(repeats=2, repeat_every_s=120))
        starts = []
        for _ in range(4):
            standing = bench.begin()
            starts.append((standing.airing.start - NOON).total_seconds())
            bench.clock.step(max(timedelta(0), standing.airing.start - bench.clock.now()))
            await bench.clock.pass_(0)
            bench.finish(standing)
        assert starts[:2] == [0, 0]
        assert starts[3] - starts[2] == 120
        assert starts[2] == 120


async def test_rounds_are_counted_in_each_zone_apart() -> None:
    async with Bench().running() as bench:
        await bench.engine.accept(an_emergency())
        bench.finish(bench.begin(SQUARE), SQUARE)
        assert ".square.1@" in bench.only(SQUARE).airing.id
        assert ".market.0@" in bench.only(MARKET).airing.id


async def test_the_record_of_an_earlier_round_counts_no_round() -> None:
    async with Bench().running() as bench:
        await bench.engine.accept(an_emergency())
        first = bench.begin()
        bench.finish(first)
        bench.finish(first)
        assert ".square.1@" in bench.only().airing.id


async def test_a_recording_that_arrives_is_in_the_next_round_not_in_the_one_on_air() -> None:
    async with Bench().running() as bench:
        media = {"sha256": RECORDED, "size_bytes": 1, "duration_ms": 9_000, "url": "/m"}
        await bench.engine.accept(an_emergency(parts=(a_part(media=media),)))
        first = bench.begin()
        assert items(first) == ["attention", "text-0", "pause"]
        bench.held.add(RECORDED)
        bench.engine.media_arrived()
        assert bench.only().airing == first.airing
        bench.finish(first)
        assert items(bench.only()) == ["attention", "part-0", "pause"]


async def test_a_round_that_has_not_begun_takes_the_recording_at_once() -> None:
    async with Bench().running() as bench:
        media = {"sha256": RECORDED, "size_bytes": 1, "duration_ms": 9_000, "url": "/m"}
        await bench.engine.accept(an_emergency(parts=(a_part(media=media),)))
        bench.held.add(RECORDED)
        assert items(bench.only()) == ["attention", "part-0", "pause"]


async def test_speech_that_fails_leaves_the_signal() -> None:
    bench = Bench()
    bench.speech.fails = True
    async with bench.running():
        await bench.engine.accept(an_emergency())
        assert items(bench.only()) == ["attention", "pause"]


async def test_slow_speech_does_not_hold_back_the_signal_and_is_in_the_next_round() -> None:
    bench = Bench()
    bench.speech.open.clear()
    async with bench.running():
        begun = asyncio.get_running_loop().time()
        await bench.engine.accept(an_emergency())
        assert asyncio.get_running_loop().time() - begun < 3
        first = bench.begin()
        assert items(first) == ["attention", "pause"]
        bench.speech.open.set()
        await settle()
        bench.finish(first)
        assert items(bench.only()) == ["attention", "text-0", "pause"]


async def test_with_a_stored_message_nobody_waits_for_speech() -> None:
    bench = Bench()
    bench.speech.open.clear()
    bench.stored["flood", "vi"] = Media(STAGED, 1, 5_000, 0.0, "")
    bench.held.add(STAGED)
    async with bench.running():
        await bench.engine.accept(an_emergency())
        assert items(bench.only()) == ["attention", "stored-0", "pause"]
        bench.speech.open.set()
        await settle()
        assert items(bench.only()) == ["attention", "stored-0", "text-0", "pause"]


async def test_it_ends_by_its_lease() -> None:
    async with Bench().running() as bench:
        order = an_emergency(max_minutes=10)
        await bench.engine.accept(order)
        await bench.clock.pass_(599, 60)
        await bench.look()
        assert bench.of()
        await bench.clock.pass_(2, 60)
        await bench.look()
        assert bench.of() == []
        assert not bench.engine.emergency
        assert bench.disk.closed == {order.id: False}
        assert ("emergency_ended", order.id, "ended") in bench.told
        assert order.id not in bench.disk.progress


async def test_a_stepped_clock_neither_ends_nor_prolongs_a_lease() -> None:
    async with Bench().running() as bench:
        await bench.engine.accept(an_emergency(max_minutes=10))
        for step in (timedelta(days=3650), timedelta(days=-3650), timedelta(hours=-1)):
            bench.clock.step(step)
            await bench.look()
            until = bench.only().until
            assert until is not None
            assert abs(until - bench.clock.now() - timedelta(minutes=10)) < timedelta(milliseconds=1)
            assert bench.only().airing.start <= bench.clock.now()


# --- over a restart ----------------------------------------------------------------------------------


async def test_after_a_power_cut_it_goes_on_with_the_round_and_the_lease_it_had() -> None:
    disk, order = Disk(), an_emergency(max_minutes=30, repeats=1, repeat_every_s=600)
    async with Bench(disk).running() as bench:
        await bench.engine.accept(order)
        await bench.clock.pass_(20, 10)
        bench.finish(bench.begin())
        await bench.look()
    clock = FakeClock(NOON + timedelta(minutes=5))
    async with Bench(disk, clock).running() as again:
        await again.engine.accept(order)
        standing = again.only()
        assert ".square.1@20261122T050000Z" in standing.airing.id
        assert abs(standing.airing.start - (NOON + timedelta(seconds=620))) < timedelta(milliseconds=1)
        assert standing.until is not None
        assert abs(standing.until - (NOON + timedelta(minutes=30))) < timedelta(milliseconds=1)


async def test_after_a_power_cut_without_a_clock_it_sounds_at_once_for_its_whole_lease() -> None:
    disk, order = Disk(), an_emergency(max_minutes=30)
    async with Bench(disk).running() as bench:
        await bench.engine.accept(order)
        bench.finish(bench.begin())
        await bench.look()
    clock = FakeClock(datetime(1970, 1, 1, tzinfo=UTC))
    clock.trust = ClockTrust.UNKNOWN
    async with Bench(disk, clock).running() as again:
        await again.engine.accept(order)
        assert again.only().airing.start <= clock.now()
        assert again.only().until == clock.now() + timedelta(minutes=30)


async def test_what_ran_out_while_the_power_was_off_does_not_sound() -> None:
    disk, order = Disk(), an_emergency(max_minutes=30)
    async with Bench(disk).running() as bench:
        await bench.engine.accept(order)
        await bench.look()
    async with Bench(disk, FakeClock(NOON + timedelta(hours=1))).running() as again:
        await again.engine.accept(order)
        assert again.of() == []


# --- cancels -----------------------------------------------------------------------------------------


async def test_a_cancel_silences_at_once_and_is_told() -> None:
    async with Bench().running() as bench:
        order = an_emergency()
        await bench.engine.accept(order)
        await bench.engine.accept(a_cancel(order))
        assert bench.of() == []
        assert bench.engine.was_cancelled(order.id)
        await settle()
        assert bench.disk.closed == {order.id: True}
        assert ("emergency_ended", order.id, "cancelled") in bench.told
        await bench.engine.accept(order)
        assert bench.of() == []


async def test_a_cancel_before_its_emergency_keeps_it_silent() -> None:
    async with Bench().running() as bench:
        order = an_emergency()
        await bench.engine.accept(a_cancel(order))
        await bench.engine.accept(order)
        assert bench.of() == []
        await settle()
        assert bench.disk.closed == {order.id: True}


@pytest.mark.parametrize("first", ["order", "cancel"])
async def test_a_lower_level_may_not_cancel(first: str) -> None:
    async with Bench().running() as bench:
        order = an_emergency("province")
        cancel = a_cancel(order, "hamlet")
        for one in (order, cancel) if first == "order" else (cancel, order):
            await bench.engine.accept(one)
        assert bench.only().airing.order_id == order.id
        assert bench.disk.closed == {}


async def test_a_higher_level_may_cancel() -> None:
    async with Bench().running() as bench:
        order = an_emergency("hamlet")
        await bench.engine.accept(order)
        await bench.engine.accept(a_cancel(order, "province"))
        assert bench.of() == []


async def test_an_all_clear_is_said_once_where_the_emergency_was() -> None:
    async with Bench().running() as bench:
        order = an_emergency(zones=("square",))
        await bench.engine.accept(order)
        cancel = a_cancel(order, all_clear=a_part("Hết nguy hiểm"))
        await bench.engine.accept(cancel)
        await settle()
        standing = bench.begin()
        assert items(standing) == ["chime", "all-clear", "pause"]
        assert standing.rung is Rung.EMERGENCY
        assert bench.of(MARKET) == []
        assert not bench.engine.emergency
        bench.finish(standing)
        await bench.look()
        assert bench.of() == []
        assert bench.disk.closed == {order.id: True, cancel.id: False}


async def test_an_all_clear_under_way_is_said_after_a_restart_and_never_twice() -> None:
    disk = Disk()
    order = an_emergency("province", zones=("square",))
    cancel = a_cancel(order, "province", all_clear=a_part("Hết nguy hiểm"))
    async with Bench(disk).running() as bench:
        await bench.engine.accept(order)
        await bench.engine.accept(cancel)
        await bench.look()
        assert disk.closed == {order.id: True}
    async with Bench(disk).running() as bench:  # the emergency is closed, so only the cancel is handed over
        await bench.engine.accept(cancel)
        await settle()
        standing = bench.begin()
        assert items(standing) == ["chime", "all-clear", "pause"]
        assert standing.airing.programme.level is SourceLevel.PROVINCE
        assert bench.of(MARKET) == []
        bench.finish(standing)
        await bench.look()
        assert disk.closed == {order.id: True, cancel.id: False}
    async with Bench(disk).running() as bench:
        await bench.engine.accept(cancel)
        await settle()
        assert bench.of() == []


# --- bulletins, live sessions, tests -----------------------------------------------------------------


async def test_a_priority_bulletin_is_spoken_and_said_once_in_each_zone() -> None:
    async with Bench().running() as bench:
        order = a_bulletin()
        await bench.engine.accept(order)
        await settle()
        standing = bench.begin()
        assert (standing.rung, standing.fixed, items(standing)) == (Rung.PRIORITY, False, ["chime", "part-0"])
        bench.finish(standing)
        await bench.look()
        assert bench.of(SQUARE) == []
        bench.finish(bench.begin(MARKET), MARKET)
        await bench.look()
        assert bench.engine.standings() == ()
        assert bench.told[-1] == ("order_ended", order.id, "ended")


async def test_a_bulletin_that_goes_on_too_long_is_cut_off() -> None:
    async with Bench().running() as bench:
        await bench.engine.accept(a_bulletin(max_minutes=2))
        await settle()
        waiting = bench.only()
        assert waiting.until is not None
        assert waiting.until > NOON + timedelta(hours=1)  # it may wait for its turn
        await bench.clock.pass_(600, grain_s=60)
        bench.begin()
        assert bench.only().until == NOON + timedelta(minutes=12)
        await bench.clock.pass_(60, grain_s=60)
        assert bench.only().until == NOON + timedelta(minutes=12)


async def test_a_bulletin_without_its_speech_is_not_wanted_yet() -> None:
    bench = Bench()
    bench.speech.fails = True
    async with bench.running():
        await bench.engine.accept(a_bulletin())
        await settle()
        assert bench.of() == []


async def test_a_bulletin_with_a_start_keeps_to_the_clock() -> None:
    async with Bench().running() as bench:
        start = NOON + timedelta(minutes=7)
        await bench.engine.accept(a_bulletin(start=start))
        await settle()
        assert (bench.only().airing.start, bench.only().fixed) == (start, True)


async def test_a_normal_bulletin_never_plays_by_itself() -> None:
    async with Bench().running() as bench:
        order = a_bulletin(BulletinClass.NORMAL)
        await bench.engine.accept(order)
        await settle()
        await bench.clock.pass_(3600, 600)
        await bench.look()
        assert bench.engine.standings() == ()
        assert bench.speech.said == []
        assert bench.engine.bulletins == (order,)


async def test_a_done_bulletin_does_not_play_again_after_a_restart() -> None:
    disk, order = Disk(), a_bulletin()
    async with Bench(disk).running() as bench:
        await bench.engine.accept(order)
        await settle()
        bench.finish(bench.begin())
        await bench.look()
    async with Bench(disk, FakeClock(NOON + timedelta(minutes=1))).running() as again:
        await again.engine.accept(order)
        await settle()
        assert again.of(SQUARE) == []
        assert len(again.of(MARKET)) == 1


async def test_a_live_session_opens_with_its_grant_and_ends_with_its_source() -> None:
    async with Bench().running() as bench:
        order = a_grant(not_before=NOON + timedelta(minutes=2), max_minutes=5)
        await bench.engine.accept(order)
        assert bench.engine.live_inputs() == ()
        standing = bench.only()
        assert standing.rung is Rung.LIVE
        assert standing.airing.start == NOON + timedelta(minutes=2)
        await bench.clock.pass_(121, 60)
        assert [one[0] for one in bench.engine.live_inputs()] == [order.id]
        bench.live[order.id] = LiveStatus(LiveState.ENDED, bench.clock.now())
        await bench.look()
        assert bench.engine.live_inputs() == ()
        assert bench.told == [("live_ended", order.id, "ended")]


async def test_a_live_session_cannot_outlast_its_lease() -> None:
    async with Bench().running() as bench:
        order = a_grant(max_minutes=1)
        await bench.engine.accept(order)
        bench.live[order.id] = LiveStatus(LiveState.READY, NOON)
        await bench.clock.pass_(61, 10)
        await bench.look()
        assert bench.of() == []
        assert bench.disk.closed == {order.id: False}


async def test_a_test_is_wanted_until_its_record_is_there() -> None:
    async with Bench().running() as bench:
        tone = Item("tone", "tone", ItemKind.SIGNAL, signal_media(Signal.TONE, 1_000))
        task = asyncio.create_task(bench.engine.play_test(SQUARE, (tone,), "Thử", 5))
        await settle()
        standing = bench.only()
        assert (standing.rung, bench.of(MARKET)) == (Rung.TEST, [])
        bench.finish(standing)
        record: AsRun = await task
        assert record.verdict is Verdict.HEARD
        assert bench.of() == []


async def test_a_test_that_never_gets_the_zone_gives_up() -> None:
    async with Bench().running() as bench:
        tone = Item("tone", "tone", ItemKind.SIGNAL, signal_media(Signal.TONE, 1_000))
        with pytest.raises(TimeoutError):
            await bench.engine.play_test(SQUARE, (tone,), "Thử", 0.02)
        assert bench.of() == []


async def test_orders_that_stand_are_bounded() -> None:
    async with Bench().running() as bench:
        for _ in range(MAX_STANDING + 5):
            await bench.engine.accept(a_grant())
        assert len(bench.of()) == MAX_STANDING


async def test_recordings_of_orders_are_needed_and_those_of_emergencies_at_once() -> None:
    async with Bench().running() as bench:
        kept = {"sha256": STAGED, "size_bytes": 1, "duration_ms": 1, "url": "/n"}
        warned = {"sha256": RECORDED, "size_bytes": 1, "duration_ms": 1, "url": "/m"}
        await bench.engine.accept(a_bulletin(BulletinClass.NORMAL, parts=(a_part(media=kept),)))
        await bench.engine.accept(an_emergency(parts=(a_part(media=warned),)))
        needed = {media.sha256: urgent for media, urgent in bench.engine.media()}
        assert needed[RECORDED] is True
        assert needed[STAGED] is False


async def test_an_emergency_is_taken_however_many_lesser_orders_stand() -> None:
    async with Bench().running() as bench:
        for _ in range(MAX_STANDING):
            await bench.engine.accept(a_grant())
        order = an_emergency()
        await bench.engine.accept(order)
        assert any(one.airing.order_id == order.id for one in bench.of())


# --- faults that were found once -----------------------------------------------------------------


async def test_a_session_for_later_has_its_whole_lease() -> None:
    async with Bench().running() as bench:
        await bench.engine.accept(a_grant(not_before=NOON + timedelta(minutes=20), max_minutes=5))
        assert bench.only().until == NOON + timedelta(minutes=25)


@pytest.mark.parametrize(("make", "event"), [(a_bulletin, "order_ended"), (a_grant, "live_ended")])
async def test_a_cancel_is_told_as_the_end_of_what_it_cancels(make: Any, event: str) -> None:
    async with Bench().running() as bench:
        order = make()
        await bench.engine.accept(order)
        await bench.engine.accept(a_cancel(order))
        assert bench.told == [(event, order.id, "cancelled")]


async def test_a_lesser_cancel_does_not_undo_a_good_one_that_came_before_its_order() -> None:
    async with Bench().running() as bench:
        order = an_emergency("province")
        await bench.engine.accept(a_cancel(order, "province"))
        await bench.engine.accept(a_cancel(order, "hamlet"))
        await bench.engine.accept(order)
        assert bench.of() == []


async def test_a_lower_level_may_not_take_a_normal_bulletin_away() -> None:
    async with Bench().running() as bench:
        order = a_bulletin(BulletinClass.NORMAL)
        await bench.engine.accept(order)
        await bench.engine.accept(a_cancel(order, "hamlet"))
        assert bench.engine.bulletins == (order,)


async def test_a_normal_bulletin_is_forgotten_when_it_expires() -> None:
    async with Bench().running() as bench:
        order = a_bulletin(BulletinClass.NORMAL)
        await bench.engine.accept(order)
        await bench.clock.pass_(7 * 3600, 3600)
        await bench.look()
        assert bench.engine.bulletins == ()
        assert bench.disk.closed == {order.id: False}


async def test_an_order_that_is_done_and_comes_again_does_not_play_again() -> None:
    async with Bench().running() as bench:
        order = a_bulletin(zones=("square",))
        await bench.engine.accept(order)
        await settle()
        bench.finish(bench.begin())
        await bench.look()
        await bench.clock.pass_(60, 10)
        await bench.engine.accept(order)
        await settle()
        assert bench.of() == []
