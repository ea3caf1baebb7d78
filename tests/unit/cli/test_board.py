"""`loa board`: what it prints of an answer, and a preview that needs no agent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.cli.board import info_lines
from agent.cli.main import main
from agent.cli.words import Words

Captured = pytest.CaptureFixture[str]

BOARD: dict[str, Any] = {
    "board": "cho",
    "kind": "onbon",
    "width_px": 192,
    "height_px": 64,
    "shown": "Chợ phiên",
    "reason": "playlist",
    "since": "2026-11-23T05:00:00.000Z",
    "taken_until": "2026-11-24T05:00:00.000Z",
    "pattern": "grid",
    "pattern_until": "2026-11-23T05:10:00.000Z",
    "model": "BX-6E2",
    "firmware": "1.2",
    "brightness": 0.5,
    "temperature_c": 41.2,
    "sha256": "a" * 64,
    "dead_modules": ["1/2"],
    "detail": "late",
}


def lines(language: str = "vi", **more: Any) -> str:
    words = Words(language, 80)  # type: ignore[arg-type]  # one of the two languages
    return "\n".join(info_lines({"timezone": "Asia/Ho_Chi_Minh", "boards": [BOARD | more]}, words))


def test_everything_known_of_a_board_is_told_in_the_boxes_time() -> None:
    said = lines()
    for part in ("cho · onbon · 192 × 64 px", "Chợ phiên (trang của bảng)", "12:00:00 23/11", "BX-6E2 1.2",
                 "50 %", "41 °C", "1/2", "late", "grid → 12:10 23/11"):  # fmt: skip
        assert part in said


def test_a_board_that_does_not_answer_and_a_dark_one_are_not_the_same() -> None:
    assert "does not answer" in lines("en", shown=None)
    assert "dark (hours of darkness)" in lines("en", shown="", reason="off_hours")


def test_a_box_without_boards_says_so() -> None:
    assert info_lines({"boards": []}, Words("en", 80)) == ["The configuration names no board."]


def test_a_reason_of_a_newer_agent_is_shown_as_it_came() -> None:
    assert "(parade)" in lines(reason="parade")


PREVIEW = """
[board]
width_px = 96
height_px = 32

[[page]]
id = "chao"
title = "UBND xã Mường Lống"
"""


def test_a_preview_is_drawn_without_an_agent(tmp_path: Path, capsys: Captured) -> None:
    file, out = tmp_path / "trang.toml", tmp_path / "trang.png"
    file.write_text(PREVIEW, encoding="utf-8")
    assert main(["board", "preview", str(file), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["screens"] >= 1
    assert out.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("text", ["pages = 5", "[board", ""])
def test_a_file_that_cannot_be_drawn_is_refused_by_name(tmp_path: Path, capsys: Captured, text: str) -> None:
    file, out = tmp_path / "trang.toml", tmp_path / "trang.png"
    file.write_text(text, encoding="utf-8")
    assert main(["board", "preview", str(file), "--out", str(out), "--lang", "en"]) == 3
    assert "cannot be drawn" in capsys.readouterr().err
    assert not out.exists()


def test_without_an_agent_the_other_verbs_say_so(tmp_path: Path, capsys: Captured) -> None:
    for verb in (["info"], ["pattern", "grid"], ["screenshot"], ["module", "1", "1", "ok"], []):
        assert main(["board", *verb, *(["--socket", str(tmp_path / "x")] if verb else [])]) == 1
        assert capsys.readouterr().err
