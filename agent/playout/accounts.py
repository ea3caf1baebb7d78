"""Sees to it that every promised airing ends in a record, also those that never began."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from agent.clock import Clock
from agent.model.bulletin import ClockTrust
from agent.playout.airing_log import blank_record, missed_record
from agent.playout.contracts import AiringShelf
from agent.playout.plan import plan
from agent.playout.station import Station

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 10.0
SETTLE_S = 900.0


class MissedKeeper:
    """Service: records what was missed and moves `planned_until` on."""

    name = "missed airings"

    def __init__(self, station: Station, shelf: AiringShelf, clock: Clock) -> None:
        self._station = station
        self._shelf = shelf
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()

    async def run(self) -> None:
        while True:
            await self.account()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._station.changed.changed()

    async def account(self) -> None:
        """Look once; also called before another schedule takes over, as long as the promises are known."""
        async with self._one_at_a_time:
            await self._account()

    async def _account(self) -> None:
        now = self._clock.now()
        state, trust = self._station.state, self._clock.trust
        seen = plan(state, now, trust)
        # A clock chip may be far ahead until a time server answers: what it says was missed before this
        # start waits until the clock has been set, or has had its time to be.
        settled = trust is ClockTrust.SYNCHRONISED or self._station.uptime_s >= SETTLE_S
        for missed in seen.missed:
            airing = missed.airing
            if not settled and state.running_since is not None and airing.start < state.running_since:
                continue
            record = missed_record(
                blank_record(airing, missed.zone, self._station.schedule_version, self._station.order_id),
                missed.reason,
            )
            await self._shelf.finish(record)
            self._station.finish(airing.id, missed.zone)
            logger.warning("zone %s: airing %s missed (%s)", missed.zone, airing.id, missed.reason)
        self._station.waited = seen.waited
        if settled:
            self._station.planned_until = seen.planned_until
