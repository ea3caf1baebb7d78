"""Pictures of a simulated board: what its lamps show of a frame, written as a PNG file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from drivers.api import BoardGeometry, CardTicker, Colours, Frame

CHANNELS = 3
"""Bytes of a pixel: red, green, blue."""

_HALF = 128


def encode_png(frame: Frame) -> bytes:
    """PNG file of a frame: 8 bit RGB, no filter."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    row = frame.width_px * CHANNELS
    lines = b"".join(b"\0" + frame.rgb[start : start + row] for start in range(0, len(frame.rgb), row))
    shape = struct.pack(">IIBBBBB", frame.width_px, frame.height_px, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", shape)
        + chunk(b"IDAT", zlib.compress(lines, 1))
        + chunk(b"IEND", b"")
    )


def reduced(rgb: bytes, colours: Colours) -> bytes:
    """What the lamps show of a picture: lit from 128; one colour is written as white, blue alone as amber."""
    if colours is Colours.FULL:
        return rgb
    step = bytes(_HALF) + b"\xff" * _HALF
    size = len(rgb) // CHANNELS
    red, green, blue = (
        int.from_bytes(rgb[channel::CHANNELS].translate(step), "big") for channel in range(CHANNELS)
    )
    if colours is Colours.MONO:
        red = green = blue = red | green | blue
    else:
        alone = blue & ~(red | green)
        red, green, blue = red | alone, green | alone, 0
    lit = bytearray(len(rgb))
    for channel, lamps in enumerate((red, green, blue)):
        lit[channel::CHANNELS] = lamps.to_bytes(size, "big")
    return bytes(lit)


def replace_picture(path: Path, content: bytes) -> None:
    """Put a PNG in place at once, so that nobody ever reads half of it."""
    temporary = path.with_suffix(".png.new")
    temporary.write_bytes(content)
    temporary.replace(path)


def stripes(geometry: BoardGeometry) -> bytes:
    """What somebody else might show: magenta and white rows."""
    rows = (bytes((255, 0, 255)), bytes((255, 255, 255)))
    return b"".join(rows[y // 4 % 2] * geometry.width_px for y in range(geometry.height_px))


def with_ticker(frame: Frame, ticker: CardTicker) -> bytes:
    """The frame with the beginning of the strip in its band."""
    row, long = frame.width_px * CHANNELS, ticker.strip.width_px * CHANNELS
    picture = bytearray(frame.rgb)
    for y in range(ticker.strip.height_px):
        at = (ticker.y_px + y) * row
        piece = ticker.strip.rgb[y * long : y * long + min(row, long)]
        picture[at : at + len(piece)] = piece
    return bytes(picture)
