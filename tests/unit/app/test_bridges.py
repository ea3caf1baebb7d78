from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agent.app.bridges import AiringRecords, HeldMedia, ScheduleRecord, SourceShelf
from agent.content.store import MediaStore
from agent.errors import StoreError
from agent.health.issues import IssueBook
from agent.model.bulletin import AiringId, BulletinClass, SourceLevel, ZoneId
from agent.model.issue import Fault
from agent.model.report import AsRun, Verdict
from agent.store.store import Store
from agent.wire.reports import AsRunReport
from tests.support.clock import FakeClock


def a_record(clock: FakeClock, name: str = "tin") -> AsRun:
    return AsRun(
        airing=AiringId(f"{name}@20261122T050000Z"),
        zone=ZoneId("main"),
        programme=name,
        title="Bản tin",
        bulletin_class=BulletinClass.NORMAL,
        level=SourceLevel.COMMUNE,
        schedule_version=3,
        order_id="",
        planned_start=clock.now(),
        planned_ms=1000,
        verdict=Verdict.HEARD,
        final=True,
    )


class Refusing:
    """A database on a full card, until it is not full any more."""

    def __init__(self) -> None:
        self.full = True
        self.finished: list[AsRun] = []

    async def airing_begin(self, record: AsRun) -> bool:
        self._check()
        return True

    async def airing_update(self, record: AsRun) -> None:
        self._check()

    async def airing_finish(self, record: AsRun, report_id: str, payload: bytes) -> bool:
        self._check()
        assert AsRunReport.read(payload).airing == record.airing
        self.finished.append(record)
        return True

    async def open_airings(self) -> list[AsRun]:
        self._check()
        return []

    def _check(self) -> None:
        if self.full:
            raise StoreError("database or disk is full")


async def test_full_card_does_not_silence_an_airing_and_its_record_is_written_later() -> None:
    clock, store = FakeClock(), Refusing()
    issues = IssueBook(clock)
    records = AiringRecords(store, clock, issues)  # type: ignore[arg-type]
    record = a_record(clock)
    assert await records.begin(record) is True
    await records.update(record)
    await records.finish(record)
    assert await records.begin(record) is False, "it must not air again meanwhile"
    assert issues.is_open(Fault.STORE_FAILED, records.name)
    service = asyncio.create_task(records.run())
    await clock.pass_(15)
    assert store.finished == []
    store.full = False
    await clock.pass_(15)
    service.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await service
    assert store.finished == [record]
    assert not issues.is_open(Fault.STORE_FAILED, records.name)


async def test_finished_airing_goes_out_with_its_proof_once(tmp_path: Path) -> None:
    clock = FakeClock()
    async with Store.open(tmp_path / "loa.db") as store:
        records = AiringRecords(store, clock, IssueBook(clock))
        await records.begin(a_record(clock))
        await records.finish(a_record(clock))
        await records.finish(a_record(clock))
        shelf = SourceShelf(store, clock, no_rescue)
        waiting = await shelf.outbox_next(10)
        assert [(one.topic_kind, one.receipt) for one in waiting] == [("asrun", True)]
        await shelf.outbox_sent([waiting[0].report_id])
        assert await shelf.outbox_awaiting(10) == [waiting[0].report_id]
        await shelf.outbox_receipt([waiting[0].report_id])
        assert await shelf.outbox_awaiting(10) == []


async def test_schedule_in_force_survives_as_a_whole(tmp_path: Path) -> None:
    since = FakeClock().now() + timedelta(microseconds=5)
    async with Store.open(tmp_path / "loa.db") as store:
        await ScheduleRecord(store).put_schedule(b"{}", "ab", "order", since)
    async with Store.open(tmp_path / "loa.db") as store:
        assert await ScheduleRecord(store).get_schedule() == (b"{}", "ab", "order", since)
        await ScheduleRecord(store).drop_schedule()
        assert await ScheduleRecord(store).get_schedule() is None


@pytest.mark.parametrize("asked", ["a" * 64, 7, None])
def test_nothing_is_held_on_a_new_box(tmp_path: Path, asked: object) -> None:
    media = MediaStore(tmp_path)
    media.scan()
    assert asked not in HeldMedia(media)


async def no_rescue(envelope: bytes, transport: str, received_at: datetime) -> bool:
    raise AssertionError("the card took it")


async def test_an_envelope_that_the_card_did_not_take_is_acknowledged_only_if_it_was_rescued(
    tmp_path: Path,
) -> None:
    asked: list[bytes] = []

    async def rescue(envelope: bytes, transport: str, received_at: datetime) -> bool:
        asked.append(envelope)
        return envelope == b"saved"

    async with Store.open(tmp_path / "loa.db") as store:
        shelf = SourceShelf(store, FakeClock(), rescue)
        await store._db.read(lambda db: db.execute("PRAGMA query_only = ON"))  # as a card that wore out
        assert await shelf.inbox_insert(b"saved", "mqtt") is True
        with pytest.raises(StoreError):
            await shelf.inbox_insert(b"lost", "mqtt")
    assert asked == [b"saved", b"lost"]


async def test_envelope_is_durable_when_the_insert_returns(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "loa.db") as store:
        assert await SourceShelf(store, FakeClock(), no_rescue).inbox_insert(b"bytes", "mqtt") is True
        assert await SourceShelf(store, FakeClock(), no_rescue).inbox_insert(b"bytes", "https") is False
        with contextlib.closing(sqlite3.connect(tmp_path / "loa.db")) as other:
            assert other.execute("SELECT count(*) FROM inbox").fetchone() == (1,)
