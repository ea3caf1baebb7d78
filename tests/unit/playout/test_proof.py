"""Verdicts at their edges, and evidence gathered from samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.report import Evidence, Verdict
from agent.playout.proof import Gatherer, join, rounded, verdict

MS = 1_000_000
GOOD = Evidence(
    output_rms_dbfs=-18.0, output_peak_dbfs=-2.0, sounding_ms=100_000, sensed_ms=100_000, amplifier_on=True
)


def proof(**changes: Any) -> Evidence:
    values = {name: getattr(GOOD, name) for name in GOOD.__dataclass_fields__} | changes
    return Evidence(**values)


@pytest.mark.parametrize(
    ("played_ms", "evidence", "expected"),
    [
        (100_000, GOOD, Verdict.HEARD),
        (100_000, proof(sensed_ms=90_000), Verdict.HEARD),
        (100_000, proof(sensed_ms=89_999), Verdict.PARTIAL),
        (100_000, proof(sensed_ms=5_000), Verdict.PARTIAL),
        (100_000, proof(sensed_ms=4_999), Verdict.SILENT),
        (100_000, proof(sensed_ms=0), Verdict.SILENT),
        (97_500, GOOD, Verdict.HEARD),
        (97_499, GOOD, Verdict.PARTIAL),
        (100_000, proof(amplifier_on=False), Verdict.PARTIAL),
        (100_000, proof(failed_items=("a: unreadable",)), Verdict.PARTIAL),
        # Without a sensor sound is never claimed, silence only if the card proves it.
        (100_000, proof(sensed_ms=None), Verdict.UNKNOWN),
        (1_000, proof(sensed_ms=None, sounding_ms=500), Verdict.UNKNOWN),
        (100_000, proof(sensed_ms=None, sounding_ms=0, output_rms_dbfs=-90.0), Verdict.SILENT),
        (0, proof(sensed_ms=None, sounding_ms=0, output_rms_dbfs=None), Verdict.SILENT),
        (100_000, proof(sensed_ms=None, sounding_ms=0, output_rms_dbfs=None), Verdict.UNKNOWN),
        (100_000, proof(sensed_ms=0, sounding_ms=0), Verdict.SILENT),
        # Any one measurement after the amplifier will do, unless another one says the contrary.
        (100_000, proof(sensed_ms=None, microphone_ms=95_000), Verdict.HEARD),
        (100_000, proof(sensed_ms=None, drawn_ms=90_000), Verdict.HEARD),
        (100_000, proof(microphone_ms=40_000), Verdict.HEARD),
        (100_000, proof(microphone_ms=4_999), Verdict.PARTIAL),
        (100_000, proof(sensed_ms=4_999, microphone_ms=100_000), Verdict.PARTIAL),
        (100_000, proof(drawn_ms=0), Verdict.PARTIAL),  # sound on the line, and no horn to draw current
        (100_000, proof(sensed_ms=0, microphone_ms=0, drawn_ms=0), Verdict.SILENT),
        (100_000, proof(sensed_ms=None, microphone_ms=89_000, drawn_ms=50_000), Verdict.PARTIAL),
        (100_000, proof(sensed_ms=None, supply_amps=2.0), Verdict.UNKNOWN),
    ],
)
def test_verdict(played_ms: int, evidence: Evidence, expected: Verdict) -> None:
    assert verdict(100_000, played_ms, evidence) is expected


def gathered(seconds: int, *, rms: float = -20.0, lag_ms: int = 0, active: bool = True) -> Gatherer:
    """Levels every 500 ms; readings every 250 ms, over which the line follows the card by `lag_ms`."""
    gatherer = Gatherer()
    begin = 10**12
    for tick in range(0, seconds * 1000 + 2000, 250):
        at_ns = begin + tick * MS
        if tick % 500 == 0 and 0 < tick <= seconds * 1000:
            gatherer.add_level(rms, rms + 10, 500, at_ns)
        gatherer.add_sense(active and lag_ms <= tick < seconds * 1000 + lag_ms, None, at_ns)
    gatherer.add_amplifier(on=True, fault=None)
    return gatherer


@pytest.mark.parametrize("seconds", [1, 2, 60, 3600])
@pytest.mark.parametrize("lag_ms", [0, 250, 400])
def test_a_sensor_that_lags_within_its_limit_has_sensed_it_all(seconds: int, lag_ms: int) -> None:
    evidence = gathered(seconds, lag_ms=lag_ms).evidence()
    assert evidence.sounding_ms == seconds * 1000
    assert evidence.sensed_ms is not None
    assert evidence.sensed_ms >= 0.9 * evidence.sounding_ms
    assert verdict(seconds * 1000, seconds * 1000, evidence) is Verdict.HEARD


def test_sensed_time_never_exceeds_sounding_time() -> None:
    evidence = gathered(5).evidence()
    assert evidence.sensed_ms == evidence.sounding_ms == 5000


def test_a_dead_line_is_silent() -> None:
    evidence = gathered(10, active=False).evidence()
    assert (evidence.sounding_ms, evidence.sensed_ms) == (10_000, 0)
    assert verdict(10_000, 10_000, evidence) is Verdict.SILENT


def test_a_line_that_died_half_way_is_partial() -> None:
    gatherer = Gatherer()
    gatherer.add_amplifier(on=True, fault=False)
    for tick in range(1, 41):
        gatherer.add_level(-20, -10, 500, tick * 500 * MS)
        gatherer.add_sense(tick <= 20, None, tick * 500 * MS)
    evidence = gatherer.evidence()
    assert evidence.sensed_ms is not None
    assert 9_500 <= evidence.sensed_ms <= 11_000
    assert verdict(20_000, 20_000, evidence) is Verdict.PARTIAL


def test_no_readings_and_few_readings_measure_nothing() -> None:
    without = Gatherer()
    few = Gatherer()
    few.add_sense(True, None, 500 * MS)
    for tick in range(1, 41):
        without.add_level(-20, -10, 500, tick * 500 * MS)
        few.add_level(-20, -10, 500, tick * 500 * MS)
    assert without.evidence().sensed_ms is None
    assert few.evidence().sensed_ms is None  # one reading does not stand for 20 s


def test_sound_sensed_while_the_card_was_silent_does_not_count() -> None:
    gatherer = Gatherer()
    for tick in range(1, 21):
        gatherer.add_level(-90.0, -80.0, 500, tick * 500 * MS)
        gatherer.add_sense(True, None, tick * 500 * MS)
    evidence = gatherer.evidence()
    assert (evidence.sounding_ms, evidence.sensed_ms) == (0, 0)
    assert verdict(10_000, 10_000, evidence) is Verdict.SILENT


@pytest.mark.parametrize(("rms", "sounding_ms"), [(-60.0, 0), (-59.9, 500), (-120.0, 0), (0.0, 500)])
def test_audible_begins_above_minus_60_dbfs(rms: float, sounding_ms: int) -> None:
    gatherer = Gatherer()
    gatherer.add_level(rms, rms, 500, 10**9)
    assert gatherer.evidence().sounding_ms == sounding_ms


def test_mean_level_is_by_energy_and_time() -> None:
    gatherer = Gatherer()
    gatherer.add_level(-20.0, -3.0, 500, 500 * MS)
    gatherer.add_level(-120.0, -120.0, 500, 1000 * MS)
    assert gatherer.evidence().output_rms_dbfs == pytest.approx(-23.01, abs=0.01)
    gatherer.add_level(-20.0, -9.0, 3000, 4000 * MS)
    assert gatherer.evidence().output_rms_dbfs == pytest.approx(-20.58, abs=0.01)
    assert gatherer.evidence().output_peak_dbfs == -3.0


def test_nothing_gathered_says_nothing() -> None:
    assert Gatherer().evidence() == Evidence()


def test_digital_silence_has_a_floor() -> None:
    gatherer = Gatherer()
    gatherer.add_level(-500.0, -120.0, 500, 10**9)
    assert gatherer.evidence().output_rms_dbfs == pytest.approx(-120.0)


def test_line_level_amplifier_and_failures_are_kept() -> None:
    gatherer = Gatherer()
    gatherer.add_sense(True, -30.0, 10**9)
    gatherer.add_amplifier(on=True, fault=None)
    assert gatherer.evidence().amplifier_on
    assert gatherer.evidence().amplifier_fault is None
    gatherer.add_amplifier(on=True, fault=True)
    gatherer.add_amplifier(on=False, fault=False)
    gatherer.add_amplifier(on=True, fault=None)
    gatherer.add_failed("bulletin", "unreadable")
    gatherer.add_failed("bulletin", "unreadable")
    evidence = gatherer.evidence()
    assert evidence.line_rms_dbfs == pytest.approx(-30.0)
    assert (evidence.amplifier_on, evidence.amplifier_fault) == (False, True)
    assert evidence.failed_items == ("bulletin: unreadable",)


def test_speech_with_pauses_for_hours_is_counted_exactly_in_bounded_memory() -> None:
    gatherer = Gatherer()
    for second in range(1, 20_001):
        gatherer.add_level(-20.0 if second % 2 else -90.0, -10.0, 1000, second * 1000 * MS)
        gatherer.add_sense(True, None, second * 1000 * MS)
    evidence = gatherer.evidence()
    # The first reading came when the first second was over: 600 ms of it lie beyond its reach.
    assert (evidence.sounding_ms, evidence.sensed_ms) == (10_000_000, 9_999_400)
    spans = (gatherer._sounding, gatherer._sense)
    assert max(len(one) for one in spans) <= 256


def test_evidence_before_and_after_a_restart_is_joined() -> None:
    later = proof(output_peak_dbfs=-1.0, sounding_ms=50_000, sensed_ms=10_000, failed_items=("b: truncated",))
    both = join(GOOD, later)
    assert (both.sounding_ms, both.sensed_ms, both.output_peak_dbfs) == (150_000, 110_000, -1.0)
    assert both.output_rms_dbfs == pytest.approx(-18.0)
    assert (both.amplifier_on, both.failed_items) == (True, ("b: truncated",))
    assert join(GOOD, proof(sensed_ms=None)).sensed_ms is None
    assert join(GOOD, proof(amplifier_on=False)).amplifier_on is False
    assert join(Evidence(), GOOD) == GOOD
    assert join(Evidence(), Evidence()) == Evidence()
    assert join(proof(amplifier_fault=False), proof(amplifier_fault=None)).amplifier_fault is False


def test_levels_are_sent_to_a_tenth_of_a_db() -> None:
    assert rounded(proof(output_rms_dbfs=-18.04, line_rms_dbfs=None)).output_rms_dbfs == -18.0


# --- microphone and supply current -----------------------------------------------------------------------


def spoken(seconds: int, *, microphone: str) -> Gatherer:
    """Speech with pauses; the microphone hears `us`, the `street`, is `deaf` or `absent`."""
    gatherer = Gatherer()
    gatherer.add_amplifier(on=True, fault=None)
    for tick in range(1, seconds * 2 + 1):
        at_ns = tick * 500 * MS
        ours = -20.0 - (tick * 7 % 5) * 4 - (tick % 3 == 0) * 15
        gatherer.add_level(ours, ours + 8, 500, at_ns)
        heard = {"us": ours - 15, "street": -30.0 + (tick * 13 % 7) / 3, "deaf": -90.0}.get(microphone)
        if heard is not None:
            gatherer.add_microphone(True, heard, at_ns - 100 * MS)
    return gatherer


@pytest.mark.parametrize(
    ("microphone", "expected"),
    [
        ("us", Verdict.HEARD),
        ("street", Verdict.SILENT),
        ("deaf", Verdict.SILENT),
        ("absent", Verdict.UNKNOWN),
    ],
)
@pytest.mark.parametrize("seconds", [10, 60, 2000])
def test_a_microphone_proves_sound_only_by_hearing_us(
    seconds: int, microphone: str, expected: Verdict
) -> None:
    evidence = spoken(seconds, microphone=microphone).evidence()
    assert evidence.sounding_ms == seconds * 1000
    assert verdict(seconds * 1000, seconds * 1000, evidence) is expected


def test_a_microphone_without_level_can_only_prove_silence() -> None:
    for active in (True, False):
        gatherer = Gatherer()
        for tick in range(1, 61):
            gatherer.add_level(-20.0 - tick % 4 * 8, -10.0, 500, tick * 500 * MS)
            gatherer.add_microphone(active, None, tick * 500 * MS)
        assert gatherer.evidence().microphone_ms == (None if active else 0)


def test_a_known_floor_lets_the_microphone_judge_a_tone() -> None:
    gatherer = Gatherer()
    gatherer.microphone_floor(-50.0)
    for tick in range(1, 41):
        gatherer.add_level(-12.0, -9.0, 500, tick * 500 * MS)
        gatherer.add_microphone(True, -35.0, tick * 500 * MS)
    assert gatherer.evidence().microphone_ms == 20_000
    assert gatherer.microphone_hears is True


def supplied(drawing: Sequence[bool | None]) -> Evidence:
    """A reading each second."""
    gatherer = Gatherer()
    gatherer.add_amplifier(on=True, fault=None)
    for second, draws in enumerate(drawing, start=1):
        gatherer.add_level(-20, -10, 500, second * 1000 * MS - 500 * MS)
        gatherer.add_level(-20, -10, 500, second * 1000 * MS)
        gatherer.add_supply(1.5 if draws else 0.3, draws, second * 1000 * MS)
    return gatherer.evidence()


def test_the_current_drawn_is_evidence() -> None:
    drawn = supplied([True] * 30)
    assert drawn.drawn_ms == 30_000
    assert drawn.supply_amps == pytest.approx(1.5)
    assert verdict(30_000, 30_000, drawn) is Verdict.HEARD
    dead = supplied([False] * 30)
    assert dead.drawn_ms == 0
    assert dead.supply_amps == pytest.approx(0.3)
    assert verdict(30_000, 30_000, dead) is Verdict.SILENT
    quiet = supplied([None] * 30)
    assert quiet.drawn_ms is None
    assert quiet.supply_amps == pytest.approx(0.3)
    assert verdict(30_000, 30_000, quiet) is Verdict.UNKNOWN


def test_a_horn_cut_half_way_is_partial_by_its_current() -> None:
    cut = supplied([True] * 30 + [False] * 30)
    assert cut.drawn_ms is not None
    assert 28_000 <= cut.drawn_ms <= 34_000
    assert verdict(60_000, 60_000, cut) is Verdict.PARTIAL


def test_new_evidence_is_joined_over_a_restart() -> None:
    earlier = proof(microphone_ms=90_000, drawn_ms=100_000, supply_amps=1.0)
    later = proof(sounding_ms=300_000, microphone_ms=10_000, drawn_ms=None, supply_amps=2.0)
    both = join(earlier, later)
    assert (both.microphone_ms, both.drawn_ms) == (100_000, None)
    assert both.supply_amps == pytest.approx(1.75)
    assert join(Evidence(), earlier) == earlier
    assert rounded(proof(supply_amps=1.2345)).supply_amps == 1.23


share = st.one_of(st.none(), st.integers(0, 100_000))


@settings(deadline=None)
@given(sensed=share, microphone=share, drawn=share, on=st.booleans(), played=st.integers(0, 100_000))
def test_heard_is_never_said_without_a_measurement_nor_against_one(
    sensed: int | None, microphone: int | None, drawn: int | None, on: bool, played: int
) -> None:
    evidence = proof(sensed_ms=sensed, microphone_ms=microphone, drawn_ms=drawn, amplifier_on=on)
    measured = [one for one in (sensed, microphone, drawn) if one is not None]
    said = verdict(100_000, played, evidence)
    if said is Verdict.HEARD:
        assert max(measured) >= 90_000
        assert min(measured) >= 5_000
        assert on
    if not measured:
        assert said is (Verdict.UNKNOWN if played else Verdict.SILENT)
    if said is Verdict.SILENT and played:
        assert max(measured) < 5_000


@settings(deadline=None)
@given(
    levels=st.lists(st.floats(-120, 0), max_size=40),
    readings=st.lists(st.tuples(st.booleans(), st.one_of(st.none(), st.floats(-120, 0))), max_size=40),
)
def test_no_source_finds_more_sound_than_there_was(
    levels: list[float], readings: list[tuple[bool, float | None]]
) -> None:
    gatherer = Gatherer()
    for tick, dbfs in enumerate(levels, start=1):
        gatherer.add_level(dbfs, dbfs, 500, tick * 500 * MS)
    for tick, (active, heard) in enumerate(readings, start=1):
        gatherer.add_sense(active, heard, tick * 400 * MS)
        gatherer.add_microphone(active, heard, tick * 450 * MS)
        gatherer.add_supply(heard, active, tick * 700 * MS)
    evidence = gatherer.evidence()
    for found in (evidence.sensed_ms, evidence.microphone_ms, evidence.drawn_ms):
        assert found is None or 0 <= found <= evidence.sounding_ms
    if not readings:
        assert (evidence.sensed_ms, evidence.microphone_ms, evidence.drawn_ms) == (None, None, None)
