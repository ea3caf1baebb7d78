"""Time that a test moves by hand."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta

from agent.model.bulletin import ClockTrust

NS = 1_000_000_000


class FakeClock:
    """Both clocks of a machine, standing still until `pass_` moves them."""

    def __init__(self, now: datetime = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)) -> None:
        self._wall = now
        self._mono_ns = 1_000 * NS
        self._sleepers: list[tuple[int, int, asyncio.Event]] = []
        self._count = 0
        self.trust = ClockTrust.SYNCHRONISED

    def now(self) -> datetime:
        return self._wall

    def monotonic(self) -> float:
        return self._mono_ns / NS

    def monotonic_ns(self) -> int:
        return self._mono_ns

    async def sleep(self, delay_s: float) -> None:
        woken = asyncio.Event()
        self._count += 1
        heapq.heappush(self._sleepers, (self._mono_ns + int(max(0.0, delay_s) * NS), self._count, woken))
        await woken.wait()

    def step(self, by: timedelta) -> None:
        """Set the wall clock; the monotonic one does not notice."""
        self._wall += by

    async def pass_(self, seconds: float, grain_s: float = 0.1) -> None:
        """Let time go by, waking sleepers in order and letting everything run in between."""
        end = self._mono_ns + int(seconds * NS)
        while True:
            await settle()
            nearest = min([end, *(at for at, _, _ in self._sleepers[:1])])
            target = min(nearest, self._mono_ns + int(grain_s * NS))
            self._wall += timedelta(microseconds=(target - self._mono_ns) / 1000)
            self._mono_ns = max(target, self._mono_ns)
            while self._sleepers and self._sleepers[0][0] <= self._mono_ns:
                heapq.heappop(self._sleepers)[2].set()
            if self._mono_ns >= end:
                await settle()
                return


async def settle(turns: int = 15) -> None:
    """Let every task that can run do so."""
    for _ in range(turns):
        await asyncio.sleep(0)
