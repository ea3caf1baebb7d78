"""Rows of media, schedules, signed documents, sequences and what each box was given."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from agent.wire.device_api import MEDIA
from agent.wire.orders import MediaRef
from server.clock import moment, stamp


@dataclass(frozen=True, slots=True)
class MediaRow:
    """A canonical file in the store.

    Attributes:
        source: JSON of what was measured at ingest.
    """

    sha256: str
    id: str
    title: str
    size_bytes: int
    duration_ms: int
    created: datetime
    source: str


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """One version of a schedule, as the bytes that boxes fetch."""

    id: str
    version: int
    sha256: str
    size_bytes: int
    document: bytes
    created: datetime


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A signed envelope and what it says, for look-up."""

    id: str
    kind: str
    device: str
    issuer: str
    seq: int
    schedule_id: str | None
    schedule_version: int | None
    schedule_sha256: str | None
    envelope: bytes
    created: datetime
    expires: datetime
    pushed: datetime | None = None


def insert_media(conn: sqlite3.Connection, row: MediaRow) -> MediaRow:
    """Keep a file; the same content is kept once, under its first id and its newest title."""
    conn.execute(
        "INSERT INTO media VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (sha256) DO UPDATE"
        " SET title = CASE excluded.title WHEN '' THEN title ELSE excluded.title END",
        (row.sha256, row.id, row.title, row.size_bytes, row.duration_ms, stamp(row.created), row.source),
    )
    return _media(conn.execute("SELECT * FROM media WHERE sha256 = ?", (row.sha256,)).fetchone())


def find_media(conn: sqlite3.Connection, key: str) -> MediaRow | None:
    """By SHA-256 or by id."""
    row = conn.execute("SELECT * FROM media WHERE sha256 = ? OR id = ?", (key, key)).fetchone()
    return _media(row) if row else None


def media_ref(row: MediaRow) -> MediaRef:
    """A kept file as orders name it; it is levelled already."""
    return MediaRef(
        sha256=row.sha256, size_bytes=row.size_bytes, duration_ms=row.duration_ms, url=MEDIA + row.sha256
    )


def list_media(conn: sqlite3.Connection, limit: int) -> tuple[MediaRow, ...]:
    """Newest first."""
    return tuple(
        _media(row) for row in conn.execute("SELECT * FROM media ORDER BY id DESC LIMIT ?", (limit,))
    )


def next_version(conn: sqlite3.Connection, schedule: str) -> int:
    row = conn.execute("SELECT max(version) FROM schedules WHERE id = ?", (schedule,)).fetchone()
    return (row[0] or 0) + 1


def insert_schedule(conn: sqlite3.Connection, row: ScheduleRow) -> None:
    conn.execute(
        "INSERT INTO schedules VALUES (?, ?, ?, ?, ?, ?)",
        (row.id, row.version, row.sha256, row.size_bytes, row.document, stamp(row.created)),
    )


def find_schedule(conn: sqlite3.Connection, schedule: str, version: int | None = None) -> ScheduleRow | None:
    """One version, the newest if `version` is None."""
    row = conn.execute(
        "SELECT * FROM schedules WHERE id = ? AND version = coalesce(?, version)"
        " ORDER BY version DESC LIMIT 1",
        (schedule, version),
    ).fetchone()
    return _schedule(row) if row else None


def schedule_by_hash(conn: sqlite3.Connection, sha256: str) -> ScheduleRow | None:
    row = conn.execute("SELECT * FROM schedules WHERE sha256 = ? LIMIT 1", (sha256,)).fetchone()
    return _schedule(row) if row else None


def next_seq(conn: sqlite3.Connection, issuer: str, scope: str) -> int:
    """Take the next number; it rises per issuer and scope for ever."""
    row = conn.execute(
        "INSERT INTO sequences VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET seq = seq + 1 RETURNING seq",
        (issuer, scope),
    ).fetchone()
    return int(row[0])


def insert_document(conn: sqlite3.Connection, row: DocumentRow) -> None:
    conn.execute(
        "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        (
            row.id,
            row.kind,
            row.device,
            row.issuer,
            row.seq,
            row.schedule_id,
            row.schedule_version,
            row.schedule_sha256,
            row.envelope,
            stamp(row.created),
            stamp(row.expires),
        ),
    )


def current_desired(conn: sqlite3.Connection, device: str) -> DocumentRow | None:
    """The newest `desired` of a box."""
    row = conn.execute(
        "SELECT * FROM documents WHERE device = ? AND kind = 'desired' ORDER BY seq DESC LIMIT 1", (device,)
    ).fetchone()
    return document_of(row) if row else None


def all_current_desired(conn: sqlite3.Connection) -> tuple[DocumentRow, ...]:
    """The newest `desired` of every box that has one."""
    return tuple(
        document_of(row)
        for row in conn.execute(
            "SELECT * FROM documents AS one WHERE kind = 'desired' AND seq ="
            " (SELECT max(seq) FROM documents WHERE device = one.device AND kind = 'desired')"
        )
    )


def mark_pushed(conn: sqlite3.Connection, documents: Iterable[str], now: datetime) -> None:
    conn.executemany("UPDATE documents SET pushed = ? WHERE id = ?", [(stamp(now), one) for one in documents])


def was_pushed(conn: sqlite3.Connection, document: str) -> bool:
    row = conn.execute("SELECT 1 FROM documents WHERE id = ? AND pushed IS NOT NULL", (document,)).fetchone()
    return row is not None


def give(conn: sqlite3.Connection, device: str, kind: str, hashes: Iterable[str], until: datetime) -> None:
    """Let a box fetch files until a moment."""
    conn.executemany(
        "INSERT INTO given VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET until = max(until, excluded.until)",
        ((device, sha256, kind, stamp(until)) for sha256 in hashes),
    )


def was_given(conn: sqlite3.Connection, device: str, kind: str, sha256: str, now: datetime) -> bool:
    row = conn.execute(
        "SELECT 1 FROM given WHERE device = ? AND sha256 = ? AND kind = ? AND until > ?",
        (device, sha256, kind, stamp(now)),
    ).fetchone()
    return row is not None


def forget_given(conn: sqlite3.Connection, now: datetime) -> None:
    conn.execute("DELETE FROM given WHERE until < ?", (stamp(now),))


def _media(row: sqlite3.Row) -> MediaRow:
    return MediaRow(
        row["sha256"],
        row["id"],
        row["title"],
        row["size_bytes"],
        row["duration_ms"],
        moment(row["created"]),
        row["source"],
    )


def _schedule(row: sqlite3.Row) -> ScheduleRow:
    return ScheduleRow(
        row["id"], row["version"], row["sha256"], row["size_bytes"], row["document"], moment(row["created"])
    )


def document_of(row: sqlite3.Row) -> DocumentRow:
    """The document of a row that has its columns."""
    return DocumentRow(
        row["id"],
        row["kind"],
        row["device"],
        row["issuer"],
        row["seq"],
        row["schedule_id"],
        row["schedule_version"],
        row["schedule_sha256"],
        row["envelope"],
        moment(row["created"]),
        moment(row["expires"]),
        moment(row["pushed"]) if row["pushed"] else None,
    )
