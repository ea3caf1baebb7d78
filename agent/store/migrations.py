"""The shape of the box's database, as numbered steps; `PRAGMA user_version` says how many were taken.

An update may roll back, so every step expands first and contracts releases later: a new column has a
default or may be NULL, and nothing an older agent reads is dropped in the step that replaces it. An
older agent therefore opens a newer database as it is; only `min_reader` in `meta`, raised by a step
that really contracts, makes it refuse.
"""

from __future__ import annotations

import sqlite3

from agent.errors import StoreError

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        # envelope is NULL once decided: hash and decision are enough to know the bytes again.
        """CREATE TABLE inbox (
            id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 BLOB NOT NULL UNIQUE, envelope BLOB,
            transport TEXT NOT NULL, received_at TEXT NOT NULL, decision TEXT, order_id TEXT) STRICT""",
        "CREATE INDEX inbox_pending ON inbox (id) WHERE decision IS NULL",
        "CREATE INDEX inbox_by_order ON inbox (order_id) WHERE order_id IS NOT NULL",
        """CREATE TABLE orders (
            n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, issuer TEXT NOT NULL,
            scope_kind TEXT NOT NULL, scope_id TEXT NOT NULL, seq INTEGER NOT NULL,
            not_before TEXT NOT NULL, expires TEXT NOT NULL, envelope BLOB NOT NULL,
            status TEXT NOT NULL) STRICT""",
        "CREATE INDEX orders_by_status ON orders (status, kind, n)",
        # Kept for ever (about 100 bytes each): a forgotten id could be replayed.
        "CREATE TABLE seen (order_id TEXT PRIMARY KEY, payload_sha256 TEXT NOT NULL) STRICT, WITHOUT ROWID",
        """CREATE TABLE sequences (
            issuer TEXT, scope_kind TEXT, scope_id TEXT, kind TEXT, seq INTEGER NOT NULL,
            PRIMARY KEY (issuer, scope_kind, scope_id, kind)) STRICT, WITHOUT ROWID""",
        # sent_s NULL: waiting; otherwise sent then (CLOCK_MONOTONIC seconds) and its receipt is awaited.
        """CREATE TABLE outbox (
            n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, topic TEXT NOT NULL,
            payload BLOB NOT NULL, priority INTEGER NOT NULL, receipt INTEGER NOT NULL,
            sent_s REAL) STRICT""",
        "CREATE INDEX outbox_by_priority ON outbox (priority, n)",
        "CREATE INDEX outbox_waiting ON outbox (priority, n) WHERE sent_s IS NULL",
        """CREATE TABLE airings (
            n INTEGER PRIMARY KEY, airing TEXT NOT NULL, zone TEXT NOT NULL, planned_us INTEGER NOT NULL,
            final INTEGER NOT NULL, record TEXT NOT NULL, UNIQUE (airing, zone)) STRICT""",
        "CREATE INDEX airings_by_time ON airings (planned_us)",
        "CREATE INDEX airings_open ON airings (n) WHERE final = 0",
        "CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
        "CREATE TABLE blobs (name TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT",
    ),
)


def migrate(db: sqlite3.Connection, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS) -> None:
    """Take the steps still missing, each in its own transaction.

    Raises:
        StoreError: the database was written by a newer agent that asks for newer readers.
        sqlite3.Error: a step failed; the steps before it stay taken.
    """
    (taken,) = db.execute("PRAGMA user_version").fetchone()
    known = len(migrations)
    if taken > known:
        row = db.execute("SELECT value FROM meta WHERE key = 'min_reader'").fetchone()
        if row is not None and row[0] > known:
            raise StoreError(
                f"the database needs an agent that knows version {row[0]}; this one knows {known}"
            )
        return
    for number, step in enumerate(migrations[taken:], start=taken + 1):
        db.execute("BEGIN IMMEDIATE")
        try:
            for statement in step:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number:d}")
            db.execute("COMMIT")
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
