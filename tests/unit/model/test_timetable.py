"""The index of airings against a plain expansion, over clock changes, bounds and caches."""

# ruff: noqa: DTZ001 - civil times carry no offset

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.bulletin import BulletinClass, ZoneId
from agent.model.schedule import Airing, Programme, Recurrence, Schedule
from agent.model.timetable import ScheduleError, Timetable
from tests.unit.model.schedules import a_programme, a_schedule

HCM = "Asia/Ho_Chi_Minh"
BERLIN = "Europe/Berlin"


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def plainly(schedule: Schedule, low: datetime, high: datetime) -> list[tuple[datetime, int, str]]:
    """(start, class rank, id) of all airings in [low, high), by dateutil from the very start."""
    zone = ZoneInfo(schedule.timezone)
    found = set()
    for programme in schedule.programmes:
        rank = 0 if programme.bulletin_class is BulletinClass.PRIORITY else 1
        for when in programme.recurrences:
            civil = set(when.rdates)
            if when.rrule is None:
                civil.add(when.start)
            else:
                civil.update(
                    rrulestr(when.rrule, dtstart=when.start).between(
                        low.replace(tzinfo=None) - timedelta(days=2),
                        high.replace(tzinfo=None) + timedelta(days=2),
                    )
                )
            for one in civil - when.exdates:
                moment = one.replace(tzinfo=zone, fold=0).astimezone(UTC)
                begins = programme.valid_from is None or moment >= programme.valid_from
                if (
                    low <= moment < high
                    and begins
                    and (not programme.valid_until or moment < programme.valid_until)
                ):
                    found.add((moment, rank, programme.id))
    return sorted(found)


def found_between(timetable: Timetable, low: datetime, high: datetime) -> list[tuple[datetime, int, str]]:
    return [
        (one.start, 0 if one.programme.bulletin_class is BulletinClass.PRIORITY else 1, one.programme.id)
        for one in timetable.between(low, high)
    ]


RULES = [
    None,
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=3;BYHOUR=0,2,3,23;BYMINUTE=0,30",
    "FREQ=WEEKLY;BYDAY=MO,SU",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SA;WKST=SU;BYHOUR=2",
    "FREQ=MONTHLY;BYDAY=-1SU;BYHOUR=2;BYMINUTE=30",
    "FREQ=MONTHLY;BYMONTHDAY=29,30,31",
    "FREQ=YEARLY;BYMONTH=3,10;BYDAY=-1SU;BYHOUR=1,2,3",
    "FREQ=HOURLY;INTERVAL=6",
    "FREQ=HOURLY;INTERVAL=5",
    "FREQ=MINUTELY;INTERVAL=45;BYHOUR=1,2,3",
    "FREQ=DAILY;BYHOUR=1,2,3;BYSETPOS=2",
    "FREQ=DAILY;COUNT=20",
    "FREQ=DAILY;BYHOUR=2;UNTIL=20260329T020000",
]


