"""The desk where orders are judged: inbox row in, decision on the card, accepted order handed over.

The decision, the sequence number, the event for upstream and the raised time floor are one transaction.
Only then is the order handed over; if the box dies in between, it is handed over at the next start.
"""

from __future__ import annotations

import asyncio
import logging
import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from agent.errors import AgentError
from agent.latest import Latest
from agent.model.bulletin import ClockTrust
from agent.model.issue import Refusal
from agent.trust.verify import Accepted, BoxPlace, Refused, SequenceKey, admit, authenticate
from agent.wire.orders import AnyOrder
from agent.wire.reports import Event, EventType
from agent.wire.root import Root
from agent.wire.ulid import new_ulid

logger = logging.getLogger(__name__)

TIME_FLOOR_KEY = "time_floor"
"""State key of the newest moment ever known, ISO 8601."""

REFUSALS_PER_MINUTE = 60
"""Refusals reported and logged one by one; the others of that minute are only counted."""

MAY_CHANGE = frozenset(
    {
        Refusal.UNKNOWN_TYPE,
        Refusal.UNSUPPORTED,
        Refusal.UNKNOWN_KEY,
        Refusal.UNKNOWN_ISSUER,
        Refusal.WRONG_ROLE,
        Refusal.WRONG_SCOPE,
        Refusal.EXPIRED,
        Refusal.NOT_YET_VALID,
    }
)
"""Refusals that new software, a new root, a new place or a corrected clock may lift."""

RESCUED = frozenset({"emergency", "cancel"})
"""Orders that are carried out even if they cannot be written down."""

_BATCH = 20
_LOOK_AGAIN_S = 60.0
_RECONSIDER_S = 3600.0
_DETAIL_CHARS = 300


class WaitingRow(Protocol):
    """An envelope that waits in the inbox."""

    @property
    def id(self) -> int: ...
    @property
    def envelope(self) -> bytes: ...
    @property
    def transport(self) -> str: ...
    @property
    def received_at(self) -> datetime: ...


class HeldOrder(Protocol):
    """An accepted order with its signed bytes."""

    @property
    def id(self) -> str: ...
    @property
    def envelope(self) -> bytes: ...


class OrderStore(Protocol):
    """What the desk asks of the store."""

    @property
    def inbox_news(self) -> Latest[int]:
        """Changes after each arrival."""
        ...

    async def inbox_pending(self, limit: int) -> Sequence[WaitingRow]: ...
    async def inbox_add_at_any_price(
        self, envelope: bytes, transport: str, received_at: datetime
    ) -> bool: ...
    async def inbox_forget(self, decisions: frozenset[str]) -> int: ...
    async def seen(self, order_id: str) -> str | None: ...
    async def sequences(self) -> Mapping[SequenceKey, int]: ...
    async def orders(self) -> Sequence[HeldOrder]:
        """Orders in force, in the order in which they were accepted."""
        ...

    async def accept_order(
        self,
        row_id: int,
        order: AnyOrder,
        payload_sha256: str,
        events: Sequence[Event],
        state_values: Mapping[str, str],
    ) -> None: ...
    async def refuse_order(
        self, row_id: int, decision: str, order_id: str | None, events: Sequence[Event]
    ) -> None: ...


class DeskClock(Protocol):
    """What the desk asks of time."""

    def now(self) -> datetime: ...
    def monotonic(self) -> float: ...
    def raise_floor(self, moment: datetime) -> None: ...
    @property
    def trust(self) -> ClockTrust: ...
    @property
    def floor(self) -> datetime | None: ...


