"""`loa why` and the verdict of `loa test`, as a technician reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.cli.trial import KINDS, result_lines, sample_lines
from agent.cli.why import why_lines
from agent.cli.words import Words, columns
from agent.field.findings import Finding, Measure, Outcome, SelfTestKind
from agent.field.views import WhyView, ZoneWhy, to_json
from agent.model.issue import Fault
from agent.model.text import Language
from tests.unit.field.builders import NOW, a_why
from tests.unit.field.doubles import BARE, LOUD, UNTIL


def as_answer(value: object) -> dict[str, Any]:
    found = to_json(value)
    assert isinstance(found, dict)
    return dict(found)


def shown(view: WhyView, language: Language = "vi") -> str:
    return "\n".join(why_lines(as_answer(view), Words(language, 100)))


def one_zone(zone: ZoneWhy) -> WhyView:
    return WhyView(NOW, "Asia/Ho_Chi_Minh", (zone,))


def test_it_says_what_is_on_air_since_when_and_what_had_to_give_way() -> None:
    text = shown(a_why())
    assert "Vùng phát main · Nhà văn hóa" in text
    assert "ĐANG PHÁT: Báo động lũ (khẩn cấp), từ 05:03:56, đã 1 phút 4 giây · đo được: có tiếng" in text
    assert "Bị ngắt để nhường: Bản tin sáng (chương trình theo lịch)" in text
    assert "Đang chờ: Tiếp âm VOV (phát trực tiếp): đang chờ nguồn phát trực tiếp" in text


def test_it_says_how_long_the_hours_last_and_whether_the_next_airing_can_start() -> None:
    text = shown(a_why())
    assert "Khung giờ: đang được phát, đến 05:30 23/11, còn 25 phút, mức tối đa −12,0 dBFS" in text
    assert (
        "Tiếp theo: 17:05 T2 23/11 Bản tin chiều, CHƯA phát được: đến giờ phát nhưng thiếu tệp âm thanh"
        in text
    )


def test_it_says_why_a_zone_is_silent_and_how_to_end_that() -> None:
    text = shown(a_why())
    assert "KHÔNG PHÁT: khóa an toàn vì có người đang sửa loa" in text
    assert "Khóa an toàn đến 05:35 23/11; mở khóa bằng: loa safety release" in text
    assert "Tạm dừng đến 05:10 23/11; phát lại bằng: loa resume" in text
    assert "ngoài giờ được phát, chỉ khẩn cấp mới phát, đến 17:00 23/11" in text


def test_a_zone_that_claims_to_play_but_is_silent_is_told_apart() -> None:
    zone = a_why().zones[0]
    assert "đo được: im lặng" in shown(one_zone(replace(zone, sounding=False)))
    assert "không đo" in shown(one_zone(replace(zone, sounding=None)))


def test_a_bare_zone_is_explained_too() -> None:
    text = shown(one_zone(ZoneWhy("main", "", "no_schedule")))
    assert "KHÔNG PHÁT: chưa có lịch phát" in text
    assert "xã chưa đặt" in text
    assert "không có lượt phát nào" in text
    assert why_lines({}, Words("vi")) == ["Tệp cấu hình chưa khai báo vùng phát nào."]


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize("width", [40, 80])
def test_nothing_is_wider_than_the_terminal(language: Language, width: int) -> None:
    words = Words(language, width)
    assert [line for line in why_lines(as_answer(a_why()), words) if columns(line) > width] == []


# --- verdicts ------------------------------------------------------------------------------------


def test_the_command_knows_every_test_of_the_box() -> None:
    assert set(KINDS) == {one.value for one in SelfTestKind}


def test_a_failed_test_tells_values_and_the_first_thing_to_do() -> None:
    finding = Finding(
        SelfTestKind.LINE,
        "main",
        Outcome.FAILED,
        "line_open",
        Fault.LINE_OPEN,
        (
            Measure("amps_before", 0.25, "A"),
            Measure("line_during", value=True),
            Measure("output", -15.04, "dBFS"),
        ),
    )
    text = "\n".join(result_lines(as_answer(finding), Words("vi", 100)))
    assert "Thử đường dây loa · main: KHÔNG ĐẠT" in text
    assert "Dòng điện ra loa quá nhỏ" in text
    assert "- Dòng điện khi chưa phát: 0,25 A" in text
    assert "- Đường dây có tiếng khi phát: có" in text
    assert "- Mức ra của card âm thanh: −15,0 dBFS" in text
    assert "→ Việc cần làm: Kiểm tra dây từ tăng âm ra từng loa" in text
    assert "(TL-515)" in text


def test_a_refused_test_says_what_is_on_air_and_when_to_come_back() -> None:
    finding = Finding(
        SelfTestKind.TONE, "main", Outcome.REFUSED, "busy_on_air", title="Bản tin sáng", until=UNTIL
    )
    text = "\n".join(result_lines(as_answer(finding), Words("en", 100).in_zone("Asia/Ho_Chi_Minh")))
    assert "Horn test: 1 kHz · main: NOT TESTED" in text
    assert "cannot be tested. (Bản tin sáng) Try again after 05:35:00." in text
    assert "loa stop" in text


def test_progress_shows_only_what_is_measured() -> None:
    words = Words("vi", 200)
    assert sample_lines(as_answer(BARE), words) == ["  không đo"]
    (line,) = sample_lines(as_answer(LOUD), words)
    assert "Mức ra của card âm thanh −15,0 dBFS" in line
    assert "Điện áp nguồn tăng âm 24,00 V" in line
