"""Joins the rooms: what one room asks for in its own words, carried out by another."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from agent.clock import Clock
from agent.content.store import MediaStore
from agent.errors import ContentError, StoreError
from agent.health.issues import IssueBook
from agent.latest import Latest
from agent.model.bulletin import AiringId, ZoneId
from agent.model.issue import Fault
from agent.model.report import AsRun
from agent.store.orders import OrderStatus
from agent.store.state import Json
from agent.store.store import Store
from agent.wire.reports import asrun_report
from agent.wire.ulid import new_ulid

MAX_UNWRITTEN = 2_000
"""Final records kept in memory while the database refuses."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One report that waits, as a source adapter sees it."""

    report_id: str
    topic_kind: str
    payload: bytes
    receipt: bool


Rescue = Callable[[bytes, str, datetime], Awaitable[bool]]
"""What becomes of an envelope that the card did not take; True if the card holds it after all."""


class SourceShelf:
    """The inbox and outbox as a source adapter wants them."""

    def __init__(self, store: Store, clock: Clock, rescue: Rescue) -> None:
        self._store = store
        self._clock = clock
        self._rescue = rescue

    async def inbox_insert(self, envelope: bytes, transport: str) -> bool:
        now = self._clock.now()
        try:
            return await self._store.inbox_add(envelope, transport, now) is not None
        except StoreError:
            if await self._rescue(envelope, transport, now):
                return True
            raise

    async def holds(self, kind: str, order_id: str) -> bool:
        del kind  # order ids are unique over all kinds
        return await self._store.order_known(order_id)

    async def outbox_next(self, limit: int) -> Sequence[Waiting]:
        return [
            Waiting(one.id, one.topic, one.payload, one.receipt)
            for one in await self._store.outbox_next(limit)
        ]

    async def outbox_sent(self, report_ids: Sequence[str]) -> None:
        await self._store.outbox_sent(report_ids)

    async def outbox_awaiting(self, limit: int) -> Sequence[str]:
        return await self._store.outbox_awaiting(limit)

    async def outbox_receipt(self, report_ids: Sequence[str]) -> None:
        await self._store.outbox_receipt(report_ids)

    async def outbox_resend(self, sent_before_s: float) -> int:
        return await self._store.outbox_resend(timedelta(seconds=sent_before_s))

    @property
    def outbox_changes(self) -> Latest[int]:
        return self._store.outbox_news


class AiringRecords:
    """As-run records as a zone player wants them; a final one goes out with its proof.

    A database that refuses (a full or failing card) is an issue, never a reason to be silent: the airing
    goes on, and final records wait in memory until they can be written. As a service it writes them.
    """

    name = "airing records"
    RETRY_S = 10.0

    def __init__(self, store: Store, clock: Clock, issues: IssueBook) -> None:
        self._store = store
        self._clock = clock
        self._issues = issues
        self._unwritten: dict[tuple[AiringId, ZoneId], AsRun] = {}

    async def begin(self, record: AsRun) -> bool:
        if (record.airing, record.zone) in self._unwritten:
            return False
        try:
            fresh = await self._store.airing_begin(record)
        except StoreError as error:
            self._failed(error)
            return True
        return fresh

    async def update(self, record: AsRun) -> None:
        try:
            await self._store.airing_update(record)
        except StoreError as error:
            self._failed(error)

    async def finish(self, record: AsRun) -> None:
        try:
            await self._write(record)
        except StoreError as error:
            self._failed(error)
            if len(self._unwritten) < MAX_UNWRITTEN:
                self._unwritten[record.airing, record.zone] = record

    async def open_records(self, zone: ZoneId) -> Collection[AsRun]:
        try:
            return [record for record in await self._store.open_airings() if record.zone == zone]
        except StoreError as error:
            self._failed(error)
            return []

    async def run(self) -> None:
        while True:
            await self._clock.sleep(self.RETRY_S)
            try:
                for key, record in list(self._unwritten.items()):
                    await self._write(record)
                    del self._unwritten[key]
            except StoreError as error:
                self._failed(error)
            else:
                self._issues.clear(Fault.STORE_FAILED, self.name)

    async def _write(self, record: AsRun) -> None:
        report_id = new_ulid(self._clock.now())
        await self._store.airing_finish(record, report_id, asrun_report(report_id, record).encode())

    def _failed(self, error: StoreError) -> None:
        self._issues.raise_(Fault.STORE_FAILED, self.name, str(error))


class JobRecord:
    """Which jobs were dealt with: their orders are no longer in force."""

    _KEY = "open_jobs"

    def __init__(self, store: Store) -> None:
        self._store = store

    async def done(self, job_id: str) -> bool:
        return all(order.id != job_id for order in await self._store.orders(kind="job"))

    async def note(self, job_id: str) -> None:
        await self._store.close_order(job_id, OrderStatus.ENDED)

    async def open_jobs(self) -> Mapping[str, str]:
        found = await self._store.get_state(self._KEY)
        return {key: str(text) for key, text in found.items()} if isinstance(found, dict) else {}

    async def keep_open(self, jobs: Mapping[str, str]) -> None:
        await self._store.put_state({self._KEY: dict(jobs)})


class ScheduleRecord:
    """The schedule in force, kept with what is known of it."""

    _KEY = "schedule"
    _BLOB = "schedule"

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put_schedule(self, document: bytes, sha256: str, order_id: str, since: datetime) -> None:
        facts: dict[str, Json] = {"sha256": sha256, "order": order_id, "since": since.isoformat()}
        await self._store.put_state({self._KEY: facts}, {self._BLOB: document})

    async def drop_schedule(self) -> None:
        await self._store.put_state({self._KEY: None}, {self._BLOB: None})

    async def get_schedule(self) -> tuple[bytes, str, str, datetime] | None:
        facts = await self._store.get_state(self._KEY)
        document = await self._store.get_blob(self._BLOB)
        if not isinstance(facts, dict) or document is None:
            return None
        known = cast("dict[str, str]", facts)
        return document, known["sha256"], known["order"], datetime.fromisoformat(known["since"])


class HeldMedia:
    """Which files are on the box, as the plan asks: `sha256 in held`."""

    def __init__(self, media: MediaStore) -> None:
        self._media = media

    def __contains__(self, sha256: object) -> bool:
        return isinstance(sha256, str) and self._media.has(sha256)


class CheckedMedia:
    """Files as the players want them: checked against their hash before the first play of a run."""

    def __init__(self, media: MediaStore, absent: Path) -> None:
        self._media = media
        self._absent = absent

    async def checked(self, sha256: str) -> Path:
        try:
            if self._media.has(sha256):
                await self._media.verify(sha256)
        except ContentError:
            return self._absent / sha256  # the disk would not read it; the keeper reports that
        return self._media.place(sha256)

    async def recheck(self, sha256: str) -> None:
        with contextlib.suppress(ContentError):
            if self._media.has(sha256):
                await self._media.verify(sha256, again=True)
