"""Reads the meter of a zone's amplifier, has it judged, and tells what a person can fix."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from agent.clock import Clock
from agent.model.issue import Fault
from agent.playout.supervision import Finding, Kind, Load, MeterLimits, Watch, judge
from drivers.api import DriverError, Meter, MeterReading

logger = logging.getLogger(__name__)

FRESH_LIMIT_S = 2.0
READ_LIMIT_S = 1.0
OPEN_LIMIT_S = 10.0
POWERED_EVERY_S = 1.0
IDLE_EVERY_S = 10.0
LEVEL_LAG_S = 0.7
"""The level of the moment that was metered is told so late: the card reports every 500 ms at most."""

_BEFORE_NS, _AFTER_NS = 200_000_000, 700_000_000
"""Levels told in this range around a reading belong to it."""

DRAWING_NS = 5_000_000_000
"""What a reading said of the current stands so long through passages too quiet to tell."""

_KEPT_NS = 4_000_000_000
_LEVELS_MAX = 200

FAULTS = {
    Kind.NO_POWER: Fault.AMPLIFIER_NO_POWER,
    Kind.DC_LOW: Fault.DC_LOW,
    Kind.LINE_OPEN: Fault.LINE_OPEN,
    Kind.LINE_SHORT: Fault.LINE_SHORT,
}
"""Issues by condition; warm and hot share one, and what stops the amplifier is told by its switch too."""


class Issues(Protocol):
    """Where conditions a person can fix are told."""

    def raise_(self, fault: Fault, subject: str = "", detail: str = "") -> None: ...

    def clear(self, fault: Fault, subject: str = "") -> None: ...


class Metering:
    """Service: reads one meter every second while its amplifier is powered, every ten otherwise."""

    def __init__(
        self,
        zone: str,
        open_meter: Callable[[], AbstractAsyncContextManager[Meter]],
        limits: MeterLimits,
        clock: Clock,
        issues: Issues,
        *,
        load: Callable[[], tuple[bool, bool]],
        on_finding: Callable[[], None],
    ) -> None:
        """Wire a meter.

        Args:
            zone: subject of its issues.
            open_meter: opens its driver.
            limits: what is normal.
            clock: time.
            issues: where faults are told.
            load: whether the amplifier is powered and settled, and whether it is unmuted.
            on_finding: called after each reading, and when the meter is lost.
        """
        self._zone = zone
        self._open = open_meter
        self._limits = limits
        self._clock = clock
        self._issues = issues
        self._load = load
        self._on_finding = on_finding
        self._levels: deque[tuple[int, float]] = deque(maxlen=_LEVELS_MAX)
        self._watch = Watch()
        self._changed = asyncio.Event()
        self._arrived = asyncio.Event()
        self._told: set[Kind] = set()
        self._drew: tuple[int, bool] | None = None
        self._lost = False
        self.latest: MeterReading | None = None
        self.finding: Finding | None = None

    def heard_level(self, rms_dbfs: float, at_ns: int) -> None:
        """The card consumed sound of this level during the period that ended at `at_ns`."""
        self._levels.append((at_ns, rms_dbfs))
        while self._levels and at_ns - self._levels[0][0] > _KEPT_NS:
            self._levels.popleft()

    def wake(self) -> None:
        """The amplifier was switched: look now."""
        self._changed.set()

    async def fresh(self, limit_s: float = FRESH_LIMIT_S) -> MeterReading | None:
        """A reading that began after this call; None if the meter does not answer in time."""
        asked_ns = self._clock.monotonic_ns()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while self.latest is None or self.latest.at_ns < asked_ns:
                    self._changed.set()
                    self._arrived.clear()
                    await self._arrived.wait()
                return self.latest
        return None

    def forget(self) -> None:
        """A human has looked: judge anew."""
        self._watch = Watch()
        self.finding = None
        self._drew = None
        self._tell(Finding())
        self._changed.set()

    @property
    def drawing(self) -> bool | None:
        """The amplifier draws what the sound needs; None when nothing lately could tell."""
        if self._drew is None or self._clock.monotonic_ns() - self._drew[0] > DRAWING_NS:
            return None
        return self._drew[1]

    async def run(self) -> None:
        failures = 0
        while True:
            try:
                async with contextlib.AsyncExitStack() as stack:
                    async with asyncio.timeout(OPEN_LIMIT_S):
                        meter = await stack.enter_async_context(self._open())
                    while True:
                        await self._read(meter)
                        failures = 0
                        await self._wait()
            except (DriverError, TimeoutError) as error:
                failures += 1
                if not self._lost:
                    logger.warning("zone %s: meter does not answer: %s", self._zone, error or "no answer")
                self._lost = True
            finally:
                self.latest = self.finding = self._drew = None
                self._on_finding()
            await self._clock.sleep(min(30.0, 0.5 * 2 ** min(failures, 6)))

    async def _read(self, meter: Meter) -> None:
        async with asyncio.timeout(READ_LIMIT_S):
            reading = await meter.read()
        if self._lost:
            logger.info("zone %s: meter is back", self._zone)
        self._lost = False
        self.latest = reading
        self._arrived.set()
        settled, unmuted = self._load()
        level = None
        if unmuted and settled:
            await self._clock.sleep(LEVEL_LAG_S)
            if self._load() == (settled, unmuted):
                level = self._level_at(reading.at_ns)
        load = Load(settled=settled, unmuted=unmuted, rms_dbfs=level)
        self._watch, finding = judge(self._watch, reading, load, self._limits)
        self.finding = finding
        if finding.drawing is not None:
            self._drew = (self._clock.monotonic_ns(), finding.drawing)
        elif not settled or not unmuted:
            self._drew = None
        self._tell(finding)
        self._on_finding()

    async def _wait(self) -> None:
        powered, unmuted = self._load()
        wait_s = POWERED_EVERY_S if powered else IDLE_EVERY_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.05, wait_s - LEVEL_LAG_S) if unmuted else wait_s):
                await self._changed.wait()
        self._changed.clear()

    def _level_at(self, at_ns: int) -> float | None:
        """Level whose current is the mean of those around the reading; None when none was told."""
        near = [dbfs for told_ns, dbfs in self._levels if -_BEFORE_NS <= told_ns - at_ns <= _AFTER_NS]
        if not near:
            return None
        return max(-120.0, 20 * math.log10(max(sum(10 ** (dbfs / 20) for dbfs in near) / len(near), 1e-6)))

    def _tell(self, finding: Finding) -> None:
        detail = finding.detail(self._limits)
        for kind, fault in FAULTS.items():
            self._put(fault, {kind} & finding.kinds, {kind}, detail)
        warmth = {Kind.WARM, Kind.HOT}
        self._put(Fault.AMPLIFIER_HOT, warmth & finding.kinds, warmth, detail)

    def _put(
        self, fault: Fault, standing: set[Kind] | frozenset[Kind], kinds: set[Kind], detail: str
    ) -> None:
        if standing:
            if not self._told & kinds:
                self._issues.raise_(fault, self._zone, detail)
            self._told |= kinds
        elif self._told & kinds:
            self._issues.clear(fault, self._zone)
            self._told -= kinds
