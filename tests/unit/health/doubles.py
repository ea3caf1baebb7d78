"""Doubles for the tests of health: a clock that stands still, and sensors that say what they are told."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from agent.model.bulletin import ClockTrust
from drivers.api import (
    Bearer,
    ClockSource,
    ClockState,
    Options,
    PowerState,
    StorageState,
    UplinkState,
)

if TYPE_CHECKING:
    from agent.clock import Clock
    from drivers.api import ClockSensor, PowerSensor, StorageSensor, UplinkSensor

NOON = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)


class StillClock:
    """Time passes only by `pass_time`; `step` moves the wall clock alone."""

    def __init__(self, trust: ClockTrust = ClockTrust.SYNCHRONISED) -> None:
        self.wall = NOON
        self.mono = 1000.0
        self.trust_now = trust
        self.slept: list[float] = []
        self.sleeping = asyncio.Event()

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.mono

    def monotonic_ns(self) -> int:
        return int(self.mono * 1e9)

    @property
    def trust(self) -> ClockTrust:
        return self.trust_now

    async def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        self.sleeping.set()
        await asyncio.Event().wait()

    def pass_time(self, seconds: float) -> None:
        self.mono += seconds
        self.wall += timedelta(seconds=seconds)

    def step(self, to: datetime) -> None:
        self.wall = to


class Uplink:
    def __init__(self) -> None:
        self.state = UplinkState(Bearer.ETHERNET, None, data=True)
        self.error: Exception | None = None

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        return cls()

    def read(self) -> UplinkState:
        if self.error is not None:
            raise self.error
        return self.state


class Power:
    def __init__(self) -> None:
        self.state = PowerState(mains=True)

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        return cls()

    def read(self) -> PowerState:
        return self.state


class Storage:
    """`hold` keeps a read in its thread, as a failing card does."""

    def __init__(self) -> None:
        self.state = StorageState(total_bytes=10 << 30, free_bytes=5 << 30)
        self.hold: threading.Event | None = None
        self.reads = 0

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        return cls()

    def read(self, path: Path) -> StorageState:
        self.reads += 1
        if self.hold is not None:
            self.hold.wait(30)
        return self.state


class ClockChip:
    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        return cls()

    def read(self) -> ClockState:
        return ClockState(ClockSource.RTC, 20.0)


if TYPE_CHECKING:
    _clock: type[Clock] = StillClock
    _uplink: type[UplinkSensor] = Uplink
    _power: type[PowerSensor] = Power
    _storage: type[StorageSensor] = Storage
    _chip: type[ClockSensor] = ClockChip
