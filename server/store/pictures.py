"""Rows of pictures and videos for boards, and who still needs them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from agent.wire.device_api import MEDIA
from agent.wire.orders import FileRef
from server.clock import moment, stamp

PICTURE, VIDEO = "picture", "video"
SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "video/mp4": ".mp4"}


@dataclass(frozen=True, slots=True)
class PictureRow:
    """A canonical picture or video in the store.

    Attributes:
        kind: `picture` or `video`.
        duration_ms: of a video; 0 for a picture.
    """

    sha256: str
    id: str
    kind: str
    title: str
    content_type: str
    size_bytes: int
    width_px: int
    height_px: int
    duration_ms: int
    created: datetime

    @property
    def name(self) -> str:
        """Name of its file."""
        return self.sha256 + SUFFIXES[self.content_type]


def insert_picture(conn: sqlite3.Connection, row: PictureRow) -> PictureRow:
    """Keep a file; the same content is kept once, under its first id and its newest title."""
    conn.execute(
        "INSERT INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (sha256) DO UPDATE"
        " SET title = CASE excluded.title WHEN '' THEN title ELSE excluded.title END",
        (
            row.sha256,
            row.id,
            row.kind,
            row.title,
            row.content_type,
            row.size_bytes,
            row.width_px,
            row.height_px,
            row.duration_ms,
            stamp(row.created),
        ),
    )
    return _row(conn.execute("SELECT * FROM pictures WHERE sha256 = ?", (row.sha256,)).fetchone())


def find_picture(conn: sqlite3.Connection, key: str, kind: str | None = None) -> PictureRow | None:
    """By SHA-256 or by id; of one kind, or of any."""
    row = conn.execute(
        "SELECT * FROM pictures WHERE (sha256 = ? OR id = ?) AND kind = coalesce(?, kind)", (key, key, kind)
    ).fetchone()
    return _row(row) if row else None


def list_pictures(conn: sqlite3.Connection, kind: str, limit: int) -> tuple[PictureRow, ...]:
    """Newest first."""
    rows = conn.execute("SELECT * FROM pictures WHERE kind = ? ORDER BY id DESC LIMIT ?", (kind, limit))
    return tuple(_row(row) for row in rows)


def delete_picture(conn: sqlite3.Connection, sha256: str) -> None:
    conn.execute("DELETE FROM pictures WHERE sha256 = ?", (sha256,))


def picture_in_order(conn: sqlite3.Connection, sha256: str, now: datetime) -> bool:
    """Whether something that was ordered, kept bulletins included, names this file and is not over."""
    row = conn.execute(
        "SELECT 1 FROM batches WHERE ended_by IS NULL AND expires > ? AND instr(body, ?) > 0 LIMIT 1",
        (stamp(now), sha256),
    ).fetchone()
    return row is not None


def file_ref(row: PictureRow) -> FileRef:
    """A kept file as orders name it."""
    return FileRef(sha256=row.sha256, size_bytes=row.size_bytes, url=MEDIA + row.sha256)


def _row(row: sqlite3.Row) -> PictureRow:
    return PictureRow(
        row["sha256"],
        row["id"],
        row["kind"],
        row["title"],
        row["content_type"],
        row["size_bytes"],
        row["width_px"],
        row["height_px"],
        row["duration_ms"],
        moment(row["created"]),
    )
