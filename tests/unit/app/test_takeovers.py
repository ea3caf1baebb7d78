"""Takeovers of commercial boards: from a signed order to its expiry or cancel, whatever order they come in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from agent.app.takeovers import MAX_STANDING, Takeovers
from agent.errors import StoreFullError
from agent.model.bulletin import ClockTrust
from agent.store.orders import OrderStatus
from agent.wire.orders import Cancel, Scope, ScopeKind, Takeover
from agent.wire.reports import EventType
from agent.wire.ulid import new_ulid
from tests.support.clock import FakeClock

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Bench:
    """Takeovers with what they told."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOW)
        self.closed: list[tuple[str, OrderStatus]] = []
        self.told: list[tuple[EventType, str, str]] = []
        self.full = False
        self.proved: datetime | None = None
        self.takeovers = Takeovers(
            self.clock,
            lambda one, other: one in (other, "tinh"),
            self.close,
            self.tell,
            lambda: self.proved,
        )

    async def close(self, order_id: str, status: OrderStatus) -> bool:
        if self.full:
            raise StoreFullError("full")
        self.closed.append((order_id, status))
        return True

    def tell(self, kind: EventType, subject: str, code: str, detail: str) -> None:
        del detail
        self.told.append((kind, subject, code))


def carried(issuer: str = "xa", after: timedelta = HOUR) -> dict[str, Any]:
    return {
        "id": new_ulid(NOW),
        "issuer": issuer,
        "seq": 1,
        "scope": Scope(kind=ScopeKind.STATION, id="xa"),
        "not_before": NOW,
        "expires": NOW + after,
    }


def takeover(*boards: str, issuer: str = "xa", after: timedelta = HOUR) -> Takeover:
    return Takeover(**carried(issuer, after), boards=boards)


def cancel_of(order: Takeover, issuer: str = "xa") -> Cancel:
    return Cancel(**carried(issuer), cancels=order.id)


def test_boards_that_are_named_are_taken_until_the_order_expires() -> None:
    bench = Bench()
    order = takeover("cho")
    bench.takeovers.accept(order)
    bench.takeovers.accept(order)
    assert bench.takeovers.until("cho") == order.expires
    assert bench.takeovers.until("nga-tu") is None
    assert bench.told == [(EventType.BOARD_TAKEN, order.id, "xa")]


def test_an_order_without_names_takes_all_boards() -> None:
    bench = Bench()
    bench.takeovers.accept(takeover())
    assert bench.takeovers.until("bat-ky") is not None


async def test_it_ends_when_its_time_is_over() -> None:
    bench = Bench()
    order = takeover()
    bench.takeovers.accept(order)
    await bench.clock.pass_(3600, grain_s=3600)
    assert bench.takeovers.until("cho") is None
    await bench.takeovers.end_over()
    assert bench.closed == [(order.id, OrderStatus.ENDED)]
    assert bench.told[-1][0] is EventType.BOARD_HANDED_BACK


@pytest.mark.parametrize("first", ["order", "cancel"])
async def test_a_cancel_ends_it_whichever_comes_first(first: str) -> None:
    bench = Bench()
    order = takeover()
    if first == "order":
        bench.takeovers.accept(order)
    await bench.takeovers.cancel(cancel_of(order))
    if first == "cancel":
        bench.takeovers.accept(order)
    assert bench.takeovers.until("cho") is None
    await bench.takeovers.end_over()
    assert bench.closed == [(order.id, OrderStatus.CANCELLED)]


async def test_only_its_like_or_a_higher_level_may_cancel_it() -> None:
    bench = Bench()
    order = takeover()
    bench.takeovers.accept(order)
    await bench.takeovers.cancel(cancel_of(order, "xa-la"))
    assert bench.takeovers.until("cho") == order.expires
    assert bench.told[-1][::2] == (EventType.ORDER_REFUSED, "wrong_role")
    await bench.takeovers.cancel(cancel_of(order, "tinh"))
    assert bench.takeovers.until("cho") is None


async def test_every_order_of_arrival_ends_alike() -> None:
    one, other = takeover("cho"), takeover(after=2 * HOUR)
    steps: tuple[Takeover | Cancel, ...] = (one, other, cancel_of(one))
    for order in permutations(steps):
        bench = Bench()
        for step in order:
            if isinstance(step, Takeover):
                bench.takeovers.accept(step)
            else:
                await bench.takeovers.cancel(step)
        assert bench.takeovers.until("cho") == other.expires


async def test_without_a_clock_it_lasts_as_long_as_it_was_signed_for() -> None:
    bench = Bench()
    bench.clock.trust = ClockTrust.UNKNOWN
    old = takeover().model_copy(update={"not_before": NOW - 9 * HOUR, "expires": NOW - 8 * HOUR})
    bench.takeovers.accept(old)
    assert bench.takeovers.until("cho") == NOW + HOUR
    await bench.clock.pass_(3600, grain_s=3600)
    await bench.takeovers.end_over()
    assert bench.takeovers.until("cho") is None


def test_there_is_room_for_so_many() -> None:
    bench = Bench()
    for _ in range(MAX_STANDING + 1):
        bench.takeovers.accept(takeover())
    assert bench.told[-1][::2] == (EventType.ORDER_REFUSED, "too_many")


async def test_an_order_that_is_over_when_it_comes_is_closed() -> None:
    bench = Bench()
    order = takeover(after=timedelta(seconds=1)).model_copy(update={"expires": NOW})
    bench.takeovers.accept(order)
    await bench.takeovers.end_over()
    assert bench.closed == [(order.id, OrderStatus.ENDED)]
    assert bench.told == []


async def test_a_store_that_is_full_does_not_keep_the_board() -> None:
    bench = Bench()
    order = takeover()
    bench.takeovers.accept(order)
    bench.full = True
    await bench.takeovers.cancel(cancel_of(order))
    assert bench.takeovers.until("cho") is None
    bench.full = False
    await bench.takeovers.end_over()
    assert bench.closed == [(order.id, OrderStatus.CANCELLED)]


async def test_it_does_not_begin_before_its_time_once_the_clock_is_believed() -> None:
    bench = Bench()
    bench.clock.trust = ClockTrust.UNKNOWN
    bench.takeovers.accept(
        takeover().model_copy(update={"not_before": NOW + 9 * HOUR, "expires": NOW + 10 * HOUR})
    )
    bench.clock.trust = ClockTrust.SYNCHRONISED
    assert bench.takeovers.until("cho") is None
    await bench.clock.pass_(9 * 3600, grain_s=3600)
    assert bench.takeovers.until("cho") == NOW + 10 * HOUR


async def test_without_a_clock_it_is_over_when_it_is_surely_later() -> None:
    bench = Bench()
    bench.clock.trust = ClockTrust.UNKNOWN
    order = takeover().model_copy(update={"not_before": NOW - 9 * HOUR, "expires": NOW - 8 * HOUR})
    bench.takeovers.accept(order)
    assert bench.takeovers.until("cho") is not None
    bench.proved = NOW - 8 * HOUR
    assert bench.takeovers.until("cho") is None
    await bench.takeovers.end_over()
    assert bench.closed == [(order.id, OrderStatus.ENDED)]
