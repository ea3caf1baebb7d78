"""Dynamic areas of Onbon cards: golden frames, and bitmaps as the emulated card decodes them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drivers.api import BoardGeometry, CardTicker, Colours, DeviceRefusedError, Frame
from drivers.board.onbon.areas import (
    AREA_MAX_BYTES,
    Area,
    AreaPage,
    Display,
    RunMode,
    Spot,
    bitmap_bytes,
    encode_bitmap,
    update_area,
)
from drivers.board.onbon.codec import Family
from drivers.board.onbon.emulated_areas import parse_areas, rows_of
from drivers.board.onbon.scene import Place, scene
from tests.support.boards import corners
from tests.support.onbon_golden import GOLDEN

RED, GREEN, YELLOW = (255, 0, 0), (0, 255, 0), (255, 255, 0)
KINDS = [
    (Family.BX5E, Colours.MONO),
    (Family.BX5E, Colours.DUAL),
    (Family.BX6E, Colours.MONO),
    (Family.BX6E, Colours.DUAL),
    (Family.BX6Q, Colours.FULL),
]


def scene_a() -> tuple[Spot, Image.Image]:
    picture = Image.new("RGB", (64, 4))
    for at, colour in (((0, 0), RED), ((1, 1), GREEN), ((31, 2), YELLOW), ((32, 3), RED)):
        picture.putpixel(at, colour)
    return Spot(0, 0, 64, 4), picture


def scene_b() -> tuple[Spot, Image.Image]:
    picture = Image.new("RGB", (40, 2))
    picture.putpixel((0, 0), RED)
    picture.putpixel((39, 1), GREEN)
    return Spot(35, 2, 40, 2), picture


def captured(family: Family, colours: Colours, number: int, spot: Spot, picture: Image.Image) -> bytes:
    """The frame with the settings of the capture."""
    bitmap = encode_bitmap(family, colours, picture, spot.x_px)
    page = AreaPage(bitmap, Display.QUICK, clear=0 if family is Family.BX5E else 1, speed=1, stay_10ms=300)
    return update_area(family, Area(number, spot, (page,), timeout_s=30)).encode()


@pytest.mark.parametrize(("family", "colours"), KINDS[1:4], ids=str)
@pytest.mark.parametrize("letter", ["A", "B"])
def test_areas_are_byte_for_byte_those_of_the_vendor(family: Family, colours: Colours, letter: str) -> None:
    spot, picture = scene_a() if letter == "A" else scene_b()
    frame = captured(family, colours, 0 if letter == "A" else 1, spot, picture)
    name = f"BX-{family.value.upper()} {colours.value}, scene {letter}"
    assert frame.hex(" ") == "a5 " * 8 + GOLDEN[name]


def test_a_full_colour_area_is_byte_for_byte_that_of_the_vendor() -> None:
    spot, picture = scene_b()
    frame = captured(Family.BX6Q, Colours.FULL, 1, spot, picture)
    like = bytes.fromhex("a5" * 8 + GOLDEN["BX-6E dual, scene B"])
    wanted = bytearray(like[: like.index(bytes.fromhex("20000000"))])
    at = wanted.index(bytes.fromhex("6a000000"))
    wanted[at : at + 4] = bytes.fromhex("3a010000")
    at = wanted.index(bytes.fromhex("a7006500")) + 2
    wanted[at : at + 2] = bytes.fromhex("3501")
    bitmap = bytes.fromhex("ff0000") + bytes(234) + bytes.fromhex("00ff00")
    assert frame == bytes(wanted) + bytes.fromhex("f0000000") + bitmap + bytes.fromhex("8e465a")


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.integers(1, 70),
    st.integers(1, 9),
    st.integers(0, 100),
    st.integers(0, 2**32),
)
def test_what_is_encoded_is_what_the_card_decodes_at_any_size_and_place(
    kind: tuple[Family, Colours], width: int, height: int, x: int, seed: int
) -> None:
    family, colours = kind
    rgb = random.Random(seed).randbytes(width * height * 3)
    bitmap = encode_bitmap(family, colours, Image.frombytes("RGB", (width, height), rgb), x)
    assert len(bitmap) == bitmap_bytes(family, colours, x, width, height)
    request = update_area(family, Area(2, Spot(x, 5, width, height), (AreaPage(bitmap),)))
    area = parse_areas(family.value, request.data, 0.0)[0]
    assert (area.x, area.y, area.width, area.height, area.number) == (x, 5, width, height, 2)
    decoded = b"".join(rows_of(family.value, colours.value, area, area.pages[0].bitmap))
    assert decoded == quantised(rgb, colours)


def quantised(rgb: bytes, colours: Colours) -> bytes:
    if colours is Colours.FULL:
        return rgb
    out = bytearray()
    for at in range(0, len(rgb), 3):
        red, green, blue = (value >= 128 for value in rgb[at : at + 3])
        if colours is Colours.MONO:
            out += bytes((255 * (red or green or blue), 0, 0))
        else:
            alone = blue and not red and not green
            out += bytes((255 * (red or alone), 255 * (green or alone), 0))
    return bytes(out)


def test_padding_is_dark_on_both_sides() -> None:
    white = Image.new("RGB", (2, 1), (255, 255, 255))
    assert encode_bitmap(Family.BX5E, Colours.MONO, white, 35).hex() == "e7"
    assert encode_bitmap(Family.BX6E, Colours.MONO, white, 31).hex(" ") == "fe ff ff ff ff ff ff 7f"


def test_an_area_without_a_page_or_with_too_many_bytes_is_the_callers_mistake() -> None:
    spot = Spot(0, 0, 64, 64)
    with pytest.raises(ValueError, match="0 pages"):
        update_area(Family.BX6E, Area(0, spot, ()))
    with pytest.raises(ValueError, match="bytes"):
        update_area(Family.BX6E, Area(0, spot, (AreaPage(bytes(AREA_MAX_BYTES + 1)),)))


def place(family: Family = Family.BX6E, width: int = 64, height: int = 32, blank_after_s: int = 120) -> Place:
    colours = Colours.FULL if family is Family.BX6Q else Colours.DUAL
    return Place(family, colours, 0, 0, width, height, blank_after_s)


def strip(width: int, height: int) -> Frame:
    return corners(BoardGeometry(width, height))


def black(width: int, height: int) -> Frame:
    return Frame(width, height, bytes(3 * width * height))


@pytest.mark.parametrize(("y", "high"), [(0, 8), (12, 8), (24, 8), (0, 32)])
def test_areas_of_a_ticker_cover_the_board_and_never_overlap(y: int, high: int) -> None:
    areas = scene(place(), black(64, 32), CardTicker(strip(150, high), y), black(64, 32))
    spots = [area.spot for area in areas]
    assert sum(spot.width_px * spot.height_px for spot in spots) == 64 * 32
    assert not any(one.overlaps(other) for one in spots for other in spots if one is not other)
    assert [area.number for area in areas] == list(range(len(areas)))
    moving = [area for area in areas if area.pages[0].display is Display.CONTINUOUS_LEFT]
    assert [(area.spot.y_px, area.spot.height_px) for area in moving] == [(y, high)]
    assert [page.valid_px for page in moving[0].pages[:-1]] == [64, 64, 22]


def test_a_big_full_colour_board_is_cut_into_areas_of_at_most_300_kb() -> None:
    big = place(Family.BX6Q, 640, 320)
    areas = scene(big, black(640, 320), None, black(640, 320))
    assert len(areas) > 1
    assert max(area.size_bytes for area in areas) <= AREA_MAX_BYTES
    assert sum(area.spot.height_px for area in areas) == 320
    assert all(area.run_mode is RunMode.LAST_PAGE_WHEN_STALE and len(area.pages) == 2 for area in areas)


def test_the_safe_page_is_given_up_before_a_picture_is() -> None:
    """Four areas hold the picture, but not together with a second one."""
    wide = place(Family.BX6E, 2048, 1024)
    areas = scene(wide, black(2048, 1024), CardTicker(strip(2048, 32), 992), black(2048, 1024))
    assert len(areas) <= 4
    assert {area.run_mode for area in areas} == {RunMode.BLANK_WHEN_STALE}


def test_a_picture_that_needs_too_many_areas_is_refused() -> None:
    with pytest.raises(DeviceRefusedError, match="areas"):
        scene(place(Family.BX6E, 2048, 2048 * 3), black(2048, 2048 * 3), None, None)


def test_a_ticker_larger_than_an_area_is_refused() -> None:
    small = place(Family.BX6Q, 192, 32)
    with pytest.raises(DeviceRefusedError, match="ticker"):
        scene(small, black(192, 32), CardTicker(strip(10_000, 32), 0), None)


@pytest.mark.parametrize("family", list(Family), ids=str)
@pytest.mark.parametrize(("width", "height", "band"), [(96, 16, 16), (192, 64, 32), (320, 256, 64)])
def test_the_longest_ticker_fits_its_band(family: Family, width: int, height: int, band: int) -> None:
    board = place(family, width, height)
    longest = board.ticker_max_px
    assert longest >= width
    areas = scene(board, black(width, height), CardTicker(black(longest, band), 0), black(width, height))
    assert max(area.size_bytes for area in areas) <= AREA_MAX_BYTES


@pytest.mark.parametrize(
    ("wish", "speed"), [(100.0, 1), (60.0, 2), (33.0, 3), (1e9, 1), (0.0, 63), (-5.0, 63), (1.0, 63)]
)
def test_the_nearest_speed_of_the_card_is_taken(wish: float, speed: int) -> None:
    assert place().speed_of(wish) == speed


def test_a_lasting_picture_has_no_time_limit() -> None:
    areas = scene(place(), black(64, 32), None, black(64, 32), lasting=True)
    assert [(area.run_mode, area.timeout_s, len(area.pages)) for area in areas] == [(RunMode.LOOP, 0, 1)]
    unlimited = scene(replace(place(), blank_after_s=0), black(64, 32), None, black(64, 32))
    assert [(area.run_mode, area.timeout_s) for area in unlimited] == [(RunMode.LOOP, 0)]
