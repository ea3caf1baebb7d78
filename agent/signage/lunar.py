"""The Vietnamese lunar calendar: months begin on the day of the new moon as seen at UTC+7.

The astronomical algorithm of Hồ Ngọc Đức, with the series for new moons and for the sun's longitude from Jean
Meeus, "Astronomical Algorithms". A lunar year has the winter solstice in its 11th month; when 13 months lie
between two such months, the first one without a major solar term is the leap month. China reckons in UTC+8,
so in some years (1968, 1969, 1985, 2007, 2030) its new year is on another day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

STEMS: Final = ("Giáp", "Ất", "Bính", "Đinh", "Mậu", "Kỷ", "Canh", "Tân", "Nhâm", "Quý")
BRANCHES: Final = ("Tý", "Sửu", "Dần", "Mão", "Thìn", "Tỵ", "Ngọ", "Mùi", "Thân", "Dậu", "Tuất", "Hợi")

FIRST_YEAR, LAST_YEAR = 1900, 2199

_JULIAN_DAY_OF_ORDINAL_0 = 1_721_425  # Julian day number of noon = ordinal + this
_UTC_OFFSET_DAYS = 7 / 24
_MONTH_DAYS = 29.530588853
_EPOCH = 2415021.076998695  # a new moon, 1 January 1900
_J2000 = 2_451_545.0


@dataclass(frozen=True, slots=True)
class LunarDate:
    """A day of the lunar calendar; `leap` marks the second of two months with the same number."""

    day: int
    month: int
    year: int
    leap: bool
    julian_day: int

    @property
    def year_name(self) -> str:
        """Such as `Bính Ngọ`."""
        return f"{STEMS[(self.year + 6) % 10]} {BRANCHES[(self.year + 8) % 12]}"

    @property
    def day_name(self) -> str:
        """Such as `Mậu Tuất`."""
        return f"{STEMS[(self.julian_day + 9) % 10]} {BRANCHES[(self.julian_day + 1) % 12]}"


def lunar(day: date) -> LunarDate:
    """The lunar date of a civil day in Vietnam.

    Raises:
        ValueError: the year is not between 1900 and 2199.
    """
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"no lunar calendar for the year {day.year}; known are {FIRST_YEAR} to {LAST_YEAR}")
    number = day.toordinal() + _JULIAN_DAY_OF_ORDINAL_0
    index = math.floor((number - _EPOCH) / _MONTH_DAYS)
    start = _new_moon(index + 1)
    if start > number:
        start = _new_moon(index)
    eleventh, next_eleventh = _month_eleven(day.year), _month_eleven(day.year)
    if eleventh >= start:
        year = day.year
        eleventh = _month_eleven(day.year - 1)
    else:
        year = day.year + 1
        next_eleventh = _month_eleven(day.year + 1)
    months = math.floor((start - eleventh) / 29)
    month, is_leap = months + 11, False
    if next_eleventh - eleventh > 365:  # noqa: PLR2004 - 13 months
        leap_month = _leap_offset(eleventh)
        if months >= leap_month:
            month = months + 10
            is_leap = months == leap_month
    if month > 12:  # noqa: PLR2004
        month -= 12
    if month >= 11 and months < 4:  # noqa: PLR2004 - months 11 and 12 belong to the year that ends
        year -= 1
    return LunarDate(number - start + 1, month, year, is_leap, number)


@lru_cache(maxsize=64)
def _new_moon(index: int) -> int:
    """Julian day number, at UTC+7, of the `index`-th new moon after 1 January 1900."""
    t = index / 1236.85
    t2, t3 = t * t, t * t * t
    moment = 2415020.75933 + 29.53058868 * index + 0.0001178 * t2 - 0.000000155 * t3
    moment += 0.00033 * math.sin(math.radians(166.56 + 132.87 * t - 0.009173 * t2))
    sun = math.radians(359.2242 + 29.10535608 * index - 0.0000333 * t2 - 0.00000347 * t3)
    moon = math.radians(306.0253 + 385.81691806 * index + 0.0107306 * t2 + 0.00001236 * t3)
    node = math.radians(21.2964 + 390.67050646 * index - 0.0016528 * t2 - 0.00000239 * t3)
    change = (
        (0.1734 - 0.000393 * t) * math.sin(sun)
        + 0.0021 * math.sin(2 * sun)
        - 0.4068 * math.sin(moon)
        + 0.0161 * math.sin(2 * moon)
        - 0.0004 * math.sin(3 * moon)
        + 0.0104 * math.sin(2 * node)
        - 0.0051 * math.sin(sun + moon)
        - 0.0074 * math.sin(sun - moon)
        + 0.0004 * math.sin(2 * node + sun)
        - 0.0004 * math.sin(2 * node - sun)
        - 0.0006 * math.sin(2 * node + moon)
        + 0.0010 * math.sin(2 * node - moon)
        + 0.0005 * math.sin(2 * moon + sun)
    )
    if t < -11:  # noqa: PLR2004 - dynamical minus universal time, days
        delta = 0.001 + 0.000839 * t + 0.0002261 * t2 - 0.00000845 * t3 - 0.000000081 * t * t3
    else:
        delta = -0.000278 + 0.000265 * t + 0.000262 * t2
    return math.floor(moment + change - delta + 0.5 + _UTC_OFFSET_DAYS)


@lru_cache(maxsize=64)
def _sun_term(number: int) -> int:
    """Which twelfth (0 to 11) of the ecliptic the sun is in at the start of a day in Vietnam."""
    t = (number - _J2000 - 0.5 - _UTC_OFFSET_DAYS) / 36525
    anomaly = math.radians(357.52910 + 35999.05030 * t - 0.0001559 * t * t - 0.00000048 * t * t * t)
    longitude = 280.46645 + 36000.76983 * t + 0.0003032 * t * t
    longitude += (1.914600 - 0.004817 * t - 0.000014 * t * t) * math.sin(anomaly)
    longitude += (0.019993 - 0.000101 * t) * math.sin(2 * anomaly) + 0.000290 * math.sin(3 * anomaly)
    return math.floor((longitude % 360) / 30)


@lru_cache(maxsize=16)
def _month_eleven(year: int) -> int:
    """Julian day number of the first day of the month that holds the winter solstice of a year."""
    december_31 = date(year, 12, 31).toordinal() + _JULIAN_DAY_OF_ORDINAL_0
    index = math.floor((december_31 - 2415021) / _MONTH_DAYS)
    start = _new_moon(index)
    return _new_moon(index - 1) if _sun_term(start) >= 9 else start  # noqa: PLR2004 - past the solstice


def _leap_offset(eleventh: int) -> int:
    """How many months after the 11th the leap month comes."""
    index = math.floor((eleventh - _EPOCH) / _MONTH_DAYS + 0.5)
    offset, term, after = 1, _sun_term(_new_moon(index + 1)), _sun_term(_new_moon(index + 2))
    while term != after and offset < 13:  # noqa: PLR2004
        offset, term, after = offset + 1, after, _sun_term(_new_moon(index + offset + 2))
    return offset
