"""Turns what happens on the box into durable reports, in order, without making anybody wait."""

from __future__ import annotations

import asyncio
import logging

from agent.clock import Clock
from agent.errors import StoreError
from agent.model.issue import Issue
from agent.store.store import Store
from agent.wire.reports import Event, EventType
from agent.wire.ulid import new_ulid

logger = logging.getLogger(__name__)

_QUEUE = 500
_LINE = 300


class EventWriter:
    """Service: writes events handed in from anywhere into the outbox.

    The queue is bounded; when it is full the newest event is dropped and counted, because the store
    has then been failing for hundreds of events.
    """

    name = "event writer"

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._queue: asyncio.Queue[Event] = asyncio.Queue(_QUEUE)
        self.dropped = 0

    def put(self, kind: EventType, subject: str = "", code: str = "", detail: str = "") -> None:
        """Report something that happened now."""
        now = self._clock.now()
        event = Event(
            id=new_ulid(now), at=now, type=kind, subject=_line(subject), code=code[:100], detail=_line(detail)
        )
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self.dropped += 1

    async def tell(self, kind: EventType, subject: str, code: str, detail: str) -> None:
        """As `put`, for callers that may wait."""
        self.put(kind, subject, code, detail)

    def issue(self, issue: Issue, raised: bool) -> None:
        """Report an issue that was raised or cleared."""
        kind = EventType.ISSUE_RAISED if raised else EventType.ISSUE_CLEARED
        self.put(kind, issue.subject, issue.fault.value, issue.detail)

    async def run(self) -> None:
        while True:
            event = await self._queue.get()
            try:
                await self._store.report(event)
            except StoreError as error:
                self.dropped += 1
                logger.warning("event %s not kept: %s", event.type, error)


def _line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)[:_LINE]
