from __future__ import annotations

import math
import re
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.board import Facts, Page, PageKind
from agent.signage.layout import PATTERNS, SCREENS, compose, shape_of
from agent.signage.layout.colours import plain
from agent.signage.layout.pattern import column_name, module_size
from agent.signage.legibility import dwell_s, least, words
from agent.signage.screen import (
    Face,
    Fill,
    Motion,
    Picture,
    Qr,
    Rect,
    Screen,
    Symbol,
    TextLine,
)
from agent.signage.text import clean, clusters
from agent.signage.theme import Theme, load_theme
from drivers.api import Colours

NOW = datetime(2026, 11, 22, 10, 5, 20, tzinfo=UTC)
FACTS = Facts(
    station="Xã Mường Lống",
    next_title="Bản tin chiều",
    next_start=datetime(2026, 11, 22, 10, 30, tzinfo=UTC),
    weather="24–31 °C, có mưa rào",
)
THEME = load_theme(None)
BODY = (
    "Trạm y tế xã tổ chức tiêm chủng cho trẻ em từ 6 đến 36 tháng tuổi vào sáng thứ Ba ngày 24/11/2026, bắt đầu "
    "từ 7 giờ 30 phút. Đề nghị bà con đưa trẻ đến đúng giờ và mang theo sổ tiêm."
)
SIZES = [(64, 32), (192, 32), (192, 64), (320, 160), (512, 128), (1920, 1080), (1080, 1920)]


class Monospaced:
    """Every character is 0.58 of the font size wide."""

    def width(self, text: str, size_px: int, bold: bool = True) -> float:
        return len(text) * size_px * 0.58

    def line_height(self, size_px: int) -> int:
        return math.ceil(size_px * 1.4)

    def missing(self, text: str) -> tuple[str, ...]:
        return tuple(sorted({f"U+{ord(char):04X}" for char in text if ord(char) > 0xFFFF}))


TYPE = Monospaced()


def lay(
    page: Page,
    width: int = 192,
    height: int = 64,
    *,
    face: Face | None = None,
    theme: Theme = THEME,
    facts: Facts = FACTS,
    now: datetime = NOW,
    there: bool = True,
) -> tuple[Screen, ...]:
    return compose(page, face or Face(width, height), theme, facts, now, TYPE, lambda _key: there)


def lines_of(screen: Screen) -> list[TextLine]:
    return [one for one in screen.elements if isinstance(one, TextLine)]


def text_of(*screens: Screen) -> str:
    return " ".join(line.text for screen in screens for line in lines_of(screen))


def box_of(line: TextLine) -> Rect:
    return Rect(
        line.x_px,
        line.y_px,
        math.ceil(TYPE.width(line.text, line.size_px)),
        TYPE.line_height(line.size_px),
    )


def overlap(one: Rect, other: Rect) -> bool:
    return (
        one.x_px < other.x_px + other.width_px
        and other.x_px < one.x_px + one.width_px
        and one.y_px < other.y_px + other.height_px
        and other.y_px < one.y_px + one.height_px
    )


def inside(rect: Rect, screen: Screen) -> bool:
    return (
        rect.x_px >= 0
        and rect.y_px >= 0
        and rect.x_px + rect.width_px <= screen.width_px
        and rect.y_px + rect.height_px <= screen.height_px
    )


def letters(text: str) -> Counter[str]:
    return Counter(re.sub(r"\s", "", text))


def theme_with(tmp_path: Path, text: str) -> Theme:
    (tmp_path / "theme.toml").write_text(text, encoding="utf-8")
    return load_theme(tmp_path / "theme.toml")


def an_emergency(title: str = "LŨ QUÉT: di dời ngay", ticker: str = "") -> Page:
    return Page(
        "e",
        PageKind.EMERGENCY,
        title=title,
        text="Người dân bản Huồi Giảng lên nhà văn hóa.",
        ticker=ticker,
        source="UBND xã Mường Lống",
        event="flash_flood",
        issued=NOW,
    )


