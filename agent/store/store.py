"""The box's memory: what came in, what was decided, what is in force, what was played, what goes out.

Every method that writes is one transaction, on the card when it returns. Writers wake readers through
`inbox_news` and `outbox_news`; follow them instead of polling.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from agent.errors import StoreError, StoreFullError
from agent.latest import Latest
from agent.model.bulletin import AiringId, ZoneId
from agent.model.report import AsRun
from agent.store import asrun, inbox, orders, outbox, state
from agent.store.database import Database
from agent.store.inbox import InboxRow
from agent.store.orders import ACCEPTED, OrderRow, OrderStatus, SequenceKey
from agent.store.outbox import OutboxCounts, Priority, Report
from agent.store.reserve import Reserve
from agent.store.state import Json
from agent.wire.orders import AnyOrder
from agent.wire.reports import Event, Health, JobReport, Reported, ScreenReport

logger = logging.getLogger(__name__)


class Store:
    """The box's database. All methods may raise `StoreError`; a failed write changes nothing.

    Attributes:
        recovered: what happened to a corrupt database found at the start, None if it was sound.
        inbox_news: counts up after each arrival; starts over at 0 with each opening.
        outbox_news: counts up whenever there may be something to send.
    """

    def __init__(
        self, database: Database, monotonic: Callable[[], float], capacity: int, reserve: Reserve
    ) -> None:
        self._db = database
        self._reserve = reserve
        self._monotonic = monotonic
        self._capacity = capacity
        self._health: Report | None = None
        self.recovered = database.recovered
        self.inbox_news = Latest(0)
        self.outbox_news = Latest(0)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, *, monotonic: Callable[[], float] = time.monotonic, capacity: int = outbox.CAPACITY
    ) -> AsyncIterator[Store]:
        """Open the database at `path`, making it if need be; a corrupt one is set aside.

        Args:
            path: the file; its folder is made if missing.
            monotonic: seconds that only rise, for the age of what was sent.
            capacity: most reports the outbox holds.

        Raises:
            StoreError: no access, no room, or written for newer agents only.
        """
        reserve = Reserve(path.with_name(path.name + ".reserve"))
        async with Database.open(path) as database:
            await database.apart(reserve.make)
            try:
                await database.write(lambda db: outbox.restart(db, monotonic()))
            except StoreFullError as error:  # what is stored can still be read, and acted by
                logger.error("store: %s", error)  # noqa: TRY400 - expected
            yield cls(database, monotonic, capacity, reserve)

    # Inbox

    async def inbox_add(self, envelope: bytes, transport: str, received_at: datetime) -> int | None:
        """Take in an envelope, durably; None if the same bytes are held or were judged already."""
        row = await self._db.write(
            lambda db: inbox.add(db, envelope, transport, received_at), self.inbox_news
        )
        await self._db.apart(self._reserve.make)  # a look, unless it was given up and there is room again
        return row

    async def inbox_add_at_any_price(self, envelope: bytes, transport: str, received_at: datetime) -> bool:
        """Take in an envelope although the card is full, by giving up the room kept for this.

        Returns:
            False if it is not on the card even so.
        """
        if not await self._db.apart(self._reserve.give_up):
            return False
        try:
            await self.inbox_add(envelope, transport, received_at)
        except StoreError:
            return False
        return True

    async def inbox_pending(self, limit: int) -> list[InboxRow]:
        """What waits to be judged, in order of arrival."""
        return await self._db.read(lambda db: inbox.pending(db, limit))

    async def inbox_forget(self, decisions: Collection[str]) -> int:
        """Forget envelopes decided so, so that they are judged anew when sent again; return how many."""
        return await self._db.write(lambda db: inbox.forget(db, decisions))

    # Orders

    async def accept_order(
        self,
        row_id: int,
        order: AnyOrder,
        payload_sha256: str,
        events: Sequence[Event] = (),
        state_values: Mapping[str, Json] | None = None,
    ) -> None:
        """Put an order from inbox row `row_id` in force, report it, and keep state, all at once.

        Raises:
            ValueError: that row does not wait for a decision.
        """

        def job(db: sqlite3.Connection) -> None:
            orders.accept(db, row_id, order, payload_sha256)
            inbox.decide(db, row_id, ACCEPTED, order.id)
            self._queue(db, events)
            state.put(db, state_values or {})

        await self._db.write(job, self.outbox_news)

    async def refuse_order(
        self, row_id: int, decision: str, order_id: str | None, events: Sequence[Event] = ()
    ) -> None:
        """Note why the envelope of inbox row `row_id` is not obeyed, and report it.

        Raises:
            ValueError: that row does not wait for a decision.
        """

        def job(db: sqlite3.Connection) -> None:
            inbox.decide(db, row_id, decision, order_id)
            self._queue(db, events)

        await self._db.write(job, self.outbox_news)

    async def seen(self, order_id: str) -> str | None:
        """Hex SHA-256 of the payload accepted under this id, None if none ever was."""
        return await self._db.read(lambda db: orders.seen(db, order_id))

    async def order_known(self, order_id: str) -> bool:
        """Whether this order was judged, whatever became of it; fetching it again changes nothing.

        False again once a refusal is forgotten, and for what was refused unread.
        """
        return await self._db.read(
            lambda db: orders.seen(db, order_id) is not None or inbox.judged(db, order_id)
        )

    async def sequences(self) -> dict[SequenceKey, int]:
        """Highest number accepted in each sequence: (issuer, scope kind, scope id, order kind)."""
        return await self._db.read(orders.sequences)

    async def orders(
        self, kind: str | None = None, status: OrderStatus = OrderStatus.IN_FORCE
    ) -> list[OrderRow]:
        """Accepted orders of a status, in the order in which they were accepted.

        In force means not superseded and not closed; whether `expires` has passed is for the reader,
        who knows how far the clock may be believed.
        """
        return await self._db.read(lambda db: orders.held(db, kind, status))

    async def close_order(self, order_id: str, status: OrderStatus) -> bool:
        """Give an order in force its final status; False if none of this id is in force."""
        return await self._db.write(lambda db: orders.close(db, order_id, status))

    # Outbox

    async def report(self, document: Event | JobReport | Reported | ScreenReport | Health) -> None:
        """Queue a document with the urgency and care its kind deserves."""
        await self._put(outbox.report_of(document))

    async def outbox_put(
        self, report_id: str, kind: str, topic_kind: str, payload: bytes, *, priority: Priority, receipt: bool
    ) -> None:
        """Queue a report; `health` is kept in memory only, and an id queued already changes nothing."""
        await self._put(Report(report_id, kind, topic_kind, payload, priority, receipt))

    async def outbox_next(self, limit: int) -> list[Report]:
        """What to send next: most important first, then oldest. Handed out again until marked as sent."""
        found = await self._db.read(lambda db: outbox.waiting(db, limit))
        if self._health is not None and len(found) < limit:
            found.append(self._health)
        return found

    async def outbox_sent(self, ids: Sequence[str]) -> None:
        """The broker has them (PUBACK): forget those without receipt, await the receipt of the others."""
        health = self._health
        if health is not None and health.id in ids:
            self._health = None
        on_disk = [one for one in ids if health is None or one != health.id]
        if on_disk:
            await self._db.write(lambda db: outbox.sent(db, on_disk, self._monotonic()))

    async def outbox_receipt(self, ids: Sequence[str]) -> None:
        """The source system has them for good; unknown ids are ignored."""
        if ids:
            await self._db.write(lambda db: outbox.received(db, ids))

    async def outbox_awaiting(self, limit: int) -> list[str]:
        """Ids of what was sent and not confirmed, oldest first."""
        return await self._db.read(lambda db: outbox.awaiting(db, limit))

    async def outbox_resend(self, older_than: timedelta) -> int:
        """Queue again what was sent so long ago and not confirmed; return how many.

        What was sent before this opening counts from the opening.
        """
        before_s = self._monotonic() - older_than.total_seconds()
        queued = await self._db.write(lambda db: outbox.resend(db, before_s))
        if queued:
            self.outbox_news.set(self.outbox_news.value + 1)
        return queued

    async def outbox_counts(self) -> OutboxCounts:
        """How full the outbox is, and what was ever dropped."""
        return await self._db.read(outbox.counts)

    # As-run

    async def airing_begin(self, record: AsRun) -> bool:
        """Note durably, before its first sound, that an airing starts; False if it was finished already."""
        return await self._db.write(lambda db: asrun.begin(db, record))

    async def airing_update(self, record: AsRun) -> None:
        """Note how far an open airing has come; one that is not open stays as it is."""
        await self._db.write(lambda db: asrun.update(db, record))

    async def airing_finish(self, record: AsRun, report_id: str, payload: bytes) -> bool:
        """Close an airing and queue its proof, both or neither; False, and no report, if it was closed."""

        def job(db: sqlite3.Connection) -> bool:
            if not asrun.finish(db, record):
                return False
            outbox.put(
                db, Report(report_id, "asrun", "asrun", payload, Priority.PROOF, receipt=True), self._capacity
            )
            return True

        return await self._db.write(job, self.outbox_news)

    async def open_airings(self) -> list[AsRun]:
        """Airings begun and not finished, in the order in which they began."""
        return await self._db.read(asrun.unfinished)

    async def finished_airings(self, since: datetime) -> set[tuple[AiringId, ZoneId]]:
        """Airings finished whose planned start is `since` or later."""
        return await self._db.read(lambda db: asrun.finished(db, since))

    async def play_log(self, limit: int, before: datetime | None = None) -> list[AsRun]:
        """Records by planned start, newest first; pass the last planned start to get the next page."""
        return await self._db.read(lambda db: asrun.play_log(db, limit, before))

    # State

    async def get_state(self, key: str) -> Json:
        """The value under `key`, None if there is none."""
        return await self._db.read(lambda db: state.get(db, key))

    async def put_state(
        self, values: Mapping[str, Json], blobs: Mapping[str, bytes | None] | None = None
    ) -> None:
        """Replace values, and documents that belong to them, all at once."""

        def job(db: sqlite3.Connection) -> None:
            state.put(db, values)
            for name, data in (blobs or {}).items():
                state.put_blob(db, name, data)

        await self._db.write(job)

    async def get_blob(self, name: str) -> bytes | None:
        """The document under `name`, None if there is none."""
        return await self._db.read(lambda db: state.get_blob(db, name))

    async def put_blob(self, name: str, data: bytes | None) -> None:
        """Replace the document under `name`; None removes it."""
        await self.put_state({}, {name: data})

    async def _put(self, report: Report) -> None:
        if report.kind == "health":
            self._health = report
            self.outbox_news.set(self.outbox_news.value + 1)
            return
        await self._db.write(lambda db: outbox.put(db, report, self._capacity), self.outbox_news)

    def _queue(self, db: sqlite3.Connection, events: Sequence[Event]) -> None:
        for event in events:
            outbox.put(db, outbox.report_of(event), self._capacity)
