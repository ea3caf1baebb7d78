"""Whether a microphone hears what was sent, not just something: the two level envelopes are compared.

Pure. Times are CLOCK_MONOTONIC nanoseconds and rise. A street is loud without us; it does not pause where
our speech pauses.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence

Envelope = Sequence[tuple[int, float]]
"""Moments at which a stretch ended, and its level in dBFS."""

FLOOR_DBFS = -60.0
"""Below it all levels are alike."""

LAG_FROM_MS, LAG_TO_MS, LAG_STEP_MS = -300, 1500, 100
"""What is sent may be told later than it was heard, and heard after buffers and 500 m of air."""

POINTS_MIN = 10
VARIATION_DB = 3.0
"""Standard deviation of what was sent below which its envelope has no shape to recognise."""

FLAT_DB = 0.5
"""Standard deviation below which what was heard does not vary at all."""

FOLLOWS, STRANGE = 0.60, 0.30
"""Correlation from which the microphone hears what was sent, and below which it hears something else."""

CHANCE = 2.5
"""With few points noise correlates too: at least this over the root of their number is asked for."""

ABOVE_FLOOR_DB = 6.0
"""How far above its own quiet level a microphone must be to hear a sound without shape."""

WINDOW_NS = 15_000_000_000
BLOCK_NS = 5_000_000_000
"""A microphone is judged so often, by the window that ends then."""

REACH_NS = 1_500_000_000
"""The first reading reaches back so far: buffers, and sound on its way through the air."""

HOLD_NS = 1_000_000_000
"""A reading stands until the next one, but no longer than this."""

DEAF_DBFS = -120.0

_MS = 1_000_000
_PERIOD_MAX_NS = 1_000 * _MS
_KEPT = 400


def follows(sent: Envelope, heard: Envelope) -> float | None:
    """How well the heard envelope follows the one sent.

    Args:
        sent: level of each period of output, at its end.
        heard: readings of the microphone.

    Returns:
        The highest correlation, -1 to 1, over all lags from -0.3 to 1.5 s; None when there are too few
        common points or what was sent varies too little.
    """
    best: float | None = None
    for lag_ms in range(LAG_FROM_MS, LAG_TO_MS + 1, LAG_STEP_MS):
        pairs = _paired(sent, heard, lag_ms * _MS)
        if len(pairs) < POINTS_MIN:
            continue
        found = _correlation(pairs)
        if found is not None and (best is None or found > best):
            best = found
    return best


def hears(sent: Envelope, heard: Envelope, floor_dbfs: float | None) -> bool | None:
    """Whether the microphone hears what was sent; None when that cannot be told.

    Args:
        sent: level of each period of output, at its end.
        heard: readings of the microphone.
        floor_dbfs: its level without our sound, if known; used when what was sent has no shape.
    """
    found = follows(sent, heard)
    if found is not None:
        enough = max(FOLLOWS, CHANCE / math.sqrt(min(len(sent), len(heard))))
        if found >= enough:
            return True
        return False if found < STRANGE else None
    if floor_dbfs is None or not heard or _varies([dbfs for _, dbfs in sent]):
        return None
    loud = sum(dbfs >= floor_dbfs + ABOVE_FLOOR_DB for _, dbfs in heard)
    return 2 * loud > len(heard)


class Ear:
    """Judges a microphone block by block while sound goes out; memory stays bounded."""

    def __init__(self) -> None:
        self._sent: deque[tuple[int, float]] = deque(maxlen=_KEPT)
        self._heard: deque[tuple[int, float]] = deque(maxlen=_KEPT)
        self._block_ns: int | None = None
        self._floor: float | None = None
        self.hears: bool | None = None

    def set_floor(self, dbfs: float) -> None:
        """Its level while nothing was sent, measured elsewhere."""
        self._floor = dbfs

    def add_sent(self, dbfs: float, at_ns: int) -> None:
        """Output of this level ended at `at_ns`."""
        self._sent.append((at_ns, max(dbfs, FLOOR_DBFS)))

    def add_heard(self, dbfs: float, at_ns: int) -> list[tuple[int, int, bool]]:
        """A reading of the microphone; returns what is now complete and could be judged: from, to, hears."""
        done = []
        if self._heard and self._block_ns is not None:
            newest_ns = self._heard[-1][0]
            if at_ns - newest_ns > HOLD_NS:  # nothing was measured in the gap
                done = self._close(self._block_ns, newest_ns)
                self._block_ns = at_ns
        else:
            self._block_ns = at_ns - REACH_NS
        self._heard.append((at_ns, dbfs))
        if at_ns - self._block_ns >= BLOCK_NS:
            closed = self._close(self._block_ns, at_ns)
            if closed or at_ns - self._block_ns >= WINDOW_NS:  # what cannot be told yet may be soon
                self._block_ns = at_ns
            done += closed
        return done

    def ongoing(self) -> tuple[int, int, bool] | None:
        """The block that is not complete yet, as it stands; None without one, or if it cannot be judged."""
        if self._block_ns is None:
            return None
        newest_ns = self._heard[-1][0]
        hears = self._judge(newest_ns)
        return None if hears is None else (self._block_ns, newest_ns + HOLD_NS, hears)

    def _close(self, begin_ns: int, end_ns: int) -> list[tuple[int, int, bool]]:
        self.hears = self._judge(end_ns)
        return [] if self.hears is None else [(begin_ns, end_ns, self.hears)]

    def _judge(self, now_ns: int) -> bool | None:
        begin_ns = now_ns - WINDOW_NS
        sent = [one for one in self._sent if one[0] >= begin_ns]
        heard = [one for one in self._heard if one[0] >= begin_ns]
        return hears(sent, heard, self._floor)


def _paired(sent: Envelope, heard: Envelope, lag_ns: int) -> list[tuple[float, float]]:
    """Level sent in each period, and mean level heard `lag_ns` later."""
    moments = [at_ns for at_ns, _ in heard]
    pairs = []
    before_ns: int | None = None
    for at_ns, dbfs in sent:
        begin_ns = (
            at_ns - _PERIOD_MAX_NS // 2 if before_ns is None else max(before_ns, at_ns - _PERIOD_MAX_NS)
        )
        before_ns = at_ns
        first = bisect_right(moments, begin_ns + lag_ns)
        last = bisect_left(moments, at_ns + lag_ns + 1)
        if first < last:
            energy = sum(10 ** (level / 10) for _, level in heard[first:last]) / (last - first)
            pairs.append((max(dbfs, FLOOR_DBFS), 10 * math.log10(max(energy, 1e-12))))
    return pairs


def _varies(levels: Sequence[float]) -> bool:
    return len(levels) > 1 and _spread(levels) >= VARIATION_DB


def _spread(levels: Sequence[float]) -> float:
    mean = sum(levels) / len(levels)
    return math.sqrt(sum((one - mean) ** 2 for one in levels) / len(levels))


def _correlation(pairs: list[tuple[float, float]]) -> float | None:
    """None when what was sent does not vary; 0 when what was heard does not."""
    ours, theirs = [one for one, _ in pairs], [one for _, one in pairs]
    if not _varies(ours):
        return None
    spread = _spread(theirs)
    if spread < FLAT_DB:
        return 0.0
    mean_ours, mean_theirs = sum(ours) / len(ours), sum(theirs) / len(theirs)
    common = sum((a - mean_ours) * (b - mean_theirs) for a, b in pairs) / len(pairs)
    return max(-1.0, min(1.0, common / (_spread(ours) * spread)))
