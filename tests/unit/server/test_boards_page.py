"""The page of boards as HTML, without a browser."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest

from agent.model.text import Language, catalogue
from agent.wire.reports import BoardHealth, Health, IssueReport
from server.boards import BoardState
from server.console.boards_page import SIZES, Wall, now, whole
from server.console.words import Words
from server.fleet import Box
from server.store.devices import Device
from server.store.settings import Setting

NOW = datetime(2026, 11, 21, 22, 10, tzinfo=UTC)
SHA = "a" * 64
EVIL = "<img src=x onerror=alert(1)>\"'"


def a_state(
    *, online: bool = True, takeover: str | None = None, thumbnail: bool = True, **board: Any
) -> BoardState:
    device = Device("box-aaaaaaaaaa", f"Loa {EVIL}", "", "", "tan-loc", "ca-mau", (), "", "", NOW)
    health = Health(boot_id="b", at=NOW, uptime_s=1, clock="rtc")
    said = BoardHealth.model_validate({"board": "cho", "sha256": SHA, **board})
    issues = (IssueReport(code="TL-601", subject=f"cho/{EVIL}", since=NOW),)
    box = Box(device, online, NOW - timedelta(minutes=3), health=health, health_at=NOW)
    return BoardState(box, said, NOW, issues, takeover, NOW if thumbnail else None)


def words(language: Language = "vi") -> Words:
    return Words(language, NOW)


@pytest.mark.parametrize("language", ["vi", "en"])
def test_what_people_and_boxes_wrote_is_never_html(language: Language) -> None:
    pages = Setting("board_pages", 3, [{"id": "a", "title": EVIL, "text": "</body>"}], EVIL, NOW)
    text = whole(words(language), EVIL, Wall([a_state(title=EVIL, model=EVIL)], [], pages), "x" * 8)
    assert "<img src=x" not in text
    assert "</body>" not in text[: text.rindex("</body>")]
    data = re.search(r'data-pages="([^"]*)"', text)
    assert data is not None
    assert json.loads(unescape(data[1]))["pages"][0]["title"] == EVIL


def test_a_card_says_what_is_shown_since_when_why_and_what_is_wrong() -> None:
    text = now(words(), [a_state(title="Chợ phiên", reason="playlist", since=NOW, brightness=0.4)], [])
    for said in ("Chợ phiên", "từ 05:10:00", "trang của bảng", "độ sáng 40%", "không trả lời", "TL-601"):
        assert said in text, said
    assert "/api/v1/boxes/box-aaaaaaaaaa/boards/cho/picture?at=" in text
    assert "hình lúc 05:10:00" in text


@pytest.mark.parametrize(
    ("board", "said"),
    [
        ({"mine": False}, "để cho chủ bảng"),
        ({"on": False}, "Đang tắt hình"),
        ({"lost": True}, "mất hình"),
        ({"foreign": True}, "không phải của xã"),
        ({"dead_modules": ("1/2", "3/4")}, "1/2, 3/4"),
    ],
)
def test_every_trouble_of_a_board_is_said_in_words(board: dict[str, Any], said: str) -> None:
    assert said in now(words(), [a_state(**board)], [])
    assert said not in now(words(), [a_state()], [])


def test_a_board_without_a_thumbnail_has_no_broken_picture() -> None:
    text = now(words(), [a_state(thumbnail=False)], [])
    assert "<img" not in text
    assert "chưa có hình" in text


def test_only_a_commercial_board_can_be_taken_and_only_a_taken_one_handed_back() -> None:
    assert "data-take" not in now(words(), [a_state()], [])
    assert "data-take" in now(words(), [a_state(mine=False)], [])
    taken = now(words(), [a_state(mine=True, takeover="01JGT0Q6T8M2Z6W3N5Y7X9C1D4")], [])
    assert 'data-end="01JGT0Q6T8M2Z6W3N5Y7X9C1D4"' in taken
    assert "data-take" not in taken


def test_a_silent_box_is_shown_as_last_heard_of() -> None:
    text = now(words(), [a_state(online=False, title="Chợ")], [])
    assert "mất kết nối" in text
    assert "tin gần nhất" in text


def test_a_station_without_boards_says_so_and_can_still_write_pages() -> None:
    text = whole(words(), "Tân Lộc", Wall(), "x" * 8)
    assert "Chưa có bảng nào" in text
    assert 'id="editor"' in text
    assert 'id="take"' not in text


@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_word_of_the_script_and_every_size_has_a_message(language: Language) -> None:
    text = whole(words(language), "Tân Lộc", Wall([a_state()]), "x" * 8)
    said = re.search(r'data-words="([^"]*)"', text)
    assert said is not None
    known = json.loads(unescape(said[1]))
    table = catalogue(language)
    names = {
        key.removeprefix("console.boards.said.") for key in table if key.startswith("console.boards.said.")
    }
    assert names <= set(known)
    assert {key for key in table if key.startswith("console.boards.size.")} == {
        f"console.boards.size.{size[0]}" for size in SIZES
    }


def test_scripts_styles_and_pictures_come_from_our_own_address_only() -> None:
    text = whole(words(), "Tân Lộc", Wall([a_state()]), "x" * 8)
    assert re.findall(r"<script(?![^>]*src=)", text) == []
    assert "style=" not in text
    assert [one for one in re.findall(r'(?:src|href)="([^"]*)"', text) if not one.startswith("/")] == []


def test_every_field_has_a_label() -> None:
    text = whole(words(), "Tân Lộc", Wall([a_state(), a_state(mine=False, board="b")]), "x" * 8)
    depth = 0
    for tag in re.findall(r"<(/?label|input|select|textarea)\b", text):
        depth += {"label": 1, "/label": -1}.get(tag, 0)
        assert tag in {"label", "/label"} or depth == 1, tag
