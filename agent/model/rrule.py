"""Reading RRULE text: every part checked, nothing guessed; the outcome is a `Rule`.

Source: RFC 5545 section 3.3.10.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import product
from math import gcd

from agent.model.civil import DAY_S, civil_seconds
from agent.model.recurrence import (
    LAST_YEAR,
    MAX_COUNT,
    MAX_INTERVAL,
    MAX_TIMES_PER_DAY,
    SEARCH_YEARS,
    Cycle,
    DayFilter,
    DayPattern,
    Frequency,
    Rule,
    at_positions,
    period_of,
    start_seconds,
)

_NUMBERS: dict[str, tuple[int, int, bool]] = {
    "BYMONTH": (1, 12, False),
    "BYMONTHDAY": (1, 31, True),
    "BYYEARDAY": (1, 366, True),
    "BYWEEKNO": (1, 53, True),
    "BYHOUR": (0, 23, False),
    "BYMINUTE": (0, 59, False),
    "BYSECOND": (0, 59, False),
    "BYSETPOS": (1, 366, True),
}
_PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", *_NUMBERS}
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_BYDAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_UNTIL = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,7}", re.ASCII)

END = (date(LAST_YEAR, 12, 31).toordinal() + 1) * DAY_S - 1
"""Last civil second in which anything may start."""


def parse_rule(text: str, start: datetime) -> Rule:
    """Check an RRULE value whose DTSTART is the civil time `start`.

    As in python-dateutil, `start` itself airs only if the rule matches it. UNTIL is civil
    (`20261231T235959`), UTC (with `Z`) or a date, which then counts as a whole.

    Raises:
        ValueError: the rule cannot be read, is not supported, or never matches; the text says why.
    """
    begin = start_seconds(start)
    parts = _Parts(_split(text))
    frequency = parts.frequency()
    interval = parts.number("INTERVAL", 1, MAX_INTERVAL) or 1
    count = parts.number("COUNT", 1, MAX_COUNT)
    until, until_utc = parts.until()
    if count is not None and "UNTIL" in parts.values:
        raise ValueError("COUNT and UNTIL exclude each other")
    week_start = parts.week_start()
    positions = parts.numbers("BYSETPOS")
    days = parts.day_filter(frequency, start, week_start)
    sub_daily = frequency >= Frequency.HOURLY
    day_frequency = Frequency.DAILY if sub_daily else frequency
    day_interval = 1 if sub_daily else interval
    pattern = DayPattern(
        day_frequency,
        day_interval,
        period_of(day_frequency, begin // DAY_S, week_start) % day_interval,
        days,
        week_start if frequency is Frequency.WEEKLY else 0,
    )
    hours, minutes = parts.numbers("BYHOUR"), parts.numbers("BYMINUTE")
    seconds = parts.numbers("BYSECOND") or (start.second,)
    times: tuple[int, ...] | None
    choices: tuple[int, ...] = ()
    cycle: Cycle | None = None
    if sub_daily:
        within = _within(frequency, minutes or (start.minute,), seconds, positions)
        _check_density(-(-_PER_DAY[frequency] // interval) * len(within))
        cycle = _cycle(frequency, interval, begin, _Allowed(hours, minutes), within)
        times = cycle.times(0) if cycle.days == 1 else None
        if not cycle.units or not within:
            raise ValueError(_NEVER)
    else:
        every = (hours or (start.hour,), minutes or (start.minute,), seconds)
        _check_density(len(every[0]) * len(every[1]) * len(every[2]))
        choices = tuple(h * 3600 + m * 60 + s for h, m, s in product(*every))
        on_days = positions and len(choices) == 1 and frequency <= Frequency.MONTHLY
        times = choices if on_days or not positions else None
        if on_days:
            pattern = replace(pattern, positions=positions)
    rule = Rule(begin, END, until_utc, frequency, pattern, times, cycle, choices, positions)
    if not _matches_ever(rule):
        raise ValueError(_NEVER)
    if until is not None:
        rule = replace(rule, last=until)
    elif count is not None:
        rule = replace(rule, last=_last_of(rule, count))
    if rule.last < begin or (until_utc is not None and until_utc < start.replace(tzinfo=UTC) - _ONE_DAY):
        raise ValueError("UNTIL lies before the start")
    return rule


_ONE_DAY = datetime(1970, 1, 2, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)


def _split(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for part in text.upper().split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise ValueError(f"{part[:40]!r} is not of the form NAME=VALUE")
        if name not in _PARTS:
            raise ValueError(f"unknown part {name[:20]!r}")
        if name in values:
            raise ValueError(f"{name} is given twice")
        values[name] = value
    if "FREQ" not in values:
        raise ValueError("FREQ is missing")
    return values


@dataclass(frozen=True, slots=True)
class _Parts:
    values: dict[str, str]

    def frequency(self) -> Frequency:
        name = self.values["FREQ"]
        if name not in Frequency.__members__:
            raise ValueError(f"FREQ={name[:20]} is not supported; use {', '.join(Frequency.__members__)}")
        return Frequency[name]

    def number(self, name: str, low: int, high: int) -> int | None:
        text = self.values.get(name)
        if text is None:
            return None
        if not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError(f"{name}={text[:20]} must be a number from {low} to {high}")
        return int(text)

    def numbers(self, name: str) -> tuple[int, ...]:
        """The values of a BY part, sorted; empty if it is absent."""
        text = self.values.get(name)
        if text is None:
            return ()
        low, high, signed = _NUMBERS[name]
        found = set()
        for one in text.split(","):
            if not _NUMBER.fullmatch(one):
                raise ValueError(f"{name}: {one[:20]!r} is not a number")
            value = int(one)
            if not (low <= value <= high or (signed and low <= -value <= high)):
                raise ValueError(f"{name}: {value} must be from {'±' if signed else ''}{low} to {high}")
            found.add(value)
        return tuple(sorted(found))

    def week_start(self) -> int:
        name = self.values.get("WKST", "MO")
        if name not in _WEEKDAYS:
            raise ValueError(f"WKST={name[:20]} is not a weekday")
        return _WEEKDAYS.index(name)

    def until(self) -> tuple[int | None, datetime | None]:
        """UNTIL as civil seconds or as a moment in UTC, both None without."""
        text = self.values.get("UNTIL")
        if text is None:
            return None, None
        form = _UNTIL.fullmatch(text)
        day, time, zulu = form.groups() if form else ("", None, None)
        try:
            moment = datetime.strptime(day + (time or "235959"), "%Y%m%d%H%M%S")  # noqa: DTZ007 - civil
        except ValueError as error:
            raise ValueError(f"UNTIL={text[:20]} must be YYYYMMDDTHHMMSS, with Z if it is UTC") from error
        return (None, moment.replace(tzinfo=UTC)) if zulu else (min(civil_seconds(moment), END), None)

    def day_filter(self, frequency: Frequency, start: datetime, week_start: int) -> DayFilter:
        months, month_days = self.numbers("BYMONTH"), self.numbers("BYMONTHDAY")
        year_days, weeks = self.numbers("BYYEARDAY"), self.numbers("BYWEEKNO")
        weekdays = self._weekdays(frequency, has_months=bool(months), has_weeks=bool(weeks))
        if weeks and frequency is not Frequency.YEARLY:
            raise ValueError("BYWEEKNO needs FREQ=YEARLY")
        if not (month_days or year_days or weeks or weekdays):
            # What the rule leaves open comes from the start, as in RFC 5545.
            if frequency is Frequency.YEARLY:
                months = months or (start.month,)
            if frequency in {Frequency.YEARLY, Frequency.MONTHLY}:
                month_days = (start.day,)
            elif frequency is Frequency.WEEKLY:
                weekdays = ((start.weekday(), 0),)
        if frequency is Frequency.MONTHLY and any(nth for _, nth in weekdays):
            months = months or tuple(range(1, 13))
        return DayFilter(months, month_days, year_days, weeks, weekdays, week_start if weeks else 0)

    def _weekdays(
        self, frequency: Frequency, *, has_months: bool, has_weeks: bool
    ) -> tuple[tuple[int, int], ...]:
        text = self.values.get("BYDAY")
        if text is None:
            return ()
        found = set()
        for one in text.split(","):
            form = _BYDAY.fullmatch(one)
            if form is None:
                raise ValueError(f"BYDAY: {one[:20]!r} is not a weekday such as MO or -1FR")
            nth = int(form[1]) if form[1] else 0
            if form[1]:
                if frequency > Frequency.MONTHLY or has_weeks:
                    raise ValueError(f"BYDAY: {one} needs FREQ=MONTHLY or YEARLY, without BYWEEKNO")
                most = 5 if frequency is Frequency.MONTHLY or has_months else 53
                if not 1 <= abs(nth) <= most:
                    raise ValueError(f"BYDAY: {one}: the number must be from ±1 to {most}")
            found.add((_WEEKDAYS.index(form[2]), nth))
        return tuple(sorted(found))


@dataclass(frozen=True, slots=True)
class _Allowed:
    hours: tuple[int, ...]
    minutes: tuple[int, ...]

    def passes(self, frequency: Frequency, second: int) -> bool:
        if self.hours and second // 3600 not in self.hours:
            return False
        return frequency is Frequency.HOURLY or not self.minutes or second // 60 % 60 in self.minutes


_PER_DAY = {Frequency.HOURLY: 24, Frequency.MINUTELY: 1440}
_NEVER = "never matches any day and time"


def _within(
    frequency: Frequency, minutes: tuple[int, ...], seconds: tuple[int, ...], positions: tuple[int, ...]
) -> tuple[int, ...]:
    """Seconds after the beginning of a matching hour or minute."""
    every = [m * 60 + s for m, s in product(minutes if frequency is Frequency.HOURLY else (0,), seconds)]
    return tuple(at_positions(every, positions) if positions else every)


def _cycle(
    frequency: Frequency, interval: int, begin: int, allowed: _Allowed, within: tuple[int, ...]
) -> Cycle:
    """Steps of `interval` hours or minutes meet each time of the day once in a whole number of days."""
    per_day = _PER_DAY[frequency]
    unit = DAY_S // per_day
    shared = gcd(interval, per_day)
    days = interval // shared
    units: dict[int, list[int]] = {}
    for step in range(per_day // shared):
        day, number = divmod(begin // unit + step * interval, per_day)
        if allowed.passes(frequency, number * unit):
            units.setdefault(day % days, []).append(number * unit)
    return Cycle(days, {day: tuple(sorted(found)) for day, found in units.items()}, within)


def _check_density(most: int) -> None:
    if most > MAX_TIMES_PER_DAY:
        raise ValueError(f"matches {most} times a day; at most {MAX_TIMES_PER_DAY} are supported")


def _matches_ever(rule: Rule) -> bool:
    first = rule.start // DAY_S
    horizon = min(first + SEARCH_YEARS * 366, END // DAY_S)
    if rule.times is not None:
        return rule.pattern.next_day(first, horizon) is not None
    day = rule.pattern.next_day(first, horizon)
    while day is not None:
        last = min(day + 366, horizon)
        if rule.cycle is not None:
            if any(one % rule.cycle.days in rule.cycle.units for one in rule.pattern.matching(day, last)):
                return True
        elif rule.expand(day * DAY_S, (last + 1) * DAY_S):
            return True
        day = rule.pattern.next_day(last + 1, horizon)
    return False


def _last_of(rule: Rule, count: int) -> int:
    """Civil seconds of the last of `count` matches; the end of the horizon if it is not reached before."""
    day, left = rule.start // DAY_S, count
    years = range(date.fromordinal(day).year, min(date.fromordinal(day).year + 100, LAST_YEAR) + 1)
    for year in years:
        january, december = date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal()
        if rule.times is not None and january > day:
            here = rule.pattern.mask(year).count(1) * len(rule.times)
            if here < left:
                left -= here
                continue
        for first in range(max(day, january), december + 1, 31):
            found = rule.expand(first * DAY_S, (min(first + 30, december) + 1) * DAY_S)
            if len(found) >= left:
                return found[left - 1]
            left -= len(found)
    return END