# --- what holds for every screen ---------------------------------------------------------------------

texts = st.text(max_size=400) | st.lists(
    st.sampled_from(
        [
            "Thông",
            "báo",
            "nghiêng",
            "24/11/2026,",
            "UBND",
            "xã.",
            "ខ្មែរ",
            "ꪼꪕ",
            "通知",
            "https://xa.vn/a",
            "😀",
        ]
    ),
    max_size=80,
).map(" ".join)
faces = st.builds(
    Face,
    st.integers(32, 1920),
    st.integers(20, 1080),
    st.sampled_from(Colours),
    st.sampled_from([0.5, 2.5, 4.0, 10.0]),
    st.sampled_from([3.0, 15.0, 60.0]),
    st.booleans(),
)
pages = st.builds(
    Page,
    id=st.just("p"),
    kind=st.sampled_from([kind for kind in PageKind if kind is not PageKind.PATTERN]),
    title=st.text(max_size=60) | st.just("Lịch tiêm chủng mở rộng"),
    text=texts,
    ticker=st.just("") | texts,
    source=st.just("") | st.just("UBND xã"),
    picture=st.just("") | st.just("a" * 64),
    qr=st.just("") | st.just("https://xa.vn"),
    event=st.just("flood"),
    issued=st.just(NOW),
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(pages, faces)
def test_everything_lies_on_the_board_and_nothing_covers_text(page: Page, face: Face) -> None:
    screens = lay(page, face=face)
    assert screens
    least_px = least(face).size_px
    for number, screen in enumerate(screens, 1):
        assert (screen.number, screen.count) == (number, len(screens))
        alarms = page.kind in (PageKind.EMERGENCY, PageKind.ALL_CLEAR)
        assert screen.dwell_s >= (2 if alarms else 4)
        boxes = []
        for line in lines_of(screen):
            assert line.size_px >= least_px
            box = box_of(line)
            assert inside(box, screen) or len(list(clusters(line.text))) == 1
            boxes.append(box)
        pictures = [one.rect for one in screen.elements if isinstance(one, Picture | Qr | Symbol)]
        assert all(inside(rect, screen) and rect.width_px > 0 and rect.height_px > 0 for rect in pictures)
        if screen.ticker is not None:
            assert screen.ticker.size_px >= least_px
            boxes.append(Rect(0, screen.ticker.y_px, face.width_px, screen.ticker.height_px))
            assert inside(boxes[-1], screen)
        assert not any(overlap(one, other) for one, other in combinations([*boxes, *pictures], 2))


@settings(max_examples=100, deadline=None)
@given(texts, faces)
def test_all_of_the_text_is_on_the_screens(text: str, face: Face) -> None:
    theme = THEME.model_copy(update={"templates": {"page": {"any": THEME.templates["page"]["tiny"]}}})
    screens = lay(Page("p", PageKind.PAGE, text=text), face=face, theme=theme, facts=Facts())
    if any(complaint.startswith("cut") for complaint in screens[0].complaints):
        return
    shown = letters(text_of(*screens))
    assert shown == letters(clean(text).text.replace("\u200b", "")) or "\u200b" in text


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(pages, faces)
def test_the_same_input_gives_the_same_screens(page: Page, face: Face) -> None:
    assert lay(page, face=face) == lay(page, face=face)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(["LŨ", "QUÉT", "BÃO", "CẤP", "12", "SƠ", "TÁN", "NGAY"]), min_size=1, max_size=6
    ),
    faces,
)
def test_the_title_of_an_emergency_begins_on_the_first_screen(title: list[str], face: Face) -> None:
    screens = lay(an_emergency(title=" ".join(title)), face=face)
    assert lines_of(screens[0])[0].text.split()[0].startswith(title[0][:1])
    if face.width_px >= 192 and face.height_px >= 64 and least(face).size_px == 14:
        assert letters(" ".join(title)) <= letters(text_of(screens[0]))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "text", ["á " * 500_000, "á" * 1_000_000, "ខ្មែរ" * 200_000, "\u202e\ud800\x00" * 300_000]
)
def test_a_megabyte_of_text_is_cut_in_less_than_a_second(size: tuple[int, int], text: str) -> None:
    began = time.process_time()
    screens = lay(Page("p", PageKind.BULLETIN, "Thông báo", text), *size)
    assert time.process_time() - began < 1
    assert len(screens) <= SCREENS
    if "á" in text or "ខ" in text:
        assert "cut text" in screens[0].complaints


