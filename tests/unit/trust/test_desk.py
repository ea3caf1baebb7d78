"""The desk against the real store: what it keeps is what it promised."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.errors import StoreFullError
from agent.model.bulletin import ClockTrust
from agent.store import OrderStatus, Store
from agent.trust.desk import REFUSALS_PER_MINUTE, TIME_FLOOR_KEY, OrderDesk, OrderStore
from agent.wire.orders import AnyOrder
from agent.wire.reports import Event, EventType
from agent.wire.root import Root
from tests.unit.trust.builders import (
    ALL_KINDS,
    NOW,
    PLACE,
    ROOT,
    STRANGER,
    envelope,
    order,
    province_order,
)


class HandClock:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.moment = NOW
        self.seconds = 1000.0
        self.trust = ClockTrust.SYNCHRONISED
        self.floor: datetime | None = None

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def raise_floor(self, moment: datetime) -> None:
        if self.floor is None or moment > self.floor:
            self.floor = moment


class Bench:
    """A desk at work, and what became of the orders."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.clock = HandClock()
        self.root = ROOT
        self.carried: list[AnyOrder] = []
        self.fail_to_carry = False
        self.supported = ALL_KINDS

    def desk(self, store: OrderStore | None = None) -> OrderDesk:
        return OrderDesk(
            store or self.store,
            self.clock,
            root=lambda: self.root,
            place=lambda: PLACE,
            on_accepted=self._carry,
            supported=self.supported,
        )

    async def _carry(self, accepted: AnyOrder) -> None:
        if self.fail_to_carry:
            raise RuntimeError("power cut")
        self.carried.append(accepted)

    async def arrive(self, *envelopes: bytes, at: datetime = NOW + timedelta(seconds=1)) -> None:
        for data in envelopes:
            await self.store.inbox_add(data, "mqtt", at)

    @contextlib.asynccontextmanager
    async def working(self, desk: OrderDesk | None = None) -> AsyncIterator[OrderDesk]:
        chosen = desk or self.desk()
        task = asyncio.create_task(chosen.run())
        try:
            yield chosen
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.001)

    async def idle(self) -> None:
        """Wait until nothing is left to be judged."""
        async with asyncio.timeout(20):
            while await self.store.inbox_pending(1):
                await asyncio.sleep(0.001)

    async def judge_all(self, *envelopes: bytes) -> OrderDesk:
        await self.arrive(*envelopes)
        async with self.working() as desk:
            await self.idle()
            return desk

    async def events(self) -> list[Event]:
        return [Event.read(row.payload) for row in await self.store.outbox_next(1000)]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with Store.open(tmp_path / "agent.db") as store:
        yield Bench(store)


async def test_an_order_that_arrives_is_kept_reported_and_handed_over(bench: Bench) -> None:
    document = order()
    async with bench.working():
        await bench.arrive(envelope(document))
        await bench.until(lambda: bool(bench.carried))
    assert [one.id for one in bench.carried] == [document["id"]]
    assert [one.id for one in await bench.store.orders()] == [document["id"]]
    (event,) = await bench.events()
    assert (event.type, event.subject, event.code) == (EventType.ORDER_ACCEPTED, document["id"], "desired")
    assert not event.historical


async def test_orders_are_judged_in_the_order_in_which_they_came(bench: Bench) -> None:
    await bench.judge_all(*(envelope(order(seq=n)) for n in range(1, 31)))
    assert [one.seq for one in bench.carried] == list(range(1, 31))
    assert [one.seq for one in await bench.store.orders()] == [30]


async def test_an_older_number_is_refused_and_reported_by_name(bench: Bench) -> None:
    older = order(seq=4)
    await bench.judge_all(envelope(order(seq=5)), envelope(older))
    assert [one.seq for one in bench.carried] == [5]
    _, event = await bench.events()
    assert (event.type, event.subject, event.code) == (EventType.ORDER_REFUSED, older["id"], "out_of_order")
    assert event.detail == "number 4 after 5"


