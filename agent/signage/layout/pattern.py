"""Test pictures for technicians: dead pixels, wrong wiring, and the name of each module."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agent.model.board import Page, Pattern
from agent.signage.layout.flow import Type
from agent.signage.screen import Colour, Element, Face, Fill, Rect, Screen, TextLine

PATTERNS: Final = tuple(str(one) for one in Pattern)
"""Names of test pictures: `Page.id`."""

DWELL_S: Final = 60.0

_BLACK: Final[Colour] = (0, 0, 0)
_WHITE: Final[Colour] = (255, 255, 255)
_RED: Final[Colour] = (255, 0, 0)
_GREEN: Final[Colour] = (0, 255, 0)
_SOLID: Final[dict[str, Colour]] = {
    "red": _RED,
    "green": _GREEN,
    "blue": (0, 0, 255),
    "white": _WHITE,
    "black": _BLACK,
}
_MOST_CELLS: Final = 8_192
_MOST_GRID_LINES: Final = 40
_STEPS: Final = 32
_SMALLEST_LABEL_PX: Final = 6
_LETTERS: Final = 26
_MODULE: Final = re.compile(r"(\d{1,4})\s*[x×]\s*(\d{1,4})")
_FINE_PITCH_MM: Final = 8
_LARGEST_LED_PX: Final = 1024
_DISPLAY_CELLS: Final = 8


def screen(page: Page, face: Face, type_: Type) -> Screen:
    """The test picture that a page's id names; `grid`, with a complaint, if there is none of that name.

    `numbers` marks each module of the board with its column (letters) and row (numbers), from the upper left
    as one looks at it. The size of a module may be written as the page's text, such as `32x16`; else it is
    the usual one for the pitch. Labels may be smaller than text for the public: its reader stands close by.
    """
    name = page.id if page.id in PATTERNS else "grid"
    elements: tuple[Element, ...]
    match name:
        case "grid":
            elements = tuple(_grid(face))
        case "checker" | "checker_inverse":
            elements = tuple(_checker(face, first=0 if name == "checker" else 1))
        case "border":
            elements = tuple(_border(face))
        case "gradient":
            elements = tuple(_gradient(face))
        case "numbers":
            elements = tuple(_modules(face, page.text, type_))
        case _:
            elements = ()
    return Screen(
        page_id=page.id,
        number=1,
        count=1,
        width_px=face.width_px,
        height_px=face.height_px,
        background=_SOLID.get(name, _BLACK),
        elements=elements,
        dwell_s=page.dwell_s if 0 < page.dwell_s < float("inf") else DWELL_S,
        complaints=() if name == page.id else (f"unknown_pattern {page.id[:64]}",),
    )


def module_size(face: Face, written: str = "") -> tuple[int, int]:
    """Width and height of a module in pixels: as written (`64x32`), else the usual one for the pitch."""
    found = _MODULE.fullmatch(written.strip())
    if found and int(found[1]) > 0 and int(found[2]) > 0:
        return min(int(found[1]), face.width_px), min(int(found[2]), face.height_px)
    if max(face.width_px, face.height_px) > _LARGEST_LED_PX:
        return -(-face.width_px // _DISPLAY_CELLS), -(-face.height_px // _DISPLAY_CELLS)
    usual = (32, 16) if face.pitch_mm >= _FINE_PITCH_MM else (64, 32)
    return min(usual[0], face.width_px), min(usual[1], face.height_px)


def column_name(number: int) -> str:
    """Letters of a column, as in a spreadsheet: 0 is A, 26 is AA."""
    name = ""
    number += 1
    while number > 0:
        number, letter = divmod(number - 1, _LETTERS)
        name = chr(ord("A") + letter) + name
    return name


def _grid(face: Face) -> Iterator[Element]:
    step = 8
    while max(face.width_px, face.height_px) / step > _MOST_GRID_LINES:
        step *= 2
    yield Fill(Rect(0, 0, face.width_px, face.height_px), _WHITE, 1)
    for x_px in range(step, face.width_px - 1, step):
        yield Fill(Rect(x_px, 1, 1, max(1, face.height_px - 2)), _GREEN)
    for y_px in range(step, face.height_px - 1, step):
        yield Fill(Rect(1, y_px, max(1, face.width_px - 2), 1), _GREEN)


def _checker(face: Face, first: int) -> Iterator[Element]:
    """Every other cell lit: one pixel each on boards of up to 16,384 pixels, larger cells on larger ones."""
    cell = 1
    while face.width_px * face.height_px / (2 * cell * cell) > _MOST_CELLS:
        cell += 1
    for row, y_px in enumerate(range(0, face.height_px, cell)):
        for x_px in range((row + first) % 2 * cell, face.width_px, 2 * cell):
            yield Fill(
                Rect(x_px, y_px, min(cell, face.width_px - x_px), min(cell, face.height_px - y_px)), _WHITE
            )


def _border(face: Face) -> Iterator[Element]:
    """The outermost pixels, the middle, and a mark at the upper left: a wrong size or place shows at once."""
    yield Fill(Rect(0, 0, face.width_px, face.height_px), _WHITE, 1)
    yield Fill(Rect(face.width_px // 2, 1, 1, max(1, face.height_px - 2)), _GREEN)
    yield Fill(Rect(1, face.height_px // 2, max(1, face.width_px - 2), 1), _GREEN)
    corner = max(1, min(face.width_px, face.height_px) // 8)
    yield Fill(Rect(2, 2, corner, corner), _RED)


def _gradient(face: Face) -> Iterator[Element]:
    """Rows of red, green, blue and white, from dark at the left to full at the right."""
    rows = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1))
    steps = min(_STEPS, face.width_px)
    for row, channels in enumerate(rows):
        top = face.height_px * row // len(rows)
        bottom = face.height_px * (row + 1) // len(rows)
        for step in range(steps):
            left = face.width_px * step // steps
            right = face.width_px * (step + 1) // steps
            level = round(255 * (step + 1) / steps)
            colour = (channels[0] * level, channels[1] * level, channels[2] * level)
            yield Fill(Rect(left, top, right - left, bottom - top), colour)


def _modules(face: Face, written: str, type_: Type) -> Iterator[Element]:
    width, height = module_size(face, written)
    while (face.width_px / width) * (face.height_px / height) > _MOST_CELLS / 4:
        width, height = min(width * 2, face.width_px), min(height * 2, face.height_px)
    columns, rows = -(-face.width_px // width), -(-face.height_px // height)
    longest = f"{column_name(columns - 1)}{rows}".replace("1", "8")
    size_px = _label_px(longest, width - 2, height - 2, type_)
    for row in range(rows):
        for column in range(columns):
            left, top = column * width, row * height
            cell = Rect(left, top, min(width, face.width_px - left), min(height, face.height_px - top))
            line_px = max(1, min(width, height) // 64)
            yield Fill(cell, _GREEN if (row + column) % 2 else _RED, line_px)
            label = f"{column_name(column)}{row + 1}"
            wide = type_.width(label, size_px)
            if wide <= cell.width_px and cell.height_px > size_px:
                y_px = cell.y_px + (cell.height_px - type_.line_height(size_px)) // 2
                yield TextLine(cell.x_px + int(cell.width_px - wide) // 2, y_px, label, size_px, _WHITE)


def _label_px(label: str, width_px: int, height_px: int, type_: Type) -> int:
    """Largest font size of a label without marks: its capitals have to fit, its line box may stand out."""
    size_px = max(_SMALLEST_LABEL_PX, int(height_px * 0.8))
    while size_px > _SMALLEST_LABEL_PX and type_.width(label, size_px) > width_px:
        size_px -= 1
    return size_px
