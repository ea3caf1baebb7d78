"""The gallery of boards in docs/boards is what the code paints today."""

from __future__ import annotations

from tools import gallery
from tools.gallery_entries import ENTRIES


def test_the_gallery_is_up_to_date_or_make_gallery_has_to_be_run() -> None:
    assert gallery.outdated() == []


def test_the_gallery_stays_small() -> None:
    files = [path for path in gallery.FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 2_000_000


def test_every_picture_has_a_caption_in_vietnamese_and_english() -> None:
    for entry in ENTRIES:
        assert len(entry.vietnamese) > 10
        assert len(entry.english) > 10
        assert f"]({entry.name}.png)" in gallery.page()
