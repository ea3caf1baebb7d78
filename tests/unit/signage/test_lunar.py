from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.signage.lunar import lunar

KNOWN_TET = """
1968-01-29 1969-02-16 1970-02-06 1971-01-27 1972-02-15 1973-02-03 1974-01-23 1975-02-11 1976-01-31 1977-02-18
1978-02-07 1979-01-28 1980-02-16 1981-02-05 1982-01-25 1983-02-13 1984-02-02 1985-01-21 1986-02-09 1987-01-29
1988-02-17 1989-02-06 1990-01-27 1991-02-15 1992-02-04 1993-01-23 1994-02-10 1995-01-31 1996-02-19 1997-02-07
1998-01-28 1999-02-16 2000-02-05 2001-01-24 2002-02-12 2003-02-01 2004-01-22 2005-02-09 2006-01-29 2007-02-17
2008-02-07 2009-01-26 2010-02-14 2011-02-03 2012-01-23 2013-02-10 2014-01-31 2015-02-19 2016-02-08 2017-01-28
2018-02-16 2019-02-05 2020-01-25 2021-02-12 2022-02-01 2023-01-22 2024-02-10 2025-01-29 2026-02-17 2027-02-06
2028-01-26 2029-02-13 2030-02-02 2031-01-23 2032-02-11 2033-01-31 2034-02-19 2035-02-08 2036-01-28 2037-02-15
2038-02-04 2039-01-24 2040-02-12 2041-02-01 2042-01-22 2043-02-10 2044-01-30 2045-02-17 2046-02-06 2047-01-26
2048-02-14 2049-02-02 2050-01-23
"""
TET = KNOWN_TET.split()

CHINA = {
    "1968": "1968-01-30",
    "1969": "1969-02-17",
    "1985": "1985-02-20",
    "2007": "2007-02-18",
    "2030": "2030-02-03",
}

LEAP_MONTHS = {
    1985: 2,
    1987: 7,
    2004: 2,
    2006: 7,
    2009: 5,
    2012: 4,
    2014: 9,
    2017: 6,
    2020: 4,
    2023: 2,
    2025: 6,
    2028: 5,
    2031: 3,
    2033: 11,
    2036: 6,
}


@pytest.mark.parametrize("day", TET)
def test_the_new_year_falls_on_the_known_day(day: str) -> None:
    found = lunar(date.fromisoformat(day))
    assert (found.day, found.month, found.leap, found.year) == (1, 1, False, int(day[:4]))


@pytest.mark.parametrize(("year", "chinese"), CHINA.items())
def test_the_new_year_is_vietnams_where_chinas_is_another_day(year: str, chinese: str) -> None:
    ours = next(date.fromisoformat(day) for day in TET if day.startswith(year))
    assert ours < date.fromisoformat(chinese)
    assert (lunar(date.fromisoformat(chinese)).day, lunar(date.fromisoformat(chinese)).month) != (1, 1)


@pytest.mark.parametrize(("year", "month"), LEAP_MONTHS.items())
def test_the_leap_month_is_the_known_one(year: int, month: int) -> None:
    days = [date(year, 1, 1) + timedelta(number) for number in range(440)]
    leaps = {(found.year, found.month) for found in map(lunar, days) if found.leap}
    assert (year, month) in leaps


def test_years_without_a_leap_month_have_none() -> None:
    days = [date(2026, 2, 17) + timedelta(number) for number in range(354)]
    assert not any(lunar(day).leap for day in days)


def test_the_year_and_the_day_have_their_names() -> None:
    found = lunar(date(2026, 11, 22))
    assert (found.day, found.month, found.year_name) == (14, 10, "Bính Ngọ")
    assert lunar(date(1984, 2, 2)).year_name == "Giáp Tý"
    assert lunar(date(2024, 2, 10)).year_name == "Giáp Thìn"
    assert lunar(date(2024, 2, 10)).day_name == "Giáp Thìn"
    assert lunar(date(2000, 1, 1)).day_name == "Mậu Ngọ"
    assert lunar(date(2000, 1, 1)).julian_day == 2451545


@given(st.dates(date(1900, 2, 1), date(2199, 12, 30)))
def test_each_day_follows_the_one_before(day: date) -> None:
    today, tomorrow = lunar(day), lunar(day + timedelta(1))
    assert tomorrow.julian_day == today.julian_day + 1
    if tomorrow.day == 1:
        assert today.day in {29, 30}
        same = (tomorrow.month, tomorrow.leap) == (today.month, True)
        assert same or tomorrow.month == today.month % 12 + 1 or tomorrow.leap
    else:
        assert tomorrow.day == today.day + 1
        assert (tomorrow.month, tomorrow.year, tomorrow.leap) == (today.month, today.year, today.leap)


@pytest.mark.parametrize("year", [1, 1899, 2200, 9999])
def test_a_year_outside_the_calendar_is_refused(year: int) -> None:
    with pytest.raises(ValueError, match="no lunar calendar"):
        lunar(date(year, 1, 1))
