from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import pytest

from agent.model.rrule import parse_rule
from server.api.models import CodeRequest, PublishRequest
from server.api.route import check
from server.drafts import ScheduleDraft
from server.problems import Problem, RefusedError
from server.reasons import Phrase, broken_rule

ENGLISH = re.compile(
    r"\b(is|not|should|must|required|permitted|Input|Value|Invalid|at least|at most|match\w*|List|String)\b"
)
RULE = "programmes[0].recurrences[0].rrule"
START = datetime.fromisoformat("2026-11-01T05:00:00")


def a_draft(**changes: Any) -> dict[str, Any]:
    programme: dict[str, Any] = {
        "id": "sang",
        "title": "Sáng",
        "items": [{"media": "a" * 64}],
        "recurrences": [{"start": "2026-11-01T05:00:00", "rrule": "FREQ=DAILY"}],
    }
    return {"id": "lich", "programmes": [{**programme, **changes}]}


def without(name: str) -> dict[str, Any]:
    draft = a_draft()
    del draft["programmes"][0][name]
    return draft


def refusal(model: Any, data: bytes) -> RefusedError:
    with pytest.raises(RefusedError) as refused:
        check(model, data)
    return refused.value


def recurring(**changes: Any) -> dict[str, Any]:
    return a_draft(recurrences=[{"start": "2026-11-01T05:00:00", **changes}])


CASES: list[tuple[Any, Any, str, str]] = [
    (ScheduleDraft, without("title"), "programmes[0].title", "Thiếu trường"),
    (ScheduleDraft, a_draft(titel="x"), "programmes[0].titel", "Không có trường nào tên"),
    (ScheduleDraft, a_draft(id="Sáng"), "programmes[0].id", "chữ thường a-z"),
    (ScheduleDraft, a_draft(title="x" * 301), "programmes[0].title", "300 ký tự"),
    (ScheduleDraft, a_draft(title="x\x07"), "programmes[0].title", "ký tự điều khiển"),
    (ScheduleDraft, a_draft(title=5), "programmes[0].title", "phải là chữ"),
    (ScheduleDraft, a_draft(items=[]), "programmes[0].items", "ít nhất 1 mục"),
    (ScheduleDraft, a_draft(items={}), "programmes[0].items", "phải là danh sách"),
    (ScheduleDraft, a_draft(items=["x"]), "programmes[0].items[0]", "nhóm trường"),
    (ScheduleDraft, a_draft(items=[{"media": "x"}]), "programmes[0].items[0].media", "sha256"),
    (ScheduleDraft, a_draft(**{"class": "loud"}), "programmes[0].class", "normal, priority"),
    (ScheduleDraft, a_draft(level="xã"), "programmes[0].level", "commune"),
    (ScheduleDraft, a_draft(valid_from="2026-11-01T05:00:00"), "programmes[0].valid_from", "+07:00"),
    (ScheduleDraft, recurring(start="at five"), "programmes[0].recurrences[0].start", "không phải là ngày"),
    (
        ScheduleDraft,
        recurring(start="2026-11-01T05:00:00+07:00"),
        "programmes[0].recurrences[0].start",
        "giờ địa phương",
    ),
    (ScheduleDraft, recurring(rrule="X"), RULE, "ít nhất 6 ký tự"),
    (ScheduleDraft, [], "body", "nhóm trường"),
    (CodeRequest, {"minutes": 0}, "minutes", "từ 1 trở lên"),
    (CodeRequest, {"minutes": 61}, "minutes", "không quá 60"),
    (CodeRequest, {"minutes": "soon"}, "minutes", "số nguyên"),
    (CodeRequest, {"minutes": 1.5}, "minutes", "số nguyên"),
    (CodeRequest, {"groups": ["Ấp 1"]}, "groups[0]", "Tên nhóm"),
    (CodeRequest, {"groups": ["a"] * 33}, "groups", "không quá 32 mục"),
    (PublishRequest, {"all": "maybe"}, "all", "true hoặc false"),
    (PublishRequest, {"devices": ["X"]}, "devices[0]", "Mã cụm loa"),
    (PublishRequest, {}, "body", "Chưa chọn cụm loa nào"),
]


@pytest.mark.parametrize(("model", "body", "field", "words"), CASES)
def test_a_wrong_field_is_explained_in_vietnamese_with_its_limit(
    model: Any, body: Any, field: str, words: str
) -> None:
    error = refusal(model, json.dumps(body).encode())
    assert (error.problem, error.field) == (Problem.INVALID, field)
    assert words in error.message["vi"]
    assert not ENGLISH.search(error.message["vi"]), error.message["vi"]
    assert "(" not in error.message["en"], error.message["en"]
    assert "{" not in error.message["vi"] + error.message["en"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"id": }', "dòng 1, cột 8"),
        (b"", "không phải là JSON"),
        (b'{"id": "\xff"}', "byte thứ 9"),
        (b"[" * 5000, "quá sâu"),
    ],
)
def test_what_is_not_json_is_said_of_the_body(data: bytes, words: str) -> None:
    error = refusal(ScheduleDraft, data)
    assert error.field == "body"
    assert words in error.message["vi"]
    assert not ENGLISH.search(error.message["vi"])


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "không có ngày giờ nào khớp"),
        ("FREQ=SOMETIMES", "không có FREQ=SOMETIMES; dùng một trong"),
        ("FREQ=DAILY;COUNT=99999999", "COUNT phải là số từ 1 đến"),
        ("FREQ=DAILY;BYHOUR=25", "BYHOUR phải là số từ 0 đến 23"),
        ("every day", "không có dạng"),
        ("BYHOUR=5", "thiếu FREQ"),
        ("FREQ=DAILY;BYEAR=5", "không có phần 'BYEAR'"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ được ghi hai lần"),
        ("FREQ=DAILY;COUNT=1;UNTIL=20271231", "COUNT hoặc UNTIL"),
        ("FREQ=DAILY;UNTIL=20201231", "UNTIL trước giờ bắt đầu"),
        ("FREQ=DAILY;UNTIL=soon", "UNTIL phải có dạng"),
        ("FREQ=WEEKLY;BYDAY=XX", "không phải là thứ trong tuần"),
        ("FREQ=MINUTELY;BYSECOND=0,10,20,30,40,50", "lần một ngày"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_in_vietnamese(rule: str, words: str) -> None:
    with pytest.raises(ValueError) as wrong:
        parse_rule(rule, START)
    vi = broken_rule(RULE, str(wrong.value)).text("vi")
    assert words in vi
    assert vi.startswith("Quy tắc lặp không dùng được (")
    assert vi.endswith(f"Hãy sửa trường “{RULE}”.")
    assert not ENGLISH.search(vi)


def test_a_rarer_problem_keeps_its_english_detail_in_brackets() -> None:
    assert "(BYWEEKNO needs FREQ=YEARLY)" in broken_rule(RULE, "BYWEEKNO needs FREQ=YEARLY").text("vi")
    assert "“programmes[0].items”" in broken_rule("programmes[0].items", "last longer than 4:00:00").text(
        "vi"
    )


def test_a_value_with_brackets_of_the_catalogue_stays_as_it_is() -> None:
    assert "{field}" in Phrase("wrong.other", {"field": "x", "detail": "{field}"}).text("vi")
