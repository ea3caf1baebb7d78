"""What arrived and is not judged yet; of what was judged, hash and decision."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from agent.errors import StoreError
from agent.wire.envelope import MAX_ENVELOPE_BYTES

DECIDED_KEPT = 5_000
MAX_PENDING = 2_000
"""Envelopes that may wait to be judged; more are not taken in, so the sender keeps them."""

_TRIM_EVERY = 64


@dataclass(frozen=True, slots=True)
class InboxRow:
    """An envelope as it came in; nothing in it is checked."""

    id: int
    envelope: bytes
    transport: str
    received_at: datetime


def add(db: sqlite3.Connection, envelope: bytes, transport: str, received_at: datetime) -> int | None:
    """Take in an envelope; None if the same bytes are held or were judged.

    One that is too large is cut just above the limit: enough to refuse it by name.

    Raises:
        StoreError: too many are waiting.
    """
    digest = hashlib.sha256(envelope).digest()
    if db.execute("SELECT 1 FROM inbox WHERE sha256 = ?", (digest,)).fetchone() is not None:
        return None
    (waiting,) = db.execute("SELECT count(*) FROM inbox WHERE decision IS NULL").fetchone()
    if waiting >= MAX_PENDING:
        raise StoreError(f"the inbox is full: {waiting} envelopes wait to be judged")
    cursor = db.execute(
        "INSERT INTO inbox (sha256, envelope, transport, received_at) VALUES (?, ?, ?, ?)",
        (digest, envelope[: MAX_ENVELOPE_BYTES + 1], transport, received_at.isoformat()),
    )
    return cursor.lastrowid


def pending(db: sqlite3.Connection, limit: int) -> list[InboxRow]:
    """What waits to be judged, in order of arrival."""
    rows = db.execute(
        "SELECT id, envelope, transport, received_at FROM inbox WHERE decision IS NULL ORDER BY id LIMIT ?",
        (limit,),
    )
    return [InboxRow(n, envelope, by, datetime.fromisoformat(at)) for n, envelope, by, at in rows]


def decide(db: sqlite3.Connection, row_id: int, decision: str, order_id: str | None) -> None:
    """Note the decision and let go of the bytes; old decisions are trimmed.

    Raises:
        ValueError: there is no such row waiting.
    """
    cursor = db.execute(
        "UPDATE inbox SET decision = ?, order_id = ?, envelope = NULL WHERE id = ? AND decision IS NULL",
        (decision, order_id, row_id),
    )
    if cursor.rowcount != 1:
        raise ValueError(f"inbox row {row_id} does not wait for a decision")
    if row_id % _TRIM_EVERY == 0:
        db.execute(
            """DELETE FROM inbox WHERE decision IS NOT NULL AND id <= (
                SELECT id FROM inbox WHERE decision IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?)""",
            (DECIDED_KEPT,),
        )


def judged(db: sqlite3.Connection, order_id: str) -> bool:
    """Whether an envelope with this order was judged and is remembered."""
    return db.execute("SELECT 1 FROM inbox WHERE order_id = ?", (order_id,)).fetchone() is not None


def forget(db: sqlite3.Connection, decisions: Collection[str]) -> int:
    """Forget envelopes decided so; when they are sent again they are judged again. Returns how many."""
    marks = ",".join("?" * len(decisions))
    return db.execute(f"DELETE FROM inbox WHERE decision IN ({marks})", tuple(decisions)).rowcount  # noqa: S608 - only question marks
