"""Doubles of what a source system is handed: inbox, outbox, issues, all in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from agent.latest import Latest
from agent.model.bulletin import ClockTrust
from agent.model.issue import Fault
from agent.wire.reports import Birth, EventType, Health


class RealClock:
    """The machine's clock, trusted."""

    trust = ClockTrust.SYNCHRONISED

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(max(0.0, delay_s))


class MemoryInbox:
    """Keeps envelopes by their bytes, as the real one does."""

    def __init__(self) -> None:
        self.kept: list[tuple[bytes, str]] = []
        self.inserts = 0
        self.known: set[tuple[str, str]] = set()
        self.gate: asyncio.Event | None = None
        self.failure: Exception | None = None

    async def inbox_insert(self, envelope: bytes, transport: str) -> bool:
        self.inserts += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        if any(one == envelope for one, _ in self.kept):
            return False
        self.kept.append((envelope, transport))
        return True

    async def holds(self, kind: str, order_id: str) -> bool:
        return (kind, order_id) in self.known

    def has(self, envelope: bytes) -> bool:
        return envelope in self.envelopes

    @property
    def envelopes(self) -> list[bytes]:
        return [envelope for envelope, _ in self.kept]


@dataclass(frozen=True, slots=True)
class Row:
    """A report in the outbox."""

    report_id: str
    topic_kind: str
    payload: bytes
    receipt: bool = False


class MemoryOutbox:
    """A queue with receipts."""

    def __init__(self) -> None:
        self.outbox_changes: Latest[int] = Latest(0)
        self.rows: dict[str, Row] = {}
        self.sent: dict[str, float] = {}

    def put(self, *rows: Row) -> None:
        for row in rows:
            self.rows[row.report_id] = row
        self.outbox_changes.set(self.outbox_changes.value + 1)

    async def outbox_next(self, limit: int) -> Sequence[Row]:
        return [row for report_id, row in self.rows.items() if report_id not in self.sent][:limit]

    async def outbox_sent(self, report_ids: Sequence[str]) -> None:
        for report_id in report_ids:
            if self.rows[report_id].receipt:
                self.sent[report_id] = time.monotonic()
            else:
                del self.rows[report_id]

    async def outbox_awaiting(self, limit: int) -> Sequence[str]:
        return list(self.sent)[:limit]

    async def outbox_receipt(self, report_ids: Sequence[str]) -> None:
        for report_id in report_ids:
            del self.rows[report_id]
            del self.sent[report_id]

    async def outbox_resend(self, sent_before_s: float) -> int:
        late = [key for key, sent_s in self.sent.items() if time.monotonic() - sent_s > sent_before_s]
        for key in late:
            del self.sent[key]
        if late:
            self.outbox_changes.set(self.outbox_changes.value + 1)
        return len(late)


@dataclass
class IssueList:
    """Open issues, and every one ever raised."""

    open: dict[tuple[Fault, str], str] = field(default_factory=dict)
    raised: list[tuple[Fault, str]] = field(default_factory=list)

    def raise_(self, fault: Fault, subject: str = "", detail: str = "") -> None:
        self.open[(fault, subject)] = detail
        self.raised.append((fault, subject))

    def clear(self, fault: Fault, subject: str = "") -> None:
        self.open.pop((fault, subject), None)


@dataclass
class EventList:
    """Events told, as `(type, subject, code)`."""

    told: list[tuple[EventType, str, str]] = field(default_factory=list)

    async def __call__(self, kind: EventType, subject: str, code: str, detail: str) -> None:
        self.told.append((kind, subject, code))


MOMENT = datetime(2026, 3, 1, 5, 0, tzinfo=UTC)


def a_birth() -> Birth:
    return Birth(boot_id="boot-1", at=MOMENT, version="0.1.0")


def a_health() -> Health:
    return Health(boot_id="boot-1", at=MOMENT, uptime_s=1, clock="synchronised")
