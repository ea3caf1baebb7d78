"""What the text fields of a page say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from agent.model.board import Facts, Page, PageKind
from agent.signage.lunar import lunar
from agent.signage.text import clean
from agent.signage.theme_parts import Text, Words

_VIETNAM: Final = timezone(timedelta(hours=7))
_SOON: Final = timedelta(hours=12)
"""A programme of another day that is further away is told with its date."""
_LINE: Final = 300
_TICKER: Final = 20_000
_TEXT: Final = 20_000


@dataclass(frozen=True, slots=True)
class Said:
    """Cleaned texts of a page.

    Attributes:
        fields: by field; missing ones have no content.
        ticker: text that runs.
        complaints: such as `cut text`.
        minute_s: seconds until the clock changes.
        day_s: seconds until the date changes.
        next_s: seconds until the next programme begins; infinity if none is known.
    """

    fields: Mapping[Text, str]
    ticker: str
    complaints: tuple[str, ...]
    minute_s: float
    day_s: float
    next_s: float


def said(page: Page, facts: Facts, words: Words, now: datetime) -> Said:
    """Texts of all fields of a page at a moment."""
    complaints: list[str] = []

    def line(text: str, name: str, limit: int = _LINE) -> str:
        cleaned = clean(text, limit)
        complaints.extend(f"{code} {name}" for code in cleaned.complaints)
        return cleaned.text

    def row(text: str, name: str) -> str:
        return " ".join(line(text, name).split())

    zone = _zone(facts.timezone)
    known = _local(now, zone)
    local = known or datetime.fromtimestamp(0, zone)
    station = row(facts.station, "station")
    title = line(page.title, "title", 2 * _LINE)
    kind = {
        PageKind.EMERGENCY: words.emergency,
        PageKind.ALL_CLEAR: words.all_clear,
        PageKind.LIVE: words.live,
    }.get(page.kind, "")
    source = row(page.source, "source")
    fields = {
        Text.TITLE: title or (kind if page.kind is not PageKind.LIVE else ""),
        Text.TEXT: line(page.text, "text", _TEXT),
        Text.KIND: kind,
        Text.STATION: station,
        Text.SOURCE: _filled(words.source, source=source) if source else "",
        Text.WEATHER: row(page.weather, "weather") or row(facts.weather, "weather"),
    }
    issued = _local(page.issued, zone)
    if issued is not None:
        fields[Text.ISSUED] = _moment(words.issued, issued)
    if facts.clock_known and known is not None:
        fields |= _of_now(facts, words, local, row(facts.next_title, "next"), zone)
    return Said(
        fields={field: text for field, text in fields.items() if text.strip()},
        ticker=row_of(line(page.ticker, "ticker", _TICKER)),
        complaints=tuple(dict.fromkeys(complaints)),
        minute_s=max(0.001, 60 - local.second - local.microsecond / 1e6),
        day_s=_until_midnight_s(local, zone),
        next_s=_until_s(facts.next_start, local) if Text.NEXT in fields else math.inf,
    )


def row_of(text: str) -> str:
    """Text on one line; what was a new line is now a wide gap."""
    return "   ".join(part for part in (" ".join(one.split()) for one in text.split("\n")) if part)


def _of_now(facts: Facts, words: Words, local: datetime, following: str, zone: tzinfo) -> dict[Text, str]:
    weekday = words.weekdays[local.weekday()]
    fields = {
        Text.CLOCK: _moment(words.clock, local),
        Text.DATE: _moment(words.date, local, weekday=weekday),
        Text.DATE_SHORT: _moment(words.date_short, local, weekday=weekday),
    }
    try:
        day = lunar(local.date())
    except ValueError:
        pass
    else:
        for field, pattern in ((Text.LUNAR, words.lunar), (Text.LUNAR_SHORT, words.lunar_short)):
            fields[field] = _filled(
                pattern,
                day=str(day.day),
                month=str(day.month),
                leap=words.leap if day.leap else "",
                year_name=day.year_name,
                day_name=day.day_name,
            )
    start = _local(facts.next_start, zone)
    if following and start is not None and start > local:
        when = _moment(words.clock, start)
        if start.date() != local.date() and start - local > _SOON:
            when += " " + _moment(words.date_short, start, weekday=words.weekdays[start.weekday()])
        fields[Text.NEXT] = _filled(words.next, time=when, title=following)
    return fields


def _moment(pattern: str, local: datetime, **more: str) -> str:
    return _filled(
        pattern,
        hour=f"{local.hour:02}",
        minute=f"{local.minute:02}",
        day=f"{local.day:02}",
        month=f"{local.month:02}",
        year=f"{local.year:04}",
        **more,
    )


def _filled(pattern: str, **values: str) -> str:
    """The pattern with its names replaced; what comes in is not looked at again."""
    result = []
    rest = pattern
    while rest:
        before, opened, behind = rest.partition("{")
        name, closed, after = behind.partition("}")
        result.append(before)
        if opened:
            result.append(values.get(name, "") if closed else opened)
        rest = after if closed else behind if opened else ""
    return "".join(result)


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return _VIETNAM


def _local(moment: datetime | None, zone: tzinfo) -> datetime | None:
    """A moment on the clocks of a zone; None for none, and for one at the rim of the calendar."""
    try:
        return None if moment is None else _aware(moment).astimezone(zone)
    except (OverflowError, ValueError):
        return None


def _until_s(start: datetime | None, local: datetime) -> float:
    return math.inf if start is None else max(0.001, (_aware(start) - local).total_seconds())


def _until_midnight_s(local: datetime, zone: tzinfo) -> float:
    """Seconds until the date changes, also on the days that have 23 or 25 hours."""
    try:
        midnight = datetime.combine(local.date() + timedelta(days=1), time(), zone)
        return max(0.001, (midnight.astimezone(UTC) - local.astimezone(UTC)).total_seconds())
    except (OverflowError, ValueError):
        return 60.0


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
