"""A preview is identical to what the board shows: file against worker, through the whole of both."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from agent.model.board import Facts, Look, Page, PageKind
from agent.signage.client import Setup, open_worker
from agent.signage.preview import Form, Show, preview
from agent.signage.preview_file import Wish
from agent.signage.screen import Face
from drivers.api import Colours

PAGES = (
    Page(
        "a",
        PageKind.BULLETIN,
        title="Tiêm phòng gia súc",
        text="Từ 7 giờ 30 thứ Ba.",
        source="UBND xã",
        dwell_s=60,
    ),
    Page(
        "b",
        PageKind.PAGE,
        title="Họp dân",
        text="ភាសាខ្មែរ 😀",
        picture="photo",
        qr="https://a.vn",
        dwell_s=60,
    ),
    Page("c", PageKind.EMERGENCY, title="LŨ QUÉT", event="flash_flood", dwell_s=60),
)


@pytest.mark.parametrize("colours", list(Colours))
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.kind.value)
async def test_a_preview_is_identical_to_a_screenshot_of_the_board(
    tmp_path: Path, colours: Colours, page: Page
) -> None:
    face = Face(192, 64, colours=colours)
    facts = Facts(station="Xã Mường Lống", clock_known=False)
    photo = tmp_path / "photo"
    Image.linear_gradient("L").convert("RGB").save(photo, "JPEG")
    options = {"width_px": 192, "height_px": 64, "colours": colours.value, "dir": str(tmp_path)}
    async with open_worker("test", Setup("simulated", options, face)) as board:
        await board.look(1, Look((page,)), facts, {"photo": photo})
        shot = await board.screenshot()
    wish = Wish((page,), face, facts, datetime(2026, 11, 22, tzinfo=UTC), None, {"photo": photo})
    show = Show(wish)
    halves = {show.still(show.screens[0], lit=lit).tobytes() for lit in (True, False)}  # a border may blink
    with Image.open(io.BytesIO(shot)) as shown, Image.open(io.BytesIO(preview(wish, Form.PNG).data)) as drawn:
        assert shown.convert("RGB").tobytes() in halves
        assert drawn.convert("RGB").tobytes() in halves
