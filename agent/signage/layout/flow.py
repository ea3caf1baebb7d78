"""Text in a rectangle: as large as it fits on one screen, else at ordinary size on as many as needed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Protocol

from agent.signage.linebreak import wrap
from agent.signage.screen import Colour, Rect, TextLine
from agent.signage.text import clusters, ideographic, unspaced

SCREENS: Final = 60
"""Most screens of one page; text behind them is cut."""
ALARM_SCREENS: Final = 120
"""The same of an emergency on a board of one or two lines, where an ordinary one needs more than 60."""

_STEPS: Final = 8
_LINES_ON_BOARD: Final = 2
"""Text does not grow beyond the size at which so many lines fit."""
_EMPHASES: Final = (0.85, 0.7, 0.55, 0.4, 0.25, 0.1, 0.0)
"""Shares of its emphasis that a block is tried at until it is whole."""
_MUCH: Final = 4_000
"""Text of more characters is not enlarged: trying it would take longer than it is worth."""
_JOINT: Final = "  ·  "
_MORE: Final = "…"


class Type(Protocol):
    """What layout needs of a typesetter."""

    def width(self, text: str, size_px: int, bold: bool = True) -> float: ...

    def line_height(self, size_px: int) -> int: ...

    def missing(self, text: str) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of text that stays together if it can.

    Attributes:
        parts: texts that share a line if they fit, else one below the other.
        factor: font size over the least one.
        colour: of all of it.
        heading: lines of about equal length.
        leads: not left alone at the end of a screen.
        compact: does not take more lines for the sake of larger letters.
        alone: begins a screen of its own.
        tag: what it is, for whoever asks what a screen shows.
    """

    parts: tuple[str, ...]
    factor: float
    colour: Colour
    heading: bool = False
    leads: bool = False
    compact: bool = False
    alone: bool = False
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """Text of one screen, and the tags of the blocks it is from."""

    lines: tuple[TextLine, ...]
    tags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Flowed:
    """Text over screens; `cut` when there was more than the most of them hold."""

    screens: tuple[Placed, ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    size_px: int
    height_px: int
    colour: Colour
    tag: str


@dataclass(frozen=True, slots=True)
class _Set:
    """A block broken into lines at one size."""

    lines: tuple[_Line, ...]
    heading: bool
    leads: bool
    alone: bool

    @property
    def height_px(self) -> int:
        return sum(line.height_px for line in self.lines)


def flow(
    blocks: Sequence[Block],
    room: Rect,
    least_px: int,
    grow: float,
    type_: Type,
    *,
    centred: bool,
    first_whole: bool,
    most: int = SCREENS,
) -> Flowed:
    """Set blocks into a rectangle.

    Args:
        blocks: from top to bottom; those without text take no room.
        room: the same on every screen.
        least_px: no text is smaller.
        grow: how much larger than wished all of it may become if it then fits on one screen.
        type_: measures.
        centred: lines in the middle, else at the left.
        first_whole: the first block is kept on one screen by making it smaller, if that can be.
        most: screens; text behind them is cut.
    """
    present = [block for block in blocks if any(block.parts)]
    setter = _Setter(room, least_px, type_, most)
    if not any(block.alone for block in present[1:]):
        much = sum(len(part) for block in present for part in block.parts) > _MUCH
        for scale, emphasis in _scales(1.0 if much else grow):
            whole = setter.on_one_screen([_plainer(block, emphasis) for block in present], scale)
            if whole is not None:
                return Flowed((setter.place(whole, centred=centred),) if whole else ())
    sets, cut = setter.at_ordinary_size(present, first_whole=first_whole)
    screens = _paged(sets, room.height_px)
    if len(screens) > most:
        cut = True
        screens = screens[:most]
    if not cut and not any(block.alone for block in present):
        screens = _evened(sets, screens, room.height_px)
    if cut and screens and screens[-1]:
        screens[-1] = [*screens[-1][:-1], setter.with_mark(screens[-1][-1])]
    return Flowed(tuple(setter.place(lines, centred=centred) for lines in screens), cut)


class _Setter:
    """Breaks blocks into lines for one rectangle."""

    def __init__(self, room: Rect, least_px: int, type_: Type, most: int) -> None:
        self._room = room
        self._most = most
        self._least_px = least_px
        self._type = type_
        self._widths: dict[str, float] = {}
        largest = int(room.height_px / _LINES_ON_BOARD / 1.4)
        self._largest_px = max(least_px, largest)

    def on_one_screen(self, blocks: Sequence[Block], scale: float) -> list[_Line] | None:
        """Lines of everything at a scale; None if it does not fit or a word would be torn."""
        sizes = [self._size(block, scale) for block in blocks]
        if not self._may_fit(blocks, sizes):
            return None
        lines: list[_Line] = []
        for block, size_px in zip(blocks, sizes, strict=True):
            if not block.compact and size_px > self._least_px and self._tears(block, size_px):
                return None
            lines.extend(self._compact(block, size_px) if block.compact else self._lines(block, size_px))
        return lines if sum(line.height_px for line in lines) <= self._room.height_px else None

    def at_ordinary_size(self, blocks: Sequence[Block], *, first_whole: bool) -> tuple[list[_Set], bool]:
        """Every block at scale 1, smaller where a word would be torn or the first one would not be whole."""
        sets: list[_Set] = []
        cut = False
        for number, block in enumerate(blocks):
            shortened = self._shortened(block)
            cut = cut or shortened is not block
            lines = self._lines(shortened, self._size(block, 1))
            for share in _EMPHASES:
                torn = self._tears(shortened, lines[0].size_px) if lines else False
                halved = first_whole and number == 0 and self._is_too_high(lines)
                if not lines or lines[0].size_px == self._least_px or not (torn or halved):
                    break
                smaller = _plainer(shortened, share)
                lines = self._lines(smaller, self._size(smaller, 1))
            parts = self._by_part(shortened, lines) if self._is_too_high(lines) else [lines]
            sets.extend(
                _Set(tuple(part), block.heading, block.leads, block.alone and not at)
                for at, part in enumerate(parts)
            )
        return sets, cut

    def place(self, lines: Sequence[_Line], *, centred: bool) -> Placed:
        """Lines in the middle of the height, blocks a little apart if there is room."""
        spare = self._room.height_px - sum(line.height_px for line in lines)
        seams = sum(1 for one, other in pairwise(lines) if one.tag != other.tag)
        gap = max(0, min(spare // (seams + 2), self._type.line_height(self._least_px) // 3))
        y_px = self._room.y_px + (spare - gap * seams) // 2
        placed = []
        for number, line in enumerate(lines):
            if number and line.tag != lines[number - 1].tag:
                y_px += gap
            width_px = math.ceil(self._type.width(line.text, line.size_px))
            indent = max(0, self._room.width_px - width_px) // 2 if centred else 0
            placed.append(TextLine(self._room.x_px + indent, y_px, line.text, line.size_px, line.colour))
            y_px += line.height_px
        return Placed(tuple(placed), frozenset(line.tag for line in lines))

    def with_mark(self, line: _Line) -> _Line:
        """The line with dots at its end, shortened until it fits."""
        parts = list(clusters(line.text))
        while parts and self._type.width("".join(parts).rstrip() + _MORE, line.size_px) > self._room.width_px:
            parts.pop()
        return replace(line, text="".join(parts).rstrip() + _MORE)

    def _size(self, block: Block, scale: float) -> int:
        """Font size of a block: at least the least one, and one line of it fits the room."""
        wished = min(self._largest_px, round(self._least_px * block.factor * scale))
        while wished > self._least_px and self._type.line_height(wished) > self._room.height_px:
            wished -= 1
        return max(self._least_px, wished)

    def _may_fit(self, blocks: Sequence[Block], sizes: Sequence[int]) -> bool:
        """A quick look at areas, so that long text is not broken into lines in vain."""
        height = 0.0
        for block, size_px in zip(blocks, sizes, strict=True):
            wide = sum(self._width_at_least_size(part) for part in block.parts) * size_px / self._least_px
            height += max(1.0, 0.9 * wide / max(1, self._room.width_px)) * self._type.line_height(size_px)
        return height <= self._room.height_px

    def _width_at_least_size(self, part: str) -> float:
        if part not in self._widths:
            self._widths[part] = self._type.width(part.replace("\n", " "), self._least_px)
        return self._widths[part]

    def _shortened(self, block: Block) -> Block:
        """A block without what certainly lies behind the last screen."""
        per_screen = max(1, self._room.height_px // self._type.line_height(self._least_px))
        most = 1.2 * self._most * per_screen * max(self._room.width_px, self._least_px)
        kept = []
        for part in block.parts:
            wide = self._width_at_least_size(part)
            kept.append(part if wide <= most else part[: max(200, int(len(part) * most / wide))])
        return block if tuple(kept) == block.parts else replace(block, parts=tuple(kept))

    def _is_too_high(self, lines: Sequence[_Line]) -> bool:
        return sum(line.height_px for line in lines) > self._room.height_px

    def _by_part(self, block: Block, lines: Sequence[_Line]) -> list[Sequence[_Line]]:
        """Lines of a block by its parts, as a new screen begins rather between two parts than inside one."""
        size_px = lines[0].size_px
        return [self._part_lines(part, block, size_px) for part in self._on_one_line(block, size_px)]

    def _lines(self, block: Block, size_px: int) -> list[_Line]:
        return [
            line
            for part in self._on_one_line(block, size_px)
            for line in self._part_lines(part, block, size_px)
        ]

    def _part_lines(self, part: str, block: Block, size_px: int) -> list[_Line]:
        def measure(text: str) -> float:
            return self._type.width(text, size_px)

        height_px = self._type.line_height(size_px)
        return [
            _Line(line, size_px, height_px, block.colour, block.tag)
            for line in wrap(part, self._room.width_px, measure, balance=block.heading)
        ]

    def _on_one_line(self, block: Block, size_px: int) -> list[str]:
        """The parts of a block, those that fit one line together already joined."""
        parts: list[str] = []
        for part in block.parts:
            joined = f"{parts[-1]}{_JOINT}{part}" if parts else part
            if parts and self._type.width(joined, size_px) <= self._room.width_px:
                parts[-1] = joined
            elif part:
                parts.append(part)
        return parts

    def _compact(self, block: Block, size_px: int) -> list[_Line]:
        """Lines at the largest size up to `size_px` at which they are no more than at the ordinary size."""
        ordinary_px = self._size(block, 1)
        most = len(self._lines(block, ordinary_px))
        while size_px > ordinary_px:
            lines = self._lines(block, size_px)
            if len(lines) <= most and not self._tears(block, size_px):
                return lines
            size_px = max(ordinary_px, size_px - max(1, size_px // 20))
        return self._lines(block, size_px)

    def _tears(self, block: Block, size_px: int) -> bool:
        """Whether a word of a script with spaces is wider than the room."""
        words = {word for part in block.parts for word in part.split()}
        return any(
            self._type.width(word, size_px) > self._room.width_px
            for word in words
            if not any(unspaced(char) or ideographic(char) for char in word)
        )


def _scales(grow: float) -> Iterator[tuple[float, float]]:
    """How much to enlarge everything, and how much of the emphasis of large text to keep; best first."""
    for step in range(_STEPS if grow > 1 else 0, -1, -1):
        yield grow ** (step / _STEPS), 1.0
    yield 1.0, 0.75
    yield 1.0, 0.5


def _plainer(block: Block, emphasis: float) -> Block:
    """The block with a share of what makes it larger than ordinary text."""
    return block if emphasis == 1 else replace(block, factor=1 + (block.factor - 1) * emphasis)


def _paged(sets: Sequence[_Set], height_px: int) -> list[list[_Line]]:
    """Lines by screen: what fits whole is not torn, and a heading takes a line of its text along."""
    screens: list[list[_Line]] = []
    left_px = 0
    for number, one in enumerate(sets):
        if not one.lines:
            continue
        following = sets[number + 1].lines[:1] if one.leads and number + 1 < len(sets) else ()
        together_px = one.height_px + sum(line.height_px for line in following)
        wanted_px = together_px if together_px <= height_px else one.height_px
        breaks = one.height_px > left_px or (one.leads and wanted_px > left_px)
        keeps = one.heading or one.height_px <= height_px // 2 or left_px < one.lines[0].height_px
        if not screens or one.alone or (breaks and keeps):
            screens.append([])
            left_px = height_px
        for line in one.lines:
            if line.height_px > left_px and screens[-1]:
                screens.append([])
                left_px = height_px
            screens[-1].append(line)
            left_px -= line.height_px
    return screens


def _evened(sets: Sequence[_Set], screens: list[list[_Line]], height_px: int) -> list[list[_Line]]:
    """The same number of screens, filled about equally: the last one does not hold a lone line."""
    if len(screens) <= 1:
        return screens
    step = min((line.height_px for one in sets for line in one.lines), default=height_px)
    tallest = max((line.height_px for one in sets for line in one.lines), default=height_px)
    best = screens
    for lower in range(height_px - step, tallest - 1, -step):
        candidate = _paged(sets, lower)
        if len(candidate) > len(screens):
            break
        best = candidate
    return best
