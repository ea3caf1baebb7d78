from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.store import OutboxCounts, Priority, Store
from agent.wire.orders import JobAction
from agent.wire.reports import Event, EventType, Health, JobReport, JobState, Reported, ScreenReport
from agent.wire.ulid import new_ulid

NOW = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)


async def put(
    store: Store, report_id: str, priority: Priority = Priority.EVENT, *, receipt: bool = True
) -> None:
    await store.outbox_put(
        report_id, "event", "event", report_id.encode(), priority=priority, receipt=receipt
    )


async def ids(store: Store, limit: int = 100) -> list[str]:
    return [one.id for one in await store.outbox_next(limit)]


async def test_the_most_important_leaves_first_then_the_oldest(store: Store) -> None:
    await put(store, "event-1")
    await put(store, "reported", Priority.REPORTED)
    await put(store, "proof-1", Priority.PROOF)
    await put(store, "event-2")
    await put(store, "proof-2", Priority.PROOF)
    assert await ids(store) == ["proof-1", "proof-2", "event-1", "event-2", "reported"]
    assert await ids(store, 3) == ["proof-1", "proof-2", "event-1"]


async def test_a_report_is_handed_out_until_it_was_sent(store: Store) -> None:
    await put(store, "a", receipt=False)
    assert await ids(store) == ["a"]
    assert await ids(store) == ["a"]
    await store.outbox_sent(["a"])
    assert await ids(store) == []
    assert await store.outbox_counts() == OutboxCounts(0, 0, 0)


async def test_a_report_with_receipt_is_kept_until_the_receipt_came(store: Store) -> None:
    await put(store, "a")
    await put(store, "b")
    await store.outbox_sent(["a", "b"])
    assert await ids(store) == []
    assert await store.outbox_awaiting(10) == ["a", "b"]
    assert await store.outbox_awaiting(1) == ["a"]
    assert await store.outbox_counts() == OutboxCounts(0, 2, 0)
    await store.outbox_receipt(["a", "unknown"])
    assert await store.outbox_awaiting(10) == ["b"]


async def test_a_receipt_before_the_acknowledgement_of_the_broker_is_enough(store: Store) -> None:
    await put(store, "a")
    await store.outbox_receipt(["a"])
    await store.outbox_sent(["a"])
    assert await store.outbox_counts() == OutboxCounts(0, 0, 0)


async def test_the_same_id_is_queued_once(store: Store) -> None:
    await put(store, "a")
    await store.outbox_sent(["a"])
    await put(store, "a")
    assert await store.outbox_counts() == OutboxCounts(0, 1, 0)


async def test_what_stays_without_receipt_is_sent_again(path: Path) -> None:
    now_s = 1000.0
    async with Store.open(path, monotonic=lambda: now_s) as store:
        await put(store, "a")
        await store.outbox_sent(["a"])
        now_s = 1060.0
        await put(store, "b")
        await store.outbox_sent(["b"])
        now_s = 1100.0
        assert await store.outbox_resend(timedelta(seconds=101)) == 0
        assert await store.outbox_resend(timedelta(seconds=100)) == 1
        assert await ids(store) == ["a"]


async def test_after_a_boot_the_wait_for_receipts_begins_anew(path: Path) -> None:
    async with Store.open(path, monotonic=lambda: 500_000.0) as store:
        await put(store, "a")
        await store.outbox_sent(["a"])
    now_s = 10.0
    async with Store.open(path, monotonic=lambda: now_s) as store:
        assert await store.outbox_resend(timedelta(seconds=60)) == 0
        now_s = 70.0
        assert await store.outbox_resend(timedelta(seconds=60)) == 1


async def test_a_full_outbox_drops_the_oldest_of_the_least_important_and_counts(path: Path) -> None:
    async with Store.open(path, capacity=4) as store:
        await put(store, "reported-old", Priority.REPORTED)
        await put(store, "event-1")
        await put(store, "event-2")
        await put(store, "proof-1", Priority.PROOF)
        await put(store, "proof-2", Priority.PROOF)
        assert await ids(store) == ["proof-1", "proof-2", "event-1", "event-2"]
        await put(store, "proof-3", Priority.PROOF)
        assert await ids(store) == ["proof-1", "proof-2", "proof-3", "event-2"]
        await put(store, "reported-new", Priority.REPORTED)
        assert await ids(store) == ["proof-1", "proof-2", "proof-3", "event-2"]
        assert await store.outbox_counts() == OutboxCounts(4, 0, 3)
    async with Store.open(path, capacity=2) as store:
        await put(store, "proof-4", Priority.PROOF)
        assert (await store.outbox_counts()).dropped == 4
        await put(store, "proof-5", Priority.PROOF)
        counts = await store.outbox_counts()
        assert counts.waiting == 2
        assert await ids(store) == ["proof-4", "proof-5"]
        assert counts.dropped == 7


