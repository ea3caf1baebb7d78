"""The messages every box has, by event and language."""

from __future__ import annotations

from functools import cache

from agent.model.messages import BuiltIn, message
from agent.model.text import locale_folder
from agent.wire.orders import EmergencyEvent


@cache
def built_in_languages() -> tuple[str, ...]:
    """Languages that have messages, Vietnamese first."""
    found = sorted(path.stem for path in (locale_folder() / "messages").glob("*.toml"))
    return tuple(sorted(found, key=lambda one: one != "vi"))


def built_in(event: EmergencyEvent, language: str) -> BuiltIn | None:
    """The message for an event in a language, None if there is none."""
    return message(event.value, language)
