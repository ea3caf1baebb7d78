"""Rows of CAP: the filter's versions, what was received, and which messages hold no longer."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.clock import moment, stamp

KEPT_DOCUMENTS = 500
KEPT_ENDED = 20_000
ENDED_HOLDS = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class FilterRow:
    """One version of the filter, as JSON."""

    version: int
    value: str
    author: str
    changed: datetime


@dataclass(frozen=True, slots=True)
class CapRow:
    """One document and what became of it.

    Attributes:
        id: 0 until it is kept.
        times: how often it came and led to the same.
        identifier: as `sender`, `sent`, `status`, `msg_type` and `event` empty if it was no alert.
        message: why, by language.
        emergency: batch it became, None if none.
        cancelled: batches it ended.
        body: compressed, None if it is too large to be kept.
    """

    id: int
    feed: str
    received: datetime
    sha256: str
    size_bytes: int
    outcome: str
    reason: str
    field: str
    message: dict[str, str]
    filter_version: int
    identifier: str = ""
    sender: str = ""
    sent: str = ""
    status: str = ""
    msg_type: str = ""
    event: str = ""
    signed: bool = False
    emergency: str | None = None
    cancelled: tuple[str, ...] = ()
    times: int = 1
    body: bytes | None = None


def get_filter(conn: sqlite3.Connection) -> FilterRow | None:
    """The newest version, None if it was never set."""
    row = conn.execute("SELECT * FROM cap_filters ORDER BY version DESC LIMIT 1").fetchone()
    return FilterRow(row["version"], row["value"], row["author"], moment(row["changed"])) if row else None


def put_filter(conn: sqlite3.Connection, value: str, author: str, now: datetime) -> FilterRow:
    """Keep a new version."""
    former = get_filter(conn)
    row = FilterRow((former.version if former else 0) + 1, value, author, now)
    conn.execute("INSERT INTO cap_filters VALUES (?, ?, ?, ?)", (row.version, value, author, stamp(now)))
    return row


def insert_document(conn: sqlite3.Connection, row: CapRow) -> CapRow:
    """Keep what came; the same document with the same result is counted, not kept again."""
    former = conn.execute(
        "UPDATE cap_documents SET times = times + 1, received = ?"
        " WHERE sha256 = ? AND feed = ? AND outcome = ? AND reason = ? AND filter_version = ? RETURNING n",
        (stamp(row.received), row.sha256, row.feed, row.outcome, row.reason, row.filter_version),
    ).fetchall()
    if former:
        kept = find_document(conn, former[-1]["n"])
        if kept is not None:
            return kept
    done = conn.execute(
        "INSERT INTO cap_documents (feed, received, sha256, size_bytes, outcome, reason, field, message,"
        " filter_version, identifier, sender, sent, status, msg_type, event, signed, emergency, cancelled,"
        " times, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row.feed,
            stamp(row.received),
            row.sha256,
            row.size_bytes,
            row.outcome,
            row.reason,
            row.field,
            json.dumps(row.message, ensure_ascii=False),
            row.filter_version,
            row.identifier,
            row.sender,
            row.sent,
            row.status,
            row.msg_type,
            row.event,
            int(row.signed),
            row.emergency,
            json.dumps(row.cancelled),
            row.times,
            row.body,
        ),
    )
    conn.execute("DELETE FROM cap_documents WHERE n <= ?", ((done.lastrowid or 0) - KEPT_DOCUMENTS,))
    kept = find_document(conn, done.lastrowid or 0)
    if kept is None:
        raise LookupError("a document was kept and is gone")
    return kept


def find_document(conn: sqlite3.Connection, number: int) -> CapRow | None:
    """One document with its body."""
    row = conn.execute("SELECT * FROM cap_documents WHERE n = ?", (number,)).fetchone()
    return _document(row, row["body"]) if row else None


def list_documents(conn: sqlite3.Connection, limit: int) -> tuple[CapRow, ...]:
    """Newest first, without bodies."""
    rows = conn.execute("SELECT * FROM cap_documents ORDER BY received DESC, n DESC LIMIT ?", (limit,))
    return tuple(_document(row, None) for row in rows)


def insert_ended(conn: sqlite3.Connection, keys: Iterable[str], *, actual: bool, now: datetime) -> None:
    """These messages hold no longer, even if they come after this; old ones are forgotten."""
    conn.executemany(
        "INSERT OR REPLACE INTO cap_ended VALUES (?, ?, ?)", [(key, int(actual), stamp(now)) for key in keys]
    )
    conn.execute("DELETE FROM cap_ended WHERE at < ?", (stamp(now - ENDED_HOLDS),))
    conn.execute(
        "DELETE FROM cap_ended WHERE at < (SELECT at FROM cap_ended ORDER BY at DESC LIMIT 1 OFFSET ?)",
        (KEPT_ENDED,),
    )


def was_ended(conn: sqlite3.Connection, key: str, *, actual: bool) -> bool:
    """Whether a message holds no longer; drills and what is meant are kept apart."""
    row = conn.execute("SELECT 1 FROM cap_ended WHERE key = ? AND actual = ?", (key, int(actual))).fetchone()
    return row is not None


def _document(row: sqlite3.Row, body: bytes | None) -> CapRow:
    return CapRow(
        id=row["n"],
        feed=row["feed"],
        received=moment(row["received"]),
        sha256=row["sha256"],
        size_bytes=row["size_bytes"],
        outcome=row["outcome"],
        reason=row["reason"],
        field=row["field"],
        message=json.loads(row["message"]),
        filter_version=row["filter_version"],
        identifier=row["identifier"],
        sender=row["sender"],
        sent=row["sent"],
        status=row["status"],
        msg_type=row["msg_type"],
        event=row["event"],
        signed=bool(row["signed"]),
        emergency=row["emergency"],
        cancelled=tuple(json.loads(row["cancelled"])),
        times=row["times"],
        body=body,
    )
