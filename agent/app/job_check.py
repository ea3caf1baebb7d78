"""What a signed job may ask for: its arguments checked, apart from carrying it out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log10

from agent.field.boards import PATTERN_MINUTES
from agent.field.controls import PAUSE_MINUTES, SAFETY_MINUTES, VOLUME_DB
from agent.field.findings import SelfTestKind
from agent.model.board import Pattern
from agent.wire.orders import Job, JobAction

Argument = str | int | float | bool

ARGUMENTS: Mapping[JobAction, frozenset[str]] = {
    JobAction.SET_VOLUME: frozenset({"zone", "percent", "volume_db"}),
    JobAction.STOP: frozenset({"zone"}),
    JobAction.NEXT: frozenset({"zone"}),
    JobAction.PAUSE: frozenset({"zone", "minutes"}),
    JobAction.RESUME: frozenset({"zone"}),
    JobAction.RESTART_WORKER: frozenset({"zone"}),
    JobAction.REBOOT: frozenset({"force"}),
    JobAction.SELF_TEST: frozenset({"kind", "zone"}),
    JobAction.SAFETY_STOP: frozenset({"zone", "minutes"}),
    JobAction.SAFETY_RELEASE: frozenset({"zone"}),
    JobAction.SCREENSHOT: frozenset({"board"}),
    JobAction.BOARD_PATTERN: frozenset({"board", "pattern", "minutes"}),
}
"""Arguments of each action this build carries out; all but `kind` and the volume may be left out."""

_OF_BOARDS = frozenset({JobAction.SCREENSHOT, JobAction.BOARD_PATTERN})
_DEFAULT_MINUTES = 30
_PATTERN_MINUTES = 10


@dataclass(frozen=True, slots=True)
class Task:
    """A job whose arguments are right.

    Attributes:
        zones: where; all of the box if none was named.
        board: for jobs about a board.
        pattern: test picture; empty ends the one that is shown.
    """

    action: JobAction
    zones: tuple[str, ...]
    volume_db: float = 0.0
    minutes: int = _DEFAULT_MINUTES
    kind: str = ""
    force: bool = False
    board: str = ""
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a job is not carried out.

    Attributes:
        code: a key of the catalogue's `[job]` table.
        field: what is wrong, such as `arguments.minutes`; "" for the job itself.
        allowed: what would do.
    """

    code: str
    field: str = ""
    allowed: str = ""


class _WrongArgumentError(ValueError):
    def __init__(self, code: str, name: str, allowed: str) -> None:
        self.rejection = Rejection(code, f"arguments.{name}"[:100], allowed)
        super().__init__(name)


def check_job(job: Job, zones: tuple[str, ...], boards: tuple[str, ...] = ()) -> Task | Rejection:
    """The task a job stands for on a box with these zones and boards, or the first thing wrong with it."""
    known = ARGUMENTS.get(job.action)
    if known is None or (job.action in _OF_BOARDS and not boards):
        return Rejection("unsupported", "action", ", ".join(one.value for one in ARGUMENTS))
    for name in job.arguments:
        if name not in known:
            return Rejection("unknown_argument", f"arguments.{name}"[:100], ", ".join(sorted(known)))
    try:
        if job.action in _OF_BOARDS:
            return _board_task(job.action, job.arguments, boards)
        return _task(job.action, job.arguments, zones)
    except _WrongArgumentError as error:
        return error.rejection


def volume_of(percent: float) -> float:
    """Volume in dB of a share of the full amplitude, 0 to 100 %: 100 is 0 dB, 50 is -6 dB, 0 the lowest."""
    return VOLUME_DB[0] if percent <= 0 else max(VOLUME_DB[0], 20 * log10(percent / 100))


