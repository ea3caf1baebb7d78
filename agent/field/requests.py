"""What the local API is asked to do: JSON in, checked values out; unknown fields are refused by name."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.field.boards import MODULE, PATTERN_MINUTES
from agent.field.controls import MAX_PRIORITIES, PAUSE_MINUTES, SAFETY_MINUTES, VOLUME_DB
from agent.field.findings import SelfTestKind
from agent.model.board import Pattern

MAX_BODY_BYTES = 16 * 1024
_MAX_ID = 64

CONTROLS = frozenset(
    {"volume", "stop", "next", "pause", "resume", "restart_worker", "reset_amplifier", "reboot"}
)


class RequestError(ValueError):
    """A request that is not carried out.

    Attributes:
        code: key of the catalogue's `[cli.refused]` table.
        field: what is wrong, "" for the whole body.
        allowed: what would do, in figures or names.
    """

    def __init__(self, code: str, field: str = "", allowed: str = "") -> None:
        self.code = code
        self.field = field
        self.allowed = allowed
        super().__init__(f"{field or 'body'}: {code}" + (f", allowed: {allowed}" if allowed else ""))


@dataclass(frozen=True, slots=True)
class SafetyRequest:
    """Stop or release zones; an empty `zones` was asked for as all."""

    action: str
    zones: tuple[str, ...]
    minutes: int


@dataclass(frozen=True, slots=True)
class ControlRequest:
    """One control action; `zones` is empty for `reboot` only."""

    action: str
    zones: tuple[str, ...]
    volume_db: float = 0.0
    minutes: int = 0


@dataclass(frozen=True, slots=True)
class SelfTestRequest:
    """One on-site test."""

    kind: SelfTestKind
    zone: str


def read_body(body: bytes) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        RequestError: not one.
    """
    try:
        found = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError("not_json") from error
    if not isinstance(found, dict):
        raise RequestError("not_json")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(name)


def safety_request(body: Mapping[str, Any], zones: tuple[str, ...]) -> SafetyRequest:
    """`{"action": "stop" | "release", "zones": [...], "minutes": 30}`; no zones means all.

    Raises:
        RequestError: naming the field.
    """
    _only(body, "action", "zones", "minutes")
    action = _choice(body, "action", frozenset({"stop", "release"}))
    if action == "release" and "minutes" in body:
        raise RequestError("unknown_field", "minutes", "action, zones")
    wanted = body.get("zones", [])
    if not isinstance(wanted, list):
        raise RequestError("wrong_type", "zones", "[...]")
    for zone in wanted:
        _zone(zone, "zones", zones)
    minutes = _whole(body, "minutes", SAFETY_MINUTES, 30)
    return SafetyRequest(action, tuple(dict.fromkeys(wanted)) or zones, minutes)


def control_request(body: Mapping[str, Any], zones: tuple[str, ...]) -> ControlRequest:
    """`{"action": ..., "zone": ..., "volume_db": ..., "minutes": ...}`; no zone means all, but for `volume`.

    Raises:
        RequestError: naming the field.
    """
    action = _choice(body, "action", CONTROLS)
    fields = ["action"] if action == "reboot" else ["action", "zone"]
    fields += {"volume": ["volume_db"], "pause": ["minutes"]}.get(action, [])
    _only(body, *fields)
    if action == "reboot":
        return ControlRequest(action, ())
    zone = body.get("zone", "")
    if zone == "" and action == "volume":
        raise RequestError("missing", "zone", ", ".join(zones))
    if zone != "":
        _zone(zone, "zone", zones)
    return ControlRequest(
        action,
        (zone,) if zone else zones,
        _number(body, "volume_db", VOLUME_DB) if action == "volume" else 0.0,
        _whole(body, "minutes", PAUSE_MINUTES, 30) if action == "pause" else 0,
    )


def priority_request(body: Mapping[str, Any], known: tuple[str, ...]) -> tuple[str, ...]:
    """`{"ids": [...]}`, each once and each of `known`.

    Raises:
        RequestError: naming the field.
    """
    _only(body, "ids")
    ids = body.get("ids")
    if ids is None:
        raise RequestError("missing", "ids")
    if not isinstance(ids, list):
        raise RequestError("wrong_type", "ids", "[...]")
    if len(ids) > MAX_PRIORITIES:
        raise RequestError("out_of_range", "ids", f"0..{MAX_PRIORITIES}")
    for number, one in enumerate(ids):
        if not isinstance(one, str) or not 0 < len(one) <= _MAX_ID or one not in known:
            raise RequestError("choice", f"ids[{number}]", ", ".join(known[:20]))
    if len(set(ids)) != len(ids):
        raise RequestError("twice", "ids")
    return tuple(ids)


