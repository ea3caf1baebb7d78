"""What the local API refuses, and how it names what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from agent.field.findings import SelfTestKind
from agent.field.requests import (
    CONTROLS,
    ControlRequest,
    RequestError,
    SafetyRequest,
    SelfTestRequest,
    board_request,
    control_request,
    priority_request,
    read_body,
    safety_request,
    self_test_request,
)
from agent.model.text import catalogue

ZONES = ("main", "east")
DEEP = b"[" * 100_000


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b'{"a": NaN}', b"\xff", DEEP])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        read_body(body)
    assert refused.value.code == "not_json"


READERS: dict[str, Any] = {
    "safety": safety_request,
    "control": control_request,
    "test": self_test_request,
    "priorities": lambda body, _zones: priority_request(body, ("p1", "p2")),
}


@pytest.mark.parametrize(
    ("reader", "body", "code", "field"),
    [
        ("safety", {}, "missing", "action"),
        ("safety", {"action": "dance"}, "choice", "action"),
        ("safety", {"action": ["stop"]}, "choice", "action"),
        ("safety", {"action": "stop", "minuts": 5}, "unknown_field", "minuts"),
        ("safety", {"action": "stop", "minutes": 0}, "out_of_range", "minutes"),
        ("safety", {"action": "stop", "minutes": 241}, "out_of_range", "minutes"),
        ("safety", {"action": "stop", "minutes": 1.5}, "wrong_type", "minutes"),
        ("safety", {"action": "stop", "minutes": True}, "wrong_type", "minutes"),
        ("safety", {"action": "stop", "minutes": "30"}, "wrong_type", "minutes"),
        ("safety", {"action": "stop", "zones": "main"}, "wrong_type", "zones"),
        ("safety", {"action": "stop", "zones": [1]}, "wrong_type", "zones"),
        ("safety", {"action": "stop", "zones": ["west"]}, "unknown_zone", "zones"),
        ("safety", {"action": "release", "minutes": 5}, "unknown_field", "minutes"),
        ("control", {"action": "volume", "volume_db": 0}, "missing", "zone"),
        ("control", {"action": "volume", "zone": "main"}, "missing", "volume_db"),
        ("control", {"action": "volume", "zone": "main", "volume_db": 6.1}, "out_of_range", "volume_db"),
        ("control", {"action": "volume", "zone": "main", "volume_db": "-6"}, "wrong_type", "volume_db"),
        ("control", {"action": "stop", "zone": "west"}, "unknown_zone", "zone"),
        ("control", {"action": "stop", "zone": None}, "wrong_type", "zone"),
        ("control", {"action": "stop", "minutes": 5}, "unknown_field", "minutes"),
        ("control", {"action": "pause", "minutes": 1000}, "out_of_range", "minutes"),
        ("control", {"action": "reboot", "zone": "main"}, "unknown_field", "zone"),
        ("test", {"kind": "tone"}, "missing", "zone"),
        ("test", {"kind": "horn", "zone": "main"}, "choice", "kind"),
        ("test", {"kind": "tone", "zone": "west"}, "unknown_zone", "zone"),
        ("test", {"kind": "tone", "zone": "main", "loud": 1}, "unknown_field", "loud"),
        ("priorities", {}, "missing", "ids"),
        ("priorities", {"ids": "p1"}, "wrong_type", "ids"),
        ("priorities", {"ids": ["p1", "p3"]}, "choice", "ids[1]"),
        ("priorities", {"ids": ["p1", 2]}, "choice", "ids[1]"),
        ("priorities", {"ids": ["p1", "p1"]}, "twice", "ids"),
        ("priorities", {"ids": ["p1"] * 201}, "out_of_range", "ids"),
    ],
)
def test_a_wrong_request_names_the_field(reader: str, body: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(RequestError) as refused:
        READERS[reader](body, ZONES)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert f"cli.refused.{code}" in catalogue("vi")


def test_no_zone_means_all_of_them() -> None:
    assert safety_request({"action": "stop"}, ZONES) == SafetyRequest("stop", ZONES, 30)
    assert control_request({"action": "stop"}, ZONES) == ControlRequest("stop", ZONES)
    assert control_request({"action": "pause", "zone": "east", "minutes": 5}, ZONES) == ControlRequest(
        "pause", ("east",), minutes=5
    )
    assert safety_request({"action": "release", "zones": ["east", "east"]}, ZONES).zones == ("east",)


def test_every_control_can_be_asked_for() -> None:
    for action in CONTROLS - {"reboot", "volume"}:
        assert control_request({"action": action, "zone": "main"}, ZONES).zones == ("main",)
    assert control_request({"action": "reboot"}, ZONES) == ControlRequest("reboot", ())
    volume = control_request({"action": "volume", "zone": "main", "volume_db": -40}, ZONES)
    assert volume == ControlRequest("volume", ("main",), volume_db=-40.0)


def test_the_zone_of_a_test_may_be_left_out_where_there_is_only_one() -> None:
    assert self_test_request({"kind": "amp"}, ("main",)) == SelfTestRequest(SelfTestKind.AMP, "main")
    assert self_test_request({"kind": "clock"}, ZONES) == SelfTestRequest(SelfTestKind.CLOCK, "")


BOARDS = ("board", "cho")


def test_a_pattern_has_a_board_and_a_lease() -> None:
    asked = board_request({"action": "pattern", "board": "cho", "pattern": "grid"}, BOARDS)
    assert (asked.board, asked.pattern, asked.minutes) == ("cho", "grid", 10)
    assert board_request({"action": "end_pattern"}, ("board",)).board == "board"


def test_a_module_has_a_place_and_a_state() -> None:
    body = {"action": "module", "row": 2, "column": 3, "state": "dead"}
    asked = board_request(body, ("board",))
    assert (asked.row, asked.column, asked.dead) == (2, 3, True)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "missing", "action"),
        ({"action": "explode"}, "choice", "action"),
        ({"action": "pattern", "pattern": "grid"}, "missing", "board"),
        ({"action": "pattern", "board": "x", "pattern": "grid"}, "unknown_board", "board"),
        ({"action": "pattern", "board": 1, "pattern": "grid"}, "unknown_board", "board"),
        ({"action": "pattern", "board": "cho"}, "missing", "pattern"),
        ({"action": "pattern", "board": "cho", "pattern": "stripes"}, "choice", "pattern"),
        ({"action": "pattern", "board": "cho", "pattern": "grid", "minutes": 61}, "out_of_range", "minutes"),
        ({"action": "pattern", "board": "cho", "pattern": "grid", "row": 1}, "unknown_field", "row"),
        ({"action": "module", "board": "cho", "row": 1, "state": "ok"}, "missing", "column"),
        ({"action": "module", "board": "cho", "row": 0, "column": 1, "state": "ok"}, "out_of_range", "row"),
        ({"action": "module", "board": "cho", "row": 1, "column": 1, "state": "?"}, "choice", "state"),
    ],
)
def test_a_wrong_request_about_a_board_names_its_field(body: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(RequestError) as refused:
        board_request(body, BOARDS)
    assert (refused.value.code, refused.value.field) == (code, field)
