"""Rows of boxes, enrolment codes, and of operators, tickets and sessions."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime

from server.clock import moment, stamp


@dataclass(frozen=True, slots=True)
class Device:
    """An enrolled box; its secret is kept only as hashes."""

    id: str
    name: str
    hardware: str
    version: str
    station: str
    province: str
    groups: tuple[str, ...]
    secret_sha256: str
    mqtt_hash: str
    enrolled: datetime


@dataclass(frozen=True, slots=True)
class Code:
    """An enrolment code; only its hash and first group are kept."""

    hash: str
    prefix: str
    name: str
    groups: tuple[str, ...]
    created: datetime
    expires: datetime
    tries: int = 0
    used_by: str | None = None


def insert_device(conn: sqlite3.Connection, device: Device) -> None:
    conn.execute(
        "INSERT INTO devices VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            device.id,
            device.name,
            device.hardware,
            device.version,
            device.station,
            device.province,
            json.dumps(device.groups),
            device.secret_sha256,
            device.mqtt_hash,
            stamp(device.enrolled),
        ),
    )


def all_devices(conn: sqlite3.Connection) -> tuple[Device, ...]:
    """Every box, by name."""
    return tuple(_device(row) for row in conn.execute("SELECT * FROM devices ORDER BY name, id"))


def find_device(conn: sqlite3.Connection, device: str) -> Device | None:
    row = conn.execute("SELECT * FROM devices WHERE id = ?", (device,)).fetchone()
    return _device(row) if row else None


def insert_code(conn: sqlite3.Connection, code: Code) -> None:
    conn.execute(
        "INSERT INTO codes (hash, prefix, name, groups, created, expires) VALUES (?, ?, ?, ?, ?, ?)",
        (
            code.hash,
            code.prefix,
            code.name,
            json.dumps(code.groups),
            stamp(code.created),
            stamp(code.expires),
        ),
    )


def find_code(conn: sqlite3.Connection, code_hash: str) -> Code | None:
    row = conn.execute("SELECT * FROM codes WHERE hash = ?", (code_hash,)).fetchone()
    if row is None:
        return None
    return Code(
        row["hash"],
        row["prefix"],
        row["name"],
        tuple(json.loads(row["groups"])),
        moment(row["created"]),
        moment(row["expires"]),
        row["tries"],
        row["used_by"],
    )


def use_code(conn: sqlite3.Connection, code_hash: str, device: str) -> None:
    conn.execute("UPDATE codes SET used_by = ? WHERE hash = ?", (device, code_hash))


def count_wrong_try(conn: sqlite3.Connection, prefix: str) -> None:
    """A wrong code counts against every code that begins like it."""
    conn.execute("UPDATE codes SET tries = tries + 1 WHERE prefix = ?", (prefix,))


def set_operator(conn: sqlite3.Connection, name: str, token_sha256: str, now: datetime) -> None:
    conn.execute("DELETE FROM operators WHERE name = ?", (name,))
    conn.execute("INSERT INTO operators VALUES (?, ?, ?)", (token_sha256, name, stamp(now)))


def operator_of(conn: sqlite3.Connection, token_sha256: str) -> str | None:
    row = conn.execute("SELECT name FROM operators WHERE token_sha256 = ?", (token_sha256,)).fetchone()
    return row["name"] if row else None


def operator_digests(conn: sqlite3.Connection) -> tuple[str, ...]:
    """What is kept of the tokens of all operators, oldest first."""
    rows = conn.execute("SELECT token_sha256 FROM operators ORDER BY created")
    return tuple(row["token_sha256"] for row in rows)


def insert_ticket(conn: sqlite3.Connection, ticket_hash: str, expires: datetime) -> None:
    conn.execute("INSERT INTO tickets VALUES (?, ?)", (ticket_hash, stamp(expires)))


def take_ticket(conn: sqlite3.Connection, ticket_hash: str, now: datetime) -> bool:
    """Use up a ticket; whether it existed and was still good."""
    row = conn.execute("DELETE FROM tickets WHERE hash = ? RETURNING expires", (ticket_hash,)).fetchone()
    return row is not None and moment(row["expires"]) > now


def insert_session(conn: sqlite3.Connection, session_hash: str, expires: datetime) -> None:
    conn.execute("INSERT INTO sessions VALUES (?, ?)", (session_hash, stamp(expires)))


def session_good(conn: sqlite3.Connection, session_hash: str, now: datetime) -> bool:
    row = conn.execute("SELECT expires FROM sessions WHERE hash = ?", (session_hash,)).fetchone()
    return row is not None and moment(row["expires"]) > now


def forget_expired(conn: sqlite3.Connection, now: datetime) -> None:
    """Drop codes, tickets and sessions whose time is over."""
    for table in ("codes", "tickets", "sessions"):
        conn.execute(f"DELETE FROM {table} WHERE expires < ?", (stamp(now),))  # noqa: S608 - fixed names


def _device(row: sqlite3.Row) -> Device:
    return Device(
        row["id"],
        row["name"],
        row["hardware"],
        row["version"],
        row["station"],
        row["province"],
        tuple(json.loads(row["groups"])),
        row["secret_sha256"],
        row["mqtt_hash"],
        moment(row["enrolled"]),
    )
