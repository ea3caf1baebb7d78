from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.errors import StoreError
from agent.store import OrderStatus, Store, inbox, orders
from agent.wire.envelope import MAX_ENVELOPE_BYTES
from agent.wire.orders import Cancel, Desired, Emergency, Scope, ScopeKind
from agent.wire.reports import Event, EventType
from agent.wire.ulid import new_ulid

NOW = datetime(2026, 3, 2, 5, 0, 0, 123456, tzinfo=UTC)


def desired(seq: int = 1, **changes: Any) -> Desired:
    return Desired(**common(seq) | changes)


def common(seq: int) -> dict[str, Any]:
    return {
        "id": new_ulid(NOW),
        "issuer": "xa-tan-lap",
        "seq": seq,
        "scope": Scope(kind=ScopeKind.STATION, id="xa-tan-lap"),
        "not_before": NOW,
        "expires": NOW + timedelta(days=30),
    }


def event() -> Event:
    return Event(id=new_ulid(NOW), at=NOW, type=EventType.ORDER_ACCEPTED)


async def add(store: Store, data: bytes) -> int:
    row = await store.inbox_add(data, "mqtt", NOW)
    assert row is not None
    return row


async def test_envelopes_wait_in_order_of_arrival(store: Store) -> None:
    for data in (b"one", b"two", b"three"):
        await add(store, data)
    rows = await store.inbox_pending(2)
    assert [(one.envelope, one.transport, one.received_at) for one in rows] == [
        (b"one", "mqtt", NOW),
        (b"two", "mqtt", NOW),
    ]


async def test_the_same_bytes_are_taken_in_once_waiting_or_judged(store: Store) -> None:
    row = await add(store, b"one")
    assert await store.inbox_add(b"one", "https", NOW) is None
    await store.refuse_order(row, "malformed", None)
    assert await store.inbox_add(b"one", "https", NOW) is None
    assert await store.inbox_pending(10) == []


async def test_an_arrival_is_news(store: Store) -> None:
    before = store.inbox_news.value
    await add(store, b"one")
    assert store.inbox_news.value > before


async def test_an_envelope_too_large_is_cut_but_known_again(store: Store) -> None:
    data = b"x" * (MAX_ENVELOPE_BYTES + 5000)
    await add(store, data)
    assert await store.inbox_add(data, "mqtt", NOW) is None
    assert await store.inbox_add(data + b"x", "mqtt", NOW) is not None
    (first, _) = await store.inbox_pending(10)
    assert len(first.envelope) == MAX_ENVELOPE_BYTES + 1


async def test_a_full_inbox_takes_nothing_more_so_the_sender_keeps_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MAX_PENDING", 2)
    row = await add(store, b"one")
    await add(store, b"two")
    with pytest.raises(StoreError, match="inbox is full"):
        await store.inbox_add(b"three", "mqtt", NOW)
    await store.refuse_order(row, "malformed", None)
    await add(store, b"three")


async def test_old_decisions_are_trimmed_and_their_bytes_are_gone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "DECIDED_KEPT", 10)
    for n in range(64):
        await store.refuse_order(await add(store, b"%d" % n), "malformed", None)

    def left(db: sqlite3.Connection) -> list[tuple[int, bytes | None]]:
        return db.execute("SELECT id, envelope FROM inbox ORDER BY id").fetchall()

    assert await store._db.read(left) == [(n, None) for n in range(55, 65)]


async def test_a_refusal_that_was_forgotten_lets_the_same_bytes_in_again(store: Store) -> None:
    await store.refuse_order(await add(store, b"one"), "expired", "order-1")
    await store.refuse_order(await add(store, b"two"), "malformed", "order-2")
    assert await store.order_known("order-1")
    assert await store.inbox_forget({"expired", "not_yet_valid"}) == 1
    assert not await store.order_known("order-1")
    assert await store.order_known("order-2")
    await add(store, b"one")
    assert await store.inbox_add(b"two", "mqtt", NOW) is None


