"""What was ordered, and what is in force for a box."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from agent.wire.device_api import DOCUMENTS, Held
from server.clock import utc_now
from server.problems import Problem, RefusedError
from server.store import content, orders
from server.store.database import Database
from server.store.devices import Device
from server.store.orders import BatchRow, OrderRow

MOST_HELD = 200
_URGENCY = {"emergency": 0, "desired": 2, "grant": 3, "takeover": 3, "job": 4, "bulletin": 5}
_ALL_CLEAR, _WITHDRAWN = 1, 6
"""Cancels: that of an emergency silences horns; any other must not push out what is in force."""


@dataclass(frozen=True, slots=True)
class OrderAnswerRow:
    """A batch with its orders.

    Attributes:
        body: what the orders say, apart from what differs between them.
        ended: the cancel that ended it, None if none did.
    """

    batch: BatchRow
    orders: tuple[OrderRow, ...]
    ended: BatchRow | None = None

    @property
    def id(self) -> str:
        """Id of the batch, which is that of its first order."""
        return self.batch.id

    @property
    def body(self) -> dict[str, Any]:
        """What was ordered."""
        said: dict[str, Any] = json.loads(self.batch.body)
        return said

    @property
    def targets(self) -> dict[str, Any]:
        """Whom it is for: `devices`, `groups`, `all`."""
        said: dict[str, Any] = json.loads(self.batch.targets)
        return said

    def state(self, now: datetime) -> str:
        """`cancelled`, `over` or `in_force`; `kept` if nothing was sent."""
        if self.batch.ended_by is not None:
            return "cancelled"
        if self.batch.expires <= now:
            return "over"
        return "in_force" if self.orders else "kept"


class OrderBook:
    """Answers questions about orders."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, order_id: str, kinds: Iterable[str]) -> OrderAnswerRow:
        """One batch, by its id or that of one of its orders.

        Raises:
            RefusedError: there is none of these kinds.
        """
        allowed = set(kinds)

        def read(conn: sqlite3.Connection) -> OrderAnswerRow | None:
            batch = orders.find_batch(conn, order_id)
            return answer_row(conn, batch.id) if batch is not None and batch.kind in allowed else None

        row = await self._database.read(read)
        if row is None:
            raise RefusedError(Problem.NOT_FOUND)
        return row

    async def recent(
        self, kinds: Iterable[str], limit: int, *, in_force: bool = False
    ) -> list[OrderAnswerRow]:
        """Newest first; with `in_force` only what is neither cancelled nor over."""
        now, wanted = utc_now(), tuple(kinds)

        def read(conn: sqlite3.Connection) -> list[OrderAnswerRow]:
            found = orders.list_batches(conn, wanted, limit, now if in_force else None)
            return [answer_row(conn, one.id) for one in found]

        return await self._database.read(read)

    async def held(self, device: Device) -> tuple[Held, ...]:
        """Every order in force for a box, the most urgent first; at most 200, the newest of them."""
        now = utc_now()

        def read(conn: sqlite3.Connection) -> list[Held]:
            found = [(_urgency(one), one.document) for one in orders.orders_for(conn, device, now)]
            wanted = content.current_desired(conn, device.id)
            if wanted is not None and wanted.expires > now:
                found.append((_URGENCY[wanted.kind], wanted))
            # Newest first while cutting, because of two hundred jobs the last ones count ...
            found.sort(key=lambda one: one[1].id, reverse=True)
            found.sort(key=lambda one: one[0])
            del found[MOST_HELD:]
            # ... but oldest first to the box, which refuses a number after a higher one.
            found.sort(key=lambda one: (one[0], one[1].seq))
            return [
                Held(kind=one.kind, id=one.id, issuer=one.issuer, seq=one.seq, url=DOCUMENTS + one.id)
                for _, one in found
            ]

        return tuple(await self._database.read(read))

    async def document(self, device: Device, order_id: str) -> bytes | None:
        """The envelope of an order that is for this box."""
        row = await self._database.read(lambda conn: orders.document_for(conn, device, order_id))
        return row.envelope if row is not None else None


def _urgency(order: OrderRow) -> int:
    if order.document.kind == "cancel":
        return _ALL_CLEAR if order.ends == "emergency" else _WITHDRAWN
    return _URGENCY[order.document.kind]


def answer_row(conn: sqlite3.Connection, batch: str) -> OrderAnswerRow:
    """A batch that is there, with its orders."""
    found = orders.find_batch(conn, batch)
    if found is None:
        raise LookupError(f"batch {batch} was kept and is gone")
    ended = orders.find_batch(conn, found.ended_by) if found.ended_by else None
    return OrderAnswerRow(found, orders.orders_of(conn, batch), ended)
