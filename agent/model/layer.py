"""Airings of similar length, findable by their start without expanding what lies between.

Three kinds of starts live here: *daily* ones (days by pattern, fixed seconds of the day), which are kept
as one list by time of day and looked at a month at a time; *irregular* rules, expanded a month at a time;
and *fixed* moments. All answers are functions of what was added; the caches only make them fast.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import TypeVar

from agent.model.bulletin import ZoneId
from agent.model.civil import DAY_S, EPOCH_DAY, CivilZone
from agent.model.recurrence import FIRST_YEAR, LAST_YEAR, DayPattern, Rule

Hit = tuple[int, int, str, int]
"""Start (seconds since 1970), rank of the class (0 first), programme id, programme index."""

FAR = 1 << 60

_FIRST_DAY = date(FIRST_YEAR, 1, 1).toordinal()
_LAST_DAY = date(LAST_YEAR, 12, 31).toordinal()
_STEPS_BEFORE_LIST = 256
_YEARS_KEPT = 8
_MONTHS_KEPT = 14
_DAYS_KEPT = 40

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Entry:
    """Bounds and exceptions of one recurrence of one programme.

    Attributes:
        first, last: civil seconds, both included.
        low, high: seconds since 1970, `high` excluded.
        exceptions: civil seconds that are left out.
        pattern: index into the layer's patterns; -1 if the entry is not daily.
    """

    rank: int
    programme_id: str
    programme: int
    first: int
    last: int
    low: int
    high: int
    exceptions: frozenset[int]
    pattern: int = -1
    first_day: int = field(init=False)
    last_day: int = field(init=False)

    def __post_init__(self) -> None:
        # Civil days outside which it cannot start; two days of room for any time zone.
        first = max(self.first // DAY_S, self.low // DAY_S + EPOCH_DAY - 2, _FIRST_DAY)
        last = min(self.last // DAY_S, self.high // DAY_S + EPOCH_DAY + 2, _LAST_DAY)
        object.__setattr__(self, "first_day", first)
        object.__setattr__(self, "last_day", last)


Row = tuple[int, int, str, Entry]
"""Second of the day, rank, programme id, entry."""


@dataclass(slots=True)
class _Block:
    """Daily starts that can happen in some year, or month of it."""

    january: int
    rows: list[Row]
    masks: list[bytes]
    times: list[int]
    any: bytes


@dataclass(slots=True)
class Layer:
    """Starts of programmes that last at most `longest_us` microseconds and sound in one place.

    Attributes:
        where: the loudspeaker zone they sound in; None for programmes that sound everywhere.
    """

    zone: CivilZone
    longest_us: int
    where: ZoneId | None = None
    _rows: list[Row] = field(default_factory=list)
    _patterns: dict[DayPattern, int] = field(default_factory=dict)
    _irregular: list[tuple[Rule, Entry]] = field(default_factory=list)
    _fixed: list[Hit] = field(default_factory=list)
    _end_day: int = 0
    _irregular_end: int = 0
    _years: OrderedDict[int, _Block] = field(default_factory=OrderedDict)
    _months: OrderedDict[int, _Block] = field(default_factory=OrderedDict)
    _days: OrderedDict[int, list[Hit]] = field(default_factory=OrderedDict)
    _expanded: OrderedDict[int, list[Hit]] = field(default_factory=OrderedDict)

    def pattern(self, pattern: DayPattern) -> int:
        """Index of a pattern; equal patterns share one."""
        return self._patterns.setdefault(pattern, len(self._patterns))

    def add_daily(self, entry: Entry, times: tuple[int, ...]) -> None:
        self._rows += [(time, entry.rank, entry.programme_id, entry) for time in times]
        self._end_day = max(self._end_day, entry.last_day)

    def add_irregular(self, rule: Rule, entry: Entry) -> None:
        self._irregular.append((rule, entry))
        self._irregular_end = max(self._irregular_end, entry.last_day)

    def add_fixed(self, entry: Entry, civil: int) -> None:
        if (hit := self._hit(entry, civil)) is not None:
            self._fixed.append(hit)

    @property
    def empty(self) -> bool:
        """Whether nothing can ever start here."""
        return not (self._rows or self._irregular or self._fixed)

    def freeze(self) -> None:
        """Sort what was added; nothing may be added after this."""
        self._rows.sort(key=lambda row: row[:3])
        self._fixed.sort()

    def first(self, low: int) -> Hit | None:
        """The first hit that starts at or after `low`."""
        at = bisect_left(self._fixed, (low,))
        best = self._fixed[at] if at < len(self._fixed) else None
        low = max(low, self.zone.start_of(_FIRST_DAY))
        if best is not None and best[0] < low:
            return best
        if not (self._rows or self._irregular) or low >= self.zone.start_of(_LAST_DAY):
            return best
        # Each search is bounded by what the one before it found.
        best = _earlier(best, self._first_daily(low, best))
        return _earlier(best, self._first_irregular(low, best))

    def within(self, low: int, high: int) -> list[Hit]:
        """All hits with `low <= start < high`, sorted."""
        hits = self._fixed[bisect_left(self._fixed, (low,)) : bisect_left(self._fixed, (high,))]
        if self._rows or self._irregular:
            low = max(low, self.zone.start_of(_FIRST_DAY))
            high = min(high, self.zone.start_of(_LAST_DAY))
            if low < high:
                first, last = self.zone.day_of(low), self.zone.day_of(high - 1)
                for day in range(first, min(last, self._end_day + 1) + 1):
                    hits += self._daily_within(day, low, high)
                if first <= self._irregular_end + 1:
                    for month in range(_month_of(first), _month_of(last) + 1):
                        block = self._irregular_month(month)
                        hits += block[bisect_left(block, (low,)) : bisect_left(block, (high,))]
        hits.sort()
        return hits

    # --- daily starts --------------------------------------------------------------------------------

    def _first_daily(self, low: int, best: Hit | None) -> Hit | None:
        if not self._rows:
            return None
        day = self.zone.day_of(low)
        while day <= self._end_day + 1:
            begin = self.zone.start_of(day)
            if best is not None and begin > best[0]:
                return None
            if not self.zone.is_even(day):
                hits = self._day_list(day)
                at = bisect_left(hits, (low,))
                hit = hits[at] if at < len(hits) else None
            else:
                skip = self._next_day_with_rows(day)
                if skip > day:
                    day = skip
                    continue
                hit = self._scan(day, begin, max(0, low - begin))
            if hit is not None:
                return hit
            day += 1
        return None

    def _next_day_with_rows(self, day: int) -> int:
        """`day`, or the next one worth looking at: some row's pattern matches, or the clocks change."""
        block = self._month(_month_of(day))
        offset = day - block.january
        found = block.any.find(1, offset)
        if found == offset:
            return day
        if found < 0:
            found = len(block.any)
        for between in range(day + 1, block.january + found):
            if not self.zone.is_even(between):
                return between
        return block.january + found

    def _scan(self, day: int, begin: int, second: int) -> Hit | None:
        block = self._month(_month_of(day))
        rows, masks, today, civil = block.rows, block.masks, day - block.january, day * DAY_S
        start = bisect_left(block.times, second)
        for index in range(start, min(len(rows), start + _STEPS_BEFORE_LIST)):
            time, rank, name, entry = rows[index]
            if (
                masks[entry.pattern][today]
                and entry.first <= civil + time <= entry.last
                and entry.low <= begin + time < entry.high
                and civil + time not in entry.exceptions
            ):
                return begin + time, rank, name, entry.programme
        if start + _STEPS_BEFORE_LIST >= len(rows):
            return None
        hits = self._day_list(day)
        at = bisect_left(hits, (begin + second,))
        return hits[at] if at < len(hits) else None

    def _daily_within(self, day: int, low: int, high: int) -> list[Hit]:
        if not self._rows:
            return []
        begin = self.zone.start_of(day)
        if not self.zone.is_even(day):
            hits = self._day_list(day)
            return hits[bisect_left(hits, (low,)) : bisect_left(hits, (high,))]
        block = self._month(_month_of(day))
        return [
            hit
            for time, _, _, entry in block.rows[
                bisect_left(block.times, low - begin) : bisect_left(block.times, high - begin)
            ]
            if block.masks[entry.pattern][day - block.january]
            if (hit := self._hit(entry, day * DAY_S + time, begin + time)) is not None
        ]

    def _day_list(self, day: int) -> list[Hit]:
        """Every daily start from the beginning of civil day `day` to the beginning of the next."""
        return _cached(self._days, day, _DAYS_KEPT, self._make_day_list)

    def _make_day_list(self, day: int) -> list[Hit]:
        low, high = self.zone.start_of(day), self.zone.start_of(day + 1)
        hits = []
        # A civil time skipped by a clock change moves into the next day at the latest.
        for near in (day,) if self.zone.is_even(day) else (day - 1, day, day + 1):
            block = self._month(_month_of(near))
            for time, _, _, entry in block.rows:
                if block.masks[entry.pattern][near - block.january]:
                    hit = self._hit(entry, near * DAY_S + time)
                    if hit is not None and low <= hit[0] < high:
                        hits.append(hit)
        hits.sort()
        return hits

    def _month(self, month: int) -> _Block:
        return _cached(self._months, month, _MONTHS_KEPT, self._make_month)

    def _make_month(self, month: int) -> _Block:
        year = self._year(month // 12)
        first, end = _month_first(month), _month_first(month + 1)
        return _narrow(year, first, end, year.rows)

    def _year(self, year: int) -> _Block:
        return _cached(self._years, year, _YEARS_KEPT, self._make_year)

    def _make_year(self, year: int) -> _Block:
        january, end = _month_first(year * 12), _month_first(year * 12 + 12)
        masks = [pattern.mask(year) for pattern in self._patterns]
        return _narrow(_Block(january, [], masks, [], b""), january, end, self._rows)

    # --- irregular rules -------------------------------------------------------------------------------

    def _first_irregular(self, low: int, best: Hit | None) -> Hit | None:
        if not self._irregular:
            return None
        last = _month_of(min(self._irregular_end + 1, _LAST_DAY))
        for month in range(_month_of(self.zone.day_of(low)), last + 1):
            if best is not None and self.zone.start_of(_month_first(month)) > best[0]:
                return None
            hits = self._irregular_month(month)
            at = bisect_left(hits, (low,))
            if at < len(hits):
                return hits[at]
        return None

    def _irregular_month(self, month: int) -> list[Hit]:
        return _cached(self._expanded, month, _MONTHS_KEPT, self._make_irregular_month)

    def _make_irregular_month(self, month: int) -> list[Hit]:
        first, end = _month_first(month), _month_first(month + 1)
        low, high = self.zone.start_of(first), self.zone.start_of(end)
        hits = []
        for rule, entry in self._irregular:
            if entry.last_day < first or entry.first_day > end:
                continue
            for civil in rule.expand((first - 1) * DAY_S, (end + 1) * DAY_S):
                hit = self._hit(entry, civil)
                if hit is not None and low <= hit[0] < high:
                    hits.append(hit)
        hits.sort()
        return hits

    def _hit(self, entry: Entry, civil: int, moment: int | None = None) -> Hit | None:
        """The start at `civil`, None if the entry's bounds or exceptions leave it out."""
        if not entry.first <= civil <= entry.last or civil in entry.exceptions:
            return None
        if moment is None:
            day = civil // DAY_S
            even = self.zone.is_even(day)
            moment = self.zone.start_of(day) + civil % DAY_S if even else self.zone.to_utc(civil)
        if not entry.low <= moment < entry.high:
            return None
        return moment, entry.rank, entry.programme_id, entry.programme


def _narrow(year: _Block, first: int, end: int, rows: list[Row]) -> _Block:
    """Rows whose entry may start in the days `first` to `end` (excluded)."""
    begin, stop = first - year.january, end - year.january
    matches = [1 in mask[begin:stop] for mask in year.masks]
    kept = [
        row for row in rows if matches[row[3].pattern] if row[3].first_day < end and row[3].last_day >= first
    ]
    if len(kept) == len(rows):
        kept = rows  # shared: a year of daily programmes needs one list, not twelve
    merged = 0
    for pattern in {row[3].pattern for row in kept}:
        merged |= int.from_bytes(year.masks[pattern][begin:stop], "little")
    shown = bytes(begin) + merged.to_bytes(stop - begin, "little")
    return _Block(year.january, kept, year.masks, [row[0] for row in kept], shown)


def _earlier(one: Hit | None, other: Hit | None) -> Hit | None:
    if one is None or other is None:
        return one or other
    return min(one, other)


def _month_of(day: int) -> int:
    one = date.fromordinal(day)
    return one.year * 12 + one.month - 1


def _month_first(month: int) -> int:
    return date(month // 12, month % 12 + 1, 1).toordinal()


def _cached(store: OrderedDict[K, V], key: K, size: int, make: Callable[[K], V]) -> V:
    found = store.get(key)
    if found is None:
        found = store[key] = make(key)
        if len(store) > size:
            store.popitem(last=False)
    else:
        store.move_to_end(key)
    return found
