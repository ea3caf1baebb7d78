"""Rows of orders: what a person asked for once (a batch), and each signed document that came of it.

The envelope of an order is a row of `documents` like any other; its scope, which may hold many boxes,
stands beside it in `orders`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.wire.orders import Scope, ScopeKind
from server.clock import moment, stamp
from server.store.content import DocumentRow, document_of
from server.store.devices import Device

KEEP_DOCUMENTS = timedelta(days=400)
FORGOTTEN_AT_ONCE = 200

_ORDERS = (
    "SELECT d.*, o.batch, o.scope_kind, o.scope, b.ended_by,"
    " (SELECT e.kind FROM batches e WHERE e.id = b.cancels) AS ends"
    " FROM orders o JOIN documents d ON d.id = o.id"
    " LEFT JOIN batches b ON b.id = o.batch "
)


@dataclass(frozen=True, slots=True)
class BatchRow:
    """What a person asked for once.

    Attributes:
        body: JSON of what the orders say, without what differs from one to the next.
        targets: JSON of whom it is for.
        cancels: batch that this one ends.
        ended_by: batch that ended this one.
    """

    id: str
    kind: str
    created: datetime
    expires: datetime
    author: str
    request: str | None
    digest: str
    body: str
    targets: str
    cancels: str | None = None
    ended_by: str | None = None


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One signed order.

    Attributes:
        ended: its batch was ended by another.
        ends: of a cancel, the kind of what it ends.
    """

    document: DocumentRow
    batch: str
    scope: Scope
    ended: bool
    ends: str | None = None


def insert_batch(conn: sqlite3.Connection, row: BatchRow) -> None:
    conn.execute(
        "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
        (
            row.id,
            row.kind,
            stamp(row.created),
            stamp(row.expires),
            row.author,
            row.request,
            row.digest,
            row.body,
            row.targets,
            row.cancels,
        ),
    )


def end_batch(conn: sqlite3.Connection, batch: str, by: str) -> None:
    conn.execute("UPDATE batches SET ended_by = ? WHERE id = ?", (by, batch))


def find_batch(conn: sqlite3.Connection, key: str) -> BatchRow | None:
    """By its own id or by that of one of its orders."""
    row = conn.execute(
        "SELECT * FROM batches WHERE id = ? OR id = (SELECT batch FROM orders WHERE id = ?) LIMIT 1",
        (key, key),
    ).fetchone()
    return _batch(row) if row else None


def find_request(conn: sqlite3.Connection, kind: str, request: str) -> BatchRow | None:
    """By the id that the asker chose."""
    row = conn.execute("SELECT * FROM batches WHERE kind = ? AND request = ?", (kind, request)).fetchone()
    return _batch(row) if row else None


def list_batches(
    conn: sqlite3.Connection, kinds: Iterable[str], limit: int, in_force: datetime | None = None
) -> tuple[BatchRow, ...]:
    """Newest first; with `in_force` only those that were neither ended nor over at that moment."""
    rows = conn.execute(
        "SELECT * FROM batches WHERE kind IN (SELECT value FROM json_each(?))"
        " AND (? IS NULL OR (ended_by IS NULL AND expires > ?)) ORDER BY id DESC LIMIT ?",
        (
            json.dumps(list(kinds)),
            in_force and stamp(in_force),
            stamp(in_force) if in_force else "",
            limit,
        ),
    )
    return tuple(_batch(row) for row in rows)


def insert_order(
    conn: sqlite3.Connection,
    order: str,
    batch: str,
    scope: Scope,
    *,
    author: str,
    revision: int = 0,
    media: Iterable[str] = (),
) -> None:
    """What stands beside the document of this id, which was inserted before."""
    conn.execute(
        "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)",
        (order, batch, scope.kind.value, scope.id, author, revision),
    )
    conn.executemany("INSERT OR IGNORE INTO order_media VALUES (?, ?)", [(one, order) for one in media])


def orders_of(conn: sqlite3.Connection, batch: str) -> tuple[OrderRow, ...]:
    """The orders of a batch, as they were numbered."""
    rows = conn.execute(_ORDERS + "WHERE o.batch = ? ORDER BY o.rowid", (batch,))
    return tuple(_order(row) for row in rows)


def scopes_given(conn: sqlite3.Connection, batch: str) -> frozenset[tuple[str, str]]:
    """Kind and name of every scope for which a batch has an order."""
    rows = conn.execute("SELECT scope_kind, scope FROM orders WHERE batch = ?", (batch,))
    return frozenset((row["scope_kind"], row["scope"]) for row in rows)


