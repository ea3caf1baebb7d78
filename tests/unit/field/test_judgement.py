"""What each test concludes from what was measured; nothing passes that was not measured."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from agent.field.controls import Busy, BusyCause, ClockReading, Sample
from agent.field.findings import Finding, Limits, Outcome, SelfTestKind, Window, is_audible, summarise
from agent.field.judgement import Judge
from agent.field.selftest import sentence
from agent.model.bulletin import ClockTrust
from agent.model.issue import Fault
from agent.model.report import CutReason, Evidence, MissedReason, Verdict
from agent.model.text import catalogue
from tests.unit.field.doubles import BARE, BARE_LOUD, LOUD, NOW, QUIET, a_test_record

LEARNT = Limits(idle_amps=0.25, full_amps=4.0, low_volts=20, high_volts=30)
PASSED, FAILED, UNMEASURED = Outcome.PASSED, Outcome.FAILED, Outcome.UNMEASURED


def judge(kind: SelfTestKind, limits: Limits = LEARNT) -> Judge:
    return Judge(kind, "main", limits)


def concluded(finding: Finding) -> tuple[Outcome, str, Fault | None]:
    """The conclusion, after checking that people can be told."""
    for language in ("vi", "en"):
        assert sentence(finding, language)
    texts = catalogue("vi")
    assert finding.outcome is PASSED or finding.fault or f"test.do.{finding.reason}" in texts
    assert {one.name for one in finding.measures if f"test.measure.{one.name}" not in texts} == set()
    return finding.outcome, finding.reason, finding.fault


def proof(**changes: object) -> Evidence:
    return replace(a_test_record().evidence, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (a_test_record(), (PASSED, "heard", None)),
        (a_test_record(Verdict.UNKNOWN, proof(sensed_ms=None)), (UNMEASURED, "no_sensor", None)),
        (a_test_record(Verdict.PARTIAL), (FAILED, "partial", None)),
        (a_test_record(Verdict.SILENT, proof(sensed_ms=0)), (FAILED, "line_silent", Fault.LINE_SILENT)),
        (a_test_record(evidence=proof(microphone_ms=0)), (FAILED, "microphone_deaf", Fault.MICROPHONE_DEAF)),
        (a_test_record(Verdict.SILENT), (FAILED, "output_silent", Fault.OUTPUT_SILENT)),
        (a_test_record(Verdict.SILENT, Evidence()), (FAILED, "output_silent", Fault.OUTPUT_SILENT)),
        (
            a_test_record(evidence=proof(failed_items=("s: unreadable",))),
            (FAILED, "output_silent", Fault.OUTPUT_SILENT),
        ),
        (
            a_test_record(evidence=proof(amplifier_fault=True)),
            (FAILED, "amplifier_fault", Fault.AMPLIFIER_FAULT),
        ),
        (a_test_record(cut=CutReason.PREEMPTED), (UNMEASURED, "cut", None)),
        (a_test_record(cut=CutReason.SAFETY_STOP), (UNMEASURED, "cut", None)),
        (a_test_record(missed=MissedReason.PREEMPTED), (UNMEASURED, "cut", None)),
        (a_test_record(missed=MissedReason.AUDIO), (FAILED, "no_audio", Fault.AUDIO_CARD_MISSING)),
        (a_test_record(cut=CutReason.AUDIO), (FAILED, "no_audio", Fault.AUDIO_CARD_MISSING)),
    ],
)
def test_a_tone_passes_only_when_it_was_measured_at_the_horn(
    record: object, expected: tuple[Outcome, str, Fault | None]
) -> None:
    assert concluded(judge(SelfTestKind.TONE).sound(record, Window())) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sample", "limits", "expected"),
    [
        (QUIET, LEARNT, (PASSED, "amplifier_good", None)),
        (QUIET, Limits(), (PASSED, "amplifier_good", None)),
        (BARE, LEARNT, (UNMEASURED, "no_amplifier", None)),
        (Sample(powered=True), LEARNT, (UNMEASURED, "amplifier_unseen", None)),
        (Sample(powered=True, fault=False), LEARNT, (PASSED, "amplifier_good", None)),
        (Sample(powered=False), LEARNT, (FAILED, "amplifier_off", Fault.AMPLIFIER_UNAVAILABLE)),
        (replace(QUIET, fault=True), LEARNT, (FAILED, "amplifier_fault", Fault.AMPLIFIER_FAULT)),
        (replace(QUIET, volts=0.2), Limits(), (FAILED, "volts_low", Fault.AMPLIFIER_NO_POWER)),
        (replace(QUIET, volts=19.9), LEARNT, (FAILED, "volts_low", Fault.AMPLIFIER_NO_POWER)),
        (replace(QUIET, volts=30.1), LEARNT, (FAILED, "volts_high", None)),
        (replace(QUIET, temperature_c=85.0), LEARNT, (FAILED, "hot", Fault.AMPLIFIER_HOT)),
        (replace(QUIET, amps=0.33), LEARNT, (FAILED, "idle_high", None)),
        (replace(QUIET, amps=0.17), LEARNT, (FAILED, "idle_low", Fault.AMPLIFIER_NO_POWER)),
        (replace(QUIET, amps=0.32), LEARNT, (PASSED, "amplifier_good", None)),
    ],
)
def test_an_amplifier_is_judged_by_fault_pin_supply_heat_and_idle_current(
    sample: Sample, limits: Limits, expected: tuple[Outcome, str, Fault | None]
) -> None:
    finding = judge(SelfTestKind.AMP, limits).amplifier(a_test_record(), summarise([sample] * 3), None)
    assert concluded(finding) == expected


def expected_amps(share: float) -> float:
    """Supply current when the line draws `share` of what the learnt values say for a tone at -15 dBFS."""
    return 0.25 + share * 3.75 * 10 ** (-15.0 / 20)


@pytest.mark.parametrize(
    ("before", "during", "limits", "expected"),
    [
        (QUIET, replace(LOUD, amps=expected_amps(1.0)), LEARNT, (PASSED, "line_good", None)),
        (QUIET, replace(LOUD, amps=expected_amps(0.39)), LEARNT, (FAILED, "line_open", Fault.LINE_OPEN)),
        (QUIET, replace(LOUD, amps=expected_amps(0.41)), LEARNT, (PASSED, "line_good", None)),
        (QUIET, replace(LOUD, amps=expected_amps(1.71)), LEARNT, (FAILED, "line_short", Fault.LINE_SHORT)),
        (QUIET, LOUD, Limits(), (PASSED, "line_good", None)),
        (QUIET, replace(LOUD, line_active=False), Limits(), (FAILED, "line_silent", Fault.LINE_SILENT)),
        (replace(QUIET, line_active=True), LOUD, LEARNT, (FAILED, "line_noise", None)),
        (BARE, BARE_LOUD, LEARNT, (UNMEASURED, "no_line_sensor", None)),
        (
            replace(QUIET, line_active=None), replace(LOUD, line_active=None), Limits(),
            (UNMEASURED, "no_reference", None),
        ),
        (
            replace(QUIET, line_active=None), replace(LOUD, line_active=None, amps=expected_amps(1.1)), LEARNT,
            (PASSED, "line_good", None),
        ),
    ],
)  # fmt: skip
def test_a_line_is_judged_by_its_sensor_and_by_what_it_draws(
    before: Sample, during: Sample, limits: Limits, expected: tuple[Outcome, str, Fault | None]
) -> None:
    found = judge(SelfTestKind.LINE, limits).line(a_test_record(), summarise([before]), summarise([during]))
    assert concluded(found) == expected


def test_a_line_test_on_a_good_line_tells_the_current_at_full_level() -> None:
    during = summarise([replace(LOUD, amps=expected_amps(1.0))])
    found = judge(SelfTestKind.LINE, Limits()).line(a_test_record(), summarise([QUIET]), during)
    assert {one.name: one.value for one in found.measures}["full_amps"] == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("before", "during", "expected"),
    [
        (QUIET, LOUD, (PASSED, "microphone_good", None)),
        (
            QUIET, replace(LOUD, microphone_dbfs=-64.1),
            (FAILED, "microphone_deaf", Fault.MICROPHONE_DEAF),
        ),
        (QUIET, replace(LOUD, microphone_dbfs=-64.0), (PASSED, "microphone_good", None)),
        (BARE, BARE_LOUD, (UNMEASURED, "no_microphone", None)),
        (Sample(microphone_active=False), Sample(microphone_active=True), (PASSED, "microphone_good", None)),
        (Sample(microphone_active=True), Sample(microphone_active=True), (UNMEASURED, "noisy_place", None)),
        (
            Sample(microphone_active=False), Sample(microphone_active=False),
            (FAILED, "microphone_deaf", Fault.MICROPHONE_DEAF),
        ),
    ],
)  # fmt: skip
def test_a_microphone_must_hear_the_tone_above_the_noise(
    before: Sample, during: Sample, expected: tuple[Outcome, str, Fault | None]
) -> None:
    found = judge(SelfTestKind.MIC).microphone(a_test_record(), summarise([before]), summarise([during]))
    assert concluded(found) == expected


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        (ClockReading(NOW, ClockTrust.SYNCHRONISED, 4.0, NOW), (PASSED, "clock_good", None)),
        (ClockReading(NOW, ClockTrust.SYNCHRONISED, None, NOW), (PASSED, "clock_good", None)),
        (ClockReading(NOW, ClockTrust.SYNCHRONISED, 4.0, None), (PASSED, "clock_no_rtc", None)),
        (ClockReading(NOW, ClockTrust.RTC, None, NOW), (PASSED, "clock_rtc", None)),
        (
            ClockReading(NOW, ClockTrust.RESTORED, None, NOW),
            (FAILED, "clock_untrusted", Fault.CLOCK_UNTRUSTED),
        ),
        (
            ClockReading(NOW, ClockTrust.UNKNOWN, None, None),
            (FAILED, "clock_untrusted", Fault.CLOCK_UNTRUSTED),
        ),
        (ClockReading(NOW, ClockTrust.SYNCHRONISED, 101.0, NOW), (FAILED, "clock_error", None)),
        (
            ClockReading(NOW, ClockTrust.SYNCHRONISED, 4.0, NOW - timedelta(seconds=4)),
            (FAILED, "rtc_wrong", None),
        ),
    ],
)
def test_a_clock_is_judged_by_trust_error_and_chip(
    reading: ClockReading, expected: tuple[Outcome, str, Fault | None]
) -> None:
    assert concluded(judge(SelfTestKind.CLOCK).clock(reading)) == expected


@pytest.mark.parametrize("cause", BusyCause)
def test_every_refusal_can_be_told(cause: BusyCause) -> None:
    finding = judge(SelfTestKind.TONE).refused(Busy(cause, "Bản tin sáng", NOW))
    assert concluded(finding) == (Outcome.REFUSED, f"busy_{cause.value}", None)
    assert (finding.title, finding.until) == ("Bản tin sáng", NOW)


def test_a_window_keeps_what_was_measured_and_leaves_out_what_was_not() -> None:
    window = summarise([QUIET, LOUD, replace(LOUD, line_active=False, volts=23.0, fault=None)], is_audible)
    assert (window.line_share, window.volts, window.fault) == (0.5, 23.0, False)
    assert window.output_dbfs == -15.0
    assert summarise([], is_audible) == Window()
    assert summarise([BARE]) == Window()


def test_every_text_of_a_test_belongs_to_a_reason_that_exists() -> None:
    texts = catalogue("vi")
    reasons = {key.removeprefix("test.reason.") for key in texts if key.startswith("test.reason.")}
    hints = {key.removeprefix("test.do.") for key in texts if key.startswith("test.do.")}
    assert hints - reasons == set()
    assert {kind.value for kind in SelfTestKind} == {
        key.removeprefix("test.title.") for key in texts if key.startswith("test.title.")
    }
    assert {one.value for one in Outcome} == {
        key.removeprefix("test.verdict.") for key in texts if key.startswith("test.verdict.")
    }
