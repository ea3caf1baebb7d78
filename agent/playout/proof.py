"""What may be said of an airing, from what was measured: pure rules, and an accumulator without I/O.

`heard` needs a measurement after the amplifier; what the sound card consumed can prove silence, never sound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from agent.model.report import Evidence, Verdict
from agent.playout.correlate import DEAF_DBFS, Ear
from agent.playout.spans import Sensor, Spans

AUDIBLE_DBFS = -60.0
"""Digital level above which the card's output counts as sound."""

SENSE_LATENCY_MS = 400
"""A line sensor may report sound so much later than it began."""

SENSE_HOLD_MS = 1000
"""A reading of the line sensor stands until the next one, but no longer than this."""

SUPPLY_LATENCY_MS = 2000
SUPPLY_HOLD_MS = 2000
"""A meter is read once a second and judged over a few readings."""

HEARD_SHARE = 0.90
SILENT_SHARE = 0.05
PLAYED_SHARE = 0.98
PLAYED_SLACK_MS = 500
_MS = 1_000_000
_FOLD_AT = 256
_SETTLED_NS = 20_000 * _MS


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
    shares = [ms / evidence.sounding_ms for ms in _after_amplifier(evidence) if ms is not None]
    if not shares:
        return Verdict.UNKNOWN
    if max(shares) < SILENT_SHARE:
        return Verdict.SILENT
    whole = played_ms >= planned_ms * PLAYED_SHARE - PLAYED_SLACK_MS
    agreed = (
        shares[0] >= HEARD_SHARE and min(shares) >= SILENT_SHARE
    )  # the quickest one that measured decides
    if agreed and whole and evidence.amplifier_on and not evidence.failed_items:
        return Verdict.HEARD
    return Verdict.PARTIAL


def _after_amplifier(evidence: Evidence) -> tuple[int | None, int | None, int | None]:
    """The independent measurements after the sound card, the quickest first: line, microphone, current drawn.

    The meter sees a second at a time and would outvote a line sensor that saw the horn cut in between.
    """
    return evidence.sensed_ms, evidence.microphone_ms, evidence.drawn_ms


def join(earlier: Evidence, later: Evidence) -> Evidence:
    """Evidence of an airing in two parts, such as before and after a restart."""
    parts = (earlier, later)
    rms = [(one.output_rms_dbfs, one.sounding_ms) for one in parts if one.output_rms_dbfs is not None]
    line = [(one.line_rms_dbfs, one.sounding_ms) for one in parts if one.line_rms_dbfs is not None]
    sounding = [one for one in parts if one.sounding_ms > 0]
    measured = sounding or parts
    amps = [(one.supply_amps, max(one.sounding_ms, 1)) for one in parts if one.supply_amps is not None]
    faults = [one.amplifier_fault for one in parts if one.amplifier_fault is not None]
    return Evidence(
        output_rms_dbfs=_mean_dbfs(rms),
        output_peak_dbfs=max((x for one in parts if (x := one.output_peak_dbfs) is not None), default=None),
        sounding_ms=sum(one.sounding_ms for one in parts),
        sensed_ms=_sum([one.sensed_ms for one in measured]),
        line_rms_dbfs=_mean_dbfs(line),
        amplifier_on=all(one.amplifier_on for one in measured),
        amplifier_fault=any(faults) if faults else None,
        failed_items=tuple(dict.fromkeys(earlier.failed_items + later.failed_items)),
        microphone_ms=_sum([one.microphone_ms for one in measured]),
        supply_amps=sum(a * ms for a, ms in amps) / sum(ms for _, ms in amps) if amps else None,
        drawn_ms=_sum([one.drawn_ms for one in measured]),
    )