def waiting(conn: sqlite3.Connection, now: datetime, kinds: Iterable[str] | None = None) -> list[OrderRow]:
    """Orders other than `desired` that hold and that the broker has not confirmed, oldest first."""
    wanted = None if kinds is None else json.dumps(list(kinds))
    rows = conn.execute(
        _ORDERS  # noqa: S608 - fixed texts
        + "WHERE d.pushed IS NULL AND d.kind <> 'desired' AND d.expires > ?"
        " AND b.ended_by IS NULL AND (? IS NULL OR d.kind IN (SELECT value FROM json_each(?)))"
        " ORDER BY d.seq",
        (stamp(now), wanted, wanted),
    )
    return [_order(row) for row in rows]


def orders_for(conn: sqlite3.Connection, device: Device, now: datetime) -> list[OrderRow]:
    """Orders other than `desired` that hold for a box: neither over nor cancelled; oldest first."""
    found = []
    for scope in scopes_of(device):
        found += conn.execute(
            _ORDERS + "WHERE o.scope_kind = ? AND o.scope = ? AND d.kind <> 'desired' AND d.expires > ?"
            " AND b.ended_by IS NULL",
            (scope.kind.value, scope.id, stamp(now)),
        ).fetchall()
    return sorted((_order(row) for row in found), key=lambda one: one.document.id)


def document_for(conn: sqlite3.Connection, device: Device, document: str) -> DocumentRow | None:
    """A document that is for a box, None for any other."""
    row = conn.execute(
        "SELECT d.*, o.scope_kind, o.scope FROM documents d LEFT JOIN orders o ON o.id = d.id WHERE d.id = ?",
        (document,),
    ).fetchone()
    if row is None:
        return None
    if row["scope"] is None:  # kept before orders had scopes
        return document_of(row) if row["device"] == device.id else None
    return document_of(row) if _holds(device, row["scope_kind"], row["scope"]) else None


def media_in_order(conn: sqlite3.Connection, device: Device, sha256: str, now: datetime) -> bool:
    """Whether an order that holds for a box names this file."""
    rows = conn.execute(
        "SELECT o.scope_kind, o.scope FROM order_media m JOIN orders o ON o.id = m.document"
        " JOIN documents d ON d.id = m.document WHERE m.sha256 = ? AND d.expires > ?",
        (sha256, stamp(now)),
    )
    return any(_holds(device, row["scope_kind"], row["scope"]) for row in rows)


def revision_of(conn: sqlite3.Connection, document: str) -> int:
    """Which revision of the settings a `desired` carries; -1 if it was made before there were any."""
    row = conn.execute("SELECT revision FROM orders WHERE id = ?", (document,)).fetchone()
    return int(row["revision"]) if row else -1


def forget_some_orders(conn: sqlite3.Connection, now: datetime) -> bool:
    """Drop some signed documents that are over since long; whether there may be more.

    What was ordered by whom stays in `batches`; the newest `desired` of a box stays whatever its age.
    """
    rows = conn.execute(
        "SELECT id FROM documents AS one WHERE expires < ? AND (kind <> 'desired' OR seq <"
        " (SELECT max(seq) FROM documents WHERE device = one.device AND kind = 'desired')) LIMIT ?",
        (stamp(now - KEEP_DOCUMENTS), FORGOTTEN_AT_ONCE),
    )
    gone = [(row["id"],) for row in rows]
    conn.executemany("DELETE FROM order_media WHERE document = ?", gone)
    conn.executemany("DELETE FROM orders WHERE id = ?", gone)
    conn.executemany("DELETE FROM documents WHERE id = ?", gone)
    return len(gone) >= FORGOTTEN_AT_ONCE


def scopes_of(device: Device) -> tuple[Scope, ...]:
    """Every scope a box is in."""
    return (
        Scope(kind=ScopeKind.DEVICE, id=device.id),
        *(Scope(kind=ScopeKind.GROUP, id=group) for group in device.groups),
        Scope(kind=ScopeKind.STATION, id=device.station),
    )


def _holds(device: Device, kind: str, name: str) -> bool:
    return any((one.kind.value, one.id) == (kind, name) for one in scopes_of(device))


def _batch(row: sqlite3.Row) -> BatchRow:
    return BatchRow(
        row["id"],
        row["kind"],
        moment(row["created"]),
        moment(row["expires"]),
        row["author"],
        row["request"],
        row["digest"],
        row["body"],
        row["targets"],
        row["cancels"],
        row["ended_by"],
    )


def _order(row: sqlite3.Row) -> OrderRow:
    scope = Scope(kind=ScopeKind(row["scope_kind"]), id=row["scope"])
    return OrderRow(document_of(row), row["batch"], scope, row["ended_by"] is not None, row["ends"])