def test_cut_text_ends_with_dots() -> None:
    screens = lay(Page("p", PageKind.PAGE, text="dài dòng " * 2000), 64, 32)
    assert len(screens) == SCREENS
    assert text_of(screens[-1]).endswith("…")
    assert "cut text" in screens[0].complaints


# --- legibility --------------------------------------------------------------------------------------


def test_letters_are_as_large_as_the_viewing_distance_asks() -> None:
    assert least(Face(192, 64, pitch_mm=10, viewing_m=15)).size_px == 14
    far = least(Face(320, 160, pitch_mm=4, viewing_m=15))
    assert far.size_px * 0.714 * 4 >= 15 / 6 * 25
    screens = lay(
        Page("p", PageKind.BULLETIN, "Thông báo", BODY), face=Face(320, 160, pitch_mm=4, viewing_m=15)
    )
    assert min(line.size_px for screen in screens for line in lines_of(screen)) == far.size_px
    assert len(screens) > len(lay(Page("p", PageKind.BULLETIN, "Thông báo", BODY), 320, 160))


def test_a_board_too_small_for_its_distance_says_so_and_has_the_largest_letters_it_holds() -> None:
    screens = lay(Page("p", PageKind.PAGE, "Thông báo"), face=Face(64, 32, pitch_mm=4, viewing_m=100))
    assert "too_small_for_distance" in screens[0].complaints
    assert all(line.size_px == 16 for line in lines_of(screens[0]))


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_pitch_or_distance_counts_as_unknown(bad: float) -> None:
    assert least(Face(192, 64, pitch_mm=bad)).size_px == 14
    assert least(Face(192, 64, viewing_m=bad)).size_px == 14


def test_a_board_lower_than_a_line_shows_one_line_and_says_so() -> None:
    screens = lay(Page("p", PageKind.PAGE, "Họp thôn"), 192, 16)
    assert "too_low_for_text" in screens[0].complaints
    assert [line.size_px for line in lines_of(screens[0])] == [14]


@pytest.mark.parametrize("size", [(16, 8), (16, 4320), (7680, 8), (7680, 4320), (20, 20)])
@pytest.mark.parametrize("kind", [kind for kind in PageKind if kind is not PageKind.PATTERN])
def test_a_board_of_any_size_has_a_screen(size: tuple[int, int], kind: PageKind) -> None:
    page = Page(
        "p", kind, "Thông báo", BODY, ticker="Họp thôn", picture="a" * 64, qr="https://xa.vn", issued=NOW
    )
    screens = lay(page, *size)
    assert 1 <= len(screens) <= (200 if kind in (PageKind.EMERGENCY, PageKind.ALL_CLEAR) else SCREENS + 3)
    for screen in screens:
        sides = [one.rect for one in screen.elements if not isinstance(one, TextLine)]
        assert all(inside(rect, screen) and min(rect.width_px, rect.height_px) > 0 for rect in sides)


def test_short_text_is_larger_than_long_text() -> None:
    short = lay(Page("p", PageKind.PAGE, "Họp thôn"))
    long = lay(Page("p", PageKind.PAGE, "Họp thôn", BODY))
    assert lines_of(short[0])[0].size_px > min(line.size_px for line in lines_of(long[1]))


