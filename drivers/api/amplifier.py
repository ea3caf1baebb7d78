"""The amplifier, what it draws, and whether there is really sound on its line."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, Self

from drivers.api.base import Options


@dataclass(frozen=True, slots=True)
class AmplifierState:
    """What is known of the amplifier; None means that nothing measures it."""

    powered: bool
    muted: bool
    fault: bool | None = None


class Amplifier(Protocol):
    """A switchable power amplifier feeding one zone. Safe state: muted, off."""

    @property
    def name(self) -> str: ...

    async def set_power(self, *, on: bool) -> None: ...

    async def set_mute(self, *, muted: bool) -> None: ...

    async def read(self) -> AmplifierState: ...

    async def probe(self) -> None: ...


class AmplifierDriver(Protocol):
    """Factory of one amplifier."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def open(self) -> AbstractAsyncContextManager[Amplifier]: ...


@dataclass(frozen=True, slots=True)
class LineReading:
    """Sound measured after the amplifier.

    Attributes:
        active: sound is present on the loudspeaker line.
        level_dbfs: level where the sensor gives one, else None.
        at_ns: CLOCK_MONOTONIC nanoseconds of the measurement.
    """

    active: bool
    level_dbfs: float | None
    at_ns: int


class LineSense(Protocol):
    """A sensor behind the amplifier that shows whether the line carries sound."""

    @property
    def name(self) -> str: ...

    async def read(self) -> LineReading: ...

    async def probe(self) -> None: ...


class LineSenseDriver(Protocol):
    """Factory of one line sensor."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def open(self) -> AbstractAsyncContextManager[LineSense]: ...


@dataclass(frozen=True, slots=True)
class MeterReading:
    """Supply of an amplifier, or current in its line; None where nothing measures it.

    Attributes:
        volts: of the amplifier's supply.
        amps: drawn from it (or flowing in the loudspeaker line), mean over the conversion.
        temperature_c: of the amplifier.
        at_ns: CLOCK_MONOTONIC nanoseconds of the measurement.
    """

    volts: float | None
    amps: float | None
    temperature_c: float | None
    at_ns: int


class Meter(Protocol):
    """Measures the supply of one amplifier (INA219, ADS1115, MCP3008)."""

    @property
    def name(self) -> str: ...

    async def read(self) -> MeterReading: ...

    async def probe(self) -> None: ...


class MeterDriver(Protocol):
    """Factory of one meter."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def open(self) -> AbstractAsyncContextManager[Meter]: ...
