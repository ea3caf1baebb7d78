"""Dates and hours in Vietnamese words: 12/9/2026, 12-15/9, 9/2026, 17h30, 05:00-05:30."""

from __future__ import annotations

import re

from agent.model.spoken_numbers import cardinal

Match = re.Match[str]

_DASH = r"[ ]?[-–—][ ]?"
_DAY_MONTH = r"([0-9]{1,2})/([0-9]{1,2})(?:/([0-9]{4}))?"
_BEFORE = r"(?<![\w.,/-])"
_AFTER = r"(?![\w/]|[.,-][0-9])"
_DATE_TO_DATE = re.compile(rf"{_BEFORE}{_DAY_MONTH}{_DASH}{_DAY_MONTH}{_AFTER}")
_DAY_TO_DATE = re.compile(rf"{_BEFORE}([0-9]{{1,2}}){_DASH}{_DAY_MONTH}{_AFTER}")
_DATE = re.compile(rf"{_BEFORE}([0-9]{{1,2}})([/.-])([0-9]{{1,2}})(?:\2([0-9]{{4}}))?{_AFTER}")
_SPACED_DATE = re.compile(
    rf"{_BEFORE}([0-9]{{1,2}})[ ]?([/.-])[ ]?([0-9]{{1,2}})[ ]?\2[ ]?((?:19|20)[0-9]{{2}}){_AFTER}"
)
_MONTH = re.compile(rf"{_BEFORE}(0?[1-9]|1[0-2])[/-]((?:19|20)[0-9]{{2}}){_AFTER}")
_ROUND_THE_CLOCK = re.compile(r"(?<![\w/.,-])24/(7|24)(?:[ ]?(?:h|giờ))?(?![\w/])")
_TIME = re.compile(
    r"(?<![\w.,/:-])([01]?[0-9]|2[0-4])(?:[hH]([0-5][0-9])?|[gG]([0-5][0-9])|:([0-5][0-9])(?::[0-5][0-9])?)"
    r"(?:['′’]|[ ]?(?:phút|ph|p)(?!\w))?(?!\w|[.,:/][0-9])"
)
_TIME_TO = re.compile(r"(?<=[0-9hHgG'])[ ]?[-–—][ ]?(?=(?:[01]?[0-9]|2[0-4])(?:[hH](?![a-zđ/])|:[0-5]))")

_DAYS, _MONTHS, _MUNG = 31, 12, 10
_REACH = 12
_DAY_SAID = re.compile(r"(?i:ngày|mùng|mồng)[ ]$")
_MONTH_SAID = re.compile(r"(?i:tháng)[ ]$")
_NUMBER_SAID = re.compile(r"(?i:số)[ ]$")
_PART_OF_DAY_SAID = re.compile(r"(?i:ngày|mùng|mồng|sáng|trưa|chiều|tối|đêm|hôm)[ ]$")
_PLACE_SAID = re.compile(r"(?i:nhà|hẻm|ngõ|ngách|kiệt|số|tổ|ấp)[ ]$")
_SHARE_SAID = re.compile(r"(?i:chiếm|khoảng|gần|hơn|được|còn|quá)[ ]$")


def spoken_dates(text: str) -> str:
    """The text with dates and hours in words; numbers that are no date stay as they are."""
    text = _ROUND_THE_CLOCK.sub(_round_the_clock, text)
    text = _TIME_TO.sub(" đến ", text)
    text = _TIME.sub(_time, text)
    text = _SPACED_DATE.sub(r"\1\2\3\2\4", text)
    text = _DATE_TO_DATE.sub(_date_to_date, text)
    text = _DAY_TO_DATE.sub(_day_to_date, text)
    text = _DATE.sub(_one_date, text)
    return _MONTH.sub(_one_month, text)


def _said(found: Match, pattern: re.Pattern[str]) -> bool:
    begin = found.start()
    return pattern.search(found.string[max(0, begin - _REACH) : begin]) is not None


def _round_the_clock(found: Match) -> str:
    if found[1] == "7" and _said(found, _DAY_SAID):
        return found[0]
    return f"{cardinal(24)} trên {cardinal(int(found[1]))}"


def _time(found: Match) -> str:
    minutes = int(found[2] or found[3] or found[4] or 0)
    return f"{cardinal(int(found[1]))} giờ" + (f" {cardinal(minutes)} phút" if minutes else "")


def _valid(day: str, month: str) -> bool:
    return 1 <= int(day) <= _DAYS and 1 <= int(month) <= _MONTHS


def _day(day: str, *, named: bool) -> str:
    """The first ten days are "mùng", so that "năm" (five) is not taken for "năm" (year)."""
    number = int(day)
    head = "" if named else "ngày "
    return head + ("mùng " if number <= _MUNG else "") + cardinal(number)


def _month(month: str, year: str | None = None) -> str:
    number = int(month)
    name = "tư" if number == 4 else cardinal(number)  # noqa: PLR2004 - April is "tháng tư"
    return f"tháng {name}" + (f" năm {cardinal(int(year))}" if year else "")


def _first(found: Match, day: str) -> str:
    """The day, without repeating "ngày" or "mùng" where it has been written."""
    begin = found.start()
    before = found.string[max(0, begin - _REACH) : begin].lower()
    if before.endswith(("mùng ", "mồng ")):
        return cardinal(int(day))
    return _day(day, named=before.endswith("ngày "))


def _date_to_date(found: Match) -> str:
    if not (_valid(found[1], found[2]) and _valid(found[4], found[5])):
        return found[0]
    begin = f"{_first(found, found[1])} {_month(found[2], found[3])}"
    return f"{begin} đến {_day(found[4], named=False)} {_month(found[5], found[6])}"


def _day_to_date(found: Match) -> str:
    if not (_valid(found[1], found[3]) and _valid(found[2], found[3])):
        return found[0]
    return f"{_first(found, found[1])} đến {_day(found[2], named=False)} {_month(found[3], found[4])}"


def _one_date(found: Match) -> str:
    day, mark, month, year = found.groups()
    if not _valid(day, month):
        return found[0]
    if year is None:
        if mark == "/" and _said(found, _SHARE_SAID):
            return f"{cardinal(int(day))} phần {cardinal(int(month))}"
        # "ngày 12-15" are four days, "ngày 12-9" can only be one
        dated = mark == "/" or (_said(found, _PART_OF_DAY_SAID) and (mark == "." or int(day) > int(month)))
        if not dated or _said(found, _PLACE_SAID):
            return found[0]
    return f"{_first(found, day)} {_month(month, year)}"


def _one_month(found: Match) -> str:
    if _said(found, _NUMBER_SAID):
        return f"{cardinal(int(found[1]))} năm {cardinal(int(found[2]))}"
    said = _month(found[1], found[2])
    return said.removeprefix("tháng ") if _said(found, _MONTH_SAID) else said
