"""An amplifier and a meter a test can break, and a switch that runs them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agent.clock import SystemClock
from agent.model.bulletin import ClockTrust
from agent.model.issue import Fault
from agent.playout import amplifier_runner, metering, switching
from agent.playout.amplifier import MS, AmplifierSwitch, AmplifierTimes
from agent.playout.supervision import MeterLimits
from drivers.api import AmplifierState, DeviceUnavailableError, MeterReading

QUICK = AmplifierTimes(settle_ms=0, unmute_ms=0, hold_s=0.03)
LIMITS = MeterLimits(idle_amps=0.25, full_amps=4.0, low_volts=20.0, high_volts=30.0)


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that takes seconds on a pole takes a fraction here."""
    monkeypatch.setattr(switching, "COOL_DOWN_NS", 150 * MS)
    monkeypatch.setattr(switching, "LOST_NS", 100 * MS)
    monkeypatch.setattr(amplifier_runner, "LOOK_POWERED_S", 0.02)
    monkeypatch.setattr(metering, "POWERED_EVERY_S", 0.02)
    monkeypatch.setattr(metering, "IDLE_EVERY_S", 0.05)
    monkeypatch.setattr(metering, "LEVEL_LAG_S", 0.02)


class Issues:
    def __init__(self) -> None:
        self.details: dict[Fault, str] = {}

    @property
    def open(self) -> set[Fault]:
        return set(self.details)

    def raise_(self, fault: Fault, subject: str = "", detail: str = "") -> None:
        assert subject == "main"
        self.details[fault] = detail

    def clear(self, fault: Fault, subject: str = "") -> None:
        self.details.pop(fault, None)


class Device:
    """An amplifier that writes down what it is told; `journal` can be shared by two."""

    name = "amp"

    def __init__(self, mark: str = "", journal: list[str] | None = None) -> None:
        self.mark = mark
        self.log: list[str] = journal if journal is not None else []
        self.fault: bool | None = False
        self.refuses = False
        self.slow_s = 0.0
        self.powered = False
        self.muted = True

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Device]:
        if self.refuses:
            raise DeviceUnavailableError("no gpiochip")
        try:
            yield self
        finally:
            self.powered, self.muted = False, True
            self.log.append(f"{self.mark}safe")

    async def set_power(self, *, on: bool) -> None:
        self._check()
        assert on or self.muted
        await asyncio.sleep(self.slow_s)
        self.powered = on
        self.log.append(f"{self.mark}power {on}")

    async def set_mute(self, *, muted: bool) -> None:
        self._check()
        self.muted = muted
        self.log.append(f"{self.mark}mute {muted}")

    async def read(self) -> AmplifierState:
        self._check()
        return AmplifierState(powered=self.powered, muted=self.muted, fault=self.fault)

    async def probe(self) -> None:
        pass

    def _check(self) -> None:
        if self.refuses:
            raise DeviceUnavailableError("no gpiochip")


class Gauge:
    """A meter whose values follow the amplifier, as the test wants them."""

    name = "meter"

    def __init__(self, device: Device) -> None:
        self.device = device
        self.idle, self.sound, self.volts = 0.25, 1.0, 24.0
        self.refuses = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Gauge]:
        yield self

    async def read(self) -> MeterReading:
        if self.refuses:
            raise DeviceUnavailableError("no answer on the bus")
        amps = 0.0
        if self.device.powered:
            amps = self.idle + (0.0 if self.device.muted else self.sound)
        return MeterReading(self.volts, amps, 40.0, time.monotonic_ns())

    async def probe(self) -> None:
        pass


def now() -> int:
    return time.monotonic_ns()


async def until(condition: Callable[[], bool], limit_s: float = 10.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def running(
    device: Device, times: AmplifierTimes = QUICK, **options: Any
) -> AsyncIterator[tuple[AmplifierSwitch, Issues]]:
    issues = Issues()
    clock = SystemClock(lambda: ClockTrust.RTC)
    switch = AmplifierSwitch("main", device.open, times, clock, issues, **options)
    task = asyncio.create_task(switch.run())
    try:
        await asyncio.sleep(0.01)
        yield switch, issues
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def speaking(switch: AmplifierSwitch, dbfs: float = -12.0) -> AsyncIterator[None]:
    """The card consumes sound of one level, told every 20 ms."""

    async def tell() -> None:
        while True:
            switch.heard_level(dbfs, now())
            await asyncio.sleep(0.02)

    switch.need(1, now())
    await until(lambda: switch.sounding)
    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
