from __future__ import annotations

import unicodedata

import pytest

from server.media.speech import spoken_text


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("UBND xã họp", "Ủy ban nhân dân xã họp"),
        ("Xem https://tanloc.gov.vn/tin?id=1 nhé", "Xem nhé"),
        ("Xem www.x.vn hay tanloc.camau.gov.vn/a", "Xem hay"),
        ("TP. Cà Mau", "thành phố Cà Mau"),
        ("giá 1.500 đồng, ngày 3.11.2026", "giá 1.500 đồng, ngày 3.11.2026"),
    ],
)
def test_what_is_read_out(text: str, spoken: str) -> None:
    assert spoken_text(text, "vi") == spoken


def test_text_is_composed_before_it_is_spoken() -> None:
    assert spoken_text(unicodedata.normalize("NFD", "Tiếng Việt"), "vi") == "Tiếng Việt"


def test_english_keeps_its_abbreviations() -> None:
    assert spoken_text("QL 1", "en") == "QL 1"
