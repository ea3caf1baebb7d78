"""Where text goes on a board: pure, in pixels, measured by a function handed in."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

MIN_FONT_PX = 14
"""Below this size stacked Vietnamese tone marks merge on a 1-bit board."""

LINE_HEIGHT = 1.4
"""Line height over font size: room for two stacked marks."""

Measure = Callable[[str, int], float]
"""Width in pixels of a text at a font size in pixels."""


@dataclass(frozen=True, slots=True)
class PlacedLine:
    """One line of text; `y_px` is the top of its line box."""

    text: str
    x_px: int
    y_px: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Lines of one screen at one size; `complete` is False when text had to be left out."""

    font_px: int
    lines: tuple[PlacedLine, ...]
    complete: bool


def lay_out(text: str, width_px: int, height_px: int, measure: Measure) -> Layout:
    """Place a title: the largest size at which it fits, never below the legible one.

    Args:
        text: any Unicode text; brought to NFC, control characters dropped.
        width_px: board width.
        height_px: board height.
        measure: width of a text at a size.
    """
    words = _clean(text).split()
    largest = max(MIN_FONT_PX, int(height_px / LINE_HEIGHT / 2))
    for font_px in range(largest, MIN_FONT_PX - 1, -1):
        lines = _wrap(words, width_px, font_px, measure)
        if len(lines) * font_px * LINE_HEIGHT <= height_px and all(
            measure(line, font_px) <= width_px for line in lines
        ):
            return _centre(lines, font_px, width_px, height_px, measure, complete=True)
    room = max(1, int(height_px / (MIN_FONT_PX * LINE_HEIGHT)))
    lines = _wrap(words, width_px, MIN_FONT_PX, measure)
    shown = lines[:room]
    complete = len(lines) <= room and all(measure(line, MIN_FONT_PX) <= width_px for line in shown)
    if not complete and shown:
        shown[-1] = _shorten(shown[-1] + " …", width_px, measure)
    return _centre(shown, MIN_FONT_PX, width_px, height_px, measure, complete=complete)


def _clean(text: str) -> str:
    kept = "".join(" " if unicodedata.category(char) in {"Cc", "Zl", "Zp"} else char for char in text)
    return unicodedata.normalize(
        "NFC", "".join(c for c in kept if unicodedata.category(c) not in {"Cf", "Cs"})
    )


def _wrap(words: list[str], width_px: int, font_px: int, measure: Measure) -> list[str]:
    lines: list[str] = []
    for word in words:
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and measure(joined, font_px) <= width_px:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines


def _shorten(text: str, width_px: int, measure: Measure) -> str:
    while len(text) > 1 and measure(text, MIN_FONT_PX) > width_px:
        text = text[:-2].rstrip(" …") + "…"
    return text


def _centre(
    lines: list[str], font_px: int, width_px: int, height_px: int, measure: Measure, *, complete: bool
) -> Layout:
    step = font_px * LINE_HEIGHT
    top = (height_px - step * len(lines)) / 2
    return Layout(
        font_px,
        tuple(
            PlacedLine(line, max(0, round((width_px - measure(line, font_px)) / 2)), round(top + step * n))
            for n, line in enumerate(lines)
        ),
        complete,
    )
