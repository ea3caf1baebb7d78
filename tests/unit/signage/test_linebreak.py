from __future__ import annotations

import time
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.signage.linebreak import wrap
from agent.signage.text import clean, clusters
from agent.signage.typeset import Typesetter

WORDS_OF_A_NOTICE = (
    "UBND xã Mường Lống, thông báo: từ 17 giờ 30 phút ngày 12 tháng 11 năm 2026 (trừ chủ nhật) TP. Hồ Chí Minh Q. 1 "
    "- – ! 20.000 đồng 0912 345 678 https://a.vn/b?c=d 乡人民政府，通知（非常） ភាសា\u200bខ្មែរ ภาษาไทย ພາສາລາວ ꪼꪕ \n"
)
WORDS = st.lists(
    st.sampled_from(WORDS_OF_A_NOTICE.split(" ")),
    max_size=30,
).map(lambda words: clean(" ".join(words)).text)
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=120).map(lambda text: clean(text).text)

MIXED = "ẪỖ xã Ơ\u0306\u0301 ក្រុម ឡូតូ ញ្ញុំ ꨆꨴꨯꨱꩃ ꨄꨵ ງຸ້ ກີ້ ฎุ ปี่ 😀 中文， 17 giờ (a) ꪀꪸ꪿ g\u0323\u0323"
TYPE = Typesetter()


def ten(text: str) -> float:
    """Every cluster is 10 wide."""
    return 10.0 * sum(1 for _ in clusters(text))


def kerned(text: str) -> float:
    """Not the sum of its parts: wide alone, narrow together, and `W` before anything is wider still."""
    return 3 + 9.5 * len(text) + 4 * text.count("Wi") - 2 * text.count("ho")


@example("\xa0", 1, False, ten)
@given(WORDS | ANY, st.integers(1, 400), st.booleans(), st.sampled_from([ten, kerned]))
def test_no_line_is_too_wide_and_nothing_but_spaces_is_lost(
    text: str, width: int, balance: bool, measure: object
) -> None:
    lines = wrap(text, width, measure, balance=balance)  # type: ignore[arg-type]  # one of the two above
    assert "".join("".join(lines).split()).replace("\u200b", "") == "".join(text.split()).replace(
        "\u200b", ""
    )
    for line in lines:
        assert line.strip()
        assert measure(line) <= width or len(list(clusters(line))) == 1  # type: ignore[operator]


@given(WORDS, st.integers(60, 400))
def test_balanced_text_takes_no_more_lines_and_fits(text: str, width: int) -> None:
    text = text.replace("\n", " ")
    greedy, balanced = wrap(text, width, ten), wrap(text, width, ten, balance=True)
    assert len(balanced) <= len(greedy)
    assert max(map(ten, balanced), default=0) <= max(width, *map(ten, greedy), 0)


@given(WORDS, st.integers(200, 400))
def test_vietnamese_syllables_are_never_split_where_they_fit(text: str, width: int) -> None:
    words = {
        word
        for word in text.replace("\u200b", " ").split()
        if word.isascii() or unicodedata.name(word[0]).startswith("LATIN")
    }
    shown = {word for line in wrap(text, width, ten) for word in line.replace("\u200b", " ").split()}
    assert words <= shown


@pytest.mark.parametrize(
    ("text", "letters", "expected"),
    [
        ("Họp lúc 17 giờ", 11, ("Họp", "lúc 17 giờ")),
        ("Họp vào 17 giờ", 10, ("Họp vào", "17 giờ")),
        ("Từ ngày 12/11/2026", 15, ("Từ", "ngày 12/11/2026")),
        ("Sáng 05:30 họp", 10, ("Sáng 05:30", "họp")),
        ("Ở phường Q. 1", 11, ("Ở phường", "Q. 1")),
        ("Gọi ngay 0912 345 678", 16, ("Gọi ngay", "0912 345 678")),
        ("Nước dâng 20 cm", 12, ("Nước dâng", "20 cm")),
        ("Giá điện 2.000 đồng", 14, ("Giá điện", "2.000 đồng")),
        ("Nhiệt độ 20 - 25 °C", 14, ("Nhiệt độ", "20 - 25 °C")),
        ("Gạo giá 9.000 đồng/kg", 13, ("Gạo giá", "9.000 đồng/kg")),
        ("Gọi số ☎ 0912 345 678", 16, ("Gọi số", "☎ 0912 345 678")),
        ("Họp thứ hai", 8, ("Họp", "thứ hai")),
    ],
)
def test_numbers_stay_with_their_units_and_dates_together(
    text: str, letters: int, expected: tuple[str, ...]
) -> None:
    assert wrap(text, letters * 10, ten) == expected


@pytest.mark.parametrize(
    ("text", "letters", "expected"),
    [
        ("Lũ ở TP. Hồ Chí Minh", 9, ("Lũ ở", "TP. Hồ", "Chí Minh")),
        ("Theo tin UBND xã Mường Lống", 16, ("Theo tin", "UBND xã Mường", "Lống")),
        ("Lũ về xã Mường", 8, ("Lũ về", "xã Mường")),
        ("A xã Mường", 6, ("A xã", "Mường")),
    ],
)
def test_a_place_prefix_ends_a_line_only_if_the_line_would_be_half_empty(
    text: str, letters: int, expected: tuple[str, ...]
) -> None:
    assert wrap(text, letters * 10, ten) == expected


