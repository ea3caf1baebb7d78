"""Built-in texts for emergencies that come without a recording, in `locale/messages/<language>.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache

from agent.model.text import locale_folder


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A warning everybody understands: who speaks, what happens, what to do now.

    Attributes:
        title: one line, for boards and lists.
        text: what is spoken.
    """

    title: str
    text: str


def message(event: str, language: str) -> BuiltIn | None:
    """The message for an event type such as `flood`; None when the language has none.

    A region of a language (`vi-VN`) uses the messages of the language, an unknown event that of `other`.
    """
    table = messages(language.partition("-")[0])
    return table.get(event) or table.get("other")


@cache
def messages(language: str) -> dict[str, BuiltIn]:
    """All messages of a language by event type; empty when there is no file for it."""
    path = locale_folder() / "messages" / f"{language}.toml"
    if not (language.isascii() and language.isalpha() and path.is_file()):
        return {}
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    return {
        event: BuiltIn(str(one["title"]), " ".join(str(one["text"]).split())) for event, one in raw.items()
    }