def _task(action: JobAction, given: Mapping[str, Argument], zones: tuple[str, ...]) -> Task:
    where = _zones(given, zones)
    match action:
        case JobAction.SET_VOLUME:
            return Task(action, where, volume_db=_volume(given))
        case JobAction.PAUSE:
            return Task(action, where, minutes=_minutes(given, PAUSE_MINUTES))
        case JobAction.SAFETY_STOP:
            return Task(action, where, minutes=_minutes(given, SAFETY_MINUTES))
        case JobAction.REBOOT:
            force = given.get("force", False)
            if not isinstance(force, bool):
                raise _WrongArgumentError("wrong_type", "force", "true, false")
            return Task(action, where, force=force)
        case JobAction.SELF_TEST:
            return Task(action, where, kind=_kind(given, where))
        case _:
            return Task(action, where)


def _board_task(action: JobAction, given: Mapping[str, Argument], boards: tuple[str, ...]) -> Task:
    board = given.get("board", boards[0] if len(boards) == 1 else None)
    if board is None:
        raise _WrongArgumentError("missing_argument", "board", ", ".join(boards))
    if not isinstance(board, str):
        raise _WrongArgumentError("wrong_type", "board", ", ".join(boards))
    if board not in boards:
        raise _WrongArgumentError("unknown_board", "board", ", ".join(boards))
    if action is JobAction.SCREENSHOT:
        return Task(action, (), board=board)
    allowed = ["", *(one.value for one in Pattern)]
    pattern = given.get("pattern", Pattern.GRID.value)
    if not isinstance(pattern, str) or pattern not in allowed:
        raise _WrongArgumentError("out_of_range", "pattern", ", ".join(allowed[1:]))
    minutes = _minutes(given, PATTERN_MINUTES) if "minutes" in given else _PATTERN_MINUTES
    return Task(action, (), minutes=minutes, board=board, pattern=pattern)


def _zones(given: Mapping[str, Argument], zones: tuple[str, ...]) -> tuple[str, ...]:
    zone = given.get("zone")
    if zone is None:
        return zones
    if not isinstance(zone, str):
        raise _WrongArgumentError("wrong_type", "zone", ", ".join(zones))
    if zone not in zones:
        raise _WrongArgumentError("unknown_zone", "zone", ", ".join(zones))
    return (zone,)


def _volume(given: Mapping[str, Argument]) -> float:
    if "percent" in given and "volume_db" in given:
        raise _WrongArgumentError("contradiction", "percent", "percent | volume_db")
    if "percent" in given:
        return volume_of(_number(given, "percent", (0.0, 100.0)))
    if "volume_db" in given:
        return _number(given, "volume_db", VOLUME_DB)
    raise _WrongArgumentError("missing_argument", "percent", "percent | volume_db")


def _minutes(given: Mapping[str, Argument], bounds: tuple[int, int]) -> int:
    if "minutes" not in given:
        return _DEFAULT_MINUTES
    value = _number(given, "minutes", bounds)
    if value != int(value):
        raise _WrongArgumentError("wrong_type", "minutes", f"{bounds[0]}..{bounds[1]}")
    return int(value)


def _kind(given: Mapping[str, Argument], where: tuple[str, ...]) -> str:
    kinds = [one.value for one in SelfTestKind]
    kind = given.get("kind")
    if kind is None:
        raise _WrongArgumentError("missing_argument", "kind", ", ".join(kinds))
    if kind not in kinds:
        raise _WrongArgumentError("out_of_range", "kind", ", ".join(kinds))
    if len(where) != 1 and kind != SelfTestKind.CLOCK.value:
        raise _WrongArgumentError("missing_argument", "zone", ", ".join(where))
    return str(kind)


def _number(given: Mapping[str, Argument], name: str, bounds: tuple[float, float]) -> float:
    value = given[name]
    allowed = f"{bounds[0]:g}..{bounds[1]:g}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _WrongArgumentError("wrong_type", name, allowed)
    if not bounds[0] <= value <= bounds[1]:
        raise _WrongArgumentError("out_of_range", name, allowed)
    return float(value)
