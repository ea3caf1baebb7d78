"""Current, voltage and temperature by an ADS1115 converter behind sensors. Untested on hardware."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Self

from drivers import i2c
from drivers.api import DeviceProtocolError, DeviceUnavailableError, Meter, Options
from drivers.options import integer, refuse_unknown
from drivers.sensor.ads1115 import codec
from drivers.sensor.meter import Quantities, Scales, open_meter

if TYPE_CHECKING:
    from drivers.api import MeterDriver

_ADDRESSES = (0x48, 0x4B)
_LOOKS = 40
_LOOK_EVERY_S = 0.005


class Ads1115:
    """The chip, answering."""

    def __init__(self, name: str, bus: i2c.Bus, address: int, scales: Scales) -> None:
        """Measure once, to see that it is one.

        Raises:
            DeviceUnavailableError: no answer.
            DeviceProtocolError: another chip answers.
        """
        self._bus = bus
        self._chip = i2c.Chip(name, bus, address)
        self._scales = scales
        try:
            self.measure()
        except BaseException:
            bus.close()
            raise

    def measure(self) -> Quantities:
        return self._scales.measure(self._volts_at)

    def close(self) -> None:
        self._bus.close()

    def _volts_at(self, channel: int) -> float:
        self._chip.write_register(codec.CONFIGURATION, codec.start(channel))
        time.sleep(codec.CONVERSION_S)
        for _ in range(_LOOKS):
            found = self._chip.read_register(codec.CONFIGURATION)
            if not codec.is_settings(found, channel):
                raise DeviceProtocolError(
                    f"{self._chip.name}: is no ADS1115, or lost its settings: configuration 0x{found:04x}"
                )
            if codec.is_ready(found):
                return codec.volts(self._chip.read_register(codec.CONVERSION))
            time.sleep(_LOOK_EVERY_S)
        raise DeviceUnavailableError(f"{self._chip.name}: no end to the conversion of channel {channel}")


class Ads1115Meter:
    """Measures what hangs on its channels; leaving `open()` only lets go of the bus."""

    _known = frozenset({"bus", "address"}) | Scales.OPTIONS

    def __init__(
        self,
        name: str,
        scales: Scales,
        *,
        bus: int = 1,
        address: int = _ADDRESSES[0],
        connect: Callable[[int], i2c.Bus] = i2c.LinuxBus,
    ) -> None:
        """Remember the wiring.

        Args:
            name: of the meter, for messages.
            scales: what the voltage at each channel means.
            bus: number of the I2C bus.
            address: 0x48 to 0x4b.
            connect: opens the bus; called in a thread.
        """
        self.name = name
        self._scales = scales
        self._number = bus
        self._address = address
        self._connect = connect

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `bus`, `address` and the options of `Scales`; raises DriverSetupError."""
        refuse_unknown(name, options, cls._known)
        return cls(
            name,
            Scales.from_options(name, options, codec.CHANNELS),
            bus=integer(name, options, "bus", low=0, high=i2c.HIGHEST_BUS, default=1),
            address=integer(
                name, options, "address", low=_ADDRESSES[0], high=_ADDRESSES[1], default=_ADDRESSES[0]
            ),
        )

    def open(self) -> AbstractAsyncContextManager[Meter]:
        return open_meter(
            self.name, lambda: Ads1115(self.name, self._connect(self._number), self._address, self._scales)
        )


if TYPE_CHECKING:
    _driver: type[MeterDriver] = Ads1115Meter