@pytest.mark.parametrize("size", [(128, 64), *SIZES[1:]])
@pytest.mark.parametrize("kind", [PageKind.BULLETIN, PageKind.EMERGENCY, PageKind.LIVE])
def test_a_word_that_fits_a_line_is_never_torn(size: tuple[int, int], kind: PageKind) -> None:
    page = Page("p", kind, "Thông báo nghiêm trọng: nghiêng ngả", BODY, source="UBND xã", event="flood")
    shown = set(text_of(*lay(page, *size, facts=replace(FACTS, clock_known=False))).split())
    known = set(f"{page.title} {page.text} {page.source} {FACTS.station} PHÁT TRỰC TIẾP".split())
    assert {word for word in shown if not re.fullmatch(r"\d+/\d+|24/11/|2026,", word)} <= known


def test_a_word_is_not_torn_to_make_it_larger() -> None:
    screens = lay(Page("p", PageKind.PAGE, text="nghiêng"), 128, 128, facts=Facts(clock_known=False))
    assert text_of(*screens) == "nghiêng"
    assert lines_of(screens[0])[0].size_px > 14


def test_a_word_wider_than_the_board_is_broken_and_whole() -> None:
    address = "https://muonglong.nghean.gov.vn/thong-bao"
    screens = lay(Page("p", PageKind.PAGE, text=address), 64, 32)
    assert letters(text_of(*screens)) == letters(address)


def test_dwell_is_two_words_a_second_and_two_seconds_more() -> None:
    assert dwell_s(["một hai ba bốn năm sáu bảy tám chín mười"]) == 7
    assert dwell_s(["một"]) == 4
    assert dwell_s(["ខ្មែរភាសាខ្មែរភាសា"]) > 4
    assert words("通知" * 9) == 6
    assert dwell_s(["từ " * 100_000]) == 3600


def test_a_given_dwell_is_kept_and_an_impossible_one_is_not() -> None:
    assert lay(Page("p", PageKind.PAGE, "Một", dwell_s=11))[0].dwell_s == 11
    for bad in (-5.0, math.nan, math.inf):
        assert lay(Page("p", PageKind.PAGE, "Một", dwell_s=bad))[0].dwell_s == 4


# --- colours -----------------------------------------------------------------------------------------


def colours_of(screen: Screen) -> set[tuple[int, int, int]]:
    return {one.colour for one in screen.elements if isinstance(one, TextLine | Fill | Symbol)}


def test_a_board_of_one_colour_has_amber_on_black(tmp_path: Path) -> None:
    theme = theme_with(
        tmp_path,
        '[colours.normal]\nbackground = "#FFFFFF"\ntitle = "#0000C0"\ntext = "#000000"\nquiet = "#404040"\n',
    )
    page = Page("p", PageKind.BULLETIN, "Thông báo", BODY, ticker="Họp thôn")
    for screen in lay(page, face=Face(320, 160, Colours.MONO), theme=theme):
        assert screen.background == (0, 0, 0)
        assert colours_of(screen) == {(255, 191, 0)}
        assert screen.ticker is not None
        assert (screen.ticker.colour, screen.ticker.background) == ((255, 191, 0), (0, 0, 0))
    full = lay(page, face=Face(320, 160, Colours.FULL), theme=theme)[0]
    assert full.background == (255, 255, 255)


@pytest.mark.parametrize("kind", [PageKind.IDLE, PageKind.EMERGENCY, PageKind.ALL_CLEAR, PageKind.BULLETIN])
def test_a_board_of_two_colours_has_red_green_and_both_on_black(kind: PageKind) -> None:
    for screen in lay(Page("p", kind, "Thông báo", BODY), face=Face(320, 160, Colours.DUAL)):
        assert screen.background == (0, 0, 0)
        assert colours_of(screen) <= {(255, 0, 0), (0, 255, 0), (255, 255, 0)}


def test_blue_text_is_amber_on_a_board_without_blue() -> None:
    assert plain((40, 60, 255), Colours.DUAL) == (255, 255, 0)
    assert plain((255, 40, 0), Colours.DUAL) == (255, 0, 0)
    assert plain((40, 60, 255), Colours.FULL) == (40, 60, 255)


