"""Recurrence rules (RFC 5545 RRULE): checked once, then answered per year without expanding from the start.

A rule is split into *which days* (a mask per calendar year, computed by python-dateutil from the BY
parts, then thinned by FREQ and INTERVAL counted from the start date) and *which seconds of the day*.
Rules that have no fixed seconds of the day (`FREQ=HOURLY;INTERVAL=5`, most BYSETPOS) are expanded over
the window asked for, never from their start. Days are proleptic ordinals, times civil seconds (see
`agent.model.civil`); nothing here knows a time zone.

Differences from python-dateutil, all towards RFC 5545: `BYDAY=MO,2TU` is a union; a number before a
weekday outside MONTHLY and YEARLY is refused instead of ignored.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum
from functools import lru_cache

from dateutil import rrule as du

from agent.model.civil import DAY_S, civil_seconds

FIRST_YEAR = 1970
LAST_YEAR = 2200
"""Civil years in which an airing may start."""

MAX_COUNT = 10_000
MAX_INTERVAL = 1_000_000
MAX_TIMES_PER_DAY = 1440
SEARCH_YEARS = 40
"""A rule that matches no day in so many years is refused: leap days on a given weekday recur within 40."""

_NO_REPEAT = 9999
"""As a yearly INTERVAL this makes dateutil look at one year only, so an empty year cannot run to 9999."""


class Frequency(IntEnum):
    """FREQ, longest period first."""

    YEARLY = 0
    MONTHLY = 1
    WEEKLY = 2
    DAILY = 3
    HOURLY = 4
    MINUTELY = 5


@dataclass(frozen=True, slots=True)
class DayFilter:
    """The BY parts that choose days. `weekdays` are (0 = Monday, nth), nth 0 for every one."""

    months: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    year_days: tuple[int, ...] = ()
    weeks: tuple[int, ...] = ()
    weekdays: tuple[tuple[int, int], ...] = ()
    week_start: int = 0


@dataclass(frozen=True, slots=True)
class DayPattern:
    """A set of days, unbounded on both sides; equal patterns of different rules are one.

    Attributes:
        phase: number of the period that contains the start, modulo `interval`.
        positions: BYSETPOS over the days of a month or a year; empty for all.
    """

    frequency: Frequency
    interval: int
    phase: int
    days: DayFilter
    week_start: int = 0
    positions: tuple[int, ...] = ()

    def mask(self, year: int) -> bytes:
        """One byte per day of `year`, 1 where the pattern matches."""
        return _pattern_mask(self, year)

    def next_day(self, day: int, last: int) -> int | None:
        """The first matching day in `day` to `last`, both included."""
        if day > last:
            return None
        for year in range(date.fromordinal(day).year, date.fromordinal(last).year + 1):
            january = date(year, 1, 1).toordinal()
            found = self.mask(year).find(1, max(0, day - january))
            if found >= 0:
                return january + found if january + found <= last else None
        return None

    def matching(self, first: int, last: int) -> list[int]:
        """Every matching day in `first` to `last`, both included."""
        found = []
        for year in range(date.fromordinal(first).year, date.fromordinal(last).year + 1):
            january, mask = date(year, 1, 1).toordinal(), self.mask(year)
            index = mask.find(1, max(0, first - january))
            while 0 <= index <= last - january:
                found.append(january + index)
                index = mask.find(1, index + 1)
        return found


@dataclass(frozen=True, slots=True)
class Cycle:
    """Times of a rule within the day, where FREQ is HOURLY or MINUTELY: they recur every `days` days.

    Attributes:
        units: by ordinal of the day modulo `days`: beginnings of the hours or minutes that match,
            as seconds of the day.
        within: seconds after each of them.
    """

    days: int
    units: Mapping[int, tuple[int, ...]]
    within: tuple[int, ...]

    def times(self, day: int) -> tuple[int, ...]:
        """Seconds of the day on which it matches, rising."""
        return tuple(unit + one for unit in self.units.get(day % self.days, ()) for one in self.within)


@dataclass(frozen=True, slots=True)
class Rule:
    """A checked rule.

    Attributes:
        start: civil seconds before which nothing matches.
        last: civil seconds after which nothing matches (UNTIL in civil time, or COUNT run out).
        until_utc: UNTIL given in UTC, aware; None without.
        pattern: days on which it may match.
        times: seconds of the day, rising, the same on every matching day; None if they differ from
            day to day, then `expand` is the only way to ask.
        cycle: times of FREQ=HOURLY and MINUTELY.
        choices: for the other frequencies, the seconds of the day that BYSETPOS chooses from.
        positions: BYSETPOS over the days times `choices` of a period; empty for all.
    """

    start: int
    last: int
    until_utc: datetime | None
    frequency: Frequency
    pattern: DayPattern
    times: tuple[int, ...] | None
    cycle: Cycle | None
    choices: tuple[int, ...]
    positions: tuple[int, ...]

    def expand(self, low: int, high: int) -> list[int]:
        """All matches with `low <= civil seconds < high`, rising. Cost follows the window, not the start."""
        low, high = max(low, self.start), min(high, self.last + 1)
        if low >= high:
            return []
        first, last = low // DAY_S, (high - 1) // DAY_S
        return sorted({one for one in self._matches(first, last) if low <= one < high})

    def _matches(self, first: int, last: int) -> Iterator[int]:
        if self.times is None and self.cycle is None:
            yield from self._sets(first, last)
            return
        for day in self.pattern.matching(first, last):
            times = self.times if self.times is not None or self.cycle is None else self.cycle.times(day)
            yield from (day * DAY_S + one for one in times or ())

    def _sets(self, first: int, last: int) -> Iterator[int]:
        size = len(self.choices)
        for days in self._periods(first, last):
            for position in self.positions:
                index, which = divmod(position if position < 0 else position - 1, size)
                if -len(days) <= index < len(days):
                    yield days[index] * DAY_S + self.choices[which]

    def _periods(self, first: int, last: int) -> Iterator[list[int]]:
        """The matching days of each whole period that overlaps the days `first` to `last`."""
        begin, end = date.fromordinal(first), date.fromordinal(last)
        if self.frequency is Frequency.YEARLY:
            for year in range(begin.year, end.year + 1):
                yield self.pattern.matching(date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal())
        elif self.frequency is Frequency.MONTHLY:
            for month in range(begin.year * 12 + begin.month - 1, end.year * 12 + end.month):
                one = date(month // 12, month % 12 + 1, 1)
                length = calendar.monthrange(one.year, one.month)[1]
                yield self.pattern.matching(one.toordinal(), one.toordinal() + length - 1)
        else:
            span = 7 if self.frequency is Frequency.WEEKLY else 1
            week_start = self.pattern.week_start
            day = self.pattern.next_day(first - (first - 1 - week_start) % span, last)
            while day is not None:
                begin_day = day - (day - 1 - week_start) % span
                # dateutil leaves the days before the start out of the first week's set; so do we.
                yield self.pattern.matching(max(begin_day, self.start // DAY_S), begin_day + span - 1)
                day = self.pattern.next_day(begin_day + span, last)


def at_positions(members: list[int], positions: Iterable[int]) -> list[int]:
    """Members at 1-based BYSETPOS positions, negative ones from the end."""
    size = len(members)
    picked = {one if one < 0 else one - 1 for one in positions}
    return sorted({members[index] for index in picked if -size <= index < size})


@lru_cache(maxsize=8192)
def _filter_mask(days: DayFilter, year: int) -> bytes:
    """Days of `year` that pass the BY parts, as dateutil judges them."""
    january = datetime(year, 1, 1)  # noqa: DTZ001 - civil
    length = 366 if calendar.isleap(year) else 365
    if days == DayFilter(week_start=days.week_start):
        return b"\1" * length
    nth = tuple(one for one in days.weekdays if one[1])
    every = tuple(one for one in days.weekdays if not one[1])
    mask = bytearray(length)
    # dateutil takes the two kinds of weekday together as "and"; RFC 5545 means "or".
    for weekdays in (nth, every) if nth and every else (nth or every,):
        named = [du.weekday(day, n or None) for day, n in weekdays]
        if not (named or days.month_days or days.year_days or days.weeks):
            named = [du.weekday(day) for day in range(7)]
        for match in du.rrule(
            du.YEARLY,
            dtstart=january,
            interval=_NO_REPEAT,
            wkst=days.week_start,
            bymonth=days.months or None,
            bymonthday=days.month_days or None,
            byyearday=days.year_days or None,
            byweekno=days.weeks or None,
            byweekday=named or None,
            byhour=0,
            byminute=0,
            bysecond=0,
        ):
            mask[match.toordinal() - january.toordinal()] = 1
    return bytes(mask)


@lru_cache(maxsize=16384)
def _pattern_mask(pattern: DayPattern, year: int) -> bytes:
    passed = _filter_mask(pattern.days, year)
    january = date(year, 1, 1).toordinal()
    interval, phase = pattern.interval, pattern.phase
    if pattern.frequency is Frequency.YEARLY:
        if (year - phase) % interval:
            return bytes(len(passed))
        return _pick(passed, [(0, len(passed))], pattern.positions) if pattern.positions else passed
    if interval == 1 and not pattern.positions:
        return passed
    if pattern.frequency is Frequency.MONTHLY:
        months = [
            (date(year, month, 1).toordinal() - january, calendar.monthrange(year, month)[1])
            for month in range(1, 13)
            if (year * 12 + month - 1 - phase) % interval == 0
        ]
        return _pick(passed, [(first, first + length) for first, length in months], pattern.positions)
    mask = bytearray(len(passed))
    span = 7 if pattern.frequency is Frequency.WEEKLY else 1
    offset = january - 1 - pattern.week_start if span == 7 else january  # noqa: PLR2004 - a week
    for index, passes in enumerate(passed):
        if passes and ((offset + index) // span - phase) % interval == 0:
            mask[index] = 1
    return bytes(mask)


def _pick(passed: bytes, periods: list[tuple[int, int]], positions: tuple[int, ...]) -> bytes:
    """Of each period (first, end) of a year keep the days at `positions`, all if there are none."""
    mask = bytearray(len(passed))
    for first, end in periods:
        members = [index for index in range(first, end) if passed[index]]
        for index in at_positions(members, positions) if positions else members:
            mask[index] = 1
    return bytes(mask)


def period_of(frequency: Frequency, day: int, week_start: int) -> int:
    """Number of the year, month, week or day that contains `day`, as `DayPattern.phase` counts them."""
    one = date.fromordinal(day)
    if frequency is Frequency.YEARLY:
        return one.year
    if frequency is Frequency.MONTHLY:
        return one.year * 12 + one.month - 1
    if frequency is Frequency.WEEKLY:
        return (day - 1 - week_start) // 7
    return day


def start_seconds(start: datetime) -> int:
    """Civil seconds of a start, checked to be in the years that are supported.

    Raises:
        ValueError: outside `FIRST_YEAR` to `LAST_YEAR`, or with an offset.
    """
    if start.tzinfo is not None:
        raise ValueError("must be civil time without offset")
    if not FIRST_YEAR <= start.year <= LAST_YEAR:
        raise ValueError(f"year {start.year}; only {FIRST_YEAR} to {LAST_YEAR} are supported")
    return civil_seconds(start)
