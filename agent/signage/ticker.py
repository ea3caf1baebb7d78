"""Text that moves: cut into small pieces, painted ahead of time, kept in a ring that is as long as needed.

What a frame costs and how much memory is used depends on the size of the band, never on the text's length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.signage.screen import TickerBand
from agent.signage.text import clusters

PIECE_MAX_PX = 512
_AHEAD_PX = 512
_LAG_FRAMES = 8


def pieces(text: str, size_px: int) -> Iterator[str]:
    """Cut a text into pieces of about 400 px, after spaces where there are any, never inside a letter."""
    most = max(2, int(400 / (0.6 * size_px)))
    start = 0
    while start < len(text):
        end = min(len(text), start + most)
        if end < len(text):
            space = text.rfind(" ", start, end)
            end = space + 1 if space > start else start + _whole(text[start : start + 4 * most], most)
        yield text[start:end]
        start = end


def _whole(text: str, most: int) -> int:
    """Length of as many whole letters (grapheme clusters) as make `most` characters; at least one letter."""
    length = 0
    for cluster in clusters(text):
        if length and length + len(cluster) > most:
            break
        length += len(cluster)
    return max(1, length)


def gap_px(width_px: int, size_px: int) -> int:
    """Free room between the end of a text and its next beginning."""
    return max(width_px // 3, 2 * size_px)


@dataclass(frozen=True, slots=True)
class Pace:
    """Whole pixels in whole frames, so that letters move evenly.

    Attributes:
        step_px: moved at once.
        frames: after which it is moved again.
    """

    step_px: int
    frames: int


def pace(speed_px_s: float, refresh_hz: float) -> Pace:
    """The even motion nearest to a speed; both more than 0."""
    per_frame = speed_px_s / refresh_hz
    if per_frame >= 0.75:  # noqa: PLR2004  nearer to 1 px a frame than to 1 px every second frame
        return Pace(max(1, round(per_frame)), 1)
    return Pace(1, min(60, max(2, round(1 / per_frame))) if per_frame > 0 else 60)


class Motion:
    """Where a ticker stands: advances with each frame, and catches up when many frames were lost."""

    def __init__(self, speed_px_s: float, refresh_hz: float, now_s: float) -> None:
        self._pace = pace(speed_px_s, refresh_hz)
        self._refresh_hz = refresh_hz
        self._began_s = now_s
        self._frames = 0

    def next(self, now_s: float) -> int:
        """Offset of the next frame, px."""
        self._frames += 1
        due = int((now_s - self._began_s) * self._refresh_hz)
        if due - self._frames > _LAG_FRAMES:
            self._frames = due
        elif self._frames - due > _LAG_FRAMES:
            # A display that is faster than it said: its frames are what counts.
            self._began_s = now_s - self._frames / self._refresh_hz
        return self.offset_px

    @property
    def offset_px(self) -> int:
        return self._frames // self._pace.frames * self._pace.step_px


class Tape:
    """A ring of painted columns in the pixel format of the board.

    Column 0 is at the left edge at offset 0; the first `width_px` columns are free, so text comes in from the
    right. Columns left of the offset are forgotten.
    """

    def __init__(self, band: TickerBand, width_px: int, pixel: bytes) -> None:
        """Make room.

        Args:
            band: rows and text.
            width_px: of the board.
            pixel: one pixel of the band's background, packed.
        """
        self.band = band
        self._width_px = width_px
        self._pixel = pixel
        self._ring_px = width_px + _AHEAD_PX + 2 * PIECE_MAX_PX
        self._row_bytes = self._ring_px * len(pixel)
        self._ring = memoryview(bytearray(pixel * (self._ring_px * band.height_px)))
        self._end_px = width_px
        self._gap_px = gap_px(width_px, band.size_px)
        self._texts = self._endless()

    def wants(self, offset_px: int) -> bool:
        """Whether another piece should be painted now."""
        ahead_px = self._end_px - offset_px - self._width_px
        return ahead_px < _AHEAD_PX and self._end_px - offset_px + PIECE_MAX_PX <= self._ring_px

    def late(self, offset_px: int) -> bool:
        """Whether columns are on the board that have not been painted yet."""
        return self._end_px < offset_px + self._width_px

    def next_text(self) -> str:
        """The text to be painted next; empty: free room."""
        return next(self._texts)

    def _endless(self) -> Iterator[str]:
        while True:
            yield from pieces(self.band.text, self.band.size_px)
            yield ""

    def add_gap(self, offset_px: int) -> None:
        """Add the free room between two rounds."""
        left_px = self._gap_px
        while left_px > 0:
            part_px = min(left_px, PIECE_MAX_PX, self._ring_px - (self._end_px - offset_px))
            if part_px <= 0:
                return
            self.add(self._pixel * (part_px * self.band.height_px), part_px, offset_px)
            left_px -= part_px

    def add(self, packed: bytes, width_px: int, offset_px: int) -> None:
        """Add painted columns on the right.

        Args:
            packed: height_px rows of width_px pixels.
            width_px: at most PIECE_MAX_PX.
            offset_px: where the ticker stands; if it ran past the end, the columns come at the right edge.
        """
        if self.late(offset_px):
            self._blank_to(offset_px + self._width_px)
        size = len(self._pixel)
        at_px = self._end_px % self._ring_px
        first_px = min(width_px, self._ring_px - at_px)
        first, long = first_px * size, width_px * size
        source = memoryview(packed)
        for row in range(self.band.height_px):
            start, place = row * long, row * self._row_bytes
            left = place + at_px * size
            self._ring[left : left + first] = source[start : start + first]
            if first < long:
                self._ring[place : place + long - first] = source[start + first : start + long]
        self._end_px += width_px

    def _blank_to(self, end_px: int) -> None:
        """Free room up to a column: painting came late."""
        columns = min(end_px - self._end_px, self._ring_px)
        start_px = end_px - columns
        for part_px in range(start_px, end_px):
            place = part_px % self._ring_px * len(self._pixel)
            for row in range(self.band.height_px):
                at = row * self._row_bytes + place
                self._ring[at : at + len(self._pixel)] = self._pixel
        self._end_px = end_px

    def copy(self, memory: memoryview, stride_bytes: int, offset_px: int, *, at_top: bool = False) -> None:
        """Write the band of a frame into memory that has `stride_bytes` from row to row.

        Args:
            memory: of the whole board, or of the band alone if `at_top`.
            stride_bytes: from one row to the next.
            offset_px: where the ticker stands.
            at_top: the band begins with the memory.
        """
        if self.late(offset_px):
            self._blank_to(offset_px + self._width_px)
        size = len(self._pixel)
        at = offset_px % self._ring_px * size
        long = self._width_px * size
        first = min(long, self._row_bytes - at)
        rest = long - first
        place = 0 if at_top else self.band.y_px * stride_bytes
        ring, left = self._ring, 0
        if rest:
            for _ in range(self.band.height_px):
                memory[place : place + first] = ring[left + at : left + at + first]
                memory[place + first : place + long] = ring[left : left + rest]
                place += stride_bytes
                left += self._row_bytes
            return
        for _ in range(self.band.height_px):
            memory[place : place + long] = ring[left + at : left + at + long]
            place += stride_bytes
            left += self._row_bytes


def turns(text: str, most_px: int, width: Callable[[str], float]) -> tuple[str, ...]:
    """Cut a text into turns of a card that can move only so much: each at most `most_px` wide, at least one.

    A single piece that is wider is left whole: it is cut off when it is painted.
    """
    found: list[str] = []
    wide_px = 0.0
    for piece in pieces(text, 20):
        piece_px = width(piece)
        if found and wide_px + piece_px <= most_px - 1:
            found[-1] += piece
            wide_px += piece_px
        else:
            found.append(piece)
            wide_px = piece_px
    return tuple(found) or ("",)