# --- kinds of pages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_the_idle_page_tells_name_time_date_lunar_date_weather_and_the_next_programme(
    size: tuple[int, int],
) -> None:
    shown = letters(text_of(*lay(Page("i", PageKind.IDLE), *size)))
    date = "22/11" if size[1] < 60 else "Chủ nhật, 22/11/2026"
    moon = "ÂL 14/10" if size[1] < 60 else "Âm lịch 14/10 Bính Ngọ"
    for wanted in ("Xã Mường Lống", "17:05", date, moon, "24–31 °C", "Sắp phát: 17:30 Bản tin chiều"):
        assert letters(wanted) <= shown


def test_a_screen_with_a_clock_is_laid_out_again_at_the_next_minute() -> None:
    clock = lay(Page("i", PageKind.IDLE))[0]
    assert "17:05" in text_of(clock)
    assert clock.refresh_s == 40
    later = lay(Page("i", PageKind.IDLE), now=NOW + timedelta(seconds=clock.refresh_s))[0]
    assert "17:06" in text_of(later)


def test_a_screen_without_a_clock_stays_and_one_with_a_date_stays_until_midnight() -> None:
    assert lay(Page("p", PageKind.PAGE, "Thông báo"))[0].refresh_s == 0
    facts = replace(FACTS, next_title="")
    dated = next(one for one in lay(Page("i", PageKind.IDLE), facts=facts) if "22/11" in text_of(one))
    midnight = NOW + timedelta(seconds=dated.refresh_s)
    assert midnight == datetime(2026, 11, 22, 17, tzinfo=UTC)


def test_an_untrusted_clock_shows_neither_time_nor_date() -> None:
    screens = lay(Page("i", PageKind.IDLE), facts=replace(FACTS, clock_known=False))
    assert not re.search(r"\d\d:\d\d|/11|Âm lịch", text_of(*screens))
    assert all(screen.refresh_s == 0 for screen in screens)


def test_the_safe_screen_is_name_and_clock_or_the_name_alone() -> None:
    known = lay(Page("s", PageKind.SAFE))
    unknown = lay(Page("s", PageKind.SAFE), facts=replace(FACTS, clock_known=False))
    assert text_of(*known) == "Xã Mường Lống 17:05"
    assert text_of(*unknown) == "Xã Mường Lống"


def test_a_safe_screen_without_a_name_or_clock_is_empty() -> None:
    (screen,) = lay(Page("s", PageKind.SAFE), facts=Facts(clock_known=False))
    assert screen.elements == ()


@pytest.mark.parametrize("size", [(192, 64), (320, 160), (512, 128), (1920, 1080), (1080, 1920)])
def test_an_emergency_takes_the_whole_board(size: tuple[int, int]) -> None:
    screens = lay(an_emergency(), *size)
    first = screens[0]
    assert first.motion is Motion.BORDER
    border = first.elements[0]
    assert isinstance(border, Fill)
    assert (border.rect, border.line_px > 0) == (Rect(0, 0, *size), True)
    assert any(isinstance(one, Symbol) and one.name == "flash_flood" for one in first.elements)
    assert letters("LŨ QUÉT: di dời ngay") <= letters(text_of(first))
    everything = text_of(*screens)
    assert "UBND xã Mường Lống" in everything.replace("  ·  ", " ")
    assert "17:05" in everything
    title, body = lines_of(first)[0], lines_of(screens[-1])[-1]
    assert title.size_px > body.size_px


def test_an_emergency_says_its_symbol_on_a_screen_of_its_own_if_there_is_no_room() -> None:
    screens = lay(an_emergency(), 64, 32)
    assert not any(isinstance(one, Symbol) for one in screens[0].elements)
    assert any(isinstance(one, Symbol) for one in screens[-1].elements)


def test_the_symbol_makes_way_for_the_title_of_an_emergency() -> None:
    screens = lay(an_emergency(), 192, 32)
    assert text_of(screens[0]) == "LŨ QUÉT: di dời ngay"
    assert [any(isinstance(one, Symbol) for one in screen.elements) for screen in screens][-1]
    assert not any(isinstance(one, Symbol) for one in screens[0].elements)


