"""Rows of what boxes report; each report id is kept once per box."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.clock import moment, stamp

KEEP_REPORTS = timedelta(days=400)
KEEP_AIRINGS = timedelta(days=1100)
FORGOTTEN_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest birth, state, health or reported of a box."""

    device: str
    kind: str
    received: datetime
    body: str


@dataclass(frozen=True, slots=True)
class Report:
    """One event, as-run or job report as it came."""

    device: str
    received: datetime
    body: str


def set_latest(conn: sqlite3.Connection, row: Latest) -> None:
    conn.execute(
        "INSERT INTO latest VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET received = excluded.received, body = excluded.body",
        (row.device, row.kind, stamp(row.received), row.body),
    )


def get_latest(conn: sqlite3.Connection, device: str | None = None) -> tuple[Latest, ...]:
    """Of one box, or of all."""
    rows = conn.execute("SELECT * FROM latest WHERE device = coalesce(?, device)", (device,))
    return tuple(Latest(row["device"], row["kind"], moment(row["received"]), row["body"]) for row in rows)


def insert_report(conn: sqlite3.Connection, report: str, kind: str, at: datetime, came: Report) -> bool:
    """Keep a report; False if this box's report of that id was here before."""
    done = conn.execute(
        "INSERT OR IGNORE INTO reports (device, id, kind, at, received, body) VALUES (?, ?, ?, ?, ?, ?)",
        (came.device, report, kind, stamp(at), stamp(came.received), came.body),
    )
    return done.rowcount == 1


def set_airing(conn: sqlite3.Connection, airing: str, zone: str, planned: datetime, came: Report) -> None:
    """Keep the proof of one airing; sent again under a new id it replaces the former."""
    conn.execute(
        "INSERT INTO airings VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET received = excluded.received, body = excluded.body",
        (came.device, airing, zone, stamp(planned), stamp(came.received), came.body),
    )


def received(conn: sqlite3.Connection, device: str, ids: Iterable[str]) -> tuple[str, ...]:
    """Those of `ids` that are kept."""
    return tuple(
        one
        for one in ids
        if conn.execute("SELECT 1 FROM reports WHERE device = ? AND id = ?", (device, one)).fetchone()
    )


def list_events(conn: sqlite3.Connection, device: str, limit: int) -> tuple[Report, ...]:
    """Newest first."""
    rows = conn.execute(
        "SELECT device, received, body FROM reports WHERE device = ? AND kind = 'event'"
        " ORDER BY at DESC, n DESC LIMIT ?",
        (device, limit),
    )
    return tuple(_report(row) for row in rows)


def list_job_reports(conn: sqlite3.Connection, jobs: Iterable[str]) -> tuple[Report, ...]:
    """What boxes said of jobs, oldest first."""
    found: list[Report] = []
    for job in jobs:
        rows = conn.execute(
            "SELECT device, received, body FROM reports WHERE kind = 'job'"
            " AND json_extract(body, '$.job') = ? ORDER BY at, n",
            (job,),
        )
        found += [_report(row) for row in rows]
    return tuple(found)


def list_order_events(conn: sqlite3.Connection, orders: Iterable[str]) -> tuple[Report, ...]:
    """What boxes said of orders, oldest first."""
    found: list[Report] = []
    for order in orders:
        rows = conn.execute(
            "SELECT device, received, body FROM reports WHERE kind = 'event'"
            " AND json_extract(body, '$.subject') = ? ORDER BY at, n",
            (order,),
        )
        found += [_report(row) for row in rows]
    return tuple(found)


