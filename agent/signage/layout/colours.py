"""The colours of a theme on a board that has fewer of them."""

from __future__ import annotations

from typing import Final

from agent.signage.screen import Colour
from agent.signage.theme_parts import Palette
from drivers.api import Colours

BLACK: Final[Colour] = (0, 0, 0)
AMBER: Final[Colour] = (255, 191, 0)
RED: Final[Colour] = (255, 0, 0)
GREEN: Final[Colour] = (0, 255, 0)
YELLOW: Final[Colour] = (255, 255, 0)
"""Red and green of a two-coloured board together."""

_GROUNDS: Final = frozenset({"background", "ticker_background"})


def on_board(palette: Palette, colours: Colours) -> Palette:
    """The palette in colours that a pixel can show: light letters on black unless it can show all.

    On a board of one colour everything is amber; on one of two colours a colour becomes red, green or both,
    and blue, which it lacks, both.
    """
    if colours is Colours.FULL:
        return palette
    return palette.model_copy(
        update={
            role: BLACK if role in _GROUNDS else plain(getattr(palette, role), colours)
            for role in Palette.model_fields
        }
    )


def plain(colour: Colour, colours: Colours) -> Colour:
    """The nearest colour that stands out from black on such a board."""
    if colours is Colours.FULL:
        return colour
    if colours is Colours.MONO:
        return AMBER
    half = max(colour) / 2
    red, green = colour[0] > half, colour[1] > half
    if red != green:
        return RED if red else GREEN
    return YELLOW
