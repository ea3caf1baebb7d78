"""What may be said of an airing, from what was measured: pure rules, and an accumulator without I/O.

`heard` needs a measurement after the amplifier; what the sound card consumed can prove silence, never sound.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, replace

from agent.model.report import Evidence, Verdict

AUDIBLE_DBFS = -60.0
"""Digital level above which the card's output counts as sound."""

SENSE_LATENCY_MS = 400
"""A line sensor may report sound so much later than it began."""

SENSE_HOLD_MS = 1000
"""A reading of the line sensor stands until the next one, but no longer than this."""

HEARD_SHARE = 0.90
SILENT_SHARE = 0.05
PLAYED_SHARE = 0.98
PLAYED_SLACK_MS = 500
MEASURED_SHARE = 0.90
"""A sensor that gave readings for less of the sounding time than this measured nothing that can be told."""

_MS = 1_000_000
_FOLD_AT = 256
_SETTLED_NS = 10_000 * _MS


def verdict(planned_ms: int, played_ms: int, evidence: Evidence) -> Verdict:
    """Judge an airing that began; one that never did is `missed` without this.

    Args:
        planned_ms: length of the whole programme, > 0.
        played_ms: sound the output device consumed, over all segments.
        evidence: what was measured meanwhile.
    """
    if played_ms <= 0:
        return Verdict.SILENT
    if evidence.output_rms_dbfs is None:
        return Verdict.UNKNOWN  # the card took samples, but nobody looked at their level
    if evidence.sounding_ms <= 0:
        return Verdict.SILENT
    if evidence.sensed_ms is None:
        return Verdict.UNKNOWN
    share = evidence.sensed_ms / evidence.sounding_ms
    if share < SILENT_SHARE:
        return Verdict.SILENT
    whole = played_ms >= planned_ms * PLAYED_SHARE - PLAYED_SLACK_MS
    if share >= HEARD_SHARE and whole and evidence.amplifier_on and not evidence.failed_items:
        return Verdict.HEARD
    return Verdict.PARTIAL


def join(earlier: Evidence, later: Evidence) -> Evidence:
    """Evidence of an airing in two parts, such as before and after a restart."""
    parts = (earlier, later)
    rms = [(one.output_rms_dbfs, one.sounding_ms) for one in parts if one.output_rms_dbfs is not None]
    line = [(one.line_rms_dbfs, one.sounding_ms) for one in parts if one.line_rms_dbfs is not None]
    sounding = [one for one in parts if one.sounding_ms > 0]
    sensed = [one.sensed_ms for one in sounding or parts]
    faults = [one.amplifier_fault for one in parts if one.amplifier_fault is not None]
    return Evidence(
        output_rms_dbfs=_mean_dbfs(rms),
        output_peak_dbfs=max((x for one in parts if (x := one.output_peak_dbfs) is not None), default=None),
        sounding_ms=sum(one.sounding_ms for one in parts),
        sensed_ms=None if None in sensed else sum(one or 0 for one in sensed),
        line_rms_dbfs=_mean_dbfs(line),
        amplifier_on=all(one.amplifier_on for one in sounding or parts),
        amplifier_fault=any(faults) if faults else None,
        failed_items=tuple(dict.fromkeys(earlier.failed_items + later.failed_items)),
    )


@dataclass(slots=True)
class _Energy:
    """Mean of levels by energy, weighted by time."""

    energy: float = 0.0
    weight: float = 0.0

    def add(self, dbfs: float, weight: float) -> None:
        self.energy += 10 ** (dbfs / 10) * weight
        self.weight += weight

    @property
    def dbfs(self) -> float | None:
        if self.weight <= 0:
            return None
        return max(-120.0, 10 * math.log10(max(self.energy / self.weight, 1e-12)))


