"""The FM receiver of a simulated box: what it was told goes to `tuner.jsonl`, its state to a shared cell.

Its sound is the WAV file of a simulated input, played by the audio worker.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from drivers.api import DeviceUnavailableError, Options, Tuner, TunerState
from drivers.journal import Journal
from drivers.options import refuse_unknown
from drivers.simulation import FaultFile, Reception, TunerCell, place
from drivers.tuner.chip import refuse_outside_band, refuse_untuned

if TYPE_CHECKING:
    from drivers.api import TunerDriver

_READY_S = 0.06
_RSSI = 45
_RSSI_OF_NOISE = 4


class _OpenTuner:
    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self._faults = FaultFile(directory)
        self._check()
        self._journal = Journal(directory / "tuner.jsonl")
        self._cell = TunerCell(directory, writable=True)
        self._megahertz: float | None = None
        self._muted = True
        self._store()

    async def tune(self, megahertz: float) -> TunerState:
        refuse_outside_band(self.name, megahertz)
        await self.set_mute(muted=True)
        self._megahertz = None
        await asyncio.sleep(_READY_S)
        self._check()
        self._megahertz = round(megahertz, 1)
        self._write(edge="tuned", megahertz=self._megahertz)
        return await self.read()

    async def set_mute(self, *, muted: bool) -> None:
        self._check()
        refuse_untuned(self.name, self._megahertz, muted=muted)
        if muted != self._muted:
            self._muted = muted
            self._write(edge="muted" if muted else "unmuted")

    async def read(self) -> TunerState:
        self._check()
        self._store()
        if self._megahertz is None:
            return TunerState(None, self._muted, locked=None, rssi=None)
        locked = self._locked()
        rssi = _RSSI if locked else _RSSI_OF_NOISE
        return TunerState(self._megahertz, self._muted, locked=locked, rssi=rssi, stereo=locked)

    async def probe(self) -> None:
        await self.read()

    def sleep(self) -> None:
        self._megahertz, self._muted = None, True
        self._write(edge="asleep")
        self._journal.close()
        self._cell.close()

    def _check(self) -> None:
        if self._faults.current().tuner_missing:
            raise DeviceUnavailableError(f"{self.name}: no answer (faults.toml: tuner_missing)")

    def _locked(self) -> bool:
        return self._megahertz is not None and not self._faults.current().tuner_no_signal

    def _store(self) -> None:
        self._cell.store(Reception(self._megahertz or 0.0, self._muted, self._locked(), time.monotonic_ns()))

    def _write(self, **edge: object) -> None:
        self._store()
        self._journal.append(time.monotonic_ns(), **edge)


class SimulatedTuner:
    """Receives a station on every frequency, until `tuner_no_signal`; gone while `tuner_missing`."""

    _known = frozenset({"dir"})

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self._directory = directory

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `dir` (required); raises DriverSetupError."""
        refuse_unknown(name, options, cls._known)
        return cls(name, place(name, options)[0])

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Tuner]:
        tuner = await asyncio.to_thread(_OpenTuner, self.name, self._directory)
        try:
            yield tuner
        finally:
            tuner.sleep()


if TYPE_CHECKING:
    _driver: type[TunerDriver] = SimulatedTuner
