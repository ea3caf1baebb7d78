from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.signage.layout import LINE_HEIGHT, MIN_FONT_PX, lay_out


def wide(text: str, size: int) -> float:
    """Every character is 0.6 of the size wide."""
    return len(text) * size * 0.6


def test_short_title_is_shown_as_large_as_it_fits() -> None:
    short = lay_out("Tin khẩn", 192, 64, wide)
    longer = lay_out("Lịch tiêm chủng cho trẻ em tại trạm y tế", 192, 64, wide)
    assert short.font_px > longer.font_px >= MIN_FONT_PX
    assert short.complete
    assert longer.complete


def test_text_is_brought_to_nfc_and_never_splits_a_word() -> None:
    laid = lay_out(unicodedata.normalize("NFD", "Thông báo tiêm chủng"), 192, 64, wide)
    shown = " ".join(line.text for line in laid.lines)
    assert shown == "Thông báo tiêm chủng"


def test_too_long_a_text_is_cut_with_a_mark_and_said_to_be_incomplete() -> None:
    laid = lay_out("rất dài " * 100, 192, 64, wide)
    assert not laid.complete
    assert laid.lines[-1].text.endswith("…")
    assert laid.font_px == MIN_FONT_PX


@pytest.mark.parametrize("text", ["", " \n\t ", "\u200b\u202e", "\x00\x1b[31m"])
def test_nothing_to_show_is_an_empty_or_harmless_screen(text: str) -> None:
    laid = lay_out(text, 192, 64, wide)
    assert all("\x1b" not in line.text and "\u202e" not in line.text for line in laid.lines)


@given(st.text(max_size=300), st.integers(64, 1920), st.integers(24, 1080))
def test_every_line_lies_on_the_board(text: str, width: int, height: int) -> None:
    laid = lay_out(text, width, height, wide)
    for line in laid.lines:
        assert line.x_px >= 0
        assert line.y_px >= -1
        assert line.y_px + laid.font_px * LINE_HEIGHT <= height + 2
        if laid.complete:
            assert line.x_px + wide(line.text, laid.font_px) <= width + 1