@st.composite
def programmes(draw: st.DrawFn, name: str) -> Programme:
    starts = st.datetimes(datetime(2025, 12, 1), datetime(2026, 4, 10)).map(
        lambda one: one.replace(minute=one.minute // 30 * 30, second=0, microsecond=0)
    )
    whens = []
    for _ in range(draw(st.integers(1, 2))):
        start = draw(starts)
        rule = draw(st.sampled_from(RULES))
        if rule and "UNTIL" in rule:
            start = min(start, datetime(2026, 3, 1))
        whens.append(
            Recurrence(
                start,
                rule,
                exdates=frozenset(
                    start + timedelta(days=day) for day in draw(st.lists(st.integers(0, 30), max_size=3))
                ),
                rdates=frozenset(draw(st.lists(starts, max_size=2))),
            )
        )
    moments = st.datetimes(datetime(2026, 1, 1), datetime(2026, 4, 1), timezones=st.just(UTC))
    return a_programme(
        name,
        *whens,
        durations_ms=(draw(st.sampled_from([1, 60_000, 1_800_000, 10_800_000, 86_400_000])),),
        bulletin_class=draw(st.sampled_from([BulletinClass.NORMAL, BulletinClass.PRIORITY])),
        valid_from=draw(st.none() | moments),
        valid_until=draw(st.none() | moments),
    )


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    names = [f"p{number}" for number in range(draw(st.integers(1, 5)))]
    zone = draw(st.sampled_from([HCM, BERLIN, BERLIN, "America/Havana", "Australia/Lord_Howe"]))
    return a_schedule(*[draw(programmes(name)) for name in names], timezone=zone)


@settings(max_examples=40, deadline=None)
@given(
    schedules(),
    st.datetimes(datetime(2026, 2, 20), datetime(2026, 4, 10), timezones=st.just(UTC)),
    st.integers(1, 12),
)
def test_all_queries_equal_the_plain_expansion(schedule: Schedule, low: datetime, days: int) -> None:
    timetable = Timetable(schedule)
    high = low + timedelta(days=days)
    expected = plainly(schedule, low, high)
    assert found_between(timetable, low, high) == expected
    upcoming = timetable.next(low - timedelta(microseconds=1))
    if expected:
        assert upcoming is not None
        assert (upcoming.start, upcoming.programme.id) == (expected[0][0], expected[0][2])
    else:
        assert upcoming is None or upcoming.start >= high
    lasting = {one.id: one.duration for one in schedule.programmes}
    running = [
        (rank, start, name)
        for start, rank, name in plainly(schedule, high - timedelta(days=2), high + timedelta(microseconds=1))
        if start <= high < start + lasting[name]
    ]
    assert [(one.start, one.programme.id) for one in timetable.active(high)] == [
        (start, name) for _, start, name in sorted(running)
    ]


@settings(max_examples=15, deadline=None)
@given(schedules(), st.lists(st.integers(0, 400 * 24 * 3600), min_size=1, max_size=30))
def test_answers_do_not_depend_on_what_was_asked_before(schedule: Schedule, seconds: list[int]) -> None:
    asked = Timetable(schedule, checked_at=utc(2026, 1, 1))
    for second in seconds:
        moment = utc(2025, 12, 1) + timedelta(seconds=second)
        fresh = Timetable(schedule)
        assert asked.next(moment) == fresh.next(moment)
        assert asked.active(moment) == fresh.active(moment)


def test_walking_by_next_visits_every_start_once() -> None:
    schedule = a_schedule(
        *[a_programme(f"p{n}", Recurrence(datetime(2026, 1, 1, n), RULES[n])) for n in range(12)]
    )
    timetable = Timetable(schedule)
    expected = sorted({one[0] for one in plainly(schedule, utc(2026, 1, 1), utc(2026, 12, 31))})
    moment, visited = utc(2026, 1, 1) - timedelta(seconds=1), []
    while (airing := timetable.next(moment)) is not None and airing.start < utc(2026, 12, 31):
        visited.append(airing.start)
        moment = airing.start
    assert visited == expected


def test_ties_go_by_class_then_id() -> None:
    when = Recurrence(datetime(2026, 1, 1, 5), "FREQ=DAILY")
    timetable = Timetable(
        a_schedule(
            a_programme("a", when),
            a_programme("z", when, bulletin_class=BulletinClass.PRIORITY, durations_ms=(7_200_000,)),
            a_programme("b", when, bulletin_class=BulletinClass.PRIORITY),
        )
    )
    first = timetable.next(utc(2026, 6, 1))
    assert first is not None
    assert first.programme.id == "b"
    assert [one.programme.id for one in timetable.active(first.start)] == ["b", "z", "a"]
    assert [one.programme.id for one in timetable.between(first.start, first.end, 2)] == ["b", "z"]


def test_bounds_are_half_open() -> None:
    schedule = a_schedule(a_programme("a", Recurrence(datetime(2026, 1, 1, 7)), durations_ms=(1_500,)))
    timetable = Timetable(schedule)
    start = utc(2026, 1, 1)
    tick = timedelta(microseconds=1)
    assert timetable.next(start - tick) is not None
    assert timetable.next(start) is None
    assert not timetable.active(start - tick)
    assert timetable.active(start)
    assert timetable.active(start + timedelta(seconds=1.5) - tick)
    assert not timetable.active(start + timedelta(seconds=1.5))
    assert [one.start for one in timetable.between(start, start + tick)] == [start]
    assert list(timetable.between(start + tick, start + timedelta(days=1))) == []


@pytest.mark.parametrize(
    ("civil", "expected"),
    [
        (datetime(2026, 3, 29, 2, 30), utc(2026, 3, 29, 1, 30)),  # does not exist: shifted to 03:30 CEST
        (datetime(2026, 3, 29, 3, 0), utc(2026, 3, 29, 1, 0)),
        (datetime(2026, 10, 25, 2, 30), utc(2026, 10, 25, 0, 30)),  # exists twice: the first
        (datetime(2026, 10, 25, 3, 0), utc(2026, 10, 25, 2, 0)),
    ],
)
@pytest.mark.parametrize("rule", [None, "FREQ=DAILY", "FREQ=HOURLY;INTERVAL=48"])
def test_clock_changes_of_the_civil_zone(civil: datetime, expected: Any, rule: str | None) -> None:
    timetable = Timetable(a_schedule(a_programme("a", Recurrence(civil, rule)), timezone=BERLIN))
    airing = timetable.next(expected - timedelta(seconds=1))
    assert airing is not None
    assert airing.start == expected
    assert timetable.active(expected) == (airing,)


def test_a_civil_day_that_never_was_moves_to_the_next() -> None:
    when = Recurrence(datetime(2011, 12, 29, 8), "FREQ=DAILY;COUNT=3")
    timetable = Timetable(a_schedule(a_programme("a", when), timezone="Pacific/Apia"))
    found = [one.start for one in timetable.between(utc(2011, 12, 28), utc(2012, 1, 3))]
    assert found == [utc(2011, 12, 29, 18), utc(2011, 12, 30, 18)]  # 30th, skipped, falls on the 31st


def test_airings_over_midnight_month_end_and_leap_day() -> None:
    when = Recurrence(datetime(2028, 1, 31, 23, 50), "FREQ=MONTHLY;BYMONTHDAY=-1")
    timetable = Timetable(a_schedule(a_programme("a", when, durations_ms=(1_200_000,)), timezone="UTC"))
    assert [one.start for one in timetable.active(utc(2028, 3, 1, 0, 5))] == [utc(2028, 2, 29, 23, 50)]
    assert [one.start for one in timetable.active(utc(2029, 1, 1, 0, 5))] == [utc(2028, 12, 31, 23, 50)]


def test_far_apart_and_finished_rules_answer_without_expanding_years() -> None:
    leap = a_programme("leap", Recurrence(datetime(2024, 2, 29, 7), "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"))
    over = [
        a_programme(
            f"o{n}", Recurrence(datetime(2020, 1, 1, n % 24), "FREQ=DAILY"), valid_until=utc(2021, 1, 1)
        )
        for n in range(500)
    ]
    timetable = Timetable(a_schedule(leap, *over))
    airing = timetable.next(utc(2096, 3, 1))
    assert airing is not None
    assert airing.start == utc(2104, 2, 29)
    assert Timetable(a_schedule(*over)).next(utc(2026, 1, 1)) is None


@pytest.mark.parametrize("moment", [utc(1, 1, 1), utc(1969, 7, 20), utc(2200, 12, 31), utc(9999, 12, 30)])
def test_any_moment_can_be_asked_about(moment: datetime) -> None:
    daily = a_programme("a", Recurrence(datetime(1970, 1, 1), "FREQ=DAILY"))
    odd = a_programme("b", Recurrence(datetime(1970, 1, 1), "FREQ=HOURLY;INTERVAL=5"))
    timetable = Timetable(a_schedule(daily, odd))
    upcoming = timetable.next(moment)
    assert (upcoming is not None) == (moment.year < 1971)
    assert len(timetable.active(moment)) <= 2
    assert len(list(timetable.between(moment, moment + timedelta(hours=3), 10))) <= 10


def test_two_recurrences_naming_one_start_give_one_airing() -> None:
    when = [
        Recurrence(datetime(2026, 1, 1, 5), rule) for rule in (None, "FREQ=DAILY", "FREQ=HOURLY;INTERVAL=5")
    ]
    timetable = Timetable(a_schedule(a_programme("a", *when)))
    start = utc(2025, 12, 31, 22)
    assert len(timetable.active(start)) == 1
    assert len(list(timetable.between(start, start + timedelta(hours=1)))) == 1


def test_until_in_utc_includes_its_moment() -> None:
    when = Recurrence(datetime(2026, 1, 1, 5), "FREQ=DAILY;UNTIL=20260102T220000Z")
    found = list(Timetable(a_schedule(a_programme("a", when))).between(utc(2025, 12, 1), utc(2027, 1, 1)))
    assert [one.start for one in found] == [utc(2025, 12, 31, 22), utc(2026, 1, 1, 22), utc(2026, 1, 2, 22)]


def test_many_programmes_that_seldom_air_are_found() -> None:
    seed = random.Random(7)
    schedule = a_schedule(
        *[
            a_programme(
                f"p{n}",
                Recurrence(datetime(2025, 1, 1, seed.randrange(24), seed.randrange(60)), "FREQ=DAILY"),
                valid_from=(begin := utc(2026, 1, 1) + timedelta(days=seed.randrange(360))),
                valid_until=begin + timedelta(days=2),
            )
            for n in range(600)
        ]
    )
    timetable = Timetable(schedule)
    expected = plainly(schedule, utc(2026, 5, 1), utc(2026, 5, 20))
    assert found_between(timetable, utc(2026, 5, 1), utc(2026, 5, 20)) == expected
    for (before, _, _), (start, _, name) in pairwise(expected):
        if start > before:
            airing = timetable.next(before)
            assert airing is not None
            assert (airing.start, airing.programme.id) == (start, name)


@pytest.mark.parametrize(
    ("schedule", "field", "problem"),
    [
        (
            a_schedule(
                a_programme("a", Recurrence(datetime(2026, 1, 1))),
                a_programme(
                    "b", Recurrence(datetime(2026, 1, 1)), Recurrence(datetime(2026, 1, 1), "FREQ=SECONDLY")
                ),
            ),
            "programmes[1].recurrences[1].rrule",
            "FREQ=SECONDLY is not supported",
        ),
        (a_schedule(timezone="Mars/Olympus"), "timezone", "is not an IANA time zone"),
        (a_schedule(timezone="../etc/passwd"), "timezone", "is not an IANA time zone"),
        (
            a_schedule(*[a_programme("a", Recurrence(datetime(2026, 1, 1)))] * 2),
            "programmes[1].id",
            "'a' is used twice",
        ),
        (
            a_schedule(a_programme("a", Recurrence(datetime(2026, 1, 1)), durations_ms=(86_400_000, 1))),
            "programmes[0].items",
            "last longer than 1 day",
        ),
        (
            a_schedule(a_programme("a", Recurrence(datetime(1, 1, 1)))),
            "programmes[0].recurrences[0].start",
            "only 1970 to 2200",
        ),
        (
            a_schedule(
                a_programme("a", Recurrence(datetime(2026, 1, 1), rdates=frozenset({datetime(9999, 1, 1)})))
            ),
            "programmes[0].recurrences[0].rdates[0]",
            "only 1970 to 2200",
        ),
        (
            a_schedule(
                a_programme(
                    "a", *[Recurrence(datetime(2026, 1, 1), "FREQ=HOURLY;INTERVAL=5") for _ in range(1001)]
                )
            ),
            "programmes[0].recurrences[1000].rrule",
            "more than 1000 rules",
        ),
        (
            a_schedule(
                *[
                    a_programme(f"p{n}", *[Recurrence(datetime(2026, 1, 1), "FREQ=MINUTELY")] * 350)
                    for n in range(2)
                ]
            ),
            "programmes[1].recurrences[344].rrule",
            "more than 1000000 starts",
        ),
    ],
)
def test_a_schedule_that_cannot_be_obeyed_names_the_field(
    schedule: Schedule, field: str, problem: str
) -> None:
    with pytest.raises(ScheduleError, match=problem) as refused:
        Timetable(schedule)
    assert refused.value.field == field
    assert str(refused.value) == f"{field}: {refused.value.problem}"


def test_an_empty_schedule_has_no_airings() -> None:
    timetable = Timetable(a_schedule(), checked_at=utc(2026, 1, 1))
    assert timetable.next(utc(2026, 1, 1)) is None
    assert timetable.active(utc(2026, 1, 1)) == ()
    assert list(timetable.between(utc(2026, 1, 1), utc(2027, 1, 1))) == []


def test_questions_about_one_zone() -> None:
    when = Recurrence(datetime(2026, 1, 1, 5), "FREQ=DAILY")
    schedule = a_schedule(
        a_programme("far", when, zones=("elsewhere",)),
        a_programme("m", Recurrence(datetime(2026, 1, 1, 6), "FREQ=DAILY"), zones=("market", "square")),
        a_programme("s", Recurrence(datetime(2026, 1, 1, 7), "FREQ=DAILY"), zones=("square",)),
        a_programme("all", Recurrence(datetime(2026, 1, 1, 8), "FREQ=DAILY")),
    )
    everywhere, here = Timetable(schedule), Timetable(schedule, zones=(ZoneId("square"), ZoneId("market")))
    start, day = utc(2026, 6, 1, 17), timedelta(days=1)

    def named(airing: Airing | None) -> str | None:
        return airing.programme.id if airing else None

    assert named(everywhere.next(start)) == "far"
    assert named(here.next(start)) == "m"
    assert named(here.next(start, ZoneId("square"))) == "m"
    assert named(here.next(start + timedelta(hours=7), ZoneId("market"))) == "all"
    assert [one.programme.id for one in everywhere.between(start, start + day)] == ["far", "m", "s", "all"]
    assert [one.programme.id for one in here.between(start, start + day)] == ["m", "s", "all"]
    assert [one.programme.id for one in here.active(start + timedelta(hours=6))] == ["m"]
    broken = a_schedule(
        a_programme("x", Recurrence(datetime(2026, 1, 1), "FREQ=NEVER"), zones=("elsewhere",))
    )
    with pytest.raises(ScheduleError, match="FREQ=NEVER"):
        Timetable(broken, zones=(ZoneId("square"),))
