"""The words of the console page: messages of the catalogue, and how moments and levels are written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from agent.model.text import Language, say

CIVIL = ZoneInfo("Asia/Ho_Chi_Minh")
MINUS = "\u2212"

Say = Callable[..., str]


class Words:
    """Says things in one language."""

    def __init__(self, language: Language, now: datetime) -> None:
        self.language = language
        self._now = now

    def __call__(self, key: str, **values: object) -> str:
        """The message `console.<key>`."""
        return say(f"console.{key}", self.language, **values)

    def shared(self, key: str) -> str:
        """A message that the box uses too, such as `verdict.heard`."""
        return say(key, self.language)

    def known(self, table: str, name: str | None) -> str:
        """The message `<table>.<name>`, the name itself if the catalogue does not know it, empty for None."""
        if name is None:
            return ""
        try:
            return say(f"{table}.{name}", self.language)
        except KeyError:
            return name

    def fault(self, code: str, subject: str) -> str:
        """A fault number in words, with what to do; the bare number if the catalogue does not know it."""
        told = []
        for part in ("what", "do"):
            try:
                told.append(say(f"fault.{code}.{part}", self.language, **dict.fromkeys(_PLACES, subject)))
            except KeyError:
                continue
        return " ".join(told) or f"{code} {subject}".strip()

    def moment(self, at: datetime | None) -> str:
        """Civil time, with the date if it is not today; a dash for None."""
        if at is None:
            return "–"
        there, today = _civil(at), _civil(self._now)
        return f"{there:%H:%M:%S}" if there.date() == today.date() else f"{there:%H:%M:%S %d/%m}"

    def first_sound(self, at: datetime | None, planned: datetime) -> str:
        """When the first sound came, to a tenth, and how far from the plan."""
        if at is None:
            return "–"
        late_s = (at - planned).total_seconds()
        there = _civil(at)
        point = "," if self.language == "vi" else "."
        tenth = there.microsecond // 100_000
        return f"{there:%H:%M:%S}{point}{tenth} ({self.decimal(late_s, sign=True)}\u00a0s)"

    def level(self, dbfs: float | None) -> str:
        """A level in dBFS; a dash for None."""
        return "–" if dbfs is None else f"{self.decimal(dbfs)} dBFS"

    def seconds(self, played_ms: int) -> str:
        """Milliseconds as seconds, with their unit."""
        most = 2**53  # beyond it a float cannot hold what a box claims
        return self("seconds", n=self.decimal(max(-most, min(played_ms, most)) / 1000))

    def decimal(self, value: float, *, sign: bool = False) -> str:
        """One digit after the comma, or the point in English."""
        text = f"{value:+.1f}" if sign else f"{value:.1f}"
        text = text.replace("-", MINUS)
        return text.replace(".", ",") if self.language == "vi" else text

    def ago(self, at: datetime | None) -> str:
        """How long ago, in the largest unit that fits."""
        if at is None:
            return self("never")
        seconds = max(0, int((self._now.astimezone(UTC) - at).total_seconds()))
        for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
            if seconds >= length:
                return self(f"ago.{unit}", n=seconds // length)
        return self("ago.second", n=seconds)


def _civil(at: datetime) -> datetime:
    """Civil time of a moment; UTC at either end of the calendar, where there is none."""
    try:
        return at.astimezone(CIVIL)
    except OverflowError:
        return at


_PLACES = ("subject", "zone", "device", "item", "name", "detail", "board", "file", "code")
"""Names that fault texts may use for the place; the report carries one subject for all of them."""