def self_test_request(body: Mapping[str, Any], zones: tuple[str, ...]) -> SelfTestRequest:
    """`{"kind": ..., "zone": ...}`; the zone may be left out if there is only one, or for `clock`.

    Raises:
        RequestError: naming the field.
    """
    _only(body, "kind", "zone")
    kind = SelfTestKind(_choice(body, "kind", frozenset(one.value for one in SelfTestKind)))
    zone = body.get("zone", "")
    if zone != "":
        _zone(zone, "zone", zones)
    elif kind is SelfTestKind.CLOCK:
        return SelfTestRequest(kind, "")
    elif len(zones) == 1:
        zone = zones[0]
    else:
        raise RequestError("missing", "zone", ", ".join(zones))
    return SelfTestRequest(kind, zone)


@dataclass(frozen=True, slots=True)
class BoardRequest:
    """Something to be done to one board.

    Attributes:
        action: pattern, end_pattern or module.
    """

    action: str
    board: str
    pattern: str = ""
    minutes: int = 0
    row: int = 0
    column: int = 0
    dead: bool = False


_OF_BOARD = {
    "pattern": ("pattern", "minutes"),
    "end_pattern": (),
    "module": ("row", "column", "state"),
}


def board_request(body: Mapping[str, Any], boards: tuple[str, ...]) -> BoardRequest:
    """`{"action": ..., "board": ...}` with `pattern`, `minutes`, or `row`, `column`, `state` (dead or ok).

    The board may be left out if there is only one.

    Raises:
        RequestError: naming the field.
    """
    action = _choice(body, "action", frozenset(_OF_BOARD))
    _only(body, "action", "board", *_OF_BOARD[action])
    board = board_of(body.get("board", ""), boards)
    if action == "pattern":
        pattern = _choice(body, "pattern", frozenset(one.value for one in Pattern))
        return BoardRequest(action, board, pattern, _whole(body, "minutes", PATTERN_MINUTES, 10))
    if action == "module":
        for name in ("row", "column"):
            if name not in body:
                raise RequestError("missing", name, f"{MODULE[0]}..{MODULE[1]}")
        return BoardRequest(
            action,
            board,
            row=_whole(body, "row", MODULE, 0),
            column=_whole(body, "column", MODULE, 0),
            dead=_choice(body, "state", frozenset({"dead", "ok"})) == "dead",
        )
    return BoardRequest(action, board)


def board_of(value: object, boards: tuple[str, ...]) -> str:
    """The board that is named, or the only one.

    Raises:
        RequestError: none of these, or not told which of several.
    """
    if value == "" and len(boards) == 1:
        return boards[0]
    if value == "":
        raise RequestError("missing", "board", ", ".join(boards))
    if not isinstance(value, str) or value not in boards:
        raise RequestError("unknown_board", "board", ", ".join(boards))
    return value


def _only(body: Mapping[str, Any], *fields: str) -> None:
    for name in body:
        if name not in fields:
            raise RequestError("unknown_field", name[:_MAX_ID], ", ".join(fields))


def _choice(body: Mapping[str, Any], field: str, choices: frozenset[str]) -> str:
    value = body.get(field)
    if value is None:
        raise RequestError("missing", field, ", ".join(sorted(choices)))
    if not isinstance(value, str) or value not in choices:
        raise RequestError("choice", field, ", ".join(sorted(choices)))
    return value


def _zone(value: object, field: str, zones: tuple[str, ...]) -> None:
    if not isinstance(value, str):
        raise RequestError("wrong_type", field, ", ".join(zones))
    if value not in zones:
        raise RequestError("unknown_zone", field, ", ".join(zones))


def _number(body: Mapping[str, Any], field: str, bounds: tuple[float, float]) -> float:
    value = body.get(field)
    allowed = f"{bounds[0]:g}..{bounds[1]:g}"
    if value is None:
        raise RequestError("missing", field, allowed)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RequestError("wrong_type", field, allowed)
    if not (bounds[0] <= value <= bounds[1] and math.isfinite(value)):
        raise RequestError("out_of_range", field, allowed)
    return float(value)


def _whole(body: Mapping[str, Any], field: str, bounds: tuple[int, int], default: int) -> int:
    if field not in body:
        return default
    value = _number(body, field, bounds)
    if value != int(value):
        raise RequestError("wrong_type", field, f"{bounds[0]}..{bounds[1]}")
    return int(value)