@pytest.mark.parametrize(
    ("text", "letters", "expected"),
    [
        ("Xin chào !", 8, ("Xin", "chào !")),
        ("Họp ( mai )", 5, ("Họp", "( mai", ")")),
        ("Họp ( mai )", 7, ("Họp", "( mai )")),
        ("Hà Nội – Huế", 7, ("Hà", "Nội –", "Huế")),
        ("- mai họp", 5, ("- mai", "họp")),
        ("Coi chừng ⚠ lũ", 10, ("Coi chừng", "⚠ lũ")),
    ],
)
def test_signs_stay_with_the_word_they_belong_to(text: str, letters: int, expected: tuple[str, ...]) -> None:
    assert wrap(text, letters * 10, ten) == expected


@given(st.text(st.sampled_from("国人民，。！？：；（）《》、"), max_size=40), st.integers(2, 9))
def test_chinese_lines_start_with_no_closing_sign_where_it_can_be_helped(text: str, letters: int) -> None:
    lines = wrap(text, letters * 10, ten)
    for before, line in pairwise(lines):
        if line[0] in "，。！？：；）》、":
            assert ten(before) == letters * 10 or all(c in "，。！？：；）》、（《" for c in before[1:])


def test_chinese_is_broken_between_characters_but_not_before_a_full_stop() -> None:
    assert wrap("全体村民注意防火。", 80, ten) == ("全体村民注意防", "火。")
    assert wrap("通知（非常重要）", 30, ten) == ("通知", "（非常", "重要）")
    assert wrap("2026年11月12日", 80, ten) == ("2026年11月", "12日")


def test_scripts_without_spaces_break_at_spaces_and_zero_width_spaces_first() -> None:
    assert wrap("ភាសា\u200bខ្មែរ", 40, ten) == ("ភាសា", "ខ្មែរ")
    assert wrap("ກກກ ຂຂຂຂ", 50, ten) == ("ກກກ", "ຂຂຂຂ")


@given(st.text(st.sampled_from("កខគ្ត\u17b6\u17c6เกิ้ทีำະກີ້ຳꪀꪰꪼ"), min_size=1, max_size=60), st.integers(10, 60))
def test_a_long_run_without_spaces_is_cut_only_between_clusters(text: str, width: int) -> None:
    cleaned = clean(text).text
    parts = [part for line in wrap(cleaned, width, ten) for part in clusters(line)]
    assert parts == [part for part in clusters(cleaned) if part.strip()]


def test_an_address_wider_than_the_line_is_cut_behind_its_signs() -> None:
    lines = wrap("Xem https://xa.example.vn/thong-bao/2026", 200, ten)
    assert lines == ("Xem https://", "xa.example.vn/thong-", "bao/2026")


def test_hyphens_join_words_and_numbers_differently() -> None:
    assert wrap("Dịch COVID-19", 100, ten) == ("Dịch", "COVID-19")
    assert wrap("Bắc–Nam", 50, ten) == ("Bắc–", "Nam")


def test_empty_lines_and_spaces_take_no_room() -> None:
    assert wrap("", 100, ten) == ()
    assert wrap(" \n\n a  b \n", 100, ten) == ("a  b",)


def test_a_headline_is_balanced() -> None:
    text = "Thông báo lịch tiêm chủng tháng này"
    assert wrap(text, 300, ten) == ("Thông báo lịch tiêm chủng", "tháng này")
    assert wrap(text, 300, ten, balance=True) == ("Thông báo lịch tiêm", "chủng tháng này")


@pytest.mark.parametrize(
    "piece",
    ["a", "thông báo ", "17 giờ ", "乡", "ក្ត", "http://a/", "! ", "( ", "xã ", "- ", "\n", "1 ", "เ", "a-b"],
)
@pytest.mark.parametrize("width", [1, 300, 1e9])
def test_time_grows_with_the_text_not_with_its_square(piece: str, width: float) -> None:
    def seconds(length: int) -> float:
        text = (piece * length)[:length]
        before = time.process_time()
        wrap(text, width, lambda part: 10.0 * len(part))
        return time.process_time() - before

    assert seconds(20_000) < max(0.3, 20 * seconds(2_000))


@given(
    st.lists(
        st.sampled_from(MIXED.split(" ")),
        max_size=12,
    ),
    st.integers(20, 200),
)
@settings(max_examples=60, deadline=None)
def test_lines_of_mixed_scripts_that_shrink_to_fit_are_not_too_wide(words: list[str], width: int) -> None:
    text = clean(" ".join(words)).text
    lines = wrap(text, width, lambda part: TYPE.width(part, 24))
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(TYPE.width(line, 24) <= width or len(list(clusters(line))) == 1 for line in lines)


def test_a_real_page_is_wrapped_with_real_fonts_within_the_width() -> None:
    text = (
        "UBND xã Mường Lống thông báo: từ 17 giờ 30 phút ngày 12/11/2026, cắt điện ភាសាខ្មែរ 乡人民政府通知 "
        * 20
    )
    lines = wrap(clean(text).text, 180, lambda part: TYPE.width(part, 16))
    assert len(lines) > 50
    assert all(TYPE.width(line, 16) <= 180 for line in lines)
