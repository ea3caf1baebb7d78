"""Bytes, gamma, colour order and the few colours of simple boards."""

from __future__ import annotations

import time

import pytest
from PIL import Image

from agent.signage.pixels import Correction, pack, reduce
from drivers.api import Colours, PixelFormat

SAMPLES = [
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (255, 255, 255),
    (0, 0, 0),
    (18, 52, 86),
    (7, 3, 4),
    (250, 253, 251),
]


def row(*pixels: tuple[int, int, int]) -> Image.Image:
    image = Image.new("RGB", (len(pixels), 1))
    image.putdata(pixels)
    return image


def test_rgb_is_three_bytes_in_order() -> None:
    assert pack(row((1, 2, 3), (4, 5, 6)), PixelFormat.RGB) == bytes([1, 2, 3, 4, 5, 6])


def test_bgrx_is_blue_first_and_a_byte_nobody_reads() -> None:
    packed = pack(row((1, 2, 3), (4, 5, 6)), PixelFormat.BGRX)
    assert (packed[0:3], packed[4:7], len(packed)) == (bytes([3, 2, 1]), bytes([6, 5, 4]), 8)


def test_rgb565_is_the_nearest_level_little_endian() -> None:
    packed = pack(row(*SAMPLES), PixelFormat.RGB565)
    for number, (red, green, blue) in enumerate(SAMPLES):
        wanted = round(red * 31 / 255) << 11 | round(green * 63 / 255) << 5 | round(blue * 31 / 255)
        assert int.from_bytes(packed[2 * number : 2 * number + 2], "little") == wanted


@pytest.mark.parametrize("pixel_format", list(PixelFormat))
def test_a_whole_screen_packs_to_its_exact_size_in_rows_from_the_top(pixel_format: PixelFormat) -> None:
    image = Image.new("RGB", (5, 3))
    image.paste((255, 255, 255), (0, 2, 5, 3))
    packed = pack(image, pixel_format)
    stride = 5 * pixel_format.size_bytes
    assert len(packed) == 3 * stride
    assert packed[2 * stride :] != bytes(stride)
    assert packed[: 2 * stride] == bytes(2 * stride)
    assert pack(image.crop((0, 0, 5, 1)), pixel_format) == packed[:stride]


@pytest.mark.parametrize("pixel_format", list(PixelFormat))
def test_a_full_hd_screen_packs_in_a_blink(pixel_format: PixelFormat) -> None:
    image = Image.effect_noise((1920, 1080), 90).convert("RGB")
    best = 9.0
    for _ in range(3):
        before = time.process_time()
        pack(image, pixel_format)
        best = min(best, time.process_time() - before)
    assert best < 0.1  # about 0.01 to 0.02 s on the machine this was written on


def test_no_correction_costs_nothing() -> None:
    image = row(*SAMPLES)
    assert Correction().apply(image) is image


def test_gamma_keeps_black_and_white_and_darkens_the_middle() -> None:
    corrected = Correction(gamma=2.2).apply(row((0, 128, 255)))
    assert corrected.getpixel((0, 0)) == (0, 56, 255)


@pytest.mark.parametrize(
    ("order", "first"), [("RGB", (1, 2, 3)), ("GRB", (2, 1, 3)), ("BGR", (3, 2, 1)), ("BRG", (3, 1, 2))]
)
def test_colour_order_names_what_each_input_of_the_board_lights_up(
    order: str, first: tuple[int, int, int]
) -> None:
    assert Correction(order=order).apply(row((1, 2, 3))).getpixel((0, 0)) == first


@pytest.mark.parametrize(
    "wrong", [{"gamma": 0.5}, {"gamma": float("nan")}, {"order": "RRB"}, {"order": "rgb"}]
)
def test_an_impossible_correction_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Correction(**wrong)  # type: ignore[arg-type]  # on purpose


def test_one_colour_is_lit_or_not() -> None:
    reduced = reduce(row((255, 0, 0), (127, 127, 127), (0, 200, 0), (0, 0, 255), (0, 0, 0)), Colours.MONO)
    lit, dark = (255, 255, 255), (0, 0, 0)
    assert [reduced.getpixel((x, 0)) for x in range(5)] == [lit, dark, lit, lit, dark]


def test_two_colours_make_amber_and_blue_is_never_lost() -> None:
    reduced = reduce(
        row((255, 0, 0), (0, 255, 0), (255, 200, 0), (255, 255, 255), (0, 0, 255), (0, 200, 200), (90, 0, 0)),
        Colours.DUAL,
    )
    red, green, amber, black = (255, 0, 0), (0, 255, 0), (255, 255, 0), (0, 0, 0)
    assert [reduced.getpixel((x, 0)) for x in range(7)] == [red, green, amber, amber, amber, green, black]


@pytest.mark.parametrize("colours", list(Colours))
def test_reducing_twice_changes_nothing(colours: Colours) -> None:
    once = reduce(Image.effect_noise((64, 64), 120).convert("RGB"), colours)
    assert reduce(once, colours).tobytes() == once.tobytes()
