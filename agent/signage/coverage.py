"""Which characters a font file has, read from its `cmap` table (OpenType 1.9), as Pillow cannot tell."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

_MAX_FONT_BYTES = 64 * 1024 * 1024
_SEGMENTS, _GROUPS = 4, 12
"""Formats of subtables: pairs of 16 bits for the basic plane, groups of 32 bits for all planes."""


def coverage(font: Path) -> frozenset[int]:
    """Code points for which the font has a glyph; of a collection, its first font.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no font, or has no Unicode table of a known kind.
    """
    if font.stat().st_size > _MAX_FONT_BYTES:
        raise ValueError(f"{font} is larger than {_MAX_FONT_BYTES} bytes")
    data = font.read_bytes()
    try:
        return frozenset(_characters(data, _cmap(data)))
    except (struct.error, IndexError, ValueError) as error:
        raise ValueError(f"{font} is no usable font: {error}") from error


def _cmap(data: bytes) -> int:
    start = struct.unpack_from(">I", data, 12)[0] if data[:4] == b"ttcf" else 0
    found = 0
    for entry in range(struct.unpack_from(">H", data, start + 4)[0]):
        tag, _, offset, length = struct.unpack_from(">4sIII", data, start + 12 + 16 * entry)
        if offset + length > len(data):
            raise ValueError("it ends inside a table")
        if tag == b"cmap":
            found = int(offset)
    if not found:
        raise ValueError("no cmap table")
    return found


def _characters(data: bytes, cmap: int) -> set[int]:
    found: set[int] = set()
    for entry in range(struct.unpack_from(">H", data, cmap + 2)[0]):
        platform, encoding, offset = struct.unpack_from(">HHI", data, cmap + 4 + 8 * entry)
        if platform != 0 and (platform, encoding) not in {(3, 1), (3, 10)}:
            continue
        kind = struct.unpack_from(">H", data, cmap + offset)[0]
        if kind == _SEGMENTS:
            found |= _segments(data, cmap + offset)
        elif kind == _GROUPS:
            found |= _groups(data, cmap + offset)
    if not found:
        raise ValueError("no Unicode characters")
    return found


def _segments(data: bytes, at: int) -> set[int]:
    count = struct.unpack_from(">H", data, at + 6)[0] // 2
    ends = struct.unpack_from(f">{count}H", data, at + 14)
    starts = struct.unpack_from(f">{count}H", data, at + 16 + 2 * count)
    deltas = struct.unpack_from(f">{count}H", data, at + 16 + 4 * count)
    offsets_at = at + 16 + 6 * count
    offsets = struct.unpack_from(f">{count}H", data, offsets_at)
    found: set[int] = set()
    for number, (start, end, delta, offset) in enumerate(zip(starts, ends, deltas, offsets, strict=True)):
        for code in range(start, min(end, 0xFFFE) + 1):
            glyph = code
            if offset:
                glyph = struct.unpack_from(">H", data, offsets_at + 2 * number + offset + 2 * (code - start))[
                    0
                ]
                if not glyph:
                    continue
            if (glyph + delta) & 0xFFFF:
                found.add(code)
    return found


def _groups(data: bytes, at: int) -> set[int]:
    found: set[int] = set()
    for group in range(struct.unpack_from(">I", data, at + 12)[0]):
        start, end, glyph = struct.unpack_from(">III", data, at + 16 + 12 * group)
        if start <= end <= sys.maxunicode:
            found.update(range(start if glyph else start + 1, end + 1))
    return found
