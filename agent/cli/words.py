"""How values are written for a person: words, numbers, times and columns, in one language."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agent.model.text import Language, catalogue, say

GAP = "  "
_UNSAFE = frozenset({"Cc", "Cs"})
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_KIB = 1024


def clean(value: object) -> object:
    """The value with every text made harmless for a terminal: titles and errors come from outside."""
    if isinstance(value, str):
        return "".join(
            "?" if unicodedata.category(char) in _UNSAFE or char in _BIDI else char
            for char in unicodedata.normalize("NFC", value)
        )
    if isinstance(value, dict):
        return {clean(key): clean(one) for key, one in value.items()}
    if isinstance(value, list):
        return [clean(one) for one in value]
    return value


def columns(text: str) -> int:
    """Terminal columns a text takes."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)


def shorten(text: str, width: int) -> str:
    """The text cut to `width` columns, with an ellipsis where something is missing."""
    if columns(text) <= width:
        return text
    while text and columns(text) > width - 1:
        text = text[:-1]
    return text + "…"


def wrap(text: str, width: int, indent: str = "", hanging: str | None = None) -> list[str]:
    """Lines of at most `width` columns; `hanging` indents the lines after the first."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, grow: int, indent: str = "  "
) -> list[str]:
    """Aligned columns; the column `grow` is shortened until a row fits into `width`."""
    widths = [max(columns(row[index]) for row in (headings, *rows)) for index in range(len(headings))]
    over = len(indent) + sum(widths) + len(GAP) * (len(widths) - 1) - width
    widths[grow] = max(widths[grow] - max(over, 0), 8)
    lines = []
    for row in (headings, *rows):
        cells = [shorten(cell, room) for cell, room in zip(row, widths, strict=True)]
        padded = [cell + " " * (room - columns(cell)) for cell, room in zip(cells, widths, strict=True)]
        lines.append((indent + GAP.join(padded)).rstrip())
    return lines


@dataclass(frozen=True, slots=True)
class Words:
    """One language, one time zone, one terminal width."""

    language: Language
    width: int = 80
    zone: tzinfo = UTC

    def in_zone(self, name: object) -> Words:
        """The same words with the box's time zone; an unknown zone leaves UTC."""
        try:
            return Words(self.language, self.width, ZoneInfo(str(name)))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return self

    def say(self, key: str, **values: object) -> str:
        """The sentence `cli.<key>`."""
        return say(f"cli.{key}", self.language, **values)

    def term(self, table_name: str, code: object) -> str:
        """The word for a code of the model; a code of a newer agent is shown as it came."""
        return catalogue(self.language).get(f"{table_name}.{code}", str(code))

    def local(self, moment: object) -> datetime | None:
        """A moment of an answer in the box's time zone; None if there is none."""
        if not isinstance(moment, str):
            return None
        try:
            return datetime.fromisoformat(moment).astimezone(self.zone)
        except ValueError:
            return None

    def moment(self, value: object, form: str = "%H:%M:%S %d/%m/%Y") -> str:
        """A moment in the box's time zone, a dash if there is none."""
        local = self.local(value)
        return "—" if local is None else local.strftime(form)

    def day(self, value: object) -> str:
        """Weekday and date, such as `T2 23/11`."""
        local = self.local(value)
        return "—" if local is None else f"{self.say(f'weekday.{local.weekday()}')} {local:%d/%m}"

    def number(self, value: float, digits: int = 0, *, signed: bool = False) -> str:
        """A number with this language's decimal mark."""
        text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
        text = text.replace("-", "−")
        return text.replace(".", ",") if self.language == "vi" else text

    def size(self, size_bytes: float) -> str:
        """An amount of storage."""
        for unit in ("B", "KB", "MB"):
            if size_bytes < _KIB:
                return f"{self.number(size_bytes, 0 if unit == 'B' else 1)} {unit}"
            size_bytes /= _KIB
        return f"{self.number(size_bytes, 1)} GB"

    def length(self, seconds: float) -> str:
        """A length of time in its two largest units."""
        whole = int(seconds)
        days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
        if days:
            return self.say("length.days", days=days, hours=hours)
        if hours:
            return self.say("length.hours", hours=hours, minutes=minutes)
        if minutes:
            return self.say("length.minutes", minutes=minutes, seconds=whole % 60)
        return self.say("length.seconds", seconds=whole)

    def position(self, milliseconds: float) -> str:
        """A position or length of sound, `mm:ss`."""
        return f"{int(milliseconds) // 60_000:02d}:{int(milliseconds) // 1000 % 60:02d}"

    def level(self, dbfs: object) -> str:
        """A level in dBFS, a dash if nothing measured it."""
        return f"{self.number(dbfs, 1)} dBFS" if isinstance(dbfs, int | float) else "—"

    def flag(self, value: object, yes: str, no: str) -> str:
        """One of two words, or that nothing measured it."""
        return self.say("not_measured") if value is None else self.say(yes if value else no)
