"""Rules without a time zone: equal to python-dateutil's plain expansion, wherever one looks."""

# ruff: noqa: DTZ001 - civil times carry no offset

from __future__ import annotations

import calendar
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.civil import DAY_S, civil_seconds
from agent.model.rrule import parse_rule

DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
starts = st.datetimes(datetime(2015, 1, 1), datetime(2028, 12, 31)).map(
    lambda one: one.replace(microsecond=0)
)


def some(values: list[int], most: int = 3) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True).map(
        lambda found: ",".join(map(str, found))
    )


@st.composite
def rules(draw: st.DrawFn) -> str:  # noqa: PLR0912 - one branch a part
    frequency = draw(st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY"]))
    most = {"YEARLY": 4, "MONTHLY": 14, "WEEKLY": 9, "DAILY": 40, "HOURLY": 50, "MINUTELY": 3000}[frequency]
    parts = [f"FREQ={frequency}"]
    if draw(st.booleans()):
        low = 30 if frequency == "MINUTELY" else 1
        parts.append(f"INTERVAL={draw(st.integers(low, most))}")
    elif frequency == "MINUTELY":
        parts.append("INTERVAL=30")
    if draw(st.booleans()):
        parts.append(f"WKST={draw(st.sampled_from(DAYS))}")
    if draw(st.integers(0, 3)) == 0:
        parts.append(f"BYMONTH={draw(some(list(range(1, 13)), 5))}")
    nth = frequency in {"YEARLY", "MONTHLY"}
    by = draw(st.sampled_from(["none", "day", "nth" if nth else "day", "monthday", "yearday", "week"]))
    if by == "day":
        chosen = draw(st.lists(st.sampled_from(DAYS), min_size=1, max_size=5, unique=True))
        parts.append(f"BYDAY={','.join(chosen)}")
    elif by == "nth":
        numbers = st.sampled_from(["1", "2", "-1", "-2", "4", "+3", "5", "-5"])
        pairs = draw(st.lists(st.tuples(numbers, st.sampled_from(DAYS)), min_size=1, max_size=3, unique=True))
        parts.append(f"BYDAY={','.join(number + day for number, day in pairs)}")
    elif by == "monthday":
        parts.append(f"BYMONTHDAY={draw(some([1, 2, 13, 15, 28, 29, 30, 31, -1, -2, -29, -31]))}")
    elif by == "yearday":
        parts.append(f"BYYEARDAY={draw(some([1, 59, 60, 61, 200, 365, 366, -1, -366, -306]))}")
    elif by == "week" and frequency == "YEARLY":
        parts.append(f"BYWEEKNO={draw(some([1, 2, 20, 52, 53, -1, -53]))}")
    if draw(st.integers(0, 2)) == 0:
        parts.append(f"BYHOUR={draw(some([0, 5, 11, 17, 23]))}")
    if draw(st.integers(0, 2)) == 0:
        parts.append(f"BYMINUTE={draw(some([0, 15, 30, 59]))}")
    if draw(st.integers(0, 5)) == 0:
        parts.append(f"BYSECOND={draw(some([0, 30, 59], 2))}")
    if draw(st.integers(0, 2)) == 0:
        parts.append(f"BYSETPOS={draw(some([1, 2, 3, -1, -2, 10]))}")
    end = draw(st.sampled_from(["", "", "COUNT", "UNTIL"]))
    if end == "COUNT":
        parts.append(f"COUNT={draw(st.integers(1, 40))}")
    elif end == "UNTIL":
        parts.append("UNTIL=20300301T103000")
    return ";".join(parts)


def plainly(text: str, start: datetime, low: datetime, high: datetime) -> list[int]:
    """Expanded from the very start by dateutil; bounded by an UNTIL, as it may otherwise run to 9999."""
    rule = rrulestr(text, dtstart=start)
    found = []
    for one in rule.xafter(low, inc=True):
        if one >= high:
            break
        found.append(civil_seconds(one))
    return found


@settings(max_examples=80, deadline=None)
@given(rules(), starts, st.integers(0, 3000), st.integers(1, 500))
def test_any_window_equals_the_plain_expansion(text: str, start: datetime, ahead: int, length: int) -> None:
    try:
        rule = parse_rule(text, start)
    except ValueError as error:
        if str(error) != "never matches any day and time":
            raise
        return
    low = start + timedelta(days=ahead)
    high = low + timedelta(days=length)
    expected = plainly(text, start, low, high)
    lowest, highest = civil_seconds(low), civil_seconds(high)
    assert rule.expand(lowest, highest) == expected
    if rule.times is not None:
        by_day = [
            day * DAY_S + time
            for day in range(lowest // DAY_S, highest // DAY_S + 1)
            if rule.pattern.next_day(day, day) is not None
            for time in rule.times
        ]
        assert [
            one for one in by_day if lowest <= one < highest and rule.start <= one <= rule.last
        ] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FREQ=MONTHLY;BYMONTHDAY=31", ["2026-01-31", "2026-03-31", "2026-05-31"]),
        ("FREQ=MONTHLY;BYMONTHDAY=-1", ["2026-01-31", "2026-02-28", "2026-03-31"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", ["2028-02-29", "2032-02-29", "2036-02-29"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", ["2026-01-30", "2026-02-27", "2026-03-31"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU;WKST=SU", ["2026-01-11", "2026-01-25", "2026-02-08"]),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU;WKST=MO", ["2026-01-04", "2026-01-18", "2026-02-01"]),
        ("FREQ=MONTHLY;BYDAY=MO,2TU;COUNT=3", ["2026-01-05", "2026-01-12", "2026-01-13"]),
    ],
)
def test_known_dates(text: str, expected: Any) -> None:
    rule = parse_rule(text, datetime(2026, 1, 1, 5, 30))
    found = rule.expand(rule.start, rule.start + 4000 * DAY_S)[:3]
    assert [f"{datetime.fromordinal(one // DAY_S):%Y-%m-%d}" for one in found] == expected
    assert {one % DAY_S for one in found} == {5 * 3600 + 30 * 60}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not of the form"),
        ("DAILY", "is not of the form"),
        ("FREQ=", "is not of the form"),
        ("INTERVAL=2", "FREQ is missing"),
        ("FREQ=SECONDLY", "FREQ=SECONDLY is not supported"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ is given twice"),
        ("FREQ=DAILY;BYEASTER=1", "unknown part 'BYEASTER'"),
        ("FREQ=DAILY;X-A=1", "unknown part"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0 must be"),
        ("FREQ=DAILY;INTERVAL=-1", "INTERVAL=-1 must be"),
        ("FREQ=DAILY;INTERVAL=99999999999999999999", "must be a number"),
        ("FREQ=DAILY;COUNT=0", "COUNT=0 must be"),
        ("FREQ=DAILY;COUNT=10001", "COUNT=10001 must be a number from 1 to 10000"),
        ("FREQ=DAILY;COUNT=١", "must be a number"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270101T000000Z", "exclude each other"),
        ("FREQ=DAILY;UNTIL=tomorrow", "UNTIL=TOMORROW must be YYYYMMDDTHHMMSS"),
        ("FREQ=DAILY;UNTIL=20261301T000000", "must be YYYYMMDDTHHMMSS"),
        ("FREQ=DAILY;UNTIL=20261201T0000", "must be YYYYMMDDTHHMMSS"),
        ("FREQ=DAILY;UNTIL=20251231T000000", "UNTIL lies before the start"),
        ("FREQ=DAILY;UNTIL=20251230T000000Z", "UNTIL lies before the start"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never matches"),
        ("FREQ=MONTHLY;BYMONTH=4;BYMONTHDAY=31", "never matches"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;BYHOUR=1,2;BYSETPOS=1", "never matches"),
        ("FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29;BYYEARDAY=1", "never matches"),
        ("FREQ=HOURLY;INTERVAL=12;BYHOUR=3", "never matches"),
        ("FREQ=MINUTELY;INTERVAL=10080;BYDAY=MO", "never matches"),
        ("FREQ=HOURLY;INTERVAL=48;BYMINUTE=0;BYHOUR=3", "never matches"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR: 24 must be"),
        ("FREQ=DAILY;BYSECOND=60", "BYSECOND: 60 must be"),
        ("FREQ=DAILY;BYMONTHDAY=0", "BYMONTHDAY: 0 must be"),
        ("FREQ=DAILY;BYHOUR=1,,2", "is not a number"),
        ("FREQ=DAILY;BYDAY=XX", "is not a weekday"),
        ("FREQ=WEEKLY;BYDAY=1MO", "needs FREQ=MONTHLY or YEARLY"),
        ("FREQ=MONTHLY;BYDAY=6MO", "from ±1 to 5"),
        ("FREQ=YEARLY;BYDAY=54MO", "from ±1 to 53"),
        ("FREQ=YEARLY;BYDAY=0MO", "from ±1 to 53"),
        ("FREQ=MONTHLY;BYWEEKNO=3", "needs FREQ=YEARLY"),
        ("FREQ=DAILY;WKST=XX", "is not a weekday"),
        ("FREQ=MINUTELY;BYSECOND=0,1", "2880 times a day"),
    ],
)
def test_what_cannot_be_obeyed_is_refused_with_the_reason(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_rule(text, datetime(2026, 1, 1, 5, 30))


@given(st.text(max_size=60) | st.lists(st.sampled_from("FREQ=DAILY;COUNT,BYMONTH-019T:Z\n ")).map("".join))
def test_any_text_is_a_rule_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        parse_rule(text, datetime(2026, 1, 1))


def test_until_forms() -> None:
    start = datetime(2026, 1, 1, 5)
    local = parse_rule("FREQ=DAILY;UNTIL=20260103T050000", start)
    assert len(local.expand(0, 10**15)) == 3
    whole_day = parse_rule("FREQ=DAILY;UNTIL=20260103", start)
    assert whole_day.last == civil_seconds(datetime(2026, 1, 3, 23, 59, 59))
    assert parse_rule("FREQ=DAILY;UNTIL=20260103T050000Z", start).until_utc == datetime(
        2026, 1, 3, 5, tzinfo=UTC
    )


@pytest.mark.parametrize("count", [1, 2, 365, 366, 9_999, 10_000])
@pytest.mark.parametrize(
    "base", ["FREQ=DAILY;BYHOUR=5,17", "FREQ=HOURLY;INTERVAL=5", "FREQ=WEEKLY;BYDAY=MO,FR"]
)
def test_count_ends_at_the_same_match_as_plain_expansion(base: str, count: int) -> None:
    start = datetime(2026, 2, 27, 10, 15)
    expected = list(rrulestr(f"{base};COUNT={count}", dtstart=start))[-1]
    assert parse_rule(f"{base};COUNT={count}", start).last == civil_seconds(expected)


def test_a_start_that_the_rule_does_not_match_is_no_airing() -> None:
    rule = parse_rule("FREQ=WEEKLY;BYDAY=MO", datetime(2026, 1, 1, 5))
    first = rule.expand(rule.start, rule.start + 30 * DAY_S)[0]
    assert datetime.fromordinal(first // DAY_S).weekday() == calendar.MONDAY
    assert first > rule.start


@pytest.mark.parametrize(
    "start", [datetime(1969, 12, 31), datetime(2201, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)]
)
def test_starts_outside_the_supported_years_are_refused(start: datetime) -> None:
    with pytest.raises(ValueError, match=r"are supported|without offset"):
        parse_rule("FREQ=DAILY", start)
