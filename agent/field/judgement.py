"""What the measurements of an on-site test allow to be said: pure functions on values.

Nothing passes that was not measured. The ratios and tolerances are starting values of practice: supply
current while playing below 40 % of what is expected means an open horn, above 170 % a short; idle current
within 30 % of what was learnt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from agent.field.controls import Busy, ClockReading
from agent.field.findings import Finding, Limits, Measure, Outcome, SelfTestKind, Window
from agent.model import supply
from agent.model.bulletin import ClockTrust
from agent.model.issue import Fault
from agent.model.report import AsRun, CutReason, MissedReason, Verdict

OPEN_RATIO, SHORT_RATIO = 0.4, 1.7
"""Current measured over current expected: below, a horn is open; above, the line is shorted."""

IDLE_TOLERANCE = 0.3
_AMPS_GRAIN = 0.05
MICROPHONE_RISE_DB = 6.0
CLOCK_ERROR_MS = 100.0
RTC_OFF = timedelta(seconds=3)


@dataclass(frozen=True, slots=True)
class Judge:
    """Words a finding about one test in one zone."""

    kind: SelfTestKind
    zone: str
    limits: Limits = field(default_factory=Limits)

    def refused(self, busy: Busy) -> Finding:
        """The test must not sound now."""
        return Finding(
            self.kind,
            self.zone,
            Outcome.REFUSED,
            f"busy_{busy.cause.value}",
            title=busy.title,
            until=busy.until,
        )

    def unspoken(self) -> Finding:
        """No speech could be made."""
        return self._failed("speech_unavailable", Fault.SPEECH_UNAVAILABLE, ())

    def hung(self) -> Finding:
        """The sound did not end in time."""
        return self._failed("hung", Fault.AUDIO_HUNG, ())

    def sound(self, record: AsRun, during: Window) -> Finding:
        """Tone, sweep or speech: was it heard?"""
        proof = record.evidence
        measures = _present(
            ("played", record.played_ms / 1000, "s"),
            ("output", proof.output_rms_dbfs, "dBFS"),
            ("line_heard", _heard_share(proof.sensed_ms, proof.sounding_ms), "%"),
            ("line_level", proof.line_rms_dbfs, "dBFS"),
            ("microphone_heard", _heard_share(proof.microphone_ms, proof.sounding_ms), "%"),
            ("volts", during.volts, "V"),
            ("amps", during.amps, "A"),
            ("fault_pin", proof.amplifier_fault, ""),
        )
        broken = self._not_played(record, measures)
        if broken is not None:
            return broken
        if proof.sensed_ms == 0 or (proof.sensed_ms is None and during.line_share == 0):
            return self._failed("line_silent", Fault.LINE_SILENT, measures)
        if proof.microphone_ms == 0:
            return self._failed("microphone_deaf", Fault.MICROPHONE_DEAF, measures)
        if record.verdict is Verdict.HEARD:
            return self._passed("heard", measures)
        if record.verdict is Verdict.PARTIAL:
            return self._failed("partial", None, measures)
        if record.verdict is Verdict.SILENT:
            return self._failed("output_silent", Fault.OUTPUT_SILENT, measures)
        return self._unmeasured("no_sensor", measures)

    def amplifier(self, record: AsRun, during: Window, went_off: bool | None) -> Finding:
        """Switched on in silence: supply, fault pin, idle current."""
        measures = _present(
            ("powered", during.powered, ""),
            ("fault_pin", during.fault, ""),
            ("volts", during.volts, "V"),
            ("idle_amps", during.amps, "A"),
            ("temperature", during.temperature_c, "°C"),
            ("went_off", went_off, ""),
        )
        cut = self._cut(record, measures)
        if cut is not None:
            return cut
        if during.powered is None:
            return self._unmeasured("no_amplifier", measures)
        if not during.powered:
            return self._failed("amplifier_off", Fault.AMPLIFIER_UNAVAILABLE, measures)
        if during.fault:
            return self._failed("amplifier_fault", Fault.AMPLIFIER_FAULT, measures)
        wrong = self._supply_wrong(during)
        if wrong is not None:
            return self._failed(*wrong, measures)
        if during.fault is None and during.volts is None and during.amps is None:
            return self._unmeasured("amplifier_unseen", measures)
        return self._passed("amplifier_good", measures)

    def _supply_wrong(self, during: Window) -> tuple[str, Fault | None] | None:
        limits = self.limits
        if during.volts is not None and during.volts < max(limits.low_volts, 1.0):
            return "volts_low", Fault.AMPLIFIER_NO_POWER
        if during.volts is not None and during.volts > limits.high_volts:
            return "volts_high", None
        if during.temperature_c is not None and during.temperature_c >= limits.hot_c:
            return "hot", Fault.AMPLIFIER_HOT
        if limits.idle_amps is not None and during.amps is not None:
            room = max(IDLE_TOLERANCE * limits.idle_amps, _AMPS_GRAIN)
            if during.amps < limits.idle_amps - room:
                return "idle_low", Fault.AMPLIFIER_NO_POWER
            if during.amps > limits.idle_amps + room:
                return "idle_high", None
        return None

    def line(self, record: AsRun, before: Window, during: Window) -> Finding:
        """A tone: does the line carry it, and does it draw what horns draw?"""
        # The idle current that was learnt is worth more than one reading with the amplifier perhaps off.
        idle = before.amps if self.limits.idle_amps is None else self.limits.idle_amps
        rise = None if idle is None or during.amps is None else during.amps - idle
        drive = None if during.output_dbfs is None else supply.drive(during.output_dbfs)
        measures = _present(
            ("output", during.output_dbfs, "dBFS"),
            ("line_before", None if before.line_share is None else before.line_share > 0, ""),
            ("line_during", None if during.line_share is None else during.line_share > 0, ""),
            ("line_level", during.line_dbfs, "dBFS"),
            ("amps_before", before.amps, "A"),
            ("amps_during", during.amps, "A"),
            ("volts", during.volts, "V"),
            ("full_amps", _full_amps(idle, rise, drive), "A"),
        )
        broken = self._not_played(record, measures)
        if broken is not None:
            return broken
        if before.line_share:
            return self._failed("line_noise", None, measures)
        ratio = self._draw_ratio(rise, drive)
        if ratio is not None and ratio > SHORT_RATIO:
            return self._failed("line_short", Fault.LINE_SHORT, measures)
        if ratio is not None and ratio < OPEN_RATIO:
            return self._failed("line_open", Fault.LINE_OPEN, measures)
        if during.line_share == 0:
            return self._failed("line_silent", Fault.LINE_SILENT, measures)
        if during.line_share is not None or ratio is not None:
            return self._passed("line_good", measures)
        return self._unmeasured("no_line_sensor" if rise is None else "no_reference", measures)

    def _draw_ratio(self, rise: float | None, drive: float | None) -> float | None:
        idle, full = self.limits.idle_amps, self.limits.full_amps
        if rise is None or drive is None or idle is None or full is None:
            return None
        expected = (full - idle) * drive
        return rise / expected if expected >= _AMPS_GRAIN else None

    def microphone(self, record: AsRun, before: Window, during: Window) -> Finding:
        """The noise where the microphone hangs, then a tone: does it hear the horn?"""
        levels = before.microphone_dbfs, during.microphone_dbfs
        rise = None if levels[0] is None or levels[1] is None else levels[1] - levels[0]
        measures = _present(
            ("output", during.output_dbfs, "dBFS"),
            ("noise", levels[0], "dBFS"),
            ("microphone_level", levels[1], "dBFS"),
            ("microphone_rise", rise, "dB"),
        )
        broken = self._not_played(record, measures)
        if broken is not None:
            return broken
        if rise is not None:
            heard = rise >= MICROPHONE_RISE_DB
        elif during.microphone_share is None:
            return self._unmeasured("no_microphone", measures)
        elif before.microphone_share:
            return self._unmeasured("noisy_place", measures)
        else:
            heard = during.microphone_share > 0
        if heard:
            return self._passed("microphone_good", measures)
        return self._failed("microphone_deaf", Fault.MICROPHONE_DEAF, measures)

    def clock(self, reading: ClockReading) -> Finding:
        """May the schedule be believed?"""
        off = None if reading.rtc is None else (reading.rtc - reading.now).total_seconds()
        measures = _present(
            ("clock_source", reading.trust.name.lower(), ""),
            ("clock_error", reading.error_ms, "ms"),
            ("rtc_present", reading.rtc is not None, ""),
            ("rtc_off", off, "s"),
        )
        if reading.trust < ClockTrust.RTC:
            return self._failed("clock_untrusted", Fault.CLOCK_UNTRUSTED, measures)
        if reading.error_ms is not None and reading.error_ms > CLOCK_ERROR_MS:
            return self._failed("clock_error", None, measures)
        if off is not None and abs(off) > RTC_OFF.total_seconds():
            return self._failed("rtc_wrong", None, measures)
        if reading.rtc is None:
            return self._passed("clock_no_rtc", measures)
        if reading.trust is ClockTrust.RTC:
            return self._passed("clock_rtc", measures)
        return self._passed("clock_good", measures)

    # --- what all that sound have in common ----------------------------------------------------------

    def _not_played(self, record: AsRun, measures: tuple[Measure, ...]) -> Finding | None:
        cut = self._cut(record, measures)
        if cut is not None:
            return cut
        if record.evidence.amplifier_fault:
            return self._failed("amplifier_fault", Fault.AMPLIFIER_FAULT, measures)
        if record.evidence.failed_items or record.evidence.sounding_ms == 0:
            return self._failed("output_silent", Fault.OUTPUT_SILENT, measures)
        return None

    def _cut(self, record: AsRun, measures: tuple[Measure, ...]) -> Finding | None:
        cuts = [one.cut for one in record.segments if one.cut is not CutReason.NONE]
        if record.missed is MissedReason.AUDIO or CutReason.AUDIO in cuts:
            return self._failed("no_audio", Fault.AUDIO_CARD_MISSING, measures)
        if record.missed is not None or cuts:
            return self._unmeasured("cut", measures)
        return None

    def _passed(self, reason: str, measures: tuple[Measure, ...]) -> Finding:
        return Finding(self.kind, self.zone, Outcome.PASSED, reason, None, measures)

    def _failed(self, reason: str, fault: Fault | None, measures: tuple[Measure, ...]) -> Finding:
        return Finding(self.kind, self.zone, Outcome.FAILED, reason, fault, measures)

    def _unmeasured(self, reason: str, measures: tuple[Measure, ...]) -> Finding:
        return Finding(self.kind, self.zone, Outcome.UNMEASURED, reason, None, measures)


def _heard_share(heard_ms: int | None, sounding_ms: int) -> float | None:
    return None if heard_ms is None or sounding_ms <= 0 else min(100.0, 100.0 * heard_ms / sounding_ms)


def _full_amps(idle: float | None, rise: float | None, drive: float | None) -> float | None:
    """Current at full level that this rise stands for; supply power goes with output power."""
    if idle is None or rise is None or drive is None or drive <= 0 or rise < _AMPS_GRAIN:
        return None
    return idle + rise / drive


def _present(*values: tuple[str, float | bool | str | None, str]) -> tuple[Measure, ...]:
    return tuple(Measure(name, value, unit) for name, value, unit in values if value is not None)