async def test_an_accepted_order_is_kept_with_its_bytes_reports_and_state(store: Store) -> None:
    order, report = desired(7), event()
    row = await add(store, b"signed bytes")
    await store.accept_order(row, order, "ab" * 32, [report], {"time_floor": "x"})
    (held,) = await store.orders()
    assert (held.id, held.kind, held.seq, held.envelope) == (order.id, "desired", 7, b"signed bytes")
    assert (held.issuer, held.scope_kind, held.scope_id) == ("xa-tan-lap", "station", "xa-tan-lap")
    assert (held.not_before, held.expires, held.status) == (
        order.not_before,
        order.expires,
        OrderStatus.IN_FORCE,
    )
    assert await store.seen(order.id) == "ab" * 32
    assert await store.seen("other") is None
    assert await store.order_known(order.id)
    assert await store.sequences() == {("xa-tan-lap", "station", "xa-tan-lap", "desired"): 7}
    assert [one.id for one in await store.outbox_next(5)] == [report.id]
    assert await store.get_state("time_floor") == "x"
    assert await store.inbox_pending(5) == []


async def test_a_decision_that_cannot_be_kept_whole_is_not_kept_at_all(store: Store) -> None:
    first = desired(1)
    await store.accept_order(await add(store, b"one"), first, "ab" * 32)
    row = await add(store, b"two")
    with pytest.raises(sqlite3.IntegrityError):
        await store.accept_order(row, desired(2, id=first.id), "cd" * 32, [event()], {"a": 1})
    assert [one.id for one in await store.inbox_pending(5)] == [row]
    assert await store.outbox_next(5) == []
    assert await store.get_state("a") is None
    assert [one.seq for one in await store.orders()] == [1]
    assert list((await store.sequences()).values()) == [1]


async def test_a_row_is_judged_once(store: Store) -> None:
    row = await add(store, b"one")
    await store.refuse_order(row, "malformed", None)
    with pytest.raises(ValueError, match="does not wait"):
        await store.accept_order(row, desired(), "ab" * 32)
    with pytest.raises(ValueError, match="does not wait"):
        await store.refuse_order(row, "expired", None)
    assert await store.orders() == []


async def test_a_desired_takes_the_place_of_the_former_of_its_issuer_and_scope(store: Store) -> None:
    other_scope = Scope(kind=ScopeKind.DEVICE, id="cum-loa-1")
    for n, order in enumerate(
        [desired(1), desired(1, scope=other_scope), desired(1, issuer="tinh-a"), desired(2)]
    ):
        await store.accept_order(await add(store, b"%d" % n), order, "ab" * 32)
    in_force = await store.orders("desired")
    assert [(one.issuer, one.scope_id, one.seq) for one in in_force] == [
        ("xa-tan-lap", "cum-loa-1", 1),
        ("tinh-a", "xa-tan-lap", 1),
        ("xa-tan-lap", "xa-tan-lap", 2),
    ]
    (former,) = await store.orders(status=OrderStatus.SUPERSEDED)
    assert former.seq == 1


async def test_emergencies_stand_beside_each_other_until_closed(store: Store) -> None:
    first, emergency = (
        Emergency.model_validate(
            common(n) | {"event": "flood", "level": "province", "parts": [{"title": "Lũ"}]}
        )
        for n in (1, 2)
    )
    await store.accept_order(await add(store, b"1"), first, "ab" * 32)
    await store.accept_order(await add(store, b"2"), emergency, "ab" * 32)
    cancel = Cancel(**common(1), cancels=emergency.id)
    await store.accept_order(await add(store, b"cancel"), cancel, "ab" * 32)
    assert len(await store.orders("emergency")) == 2
    assert await store.close_order(emergency.id, OrderStatus.CANCELLED)
    assert not await store.close_order(emergency.id, OrderStatus.ENDED)
    assert [one.seq for one in await store.orders("emergency")] == [1]
    assert [one.id for one in await store.orders(status=OrderStatus.CANCELLED)] == [emergency.id]
    assert await store.seen(emergency.id) is not None


async def test_a_late_number_does_not_lower_the_highest(store: Store) -> None:
    for n, seq in enumerate((5, 3)):
        await store.accept_order(await add(store, b"%d" % n), desired(seq), "ab" * 32)
    assert list((await store.sequences()).values()) == [5]


async def test_old_closed_orders_are_trimmed_but_their_ids_are_never_forgotten(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "CLOSED_KEPT", 3)
    ids = []
    for n in range(1, 9):
        order = desired(n)
        ids.append(order.id)
        await store.accept_order(await add(store, b"%d" % n), order, "ab" * 32)
    assert [one.seq for one in await store.orders(status=OrderStatus.SUPERSEDED)] == [5, 6, 7]
    assert [one.seq for one in await store.orders()] == [8]
    assert all([await store.seen(one) for one in ids])
