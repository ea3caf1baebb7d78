"""What the judge says of readings: each condition, its edges, and that no odd reading decides."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.bulletin import ClockTrust
from agent.playout.supervision import (
    IN_A_ROW,
    JUDGED_FROM,
    WINDOW,
    Finding,
    Kind,
    Load,
    MeterLimits,
    Watch,
    judge,
    silent_test_due,
)
from drivers.api import MeterReading

S = 1_000_000_000
LIMITS = MeterLimits(idle_amps=0.25, full_amps=4.0, low_volts=22.0, high_volts=30.0)
IDLE = Load(settled=True)
LOUD = Load(settled=True, unmuted=True, rms_dbfs=-12.0)
OFF = Load(settled=False)


def sound_amps(rms_dbfs: float) -> float:
    return 3.75 * 10 ** (rms_dbfs / 20)


class Judge:
    """Readings one second apart."""

    def __init__(self, limits: MeterLimits = LIMITS) -> None:
        self.limits = limits
        self.watch = Watch()
        self.at_ns = 0

    def see(
        self,
        load: Load,
        amps: float | None = None,
        *,
        volts: float | None = 24.0,
        celsius: float | None = None,
        times: int = 1,
    ) -> Finding:
        finding = Finding()
        for _ in range(times):
            self.at_ns += S
            reading = MeterReading(volts, amps, celsius, self.at_ns)
            self.watch, finding = judge(self.watch, reading, load, self.limits)
        return finding

    def until(self, kind: Kind, load: Load, amps: float | None, limit: int = 100) -> int:
        """How many readings until `kind` stands."""
        for count in range(1, limit + 1):
            if kind in self.see(load, amps).kinds:
                return count
        raise AssertionError(f"{kind} not found in {limit} readings")


@pytest.mark.parametrize(
    ("rms", "amps"), [(0.0, 4.0), (-6.0206, 2.125), (-20.0, 0.625), (-60.0, 0.25375), (-120.0, 0.25)]
)
def test_expected_current(rms: float, amps: float) -> None:
    assert LIMITS.expected_amps(rms) == pytest.approx(amps, abs=1e-3)


def test_all_well() -> None:
    judge_ = Judge()
    assert judge_.see(IDLE, 0.25, times=10).kind is Kind.OK
    finding = judge_.see(LOUD, 0.25 + sound_amps(-12), times=10)
    assert (finding.kind, finding.drawing, finding.kinds) == (Kind.OK, True, frozenset())
    assert finding.detail(LIMITS) == "1.19 A of 1.19 A expected at -12 dBFS, 24.0 V (normal 22 to 30)"


@pytest.mark.parametrize(("part", "found"), [(0.0, True), (0.39, True), (0.41, False), (1.0, False)])
def test_an_open_line_draws_less_than_40_percent(part: float, found: bool) -> None:
    judge_ = Judge()
    finding = judge_.see(LOUD, 0.25 + part * sound_amps(-12), times=JUDGED_FROM)
    assert (finding.kind is Kind.LINE_OPEN) is found
    assert finding.drawing is (not found)


@pytest.mark.parametrize(("part", "found"), [(1.0, False), (1.69, False), (1.71, True), (5.0, True)])
def test_a_short_draws_more_than_170_percent(part: float, found: bool) -> None:
    finding = Judge().see(LOUD, 0.25 + part * sound_amps(-12), times=JUDGED_FROM + 1)
    assert (finding.kind is Kind.LINE_SHORT) is found


def test_a_short_without_sound_draws_three_times_idle() -> None:
    assert Judge().see(IDLE, 0.74, times=10).kind is Kind.OK
    assert Judge().until(Kind.LINE_SHORT, IDLE, 0.76) <= IN_A_ROW
    tiny = Judge(MeterLimits(idle_amps=0.01, full_amps=4.0))
    assert tiny.see(IDLE, 0.05, times=10).kind is Kind.OK  # thrice nothing is nothing


@pytest.mark.parametrize("rms", [-3.0, -12.0, -20.0, -26.0])
def test_a_horn_that_dies_while_it_plays_is_found_in_fifteen_seconds(rms: float) -> None:
    load = Load(settled=True, unmuted=True, rms_dbfs=rms)
    judge_ = Judge()
    assert judge_.see(load, 0.25 + sound_amps(rms), times=60).kind is Kind.OK
    assert judge_.until(Kind.LINE_OPEN, load, 0.25) <= 15
    assert judge_.see(load, 0.25 + sound_amps(rms), times=15).kind is Kind.OK  # repaired


def test_one_of_three_horns_is_not_judged_dead_by_the_sum() -> None:
    assert Judge().see(LOUD, 0.25 + 0.67 * sound_amps(-12), times=30).kind is Kind.OK


def test_too_quiet_to_tell_is_not_judged() -> None:
    quiet = Load(settled=True, unmuted=True, rms_dbfs=-40.0)
    finding = Judge().see(quiet, 0.25, times=30)
    assert (finding.kind, finding.drawing) == (Kind.OK, None)
    unknown = Load(settled=True, unmuted=True)
    assert Judge().see(unknown, 0.25, times=30).drawing is None


def test_no_power() -> None:
    assert Judge().see(IDLE, 0.0, times=2).kind is Kind.OK
    assert Judge().see(IDLE, 0.0, times=3).kind is Kind.NO_POWER
    assert Judge().see(IDLE, None, volts=0.3, times=3).kind is Kind.NO_POWER
    assert Judge().see(OFF, 0.0, volts=0.0, times=30).kind is Kind.OK
    judge_ = Judge()
    judge_.see(LOUD, 0.0, times=10)
    assert judge_.watch.standing == {Kind.NO_POWER}  # no power explains that no sound current flows
    assert judge_.see(OFF, 0.0, times=10).kind is Kind.NO_POWER  # still so, until seen otherwise
    assert judge_.see(IDLE, 0.25, times=3).kind is Kind.OK


def test_low_and_high_supply() -> None:
    judge_ = Judge()
    assert judge_.see(IDLE, 0.25, volts=21.9, times=3).kind is Kind.DC_LOW
    assert judge_.see(IDLE, 0.25, volts=22.1, times=10).kind is Kind.DC_LOW  # hysteresis
    assert judge_.see(IDLE, 0.25, volts=22.5, times=3).kind is Kind.OK
    assert judge_.see(IDLE, 0.25, volts=30.1, times=3).kind is Kind.DC_HIGH
    assert Judge(MeterLimits()).see(IDLE, None, volts=3.0, times=10).kind is Kind.OK


def test_warm_and_hot() -> None:
    judge_ = Judge()
    assert judge_.see(OFF, celsius=69.0, times=10).kind is Kind.OK
    assert judge_.see(OFF, celsius=70.0, times=3).kind is Kind.WARM
    assert judge_.see(OFF, celsius=86.0).kind is Kind.WARM
    hot = judge_.see(OFF, celsius=86.0)
    assert hot.kind is Kind.HOT
    assert hot.kinds == {Kind.HOT, Kind.WARM}
    assert judge_.see(OFF, celsius=80.0, times=10).kind is Kind.HOT
    assert judge_.see(OFF, celsius=74.0, times=10).kind is Kind.WARM
    assert judge_.see(OFF, celsius=60.0, times=10).kind is Kind.OK


def test_nothing_is_judged_by_currents_that_were_not_learnt() -> None:
    limits = MeterLimits(low_volts=22.0)
    for load in (IDLE, LOUD):
        finding = Judge(limits).see(load, 50.0, times=30)
        assert (finding.kind, finding.drawing, finding.amps) == (Kind.OK, None, 50.0)
    idle_only = MeterLimits(idle_amps=0.25)
    assert Judge(idle_only).see(LOUD, 50.0, times=30).kind is Kind.OK
    assert Judge(idle_only).see(IDLE, 50.0, times=30).kind is Kind.LINE_SHORT


def test_an_absent_value_is_absent() -> None:
    finding = Judge().see(LOUD, None, volts=None, times=30)
    assert (finding.kind, finding.kinds, finding.drawing, finding.detail(LIMITS)) == (
        Kind.OK,
        frozenset(),
        None,
        "",
    )


def test_a_short_stands_while_off_and_is_not_confirmed_by_that() -> None:
    judge_ = Judge()
    judge_.see(LOUD, 9.0, times=15)
    off = judge_.see(OFF, 0.0, times=10)
    assert off.kinds == {Kind.LINE_SHORT}
    assert off.confirmed == frozenset()
    assert judge_.see(LOUD, 0.25 + sound_amps(-12)).confirmed == frozenset()


def as_spoken(seed: int, part: float, readings: int) -> Iterable[tuple[Load, float]]:
    """Speech with pauses; the level told is that of two periods, the current that of a moment in one."""
    dice = random.Random(seed)

    def period() -> float:
        return dice.uniform(-60.0, -40.0) if dice.random() < 0.25 else min(0.0, dice.gauss(-19.0, 5.0))

    now = period()
    for _ in range(readings):
        before, now = now, period()
        told = 20 * math.log10((10 ** (before / 20) + 10 ** (now / 20)) / 2)
        metered = min(0.0, now + dice.gauss(0.0, 4.0))
        yield (
            Load(settled=True, unmuted=True, rms_dbfs=told),
            0.25 * dice.uniform(0.8, 1.2) + part * sound_amps(metered),
        )


@pytest.mark.parametrize("seed", range(5))
def test_an_hour_of_speech_raises_no_false_alarm(seed: int) -> None:
    judge_ = Judge()
    for load, amps in as_spoken(seed, 1.0, 3600):
        assert judge_.see(load, amps).kind is Kind.OK


@pytest.mark.parametrize("seed", range(20))
def test_speech_hides_no_dead_horn(seed: int) -> None:
    judge_ = Judge()
    for load, amps in as_spoken(seed, 1.0, 100):
        judge_.see(load, amps)
    dead = as_spoken(seed + 50, 0.02, 100)
    taken = next(n for n, (load, amps) in enumerate(dead) if Kind.LINE_OPEN in judge_.see(load, amps).kinds)
    assert taken <= 25  # a second each


normal = st.sampled_from(
    [
        (IDLE, 0.25),
        (OFF, 0.0),
        *((Load(True, True, rms), 0.25 + sound_amps(rms)) for rms in (-3.0, -12.0, -20.0, -28.0, -50.0)),
    ]
)


@settings(deadline=None)
@given(
    before=st.lists(normal, max_size=30),
    odd=st.tuples(
        st.floats(0, 100),
        st.floats(0, 100),
        st.floats(-40, 150),
        st.sampled_from([IDLE, OFF, LOUD, Load(True, True, -28.0), Load(True, True, 0.0)]),
    ),
    after=st.lists(normal, max_size=30),
)
def test_one_odd_reading_does_nothing(
    before: list[tuple[Load, float]],
    odd: tuple[float, float, float, Load],
    after: list[tuple[Load, float]],
) -> None:
    judge_ = Judge()
    for load, amps in before:
        assert judge_.see(load, amps, celsius=40.0).kind is Kind.OK
    amps, volts, celsius, load = odd
    assert judge_.see(load, amps, volts=volts, celsius=celsius).kind is Kind.OK
    for load, amps in after:
        assert judge_.see(load, amps, celsius=40.0).kind is Kind.OK


readings = st.tuples(
    st.one_of(st.none(), st.floats(0, 100)),
    st.one_of(st.none(), st.floats(0, 100)),
    st.one_of(st.none(), st.floats(-40, 150)),
    st.builds(Load, st.booleans(), st.booleans(), st.one_of(st.none(), st.floats(-120, 0))),
)


@settings(deadline=None)
@given(history=st.lists(readings, max_size=60))
def test_a_finding_is_what_stands_and_the_memory_is_bounded(
    history: list[tuple[float | None, float | None, float | None, Load]],
) -> None:
    judge_ = Judge()
    for volts, amps, celsius, load in history:
        finding = judge_.see(load, amps, volts=volts, celsius=celsius)
        assert finding.confirmed <= finding.kinds == judge_.watch.standing
        assert (finding.kind is Kind.OK) is (not finding.kinds)
        assert (finding.amps, finding.volts, finding.temperature_c) == (amps, volts, celsius)
        assert len(judge_.watch.pairs) <= WINDOW
        assert len(judge_.watch.rows) <= len(Kind)


NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)


@pytest.mark.parametrize(
    ("last", "trust", "quiet_for", "due"),
    [
        (None, ClockTrust.UNKNOWN, HOUR, True),
        (None, ClockTrust.RTC, timedelta(minutes=9), False),
        (None, ClockTrust.RTC, timedelta(minutes=10), True),
        (NOW - WEEK, ClockTrust.SYNCHRONISED, None, True),
        (NOW - WEEK, ClockTrust.RESTORED, None, True),
        (NOW - WEEK, ClockTrust.UNKNOWN, None, False),
        (NOW - WEEK + HOUR, ClockTrust.SYNCHRONISED, None, False),
        (NOW + WEEK, ClockTrust.SYNCHRONISED, None, True),
        (NOW + WEEK, ClockTrust.RTC, None, False),
    ],
)
def test_silent_test_due(
    last: datetime | None, trust: ClockTrust, quiet_for: timedelta | None, due: bool
) -> None:
    assert silent_test_due(last, NOW, trust, quiet_for) is due