def test_a_programme_that_has_begun_is_not_said_to_come() -> None:
    begun = replace(FACTS, next_start=NOW - timedelta(seconds=1))
    assert "Sắp phát" not in text_of(*lay(Page("i", PageKind.IDLE), facts=begun))


def test_the_ticker_of_an_emergency_is_on_still_screens_too() -> None:
    screens = lay(an_emergency(ticker="Gọi số 112 khi cần cứu"), 320, 160)
    assert all(screen.ticker is not None for screen in screens)
    assert "Gọi số 112 khi cần cứu" in text_of(*screens)


def test_an_emergency_without_words_still_says_what_it_is() -> None:
    assert text_of(*lay(Page("e", PageKind.EMERGENCY))) == "KHẨN CẤP"
    assert text_of(*lay(Page("e", PageKind.EMERGENCY, language="en"))) == "EMERGENCY"
    assert "BÁO YÊN" in text_of(*lay(Page("c", PageKind.ALL_CLEAR)))


def test_the_all_clear_does_not_blink() -> None:
    screens = lay(Page("c", PageKind.ALL_CLEAR, event="flood"), 320, 160)
    assert screens[0].motion is Motion.STILL
    assert any(isinstance(one, Symbol) and one.name == "all_clear" for one in screens[0].elements)


def test_a_live_page_says_that_somebody_speaks() -> None:
    assert "PHÁT TRỰC TIẾP" in text_of(*lay(Page("l", PageKind.LIVE, "Chủ tịch xã phát biểu")))


def test_an_empty_page_shows_the_name_of_the_station() -> None:
    assert text_of(*lay(Page("p", PageKind.PAGE))) == "Xã Mường Lống"


# --- fields ------------------------------------------------------------------------------------------


def test_screens_are_counted_where_there_is_room() -> None:
    page = Page("p", PageKind.BULLETIN, "Thông báo", BODY * 3)
    screens = lay(page, 320, 160)
    assert f"2/{len(screens)}" in text_of(screens[1])


def test_a_ticker_runs_at_the_bottom_and_is_paged_where_nothing_moves() -> None:
    page = Page("p", PageKind.BULLETIN, "Thông báo", BODY, ticker="Chiều nay họp thôn")
    moving = lay(page, 320, 160)
    for screen in moving:
        assert screen.ticker is not None
        assert screen.ticker.y_px + screen.ticker.height_px == 160
        assert 320 / screen.ticker.speed_px_s >= 3
    assert "họp thôn" not in text_of(*moving)
    still = lay(page, face=Face(320, 160, moves=False))
    assert all(screen.ticker is None for screen in still)
    assert text_of(still[-1]).replace(" ", "").find("họpthôn") >= 0


def test_a_page_stays_until_its_ticker_has_passed_once() -> None:
    page = Page("p", PageKind.PAGE, "Tin", ticker="Họp thôn tại nhà văn hóa " * 5)
    screens = lay(page, 320, 160)
    band = screens[0].ticker
    assert band is not None
    passing_s = (TYPE.width(band.text, band.size_px) + 320) / band.speed_px_s
    assert sum(screen.dwell_s for screen in screens) == pytest.approx(passing_s)
    endless = lay(replace(page, ticker="Họp thôn " * 2000), 320, 160)
    assert sum(screen.dwell_s for screen in endless) <= 181
    assert lay(replace(page, dwell_s=5), 320, 160)[0].dwell_s == 5
    assert lay(replace(an_emergency(), ticker=page.ticker), 320, 160)[0].dwell_s < passing_s


def test_a_ticker_alone_has_all_of_a_board_of_one_line() -> None:
    (screen,) = lay(Page("p", PageKind.PAGE, ticker="Chiều nay họp thôn"), 192, 32)
    assert screen.ticker is not None
    assert (screen.ticker.y_px, screen.ticker.height_px) == (0, 32)
    assert lines_of(screen) == []


