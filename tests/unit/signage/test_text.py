from __future__ import annotations

import time
import tracemalloc
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uniseg.graphemecluster import grapheme_clusters

from agent.signage.text import MAX_CLUSTER, MAX_MARKS, Cleaned, clean, clusters

ANY_TEXT = st.text(st.characters(), max_size=80)
"""Every code point, unpaired surrogates too."""

NASTY = st.text(
    st.sampled_from(
        "aếơ\u0301\u0306\u0323\u0344\u0e49ក្ត\u17c6เก\u0e33\u200b\u200c\u200d\u202e\u2066\ufe0f\U000e0041\ue000\ud83d\ude00 \n\t\r\u2029\u00a0\x00한ᄒ\u1161ᆫ"
    ),
    max_size=60,
)


@given(ANY_TEXT | NASTY)
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    once = clean(text, 50).text
    assert clean(once, 50).text == once


@given(ANY_TEXT | NASTY)
def test_cleaned_text_is_nfc_short_and_free_of_what_steers_other_text(text: str) -> None:
    cleaned = clean(text, 50).text
    assert len(cleaned) <= 50
    assert unicodedata.is_normalized("NFC", cleaned)
    for char in cleaned:
        category = unicodedata.category(char)
        assert category not in {"Cs", "Cc", "Zl", "Zp"} or char == "\n"
        assert category != "Cf" or char in "\u200b\u200c\u200d"
    assert "  " not in cleaned
    assert "\n\n\n" not in cleaned
    cleaned.encode()


@given(ANY_TEXT | NASTY)
def test_nothing_visible_is_lost_from_short_text_unless_marks_were_heaped(text: str) -> None:
    cleaned = clean(text)
    if "marks" in cleaned.complaints:
        return
    before = [char for char in unicodedata.normalize("NFD", text) if unicodedata.category(char)[0] in "LNPS"]
    hidden = set("\u115f\u1160\u3164\uffa0")
    after = unicodedata.normalize("NFD", cleaned.text)
    assert [c for c in before if c not in hidden] == [
        c for c in after if unicodedata.category(c)[0] in "LNPS"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tie\u0302\u0301ng La\u0300ng", Cleaned("Tiếng Làng")),
        ("a\u202eb\u2066c\u061c", Cleaned("abc", ("bidi",))),
        ("a\x00b\x1bc\ufffe", Cleaned("abc", ("control",))),
        ("a\ud83db", Cleaned("ab", ("surrogate",))),
        ("Tiếng\u200b\u200dLàng\ufeff\u00ad\u2060", Cleaned("TiếngLàng", ("invisible",))),
        ("❤\ufe0f\U000e0067", Cleaned("❤", ("invisible",))),
        ("\ue000", Cleaned("\ue000", ("private_use",))),
        ("a\r\nb\u2028c\x85\n\n\nd", Cleaned("a\nb\nc\n\nd")),
        ("\ta\u3000\u2003b ", Cleaned("a b")),
        ("17\u00a0giờ", Cleaned("17\u00a0giờ")),
        ("a" + "\u0301" * 9, Cleaned("á" + "\u0301" * (MAX_MARKS - 1), ("marks",))),
        ("", Cleaned("")),
    ],
)
def test_text_is_cleaned_and_the_reason_given(text: str, expected: Cleaned) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    "text", ["ភាសា\u200bខ្មែរ", "ស៊\u200cី", "ພາ\u200bສາ", "ภา\u200bษา", "ꪼꪕ\u200bꪼꪕ", "က\u200dခ"]
)
def test_joiners_stay_between_letters_of_scripts_that_need_them(text: str) -> None:
    assert clean(text) == Cleaned(text)


@pytest.mark.parametrize(
    "text", ["\u200bខ", "ខ\u200b", "ខ\u200ba", "a\u200cខ", "ខ \u200bខ", "ខ\u200b\u200bខ"]
)
def test_joiners_that_join_nothing_are_dropped(text: str) -> None:
    cleaned = clean(text)
    assert cleaned.text.count("\u200b") <= (1 if text == "ខ\u200b\u200bខ" else 0)
    assert "\u200c" not in cleaned.text
    assert cleaned.complaints == ("invisible",)


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "\u200b",
        "\u202e",
        "\u0301\u0323",
        "a\u0301\u0323\u0302",
        "ក្ត\u200b",
        "\n",
        " ",
        "\ud800",
        "\U0001f600",
        "ᄒ",
        "\u0344",
    ],
)
def test_a_megabyte_of_anything_is_cleaned_in_bounded_time(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    before = time.process_time()
    cleaned = clean(text)
    assert time.process_time() - before < 1.5
    assert len(cleaned.text) <= 20_000
    assert "cut" in cleaned.complaints


def test_a_megabyte_is_cleaned_in_bounded_memory() -> None:
    text = "a\u0301\u202e" * 333_333
    tracemalloc.start()
    clean(text)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 6_000_000


def test_long_text_is_cut_between_letters_not_between_a_letter_and_its_marks() -> None:
    assert clean("ক" * 9 + "ơ\u0306" + "b" * 90, 10) == Cleaned("ক" * 9, ("cut",))
    assert clean("xin chào bà con", 9) == Cleaned("xin chào", ("cut",))


@given(NASTY | ANY_TEXT)
def test_clusters_are_whole_and_never_finer_than_unicode_says(text: str) -> None:
    cleaned = clean(text).text
    ours = list(clusters(cleaned))
    assert "".join(ours) == cleaned
    assert all(1 <= len(cluster) <= MAX_CLUSTER for cluster in ours)


@given(st.text(st.sampled_from("aếĐơư\u0306\u0323កខគ្ត\u17b6\u17c6\u17d0เกิ้ทีำະກີ້ຳꪀꪰ꪿ꪼꨆꨯꨱꩃ乡国， 1.한"), max_size=40))
def test_clusters_end_only_where_unicode_lets_them(text: str) -> None:
    """uniseg is the reference for Unicode annex 29; ours may keep more together, never less."""
    cleaned = clean(text).text
    assert _ends(clusters(cleaned)) <= _ends(grapheme_clusters(cleaned))


def _ends(parts: object) -> set[int]:
    ends, at = set(), 0
    for part in parts:  # type: ignore[attr-defined]  # any iterable of texts
        at += len(part)
        ends.add(at)
    return ends


def test_letters_of_scripts_without_spaces_stay_with_what_belongs_to_them() -> None:
    assert list(clusters("ខ្មែរ")) == ["ខ្មែ", "រ"]
    assert list(clusters("ស្ត្រី")) == ["ស្ត្រី"]
    assert list(clusters("ເຊົ້າ")) == ["ເຊົ້າ"]
    assert list(clusters("ลำปาง")) == ["ลำ", "ปา", "ง"]
    assert list(clusters("ꪼꪕ")) == ["ꪼꪕ"]
    assert list(clusters("ổ ơ\u0306")) == ["ổ", " ", "ơ\u0306"]
