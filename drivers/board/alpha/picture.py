"""RGB pictures as the characters of DOTS files, and where on the board each file lies."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.api import Frame
from drivers.board.alpha.codec import Depth

_HALF = 128
_LABELS = b"PQRSTUVWXYZabcdefghijklm"
WIDTH_MAX_PX = 1020
PART_PX = 64
"""Widest file: two seconds at 9600 baud, after which something more urgent may have its turn."""

PALETTE: dict[bytes, tuple[int, int, int]] = {
    b"0": (0, 0, 0),
    b"1": (255, 0, 0),
    b"2": (0, 255, 0),
    b"3": (255, 191, 0),
    b"4": (128, 0, 0),
    b"5": (0, 128, 0),
    b"6": (128, 80, 0),
    b"7": (255, 110, 0),
    b"8": (255, 255, 0),
}
"""Nearest light of each character of a sign of eight colours; there is no blue."""


@dataclass(frozen=True, slots=True)
class Part:
    """One DOTS file: columns `left_px` up to, not including, `right_px`."""

    label: bytes
    left_px: int
    right_px: int


def parts(width_px: int) -> tuple[Part, ...]:
    """Cut a board into as few files as hold it, of about the same width."""
    count = -(-width_px // PART_PX)
    edges = [width_px * number // count for number in range(count + 1)]
    return tuple(
        Part(_LABELS[number : number + 1], edges[number], edges[number + 1]) for number in range(count)
    )


def character(red: int, green: int, blue: int, depth: Depth) -> bytes:
    """Character of a pixel; blue alone is shown as amber rather than not at all."""
    if depth is Depth.MONO:
        return b"1" if max(red, green, blue) >= _HALF else b"0"
    if blue >= _HALF and max(red, green) < _HALF:
        red = green = blue
    if depth is Depth.THREE:
        return bytes((48 + (red >= _HALF) + 2 * (green >= _HALF),))
    return min(
        PALETTE,
        key=lambda one: (PALETTE[one][0] - red) ** 2 + (PALETTE[one][1] - green) ** 2,
    )


def rows_of(frame: Frame, part: Part, depth: Depth) -> tuple[bytes, ...]:
    """Rows of characters of one part of a frame."""
    known: dict[bytes, bytes] = {}
    found = []
    for y in range(frame.height_px):
        row = bytearray()
        for x in range(part.left_px, part.right_px):
            at = 3 * (y * frame.width_px + x)
            pixel = frame.rgb[at : at + 3]
            if pixel not in known:
                known[pixel] = character(pixel[0], pixel[1], pixel[2], depth)
            row += known[pixel]
        found.append(bytes(row))
    return tuple(found)
