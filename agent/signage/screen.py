"""A laid-out screen: what is painted where, in pixels. Layout makes it, render paints it.

Everything here is a plain value, so that layout can be tested without a font and painting without a layout.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from drivers.api import Colours

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255, before gamma and brightness."""


@dataclass(frozen=True, slots=True)
class Face:
    """The board as the layout sees it.

    Attributes:
        width_px: 16 to 7680.
        height_px: 8 to 4320.
        colours: of one pixel.
        pitch_mm: distance of pixels, such as 10 for P10, 4 for P4, 0.5 for a television.
        viewing_m: distance from which it has to be read; with `pitch_mm` it gives the least letter size.
        moves: whether a ticker can move at all; if not, its text is paged.
    """

    width_px: int
    height_px: int
    colours: Colours = Colours.FULL
    pitch_mm: float = 10.0
    viewing_m: float = 15.0
    moves: bool = True


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle in pixels from the upper left corner."""

    x_px: int
    y_px: int
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Fill:
    """A filled rectangle; `line_px` > 0 draws only its border, that wide, inside."""

    rect: Rect
    colour: Colour
    line_px: int = 0


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of cleaned text; its line box of `typeset.line_height(size_px)` begins at (x_px, y_px)."""

    x_px: int
    y_px: int
    text: str
    size_px: int
    colour: Colour
    bold: bool = True


@dataclass(frozen=True, slots=True)
class Picture:
    """An image fitted into a rectangle, never stretched or cropped; `key` is its SHA-256 or asset name."""

    rect: Rect
    key: str


@dataclass(frozen=True, slots=True)
class Qr:
    """A QR code, dark on light, with its quiet zone, as large as whole modules allow inside the rectangle."""

    rect: Rect
    text: str


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol of the theme by name, such as an emergency event type, drawn as large as fits."""

    rect: Rect
    name: str
    colour: Colour


Element = Fill | TextLine | Picture | Qr | Symbol


class Motion(StrEnum):
    """What moves on a screen besides its ticker."""

    STILL = "still"
    BORDER = "border"
    """The border blinks once a second: emergency."""


@dataclass(frozen=True, slots=True)
class TickerBand:
    """Text that runs from right to left through a band as wide as the board."""

    y_px: int
    height_px: int
    text: str
    size_px: int
    colour: Colour
    background: Colour
    speed_px_s: float
    bold: bool = True


@dataclass(frozen=True, slots=True)
class Screen:
    """One still picture, its ticker, and how long it stays.

    Attributes:
        page_id: of the page it shows.
        number: 1 to `count`, which screen of that page.
        dwell_s: how long it stays; more than 0. A ticker goes on from one screen of a page to the next.
        video: content to be played over the whole board instead of the elements; empty for none.
        refresh_s: it has a clock on it and must be laid out again after so long; 0: never changes.
        complaints: what could not be shown as wished, one code each, such as `missing_glyph U+1F600`.
    """

    page_id: str
    number: int
    count: int
    width_px: int
    height_px: int
    background: Colour
    elements: tuple[Element, ...]
    dwell_s: float
    ticker: TickerBand | None = None
    motion: Motion = Motion.STILL
    video: str = ""
    refresh_s: float = 0
    complaints: tuple[str, ...] = field(default=())
