"""The row on top and the row at the bottom of a screen: short facts, from left to right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.signage.layout.flow import Type
from agent.signage.screen import Colour, Element, Picture, Rect, TextLine
from agent.signage.theme import EMBLEM
from agent.signage.theme_parts import Text

_RANKS: Final = (Text.CLOCK, Text.COUNTER, Text.STATION, Text.KIND, Text.DATE, Text.NEXT, Text.WEATHER)
"""Who stays when a row is too narrow; whoever is not named goes first."""
_RIGHT: Final = frozenset({Text.CLOCK, Text.COUNTER})
_GAP_EMS: Final = 0.75


@dataclass(frozen=True, slots=True)
class Row:
    """A laid-out row and the text fields that had room in it."""

    elements: tuple[Element, ...]
    fields: frozenset[str]


def lay_row(  # noqa: PLR0917 - all of them are plain values of different types
    names: Sequence[str],
    texts: Mapping[Text, str],
    colours: Mapping[Text, Colour],
    room: Rect,
    size_px: int,
    type_: Type,
    *,
    emblem: bool,
) -> Row:
    """Place what has content: clock and counter at the right, the rest at the left, nothing without room.

    Args:
        names: text fields and `emblem`, from left to right.
        texts: by field.
        colours: by field.
        room: as high as one line.
        size_px: of all text.
        type_: measures.
        emblem: whether there is one.
    """
    gap = math.ceil(size_px * _GAP_EMS)
    side = room.height_px
    wide: dict[str, int] = {}
    for name in dict.fromkeys(names):
        if name == EMBLEM:
            if emblem:
                wide[name] = side
        elif texts.get(Text(name)):
            wide[name] = math.ceil(type_.width(texts[Text(name)], size_px))
    while wide and sum(wide.values()) + gap * (len(wide) - 1) > room.width_px:
        del wide[max(wide, key=_rank)]
    elements: list[Element] = []
    left, right = room.x_px, room.x_px + room.width_px
    for name, width_px in wide.items():
        if name in _RIGHT:
            continue
        elements.append(_item(name, Rect(left, room.y_px, width_px, side), texts, colours, size_px))
        left += width_px + gap
    for name, width_px in reversed(wide.items()):
        if name in _RIGHT:
            right -= width_px
            elements.append(_item(name, Rect(right, room.y_px, width_px, side), texts, colours, size_px))
            right -= gap
    return Row(tuple(elements), frozenset(wide))


def _item(
    name: str, rect: Rect, texts: Mapping[Text, str], colours: Mapping[Text, Colour], size_px: int
) -> Element:
    if name == EMBLEM:
        return Picture(rect, EMBLEM)
    field = Text(name)
    return TextLine(rect.x_px, rect.y_px, texts[field], size_px, colours[field])


def _rank(name: str) -> int:
    return next((rank for rank, known in enumerate(_RANKS) if known == name), len(_RANKS))
