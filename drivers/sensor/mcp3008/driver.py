"""Current, voltage and temperature by an MCP3008 converter behind sensors. Untested on hardware."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Self

from drivers import spi
from drivers.api import DeviceProtocolError, DeviceUnavailableError, Meter, Options
from drivers.options import integer, number, refuse_unknown
from drivers.sensor.mcp3008 import codec
from drivers.sensor.meter import Quantities, Scales, open_meter

if TYPE_CHECKING:
    from drivers.api import MeterDriver

_SAMPLES = 64
_HIGHEST_DEVICE = 1
_REFERENCE_VOLTS = (2.5, 5.5)


def _connect(device: int) -> spi.Link:
    return spi.LinuxLink(device, codec.SPEED_HZ)


class Mcp3008:
    """The chip, answering."""

    def __init__(self, name: str, link: spi.Link, reference_volts: float, scales: Scales) -> None:
        """Measure once, to see that it is one.

        Raises:
            DeviceUnavailableError: the bus refuses, or all that comes back is ones: no chip drives the line.
            DeviceProtocolError: another chip answers.
        """
        self._name = name
        self._link = link
        self._reference_volts = reference_volts
        self._scales = scales
        try:
            self.measure()
        except BaseException:
            link.close()
            raise

    def measure(self) -> Quantities:
        return self._scales.measure(self._volts_at)

    def close(self) -> None:
        self._link.close()

    def _volts_at(self, channel: int) -> float:
        """Mean of 64 samples, some 7 ms: one alone would catch a peak of the music."""
        request = codec.request(channel)
        return codec.volts(
            sum(self._sample(request) for _ in range(_SAMPLES)) / _SAMPLES, self._reference_volts
        )

    def _sample(self, request: bytes) -> int:
        try:
            answer = self._link.transfer(request)
        except OSError as error:
            raise DeviceUnavailableError(f"{self._name}: SPI: {error.strerror}") from error
        if answer.count(0xFF) == len(request):
            raise DeviceUnavailableError(f"{self._name}: no answer: nothing drives the data line")
        try:
            return codec.steps(answer)
        except ValueError as error:
            raise DeviceProtocolError(f"{self._name}: {error}") from error


class Mcp3008Meter:
    """Measures what hangs on its channels; leaving `open()` only lets go of the bus."""

    _known = frozenset({"device", "reference_volts"}) | Scales.OPTIONS

    def __init__(
        self,
        name: str,
        scales: Scales,
        *,
        device: int = 0,
        reference_volts: float = 3.3,
        connect: Callable[[int], spi.Link] = _connect,
    ) -> None:
        """Remember the wiring.

        Args:
            name: of the meter, for messages.
            scales: what the voltage at each channel means.
            device: SPI chip select, 0 (CE0) or 1 (CE1).
            reference_volts: at the pin VREF, 2.5 to 5.5.
            connect: opens the chip select; called in a thread.
        """
        self.name = name
        self._scales = scales
        self._device = device
        self._reference_volts = reference_volts
        self._connect = connect

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `device`, `reference_volts` and the options of `Scales`; raises DriverSetupError."""
        refuse_unknown(name, options, cls._known)
        low, high = _REFERENCE_VOLTS
        return cls(
            name,
            Scales.from_options(name, options, codec.CHANNELS),
            device=integer(name, options, "device", low=0, high=_HIGHEST_DEVICE, default=0),
            reference_volts=number(name, options, "reference_volts", low=low, high=high, default=3.3),
        )

    def open(self) -> AbstractAsyncContextManager[Meter]:
        return open_meter(
            self.name,
            lambda: Mcp3008(self.name, self._connect(self._device), self._reference_volts, self._scales),
        )


if TYPE_CHECKING:
    _driver: type[MeterDriver] = Mcp3008Meter