def _sum(parts: list[int | None]) -> int | None:
    """None if a part was not measured: nothing is known of it."""
    return None if None in parts else sum(one or 0 for one in parts)


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
        self._sounding = Spans()
        self._folded_ns = 0
        self._sense = Sensor(SENSE_LATENCY_MS, SENSE_HOLD_MS)
        self._microphone = Sensor()
        self._supply = Sensor(SUPPLY_LATENCY_MS, SUPPLY_HOLD_MS)
        self._ear = Ear()
        self._amps = [0.0, 0]
        self._amplifier: bool | None = None
        self._fault: bool | None = None
        self._failed: dict[str, None] = {}

    def add_level(self, rms_dbfs: float, peak_dbfs: float, period_ms: int, at_ns: int) -> None:
        """Level of the `period_ms` of output that ended at `at_ns`."""
        if period_ms <= 0:
            return
        self._output.add(rms_dbfs, period_ms)
        self._peak = peak_dbfs if self._peak is None else max(self._peak, peak_dbfs)
        self._ear.add_sent(rms_dbfs, at_ns)
        if rms_dbfs > AUDIBLE_DBFS:
            self._sounding.add(at_ns - period_ms * _MS, at_ns)
            self._fold(at_ns)

    def add_sense(self, active: bool, level_dbfs: float | None, at_ns: int) -> None:
        """A reading of the line sensor at `at_ns`."""
        self._sense.read(active, at_ns)
        if level_dbfs is not None:
            self._line.add(level_dbfs, 1)
        self._fold(at_ns)

    def add_microphone(self, active: bool, level_dbfs: float | None, at_ns: int) -> None:
        """A reading of the microphone; it counts as hearing only if its level follows what was sent.

        Without a level a reading can prove silence, never sound: then there is nothing to compare.
        """
        if level_dbfs is None:
            if active:
                return
            level_dbfs = DEAF_DBFS
        for begin_ns, end_ns, hears in self._ear.add_heard(level_dbfs, at_ns):
            self._microphone.cover(hears, begin_ns, end_ns)
        self._fold(at_ns)

    def microphone_floor(self, dbfs: float) -> None:
        """Level of the microphone while nothing was sent; lets it judge sound without pauses."""
        self._ear.set_floor(dbfs)

    @property
    def microphone_hears(self) -> bool | None:
        """What the newest 5 to 15 s allow to be said of the microphone; None while nothing can be told."""
        return self._ear.hears

    def add_supply(self, amps: float | None, drawing: bool | None, at_ns: int) -> None:
        """Current drawn while sound is due, and whether it is what the sound needs (None: cannot be told)."""
        if amps is not None:
            self._amps = [self._amps[0] + amps, self._amps[1] + 1]
        if drawing is not None:
            self._supply.read(drawing, at_ns)
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
        sounding_ns = self._folded_ns + self._sounding.total()
        return Evidence(
            output_rms_dbfs=self._output.dbfs,
            output_peak_dbfs=self._peak,
            sounding_ms=sounding_ns // _MS,
            sensed_ms=self._sense.found_ms(self._sounding, sounding_ns),
            line_rms_dbfs=self._line.dbfs,
            amplifier_on=bool(self._amplifier),
            amplifier_fault=self._fault,
            failed_items=tuple(self._failed),
            microphone_ms=self._microphone.found_ms(self._sounding, sounding_ns, self._ear.ongoing()),
            supply_amps=self._amps[0] / self._amps[1] if self._amps[1] else None,
            drawn_ms=self._supply.found_ms(self._sounding, sounding_ns),
        )

    def _fold(self, now_ns: int) -> None:
        """Turn what can no longer change into sums once there are many spans."""
        sensors = (self._sense, self._microphone, self._supply)
        if max(len(self._sounding), *(len(one) for one in sensors)) < _FOLD_AT:
            return
        before_ns = now_ns - _SETTLED_NS
        old = self._sounding.cut(before_ns)
        self._folded_ns += old.total()
        for one in sensors:
            one.fold(old, before_ns)


def _mean_dbfs(levels: list[tuple[float, int]]) -> float | None:
    mean = _Energy()
    for dbfs, weight in levels:
        mean.add(dbfs, max(weight, 1))
    return mean.dbfs


def rounded(evidence: Evidence) -> Evidence:
    """Levels to a tenth of a dB and currents to 10 mA, as they are stored and sent."""
    return replace(
        evidence,
        output_rms_dbfs=_tenth(evidence.output_rms_dbfs),
        output_peak_dbfs=_tenth(evidence.output_peak_dbfs),
        line_rms_dbfs=_tenth(evidence.line_rms_dbfs),
        supply_amps=None if evidence.supply_amps is None else round(evidence.supply_amps, 2),
    )


def _tenth(dbfs: float | None) -> float | None:
    return None if dbfs is None else round(dbfs, 1)
