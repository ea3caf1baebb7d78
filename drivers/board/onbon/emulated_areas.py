"""How the emulated card reads dynamic areas and what they look like at a moment; see `emulator`."""

from __future__ import annotations

import struct
from itertools import pairwise

from drivers.board.onbon.emulator import AMBER, GREEN, RED, STEP_S, DeclinedError, DynamicArea, Page

_SCREEN_PARAMETER = 18
_DYNAMIC = 0x10
_LEFT = (0x03, 0x04)
_STATIC = (0x01, 0x02)
_BLACK = b"\0\0\0"
_LAST_PAGE_MODES = (1, 3)


class _Bytes:
    """Reads fields one after the other; too few bytes are declined."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, form: str) -> tuple[int, ...]:
        size = struct.calcsize("<" + form)
        if self.at + size > len(self.data):
            raise DeclinedError(_SCREEN_PARAMETER, f"area ends after {len(self.data)} bytes")
        values: tuple[int, ...] = struct.unpack_from("<" + form, self.data, self.at)
        self.at += size
        return values

    def one(self, form: str) -> int:
        return self.take(form)[0]

    def bytes(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise DeclinedError(_SCREEN_PARAMETER, f"{count} bytes wanted at {self.at} of {len(self.data)}")
        self.at += count
        return self.data[self.at - count : self.at]


def parse_areas(family: str, data: bytes, now_s: float) -> list[DynamicArea]:
    """Read the body of an update; raises DeclinedError."""
    source = _Bytes(data)
    if family == "5e":
        length = source.one("I")
        if length != len(data) - source.at:
            raise DeclinedError(_SCREEN_PARAMETER, f"area of {length} bytes in {len(data)}")
        areas = [_fifth(source, now_s)]
    else:
        count = source.one("H")
        areas = []
        for _ in range(count):
            length = source.one("I")
            begin = source.at
            area, places = _sixth(source, now_s)
            if source.at - begin != length:
                raise DeclinedError(
                    _SCREEN_PARAMETER, f"parameters of {length}, not {source.at - begin} bytes"
                )
            bitmaps = source.bytes(sum(size for _, size in places))
            if places[0][0] != 0 or any(
                before[0] + before[1] != after[0] for before, after in pairwise(places)
            ):
                raise DeclinedError(_SCREEN_PARAMETER, f"pages at {places}")
            for page, (offset, size) in zip(area.pages, places, strict=True):
                page.bitmap = bitmaps[offset : offset + size]
            areas.append(area)
    if source.at != len(data):
        raise DeclinedError(_SCREEN_PARAMETER, f"{len(data) - source.at} bytes too many")
    return areas


def _common(source: _Bytes, now_s: float) -> DynamicArea:
    number, run_mode, timeout_s, _all = source.take("BBHB")
    for _ in range(source.one("H")):
        source.take("H")
    immediate = source.one("B")
    source.bytes(4)
    kind, x, y, width, height = source.take("BHHHH")
    if kind != _DYNAMIC or run_mode > 4 or immediate > 2 or source.one("B"):  # noqa: PLR2004  the manual's ranges
        raise DeclinedError(_SCREEN_PARAMETER, f"type {kind:02x}, run mode {run_mode}, immediate {immediate}")
    return DynamicArea(number, run_mode, timeout_s, immediate, x, y, width, height, [], now_s)


def _fifth(source: _Bytes, now_s: float) -> DynamicArea:
    area = _common(source, now_s)
    for _ in range(_pages(source)):
        length = source.one("I")
        begin = source.at
        page = _page(source)
        source.bytes(4)
        page.bitmap = source.bytes(length - (source.at - begin))
        area.pages.append(page)
    return area


def _sixth(source: _Bytes, now_s: float) -> tuple[DynamicArea, list[tuple[int, int]]]:
    area = _common(source, now_s)
    _background, _transparency, _equal, sound = source.take("BBBB")
    if sound:
        raise DeclinedError(_SCREEN_PARAMETER, "sound")
    source.bytes(5)
    places = []
    for _ in range(_pages(source)):
        if source.one("I") != 26:  # noqa: PLR2004  the manual's number
            raise DeclinedError(_SCREEN_PARAMETER, "length of a page")
        area.pages.append(_page(source))
        source.bytes(9)
        offset, size = source.take("II")
        places.append((offset, size))
    return area, places


def _pages(source: _Bytes) -> int:
    count = source.one("H")
    if not count:
        raise DeclinedError(_SCREEN_PARAMETER, "no page")
    return count


def _page(source: _Bytes) -> Page:
    _style, mode, _clear, speed, stay, _repeat, valid = source.take("BBBBHBH")
    return Page(mode, speed, stay / 100, valid, b"")


def rows_of(family: str, colours: str, area: DynamicArea, bitmap: bytes) -> list[bytes]:
    """RGB of each row of a page, decoded bit by bit."""
    return [
        b"".join(_pixel(family, colours, area, bitmap, (column, row)) for column in range(area.width))
        for row in range(area.height)
    ]


def _pixel(family: str, colours: str, area: DynamicArea, bitmap: bytes, at_px: tuple[int, int]) -> bytes:
    column, row = at_px
    if family == "6q":
        at = (row * area.width + column) * 3
        return bitmap[at : at + 3]
    dual = colours == "dual"
    grid = 8 if family == "5e" else 32
    from_edge = area.x % grid + column
    cells = -(-(area.x % grid + area.width) // grid)
    cell, bit = divmod(from_edge, grid)
    if family == "5e":
        red_at = (row * cells + cell) * (2 if dual else 1)
        green_at = red_at + 1
    else:  # the leftmost eight pixels are in the word's fourth byte
        byte_in_word = 3 - bit // 8
        red_at = (row * cells + cell) * 4 + byte_in_word
        green_at = red_at + cells * 4 * area.height
    mask = 0x80 >> bit % 8
    red = not bitmap[red_at] & mask
    green = dual and not bitmap[green_at] & mask
    return AMBER if red and green else RED if red else GREEN if green else _BLACK


def look_of(family: str, colours: str, area: DynamicArea, now_s: float) -> list[bytes]:
    """RGB of each row of an area at a moment."""
    age_s = now_s - area.since_s
    pages = area.pages
    if area.run_mode == 3 and len(pages) > 1:  # noqa: PLR2004  the manual's number
        pages = pages[-1:] if age_s > area.timeout_s else pages[:-1]
    if pages[0].mode in _LEFT:
        return _moving(family, colours, area, pages, age_s)
    page = _page_at(pages, age_s, ends=area.run_mode in _LAST_PAGE_MODES[:1])
    return rows_of(family, colours, area, page.bitmap)


def _page_at(pages: list[Page], age_s: float, *, ends: bool) -> Page:
    whole_s = sum(max(page.stay_s, 0.01) for page in pages)
    if ends and age_s >= whole_s:
        return pages[-1]
    left_s = age_s % whole_s
    for page in pages:
        left_s -= max(page.stay_s, 0.01)
        if left_s < 0:
            return page
    return pages[-1]


def strip_of(family: str, colours: str, area: DynamicArea) -> tuple[int, list[bytes]]:
    """The long picture that an area moves: its width, and RGB of each row."""
    pages = [page for page in area.pages if page.mode in _LEFT]
    parts = [
        (min(page.valid or area.width, area.width), rows_of(family, colours, area, page.bitmap))
        for page in pages
    ]
    width = sum(valid for valid, _ in parts)
    return width, [b"".join(rows[row][: valid * 3] for valid, rows in parts) for row in range(area.height)]


def _moving(family: str, colours: str, area: DynamicArea, pages: list[Page], age_s: float) -> list[bytes]:
    """The strip comes in from the right and runs in a ring."""
    width, rows = strip_of(family, colours, area)
    moved = int(age_s / (max(pages[0].speed, 1) * STEP_S))
    out = []
    for row in rows:
        pixels = bytearray()
        for column in range(area.width):
            at = column - area.width + moved
            pixels += _BLACK if at < 0 else row[at % width * 3 : at % width * 3 + 3]
        out.append(bytes(pixels))
    return out
