"""Levelling to one loudness, decided from measurements; pure. Method: EBU R 128 / ITU-R BS.1770."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

TARGET_LUFS = -16.0
CEILING_DBTP = -1.0
LARGEST_LIMITING_DB = 8.0
"""Beyond this a limiter is heard as pumping; the file then stays quieter than the target."""

LARGEST_GAIN_DB = 40.0
SILENT_LUFS = -60.0
NOTHING_DB = -120.0
CLOSE_ENOUGH_LU = 0.4

LIMITER_TAKES = 0.4
"""Loudness lost per dB of limiting, measured on Vietnamese speech; spares a second round."""

_INTEGRATED = re.compile(r"^\s*I:\s+(-?[\d.]+|-?inf|nan) LUFS", re.MULTILINE)
_PEAK = re.compile(r"^\s*Peak:\s+(-?[\d.]+|-?inf|nan) dBFS", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Loudness:
    """One measurement.

    Attributes:
        integrated_lufs: over the whole file, gated; -70 and below means nothing but silence.
        true_peak_dbtp: highest peak between the samples.
    """

    integrated_lufs: float
    true_peak_dbtp: float

    @property
    def silent(self) -> bool:
        """Nothing in it can be levelled."""
        return self.integrated_lufs < SILENT_LUFS


@dataclass(frozen=True, slots=True)
class Levelling:
    """What to do: a gain, and whether a limiter has to hold the peaks."""

    gain_db: float
    limit: bool


def read_summary(text: str) -> Loudness | None:
    """The summary at the end of ffmpeg's `ebur128=peak=true`, None if there is none."""
    integrated, peak = _INTEGRATED.findall(text), _PEAK.findall(text)
    if not integrated or not peak:
        return None
    return Loudness(_number(integrated[-1]), _number(peak[-1]))


def first_levelling(measured: Loudness) -> Levelling:
    """Gain from the source's own loudness to the target."""
    if measured.silent:
        return Levelling(0.0, limit=False)
    wanted = TARGET_LUFS - measured.integrated_lufs
    limiting_db = max(0.0, wanted - (CEILING_DBTP - measured.true_peak_dbtp))
    return _within_limits(measured, wanted + LIMITER_TAKES * limiting_db)


def next_levelling(source: Loudness, used: Levelling, result: Loudness) -> Levelling | None:
    """A better gain once the result is measured, None if the result stands.

    A limiter takes loudness away, so the first gain may fall short of the target.
    """
    if source.silent:
        return None
    over = result.true_peak_dbtp - CEILING_DBTP
    if over > 0:
        if not used.limit:
            return Levelling(used.gain_db, limit=True)
        return Levelling(used.gain_db - over, limit=True)
    short = TARGET_LUFS - result.integrated_lufs
    if abs(short) <= CLOSE_ENOUGH_LU:
        return None
    better = _within_limits(source, used.gain_db + short)
    return None if abs(better.gain_db - used.gain_db) < CLOSE_ENOUGH_LU / 4 else better


def _within_limits(source: Loudness, wanted_db: float) -> Levelling:
    headroom_db = CEILING_DBTP - source.true_peak_dbtp
    gain_db = min(wanted_db, headroom_db + LARGEST_LIMITING_DB, LARGEST_GAIN_DB)
    return Levelling(round(gain_db, 2), limit=gain_db > headroom_db - 0.2)


def _number(text: str) -> float:
    value = float(text)
    return NOTHING_DB if math.isnan(value) else min(max(value, NOTHING_DB), -NOTHING_DB)
