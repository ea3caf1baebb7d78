"""What the meters share: a blocking chip read in a thread of its own, within a time limit."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from drivers.api import DriverSetupError, Meter, MeterReading, Options
from drivers.options import maybe_integer, number
from drivers.worker_thread import WorkerThread

_LIMIT_S = 1.0
_FACTOR_MAX = 10_000.0
_ZERO_MAX_VOLTS = 10.0


class Quantities(NamedTuple):
    """One measurement; None where the chip does not measure it."""

    volts: float | None
    amps: float | None
    temperature_c: float | None


class MeterChip(Protocol):
    """A meter's chip on its bus, open; every call blocks for at most about a second."""

    def measure(self) -> Quantities:
        """Measure now; raises DriverError."""
        ...

    def close(self) -> None: ...


class OpenMeter:
    """A chip, held; see `open_meter`."""

    def __init__(self, name: str, chip: MeterChip, thread: WorkerThread) -> None:
        self.name = name
        self._chip = chip
        self._thread = thread

    async def read(self) -> MeterReading:
        """Measure.

        Raises:
            DeviceUnavailableError: no answer within a second.
            DeviceProtocolError: this is another chip, or it lost its settings.
        """
        found = await self._thread.call(self._chip.measure, _LIMIT_S)
        return MeterReading(found.volts, found.amps, found.temperature_c, time.monotonic_ns())

    async def probe(self) -> None:
        await self.read()


@asynccontextmanager
async def open_meter(name: str, make: Callable[[], MeterChip]) -> AsyncIterator[Meter]:
    """Make the chip in a new thread, and let go of both at the end."""
    thread = WorkerThread(name)
    chip: MeterChip | None = None
    try:
        chip = await thread.call(make, _LIMIT_S, lambda late: late.close())
        yield OpenMeter(name, chip, thread)
    finally:
        thread.close(None if chip is None else chip.close)


@dataclass(frozen=True, slots=True)
class Scale:
    """Turns the voltage at one channel of a converter into a quantity: (volts - zero_volts) * factor."""

    channel: int
    factor: float
    zero_volts: float = 0.0

    def apply(self, volts: float) -> float:
        return (volts - self.zero_volts) * self.factor


@dataclass(frozen=True, slots=True)
class Scales:
    """Which channel of a converter shows what.

    Attributes:
        amps: of the supply, or None when no channel shows it; likewise the others.
    """

    volts: Scale | None
    amps: Scale | None
    celsius: Scale | None

    OPTIONS = frozenset(
        {
            *("amps_channel", "amps_per_volt", "amps_zero_volts"),
            *("volts_channel", "volts_per_volt"),
            *("celsius_channel", "celsius_per_volt", "celsius_zero_volts"),
        }
    )

    @classmethod
    def from_options(cls, name: str, options: Options, channels: int) -> Self:
        """Read the options in `OPTIONS`; at least one `..._channel`, 0 to `channels` - 1, is required.

        Raises:
            DriverSetupError: one is out of range, or a scale is given for a channel that is not.
        """
        scales = cls(
            volts=_scale(name, options, "volts", channels),
            amps=_scale(name, options, "amps", channels),
            celsius=_scale(name, options, "celsius", channels),
        )
        if scales == cls(None, None, None):
            raise DriverSetupError(
                f"{name}: one of the options 'amps_channel', 'volts_channel', 'celsius_channel' is needed"
            )
        return scales

    def measure(self, volts_at: Callable[[int], float]) -> Quantities:
        """Convert each channel in use; `volts_at` measures one, in volts."""

        def convert(scale: Scale | None) -> float | None:
            return None if scale is None else scale.apply(volts_at(scale.channel))

        return Quantities(convert(self.volts), convert(self.amps), convert(self.celsius))


def _scale(name: str, options: Options, quantity: str, channels: int) -> Scale | None:
    channel = maybe_integer(name, options, f"{quantity}_channel", low=0, high=channels - 1)
    factor, zero = f"{quantity}_per_volt", f"{quantity}_zero_volts"
    if channel is None:
        for key in (factor, zero):
            if key in options:
                raise DriverSetupError(f"{name}: option {key!r} needs '{quantity}_channel'")
        return None
    return Scale(
        channel,
        number(name, options, factor, low=-_FACTOR_MAX, high=_FACTOR_MAX, default=1.0),
        number(name, options, zero, low=-_ZERO_MAX_VOLTS, high=_ZERO_MAX_VOLTS, default=0.0),
    )