def list_screens(
    conn: sqlite3.Connection, device: str, limit: int, *, board: str | None = None, before: str | None = None
) -> tuple[Report, ...]:
    """Screen reports of a box, newest first; of one board, or older than the report of an id."""
    rows = conn.execute(
        "SELECT device, received, body FROM reports WHERE device = ? AND kind = 'screen'"
        " AND (? IS NULL OR json_extract(body, '$.board') = ?)"
        # What was told when it came up gives way to the report of the whole stay.
        " AND (json_extract(body, '$.ended') IS NOT 0 OR NOT EXISTS (SELECT 1 FROM reports AS whole"
        "  WHERE whole.device = reports.device AND whole.kind = 'screen' AND whole.at = reports.at"
        "  AND json_extract(whole.body, '$.ended') IS NOT 0"
        "  AND json_extract(whole.body, '$.board') = json_extract(reports.body, '$.board')"
        "  AND json_extract(whole.body, '$.page') = json_extract(reports.body, '$.page')))"
        " AND (? IS NULL OR (at, n) < (SELECT at, n FROM reports WHERE device = ? AND id = ?))"
        " ORDER BY at DESC, n DESC LIMIT ?",
        (device, board, board, before, device, before, limit),
    )
    return tuple(_report(row) for row in rows)


def find_report(conn: sqlite3.Connection, device: str, kind: str, report: str) -> Report | None:
    """One report of a box by its id."""
    row = conn.execute(
        "SELECT device, received, body FROM reports WHERE device = ? AND kind = ? AND id = ?",
        (device, kind, report),
    ).fetchone()
    return _report(row) if row else None


def screen_with_thumbnail(conn: sqlite3.Connection, device: str, sha256: str) -> Report | None:
    """The newest screen report of a box that carries the thumbnail of a picture, by the picture's hash."""
    row = conn.execute(
        "SELECT device, received, body FROM reports WHERE device = ? AND kind = 'screen'"
        " AND json_extract(body, '$.sha256') = ? AND json_extract(body, '$.thumbnail') IS NOT NULL"
        " ORDER BY n DESC LIMIT 1",
        (device, sha256),
    ).fetchone()
    return _report(row) if row else None


def board_pictures(
    conn: sqlite3.Connection, device: str, board: str, page: str | None
) -> tuple[Report | None, Report | None]:
    """The newest screen report with a thumbnail, and the newest screenshot, of one page on a board."""
    screen = conn.execute(
        "SELECT device, received, body FROM reports WHERE device = ? AND kind = 'screen'"
        " AND json_extract(body, '$.board') = ? AND json_extract(body, '$.page') IS ?"
        " AND json_extract(body, '$.thumbnail') IS NOT NULL ORDER BY at DESC, n DESC LIMIT 1",
        (device, board, page),
    ).fetchone()
    shot = conn.execute(
        "SELECT device, received, body FROM reports WHERE device = ? AND kind = 'job'"
        " AND json_extract(body, '$.action') = 'screenshot' AND json_extract(body, '$.result.board') = ?"
        " AND json_extract(body, '$.result.page') IS ?"
        " AND coalesce(json_extract(body, '$.result.png'), json_extract(body, '$.result.thumbnail'))"
        " IS NOT NULL ORDER BY at DESC, n DESC LIMIT 1",
        (device, board, page),
    ).fetchone()
    return _report(screen) if screen else None, _report(shot) if shot else None


def list_airings(conn: sqlite3.Connection, device: str | None, limit: int) -> tuple[Report, ...]:
    """Newest planned start first; of one box, or of all."""
    rows = conn.execute(
        "SELECT device, received, body FROM airings WHERE device = coalesce(?, device)"
        " ORDER BY planned_start DESC, received DESC LIMIT ?",
        (device, limit),
    )
    return tuple(_report(row) for row in rows)


def forget_some(conn: sqlite3.Connection, now: datetime) -> bool:
    """Drop some of what is too old; whether there may be more."""
    # The oldest rows stand first, so nothing behind them is looked at.
    gone = conn.execute(
        "DELETE FROM reports WHERE n IN (SELECT n FROM reports ORDER BY n LIMIT ?) AND received < ?",
        (FORGOTTEN_AT_ONCE, stamp(now - KEEP_REPORTS)),
    ).rowcount
    gone_airings = conn.execute(
        "DELETE FROM airings WHERE rowid IN (SELECT rowid FROM airings ORDER BY rowid LIMIT ?)"
        " AND received < ?",
        (FORGOTTEN_AT_ONCE, stamp(now - KEEP_AIRINGS)),
    ).rowcount
    return max(gone, gone_airings) >= FORGOTTEN_AT_ONCE


def _report(row: sqlite3.Row) -> Report:
    return Report(row["device"], moment(row["received"]), row["body"])
