"""Orders that were accepted, the ids seen, and how far each sequence has come."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from agent.wire.orders import AnyOrder

CLOSED_KEPT = 1_000
"""Orders no longer in force that are kept, newest first, for the play log and support."""

ACCEPTED = "accepted"
"""Decision noted in the inbox for an order that was accepted."""


class OrderStatus(StrEnum):
    """Life of an accepted order; all but the first are final."""

    IN_FORCE = "in_force"
    SUPERSEDED = "superseded"
    ENDED = "ended"
    CANCELLED = "cancelled"
    FAILED = "failed"


SequenceKey = tuple[str, str, str, str]
"""Issuer, scope kind, scope id, order kind."""


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An accepted order with the signed bytes, unchanged."""

    id: str
    kind: str
    issuer: str
    scope_kind: str
    scope_id: str
    seq: int
    not_before: datetime
    expires: datetime
    envelope: bytes
    status: OrderStatus


def accept(db: sqlite3.Connection, row_id: int, order: AnyOrder, payload_sha256: str) -> None:
    """Keep an order whose envelope waits in the inbox; call before the inbox row is decided.

    A `desired` takes the place of the former one of the same issuer and scope.

    Raises:
        ValueError: there is no such row waiting.
    """
    waiting = db.execute("SELECT envelope FROM inbox WHERE id = ? AND decision IS NULL", (row_id,)).fetchone()
    if waiting is None:
        raise ValueError(f"inbox row {row_id} does not wait for a decision")
    stream = (order.issuer, order.scope.kind.value, order.scope.id, order.kind)
    db.execute("INSERT INTO seen VALUES (?, ?)", (order.id, payload_sha256))
    db.execute(
        """INSERT INTO sequences VALUES (?, ?, ?, ?, ?)
           ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)""",
        (*stream, order.seq),
    )
    if order.kind == "desired":
        db.execute(
            """UPDATE orders SET status = 'superseded' WHERE status = 'in_force' AND issuer = ?
               AND scope_kind = ? AND scope_id = ? AND kind = ?""",
            stream,
        )
    db.execute(
        """INSERT INTO orders
             (id, kind, issuer, scope_kind, scope_id, seq, not_before, expires, envelope, status)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'in_force')""",
        (
            order.id,
            order.kind,
            order.issuer,
            order.scope.kind.value,
            order.scope.id,
            order.seq,
            order.not_before.isoformat(),
            order.expires.isoformat(),
            waiting[0],
        ),
    )
    db.execute(
        """DELETE FROM orders WHERE status <> 'in_force' AND n <= (
            SELECT n FROM orders WHERE status <> 'in_force' ORDER BY n DESC LIMIT 1 OFFSET ?)""",
        (CLOSED_KEPT,),
    )


def seen(db: sqlite3.Connection, order_id: str) -> str | None:
    """Hex SHA-256 of the payload accepted under this id, None if none was."""
    row = db.execute("SELECT payload_sha256 FROM seen WHERE order_id = ?", (order_id,)).fetchone()
    return None if row is None else str(row[0])


def sequences(db: sqlite3.Connection) -> dict[SequenceKey, int]:
    """Highest number accepted in each sequence."""
    return {(a, b, c, d): seq for a, b, c, d, seq in db.execute("SELECT * FROM sequences")}


def held(db: sqlite3.Connection, kind: str | None, status: OrderStatus) -> list[OrderRow]:
    """Orders of a status, in the order in which they were accepted."""
    rows = db.execute(
        """SELECT id, kind, issuer, scope_kind, scope_id, seq, not_before, expires, envelope, status
           FROM orders WHERE status = ? AND (? IS NULL OR kind = ?) ORDER BY n""",
        (status.value, kind, kind),
    )
    return [
        OrderRow(
            id=row[0],
            kind=row[1],
            issuer=row[2],
            scope_kind=row[3],
            scope_id=row[4],
            seq=row[5],
            not_before=datetime.fromisoformat(row[6]),
            expires=datetime.fromisoformat(row[7]),
            envelope=row[8],
            status=OrderStatus(row[9]),
        )
        for row in rows
    ]


def close(db: sqlite3.Connection, order_id: str, status: OrderStatus) -> bool:
    """Give an order in force its final status; False if none of this id is in force."""
    done = db.execute(
        "UPDATE orders SET status = ? WHERE id = ? AND status = 'in_force'", (status.value, order_id)
    )
    return done.rowcount == 1
