"""How large letters must be to be read from where people stand, and how long reading takes.

Sources: road-sign studies of LED letters (25 mm of letter height for every 6 m, which holds at night); the
laboratory's finding that stacked Vietnamese marks merge below 14 px; WCAG 2.2 for contrast.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from agent.signage.screen import Colour, Face
from agent.signage.text import ideographic, unspaced

LEAST_PX: Final = 14
"""Below this font size stacked Vietnamese marks merge on a board without shades."""

MM_PER_M: Final = 25 / 6
"""Letter height in millimetres for every metre of viewing distance."""

CAPITAL: Final = 0.714
"""Height of a capital letter over the font size (Noto Sans)."""

LEAST_EMS: Final = 4
"""A board narrower than this many font sizes cannot hold one Vietnamese syllable."""

LEAST_CONTRAST: Final = 4.5
"""Contrast ratio of text and its background, as WCAG 2.2 criterion 1.4.3 reckons it."""

WORDS_PER_S: Final = 2.0
SETTLE_S: Final = 2.0
"""Reading time besides the words: finding the place to begin."""
LEAST_DWELL_S: Final = 4.0
BRISK_DWELL_S: Final = 2.0
BRISK_SETTLE_S: Final = 1.0
"""The same where a screen is a line or two: the eye is there already, and the next one must come soon."""
LONGEST_DWELL_S: Final = 3600.0

LETTERS_PER_WORD: Final = 3
"""In scripts that are written without spaces."""


@dataclass(frozen=True, slots=True)
class Least:
    """Least font size of a board.

    Attributes:
        size_px: never less than 14.
        served: False when the board is too small to be read from its viewing distance; then `size_px` is the
            largest that it holds.
    """

    size_px: int
    served: bool


def least(face: Face, line_factor: float = 1.4) -> Least:
    """Least font size at which text on a board can be read from its viewing distance.

    Args:
        face: board with pitch and distance; values that are not positive numbers count as unknown.
        line_factor: height of a line over the font size.
    """
    pitch, distance = face.pitch_mm, face.viewing_m
    if not (math.isfinite(pitch) and math.isfinite(distance) and pitch > 0 and distance > 0):
        return Least(LEAST_PX, served=True)
    letter_px = distance * MM_PER_M / pitch
    size = max(LEAST_PX, math.ceil(letter_px / CAPITAL - 1e-9))
    largest = min(math.floor(face.height_px / line_factor + 1e-9), face.width_px // LEAST_EMS)
    return Least(size, served=True) if size <= largest else Least(max(LEAST_PX, largest), served=False)


def words(text: str) -> float:
    """How many words a reader has to take in; scripts without spaces count three letters as one."""
    total = 0.0
    for token in text.split():
        dense = sum(1 for char in token if unspaced(char) or ideographic(char))
        total += max(1.0, dense / LETTERS_PER_WORD)
    return total


def dwell_s(texts: Iterable[str], *, brisk: bool = False) -> float:
    """How long a screen with these texts has to stay to be read: 4 s (2 s when brisk) to an hour."""
    least_s, settle_s = (BRISK_DWELL_S, BRISK_SETTLE_S) if brisk else (LEAST_DWELL_S, SETTLE_S)
    reading_s = sum(words(text) for text in texts) / WORDS_PER_S
    return min(LONGEST_DWELL_S, max(least_s, reading_s + settle_s))


def contrast(one: Colour, other: Colour) -> float:
    """Contrast ratio of two colours, 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Colour) -> float:
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - sRGB
        for value in (channel / 255 for channel in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
