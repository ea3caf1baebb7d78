"""What an alert says aloud: one part for each language, short enough to be listened to; pure."""

from __future__ import annotations

from collections.abc import Iterable

from server.cap.alert import Info
from server.order_drafts import PartDraft

MAX_TITLE = 300
MAX_SPOKEN = 3000
"""Characters of one part: about four minutes of speech."""

LANGUAGE_LENGTHS = (2, 3)


def parts_of(infos: Iterable[Info]) -> list[PartDraft]:
    """One for each language that boxes can be asked for, Vietnamese first."""
    found: dict[str, PartDraft] = {}
    for info in infos:
        language = language_of(info)
        if len(language) in LANGUAGE_LENGTHS and language not in found:
            found[language] = PartDraft(language=language, title=_title(info), text=_text(info))
    return sorted(found.values(), key=lambda one: one.language != "vi")


def _title(info: Info) -> str:
    return " ".join((info.headline or info.event).split())[:MAX_TITLE]


def _text(info: Info) -> str:
    said = "\n".join(one for one in (info.description, info.instruction) if one) or info.headline
    if len(said) <= MAX_SPOKEN:
        return said
    # The instruction is what people have to hear: it is what stays whole.
    instruction = _cut(info.instruction, MAX_SPOKEN)
    description = _cut(info.description, MAX_SPOKEN - len(instruction) - 1)
    return "\n".join(one for one in (description, instruction) if one)


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    kept = text[: max(0, longest)]
    end = max(kept.rfind(mark) for mark in (". ", ".\n", "! ", "\n"))
    return kept[: end + 1].rstrip() if end > longest // 2 else kept.rstrip()


def language_of(info: Info) -> str:
    """The language alone: stations speak of `vi`, feeds of `vi-VN`."""
    return info.language.partition("-")[0].lower()
