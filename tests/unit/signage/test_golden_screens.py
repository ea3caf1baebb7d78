"""Whole screens, pixel by pixel: what people see on a board changes only on purpose.

`UPDATE_GOLDEN=1 pytest tests/unit/signage/test_golden_screens.py` paints them again; look at each one that changed.
"""

from __future__ import annotations

import io
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from agent.model.board import Facts, Page, PageKind
from agent.signage.preview import Form, Show, preview
from agent.signage.preview_file import Wish
from agent.signage.screen import Face
from drivers.api import Colours

GOLDEN = Path(__file__).parents[2] / "golden" / "screens"
PICTURE = Path(__file__).parents[3] / "docs" / "boards" / "examples" / "ruong-bac-thang.jpg"
NOW = datetime(2026, 11, 22, 10, 5, tzinfo=UTC)
FACTS = Facts(
    station="Xã Mường Lống",
    next_title="Thời sự",
    next_start=datetime(2026, 11, 22, 11, 0, tzinfo=UTC),
    weather="Mưa rào, 18-23 °C",
)

FACES = {
    "tiny": Face(64, 32, viewing_m=8),
    "p10": Face(192, 64),
    "mono": Face(192, 64, colours=Colours.MONO),
    "dual": Face(192, 64, colours=Colours.DUAL),
    "strip": Face(320, 32, colours=Colours.MONO),
    "long": Face(512, 128, pitch_mm=6, viewing_m=20),
    "still": Face(256, 96, moves=False),
    "upright": Face(160, 320, pitch_mm=5, viewing_m=10),
}
PAGES = {
    "idle": Page("idle", PageKind.IDLE),
    "page": Page(
        "page",
        PageKind.PAGE,
        title="Ngày hội Đại đoàn kết",
        text="Sáng Chủ nhật, 29/11, tại nhà văn hoá các bản.",
        picture="photo",
        qr="https://a.vn/1",
        ticker="Đăng ký đội thi trước thứ Sáu.",
    ),
    "bulletin": Page(
        "bulletin", PageKind.BULLETIN, title="Tiêm phòng", text="Từ 7 giờ 30 thứ Ba.", source="UBND xã"
    ),
    "emergency": Page(
        "emergency",
        PageKind.EMERGENCY,
        title="LŨ QUÉT",
        text="Rời nhà ngay, lên trường học.",
        event="flash_flood",
        source="UBND xã",
        issued=NOW,
    ),
    "live": Page("live", PageKind.LIVE, title="Chủ tịch xã nói chuyện"),
    "all_clear": Page(
        "all_clear", PageKind.ALL_CLEAR, title="Đã hết nguy hiểm", event="all_clear", issued=NOW
    ),
    "safe": Page("safe", PageKind.SAFE),
}


def wish(face: str, page: str) -> Wish:
    return Wish((PAGES[page],), FACES[face], FACTS, NOW, None, {"photo": PICTURE})


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("page", PAGES)
def test_a_screen_is_what_it_was(face: str, page: str) -> None:
    path = GOLDEN / f"{page}-{face}.png"
    drawn = preview(wish(face, page), Form.SHEET).data
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(drawn)
    with Image.open(path) as kept, Image.open(io.BytesIO(drawn)) as new:
        assert new.size == kept.size
        if new.convert("RGB").tobytes() != kept.convert("RGB").tobytes():
            place = Path(os.environ.get("TMPDIR", "/tmp")) / f"changed-{path.name}"
            new.save(place)
            pytest.fail(f"{path.name} looks different, see {place}")


@pytest.mark.parametrize("face", FACES)
def test_no_letter_touches_the_rim_of_the_board(face: str) -> None:
    size = FACES[face]
    for page in ("idle", "bulletin", "live"):
        show = Show(wish(face, page))
        for screen in show.screens:
            image = show.still(replace(screen, ticker=None))
            box = image.getbbox()
            assert box is not None
            assert box[0] >= 1
            assert box[2] <= size.width_px - 1


def test_no_golden_picture_is_left_over() -> None:
    known = {f"{page}-{face}.png" for page in PAGES for face in FACES}
    assert {path.name for path in GOLDEN.glob("*.png")} == known
