"""Signed orders that take commercial boards over, each until it expires or is cancelled."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.clock import Clock
from agent.errors import StoreError
from agent.model.bulletin import ClockTrust
from agent.store.orders import OrderStatus
from agent.trust.verify import EARLY
from agent.wire.orders import Cancel, Takeover
from agent.wire.reports import EventType

logger = logging.getLogger(__name__)

MAX_STANDING = 50
MAX_CANCELS = 500
MAX_CANCELS_OF_ONE = 8

Close = Callable[[str, OrderStatus], Awaitable[bool]]
Tell = Callable[[EventType, str, str, str], None]
MayCancel = Callable[[str, str], bool]
Proved = Callable[[], datetime | None]


@dataclass(frozen=True, slots=True)
class _Standing:
    order: Takeover
    taken_s: float  # monotonic


class Takeovers:
    """Those in force.

    Args:
        clock: time. Without a clock to believe an order lasts as long as it was signed for, from its arrival.
        may_cancel: whether the first issuer may end an order of the second.
        close: gives an order its final status in the store.
        tell: events.
        proved: newest moment ever known for certain; without it a box that loses its clock with each power
            cut would hold a board for ever.
    """

    def __init__(
        self,
        clock: Clock,
        may_cancel: MayCancel,
        close: Close,
        tell: Tell,
        proved: Proved = lambda: None,
    ) -> None:
        self._clock = clock
        self._may_cancel = may_cancel
        self._close = close
        self._tell = tell
        self._proved = proved
        self._standing: dict[str, _Standing] = {}
        self._cancels: dict[str, list[Cancel]] = {}
        self._unclosed: dict[str, OrderStatus] = {}  # what the store does not know yet

    def accept(self, order: Takeover) -> None:
        """Take an accepted order; also at each start, and more than once."""
        if order.id in self._standing:
            return
        if self._is_over(order, self._clock.monotonic()):
            self._unclosed[order.id] = OrderStatus.ENDED
            return
        if any(self._may_cancel(one.issuer, order.issuer) for one in self._cancels.get(order.id, ())):
            logger.info("takeover %s was cancelled before it came", order.id)
            self._unclosed[order.id] = OrderStatus.CANCELLED
            return
        if len(self._standing) >= MAX_STANDING:
            self._tell(EventType.ORDER_REFUSED, order.id, "too_many", f"{MAX_STANDING} takeovers stand")
            return
        self._standing[order.id] = _Standing(order, self._clock.monotonic())
        self._tell(EventType.BOARD_TAKEN, order.id, order.issuer, ", ".join(order.boards) or order.reason)

    async def cancel(self, cancel: Cancel) -> None:
        """End a takeover, if this cancel names one and its issuer may."""
        known = self._cancels.setdefault(cancel.cancels, [])
        known.append(cancel)
        del known[:-MAX_CANCELS_OF_ONE]
        while len(self._cancels) > MAX_CANCELS:
            self._cancels.pop(next(iter(self._cancels)))
        standing = self._standing.get(cancel.cancels)
        if standing is None:
            return
        if not self._may_cancel(cancel.issuer, standing.order.issuer):
            logger.warning("order %s may not cancel %s", cancel.id, cancel.cancels)
            self._tell(EventType.ORDER_REFUSED, cancel.id, "wrong_role", f"may not cancel {cancel.cancels}")
            return
        await self._end(cancel.cancels, OrderStatus.CANCELLED, f"by {cancel.id}")

    async def end_over(self) -> None:
        """End those whose time has passed."""
        for order_id, one in list(self._standing.items()):
            if self._is_over(one.order, one.taken_s):
                await self._end(order_id, OrderStatus.ENDED, "its time is over")
        await self._close_gone()

    def until(self, board: str) -> datetime | None:
        """Until when a board is taken over, None if it is not."""
        ends = [
            self._ends(one.order, one.taken_s)
            for one in self._standing.values()
            if (not one.order.boards or board in one.order.boards)
            and self._has_begun(one.order)
            and not self._is_over(one.order, one.taken_s)
        ]
        return max(ends, default=None)

    def _has_begun(self, order: Takeover) -> bool:
        """Whether its time has come; without a clock to believe it begins when it comes."""
        return self._clock.trust < ClockTrust.RTC or order.not_before <= self._clock.now() + EARLY

    def _ends(self, order: Takeover, taken_s: float) -> datetime:
        if self._clock.trust >= ClockTrust.RTC:
            return order.expires
        left = order.expires - order.not_before - timedelta(seconds=self._clock.monotonic() - taken_s)
        return self._clock.now() + left

    def _is_over(self, order: Takeover, taken_s: float) -> bool:
        proved = self._proved()
        if proved is not None and order.expires <= proved:
            return True
        return self._ends(order, taken_s) <= self._clock.now()

    async def _end(self, order_id: str, status: OrderStatus, detail: str) -> None:
        self._standing.pop(order_id, None)
        self._tell(EventType.BOARD_HANDED_BACK, order_id, status.value, detail)
        self._unclosed[order_id] = status
        await self._close_gone()

    async def _close_gone(self) -> None:
        """Tell the store; what it refuses now is tried again with the next look."""
        for order_id, status in list(self._unclosed.items()):
            try:
                await self._close(order_id, status)
            except StoreError as error:
                logger.debug("takeover %s is not closed in the store yet: %s", order_id, error)
                return
            self._unclosed.pop(order_id, None)
