"""Verdicts at their edges, and evidence gathered from samples."""

from __future__ import annotations

from typing import Any

import pytest

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
    spans = (gatherer._sounding, gatherer._sensed, gatherer._covered)
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
