"""Measures and draws lines of text with Pillow and raqm, each script with its own bundled font.

What no font has is drawn as a box with a cross and reported by `Typesetter.missing`. So are letters written
from right to left: no language of the boards needs them, and a half-right order is worse than a plain mark.
"""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, features

from agent.signage.families import LATIN, FontsMissingError, families
from agent.signage.screen import Colour
from agent.signage.text import clusters, is_mark

__all__ = ["MAX_SIZE_PX", "FontsMissingError", "Typesetter"]

MAX_SIZE_PX = 2000
"""Largest font size."""

_LINE_HEIGHT = 1.4
_BASELINE = 1.12
"""Line box, and its part above the base line, in font sizes.

Noto Sans Bold needs 1.054 above for Ẵ and 0.24 below for y; hinting rounds up to 20 and 4 pixels at 17.
"""

_LEAST_SHRINK = 0.5
"""Marks heaped higher than this saves are cut off at the line box."""

_PIECE_CLUSTERS = 32
_SHORT = 256
_MARK_WIDTH, _MARK_BOX, _MARK_HEIGHT = 0.72, 0.58, 0.7
"""Of the mark for a missing glyph, in font sizes: advance, width and height of the box."""

_MAX_MISSING = 32


@dataclass(frozen=True, slots=True)
class _Piece:
    """Part of a line that is shaped at once; `family` -1: one missing character."""

    family: int
    text: str


@dataclass(frozen=True, slots=True)
class _Placed:
    """A piece at its place: `x` from the left end of the line, `width` and `font_size`, all in pixels."""

    piece: _Piece
    x: float
    width: float
    font_size: float


@dataclass(frozen=True, slots=True)
class _Line:
    """A line ready to be drawn; `base` is its base line, below the top of the line box."""

    placed: tuple[_Placed, ...]
    base: int
    width: float


