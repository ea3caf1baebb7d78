"""Rows of what the station set for all its boxes; every change is kept with who made it."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from server.clock import moment, stamp


@dataclass(frozen=True, slots=True)
class Setting:
    """One version of one setting; `value` is what its JSON says."""

    name: str
    version: int
    value: Any
    author: str
    changed: datetime


def get_setting(conn: sqlite3.Connection, name: str) -> Setting | None:
    """The newest version, None if it was never set."""
    row = conn.execute(
        "SELECT * FROM settings WHERE name = ? ORDER BY version DESC LIMIT 1", (name,)
    ).fetchone()
    if row is None:
        return None
    return Setting(
        row["name"], row["version"], json.loads(row["value"]), row["author"], moment(row["changed"])
    )


def put_setting(conn: sqlite3.Connection, name: str, value: object, author: str, now: datetime) -> Setting:
    """Keep a new version."""
    former = get_setting(conn, name)
    version = (former.version if former else 0) + 1
    conn.execute(
        "INSERT INTO settings (name, version, value, author, changed) VALUES (?, ?, ?, ?, ?)",
        (name, version, json.dumps(value, ensure_ascii=False), author, stamp(now)),
    )
    return Setting(name, version, value, author, now)


def revision(conn: sqlite3.Connection) -> int:
    """Rises with each change of any setting; 0 as long as nothing was set."""
    row = conn.execute("SELECT coalesce(max(n), 0) FROM settings").fetchone()
    return int(row[0])
