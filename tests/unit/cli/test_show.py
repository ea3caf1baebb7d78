"""What `loa` draws: readable on 80 columns, in the words of the catalogue, in the box's time zone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.cli.show import plan_lines, play_log_lines, status_lines
from agent.cli.words import Words, clean, columns
from agent.field.views import IssueView, to_json
from agent.model.text import Language
from tests.unit.field.builders import NOW, a_bare_status, a_plan, a_play_log, a_status


def answer(view: object) -> dict[str, Any]:
    """The view as it arrives over the socket."""
    value = to_json(view)
    assert isinstance(value, dict)
    return dict(value)


def a_log() -> dict[str, Any]:
    return {"timezone": "Asia/Ho_Chi_Minh", "entries": to_json(a_play_log())}


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize("width", [80, 100])
def test_nothing_is_wider_than_the_terminal(language: Language, width: int) -> None:
    words = Words(language, width)
    for lines in (
        status_lines(answer(a_status()), words),
        status_lines(answer(a_bare_status()), words),
        plan_lines(answer(a_plan()), words),
        play_log_lines(a_log(), words),
    ):
        assert [line for line in lines if columns(line) > width] == []


def test_the_status_of_a_box_on_air_tells_plan_measurement_and_fault() -> None:
    shown = "\n".join(status_lines(answer(a_status()), Words("vi")))
    assert "05:05:00 23/11/2026 · đã đồng bộ, lệch không quá 12 ms" in shown
    assert "Đang phát: Bản tin sáng — Lịch tiêm chủng (01:23)" in shown
    assert "Đầu ra: có tiếng (−18,2 dBFS) · Tăng âm: bật · Đường dây loa: im lặng" in shown
    assert "TL-513 · main · từ 05:01 23/11" in shown
    assert "Tăng âm đang phát nhưng đường dây loa không có tiếng." in shown
    assert "→ Việc cần làm: Kiểm tra tăng âm" in shown
    assert "còn trống 11,0 GB trên 14,0 GB" in shown


def test_what_nothing_measures_is_said_to_be_unmeasured() -> None:
    shown = "\n".join(status_lines(answer(a_bare_status()), Words("vi")))
    assert "Nguồn điện:         không đo" in shown
    assert "Tăng âm: không đo · Đường dây loa: không đo" in shown
    assert "Không phát: chưa có lịch phát" in shown
    assert "Không có sự cố." in shown


def test_a_refusal_in_the_detail_is_put_into_words() -> None:
    issue = IssueView("TL-801", "", NOW, "bad_signature: order 01J")
    shown = "\n".join(status_lines(answer(replace(a_status(), issues=(issue,))), Words("vi")))
    assert "Chi tiết: chữ ký không đúng: order 01J" in shown


def test_the_plan_tells_what_lacks_its_file_and_what_was_missed() -> None:
    lines = plan_lines(answer(a_plan()), Words("vi"))
    late = next(line for line in lines if "18:05:00–18:08" in line)
    assert late.endswith("ưu tiên       thiếu")
    assert "…" in late
    assert any("Tiếp âm VOV: cụm loa không hoạt động lúc đến giờ phát" in line for line in lines)
    assert "  Không có lượt phát nào." in lines


def test_the_play_log_says_verdicts_in_words() -> None:
    lines = play_log_lines(a_log(), Words("vi"))
    assert lines[1] == "23/11 05:00:00  +0,12 s  main  Bản tin sáng  01:19/01:30  đã nghe thấy"
    assert "đường dây loa có tiếng 01:18 trong 01:19" in lines[3]
    assert lines[4].endswith("bỏ lỡ")
    assert lines[5] == "    Lý do: đồng hồ của cụm loa chưa đáng tin"
    assert lines[6].endswith("đang phát"), "an airing that goes on has no verdict yet"


def test_an_empty_play_log_says_so() -> None:
    assert play_log_lines({"entries": []}, Words("vi")) == ["Chưa có lượt phát nào trong nhật ký."]


def test_an_answer_of_another_version_is_shown_as_far_as_it_is_understood() -> None:
    strange = {
        "timezone": "Mars/Olympus",
        "zones": [{"zone": "main", "reason": "solar_storm", "future": 1}],
        "source": {"state": "by_pigeon"},
        "issues": [{"code": "TL-999"}],
    }
    shown = "\n".join(status_lines(strange, Words("vi")))
    assert "solar_storm" in shown
    assert "by_pigeon" in shown
    assert "TL-999" in shown
    assert plan_lines({}, Words("vi"))
    assert play_log_lines({"entries": [{}]}, Words("vi"))


def test_text_from_outside_cannot_steer_the_terminal() -> None:
    assert clean({"title": ["a\x1b[2Jb\n\u202ec"]}) == {"title": ["a?[2Jb??c"]}
    assert clean("Tiê\u0301ng") == "Tiếng"


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1,5 KB"), (5 << 20, "5,0 MB"), (3 << 40, "3072,0 GB")],
)
def test_sizes_have_a_unit(size_bytes: int, expected: str) -> None:
    assert Words("vi").size(size_bytes) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (59, "59 giây"),
        (60, "1 phút 0 giây"),
        (3600, "1 giờ 0 phút"),
        (86_399, "23 giờ 59 phút"),
        (90_000, "1 ngày 1 giờ"),
    ],
)
def test_lengths_are_told_in_two_units(seconds: float, expected: str) -> None:
    assert Words("vi").length(seconds) == expected