async def test_the_same_order_by_another_transport_is_no_alarm(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    data = envelope(order())
    respelled = data.replace(b'{"payloadType"', b'{ "payloadType"')
    with caplog.at_level(logging.WARNING):
        desk = await bench.judge_all(data, respelled)
    assert len(bench.carried) == 1
    assert [one.type for one in await bench.events()] == [EventType.ORDER_ACCEPTED]
    assert desk.refused == 0
    assert not caplog.records


async def test_a_refusal_is_logged_once_by_name(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await bench.judge_all(b"rubbish", b"rubbish")
    assert len(caplog.records) == 1
    assert "malformed" in caplog.text


async def test_what_a_sender_wrote_cannot_break_a_report(bench: Bench) -> None:
    hostile = '"\\u0007\\u001b[2J\\ud800' + "x" * 190 + '"'
    data = (
        '{"payloadType": ' + hostile + ', "payload": "", "signatures": [{"keyid": "", "sig": ""}]}'
    ).encode()
    await bench.judge_all(data)
    (event,) = await bench.events()
    assert event.code == "unknown_type"
    assert event.detail.isprintable()
    assert len(event.detail) <= 300


async def test_a_flood_of_refusals_is_counted_not_reported_one_by_one(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    async with bench.working() as desk:
        with caplog.at_level(logging.WARNING):
            await bench.arrive(*(b"rubbish %d" % n for n in range(REFUSALS_PER_MINUTE + 40)))
            await bench.idle()
        assert len(caplog.records) == REFUSALS_PER_MINUTE
        assert len(await bench.events()) == REFUSALS_PER_MINUTE
        assert (desk.refused, desk.unreported) == (REFUSALS_PER_MINUTE + 40, 40)
        bench.clock.seconds += 61
        await bench.arrive(b"more rubbish", b"still more")
        await bench.idle()
    *_, last_but_one, last = await bench.events()
    assert last_but_one.detail.startswith("(40 refusals before this one not reported) ")
    assert not last.detail.startswith("(")


async def test_an_order_in_a_flood_of_rubbish_is_still_obeyed(bench: Bench) -> None:
    rubbish = [b"rubbish %d" % n for n in range(100)]
    await bench.judge_all(*rubbish, envelope(order()))
    assert len(bench.carried) == 1
    (first, *_) = await bench.events()
    assert EventType.ORDER_ACCEPTED in {one.type for one in await bench.events()}
    assert first.code == "malformed"


async def test_an_order_decided_but_not_handed_over_is_handed_over_at_the_next_start(bench: Bench) -> None:
    bench.fail_to_carry = True
    await bench.arrive(envelope(order()))
    with pytest.raises(RuntimeError, match="power cut"):
        await bench.desk().run()
    assert len(await bench.store.orders()) == 1
    assert await bench.store.inbox_pending(5) == []

    bench.fail_to_carry = False
    async with bench.working():
        await bench.until(lambda: bool(bench.carried))
    assert len(bench.carried) == 1
    assert len(await bench.events()) == 1


async def test_only_what_is_in_force_is_handed_over_at_the_start(bench: Bench) -> None:
    closed = province_order("emergency", seq=1)
    await bench.judge_all(
        envelope(order(seq=1)),
        envelope(order(seq=2)),
        envelope(closed),
        envelope(province_order("bulletin", expires=(NOW + timedelta(hours=1)).isoformat())),
    )
    await bench.store.close_order(closed["id"], OrderStatus.ENDED)
    bench.carried.clear()
    bench.clock.moment += timedelta(hours=2)
    async with bench.working():
        await bench.until(lambda: bool(bench.carried))
        await bench.idle()
    assert [(one.kind, one.seq) for one in bench.carried] == [("desired", 2)]


async def test_an_order_that_seems_over_is_handed_over_while_the_clock_is_not_trusted(bench: Bench) -> None:
    await bench.judge_all(envelope(order()))
    bench.carried.clear()
    bench.clock.moment += timedelta(days=9999)
    bench.clock.trust = ClockTrust.UNKNOWN
    async with bench.working():
        await bench.until(lambda: bool(bench.carried))


async def test_an_order_whose_key_was_revoked_is_not_handed_over_again(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.judge_all(envelope(order()))
    bench.carried.clear()
    bench.root = bench.root.model_copy(update={"issuers": ()})
    await bench.arrive(b"rubbish")
    async with bench.working():
        await bench.idle()
    assert bench.carried == []
    assert "no longer believed: unknown_issuer" in caplog.text


async def test_an_accepted_order_raises_the_time_floor_for_good(bench: Bench) -> None:
    bench.clock.trust = ClockTrust.UNKNOWN
    bench.clock.moment = NOW - timedelta(days=5000)
    await bench.judge_all(envelope(order()))
    assert bench.clock.floor == NOW - timedelta(minutes=1)
    assert await bench.store.get_state(TIME_FLOOR_KEY) == (NOW - timedelta(minutes=1)).isoformat()


async def test_with_a_trusted_clock_the_floor_never_passes_the_clock(bench: Bench) -> None:
    await bench.judge_all(envelope(order(not_before=(NOW + timedelta(minutes=4)).isoformat())))
    assert bench.clock.floor == NOW


async def test_an_older_order_does_not_lower_the_floor(bench: Bench) -> None:
    bench.clock.floor = NOW
    await bench.judge_all(envelope(order()))
    assert bench.clock.floor == NOW
    assert await bench.store.get_state(TIME_FLOOR_KEY) is None


async def test_an_order_refused_by_a_wrong_clock_is_obeyed_when_sent_again_under_a_right_one(
    bench: Bench,
) -> None:
    data = envelope(order())
    bench.clock.moment = NOW + timedelta(days=300)
    bench.clock.trust = ClockTrust.RTC
    await bench.judge_all(data)
    assert [one.code for one in await bench.events()] == ["expired"]

    bench.clock.moment, bench.clock.trust = NOW, ClockTrust.SYNCHRONISED
    await bench.arrive(data)
    assert await bench.store.inbox_pending(5) == []
    async with bench.working():
        await bench.arrive(b"rubbish")
        await bench.idle()
        await bench.arrive(data)
        await bench.until(lambda: bool(bench.carried))


async def test_new_software_obeys_what_the_old_did_not_know(bench: Bench) -> None:
    data = envelope(province_order("grant"))
    bench.supported = frozenset({"desired"})
    await bench.judge_all(data)
    assert [one.code for one in await bench.events()] == ["unsupported"]
    bench.supported = ALL_KINDS
    await bench.arrive(b"rubbish")
    async with bench.working():
        await bench.idle()
        await bench.arrive(data)
        await bench.until(lambda: bool(bench.carried))


async def test_what_waited_while_the_agent_was_off_is_reported_as_historical(bench: Bench) -> None:
    await bench.arrive(envelope(order()), at=NOW - timedelta(hours=1))
    async with bench.working():
        await bench.idle()
    (event,) = await bench.events()
    assert event.historical


async def test_the_root_in_force_is_asked_for_each_envelope(bench: Bench) -> None:
    trusted, bench.root = bench.root, Root.model_validate(bench.root.model_dump() | {"issuers": ()})
    async with bench.working():
        await bench.arrive(envelope(order()))
        await bench.idle()
        bench.root = trusted
        await bench.arrive(envelope(order()), envelope(order(), STRANGER))
        await bench.until(lambda: bool(bench.carried))
        await bench.idle()
    assert {one.code for one in await bench.events()} == {"unknown_issuer", "unknown_key", "desired"}


async def test_an_order_that_cannot_be_kept_is_not_obeyed_and_waits(bench: Bench) -> None:
    class FullStore:
        """The real store on a full card."""

        def __getattr__(self, name: str) -> Any:
            return getattr(bench.store, name)

        async def accept_order(self, *args: Any) -> None:
            raise StoreFullError("disk full")

    full: Any = FullStore()
    await bench.arrive(envelope(order()))
    with pytest.raises(StoreFullError):
        await bench.desk(full).run()
    assert bench.carried == []
    assert bench.clock.floor is None
    async with bench.working():
        await bench.until(lambda: bool(bench.carried))


# --- a card that takes nothing ----------------------------------------------------------------------


class FullCard:
    """A store that can be read, and written only `at_any_price`, if at all."""

    def __init__(self, store: Store, *, reserve: bool) -> None:
        self._store = store
        self._reserve = reserve

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def inbox_add_at_any_price(self, envelope: bytes, transport: str, received_at: datetime) -> bool:
        if self._reserve:
            await self._store.inbox_add(envelope, transport, received_at)
        return self._reserve


async def test_an_emergency_that_the_card_does_not_take_is_carried_out_from_memory(bench: Bench) -> None:
    desk = bench.desk(FullCard(bench.store, reserve=False))
    document = province_order("emergency")
    assert not await desk.rescue(envelope(document), "mqtt", NOW)
    assert [one.id for one in bench.carried] == [document["id"]]
    assert await bench.store.inbox_pending(10) == []


async def test_room_kept_for_orders_makes_an_emergency_durable_on_a_full_card(bench: Bench) -> None:
    desk = bench.desk(FullCard(bench.store, reserve=True))
    document = province_order("emergency")
    assert await desk.rescue(envelope(document), "mqtt", NOW)
    assert bench.carried == []  # the desk takes it from the inbox, like any other
    await bench.judge_all()
    assert [one.id for one in await bench.store.orders()] == [document["id"]]


async def test_only_a_genuine_emergency_is_rescued(bench: Bench) -> None:
    desk = bench.desk(FullCard(bench.store, reserve=False))
    for data in (
        envelope(province_order("bulletin")),
        envelope(province_order("desired")),
        envelope(province_order("emergency"), STRANGER),
        envelope(province_order("emergency", expires=(NOW - timedelta(hours=1)).isoformat())),
        envelope(province_order("emergency"))[:-20],
        b"",
    ):
        assert not await desk.rescue(data, "mqtt", NOW)
    assert bench.carried == []
