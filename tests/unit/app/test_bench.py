"""The box as a bench for its own tests, and its parts as configured."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.app.bench import BoxBench
from agent.app.zones import input_place
from agent.config import InputSection
from agent.errors import AgentError
from agent.field.controls import BusyCause
from agent.model.bulletin import Item, ItemKind, Media, Signal, ZoneId, signal_media
from agent.model.schedule import Airing
from agent.playout.contracts import ZoneView
from agent.playout.ladder import Reason, Rung
from agent.playout.order_speech import Speech
from agent.playout.orders import StandingOrders
from agent.playout.zone import ZonePlayer
from drivers.api import ClockSensor, DeviceUnavailableError, LineReading
from tests.unit.app.doubles import MAIN, NOON, Box
from tests.unit.field.doubles import a_test_record
from tests.unit.model.schedules import a_programme

AIRING = Airing(a_programme("tin", durations_ms=(60_000,)), NOON)


class Voice:
    fails = False

    async def render(self, text: str, language: str) -> Media:
        if self.fails:
            raise AgentError("no voice")
        return Media("a" * 64, 1, 2_000, 0.0, "")


class Sensor:
    broken = False

    def read(self) -> Any:
        if self.broken:
            raise DeviceUnavailableError("no timex")
        return SimpleNamespace(error_ms=1.5)


class Bench(Box):
    """A box and its bench."""

    def __init__(self) -> None:
        super().__init__()
        self.voice, self.sensor = Voice(), Sensor()
        self.played: list[tuple[str, float]] = []
        self.orders.play_test = self._play
        self.bench = BoxBench(
            station=self.station,
            players=cast("Mapping[ZoneId, ZonePlayer]", self.players),
            orders=cast("StandingOrders", self.orders),
            speech=cast("Speech", self.voice),
            clock=self.clock,
            sensor=cast("ClockSensor", self.sensor),
        )

    async def _play(self, zone: ZoneId, items: tuple[Item, ...], title: str, limit_s: float) -> Any:
        self.played.append((title, limit_s))
        return a_test_record()

    def sounds(self, rung: Rung) -> None:
        self.players[MAIN].view = ZoneView(Reason.DUE, on_air=AIRING, rung=rung)


def test_a_quiet_zone_is_free_for_a_test() -> None:
    assert Bench().bench.busy("main") is None


@pytest.mark.parametrize(
    ("rung", "cause"),
    [
        (Rung.FALLBACK, None),
        (Rung.TEST, BusyCause.TEST),
        (Rung.PROGRAMME, BusyCause.ON_AIR),
        (Rung.LIVE, BusyCause.ON_AIR),
        (Rung.EMERGENCY, BusyCause.ON_AIR),
    ],
)
def test_what_sounds_keeps_tests_away_unless_it_only_fills(rung: Rung, cause: BusyCause | None) -> None:
    box = Bench()
    box.sounds(rung)
    busy = box.bench.busy("main")
    assert (busy.cause if busy else None) == cause
    if busy is not None:
        assert (busy.title, busy.until) == ("tin", AIRING.end)


@pytest.mark.parametrize(("ahead_s", "soon"), [(59, True), (60, True), (61, False)])
def test_what_begins_within_a_minute_keeps_tests_away(ahead_s: int, soon: bool) -> None:
    box = Bench()
    start = NOON + timedelta(seconds=ahead_s)
    box.players[MAIN].wanted = SimpleNamespace(next=Airing(AIRING.programme, start))
    busy = box.bench.busy("main")
    assert (busy is not None) == soon
    if busy is not None:
        assert (busy.cause, busy.title, busy.until) == (BusyCause.SOON, "tin", start)


def test_a_safety_stop_comes_before_all_other_reasons() -> None:
    box = Bench()
    box.sounds(Rung.PROGRAMME)
    box.station.safety_stop((MAIN,), 600)
    busy = box.bench.busy("main")
    assert busy is not None
    assert (busy.cause, busy.until) == (BusyCause.SAFETY_STOP, NOON + timedelta(minutes=10))
    assert box.bench.busy("east") is None


async def test_a_test_may_take_its_length_and_some_seconds() -> None:
    box = Bench()
    tone = Item("tone", "tone", ItemKind.SIGNAL, signal_media(Signal.TONE, 3_000))
    record = await box.bench.play("main", (tone, tone), "Thử loa")
    assert record.final
    ((title, limit_s),) = box.played
    assert title == "Thử loa"
    assert 6 < limit_s <= 60


async def test_a_sample_is_what_the_parts_say_and_none_where_nothing_measures() -> None:
    box = Bench()
    bare = await box.bench.sample("main")
    assert (bare.line_active, bare.microphone_active, bare.volts, bare.output_rms_dbfs) == (None,) * 4
    player = box.players[MAIN]
    player.view = ZoneView(Reason.DUE, output_rms_dbfs=-15.0)
    player.readings = {"line": LineReading(True, -20.0, 1), "microphone": LineReading(False, -70.0, 1)}
    player.amplifier.latest = SimpleNamespace(volts=24.0, amps=0.5, temperature_c=41.0)
    player.amplifier.sounding = True
    full = await box.bench.sample("main")
    assert (full.output_rms_dbfs, full.line_active, full.line_dbfs) == (-15.0, True, -20.0)
    assert (full.microphone_active, full.microphone_dbfs) == (False, -70.0)
    assert (full.volts, full.amps, full.temperature_c) == (24.0, 0.5, 41.0)
    assert (bare.muted, full.muted, full.powered, full.fault) == (True, False, True, None)


async def test_a_sentence_that_cannot_be_spoken_is_none() -> None:
    box = Bench()
    item = await box.bench.render_speech("Xin chào", "vi")
    assert item is not None
    assert (item.text, item.media.sha256) == ("Xin chào", "a" * 64)
    box.voice.fails = True
    assert await box.bench.render_speech("Xin chào", "vi") is None


def test_the_clock_is_read_even_where_its_error_is_unknown() -> None:
    box = Bench()
    assert (box.bench.clock().now, box.bench.clock().error_ms) == (NOON, 1.5)
    box.sensor.broken = True
    assert box.bench.clock().error_ms is None


@pytest.mark.parametrize(
    ("kind", "options", "place"),
    [
        ("alsa", {"device": "hw:CARD=Mixer"}, "hw:CARD=Mixer"),
        ("simulated", {"file": "/tmp/voice.wav"}, "simulated:/tmp/voice.wav"),
        ("alsa", {}, ""),
    ],
)
def test_an_input_is_named_as_the_worker_wants_it(kind: str, options: dict[str, Any], place: str) -> None:
    section = cast("InputSection", SimpleNamespace(kind=kind, options=options))
    assert input_place(section) == place
