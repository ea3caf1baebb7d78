"""The second way: tells health by HTTPS, fetches orders the push missed, settles receipts."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from agent.clock import Clock
from agent.errors import ContentError, LinkError, Retry, StoreError
from agent.source.api import Inbox, Outbox, ReadHealth
from agent.source.errors import failure_of
from agent.source.http import HttpLink
from agent.source.status import StatusBoard
from agent.wire.device_api import HEARTBEAT, HeartbeatAnswer, HeartbeatRequest, Held
from agent.wire.envelope import MAX_ENVELOPE_BYTES

logger = logging.getLogger(__name__)

MAX_AWAITING = 500
MAX_FETCHED = 1000
_URGENCY = {"emergency": 0, "cancel": 0, "grant": 1, "job": 2, "bulletin": 3}


@dataclass(frozen=True, slots=True)
class BeatTimes:
    """Seconds.

    Attributes:
        every_s: between heartbeats, ± 10 %.
        least_gap_s: between two that events ask for.
        refused_s: after the server declined the box.
        resend_after_s: a report whose receipt did not come by then is sent again.
        refetch_after_s: a document is fetched again no sooner, whatever the server lists, because one
            whose id is not the listed one would otherwise cost its size at each beat.
        refetch_urgent_s: the same for emergencies and cancels: one refused by a wrong clock must come
            again soon after the clock was set.
    """

    every_s: float = 60.0
    least_gap_s: float = 5.0
    refused_s: float = 300.0
    resend_after_s: float = 60.0
    refetch_after_s: float = 3600.0
    refetch_urgent_s: float = 30.0


class Heartbeat:
    """Beats until cancelled; a lost server is a state, not an error."""

    def __init__(
        self,
        link: HttpLink,
        *,
        health: ReadHealth,
        inbox: Inbox,
        outbox: Outbox,
        status: StatusBoard,
        clock: Clock,
        times: BeatTimes,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._link = link
        self._health = health
        self._inbox = inbox
        self._outbox = outbox
        self._status = status
        self._clock = clock
        self._times = times
        self._uniform = uniform
        self._now = asyncio.Event()
        self._fetched: OrderedDict[tuple[str, str], float] = OrderedDict()

    def beat_now(self) -> None:
        """Something changed that the next beat should not wait for."""
        self._now.set()

    async def run(self) -> None:
        """Beat, wait, beat."""
        while True:
            self._now.clear()
            every_s = self._times.every_s
            try:
                await self._beat()
            except (LinkError, ContentError) as error:
                self._status.http(failure_of(error))
                if error.retry is not Retry.SOON:
                    every_s = max(every_s, self._times.refused_s)
            except StoreError as error:
                # Says nothing about the server; the next beat tries the store again.
                logger.warning("heartbeat cut short: %s", error)
            else:
                self._status.http(None)
            await self._clock.sleep(min(self._times.least_gap_s, every_s))
            await self._wait(self._uniform(0.9, 1.1) * every_s - self._times.least_gap_s)

    async def _wait(self, delay_s: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, delay_s)):
                await self._now.wait()
        except TimeoutError:
            return

    async def _beat(self) -> None:
        awaiting = tuple(await self._outbox.outbox_awaiting(MAX_AWAITING))
        request = HeartbeatRequest(health=self._health(), awaiting_receipt=awaiting)
        answer = await self._link.post(HEARTBEAT, request, HeartbeatAnswer)
        received = sorted(set(answer.received) & set(awaiting))
        if received:
            await self._outbox.outbox_receipt(received)
        again = await self._outbox.outbox_resend(self._times.resend_after_s)
        if again:
            logger.info("%d reports without receipt are sent again", again)
        for held in sorted(answer.hold, key=lambda one: _URGENCY.get(one.kind, 4)):
            if not await self._inbox.holds(held.kind, held.id):
                await self._obtain(held)

    async def _obtain(self, held: Held) -> None:
        key = (held.kind, held.id)
        fetched_s = self._fetched.get(key)
        urgent = _URGENCY.get(held.kind) == 0
        hold_s = self._times.refetch_urgent_s if urgent else self._times.refetch_after_s
        if fetched_s is not None and self._clock.monotonic() - fetched_s < hold_s:
            return
        try:
            envelope = await self._link.get(held.url, MAX_ENVELOPE_BYTES)
        except ContentError as error:
            # One document that is gone or too long must not keep the others from coming.
            logger.warning("order %s %s cannot be fetched: %s", held.kind, held.id, error)
        else:
            await self._inbox.inbox_insert(envelope, "https")
            logger.info("order %s %s fetched by heartbeat", held.kind, held.id)
        self._fetched[key] = self._clock.monotonic()
        while len(self._fetched) > MAX_FETCHED:
            self._fetched.popitem(last=False)
