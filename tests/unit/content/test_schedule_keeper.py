from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from agent.content.schedule_keeper import InForce, ScheduleKeeper
from agent.errors import LinkDownError
from agent.model.bulletin import ZoneId
from agent.wire.orders import Desired
from agent.wire.ulid import new_ulid

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def a_document(version: int, rrule: str = "FREQ=DAILY") -> bytes:
    media = {"sha256": "a" * 64, "size_bytes": 10, "duration_ms": 1000, "url": "/m/a"}
    programme = {
        "id": "sang",
        "title": "Buổi sáng",
        "items": [{"id": "i", "title": "t", "media": media}],
        "recurrences": [{"start": "2026-01-01T05:00:00", "rrule": rrule}],
    }
    return json.dumps({"id": "s", "version": version, "station": "Đài", "programmes": [programme]}).encode()


def an_order(document: bytes | None, version: int = 1, seq: int = 1) -> Desired:
    schedule = None
    if document is not None:
        schedule = {
            "id": "s",
            "version": version,
            "sha256": hashlib.sha256(document).hexdigest(),
            "size_bytes": len(document),
            "url": "/s",
        }
    return Desired.model_validate(
        {
            "id": new_ulid(NOW),
            "issuer": "xa",
            "seq": seq,
            "scope": {"kind": "device", "id": "box-00000000"},
            "not_before": NOW,
            "expires": NOW + timedelta(days=1),
            "schedule": schedule,
        }
    )


class Shelf:
    def __init__(self) -> None:
        self.kept: tuple[bytes, str, str, datetime] | None = None

    async def put_schedule(self, document: bytes, sha256: str, order_id: str, since: datetime) -> None:
        self.kept = (document, sha256, order_id, since)

    async def drop_schedule(self) -> None:
        self.kept = None

    async def get_schedule(self) -> tuple[bytes, str, str, datetime] | None:
        return self.kept


class Bench:
    def __init__(self, *answers: bytes | Exception) -> None:
        from agent.clock import SystemClock
        from agent.model.bulletin import ClockTrust

        self.answers = list(answers)
        self.shelf = Shelf()
        self.refused: list[str] = []
        self.taken: list[int] = []
        self.settled: list[int] = []
        self.keeper = ScheduleKeeper(
            self.shelf,
            self._fetch,
            SystemClock(lambda: ClockTrust.RTC),
            zones=(ZoneId("main"),),
            before_change=self._settle,
            on_refused=self._refuse,
            on_in_force=self._take,
        )

    async def _fetch(self, url: str, limit: int) -> bytes:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _settle(self) -> None:
        now = self.keeper.in_force.value
        self.settled.append(now.schedule.version if now else 0)

    async def _refuse(self, order: Desired, problem: str) -> None:
        self.refused.append(problem)

    async def _take(self, fresh: InForce) -> None:
        self.taken.append(fresh.schedule.version)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Bench]:
        task = asyncio.create_task(self.keeper.run())
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def wants(self, order: Desired) -> None:
        self.keeper.wanted.set(order)
        await asyncio.sleep(0.1)


async def test_wanted_schedule_comes_into_force_after_it_is_durable() -> None:
    document = a_document(1)
    async with Bench(document).running() as bench:
        await bench.wants(an_order(document))
        assert bench.taken == [1]
        assert bench.shelf.kept is not None
        assert bench.shelf.kept[0] == document


async def test_impossible_rule_is_refused_by_field_and_the_former_schedule_stays() -> None:
    good, bad = a_document(1), a_document(2, "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")
    async with Bench(good, bad).running() as bench:
        await bench.wants(an_order(good))
        await bench.wants(an_order(bad, 2, 2))
        assert "programmes[0].recurrences[0].rrule" in bench.refused[0]
        assert bench.keeper.in_force.value is not None
        assert bench.keeper.in_force.value.schedule.version == 1
        assert bench.shelf.kept is not None
        assert bench.shelf.kept[0] == good


async def test_wrong_bytes_are_fetched_again_and_never_used() -> None:
    document = a_document(1)
    async with Bench(b"x" * len(document), document).running() as bench:
        bench.keeper.wanted.set(an_order(document))
        await asyncio.sleep(0.6)
        assert bench.taken == [1]


async def test_version_other_than_the_order_names_is_refused() -> None:
    document = a_document(7)
    async with Bench(document).running() as bench:
        await bench.wants(an_order(document, version=8))
        assert bench.taken == []
        assert "version" in bench.refused[0]


async def test_newer_wish_ends_the_wait_for_an_older_one() -> None:
    second = a_document(2)
    async with Bench(LinkDownError("gone"), second).running() as bench:
        await bench.wants(an_order(a_document(1)))
        await bench.wants(an_order(second, 2, 2))
        assert bench.taken == [2]


async def test_promises_of_the_former_schedule_are_settled_before_it_goes() -> None:
    first, second = a_document(1), a_document(2)
    async with Bench(first, second).running() as bench:
        await bench.wants(an_order(first))
        await bench.wants(an_order(second, 2, 2))
        assert bench.settled == [0, 1]


async def test_no_schedule_wanted_any_more_leaves_none_in_force() -> None:
    document = a_document(1)
    async with Bench(document).running() as bench:
        await bench.wants(an_order(document))
        await bench.wants(an_order(None, seq=2))
        assert bench.keeper.in_force.value is None
        assert bench.shelf.kept is None


async def test_stored_schedule_is_in_force_again_after_a_restart_and_a_damaged_one_is_not() -> None:
    document = a_document(3)
    bench = Bench(document)
    bench.shelf.kept = (document, hashlib.sha256(document).hexdigest(), "order", NOW)
    await bench.keeper.restore()
    assert bench.keeper.in_force.value is not None
    assert bench.keeper.in_force.value.schedule.version == 3
    damaged = Bench(document)
    damaged.shelf.kept = (document + b" ", hashlib.sha256(document).hexdigest(), "order", NOW)
    await damaged.keeper.restore()
    assert damaged.keeper.in_force.value is None
