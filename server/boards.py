"""What the boards show, from what boxes last said; and the proof of what they showed."""

from __future__ import annotations

import base64
import binascii
import sqlite3
from dataclasses import dataclass
from datetime import datetime

from agent.wire.orders import JobAction, ScopeKind
from agent.wire.reports import BoardHealth, IssueReport, JobReport, ScreenReport
from server.clock import utc_now
from server.fleet import Box, Fleet
from server.order_book import OrderAnswerRow, OrderBook
from server.problems import Problem, RefusedError
from server.store import orders, reports
from server.store.database import Database

BOARD_FAULTS = "TL-6"
"""Numbers of faults of boards begin with this; their subject begins with the board's name."""

MOST_TAKEOVERS = 50
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class BoardState:
    """One board as known now.

    Attributes:
        at: when the box said so; None if it never said anything.
        issues: open faults of this board.
        takeover: id of the order that takes it over now, None if none does.
        picture: when the newest picture that is kept of its page was on it; None if none is.
    """

    box: Box
    board: BoardHealth
    at: datetime | None
    issues: tuple[IssueReport, ...]
    takeover: str | None
    picture: datetime | None


@dataclass(frozen=True, slots=True)
class ScreenRow:
    """One screen report.

    Attributes:
        thumbnail: whether a thumbnail of its picture is kept, from this report or a former one.
    """

    report: ScreenReport
    thumbnail: bool


class Boards:
    """Questions about boards."""

    def __init__(self, database: Database, fleet: Fleet, book: OrderBook) -> None:
        self._database = database
        self._fleet = fleet
        self._book = book

    async def all(self) -> list[BoardState]:
        """Every board of every box, by the name of the box."""
        takeovers, boxes = await self.takeovers(), await self._fleet.boxes()

        def read(conn: sqlite3.Connection) -> list[BoardState]:
            return [
                _state(conn, box, board, takeovers)
                for box in boxes
                if box.health is not None
                for board in box.health.boards
            ]

        return await self._database.read(read)

    async def takeovers(self) -> list[OrderAnswerRow]:
        """Takeovers in force, newest first."""
        return await self._book.recent(("takeover",), MOST_TAKEOVERS, in_force=True)

    async def screens(
        self, device: str, limit: int, *, board: str | None = None, before: str | None = None
    ) -> list[ScreenRow]:
        """What the boards of a box showed, newest first.

        Raises:
            RefusedError: no such box.
        """
        await self._fleet.box(device)

        def read(conn: sqlite3.Connection) -> list[ScreenRow]:
            rows = reports.list_screens(conn, device, limit, board=board, before=before)
            return [_screen(conn, device, ScreenReport.read(row.body)) for row in rows]

        return await self._database.read(read)

    async def screen_picture(self, device: str, report: str) -> bytes:
        """Thumbnail of one screen report, PNG.

        Raises:
            RefusedError: no such report, or no thumbnail of its picture is kept.
        """

        def read(conn: sqlite3.Connection) -> str | None:
            row = reports.find_report(conn, device, "screen", report)
            if row is None:
                return None
            said = ScreenReport.read(row.body)
            return said.thumbnail or (_thumbnail(conn, device, said.sha256) if said.sha256 else None)

        return _decoded(await self._database.read(read))

    async def picture(self, device: str, board: str) -> bytes:
        """The newest picture that is kept of the page a board shows now, PNG: thumbnail or screenshot.

        Raises:
            RefusedError: no such board, or none is kept.
        """
        health = (await self._fleet.box(device)).health
        shown = next((one for one in health.boards if one.board == board), None) if health else None
        if shown is None:
            raise RefusedError(Problem.NOT_FOUND)
        found = await self._database.read(lambda conn: _newest_picture(conn, device, shown))
        return _decoded(found[1] if found is not None else None)

    async def screenshot(self, job: str, device: str) -> bytes:
        """The picture a box made for a screenshot job, PNG.

        Raises:
            RefusedError: no such job, or the box sent no picture.
        """
        row = await self._book.get(job, ("job",))
        ids = [one.document.id for one in row.orders]

        def read(conn: sqlite3.Connection) -> str | None:
            for found in reversed(reports.list_job_reports(conn, ids)):
                said = JobReport.read(found.body)
                picture = said.result.get("png") or said.result.get("thumbnail")
                if found.device == device and said.action is JobAction.SCREENSHOT and picture:
                    return str(picture)
            return None

        return _decoded(await self._database.read(read))


def _state(
    conn: sqlite3.Connection, box: Box, board: BoardHealth, takeovers: list[OrderAnswerRow]
) -> BoardState:
    health = box.health
    issues = health.issues if health is not None else ()
    newest = _newest_picture(conn, box.device.id, board)
    return BoardState(
        box,
        board,
        box.health_at,
        tuple(one for one in issues if _concerns(one, board.board)),
        next((one.id for one in takeovers if _takes(one, box, board.board)), None),
        newest[0] if newest is not None else None,
    )


def _newest_picture(conn: sqlite3.Connection, device: str, board: BoardHealth) -> tuple[datetime, str] | None:
    """When it was on the board, and the PNG in base64.

    Found by the page, not by the hash: a clock on it makes another picture each minute.
    """
    if board.page is None:
        return None
    screen, shot = reports.board_pictures(conn, device, board.board, board.page)
    found: list[tuple[datetime, str]] = []
    if screen is not None:
        proof = ScreenReport.read(screen.body)
        found.append((proof.first_shown, proof.thumbnail or ""))
    if shot is not None:
        said = JobReport.read(shot.body)
        found.append((said.at, str(said.result.get("png") or said.result.get("thumbnail"))))
    return max(found, default=None)


def _concerns(issue: IssueReport, board: str) -> bool:
    """Whether a fault is about a board: its subject is the board's name, or that and a page's."""
    return issue.code.startswith(BOARD_FAULTS) and issue.subject.partition("/")[0] == board


def _takes(row: OrderAnswerRow, box: Box, board: str) -> bool:
    named = row.body.get("boards") or ()
    if named and board not in named:
        return False
    held = {(one.kind, one.id) for one in orders.scopes_of(box.device)}
    return any(
        (one.scope.kind, one.scope.id) in held or one.scope.kind is ScopeKind.PROVINCE for one in row.orders
    ) and (row.state(utc_now()) == "in_force")


def _screen(conn: sqlite3.Connection, device: str, report: ScreenReport) -> ScreenRow:
    there = report.thumbnail is not None
    if not there and report.sha256 is not None:
        there = reports.screen_with_thumbnail(conn, device, report.sha256) is not None
    return ScreenRow(report, there)


def _thumbnail(conn: sqlite3.Connection, device: str, sha256: str) -> str | None:
    row = reports.screen_with_thumbnail(conn, device, sha256)
    return ScreenReport.read(row.body).thumbnail if row is not None else None


def _decoded(text: str | None) -> bytes:
    """A picture that a box sent; whatever is no PNG does not exist."""
    try:
        data = base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data.startswith(_PNG):
        raise RefusedError(Problem.NOT_FOUND)
    return data
