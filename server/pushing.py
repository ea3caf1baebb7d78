"""Brings kept orders to the broker: emergencies at once, others in the order of their numbers."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from typing import Protocol

from server.clock import utc_now
from server.issuing import Issuer, Outgoing, desired_document
from server.problems import StoreFailedError
from server.store import content, orders
from server.store.database import Database
from server.store.orders import OrderRow

logger = logging.getLogger(__name__)

PUSH_LIMIT_S = 15.0
FIRST_KINDS = frozenset({"emergency", "cancel"})
"""Boxes obey these in any order, so nothing is waited for."""

_URGENCY = {"emergency": 0, "cancel": 0, "grant": 1, "job": 2, "bulletin": 3}


class Push(Protocol):
    """Publishes one document; False if the broker did not confirm."""

    async def __call__(
        self, topic: str, payload: bytes, *, retain: bool = True, first: bool = False
    ) -> bool: ...


class Pusher:
    """Keeps count of what the broker confirmed; heartbeats bring to the boxes what it did not."""

    def __init__(self, database: Database, issuer: Issuer, push: Push) -> None:
        self._database = database
        self._issuer = issuer
        self._push = push
        self._one_at_a_time: dict[str, asyncio.Lock] = {}

    async def send(self, outgoing: Sequence[Outgoing]) -> set[str]:
        """Push all side by side; ids of those that the broker confirmed in time."""
        pushed: set[str] = set()

        async def one_of_them(one: Outgoing) -> None:
            try:
                if await self._one(one):
                    pushed.add(one.document.id)
            except StoreFailedError as error:
                logger.warning("order %s not pushed: %s", one.document.id, error)

        try:
            async with asyncio.timeout(PUSH_LIMIT_S), asyncio.TaskGroup() as group:
                for one in outgoing:
                    group.create_task(one_of_them(one), name=f"push {one.document.id}")
        except TimeoutError:
            logger.warning("broker confirmed %d of %d orders in time", len(pushed), len(outgoing))
        await self._mark(pushed)
        return pushed

    async def send_waiting(self) -> None:
        """Push what the broker has not confirmed, the most urgent first."""
        now = utc_now()

        def read(conn: sqlite3.Connection) -> tuple[list[Outgoing], list[Outgoing]]:
            found = sorted(orders.waiting(conn, now), key=lambda one: _URGENCY.get(one.document.kind, 4))
            wanted = [one for one in content.all_current_desired(conn) if one.pushed is None]
            return [self._outgoing(conn, one) for one in found], [desired_document(one) for one in wanted]

        found, wanted = await self._database.read(read, urgent=True)
        await self.send([one for one in found if one.document.kind in FIRST_KINDS])
        await self.send([one for one in found if one.document.kind not in FIRST_KINDS])
        await self.send(wanted)

    async def _one(self, one: Outgoing) -> bool:
        kind = one.document.kind
        if kind in FIRST_KINDS:
            return await self._publish(one, first=True)
        scope = f"{one.scope.kind.value}/{one.scope.id}/{kind}"
        async with self._one_at_a_time.setdefault(scope, asyncio.Lock()):
            if kind == "desired":
                return await self._newest(one)
            return await self._up_to(one)

    async def _newest(self, one: Outgoing) -> bool:
        """Push unless a newer one is there: the broker retains what came last, not the newest."""
        device = one.document.device
        newest = await self._database.read(lambda conn: content.current_desired(conn, device), urgent=True)
        if newest is None or newest.id != one.document.id:
            return False
        return await self._publish(one)

    async def _up_to(self, one: Outgoing) -> bool:
        """Push after those before it: a box refuses a number that comes after a higher one."""
        now, kind = utc_now(), one.document.kind

        def before(conn: sqlite3.Connection) -> tuple[list[Outgoing], bool]:
            found = [
                self._outgoing(conn, row)
                for row in orders.waiting(conn, now, (kind,))
                if row.scope == one.scope and row.document.seq <= one.document.seq
            ]
            return found, content.was_pushed(conn, one.document.id)

        found, done = await self._database.read(before, urgent=True)
        confirmed: set[str] = set()
        for other in found:
            if not await self._publish(other):
                break
            confirmed.add(other.document.id)
        await self._mark(confirmed)
        return done or one.document.id in confirmed

    async def _publish(self, one: Outgoing, *, first: bool = False) -> bool:
        retain = one.document.kind == "desired"
        results: list[bool] = []

        async def tell(topic: str) -> None:
            results.append(await self._push(topic, one.document.envelope, retain=retain, first=first))

        async with asyncio.TaskGroup() as group:
            for topic in one.topics:
                group.create_task(tell(topic), name=f"push {topic}")
        return all(results)

    async def _mark(self, pushed: set[str]) -> None:
        if pushed:
            now, done = utc_now(), frozenset(pushed)
            try:
                await self._database.write(lambda conn: content.mark_pushed(conn, done, now), urgent=True)
            except StoreFailedError as error:  # they are pushed once more; boxes know them by their ids
                logger.warning("%d orders not marked as pushed: %s", len(done), error)

    def _outgoing(self, conn: sqlite3.Connection, row: OrderRow) -> Outgoing:
        target = self._issuer.target_of(conn, row.scope)
        return Outgoing(row.document, row.scope, target.topics(row.document.kind))