def test_a_long_ticker_costs_no_more_screens() -> None:
    short = lay(Page("p", PageKind.PAGE, "Tin", ticker="Họp thôn"), 192, 64)
    long = lay(Page("p", PageKind.PAGE, "Tin", ticker="Họp thôn " * 1000), 192, 64)
    assert [screen.elements for screen in short] == [screen.elements for screen in long]


def test_a_picture_is_beside_the_text_on_a_wide_board_and_above_it_on_a_high_one() -> None:
    page = Page("p", PageKind.PAGE, "Hội thi trồng rừng", picture="a" * 64)
    for size, beside in (((512, 128), True), ((1080, 1920), False)):
        (screen,) = lay(page, *size)
        picture = next(one for one in screen.elements if isinstance(one, Picture))
        title = next(line for line in lines_of(screen) if line.text.startswith("Hội"))
        if beside:
            assert picture.rect.x_px + picture.rect.width_px <= title.x_px
        else:
            assert picture.rect.y_px + picture.rect.height_px <= title.y_px


def test_a_picture_without_text_has_the_board_and_on_a_small_board_a_screen_of_its_own() -> None:
    (alone,) = lay(Page("p", PageKind.PAGE, picture="a" * 64), 192, 64)
    (picture,) = [one for one in alone.elements if isinstance(one, Picture)]
    assert picture.rect.height_px == 64
    small = lay(Page("p", PageKind.PAGE, "Hội thi", picture="a" * 64), 64, 32)
    assert [one for one in small[-1].elements if isinstance(one, Picture)]


def test_missing_files_are_complained_of_and_the_text_is_shown() -> None:
    page = Page("p", PageKind.PAGE, "Hội thi", picture="a" * 64, video="b" * 64)
    screens = lay(page, there=False)
    assert f"missing_picture {'a' * 64}" in screens[0].complaints
    assert f"missing_video {'b' * 64}" in screens[0].complaints
    assert screens[0].video == ""
    assert text_of(*screens) == "Hội thi"


def test_a_video_comes_first_and_the_text_after_it() -> None:
    screens = lay(Page("p", PageKind.PAGE, "Phim", BODY, video="b" * 64), 1920, 1080)
    assert [screen.video for screen in screens] == ["b" * 64, ""]
    assert [screen.number for screen in screens] == [1, 2]
    (live,) = lay(Page("p", PageKind.PAGE, video="https://vtv.vn/live.m3u8", dwell_s=90), there=False)
    assert (live.video, live.dwell_s) == ("https://vtv.vn/live.m3u8", 90)


def test_a_qr_code_is_shown_only_where_each_of_its_modules_has_a_pixel() -> None:
    page = Page("p", PageKind.PAGE, "Hội thi", qr="https://muonglong.nghean.gov.vn")
    assert any(isinstance(one, Qr) for one in lay(page, 512, 128)[0].elements)
    small = lay(page, 64, 32)
    assert not any(isinstance(one, Qr) for screen in small for one in screen.elements)
    assert "qr_too_small" in small[0].complaints
    assert "qr_too_long" in lay(replace(page, qr="x" * 5000))[0].complaints


def test_the_emblem_is_shown_when_the_theme_has_one(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"x")
    theme = theme_with(tmp_path, 'emblem = "logo.png"\n')
    page = Page("p", PageKind.BULLETIN, "Thông báo")
    with_it = lay(page, 320, 160, theme=theme)[0]
    assert any(isinstance(one, Picture) and one.key == "emblem" for one in with_it.elements)
    assert not any(isinstance(one, Picture) for one in lay(page, 320, 160)[0].elements)


def test_glyphs_that_no_font_has_are_named() -> None:
    assert "missing_glyph U+1F600" in lay(Page("p", PageKind.PAGE, "Chào 😀"))[0].complaints


def test_bad_characters_are_complained_of() -> None:
    screens = lay(Page("p", PageKind.PAGE, "Tin\u202e khẩn", "A\ud800B"))
    assert {"bidi title", "surrogate text"} <= set(screens[0].complaints)


# --- templates ---------------------------------------------------------------------------------------


