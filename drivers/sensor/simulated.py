"""Sensors of a simulated box: they show what `faults.toml` says, and what the simulated speaker gives out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from drivers.api import ClockSource, ClockState, LineReading, LineSense, Options, PowerState, StorageState
from drivers.options import refuse_unknown
from drivers.sensor.host_storage import HostStorage
from drivers.simulation import FaultFile, SpeakerCell, place

if TYPE_CHECKING:
    from drivers.api import ClockSensor, LineSenseDriver, PowerSensor, StorageSensor

_KNOWN = frozenset({"dir", "zone"})
_FRESH_NS = 300_000_000
_ACTIVE_DBFS = -60.0
_SILENT_DBFS = -120.0


class SimulatedLineSense:
    """Hears what the simulated loudspeaker gives out: nothing while the horn is open."""

    def __init__(self, name: str, directory: Path, zone: str = "main") -> None:
        self.name = name
        self._directory = directory
        self._zone = zone

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `dir` (required) and `zone`; raises DriverSetupError."""
        refuse_unknown(name, options, _KNOWN)
        return cls(name, *place(name, options))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[LineSense]:
        cell = await asyncio.to_thread(SpeakerCell, self._directory, self._zone)
        try:
            yield _OpenLineSense(self.name, cell)
        finally:
            cell.close()


class _OpenLineSense:
    def __init__(self, name: str, cell: SpeakerCell) -> None:
        self.name = name
        self._cell = cell

    async def read(self) -> LineReading:
        now_ns = time.monotonic_ns()
        found = self._cell.load()
        level = found[0] if found is not None and now_ns - found[1] <= _FRESH_NS else _SILENT_DBFS
        return LineReading(active=level > _ACTIVE_DBFS, level_dbfs=level, at_ns=now_ns)

    async def probe(self) -> None:
        await self.read()


class SimulatedPower:
    """Mains are there unless `mains_lost`."""

    def __init__(self, directory: Path) -> None:
        self._faults = FaultFile(directory)

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `dir` (required); raises DriverSetupError."""
        refuse_unknown(name, options, _KNOWN)
        return cls(place(name, options)[0])

    def read(self) -> PowerState:
        return PowerState(mains=not self._faults.current().mains_lost)


class SimulatedStorage:
    """The real file system, with no room left while `disk_full`."""

    def __init__(self, directory: Path) -> None:
        self._faults = FaultFile(directory)
        self._host = HostStorage()

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `dir` (required); raises DriverSetupError."""
        refuse_unknown(name, options, _KNOWN)
        return cls(place(name, options)[0])

    def read(self, path: Path) -> StorageState:
        """As `HostStorage.read`, with `free_bytes` 0 while the disk is full."""
        state = self._host.read(path)
        return replace(state, free_bytes=0) if self._faults.current().disk_full else state


class SimulatedClock:
    """The clock is synchronised unless `clock_unknown`."""

    def __init__(self, directory: Path) -> None:
        self._faults = FaultFile(directory)

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `dir` (required); raises DriverSetupError."""
        refuse_unknown(name, options, _KNOWN)
        return cls(place(name, options)[0])

    def read(self) -> ClockState:
        if self._faults.current().clock_unknown:
            return ClockState(ClockSource.UNKNOWN)
        return ClockState(ClockSource.SYNCHRONISED, error_ms=0.0)


if TYPE_CHECKING:
    _line: type[LineSenseDriver] = SimulatedLineSense
    _power: type[PowerSensor] = SimulatedPower
    _storage: type[StorageSensor] = SimulatedStorage
    _clock: type[ClockSensor] = SimulatedClock
