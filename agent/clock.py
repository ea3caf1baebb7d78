"""Time, and how far it may be believed; the only place that reads the wall clock.

The wall clock says *when* something is due, the monotonic clock measures *how long*. A box without
a clock chip boots in the past: `trust` says so, and `floor` keeps the newest moment ever known.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from agent.model.bulletin import ClockTrust

NS = 1_000_000_000


class Clock(Protocol):
    """What services ask of time; tests hand in their own."""

    def now(self) -> datetime:
        """Wall clock, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds on CLOCK_MONOTONIC."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds on CLOCK_MONOTONIC, the clock the audio worker counts in."""
        ...

    @property
    def trust(self) -> ClockTrust:
        """How far `now()` may be believed."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Wait; negative delays return at the next turn of the loop."""
        ...


class SystemClock:
    """The machine's clocks, with trust read from a clock sensor and a floor from the store.

    Args:
        read_trust: asks the driver for the source of the wall clock; called at most once a second.
        floor: newest moment known from before the start (the store, the newest signed order); a
            wall clock behind it is wrong, so its trust falls to UNKNOWN.
    """

    def __init__(self, read_trust: Callable[[], ClockTrust], floor: datetime | None = None) -> None:
        self._read_trust = read_trust
        self._floor = floor
        self._trust = ClockTrust.UNKNOWN
        self._trust_read_s = float("-inf")

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def raise_floor(self, moment: datetime) -> None:
        """Remember that it is at least `moment` (a signed order, a server answer, the last run)."""
        if self._floor is None or moment > self._floor:
            self._floor = moment

    @property
    def floor(self) -> datetime | None:
        """Newest moment ever known, None if there is none."""
        return self._floor

    @property
    def trust(self) -> ClockTrust:
        if self.monotonic() - self._trust_read_s >= 1.0:
            self._trust = self._read_trust()
            self._trust_read_s = self.monotonic()
        if self._floor is not None and self.now() < self._floor - timedelta(minutes=5):
            return ClockTrust.UNKNOWN
        return self._trust

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(max(0.0, delay_s))


def wall_to_monotonic_ns(clock: Clock, moment: datetime) -> int:
    """The CLOCK_MONOTONIC nanosecond at which the wall clock will say `moment`, if nothing steps it."""
    ahead = moment - clock.now()
    return clock.monotonic_ns() + (ahead // timedelta(microseconds=1)) * 1000


def monotonic_to_wall(clock: Clock, at_ns: int) -> datetime:
    """The wall-clock moment of a CLOCK_MONOTONIC nanosecond, by the clocks as they stand now."""
    return clock.now() + timedelta(microseconds=(at_ns - clock.monotonic_ns()) / 1000)