def test_a_page_may_name_a_template_and_an_unknown_one_is_complained_of(tmp_path: Path) -> None:
    theme = theme_with(tmp_path, '[templates.tet.any]\nmain = ["title", "lunar"]\n')
    page = Page("p", PageKind.PAGE, "Chúc mừng năm mới", template="tet")
    assert "Âm lịch" in text_of(*lay(page, theme=theme))
    plain = lay(page)
    assert "unknown_template tet" in plain[0].complaints
    assert "Âm lịch" not in text_of(*plain)


def test_a_board_has_a_shape() -> None:
    shapes = [shape_of(Face(*size), 20, 14) for size in SIZES]
    assert shapes == ["tiny", "strip", "wide", "landscape", "wide", "landscape", "portrait"]


def test_fields_share_a_line_if_they_fit(tmp_path: Path) -> None:
    theme = theme_with(
        tmp_path,
        '[templates.idle.any]\nmain = ["clock + date"]\n[templates.idle.wide]\nmain = ["clock + date"]\n',
    )
    wide, narrow = (lay(Page("i", PageKind.IDLE), *size, theme=theme) for size in ((512, 128), (192, 64)))
    assert len(lines_of(wide[0])) == 1
    assert len(lines_of(narrow[0])) == 2


# --- patterns ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("size", [(16, 8), *SIZES])
def test_a_pattern_lies_on_the_board(name: str, size: tuple[int, int]) -> None:
    (screen,) = lay(Page(name, PageKind.PATTERN), *size)
    assert len(screen.elements) <= 8192
    assert screen.complaints == ()
    assert all(inside(one.rect, screen) for one in screen.elements if isinstance(one, Fill))


def test_the_border_pattern_lights_the_outermost_pixels() -> None:
    (screen,) = lay(Page("border", PageKind.PATTERN), 96, 48)
    assert Fill(Rect(0, 0, 96, 48), (255, 255, 255), 1) in screen.elements


def test_a_solid_pattern_is_its_background() -> None:
    colours = {
        name: lay(Page(name, PageKind.PATTERN))[0].background for name in ("red", "green", "blue", "white")
    }
    assert colours == {
        "red": (255, 0, 0),
        "green": (0, 255, 0),
        "blue": (0, 0, 255),
        "white": (255, 255, 255),
    }


def test_the_two_checkers_light_every_pixel_once() -> None:
    lit: Counter[tuple[int, int]] = Counter()
    for name in ("checker", "checker_inverse"):
        for one in lay(Page(name, PageKind.PATTERN), 64, 32)[0].elements:
            assert isinstance(one, Fill)
            lit[one.rect.x_px, one.rect.y_px] += one.rect.width_px * one.rect.height_px
    assert len(lit) == 64 * 32
    assert set(lit.values()) == {1}


def test_every_module_has_a_name_that_is_on_it() -> None:
    (screen,) = lay(Page("numbers", PageKind.PATTERN), face=Face(320, 160, pitch_mm=4))
    labels = {line.text: line for line in lines_of(screen)}
    assert set(labels) == {f"{column}{row}" for column in "ABCDE" for row in range(1, 6)}
    assert (labels["C2"].x_px // 64, (labels["C2"].y_px + 10) // 32) == (2, 1)


def test_the_size_of_a_module_may_be_given() -> None:
    (screen,) = lay(Page("numbers", PageKind.PATTERN, text="96x64"), 192, 64)
    assert [line.text for line in lines_of(screen)] == ["A1", "B1"]
    assert module_size(Face(192, 64), "0x0") == (32, 16)
    assert module_size(Face(192, 64), "9999x9999") == (192, 64)
    assert [column_name(number) for number in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]


def test_an_unknown_pattern_is_a_grid_with_a_complaint() -> None:
    (screen,) = lay(Page("stripes", PageKind.PATTERN))
    assert screen.complaints == ("unknown_pattern stripes",)
    assert screen.elements == lay(Page("grid", PageKind.PATTERN))[0].elements