class Typesetter:
    """Draws lines of cleaned text. Not for use by two threads at once.

    Args:
        extra_fonts: tried, in this order, for characters no bundled font has; broken ones are left out.

    Raises:
        FontsMissingError: a bundled font cannot be read, or Pillow has no raqm.
    """

    def __init__(self, extra_fonts: Sequence[Path] = ()) -> None:
        if not features.check("raqm"):
            raise FontsMissingError("Pillow has no raqm: install the system package libfribidi0")
        self._families = families(extra_fonts)
        self._family_of = lru_cache(maxsize=4096)(self._find_family)
        self._font = lru_cache(maxsize=24)(self._load_font)
        self._ink = lru_cache(maxsize=4096)(self._measure_ink)
        self._advance = lru_cache(maxsize=8192)(self._measure_advance)
        self._short_plan = lru_cache(maxsize=1024)(self._plan)
        self._long_plan = lru_cache(maxsize=2)(self._plan)
        self._short_line = lru_cache(maxsize=1024)(self._set)
        self._long_line = lru_cache(maxsize=2)(self._set)

    def line_height(self, size_px: int) -> int:
        """Height of the line box, 1.4 font sizes: two marks above, one below, nothing outside."""
        return math.ceil(_LINE_HEIGHT * _checked(size_px))

    def width(self, text: str, size_px: int, bold: bool = True) -> float:
        """Width in pixels of a line, the same for sharp and for smooth drawing.

        Raises:
            ValueError: a size that is not 1 to MAX_SIZE_PX.
        """
        return self._line(text, _checked(size_px), bold).width

    def missing(self, text: str) -> tuple[str, ...]:
        """Characters drawn as the mark, such as `U+1F600`, each once, the first 32."""
        found: dict[str, None] = {}
        for piece in self._pieces(text):
            if piece.family < 0:
                found.setdefault(f"U+{ord(piece.text):04X}")
                if len(found) == _MAX_MISSING:
                    break
        return tuple(found)

    def draw(  # noqa: PLR0917 - colour, weight and edges are what a caller sets in this order
        self,
        image: Image.Image,
        x_px: int,
        y_px: int,
        text: str,
        size_px: int,
        colour: Colour,
        bold: bool = True,
        sharp: bool = False,
    ) -> None:
        """Draw one line; its line box begins at (x_px, y_px) and nothing is drawn above or below it.

        Only what falls into the image is worked on, so a part of a very long line costs little.

        Args:
            image: of mode RGB.
            x_px: left edge, may be negative.
            y_px: top of the line box, may be negative.
            text: one line; a newline counts as a space.
            size_px: font size, 1 to MAX_SIZE_PX.
            colour: of the ink.
            bold: heavier letters, where the script has them.
            sharp: no half tones, for boards of one or two colours; legible from 14 px.

        Raises:
            ValueError: an impossible size.
        """
        height = self.line_height(size_px)
        line = self._line(text, size_px, bold)
        left, right = max(0, x_px - size_px), min(image.width, math.ceil(x_px + line.width) + size_px)
        if left >= right or y_px >= image.height or y_px + height <= 0:
            return
        mask = Image.new("L", (right - left, height), 0)
        pen = ImageDraw.Draw(mask)
        pen.fontmode = "1" if sharp else "L"
        first = bisect_left(
            line.placed, float(left - x_px - size_px), key=lambda placed: placed.x + placed.width
        )
        for placed in line.placed[first:]:
            x = round(x_px + placed.x) - left
            if x > mask.width + size_px:
                break
            if placed.piece.family < 0:
                _draw_mark(pen, x, line.base, size_px)
            elif placed.piece.text != " ":
                font = self._font(placed.piece.family, bold, placed.font_size)
                pen.text((x, line.base), placed.piece.text, font=font, fill=255, anchor="ls", direction="ltr")
        image.paste(colour, (left, y_px), mask)

    def _line(self, text: str, size_px: int, bold: bool) -> _Line:
        return (self._short_line if len(text) <= _SHORT else self._long_line)(text, size_px, bold)

    def _set(self, text: str, size_px: int, bold: bool) -> _Line:
        """Place the pieces of a line, find its base line, and shrink what would leave the line box."""
        pieces = self._pieces(text)
        base, shrink = self._fit(pieces, size_px, bold)
        x = 0.0
        placed = []
        for piece in pieces:
            size = self._font_size(piece, size_px)
            if piece.family > LATIN and shrink < 1:
                size = _half(size * shrink)
            elif piece.family == LATIN and _has_marks(piece.text):
                above, below = self._ink(piece, size_px, bold)
                room = min(base / max(above, 1), (self.line_height(size_px) - base) / max(below, 1))
                size = size if room >= 1 else _half(size * max(room, _LEAST_SHRINK))
            width = self._advance(piece, size, bold)
            placed.append(_Placed(piece, x, width, size))
            x += width
        return _Line(tuple(placed), base, x)

    def _fit(self, pieces: Sequence[_Piece], size_px: int, bold: bool) -> tuple[int, float]:
        """Base line of a line and the factor by which its other scripts shrink; Latin letters never do.

        The base line is the usual one unless a script with deep letters needs it higher, and no stacked Latin
        capital is in its way.
        """
        height, usual = self.line_height(size_px), math.ceil(_BASELINE * size_px)
        others = {piece for piece in pieces if piece.family > LATIN}
        if not others:
            return usual, 1.0
        latin = {piece for piece in pieces if piece.family == LATIN and not _has_marks(piece.text)}
        latin_above, latin_below = self._most_ink(latin, size_px, bold)
        above, below = self._most_ink(others, size_px, bold)
        wished = max(below, latin_below, *(round(self._families[p.family].below * size_px) for p in others))
        top = max(above, latin_above)
        for deep in (wished, max(below, latin_below)):
            if top + deep <= height:
                return max(min(usual, height - deep), top), 1.0
        base = min(max(round(height * above / (above + below)), latin_above), height - latin_below)
        return base, max(_LEAST_SHRINK, min(1.0, base / max(above, 1), (height - base) / max(below, 1)))

    def _most_ink(self, pieces: Iterable[_Piece], size_px: int, bold: bool) -> tuple[int, int]:
        inks = [self._ink(piece, size_px, bold) for piece in pieces]
        return max((above for above, _ in inks), default=0), max((below for _, below in inks), default=0)

    def _pieces(self, text: str) -> tuple[_Piece, ...]:
        return self._short_plan(text) if len(text) <= _SHORT else self._long_plan(text)

    def _plan(self, text: str) -> tuple[_Piece, ...]:
        """Cut a line into pieces of one font: words, or so many clusters where there are no spaces."""
        pieces: list[_Piece] = []
        run: list[str] = []
        current = LATIN
        for family, part in self._parts(text):
            if run and (family != current or run[-1] == " " or len(run) == _PIECE_CLUSTERS):
                pieces.append(_Piece(current, "".join(run)))
                run.clear()
            current = family
            if family < 0:
                pieces.append(_Piece(-1, part))
            else:
                run.append(part)
        if run:
            pieces.append(_Piece(current, "".join(run)))
        return tuple(pieces)

    def _parts(self, text: str) -> Iterator[tuple[int, str]]:
        """Clusters with their font; of one that no font has whole, its characters."""
        shown = [cluster for cluster in map(_drawable, clusters(text)) if cluster]
        home = current = self._home(shown)
        for cluster in shown:
            if unicodedata.category(cluster[0]) in _BRACKETS and self._stays(cluster, home):
                current = home
            if self._stays(cluster, current):
                yield current, cluster
                continue
            family = self._family_of(cluster)
            if family >= 0:
                current = family
                yield family, cluster
                continue
            base = self._family_of(cluster[0])
            for char in cluster:
                known = base >= 0 and self._has(base, char)
                yield (base if known else -1), char

    def _home(self, shown: Sequence[str]) -> int:
        """The script the line begins with; its brackets are used throughout, so that they match."""
        strong = (self._family_of(cluster) for cluster in shown if not _is_neutral(cluster))
        return next((family for family in strong if family >= 0), LATIN)

    def _stays(self, cluster: str, family: int) -> bool:
        """Whether a space, digit or sign is drawn with the font of the text before it."""
        return _is_neutral(cluster) and all(self._has(family, char) for char in cluster)

    def _has(self, family: int, char: str) -> bool:
        return ord(char) in self._families[family].characters or char in _IGNORED

    def _find_family(self, cluster: str) -> int:
        """First family that has the whole cluster; -1 if none has, or it is written from right to left."""
        if any(unicodedata.bidirectional(char) in _RIGHT_TO_LEFT for char in cluster):
            return -1
        if unicodedata.category(cluster[0]) in _NEVER:
            return -1
        for number in range(len(self._families)):
            if all(self._has(number, char) for char in cluster):
                return number
        return -1

    def _load_font(self, family: int, bold: bool, size: float) -> ImageFont.FreeTypeFont:
        fonts = self._families[family]
        path = fonts.bold if bold else fonts.regular
        try:
            return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.RAQM)
        except OSError as error:
            raise FontsMissingError(f"{path} cannot be read: {error}") from error

    def _font_size(self, piece: _Piece, size_px: int) -> float:
        return max(1.0, size_px * self._families[piece.family].scale) if piece.family >= 0 else float(size_px)

    def _measure_ink(self, piece: _Piece, size_px: int, bold: bool) -> tuple[int, int]:
        """Pixels above and below the base line, the larger of sharp and smooth drawing."""
        font = self._font(piece.family, bold, self._font_size(piece, size_px))
        boxes = [font.getbbox(piece.text, mode, anchor="ls", direction="ltr") for mode in ("L", "1")]
        return max(0, *(math.ceil(-top) for _, top, _, _ in boxes)), max(
            0, *(math.ceil(b) for _, _, _, b in boxes)
        )

    def _measure_advance(self, piece: _Piece, font_size: float, bold: bool) -> float:
        if piece.family < 0:
            return float(math.ceil(_MARK_WIDTH * font_size))
        return self._font(piece.family, bold, font_size).getlength(piece.text, direction="ltr")