def health() -> Health:
    return Health(boot_id="b", at=NOW, uptime_s=1, clock="rtc")


def reported(version: int) -> Reported:
    return Reported(boot_id="b", at=NOW, schedule_version=version)


async def test_only_the_newest_of_what_describes_the_present_is_sent(store: Store) -> None:
    for version in (1, 2, 3):
        await store.report(reported(version))
        await store.report(health())
    reported_3, newest = await store.outbox_next(10)
    assert Reported.read(reported_3.payload).schedule_version == 3
    assert newest.kind == "health"


async def test_a_report_replaced_while_it_was_being_sent_is_still_sent(store: Store) -> None:
    await store.report(reported(1))
    (old,) = await store.outbox_next(10)
    await store.report(reported(2))
    await store.outbox_sent([old.id])
    (new,) = await store.outbox_next(10)
    assert Reported.read(new.payload).schedule_version == 2


async def test_health_is_kept_in_memory_only_and_leaves_last(path: Path) -> None:
    async with Store.open(path) as store:
        await store.report(health())
        await put(store, "a")
        assert [one.kind for one in await store.outbox_next(10)] == ["event", "health"]
        assert [one.kind for one in await store.outbox_next(1)] == ["event"]
        (_, first) = await store.outbox_next(10)
        await store.report(health())
        await store.outbox_sent([first.id])
        (_, second) = await store.outbox_next(10)
        await store.outbox_sent([second.id])
        assert await ids(store) == ["a"]
        await store.report(health())
    async with Store.open(path) as store:
        assert await ids(store) == ["a"]


@pytest.mark.parametrize(
    ("kind", "priority"),
    [
        (EventType.ORDER_ACCEPTED, Priority.PROOF),
        (EventType.ORDER_REFUSED, Priority.PROOF),
        (EventType.ON_AIR, Priority.EVENT),
    ],
)
async def test_decisions_about_orders_go_before_other_events(
    store: Store, kind: Any, priority: Priority
) -> None:
    event = Event(id=new_ulid(NOW), at=NOW, type=kind)
    await store.report(event)
    (row,) = await store.outbox_next(10)
    assert (row.id, row.topic, row.priority, row.receipt) == (event.id, "event", priority, True)
    assert Event.read(row.payload) == event


async def test_the_result_of_a_job_goes_to_the_topic_of_the_job(store: Store) -> None:
    job = new_ulid(NOW)
    await store.report(
        JobReport(id=new_ulid(NOW), at=NOW, job=job, action=JobAction.SELF_TEST, state=JobState.QUEUED)
    )
    (row,) = await store.outbox_next(10)
    assert row.topic == f"job/{job}"


async def test_a_publisher_that_follows_the_news_misses_nothing(store: Store) -> None:
    got: list[str] = []

    async def publish() -> None:
        async for _ in store.outbox_news.follow():
            while rows := await store.outbox_next(2):
                await store.outbox_sent([one.id for one in rows])
                got.extend(one.id for one in rows)
            if len(got) == 30:
                return

    publisher = asyncio.create_task(publish())
    for n in range(30):
        await put(store, f"{n:02}", receipt=False)
    await asyncio.wait_for(publisher, 20)
    assert sorted(got) == [f"{n:02}" for n in range(30)]


async def test_a_boards_own_pages_make_room_for_events_and_for_what_people_had_to_read(path: Path) -> None:
    def screen(reason: str) -> ScreenReport:
        return ScreenReport(
            id=new_ulid(NOW), board="b", page=reason, reason=reason, first_shown=NOW, last_shown=NOW
        )

    async with Store.open(path, capacity=2) as store:
        await store.report(screen("emergency"))
        await put(store, "event-1")
        for _ in range(5):
            await store.report(screen("playlist"))
        waiting = await store.outbox_next(10)
        assert {json.loads(one.payload)["page"] if one.kind == "screen" else one.id for one in waiting} == {
            "emergency",
            "event-1",
        }