class Gatherer:
    """Collects measurements of one stretch of an airing; memory stays bounded however long it lasts.

    Times are CLOCK_MONOTONIC nanoseconds, and rise within each kind of measurement.
    """

    def __init__(self) -> None:
        self._output = _Energy()
        self._peak: float | None = None
        self._line = _Energy()
        self._sounding = _Spans()
        self._sensed = _Spans()
        self._covered = _Spans()
        self._folded = [0, 0, 0]  # sounding, of that sensed, of that covered by readings
        self._last_sense: tuple[int, bool] | None = None
        self._amplifier: bool | None = None
        self._fault: bool | None = None
        self._failed: dict[str, None] = {}

    def add_level(self, rms_dbfs: float, peak_dbfs: float, period_ms: int, at_ns: int) -> None:
        """Level of the `period_ms` of output that ended at `at_ns`."""
        if period_ms <= 0:
            return
        self._output.add(rms_dbfs, period_ms)
        self._peak = peak_dbfs if self._peak is None else max(self._peak, peak_dbfs)
        if rms_dbfs > AUDIBLE_DBFS:
            self._sounding.add(at_ns - period_ms * _MS, at_ns)
            self._fold(at_ns)

    def add_sense(self, active: bool, level_dbfs: float | None, at_ns: int) -> None:
        """A reading of the line sensor at `at_ns`."""
        self._close_sense(at_ns)
        self._last_sense = (at_ns, active)
        if level_dbfs is not None:
            self._line.add(level_dbfs, 1)
        self._cover(active, at_ns, at_ns)
        self._fold(at_ns)

    def add_amplifier(self, *, on: bool, fault: bool | None) -> None:
        """State of the amplifier while sound is due: powered and unmuted, and its fault pin if it has one."""
        self._amplifier = on if self._amplifier is None else self._amplifier and on
        if fault is not None:
            self._fault = bool(self._fault) or fault

    def add_failed(self, item_id: str, code: str) -> None:
        """An item could not be decoded, wholly or from some point."""
        self._failed[f"{item_id}: {code}"] = None

    def evidence(self) -> Evidence:
        """Everything gathered so far; can be asked at any time."""
        sensed, covered = self._with_open_reading()
        sounding_ns = self._folded[0] + self._sounding.total()
        sensed_ns = self._folded[1] + self._sounding.common(sensed)
        covered_ns = self._folded[2] + self._sounding.common(covered)
        measured = self._last_sense is not None and covered_ns >= MEASURED_SHARE * sounding_ns
        return Evidence(
            output_rms_dbfs=self._output.dbfs,
            output_peak_dbfs=self._peak,
            sounding_ms=sounding_ns // _MS,
            sensed_ms=sensed_ns // _MS if measured else None,
            line_rms_dbfs=self._line.dbfs,
            amplifier_on=bool(self._amplifier),
            amplifier_fault=self._fault,
            failed_items=tuple(self._failed),
        )

    def _close_sense(self, now_ns: int) -> None:
        if self._last_sense is not None:
            at_ns, active = self._last_sense
            self._cover(active, at_ns, min(max(now_ns, at_ns), at_ns + SENSE_HOLD_MS * _MS))

    def _cover(self, active: bool, begin_ns: int, end_ns: int) -> None:
        reach_ns = begin_ns - SENSE_LATENCY_MS * _MS
        self._covered.add(reach_ns, end_ns)
        if active:
            self._sensed.add(reach_ns, end_ns)

    def _with_open_reading(self) -> tuple[_Spans, _Spans]:
        sensed, covered = self._sensed.copy(), self._covered.copy()
        if self._last_sense is not None:
            at_ns, active = self._last_sense
            end_ns = at_ns + SENSE_HOLD_MS * _MS
            covered.add(at_ns, end_ns)
            if active:
                sensed.add(at_ns, end_ns)
        return sensed, covered

    def _fold(self, now_ns: int) -> None:
        """Turn what can no longer change into sums once there are many spans."""
        if max(len(self._sounding), len(self._sensed), len(self._covered)) < _FOLD_AT:
            return
        before_ns = now_ns - _SETTLED_NS
        old = [one.cut(before_ns) for one in (self._sounding, self._sensed, self._covered)]
        self._folded[0] += old[0].total()
        self._folded[1] += old[0].common(old[1])
        self._folded[2] += old[0].common(old[2])


class _Spans:
    """A set of moments as disjoint rising spans."""

    def __init__(self, begins: list[int] | None = None, ends: list[int] | None = None) -> None:
        self._begins = begins or []
        self._ends = ends or []

    def __len__(self) -> int:
        return len(self._begins)

    def copy(self) -> _Spans:
        return _Spans(self._begins.copy(), self._ends.copy())

    def add(self, begin: int, end: int) -> None:
        """Add a span that ends no earlier than all before it; gaps below a millisecond are closed."""
        if self._ends:
            end = max(end, self._ends[-1])
        while self._ends and begin <= self._ends[-1] + _MS:
            begin = min(begin, self._begins.pop())
            self._ends.pop()
        self._begins.append(begin)
        self._ends.append(end)

    def total(self) -> int:
        return sum(self._ends) - sum(self._begins)

    def common(self, other: _Spans) -> int:
        """Length of the time in both."""
        length = 0
        for begin, end in zip(self._begins, self._ends, strict=True):
            index = max(0, bisect_right(other._begins, begin) - 1)
            while index < len(other) and other._begins[index] < end:
                length += max(0, min(end, other._ends[index]) - max(begin, other._begins[index]))
                index += 1
        return length

    def cut(self, before: int) -> _Spans:
        """Remove and return everything earlier than `before`."""
        old = _Spans()
        kept = _Spans()
        for begin, end in zip(self._begins, self._ends, strict=True):
            if begin < before:
                old._begins.append(begin)
                old._ends.append(min(end, before))
            if end > before:
                kept._begins.append(max(begin, before))
                kept._ends.append(end)
        self._begins, self._ends = kept._begins, kept._ends
        return old


def _mean_dbfs(levels: list[tuple[float, int]]) -> float | None:
    mean = _Energy()
    for dbfs, weight in levels:
        mean.add(dbfs, max(weight, 1))
    return mean.dbfs


def rounded(evidence: Evidence) -> Evidence:
    """Levels to a tenth of a dB, as they are stored and sent."""
    return replace(
        evidence,
        output_rms_dbfs=_tenth(evidence.output_rms_dbfs),
        output_peak_dbfs=_tenth(evidence.output_peak_dbfs),
        line_rms_dbfs=_tenth(evidence.line_rms_dbfs),
    )


def _tenth(dbfs: float | None) -> float | None:
    return None if dbfs is None else round(dbfs, 1)
