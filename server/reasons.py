"""Why something sent to the server cannot be used, as phrases of the catalogue in every language; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import ValidationError

from agent.model.text import Language, say

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

BODY = "body"
"""Names the whole of what was sent, when no single field is to blame."""

LONGEST_VALUE = 60


@dataclass(frozen=True, slots=True)
class Phrase:
    """A message of the catalogue that is filled in once the language is known.

    Attributes:
        key: below `console.`, such as `wrong.missing`.
        values: may be phrases themselves.
    """

    key: str
    values: Mapping[str, object] = field(default_factory=dict)

    def text(self, language: Language) -> str:
        """The phrase in a language."""
        return say(f"console.{self.key}", language, **spoken(self.values, language))

    def __str__(self) -> str:
        return self.text("en")


def spoken(values: Mapping[str, object], language: Language) -> dict[str, object]:
    """Values for a message, with the phrases among them said."""
    return {name: one.text(language) if isinstance(one, Phrase) else one for name, one in values.items()}


_KINDS = {
    "missing": "missing",
    "extra_forbidden": "unknown",
    "greater_than_equal": "at_least",
    "less_than_equal": "at_most",
    "greater_than": "more_than",
    "less_than": "less_than",
    "too_short": "few_entries",
    "too_long": "many_entries",
    "string_too_short": "short_text",
    "string_too_long": "long_text",
    "literal_error": "choice",
    "enum": "choice",
    "nobody": "nobody",
    "one_sound": "one_sound",
    "stream_url": "stream_url",
    "multicast_address": "multicast_address",
    "frequency": "frequency",
    "input_name": "input_name",
    "job_argument": "job_argument",
    "job_percent": "job_percent",
    "job_volume_db": "job_volume_db",
    "job_minutes": "job_minutes",
    "job_volume": "job_volume",
    "job_pattern": "job_pattern",
    "job_pattern_minutes": "job_pattern_minutes",
    "video_and_stream": "video_and_stream",
    "empty_page": "empty_page",
    "no_time": "no_time",
    "repeated": "repeated",
    "nowhere": "nowhere",
    "no_cap_event": "no_cap_event",
    "timezone_naive": "civil_time",
    "timezone_aware": "moment",
    "finite_number": "number",
    "string_unicode": "text",
    "int_from_float": "whole",
    "int_parsing_size": "whole",
    "datetime_from_date_parsing": "time",
    "datetime_object_invalid": "time",
}
_TYPES = {
    "string": "text",
    "int": "whole",
    "float": "number",
    "bool": "boolean",
    "datetime": "time",
    "tuple": "list",
    "list": "list",
    "model": "object",
    "model_attributes": "object",
    "dict": "object",
}
_LIMITS = ("ge", "le", "gt", "lt", "min_length", "max_length")
_PATTERNS = {
    r"^[a-z0-9][a-z0-9._-]*$": "name",
    r"^[a-z0-9-]{1,40}$": "group",
    r"^[a-z0-9-]{8,40}$": "device",
    r"^[a-z0-9][a-z0-9-]{0,39}$": "group",
    r"^[A-Za-z0-9_-]{8,64}$": "request",
    r"^([01]\d|2[0-3]):[0-5]\d$": "clock",
    r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$": "clock",
    r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$": "language",
    r"^([a-z0-9][a-z0-9._-]*)?$": "name",
    r"^(https?://\S+)?$": "stream_url",
    r"^([0-9a-f]{64}|[0-7][0-9A-HJKMNP-TV-Z]{25})$": "media",
}
_VALUES = (
    (re.compile(r"contains control characters"), "control"),
    (re.compile(r"is outside the years 1 to 9999"), "years"),
    (re.compile(r"is not an IANA time zone"), "timezone"),
    (re.compile(r"(?P<value>'[^']*') is used twice"), "twice"),
    (re.compile(r"last longer than (?P<most>.+)"), "long_programme"),
    (re.compile(r"must be civil time without offset"), "civil_time"),
    (re.compile(r"year (?P<value>\d+); only (?P<low>\d+) to (?P<high>\d+)"), "year"),
    (re.compile(r"valid_until must be after valid_from"), "validity"),
)
_RULES = (
    (re.compile(r"never matches"), "never"),
    (re.compile(r"FREQ=(?P<value>.*) is not supported; use (?P<known>.+)"), "frequency"),
    (re.compile(r"FREQ is missing"), "no_frequency"),
    (re.compile(r"(?P<value>'.*') is not of the form NAME=VALUE"), "form"),
    (re.compile(r"unknown part (?P<value>'.*')"), "part"),
    (re.compile(r"(?P<value>[A-Z]+) is given twice"), "twice"),
    (re.compile(r"(?P<name>[A-Z]+)=.* must be a number from (?P<low>\d+) to (?P<high>\d+)"), "number"),
    (re.compile(r"(?P<name>[A-Z]+): .* must be from (?P<low>±?\d+) to (?P<high>\d+)"), "number"),
    (re.compile(r"COUNT and UNTIL exclude each other"), "count_and_until"),
    (re.compile(r"UNTIL lies before the start"), "until_early"),
    (re.compile(r"UNTIL=.* must be YYYYMMDD"), "until"),
    (re.compile(r"BYDAY: (?P<value>'.*') is not a weekday"), "weekday"),
    (re.compile(r"matches (?P<value>\d+) times a day; at most (?P<most>\d+)"), "dense"),
    (re.compile(r"more than (?P<most>\d+) starts on one day"), "full_day"),
)
_PLACE = re.compile(r"at line (?P<line>\d+) column (?P<column>\d+)")


def mistake(error: ValidationError, place: str = "") -> tuple[str, Phrase]:
    """The first complaint of pydantic: which field, `place` if the caller knows better, and why."""
    detail = error.errors(include_url=False)[0]
    place = place or _path(detail["loc"])
    return place, _explain(detail, place)


def broken_rule(place: str, problem: str) -> Phrase:
    """What `Timetable` says of a schedule: about a recurrence rule or any other field."""
    if not place.endswith(".rrule"):
        return _of_value(problem, place)
    return Phrase("rule.sentence", {"field": place, "detail": _matched("rule", _RULES, problem) or problem})


def _explain(detail: ErrorDetails, place: str) -> Phrase:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        return _of_value(str(context.get("error", "")), place)
    if kind == "json_invalid":
        return _broken_json(detail["msg"])
    if kind == "string_pattern_mismatch":
        pattern = str(context["pattern"])
        name = _PATTERNS.get(pattern, "pattern")
        return Phrase(f"wrong.{name}", {"field": place, "pattern": pattern})
    found = _KINDS.get(kind) or _TYPES.get(kind.removesuffix("_type").removesuffix("_parsing"))
    if found is None:
        return Phrase("wrong.other", {"field": place, "detail": detail["msg"]})
    limit = next((context[one] for one in _LIMITS if one in context), "")
    choices = ", ".join(re.findall(r"'([^']*)'", str(context.get("expected", ""))))
    return Phrase(f"wrong.{found}", {"field": place, "limit": limit, "choices": choices})


def _broken_json(problem: str) -> Phrase:
    if "recursion limit" in problem:
        return Phrase("wrong.deep")
    place = _PLACE.search(problem)
    return Phrase("wrong.json_at", place.groupdict()) if place else Phrase("wrong.json")


def _of_value(problem: str, place: str) -> Phrase:
    found = _matched("wrong", _VALUES, problem, field=place)
    return found or Phrase("wrong.other", {"field": place, "detail": problem})


def _matched(
    table: str, known: tuple[tuple[re.Pattern[str], str], ...], problem: str, **more: object
) -> Phrase | None:
    for pattern, key in known:
        match = pattern.search(problem)
        if match:
            return Phrase(f"{table}.{key}", {**match.groupdict(), **more})
    return None


def _path(loc: tuple[int | str, ...]) -> str:
    path = ""
    for part in loc:
        # A misspelt name is whatever the caller wrote.
        name = part if isinstance(part, int) else part[:LONGEST_VALUE]
        path += f"[{name}]" if isinstance(part, int) else f".{name}" if path else str(name)
    return path or BODY
