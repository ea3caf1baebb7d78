"""What a passer-by reads of an emergency, above all on small boards; with the real fonts."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from agent.model.board import Facts, Page, PageKind
from agent.signage.layout import compose
from agent.signage.layout.alarm import HEADLINE_EVERY_S
from agent.signage.legibility import least
from agent.signage.screen import Face, Screen, Symbol, TextLine
from agent.signage.theme import Theme, load_theme
from agent.signage.typeset import Typesetter
from drivers.api import Colours

NOW = datetime(2026, 11, 22, 10, 5, 20, tzinfo=UTC)
TITLE = "CẢNH BÁO LŨ QUÉT, SẠT LỞ ĐẤT: DI DỜI NGAY"
TEXT = (
    "Mưa lớn kéo dài, nước suối Huồi Giảng dâng nhanh, nguy cơ lũ quét và sạt lở đất rất cao trong 2 giờ tới. "
    "Đề nghị bà con các bản Huồi Giảng 1, Huồi Giảng 2, Sà Lầy di dời ngay lên nhà văn hoá xã và trường THCS "
    "Mường Lống. Không đi qua ngầm tràn, không quay lại lấy đồ. Mang theo đèn pin, nước uống, thuốc. "
    "Liên hệ: 0238 3123 456 (Ban chỉ huy PCTT xã) hoặc 114."
)
TINY = [(64, 32), (96, 32), (128, 32)]
SMALL = [*TINY, (192, 32), (192, 64), (320, 160), (512, 128)]
THEME = load_theme(None)


@pytest.fixture(scope="module")
def type_() -> Typesetter:
    return Typesetter()


def flood(**changes: object) -> Page:
    page = Page("e", PageKind.EMERGENCY, TITLE, TEXT, event="flash_flood", source="UBND xã", issued=NOW)
    return replace(page, **changes)  # type: ignore[arg-type]  # fields of Page


def lay(
    type_: Typesetter,
    page: Page,
    size: tuple[int, int],
    *,
    theme: Theme = THEME,
    facts: Facts | None = None,
    now: datetime = NOW,
) -> tuple[Screen, ...]:
    face = Face(*size, viewing_m=8)
    return compose(page, face, theme, facts or Facts("Xã Mường Lống"), now, type_)


def said(screen: Screen) -> str:
    return " ".join(one.text for one in screen.elements if isinstance(one, TextLine))


def letters(text: str) -> Counter[str]:
    return Counter(re.sub(r"\s", "", text))


def seconds_until_title(screens: tuple[Screen, ...]) -> float:
    """How long a reader has to stand there before the last word of the title is on the board."""
    passed, seen = 0.0, ""
    for screen in screens:
        seen += said(screen)
        if letters(TITLE) <= letters(seen):
            return passed
        passed += screen.dwell_s
    return float("inf")


@pytest.mark.parametrize(
    ("size", "most_s"), [((64, 32), 13), ((96, 32), 7), ((128, 32), 7), ((192, 32), 5), ((64, 64), 7)]
)
def test_the_headline_of_an_emergency_is_read_soon_on_a_small_board(
    type_: Typesetter, size: tuple[int, int], most_s: float
) -> None:
    screens = lay(type_, flood(), size)
    assert seconds_until_title(screens) <= most_s
    assert all(screen.dwell_s >= 2 for screen in screens)
    bulletin = replace(flood(), kind=PageKind.BULLETIN)
    assert all(screen.dwell_s >= 4 for screen in lay(type_, bulletin, size))


@pytest.mark.parametrize("size", [(192, 64), (320, 160), (512, 128), (1920, 1080), (1080, 1920)])
@pytest.mark.parametrize("ticker", ["", TEXT])
def test_the_whole_headline_is_on_the_first_screen(
    type_: Typesetter, size: tuple[int, int], ticker: str
) -> None:
    assert seconds_until_title(lay(type_, flood(ticker=ticker), size)) == 0


@pytest.mark.parametrize("size", SMALL)
def test_an_emergency_of_ordinary_length_is_not_cut(type_: Typesetter, size: tuple[int, int]) -> None:
    screens = lay(type_, flood(), size)
    assert screens[0].complaints == ()
    assert letters(TITLE + TEXT) <= letters(" ".join(map(said, screens)))


@pytest.mark.parametrize("size", [(192, 64), (320, 160), (512, 128)])
def test_who_comes_late_reads_the_headline_within_half_a_minute(
    type_: Typesetter, size: tuple[int, int]
) -> None:
    screens = lay(type_, flood(text=TEXT * 3), size)
    without_s = 0.0
    for screen in screens:
        without_s = 0.0 if letters(TITLE) <= letters(said(screen)) else without_s + screen.dwell_s
        assert without_s <= HEADLINE_EVERY_S + 20
    assert [screen.number for screen in screens] == list(range(1, len(screens) + 1))
    assert {screen.count for screen in screens} == {len(screens)}


def test_a_short_emergency_does_not_repeat_its_headline(type_: Typesetter) -> None:
    screens = lay(type_, flood(text="Rời nhà ngay."), (192, 64))
    assert sum(letters(TITLE) <= letters(said(screen)) for screen in screens) == 1


def test_the_headline_takes_no_more_than_a_third_of_a_tiny_board(type_: Typesetter) -> None:
    screens = lay(type_, flood(), (64, 32))
    words = set(TITLE.split())
    title_s = sum(screen.dwell_s for screen in screens if set(said(screen).split()) <= words)
    assert title_s <= sum(screen.dwell_s for screen in screens) / 3


@pytest.mark.parametrize("text", ["", TEXT])
def test_the_video_of_an_emergency_comes_after_its_words(type_: Typesetter, text: str) -> None:
    screens = lay(type_, flood(text=text, video="https://vtv.vn/live.m3u8"), (512, 128))
    assert letters(TITLE) <= letters(said(screens[0]))
    assert [bool(screen.video) for screen in screens] == [*[False] * (len(screens) - 1), True]
    assert len(screens) > 1


def test_the_ticker_of_an_emergency_makes_way_for_the_headline(type_: Typesetter) -> None:
    title = "CẢNH BÁO LŨ QUÉT, SẠT LỞ ĐẤT: TOÀN BỘ BÀ CON DI DỜI NGAY"
    screens = lay(type_, flood(title=title, ticker="Gọi 114 khi cần cứu."), (192, 64))
    assert letters(title) <= letters(said(screens[0]))
    assert all(screen.ticker is None for screen in screens)
    assert "Gọi 114" in " ".join(map(said, screens))


def test_time_and_date_of_issue_stay_on_one_screen(type_: Typesetter) -> None:
    page = flood(title="LŨ QUÉT", text="Rời nhà ngay.", source="UBND xã Mường Lống")
    screens = lay(type_, page, (192, 64))
    assert any("17:05 ngày 22/11/2026" in said(screen) for screen in screens)


@pytest.mark.parametrize(
    "moment",
    [
        datetime.max.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    ],
)
def test_an_impossible_moment_does_not_keep_an_emergency_from_the_board(
    type_: Typesetter, moment: datetime
) -> None:
    facts = Facts("Xã", next_title="Thời sự", next_start=moment)
    for now in (NOW, moment):
        screens = lay(type_, flood(issued=moment), (192, 64), facts=facts, now=now)
        assert letters(TITLE) <= letters(said(screens[0]))


def test_a_named_template_without_the_words_does_not_silence_an_emergency(
    type_: Typesetter, tmp_path: Path
) -> None:
    path = tmp_path / "theme.toml"
    path.write_text('[templates.tet.any]\nmain = ["clock"]\n', encoding="utf-8")
    theme = load_theme(path)
    screens = lay(type_, flood(template="tet"), (320, 160), theme=theme)
    assert letters(TITLE) <= letters(said(screens[0]))
    assert "unfit_template tet" in screens[0].complaints
    page = replace(flood(template="tet"), kind=PageKind.PAGE)
    assert "LŨ QUÉT" not in said(lay(type_, page, (320, 160), theme=theme)[0])


def test_the_next_programme_goes_away_when_it_begins(type_: Typesetter, tmp_path: Path) -> None:
    path = tmp_path / "theme.toml"
    path.write_text('[templates.tet.any]\nmain = ["title", "next"]\n', encoding="utf-8")
    facts = Facts("Xã", next_title="Thời sự", next_start=NOW + timedelta(seconds=90))
    page = Page("p", PageKind.PAGE, "Chúc mừng", template="tet")
    (screen,) = lay(type_, page, (320, 160), theme=load_theme(path), facts=facts)
    assert "Sắp phát" in said(screen)
    assert screen.refresh_s == 90
    (later,) = lay(
        type_,
        page,
        (320, 160),
        theme=load_theme(path),
        facts=facts,
        now=NOW + timedelta(seconds=screen.refresh_s),
    )
    assert "Sắp phát" not in said(later)


def test_the_day_ends_when_it_ends_where_clocks_are_changed(type_: Typesetter) -> None:
    """Nowhere in Vietnam, but boards of an embassy or a demonstration stand elsewhere."""
    facts = Facts("Hà Nội", timezone="Europe/Berlin")
    morning = datetime(2026, 10, 24, 22, 30, tzinfo=UTC)  # 00:30 of the day with 25 hours
    screens = lay(type_, Page("i", PageKind.IDLE), (192, 64), facts=facts, now=morning)
    dated = next(one for one in screens if "25/10/2026" in said(one))
    assert morning + timedelta(seconds=dated.refresh_s) == datetime(2026, 10, 25, 23, 0, tzinfo=UTC)


@pytest.mark.parametrize("size", [(1080, 1920), (320, 160), (96, 32)])
def test_a_board_too_small_for_its_distance_has_the_largest_letters_it_holds(size: tuple[int, int]) -> None:
    """Not those of the smallest board: a metre more of distance must not make them many times smaller."""
    sizes = [least(Face(*size, Colours.FULL, 4, metres)).size_px for metres in range(1, 400)]
    assert sizes == sorted(sizes)
    assert sizes[-1] == max(14, min(int(size[1] / 1.4), size[0] // 4))
    assert not least(Face(*size, Colours.FULL, 4, 399)).served


@pytest.mark.parametrize("event", ["earthquake", "", "../fire", "flood"])
def test_an_event_without_a_symbol_of_its_own_has_the_one_for_all_others(
    type_: Typesetter, event: str
) -> None:
    first = lay(type_, flood(event=event), (320, 160))[0]
    drawn = {one.name for one in first.elements if isinstance(one, Symbol)}
    assert drawn == ({"flood"} if event == "flood" else {"other"})


def test_a_date_is_not_torn_on_a_narrow_board(type_: Typesetter) -> None:
    screens = lay(type_, Page("i", PageKind.IDLE), (64, 64))
    assert any(re.search(r"(^| )22/11($| )", said(screen)) for screen in screens)
    assert not any(re.search(r"/( |$)", said(screen)) for screen in screens)


@pytest.mark.parametrize(
    ("hours", "told"), [(10, "Sắp phát: 03:05 Thời sự"), (36, "Sắp phát: 05:05 24/11 Thời sự")]
)
def test_a_programme_of_another_day_is_told_with_its_date(type_: Typesetter, hours: int, told: str) -> None:
    facts = Facts("Xã", next_title="Thời sự", next_start=NOW + timedelta(hours=hours))
    assert told in " ".join(map(said, lay(type_, Page("i", PageKind.IDLE), (512, 128), facts=facts)))


def test_screens_never_follow_each_other_so_fast_that_they_flash(type_: Typesetter) -> None:
    screens = lay(type_, Page("p", PageKind.PAGE, TITLE, TEXT, dwell_s=0.01), (192, 64))
    assert len(screens) > 1
    assert all(3 * screen.dwell_s > 1 for screen in screens)
