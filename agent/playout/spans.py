"""Time as spans: when there was sound, and in how much of it a sensor found some. Pure."""

from __future__ import annotations

from bisect import bisect_right

_MS = 1_000_000
MEASURED_SHARE = 0.90
"""A sensor that gave readings for less of the sounding time than this measured nothing that can be told."""


class Spans:
    """A set of moments as disjoint rising spans."""

    def __init__(self, begins: list[int] | None = None, ends: list[int] | None = None) -> None:
        self._begins = begins or []
        self._ends = ends or []

    def __len__(self) -> int:
        return len(self._begins)

    def copy(self) -> Spans:
        return Spans(self._begins.copy(), self._ends.copy())

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

    def common(self, other: Spans) -> int:
        """Length of the time in both."""
        length = 0
        for begin, end in zip(self._begins, self._ends, strict=True):
            index = max(0, bisect_right(other._begins, begin) - 1)
            while index < len(other) and other._begins[index] < end:
                length += max(0, min(end, other._ends[index]) - max(begin, other._begins[index]))
                index += 1
        return length

    def cut(self, before: int) -> Spans:
        """Remove and return everything earlier than `before`."""
        old = Spans()
        kept = Spans()
        for begin, end in zip(self._begins, self._ends, strict=True):
            if begin < before:
                old._begins.append(begin)
                old._ends.append(min(end, before))
            if end > before:
                kept._begins.append(max(begin, before))
                kept._ends.append(end)
        self._begins, self._ends = kept._begins, kept._ends
        return old


class Sensor:
    """What one sensor found: spans it covered, and those among them in which it found sound.

    Args:
        latency_ms: a reading may report so much later than the sound began.
        hold_ms: a reading stands until the next one, but no longer than this.
    """

    def __init__(self, latency_ms: int = 0, hold_ms: int = 0) -> None:
        self._latency_ns = latency_ms * _MS
        self._hold_ns = hold_ms * _MS
        self._found = Spans()
        self._covered = Spans()
        self._folded_found_ns = 0
        self._folded_covered_ns = 0
        self._last: tuple[int, bool] | None = None

    def __len__(self) -> int:
        return max(len(self._found), len(self._covered))

    def read(self, found: bool, at_ns: int) -> None:
        """A reading at `at_ns`."""
        if self._last is not None:
            before_ns, before = self._last
            until_ns = min(max(at_ns, before_ns), before_ns + self._hold_ns)
            self.cover(before, before_ns - self._latency_ns, until_ns)
        self._last = (at_ns, found)
        self.cover(found, at_ns - self._latency_ns, at_ns)

    def cover(self, found: bool, begin_ns: int, end_ns: int) -> None:
        """A whole span was judged; spans come with rising ends."""
        self._covered.add(begin_ns, end_ns)
        if found:
            self._found.add(begin_ns, end_ns)

    def found_ms(
        self, sounding: Spans, sounding_ns: int, ongoing: tuple[int, int, bool] | None = None
    ) -> int | None:
        """Part of the sounding time in which it found sound; None if it covered too little of it.

        Args:
            sounding: what was not folded yet.
            sounding_ns: all of it.
            ongoing: begin, end and verdict of a span that goes on; without it the newest reading stands.
        """
        found, covered = self._found.copy(), self._covered.copy()
        if ongoing is None and self._last is not None:
            at_ns, active = self._last
            ongoing = (at_ns, at_ns + self._hold_ns, active)
        if ongoing is not None:
            covered.add(ongoing[0], ongoing[1])
            if ongoing[2]:
                found.add(ongoing[0], ongoing[1])
        covered_ns = self._folded_covered_ns + sounding.common(covered)
        used = len(covered) > 0 or self._folded_covered_ns > 0
        if not used or covered_ns < MEASURED_SHARE * sounding_ns:
            return None
        return (self._folded_found_ns + sounding.common(found)) // _MS

    def fold(self, sounding: Spans, before_ns: int) -> None:
        """Count what lies before `before_ns` within `sounding`, and forget it."""
        self._folded_found_ns += sounding.common(self._found.cut(before_ns))
        self._folded_covered_ns += sounding.common(self._covered.cut(before_ns))
