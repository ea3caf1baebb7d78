"""Reads the box's own sensors at a steady pace, keeps the book of issues, remembers for the heartbeat."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from agent.clock import Clock
from agent.health.checks import check_clock, check_power, check_storage, check_uplink
from agent.health.issues import IssueBook
from agent.model.issue import Fault
from drivers.api import (
    ClockSensor,
    ClockState,
    DriverError,
    PowerSensor,
    PowerState,
    StorageSensor,
    StorageState,
    UplinkSensor,
    UplinkState,
)

logger = logging.getLogger(__name__)
T = TypeVar("T")

SYSFS = Path("/sys")
READ_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Observations:
    """The last reading of each sensor; None where none answered."""

    uplink: UplinkState | None = None
    power: PowerState | None = None
    storage: StorageState | None = None
    clock: ClockState | None = None
    temperature_c: float | None = None


@dataclass(frozen=True, slots=True)
class Sensors:
    """What the box measures itself with; an optional one is None where it is not fitted."""

    uplink: UplinkSensor
    storage: StorageSensor
    clock: ClockSensor | None = None
    power: PowerSensor | None = None


def read_temperature(sysfs: Path = SYSFS) -> float | None:
    """Temperature of the processor in °C, None where the kernel gives none.

    Source: Linux Documentation/driver-api/thermal/sysfs-api.rst, `temp` in thousandths of a degree.
    """
    try:
        return int((sysfs / "class/thermal/thermal_zone0/temp").read_text(encoding="ascii")) / 1000
    except (OSError, ValueError):
        return None


class HealthService:
    """Supporting service: one round of readings and checks every `period_s`.

    Sensors are read in a thread of their own: a failing SD card can hold `statvfs` for minutes, and
    the loop that plays must not wait for it.
    """

    name = "health"

    def __init__(
        self,
        *,
        book: IssueBook,
        clock: Clock,
        sensors: Sensors,
        data_dir: Path,
        keep_free_bytes: int,
        period_s: float = 10.0,
        sysfs: Path = SYSFS,
    ) -> None:
        self._book = book
        self._clock = clock
        self._sensors = sensors
        self._data_dir = data_dir
        self._keep_free_bytes = keep_free_bytes
        self._period_s = period_s
        self._sysfs = sysfs
        self._lost: dict[str, float] = {}
        self._reading: Future[Observations] | None = None
        self.observations = Observations()

    async def run(self) -> None:
        """Read and check until cancelled."""
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sensors")
        try:
            while True:
                await self.check(pool)
                await self._clock.sleep(self._period_s)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # a thread stuck in the kernel is not waited for

    async def check(self, pool: ThreadPoolExecutor) -> Observations:
        """One round; whatever did not answer in time counts as not measured."""
        self.observations = await self._observe(pool)
        self._judge(self.observations)
        return self.observations

    async def _observe(self, pool: ThreadPoolExecutor) -> Observations:
        if self._reading is None or self._reading.done():
            self._reading = pool.submit(self._read_all)
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                seen = await asyncio.wrap_future(self._reading)  # cancelling it leaves a running read alone
        except TimeoutError:
            self._log_change("sensors", f"no answer within {READ_TIMEOUT_S:.0f} s")
            return Observations()
        self._log_change("sensors", None)
        return seen

    def _read_all(self) -> Observations:
        sensors = self._sensors
        power, clock = sensors.power, sensors.clock
        return Observations(
            uplink=self._read("uplink", sensors.uplink.read),
            power=None if power is None else self._read("power", power.read),
            storage=self._read("storage", lambda: sensors.storage.read(self._data_dir)),
            clock=None if clock is None else self._read("clock", clock.read),
            temperature_c=read_temperature(self._sysfs),
        )

    def _read(self, what: str, read: Callable[[], T]) -> T | None:
        try:
            value = read()
        except DriverError as error:
            self._log_change(what, str(error))
            return None
        self._log_change(what, None)
        return value

    def _log_change(self, what: str, problem: str | None) -> None:
        if problem is not None and what not in self._lost:
            self._lost[what] = self._clock.monotonic()
            logger.warning("sensor %s: lost: %s", what, problem)
        elif problem is None and what in self._lost:
            logger.info("sensor %s: back after %.0f s", what, self._clock.monotonic() - self._lost.pop(what))

    def _judge(self, seen: Observations) -> None:
        findings = (
            check_power(seen.power),
            *check_uplink(seen.uplink),
            check_clock(self._clock.trust),
            check_storage(
                seen.storage, self._keep_free_bytes, is_open=self._book.is_open(Fault.STORAGE_FULL)
            ),
        )
        for finding in findings:
            self._book.put(finding.fault, finding.present, detail=finding.detail)
