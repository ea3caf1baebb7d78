"""Paints a laid-out screen: `Screen` in, RGB image out. What cannot be painted is told, never raised."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PIL import Image, ImageDraw

from agent.signage.pictures import PictureError, load_picture
from agent.signage.pixels import LIT
from agent.signage.qr import QrError, draw_qr
from agent.signage.screen import Colour, Fill, Picture, Qr, Rect, Screen, Symbol, TextLine, TickerBand
from agent.signage.symbols import draw_symbol
from drivers.api import Colours

logger = logging.getLogger(__name__)

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
_AMBER: Colour = (255, 255, 0)

_DOTTED_FROM_PX = 64


class Pen(Protocol):
    """What painting needs of a typesetter."""

    def width(self, text: str, size_px: int, bold: bool = True) -> float: ...

    def line_height(self, size_px: int) -> int: ...

    def draw(  # noqa: PLR0917 - the typesetter's own signature
        self,
        image: Image.Image,
        x_px: int,
        y_px: int,
        text: str,
        size_px: int,
        colour: Colour,
        bold: bool = True,
        sharp: bool = False,
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Painted:
    """A painted screen.

    Attributes:
        image: RGB, of the size of the screen.
        problems: what could not be painted, one code and its subject each, such as `picture_broken 3f2a…`;
            a neutral box stands in the place of a picture, nothing in that of a QR code.
    """

    image: Image.Image
    problems: tuple[str, ...] = ()


def paint(screen: Screen, type_: Pen, assets: Mapping[str, Path], colours: Colours) -> Image.Image:
    """The picture of `paint_screen` alone, for callers to whom problems are of no use."""
    return paint_screen(screen, type_, assets, colours).image


def paint_screen(screen: Screen, type_: Pen, assets: Mapping[str, Path], colours: Colours) -> Painted:
    """Paint everything that stands still on a screen, its ticker's band empty.

    Args:
        screen: what to paint.
        type_: sets the text.
        assets: files of the pictures by their key.
        colours: of one pixel of the board: a board without shades gets colours without shades, and text that
            stands out from what lies under it whatever the colours of the theme are.
    """
    painting = _Painting(screen, type_, assets, colours)
    for element in screen.elements:
        try:
            painting.add(element)
        except Exception as error:
            # One that fails in an unforeseen way must not take the others with it: an emergency's text.
            logger.exception("%s cannot be painted", type(element).__name__)
            painting.problems.append(f"paint {type(element).__name__}: {type(error).__name__}")
    if screen.ticker is not None:
        painting.add(_band_of(screen.ticker, screen.width_px))
    return Painted(painting.image, tuple(painting.problems))


def paint_strip(band: TickerBand, text: str, type_: Pen, colours: Colours) -> Image.Image:
    """Paint a piece of a ticker's text.

    Returns:
        RGB, as high as the band, as wide as the text, at least one pixel.
    """
    width_px = max(1, round(type_.width(text, band.size_px, band.bold)))
    background = _plain(band.background, colours)
    image = Image.new("RGB", (width_px, band.height_px), background)
    top_px = (band.height_px - type_.line_height(band.size_px)) // 2
    colour = _legible(band.colour, background, colours)
    type_.draw(image, 0, top_px, text, band.size_px, colour, band.bold, sharp=colours is not Colours.FULL)
    return image


def _band_of(band: TickerBand, width_px: int) -> Fill:
    return Fill(Rect(0, band.y_px, width_px, band.height_px), band.background)


class _Painting:
    """One screen while it is painted: remembers which fill lies where, to choose what stands out from it."""

    def __init__(self, screen: Screen, type_: Pen, assets: Mapping[str, Path], colours: Colours) -> None:
        self.problems: list[str] = []
        self._type = type_
        self._assets = assets
        self._colours = colours
        self._background = screen.background
        ground = _plain(screen.background, colours)
        self.image = Image.new("RGB", (screen.width_px, screen.height_px), ground)
        self._pen = ImageDraw.Draw(self.image)
        self._grounds = [(Rect(0, 0, screen.width_px, screen.height_px), ground)]

    def add(self, element: Fill | TextLine | Picture | Qr | Symbol) -> None:
        match element:
            case Fill():
                self._fill(element)
            case TextLine():
                self._text(element)
            case Picture():
                self._picture(element)
            case Qr():
                self._qr(element)
            case Symbol():
                self._symbol(element)

    def _ground(self, x_px: int, y_px: int) -> Colour:
        """Colour of the topmost fill at a point."""
        for rect, colour in reversed(self._grounds):
            inside = 0 <= x_px - rect.x_px < rect.width_px and 0 <= y_px - rect.y_px < rect.height_px
            if inside:
                return colour
        return self._grounds[0][1]

    def _middle(self, rect: Rect) -> Colour:
        return self._ground(rect.x_px + rect.width_px // 2, rect.y_px + rect.height_px // 2)

    def _fill(self, fill: Fill) -> None:
        rect = fill.rect
        if rect.width_px <= 0 or rect.height_px <= 0:
            return
        box = (rect.x_px, rect.y_px, rect.x_px + rect.width_px - 1, rect.y_px + rect.height_px - 1)
        if fill.line_px > 0:
            colour = self._line_colour(fill)
            line_px = min(fill.line_px, (min(rect.width_px, rect.height_px) + 1) // 2)
            self._pen.rectangle(box, outline=colour, width=line_px)
            return
        colour = _plain(fill.colour, self._colours)
        self._pen.rectangle(box, fill=colour)
        self._grounds.append((rect, colour))

    def _line_colour(self, fill: Fill) -> Colour:
        ground = self._middle(fill.rect)
        # A line in the colour of the screen is meant not to be seen: the dark half of a blinking border.
        return ground if fill.colour == self._background else _legible(fill.colour, ground, self._colours)

    def _text(self, line: TextLine) -> None:
        middle_px = line.y_px + self._type.line_height(line.size_px) // 2
        colour = _legible(line.colour, self._ground(line.x_px + line.size_px // 2, middle_px), self._colours)
        self._type.draw(
            self.image,
            line.x_px,
            line.y_px,
            line.text,
            line.size_px,
            colour,
            line.bold,
            sharp=self._colours is not Colours.FULL,
        )

    def _picture(self, picture: Picture) -> None:
        rect = picture.rect
        if rect.width_px <= 0 or rect.height_px <= 0:
            return
        ground = self._middle(rect)
        path = self._assets.get(picture.key)
        try:
            if path is None:
                raise PictureError("picture_missing", "not on this box")  # noqa: TRY301 - one place names it
            image = load_picture(path, rect.width_px, rect.height_px, ground)
        except PictureError as error:
            logger.info("a neutral box instead of picture %r: %s", picture.key[:80], error)
            self.problems.append(f"{error.code} {picture.key[:80]}")
            self._neutral_box(rect, ground)
            return
        self._paste(_in_colours(image, self._colours), rect)

    def _neutral_box(self, rect: Rect, ground: Colour) -> None:
        grey: Colour = tuple((channel + 128) // 2 for channel in ground)  # type: ignore[assignment]  # three of three
        line_px = max(1, min(rect.width_px, rect.height_px) // 40)
        self._fill(Fill(rect, grey if self._colours is Colours.FULL else WHITE, line_px))

    def _qr(self, code: Qr) -> None:
        try:
            image = draw_qr(code.text, code.rect.width_px, code.rect.height_px)
        except QrError as error:
            logger.info("no QR code: %s", error)
            self.problems.append(f"{error.code} {code.text[:40]!r}")
            return
        if self._colours is Colours.DUAL:
            red, green, blue = image.split()
            image = Image.merge("RGB", (red, green, Image.new("L", blue.size)))
        self._paste(image, code.rect)

    def _symbol(self, symbol: Symbol) -> None:
        rect = symbol.rect
        colour = _legible(symbol.colour, self._middle(rect), self._colours)
        size_px = min(rect.width_px, rect.height_px)
        if size_px <= 0:
            return
        try:
            mask = draw_symbol(symbol.name, size_px, sharp=self._colours is not Colours.FULL)
        except KeyError:
            self.problems.append(f"unknown_symbol {symbol.name[:40]!r}")
            return
        self.image.paste(colour, _placed(mask, rect), mask)

    def _paste(self, image: Image.Image, rect: Rect) -> None:
        self.image.paste(image, _placed(image, rect))


def _placed(image: Image.Image, rect: Rect) -> tuple[int, int]:
    return (
        rect.x_px + (rect.width_px - image.width) // 2,
        rect.y_px + (rect.height_px - image.height) // 2,
    )


def _plain(colour: Colour, colours: Colours) -> Colour:
    """The colour of a surface on a board with those colours."""
    if colours is Colours.FULL:
        return colour
    if colours is Colours.MONO:
        return WHITE if max(colour) >= LIT else BLACK
    # Half as bright as its brightest channel is part of the hue; a dark surface stays dark.
    brightest = max(colour)
    if brightest < LIT:
        return BLACK
    red, green, blue = (channel * 2 > brightest for channel in colour)
    if blue and not red and not green:
        return BLACK
    return (255 if red else 0, 255 if green else 0, 0)


def _legible(colour: Colour, ground: Colour, colours: Colours) -> Colour:
    """The colour of a mark on a surface that is `_plain` already: never lost in it."""
    match colours:
        case Colours.FULL:
            return colour
        case Colours.MONO:
            return BLACK if ground != BLACK else WHITE
        case Colours.DUAL:
            if ground != BLACK:
                return BLACK
            wished = _plain(colour, colours)
            return wished if wished != BLACK else _AMBER


def _in_colours(image: Image.Image, colours: Colours) -> Image.Image:
    """A picture in the colours of the board: dots make its shades, unless it is as small as an emblem."""
    if colours is Colours.FULL:
        return image
    bands = (image.convert("L"),) if colours is Colours.MONO else image.split()[:2]
    if min(image.size) < _DOTTED_FROM_PX:
        lit = [band.point([255 if value >= LIT else 0 for value in range(256)]) for band in bands]
    else:
        lit = [band.convert("1").convert("L") for band in bands]
    if colours is Colours.MONO:
        return Image.merge("RGB", lit * 3)
    return Image.merge("RGB", (*lit, Image.new("L", image.size)))
