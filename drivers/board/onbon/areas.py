"""Dynamic areas of Onbon cards: pictures in the card's memory that cost no flash; values to bytes, no I/O.

Source: as `codec`; the order of fields of the sixth generation and the bitmaps of both from captured frames.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from PIL import Image, ImageChops

from drivers.api import Colours
from drivers.board.onbon.codec import GROUP_AREAS, UPDATE_AREA, Family, Request

AREA_MAX_BYTES = 300 * 1024
"""Bitmaps of one area, all pages together."""
LIT = 128
"""A channel from this value up is lit on boards without shades."""
_AREA_TYPE = 0x10
_OPAQUE = 101
_BX6_PAGE_BYTES = 26
_UNIT_PX = {Family.BX5E: 8, Family.BX6E: 32}
_THRESHOLD = [255 if value >= LIT else 0 for value in range(256)]


class RunMode(IntEnum):
    """What becomes of an area that nobody refreshes."""

    LOOP = 0
    BLANK_WHEN_STALE = 2
    LAST_PAGE_WHEN_STALE = 3


class Display(IntEnum):
    """How a page comes in; only those we use."""

    STATIC = 1
    QUICK = 2
    CONTINUOUS_LEFT = 4


@dataclass(frozen=True, slots=True)
class Spot:
    """Where an area lies, in pixels of the whole screen."""

    x_px: int
    y_px: int
    width_px: int
    height_px: int

    def overlaps(self, other: Spot) -> bool:
        return (
            self.x_px < other.x_px + other.width_px
            and other.x_px < self.x_px + self.width_px
            and self.y_px < other.y_px + other.height_px
            and other.y_px < self.y_px + self.height_px
        )


@dataclass(frozen=True, slots=True)
class AreaPage:
    """One picture of an area, as large as the area.

    Attributes:
        bitmap: from `encode_bitmap`.
        display: how it comes in.
        clear: how it goes; 1 as the vendor's SDK sends for the sixth generation, 0 for the fifth.
        speed: step of the card's speed, 1 is fastest; only for what moves.
        stay_10ms: how long it stays, in units of 10 ms.
        repeat: how often it is played in a row.
        valid_px: how much of its width counts when it moves.
    """

    bitmap: bytes
    display: Display = Display.STATIC
    clear: int = 1
    speed: int = 1
    stay_10ms: int = 300
    repeat: int = 1
    valid_px: int = 0


@dataclass(frozen=True, slots=True)
class Area:
    """A dynamic area with all its pages.

    Attributes:
        number: from 0.
        spot: must not overlap that of another area.
        pages: at least one.
        run_mode: see `RunMode`.
        timeout_s: 1 to 65535, for run modes 2 and 3.
        immediate: 0 together with the programs in flash, 1 instead of them, 2 after the last of them.
    """

    number: int
    spot: Spot
    pages: tuple[AreaPage, ...]
    run_mode: RunMode = RunMode.LOOP
    timeout_s: int = 0
    immediate: int = 1

    @property
    def size_bytes(self) -> int:
        return sum(len(page.bitmap) for page in self.pages)


def update_area(family: Family, area: Area) -> Request:
    """Give an area new contents.

    Raises:
        ValueError: no page, or more bytes than an area may have.
    """
    if not area.pages or area.size_bytes > AREA_MAX_BYTES:
        raise ValueError(f"area of {len(area.pages)} pages and {area.size_bytes} bytes")
    spot = area.spot
    place = struct.pack("<HHHH", spot.x_px, spot.y_px, spot.width_px, spot.height_px)
    relate_all, relate_count, reserved = 1, 0, 0
    head = struct.pack(
        "<BBHBHBIB",
        area.number, area.run_mode, area.timeout_s, relate_all, relate_count, area.immediate, reserved,
        _AREA_TYPE,
    )  # fmt: skip
    count = struct.pack("<H", len(area.pages))
    if family is Family.BX5E:
        no_frame = b"\0"
        block = head + place + no_frame + count + b"".join(_bx5_page(page, spot) for page in area.pages)
        return Request(GROUP_AREAS, UPDATE_AREA, struct.pack("<I", len(block)) + block)
    frame_flag, background, area_equal, sound = 0, 0, 0, 0
    block = head + place + struct.pack("<BBBBB5x", frame_flag, background, _OPAQUE, area_equal, sound) + count
    offset = 0
    for page in area.pages:
        block += struct.pack("<I", _BX6_PAGE_BYTES) + _page(page, spot) + bytes(9)
        block += struct.pack("<II", offset, len(page.bitmap))
        offset += len(page.bitmap)
    area_count = struct.pack("<H", 1)
    data = area_count + struct.pack("<I", len(block)) + block + b"".join(page.bitmap for page in area.pages)
    return Request(GROUP_AREAS, UPDATE_AREA, data)


def _page(page: AreaPage, spot: Spot) -> bytes:
    style = 0
    valid_px = page.valid_px or spot.width_px
    return struct.pack(
        "<BBBBHBH", style, page.display, page.clear, page.speed, page.stay_10ms, page.repeat, valid_px
    )


def _bx5_page(page: AreaPage, spot: Spot) -> bytes:
    block = _page(page, spot) + bytes(4) + page.bitmap
    return struct.pack("<I", len(block)) + block


def reduce(image: Image.Image, colours: Colours) -> Image.Image:
    """Whole colours for boards without shades: blue, which they lack, counts as amber if it is alone.

    Returns:
        RGB; on a board of one colour what is lit is white.
    """
    if colours is Colours.FULL:
        return image
    red, green, blue = (channel.point(_THRESHOLD) for channel in image.split())
    if colours is Colours.MONO:
        lit = ImageChops.lighter(ImageChops.lighter(red, green), blue)
        return Image.merge("RGB", (lit, lit, lit))
    alone = ImageChops.subtract(ImageChops.subtract(blue, red), green)
    return Image.merge(
        "RGB", (ImageChops.lighter(red, alone), ImageChops.lighter(green, alone), Image.new("L", image.size))
    )


def bitmap_bytes(family: Family, colours: Colours, x_px: int, width_px: int, height_px: int) -> int:
    """Size of an encoded bitmap whose area begins at column `x_px` of the screen."""
    if family is Family.BX6Q:
        return width_px * height_px * 3
    unit = _UNIT_PX[family]
    units = -(-(x_px + width_px) // unit) - x_px // unit
    return units * unit // 8 * height_px * (2 if colours is Colours.DUAL else 1)


def encode_bitmap(family: Family, colours: Colours, image: Image.Image, x_px: int = 0) -> bytes:
    """Pack an RGB picture as the card wants it.

    BX-5E: 8 pixels a byte, leftmost in the highest bit, dark is 1, bytes begin at columns of the whole screen
    that are multiples of 8; two colours alternate byte by byte, red first. BX-6E: little-endian words of 32
    pixels, leftmost in bit 31, dark is 1, at multiples of 32; the red plane, then the green one. BX-6Q: three
    bytes R, G, B a pixel.

    Args:
        family: of the card.
        colours: of the board; a 6Q has all of them.
        image: RGB, as large as the area.
        x_px: column of the screen where the area begins.
    """
    if family is Family.BX6Q:
        return image.tobytes()
    red, green, _ = reduce(image, colours).split()
    planes = [_pack(red, x_px, _UNIT_PX[family])]
    if colours is Colours.DUAL:
        planes.append(_pack(green, x_px, _UNIT_PX[family]))
    if family is Family.BX6E:
        return b"".join(_swap_words(plane) for plane in planes)
    if len(planes) == 1:
        return planes[0]
    both = bytearray(2 * len(planes[0]))
    both[0::2], both[1::2] = planes
    return bytes(both)


def _pack(channel: Image.Image, x_px: int, unit_px: int) -> bytes:
    """Bits of one colour, 1 for dark, padded to whole units of the screen."""
    before = x_px % unit_px
    width = -(-(before + channel.width) // unit_px) * unit_px
    padded = Image.new("L", (width, channel.height))
    padded.paste(channel, (before, 0))
    return padded.convert("1", dither=Image.Dither.NONE).tobytes("raw", "1;I")


def _swap_words(data: bytes) -> bytes:
    swapped = bytearray(len(data))
    for place in range(4):
        swapped[place::4] = data[3 - place :: 4]
    return bytes(swapped)
