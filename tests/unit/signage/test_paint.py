"""Painting: what is where on a screen, in colours the board has, and problems that are told."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from agent.signage.paint import paint, paint_screen, paint_strip
from agent.signage.screen import (
    Colour,
    Element,
    Fill,
    Picture,
    Qr,
    Rect,
    Screen,
    Symbol,
    TextLine,
    TickerBand,
)
from agent.signage.typeset import Typesetter
from drivers.api import Colours

BLACK, WHITE, RED, BLUE = (0, 0, 0), (255, 255, 255), (220, 0, 0), (0, 0, 90)
AMBER = (255, 255, 0)


@pytest.fixture(scope="module")
def type_() -> Typesetter:
    return Typesetter()


def screen(
    *elements: Element,
    background: Colour = BLACK,
    size: tuple[int, int] = (96, 48),
    ticker: TickerBand | None = None,
) -> Screen:
    return Screen("a", 1, 1, *size, background, elements, 5.0, ticker)


def colours_of(image: Image.Image) -> set[tuple[int, int, int]]:
    found = image.getcolors(1_000_000)
    assert found is not None
    return {(pixel[0], pixel[1], pixel[2]) for _, pixel in found if isinstance(pixel, tuple)}


def test_an_empty_screen_is_its_background_in_its_size(type_: Typesetter) -> None:
    image = paint(screen(background=BLUE), type_, {}, Colours.FULL)
    assert (image.mode, image.size, colours_of(image)) == ("RGB", (96, 48), {BLUE})


def test_a_filled_rectangle_covers_just_its_pixels(type_: Typesetter) -> None:
    image = paint(screen(Fill(Rect(10, 5, 20, 8), RED)), type_, {}, Colours.FULL)
    assert image.getchannel("R").getbbox() == (10, 5, 30, 13)


def test_a_border_lies_inside_and_leaves_the_middle(type_: Typesetter) -> None:
    image = paint(screen(Fill(Rect(0, 0, 96, 48), RED, line_px=3)), type_, {}, Colours.FULL)
    red = image.getchannel("R")
    assert [red.getpixel((48, y)) for y in (0, 2, 3, 44, 45, 47)] == [220, 220, 0, 0, 220, 220]


@pytest.mark.parametrize("line_px", [0, 1, 50, 9_000])
@pytest.mark.parametrize(
    "rect", [Rect(0, 0, 0, 0), Rect(-50, -50, 20, 20), Rect(90, 40, 500, 500), Rect(5, 5, -3, 4)]
)
def test_a_rectangle_outside_or_without_area_does_no_harm(
    type_: Typesetter, rect: Rect, line_px: int
) -> None:
    elements = (Fill(rect, RED, line_px), Picture(rect, "k"), Qr(rect, "a"), Symbol(rect, "fire", RED))
    assert paint(screen(*elements), type_, {}, Colours.FULL).size == (96, 48)


def test_text_stands_in_its_line_box(type_: Typesetter) -> None:
    line = TextLine(4, 10, "Ẫy", 20, WHITE)
    image = paint(screen(line), type_, {}, Colours.FULL)
    box = image.getchannel("R").getbbox()
    assert box is not None
    assert box[1] >= 10
    assert box[3] <= 10 + type_.line_height(20)
    assert box[0] >= 4


def test_a_picture_stands_in_the_middle_of_its_place(type_: Typesetter, tmp_path: Path) -> None:
    path = tmp_path / "p"
    Image.new("RGB", (10, 10), WHITE).save(path, "PNG")
    image = paint(screen(Picture(Rect(0, 0, 96, 48), "k")), type_, {"k": path}, Colours.FULL)
    assert image.getchannel("R").getbbox() == (24, 0, 72, 48)


@pytest.mark.parametrize("colours", list(Colours))
def test_a_broken_picture_is_a_neutral_box_and_a_problem(
    type_: Typesetter, tmp_path: Path, colours: Colours
) -> None:
    path = tmp_path / "p"
    path.write_bytes(b"no picture")
    picture = Picture(Rect(8, 4, 40, 30), "abc")
    broken = paint_screen(screen(picture), type_, {"abc": path}, colours)
    missing = paint_screen(screen(picture), type_, {}, colours)
    assert broken.problems == ("picture_format abc",)
    assert missing.problems == ("picture_missing abc",)
    assert broken.image.getbbox() == (8, 4, 48, 34)
    assert broken.image.getpixel((28, 19)) == BLACK


@pytest.mark.parametrize("colours", list(Colours))
def test_a_qr_code_on_a_screen_is_read(type_: Typesetter, colours: Colours) -> None:
    image = paint(screen(Qr(Rect(20, 0, 56, 48), "https://a.vn")), type_, {}, colours)
    large = image.resize((960, 480), Image.Resampling.NEAREST)
    found = zxingcpp.read_barcodes(large.convert("L"))
    assert [code.text for code in found] == ["https://a.vn"]


def test_a_qr_code_that_does_not_fit_is_a_problem_and_no_crash(type_: Typesetter) -> None:
    painted = paint_screen(screen(Qr(Rect(0, 0, 20, 20), "https://a.vn")), type_, {}, Colours.FULL)
    assert [problem.split()[0] for problem in painted.problems] == ["qr_too_small"]
    assert painted.image.getbbox() is None


def test_an_unknown_symbol_is_a_problem_and_no_crash(type_: Typesetter) -> None:
    painted = paint_screen(screen(Symbol(Rect(0, 0, 48, 48), "eclipse", RED)), type_, {}, Colours.FULL)
    assert painted.problems == ("unknown_symbol 'eclipse'",)


def test_the_band_of_a_ticker_is_empty_on_the_still_picture(type_: Typesetter) -> None:
    band = TickerBand(30, 18, "Chạy", 12, WHITE, BLUE, 60)
    image = paint(screen(TextLine(0, 20, "dưới", 20, WHITE), ticker=band), type_, {}, Colours.FULL)
    assert colours_of(image.crop((0, 30, 96, 48))) == {BLUE}


@pytest.mark.parametrize(
    ("text", "ground"),
    [(WHITE, BLACK), (BLACK, WHITE), (WHITE, RED), (RED, BLACK), (BLUE, BLACK), (AMBER, WHITE), (RED, RED)],
)
@pytest.mark.parametrize("colours", [Colours.MONO, Colours.DUAL])
def test_on_a_board_without_shades_nothing_is_ever_lost_in_its_background(
    type_: Typesetter, text: Colour, ground: Colour, colours: Colours
) -> None:
    cases: tuple[tuple[tuple[Element, ...], Colour], ...] = (
        ((TextLine(4, 10, "Ế", 24, text),), ground),
        ((Fill(Rect(0, 0, 60, 48), ground), TextLine(4, 10, "Ế", 24, text)), BLACK),
        ((Symbol(Rect(4, 4, 40, 40), "fire", text),), ground),
    )
    for elements, background in cases:
        image = paint(screen(*elements, background=background), type_, {}, colours).crop((0, 0, 60, 48))
        assert len(colours_of(image)) == 2
        assert colours_of(image) <= {BLACK, WHITE, AMBER, (255, 0, 0), (0, 255, 0)}


def test_the_dark_half_of_a_blinking_border_is_dark_on_every_board(type_: Typesetter) -> None:
    for colours in Colours:
        for border, lit in ((RED, True), (BLACK, False)):
            image = paint(screen(Fill(Rect(0, 0, 96, 48), border, line_px=2)), type_, {}, colours)
            assert (image.getbbox() is not None) is lit


def test_a_photo_on_a_one_colour_board_keeps_its_shades_as_dots(type_: Typesetter, tmp_path: Path) -> None:
    path = tmp_path / "p"
    Image.linear_gradient("L").save(path, "PNG")
    image = paint(screen(Picture(Rect(0, 0, 96, 96), "k"), size=(96, 96)), type_, {"k": path}, Colours.MONO)
    assert colours_of(image) == {BLACK, WHITE}
    lit = [image.crop((0, top, 96, top + 24)).convert("L").histogram()[255] for top in (0, 24, 48, 72)]
    assert lit == sorted(lit)
    assert 0 < lit[1] < lit[2] < 96 * 24


def test_a_strip_is_as_high_as_its_band_and_as_wide_as_its_text(type_: Typesetter) -> None:
    band = TickerBand(0, 22, "", 16, WHITE, BLUE, 60)
    strip = paint_strip(band, "Chữ chạy", type_, Colours.FULL)
    assert strip.size == (round(type_.width("Chữ chạy", 16)), 22)
    assert strip.getpixel((0, 0)) == BLUE
    assert paint_strip(band, "", type_, Colours.FULL).size == (1, 22)


@pytest.mark.parametrize("colours", list(Colours))
def test_pieces_side_by_side_look_like_the_whole(type_: Typesetter, colours: Colours) -> None:
    band = TickerBand(0, 28, "", 20, WHITE, BLACK, 60)
    parts = ["Mời bà con ", "đến nhà ", "văn hoá"]
    whole = paint_strip(band, "".join(parts), type_, colours)
    pieces = [paint_strip(band, part, type_, colours) for part in parts]
    assert abs(sum(piece.width for piece in pieces) - whole.width) <= len(parts)


def test_a_full_hd_screen_is_painted_in_time(type_: Typesetter) -> None:
    lines = [
        TextLine(40, 60 + n * 100, "Đề nghị bà con nhốt gia súc từ tối hôm trước", 70, WHITE)
        for n in range(9)
    ]
    elements: tuple[Element, ...] = (
        Fill(Rect(0, 0, 1920, 50), BLUE),
        *lines,
        Symbol(Rect(1500, 600, 400, 400), "flood", RED),
    )
    full = screen(*elements, size=(1920, 1080))
    best = 9.0
    for _ in range(3):
        before = time.process_time()
        paint(full, type_, {}, Colours.FULL)
        best = min(best, time.process_time() - before)
    assert best < 0.15
