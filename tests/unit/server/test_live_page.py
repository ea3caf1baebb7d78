"""The page on which an officer speaks, as HTML and headers."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest

import server.console.live as live_page
from agent.model.text import Language
from server.console.live import whole
from server.console.words import Words
from server.live.session import EndReason
from server.store.devices import Device

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SCRIPT = (Path(live_page.__file__).parent / "static/live.js").read_text(encoding="utf-8")


def a_page(language: Language = "vi", *names: str) -> str:
    boxes = [
        Device(f"box-{n:010}", name, "", "", "", "", (f"ap-{n}",), "", "", NOW)
        for n, name in enumerate(names)
    ]
    return whole(Words(language, NOW), "Đài <Tân Lộc>", boxes, 'csrf"token')


def words_of(html: str) -> dict[str, str]:
    found = re.search(r'data-words="([^"]*)"', html)
    assert found is not None
    return dict(json.loads(unescape(found[1])))


def test_names_from_outside_cannot_become_html() -> None:
    html = a_page("vi", "Loa <ấp> 1")
    assert "<ấp>" not in html
    assert "<Tân" not in html
    assert "Loa &lt;ấp&gt; 1" in html
    assert 'content="csrf&quot;token"' in html


def test_an_officer_may_speak_to_all_to_a_group_or_to_one_box() -> None:
    html = a_page("vi", "Loa ấp 1", "Loa ấp 2")
    chosen = re.findall(r'<option value="([^"]+)"', html)
    assert chosen[:5] == ["all", "group:ap-0", "group:ap-1", "box:box-0000000000", "box:box-0000000001"]
    assert '<option value="10" selected>10 phút' in html


def test_without_boxes_there_is_no_button() -> None:
    html = a_page("vi")
    assert 'id="talk"' not in html
    assert "Chưa có cụm loa nào" in html


@pytest.mark.parametrize("language", ["vi", "en"])
def test_the_page_carries_every_text_its_script_says(language: Language) -> None:
    words = words_of(a_page(language, "Loa"))
    said = set(re.findall(r"words\.(\w+)", SCRIPT))
    said |= set(re.findall(r'(?:show|warn|finish)\("([\w.]*\w)"', SCRIPT))
    assert {"start", "lost", "ended.replaced"} <= said, "the search itself is broken"
    assert said - words.keys() == set()
    assert {f"ended.{one}" for one in EndReason} <= words.keys()


def test_only_this_page_may_use_the_microphone_and_only_its_own_server() -> None:
    headers = live_page._headers("loa.tanloc.vn:8443")
    assert "microphone=(self)" in headers["Permissions-Policy"]
    assert headers["Content-Security-Policy"].endswith(
        "connect-src 'self' ws://loa.tanloc.vn:8443 wss://loa.tanloc.vn:8443"
    )
    assert "evil" not in live_page._headers("x; script-src evil")["Content-Security-Policy"]
