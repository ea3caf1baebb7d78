"""Jobs about boards: arguments by name, and pictures that fit into a report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.app.board_jobs import PICTURE_BYTES, THUMBNAIL_BYTES, board_job
from agent.app.job_check import Rejection, Task, check_job
from agent.field.boards import BoardInfo, Shot
from agent.wire.orders import Job, JobAction, Scope, ScopeKind
from agent.wire.ulid import new_ulid

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


def check(action: JobAction, boards: tuple[str, ...] = ("board",), **arguments: Any) -> Task | Rejection:
    job = Job(
        id=new_ulid(NOW),
        issuer="xa",
        seq=1,
        scope=Scope(kind=ScopeKind.STATION, id="xa"),
        not_before=NOW,
        expires=NOW + timedelta(minutes=5),
        action=action,
        arguments=arguments,
    )
    return check_job(job, ("main",), boards)


@pytest.mark.parametrize(
    ("boards", "arguments", "code", "field"),
    [
        ((), {}, "unsupported", "action"),
        (("a", "b"), {}, "missing_argument", "arguments.board"),
        (("a",), {"board": "c"}, "unknown_board", "arguments.board"),
        (("a",), {"board": 1}, "wrong_type", "arguments.board"),
        (("a",), {"pattern": "stripes"}, "out_of_range", "arguments.pattern"),
        (("a",), {"pattern": 1}, "out_of_range", "arguments.pattern"),
        (("a",), {"minutes": 0}, "out_of_range", "arguments.minutes"),
        (("a",), {"minutes": 61}, "out_of_range", "arguments.minutes"),
        (("a",), {"zone": "main"}, "unknown_argument", "arguments.zone"),
    ],
)
def test_a_wrong_argument_is_named(
    boards: tuple[str, ...], arguments: dict[str, Any], code: str, field: str
) -> None:
    found = check(JobAction.BOARD_PATTERN, boards, **arguments)
    assert isinstance(found, Rejection)
    assert (found.code, found.field) == (code, field)


def test_the_only_board_need_not_be_named() -> None:
    found = check(JobAction.BOARD_PATTERN, pattern="red", minutes=3)
    assert found == Task(JobAction.BOARD_PATTERN, (), minutes=3, board="board", pattern="red")
    assert isinstance(check(JobAction.SCREENSHOT), Task)


class Boards:
    """Boards that note what is asked of them."""

    names = ("board",)

    def __init__(self, png: int = 100, thumbnail: int = 10) -> None:
        self.asked: list[tuple[str, ...]] = []
        self._sizes = png, thumbnail

    def info(self) -> tuple[BoardInfo, ...]:
        return ()

    async def pattern(self, board: str, pattern: str, minutes: int, by: str) -> datetime:
        self.asked.append(("pattern", board, pattern, by))
        return NOW + timedelta(minutes=minutes)

    async def end_pattern(self, board: str, by: str) -> None:
        self.asked.append(("end", board, by))

    async def module(self, board: str, row: int, column: int, *, dead: bool, by: str) -> tuple[str, ...]:
        raise AssertionError((board, row, column, dead, by))

    async def screenshot(self, board: str) -> Shot:
        png, thumbnail = self._sizes
        return Shot(board, b"p" * png, b"t" * thumbnail, "a" * 64, "lich", 192, 64)


async def test_a_pattern_says_until_when_and_an_empty_one_ends_it() -> None:
    boards = Boards()
    task = Task(JobAction.BOARD_PATTERN, (), minutes=3, board="board", pattern="red")
    assert (await board_job(task, boards, "order:xa"))["until"] == "2026-11-23T05:03:00+00:00"
    await board_job(Task(JobAction.BOARD_PATTERN, (), board="board"), boards, "order:xa")
    assert boards.asked == [("pattern", "board", "red", "order:xa"), ("end", "board", "order:xa")]


@pytest.mark.parametrize(
    ("png", "thumbnail", "carried"),
    [
        (PICTURE_BYTES, 10, {"png"}),
        (PICTURE_BYTES + 1, 10, {"thumbnail"}),
        (PICTURE_BYTES + 1, THUMBNAIL_BYTES + 1, set()),
        (PICTURE_BYTES + 1, 0, set()),
    ],
)
async def test_a_report_carries_no_picture_that_is_too_large(
    png: int, thumbnail: int, carried: set[str]
) -> None:
    task = Task(JobAction.SCREENSHOT, (), board="board")
    result = await board_job(task, Boards(png, thumbnail), "order:xa")
    assert {"png", "thumbnail"} & set(result) == carried
    assert (result["sha256"], result["size_bytes"]) == ("a" * 64, png)
