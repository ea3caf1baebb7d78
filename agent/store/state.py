"""Small values by key, and documents by name, that the box must know again after a power cut."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def get(db: sqlite3.Connection, key: str) -> Json:
    """The value under `key`, None if there is none."""
    row = db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
    value: Json = None if row is None else json.loads(row[0])
    return value


def put(db: sqlite3.Connection, values: Mapping[str, Json]) -> None:
    """Replace values; what is the same already costs no write. None is kept as None."""
    for key, value in values.items():
        db.execute(
            """INSERT INTO state VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value
               WHERE value IS NOT excluded.value""",
            (key, json.dumps(value, separators=(",", ":"), sort_keys=True)),
        )


def get_blob(db: sqlite3.Connection, name: str) -> bytes | None:
    """The bytes under `name`, None if there are none."""
    row = db.execute("SELECT data FROM blobs WHERE name = ?", (name,)).fetchone()
    return None if row is None else bytes(row[0])


def put_blob(db: sqlite3.Connection, name: str, data: bytes | None) -> None:
    """Replace the bytes under `name`; None removes them."""
    if data is None:
        db.execute("DELETE FROM blobs WHERE name = ?", (name,))
        return
    db.execute(
        """INSERT INTO blobs VALUES (?, ?) ON CONFLICT DO UPDATE SET data = excluded.data
           WHERE data IS NOT excluded.data""",
        (name, data),
    )
