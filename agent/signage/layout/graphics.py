"""Pictures, QR codes, symbols and the emblem: beside the text if there is room, else on their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import segno

from agent.model.board import Page, PageKind
from agent.signage.screen import Colour, Element, Picture, Qr, Rect, Symbol
from agent.signage.symbols import NAMES
from agent.signage.theme import EMBLEM, Theme
from agent.signage.theme_parts import Graphic, Template

LEAST_EMS_OF_TEXT: Final = 7
"""The text beside a graphic is at least so many font sizes wide."""
LEAST_LINES_OF_TEXT: Final = 2
_LEAST_PICTURE_LINES: Final = 2
_MAX_QR: Final = 2_000
_QUIET: Final = 4


@dataclass(frozen=True, slots=True)
class Beside:
    """How a room is shared.

    Attributes:
        elements: graphics beside the text.
        text: what is left for it.
        homeless: graphics that had no room.
    """

    elements: tuple[Element, ...]
    text: Rect
    homeless: tuple[Graphic, ...]


def present(
    page: Page, template: Template, theme: Theme, has: Callable[[str], bool], complaints: list[str]
) -> list[Graphic]:
    """Graphics of the template's side that the page has, in the template's order."""
    wished = [Graphic(name) for name in dict.fromkeys(template.side)]
    if Graphic.PICTURE in wished and page.picture and not has(page.picture):
        complaints.append(f"missing_picture {page.picture[:64]}")
    modules = _modules(page.qr) if Graphic.QR in wished and page.qr.strip() else 0
    if Graphic.QR in wished and page.qr.strip() and not modules:
        complaints.append("qr_too_long")
    there = {
        Graphic.EMBLEM: bool(theme.emblem),
        Graphic.PICTURE: bool(page.picture) and has(page.picture),
        Graphic.QR: modules > 0,
        Graphic.SYMBOL: page.kind in (PageKind.EMERGENCY, PageKind.ALL_CLEAR),
    }
    return [graphic for graphic in wished if there[graphic]]


def beside(  # noqa: PLR0917 - all of them are plain values of different types
    graphics: Sequence[Graphic],
    page: Page,
    template: Template,
    room: Rect,
    line_px: int,
    em_px: int,
    colour: Colour,
) -> Beside:
    """Share a room between graphics and text.

    Args:
        graphics: wished for.
        page: they are of.
        template: says where.
        room: for both.
        line_px: height of a line of the least text.
        em_px: its font size.
        colour: of symbols.
    """
    kept = list(graphics)
    homeless: list[Graphic] = []
    while kept:
        above = template.side_at == "above" or (template.side_at == "auto" and room.height_px > room.width_px)
        side, text = _shared(kept, template, room, line_px, above=above)
        enough = text.width_px >= LEAST_EMS_OF_TEXT * em_px and text.height_px >= (
            LEAST_LINES_OF_TEXT * line_px if above else line_px
        )
        cells = _cells(side, len(kept), line_px // 4, across=above)
        if enough:
            crowded = [
                one for one, cell in zip(kept, cells, strict=True) if not fits(one, page, cell, line_px)
            ]
            if not crowded:
                drawn = tuple(draw(one, page, cell, colour) for one, cell in zip(kept, cells, strict=True))
                return Beside(drawn, text, tuple(homeless))
        else:
            crowded = kept[-1:]
        homeless.insert(0, crowded[-1])
        kept.remove(crowded[-1])
    return Beside((), room, tuple(homeless))


def fits(graphic: Graphic, page: Page, cell: Rect, line_px: int) -> bool:
    """Whether a graphic can be made out in a cell."""
    shorter = min(cell.width_px, cell.height_px)
    match graphic:
        case Graphic.QR:
            return shorter >= _modules(page.qr) > 0
        case Graphic.PICTURE:
            return shorter >= _LEAST_PICTURE_LINES * line_px
        case Graphic.SYMBOL | Graphic.EMBLEM:
            return shorter >= line_px


def draw(graphic: Graphic, page: Page, cell: Rect, colour: Colour) -> Element:
    """The graphic in its cell."""
    match graphic:
        case Graphic.PICTURE:
            return Picture(cell, page.picture)
        case Graphic.EMBLEM:
            return Picture(cell, EMBLEM)
        case Graphic.QR:
            return Qr(cell, page.qr)
        case Graphic.SYMBOL:
            return Symbol(cell, symbol_of(page), colour)


def symbol_of(page: Page) -> str:
    """Name of the symbol of an emergency or an all clear; the one for all others, if its event has none."""
    if page.kind is PageKind.ALL_CLEAR:
        return "all_clear"
    return page.event if page.event in NAMES else "other"


def _shared(
    graphics: Sequence[Graphic], template: Template, room: Rect, line_px: int, *, above: bool
) -> tuple[Rect, Rect]:
    """Room of the side and of the text, with a gap between them."""
    gap = max(1, line_px // 4)
    square = all(one in (Graphic.SYMBOL, Graphic.EMBLEM, Graphic.QR) for one in graphics)
    if above:
        wished = int(room.height_px * template.side_share)
        height = min(wished, room.width_px // len(graphics)) if square else wished
        side = Rect(room.x_px, room.y_px, room.width_px, height)
        top = height + gap
        return side, Rect(room.x_px, room.y_px + top, room.width_px, max(0, room.height_px - top))
    wished = int(room.width_px * template.side_share)
    width = min(wished, room.height_px // len(graphics)) if square else wished
    left_px = width + gap
    rest = max(0, room.width_px - left_px)
    if template.side_at == "right":
        side = Rect(room.x_px + room.width_px - width, room.y_px, width, room.height_px)
        return side, Rect(room.x_px, room.y_px, rest, room.height_px)
    side = Rect(room.x_px, room.y_px, width, room.height_px)
    return side, Rect(room.x_px + left_px, room.y_px, rest, room.height_px)


def _cells(side: Rect, count: int, gap: int, *, across: bool) -> list[Rect]:
    if across:
        width = (side.width_px - gap * (count - 1)) // count
        return [Rect(side.x_px + n * (width + gap), side.y_px, width, side.height_px) for n in range(count)]
    height = (side.height_px - gap * (count - 1)) // count
    return [Rect(side.x_px, side.y_px + n * (height + gap), side.width_px, height) for n in range(count)]


def _modules(text: str) -> int:
    """Width of a QR code in modules with its quiet zone; 0 when no code holds the text."""
    if len(text) > _MAX_QR:
        return 0
    try:
        code = segno.make(text, error="l", micro=False, boost_error=False)
    except (ValueError, UnicodeError):
        return 0
    return int(code.symbol_size(border=_QUIET)[0])
