"""Sensors of a simulated box: they show what `faults.toml` says, and what the simulated speaker gives out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from drivers.api import (
    ClockSource,
    ClockState,
    LineReading,
    LineSense,
    Meter,
    MeterReading,
    Options,
    PowerState,
    StorageState,
)
from drivers.options import refuse_unknown
from drivers.sensor.host_storage import HostStorage
from drivers.sensor.microphone import THRESHOLD_DBFS, threshold
from drivers.simulation import AmplifierCell, FaultFile, SpeakerCell, place

if TYPE_CHECKING:
    from drivers.api import ClockSensor, LineSenseDriver, MeterDriver, PowerSensor, StorageSensor

_KNOWN = frozenset({"dir", "zone"})
_FRESH_NS = 300_000_000
_ACTIVE_DBFS = -60.0
_SILENT_DBFS = -120.0
_VOLTS = 24.0
_LOW_VOLTS = 18.0
_IDLE_AMPS = 0.25
_SWING_AMPS = 4.0  # on top of that, at 0 dBFS
_SHORT_AMPS = 9.0
_COOL_C = 41.0
_HOT_C = 90.0


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


def _fresh_level(cell: SpeakerCell, now_ns: int) -> float:
    """Level of the loudspeaker, -120 to 0; silence when it has said nothing lately."""
    found = cell.load()
    return found[0] if found is not None and now_ns - found[1] <= _FRESH_NS else _SILENT_DBFS


class _OpenLineSense:
    def __init__(
        self,
        name: str,
        cell: SpeakerCell,
        threshold_dbfs: float = _ACTIVE_DBFS,
        deaf: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name = name
        self._cell = cell
        self._threshold_dbfs = threshold_dbfs
        self._deaf = deaf

    async def read(self) -> LineReading:
        now_ns = time.monotonic_ns()
        level = _SILENT_DBFS if self._deaf() else _fresh_level(self._cell, now_ns)
        return LineReading(active=level > self._threshold_dbfs, level_dbfs=level, at_ns=now_ns)

    async def probe(self) -> None:
        await self.read()


class SimulatedMicrophone:
    """Stands before the simulated loudspeaker and hears it, unless `microphone_deaf`."""

    _known = _KNOWN | {"threshold_dbfs"}

    def __init__(
        self, name: str, directory: Path, zone: str = "main", *, threshold_dbfs: float = THRESHOLD_DBFS
    ) -> None:
        self.name = name
        self._directory = directory
        self._zone = zone
        self._threshold_dbfs = threshold_dbfs

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `dir` (required), `zone` and `threshold_dbfs`; raises DriverSetupError."""
        refuse_unknown(name, options, cls._known)
        directory, zone = place(name, options)
        return cls(name, directory, zone, threshold_dbfs=threshold(name, options))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[LineSense]:
        cell = await asyncio.to_thread(SpeakerCell, self._directory, self._zone)
        faults = FaultFile(self._directory)
        try:
            yield _OpenLineSense(
                self.name, cell, self._threshold_dbfs, deaf=lambda: faults.current().microphone_deaf
            )
        finally:
            cell.close()


class SimulatedMeter:
    """Measures the supply of the simulated amplifiers of a zone, main and spare together."""

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
    async def open(self) -> AsyncIterator[Meter]:
        main = AmplifierCell(self._directory, self._zone)
        spare = AmplifierCell(self._directory, self._zone, spare=True)
        speaker = SpeakerCell(self._directory, self._zone)
        try:
            yield _OpenMeter(self.name, FaultFile(self._directory), main, spare, speaker)
        finally:
            for cell in (main, spare, speaker):
                cell.close()


class _OpenMeter:
    def __init__(
        self, name: str, faults: FaultFile, main: AmplifierCell, spare: AmplifierCell, speaker: SpeakerCell
    ) -> None:
        self.name = name
        self._faults = faults
        self._amplifiers = (main, spare)
        self._speaker = speaker

    async def read(self) -> MeterReading:
        faults = self._faults.current()
        now_ns = time.monotonic_ns()
        temperature_c = _HOT_C if faults.amplifier_hot else _COOL_C
        if faults.amplifier_no_power:
            return MeterReading(0.0, 0.0, temperature_c, now_ns)
        amps = 0.0
        if any(gate is not None and gate.powered for gate in (cell.load() for cell in self._amplifiers)):
            level = _fresh_level(self._speaker, now_ns)
            amps = _SHORT_AMPS if faults.line_short else _IDLE_AMPS + _SWING_AMPS * 10 ** (level / 20)
        return MeterReading(_LOW_VOLTS if faults.dc_low else _VOLTS, amps, temperature_c, now_ns)

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
    _microphone: type[LineSenseDriver] = SimulatedMicrophone
    _meter: type[MeterDriver] = SimulatedMeter
    _power: type[PowerSensor] = SimulatedPower
    _storage: type[StorageSensor] = SimulatedStorage
    _clock: type[ClockSensor] = SimulatedClock
