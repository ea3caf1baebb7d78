"""What a source system is to the rest of the box, and what it needs from the rest of the box.

An adapter (native, later the provincial interface or a folder on a stick) puts the orders it receives
into the inbox durably, drains the outbox, and fetches documents and media. Foreign vocabularies are
translated inside the adapter and go no further.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from agent.latest import Latest
from agent.model.issue import Fault
from agent.source.errors import LinkFailure
from agent.wire.reports import EventType, Health

Transfer = tuple[int | None, int, AsyncIterator[bytes]]
"""Total size if the sender says it, offset of the first byte that comes, and the bytes."""


class LinkState(StrEnum):
    """State of the pushing link; the answer to 'why does nothing arrive?'."""

    NOT_ENROLLED = "not_enrolled"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    WAITING = "waiting"
    REFUSED = "refused"
    NO_UPLINK = "no_uplink"


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How the box stands with its source system.

    Attributes:
        mqtt: state of the pushing link.
        mqtt_since: when that state began.
        mqtt_error: what ended the last session or attempt, None while connected.
        http_up: whether the last request was answered, None before the first.
        http_since: when `http_up` last changed.
        http_ok_at: last answered heartbeat; a server is reached if this is recent, push or not.
        http_error: why the last request failed, None if it did not.
        oversized: orders refused because they were too large to be read, since the start.
    """

    mqtt: LinkState
    mqtt_since: datetime
    mqtt_error: LinkFailure | None = None
    http_up: bool | None = None
    http_since: datetime | None = None
    http_ok_at: datetime | None = None
    http_error: LinkFailure | None = None
    oversized: int = 0

    @property
    def reachable(self) -> bool:
        """Orders and reports pass by at least one way."""
        return self.mqtt is LinkState.CONNECTED or self.http_up is True


class SourceSystem(Protocol):
    """An adapter to one source system; a supporting service."""

    @property
    def name(self) -> str: ...

    @property
    def status(self) -> Latest[SourceStatus]: ...

    async def run(self) -> None:
        """Insert orders into the inbox and drain the outbox until cancelled."""
        ...

    async def fetch(self, url: str, max_bytes: int) -> bytes:
        """Get a whole document; raises LinkError or ContentError."""
        ...

    def fetch_range(self, url: str, offset: int) -> AbstractAsyncContextManager[Transfer]:
        """Get a file from `offset` on; raises LinkError or ContentError, also while it is read."""
        ...

    def network_changed(self) -> None:
        """Try again at once: the box got another address or bearer."""
        ...


class Inbox(Protocol):
    """Durable place of orders not yet judged."""

    async def inbox_insert(self, envelope: bytes, transport: str) -> bool:
        """Keep the signed bytes; once this returns they survive a power cut.

        Returns:
            False if the very same bytes were there already.

        Raises:
            StoreError: they are not kept.
        """
        ...

    async def holds(self, kind: str, order_id: str) -> bool:
        """Whether this order was already received, whatever became of it."""
        ...


class OutboxRow(Protocol):
    """One report that waits."""

    @property
    def report_id(self) -> str: ...

    @property
    def topic_kind(self) -> str:
        """`event`, `asrun`, `job/<ULID>` and so on, the end of the topic."""
        ...

    @property
    def payload(self) -> bytes: ...

    @property
    def receipt(self) -> bool:
        """The row is kept after sending until the server says it has stored it."""
        ...


class Outbox(Protocol):
    """Durable queue of reports."""

    async def outbox_next(self, limit: int) -> Sequence[OutboxRow]:
        """Rows to be sent, most urgent first; the same ones until `outbox_sent`."""
        ...

    async def outbox_sent(self, report_ids: Sequence[str]) -> None:
        """The broker has them: delete those without receipt, mark the others as sent."""
        ...

    async def outbox_awaiting(self, limit: int) -> Sequence[str]:
        """Ids sent but not receipted, oldest first."""
        ...

    async def outbox_receipt(self, report_ids: Sequence[str]) -> None:
        """The server has stored them: delete."""
        ...

    async def outbox_resend(self, sent_before_s: float) -> int:
        """Queue again what was sent more than `sent_before_s` seconds ago without receipt; how many."""
        ...

    @property
    def outbox_changes(self) -> Latest[int]:
        """Another number whenever rows became ready to be sent."""
        ...


class Issues(Protocol):
    """The box's book of conditions a person can fix."""

    def raise_(self, fault: Fault, subject: str = "", detail: str = "") -> None: ...

    def clear(self, fault: Fault, subject: str = "") -> None: ...


TellEvent = Callable[[EventType, str, str, str], Awaitable[None]]
"""`(type, subject, code, detail)`: put an event report into the outbox."""

ReadHealth = Callable[[], Health]
"""The box's health as measured now."""