class OrderDesk:
    """Judges what arrives, one envelope after the other.

    Args:
        store: inbox, sequences and orders.
        clock: time, its trust and its floor.
        root: the trust root in force; asked for each envelope.
        place: where the box stands; asked for each envelope.
        on_accepted: carries an order out. Called after the decision is durable, and again for every order
            in force at each start, so it must bear being called twice; it hands on and returns soon.
        supported: kinds of order this build carries out.

    Attributes:
        refused: envelopes refused since the start, duplicates not counted.
        unreported: those of them that were neither reported nor logged one by one.
    """

    name = "order desk"

    def __init__(
        self,
        store: OrderStore,
        clock: DeskClock,
        *,
        root: Callable[[], Root],
        place: Callable[[], BoxPlace],
        on_accepted: Callable[[AnyOrder], Awaitable[None]],
        supported: frozenset[str],
    ) -> None:
        self._store = store
        self._clock = clock
        self._root = root
        self._place = place
        self._on_accepted = on_accepted
        self._supported = supported
        self._started = clock.now()
        self._trust_before: ClockTrust | None = None
        self._reconsidered_s = 0.0
        self._minute_began_s = float("-inf")
        self._in_minute = 0
        self._skipped = 0
        self.refused = 0
        self.unreported = 0

    async def run(self) -> None:
        """Hand over what is in force, then judge what arrives until cancelled.

        Raises:
            StoreError: a decision could not be kept; its envelope waits in the inbox, to be judged again.
        """
        await self.hand_over_again()
        while True:
            await self._reconsider()
            news = self._store.inbox_news.value
            rows = await self._store.inbox_pending(_BATCH)
            for row in rows:
                await self._decide(row)
            if not rows and self._store.inbox_news.value == news:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_AGAIN_S):
                        await self._store.inbox_news.changed()

    async def rescue(self, envelope: bytes, transport: str, received_at: datetime) -> bool:
        """Carry out an emergency, or its cancel, that the card did not take; other orders wait for room.

        Room kept for this is given up first. If that does not help, the order is carried out from memory:
        it is not on the card, so its sender must send it again.

        Returns:
            True if the envelope is in the inbox after all.

        Raises:
            StoreError: the card cannot even be read, so nothing can be judged.
        """
        outcome = await self._judge(envelope)
        if isinstance(outcome, Refused) or outcome.order.kind not in RESCUED:
            return False
        if await self._store.inbox_add_at_any_price(envelope, transport, received_at):
            return True
        order = outcome.order
        logger.error("order %s is carried out from memory: the card does not take it", order.id)
        await self._on_accepted(order)
        return False

    async def hand_over_again(self) -> None:
        """Hand over every order in force, as at each start; the receiver bears being told twice."""
        for held in await self._store.orders():
            # Judged anew: a key may have been revoked since, or the card have changed the bytes.
            genuine = authenticate(held.envelope, self._root())
            if isinstance(genuine, Refused):
                logger.warning("order %s no longer believed: %s", held.id, genuine.refusal)
            elif self._may_still_hold(genuine.order):
                try:
                    await self._on_accepted(genuine.order)
                except AgentError as error:  # one order that cannot be taken up must not keep the others back
                    logger.error("order %s not taken up again: %s", held.id, error)  # noqa: TRY400

    def _may_still_hold(self, order: AnyOrder) -> bool:
        floor = self._clock.floor
        if floor is not None and order.expires <= floor:
            return False
        return self._clock.trust < ClockTrust.RTC or order.expires > self._clock.now()

    async def _reconsider(self) -> None:
        """Let envelopes be judged anew when sent again, once the reason for their refusal may be gone."""
        trust, now_s = self._clock.trust, self._clock.monotonic()
        if trust is self._trust_before and now_s - self._reconsidered_s < _RECONSIDER_S:
            return
        self._trust_before, self._reconsidered_s = trust, now_s
        forgotten = await self._store.inbox_forget(frozenset(one.value for one in MAY_CHANGE))
        if forgotten:
            logger.info("%d refused orders may be sent again", forgotten)

    async def _decide(self, row: WaitingRow) -> None:
        outcome = await self._judge(row.envelope)
        if isinstance(outcome, Accepted):
            await self._accept(row, outcome)
        else:
            await self._refuse(row, outcome)

    async def _judge(self, envelope: bytes) -> Accepted | Refused:
        genuine = authenticate(envelope, self._root())
        if isinstance(genuine, Refused):
            return genuine
        return admit(
            genuine,
            place=self._place(),
            sequences=await self._store.sequences(),
            seen=await self._store.seen(genuine.order.id),
            now=self._clock.now(),
            clock_trust=self._clock.trust,
            floor=self._clock.floor,
            supported=self._supported,
        )

    async def _accept(self, row: WaitingRow, accepted: Accepted) -> None:
        order = accepted.order
        event = self._event(
            row, EventType.ORDER_ACCEPTED, order.id, order.kind, f"number {order.seq} of {order.issuer}"
        )
        floor = self._newer_floor(order)
        values = {} if floor is None else {TIME_FLOOR_KEY: floor.isoformat()}
        await self._store.accept_order(row.id, order, accepted.payload_sha256, [event], values)
        if floor is not None:
            self._clock.raise_floor(floor)
        logger.info("order %s accepted: %s %d of %s", order.id, order.kind, order.seq, order.issuer)
        await self._on_accepted(order)

    async def _refuse(self, row: WaitingRow, refused: Refused) -> None:
        if refused.duplicate:
            await self._store.refuse_order(row.id, refused.refusal, refused.order_id, [])
            logger.debug("order %s came again by %s", refused.order_id, row.transport)
            return
        self.refused += 1
        if not self._may_report():
            self.unreported += 1
            self._skipped += 1
            await self._store.refuse_order(row.id, refused.refusal, refused.order_id, [])
            return
        detail = refused.detail
        if self._skipped:
            detail = f"({self._skipped} refusals before this one not reported) {detail}"
        detail = _printable(detail)
        event = self._event(
            row, EventType.ORDER_REFUSED, refused.order_id or "", refused.refusal.value, detail
        )
        await self._store.refuse_order(row.id, refused.refusal, refused.order_id, [event])
        self._skipped = 0
        logger.warning(
            "order %s by %s refused, %s: %s",
            refused.order_id or "(unsigned)",
            row.transport,
            refused.refusal,
            detail,
        )

    def _newer_floor(self, order: AnyOrder) -> datetime | None:
        """The time an accepted order proves, if that is news.

        No order is sent before it holds; only where the clock can tell is a moment ahead of it left out.
        """
        moment = order.not_before
        if self._clock.trust >= ClockTrust.RTC:
            moment = min(moment, self._clock.now())
        floor = self._clock.floor
        return moment if floor is None or moment > floor else None

    def _may_report(self) -> bool:
        now_s = self._clock.monotonic()
        if now_s - self._minute_began_s >= 60:  # noqa: PLR2004 - a minute
            self._minute_began_s = now_s
            self._in_minute = 0
        self._in_minute += 1
        return self._in_minute <= REFUSALS_PER_MINUTE

    def _event(self, row: WaitingRow, kind: EventType, subject: str, code: str, detail: str) -> Event:
        now = self._clock.now()
        return Event(
            id=new_ulid(now),
            at=now,
            type=kind,
            subject=subject,
            code=code,
            detail=detail,
            historical=row.received_at < self._started,
        )


def _printable(text: str) -> str:
    """One bounded line: whatever a sender wrote breaks neither a report nor a log."""
    line = "".join("\ufffd" if unicodedata.category(char).startswith("C") else char for char in text)
    return unicodedata.normalize("NFC", line)[:_DETAIL_CHARS]
