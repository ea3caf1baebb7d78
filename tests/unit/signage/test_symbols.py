"""Symbols of boards: every emergency has one, and it can be told from the others at 24 pixels."""

from __future__ import annotations

import itertools

import pytest
from PIL import Image, ImageChops

from agent.signage.symbols import NAMES, draw_symbol
from agent.wire.orders import EmergencyEvent


def lit(image: Image.Image) -> int:
    return sum(value > 127 for value in image.tobytes())


def test_every_kind_of_emergency_has_a_symbol() -> None:
    assert {str(event) for event in EmergencyEvent} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size_px", [1, 8, 24, 33, 96, 480])
def test_a_symbol_fills_its_square_and_never_touches_its_neighbours(name: str, size_px: int) -> None:
    mask = draw_symbol(name, size_px)
    assert (mask.mode, mask.size) == ("L", (size_px, size_px))
    if size_px >= 24:
        box = mask.getbbox()
        assert box is not None
        assert max(box[2] - box[0], box[3] - box[1]) >= 0.8 * size_px
        assert 0.15 < lit(mask) / size_px**2 < 0.85


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_cut_off_at_the_edge(name: str) -> None:
    mask = draw_symbol(name, 200)
    inside = mask.copy()
    inside.paste(0, (1, 1, 199, 199))
    assert lit(inside) == 0


@pytest.mark.parametrize("name", NAMES)
def test_without_shades_every_pixel_is_lit_or_dark(name: str) -> None:
    assert set(draw_symbol(name, 24, sharp=True).tobytes()) == {0, 255}


def test_two_symbols_are_told_apart_at_twenty_four_pixels_in_one_colour() -> None:
    for first, second in itertools.combinations(NAMES, 2):
        difference = ImageChops.difference(
            draw_symbol(first, 24, sharp=True), draw_symbol(second, 24, sharp=True)
        )
        assert lit(difference) > 60, f"{first} looks like {second}"


def test_an_unknown_symbol_is_refused() -> None:
    with pytest.raises(KeyError):
        draw_symbol("unknown", 24)
