"""Reports on their way up: kept until sent, or until their receipt came for those that must not be lost."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from agent.wire.reports import Event, EventType, Health, JobReport, Reported, ScreenReport

CAPACITY = 20_000


class Priority(IntEnum):
    """What leaves first, and what is dropped last."""

    PROOF = 0
    EVENT = 1
    REPORTED = 2
    HEALTH = 3
    PAGE = 4
    """A board's own pages: days of them must not push out what an emergency left behind."""


CALLED_FOR = frozenset({"emergency", "all_clear", "live", "bulletin"})
"""Why a screen was shown that somebody asked for."""


REPLACED = frozenset({"reported", "health"})
"""Kinds that describe the present: a newer one takes the place of an older."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report.

    Attributes:
        id: ULID of the report; for replaced kinds any text that differs each time.
        topic: end of its topic: one of `agent.wire.topics.UP`, or `job/<ULID>`.
        receipt: stays until the source system says it has it for good.
    """

    id: str
    kind: str
    topic: str
    payload: bytes
    priority: Priority
    receipt: bool


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """What waits to be sent, what was sent and awaits its receipt, what was ever dropped for want of room."""

    waiting: int
    awaiting: int
    dropped: int


def report_of(document: Event | JobReport | Reported | ScreenReport | Health) -> Report:
    """The report that carries a document, with the urgency and care its kind deserves."""
    payload = document.encode()
    match document:
        case Event(id=event_id, type=kind):
            order = kind in (EventType.ORDER_ACCEPTED, EventType.ORDER_REFUSED)
            urgency = Priority.PROOF if order else Priority.EVENT
            return Report(event_id, "event", "event", payload, urgency, receipt=True)
        case JobReport(id=report_id, job=job):
            return Report(report_id, "job", f"job/{job}", payload, Priority.PROOF, receipt=True)
        case ScreenReport(id=report_id, reason=reason):
            urgency = Priority.EVENT if reason in CALLED_FOR else Priority.PAGE
            return Report(report_id, "screen", "screen", payload, urgency, receipt=True)
        case Reported():
            fresh = f"reported-{secrets.token_hex(8)}"
            return Report(fresh, "reported", "reported", payload, Priority.REPORTED, receipt=False)
        case Health():
            return Report(
                f"health-{secrets.token_hex(8)}", "health", "health", payload, Priority.HEALTH, receipt=False
            )


def put(db: sqlite3.Connection, report: Report, capacity: int = CAPACITY) -> None:
    """Queue a report; one that is queued already stays as it is.

    When the queue is full the least important goes, oldest first, be it the new one; it is counted.
    """
    if report.kind in REPLACED:
        db.execute("DELETE FROM outbox WHERE kind = ?", (report.kind,))
    db.execute(
        """INSERT INTO outbox (id, kind, topic, payload, priority, receipt) VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT DO NOTHING""",
        (
            report.id,
            report.kind,
            report.topic,
            report.payload,
            report.priority.value,
            report.receipt,
        ),
    )
    (held,) = db.execute("SELECT count(*) FROM outbox").fetchone()
    if held > capacity:
        dropped = db.execute(
            """DELETE FROM outbox WHERE n IN (
                SELECT n FROM outbox WHERE priority = (SELECT max(priority) FROM outbox)
                ORDER BY n LIMIT ?)""",
            (held - capacity,),
        ).rowcount
        db.execute(
            """INSERT INTO meta VALUES ('outbox_dropped', ?)
               ON CONFLICT DO UPDATE SET value = value + excluded.value""",
            (dropped,),
        )


def waiting(db: sqlite3.Connection, limit: int) -> list[Report]:
    """What to send next: most important first, then oldest."""
    rows = db.execute(
        """SELECT id, kind, topic, payload, priority, receipt FROM outbox WHERE sent_s IS NULL
           ORDER BY priority, n LIMIT ?""",
        (limit,),
    )
    return [Report(a, b, c, d, Priority(priority), bool(receipt)) for a, b, c, d, priority, receipt in rows]


def sent(db: sqlite3.Connection, ids: Iterable[str], now_s: float) -> None:
    """The broker has them: forget those without receipt, wait for the receipt of the others."""
    for one in ids:
        db.execute("DELETE FROM outbox WHERE id = ? AND receipt = 0", (one,))
        db.execute("UPDATE outbox SET sent_s = ? WHERE id = ?", (now_s, one))


def received(db: sqlite3.Connection, ids: Iterable[str]) -> None:
    """The source system has them for good."""
    db.executemany("DELETE FROM outbox WHERE id = ?", ((one,) for one in ids))


def awaiting(db: sqlite3.Connection, limit: int) -> list[str]:
    """Ids of what was sent and not confirmed, oldest first."""
    rows = db.execute("SELECT id FROM outbox WHERE sent_s IS NOT NULL ORDER BY n LIMIT ?", (limit,))
    return [str(one) for (one,) in rows]


def resend(db: sqlite3.Connection, sent_before_s: float) -> int:
    """Queue again what was sent before then and not confirmed; return how many."""
    return db.execute("UPDATE outbox SET sent_s = NULL WHERE sent_s <= ?", (sent_before_s,)).rowcount


def restart(db: sqlite3.Connection, now_s: float) -> None:
    """Count the age of what was sent from now on: the monotonic clock of the last boot means nothing."""
    db.execute("UPDATE outbox SET sent_s = ? WHERE sent_s IS NOT NULL", (now_s,))


def counts(db: sqlite3.Connection) -> OutboxCounts:
    """How full the outbox is."""
    held, queued = db.execute("SELECT count(*), count(*) - count(sent_s) FROM outbox").fetchone()
    row = db.execute("SELECT value FROM meta WHERE key = 'outbox_dropped'").fetchone()
    return OutboxCounts(waiting=queued, awaiting=held - queued, dropped=0 if row is None else row[0])
