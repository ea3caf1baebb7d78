"""Views as JSON."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from agent.field.views import IssueView, issue_view, play_log_entry, to_json
from agent.model.bulletin import ClockTrust
from agent.model.issue import Fault, Issue
from agent.model.report import CutReason, Verdict
from tests.unit.field.builders import NOW, a_bare_status, a_plan, a_play_log, a_record, a_status


def plain(view: object) -> Any:
    """The view after a trip through JSON, which must not change it."""
    value = to_json(view)
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    return value


def test_a_status_survives_json_with_moments_in_utc_and_codes_by_value() -> None:
    status = plain(a_status())
    assert status["clock"] == {
        "now": "2026-11-22T22:05:00.000Z",
        "trust": "synchronised",
        "error_ms": 12.0,
    }
    assert status["zones"][0]["on_air"]["title"] == "Bản tin sáng"
    assert status["zones"][0]["amplifier"] == {"powered": True, "muted": False, "fault": None}
    assert status["issues"][0]["code"] == "TL-513"


def test_what_is_not_measured_is_null() -> None:
    status = plain(a_bare_status())
    assert status["mains"] is None
    assert status["storage"] is None
    assert status["zones"][0]["line_active"] is None
    assert status["zones"][0]["output_rms_dbfs"] is None


def test_plan_and_play_log_survive_json() -> None:
    assert plain(a_plan())["zones"][0]["missed"][0]["reason"] == "box_off"
    assert [entry["verdict"] for entry in plain(a_play_log())] == ["heard", "missed", "unknown"]


def test_a_moment_of_another_zone_is_told_in_utc() -> None:
    vietnam = timezone(timedelta(hours=7))
    assert to_json(datetime(2026, 11, 23, 5, 5, tzinfo=vietnam)) == "2026-11-22T22:05:00.000Z"


def test_clock_trust_is_told_by_name_not_by_rank() -> None:
    assert to_json(ClockTrust.RTC) == "rtc"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_level_that_is_no_number_is_no_measurement(value: float) -> None:
    assert to_json(value) is None


@pytest.mark.parametrize("value", [object(), b"bytes", {1: 2}, a_status])
def test_what_is_not_a_view_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        to_json(value)


def test_the_play_log_tells_first_sound_end_and_cuts_of_a_record() -> None:
    entry = play_log_entry(a_record())
    assert entry.first_sound == NOW - timedelta(minutes=5) + timedelta(milliseconds=120)
    assert entry.ended == NOW - timedelta(minutes=5) + timedelta(seconds=90)
    assert entry.played_ms == 79_880
    assert entry.cuts == (CutReason.RESTART,)
    assert entry.verdict is Verdict.HEARD


def test_an_issue_is_shown_by_its_number() -> None:
    issue = Issue(Fault.LINE_SILENT, "main", NOW, "x")
    assert issue_view(issue) == IssueView("TL-513", "main", NOW, "x")