_IGNORED = frozenset("\u200b\u200c\u200d")
_RIGHT_TO_LEFT = frozenset(("R", "AL", "AN"))
_NEVER = frozenset(("Co", "Cs", "Cn"))
_BRACKETS = frozenset(("Ps", "Pe", "Pi", "Pf"))


def _half(size: float) -> float:
    """Rounded down to half a pixel, so that few sizes of a font are kept."""
    return max(1.0, math.floor(2 * size) / 2)


@lru_cache(maxsize=4096)
def _has_marks(text: str) -> bool:
    return any(map(is_mark, text))


def _checked(size_px: int) -> int:
    if not 1 <= size_px <= MAX_SIZE_PX:
        raise ValueError(f"a font size of {size_px} px is not within 1 to {MAX_SIZE_PX}")
    return size_px


@lru_cache(maxsize=4096)
def _drawable(cluster: str) -> str:
    """The cluster without what cannot be shaped, should text arrive that was not cleaned."""
    kept = []
    for char in cluster:
        category = unicodedata.category(char)
        if category in {"Cc", "Zl", "Zp"}:
            kept.append(" ")
        elif category != "Cf" or char in _IGNORED:
            kept.append(char)
    return "" if all(char in _IGNORED for char in kept) else "".join(kept)


@lru_cache(maxsize=4096)
def _is_neutral(cluster: str) -> bool:
    return all(char in _IGNORED or unicodedata.category(char)[0] in "ZPNS" for char in cluster)


def _draw_mark(pen: ImageDraw.ImageDraw, x: int, base: int, size_px: int) -> None:
    """A box with a cross, standing on the base line, for a glyph that no font has."""
    line = max(1, size_px // 16)
    width, height = max(3, round(_MARK_BOX * size_px)), max(3, round(_MARK_HEIGHT * size_px))
    left = x + max(1, round((_MARK_WIDTH - _MARK_BOX) / 2 * size_px))
    right, top, bottom = left + width - 1, base - height, base - 1
    pen.rectangle((left, top, right, bottom), outline=255, width=line)
    pen.line((left + 1, top + 1, right - 1, bottom - 1), fill=255, width=line)
    pen.line((left + 1, bottom - 1, right - 1, top + 1), fill=255, width=line)
