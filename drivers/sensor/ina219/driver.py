"""Current and voltage of an amplifier's supply by an INA219 and a shunt. Untested on hardware."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Self

from drivers import i2c
from drivers.api import DeviceProtocolError, Meter, Options
from drivers.options import integer, number, refuse_unknown
from drivers.sensor.ina219 import codec
from drivers.sensor.meter import Quantities, open_meter

if TYPE_CHECKING:
    from drivers.api import MeterDriver

_ADDRESSES = (0x40, 0x4F)
_SHUNT_OHMS = (0.0001, 10.0)


class Ina219:
    """The chip, reset and set up."""

    def __init__(self, name: str, bus: i2c.Bus, address: int, shunt_ohms: float) -> None:
        """Reset the chip, see that it is one, and start measuring.

        Raises:
            DeviceUnavailableError: no answer.
            DeviceProtocolError: another chip answers.
        """
        self._bus = bus
        self._chip = i2c.Chip(name, bus, address)
        self._shunt_ohms = shunt_ohms
        try:
            self._chip.write_register(codec.CONFIGURATION, codec.RESET)
            self._expect(codec.AFTER_RESET, "is no INA219")
            self._chip.write_register(codec.CONFIGURATION, codec.SETTINGS)
        except BaseException:
            bus.close()
            raise
        self._ready_s = time.monotonic() + codec.CONVERSION_S

    def measure(self) -> Quantities:
        time.sleep(max(0.0, self._ready_s - time.monotonic()))
        self._expect(codec.SETTINGS, "lost its settings (supply interrupted?)")
        register = self._chip.read_register(codec.SHUNT_VOLTAGE)
        try:
            shunt = codec.shunt_volts(register)
        except ValueError as error:
            raise DeviceProtocolError(f"{self._chip.name}: {error}") from error
        volts = codec.bus_volts(self._chip.read_register(codec.BUS_VOLTAGE))
        return Quantities(volts, shunt / self._shunt_ohms, None)

    def close(self) -> None:
        self._bus.close()

    def _expect(self, value: int, otherwise: str) -> None:
        found = self._chip.read_register(codec.CONFIGURATION)
        if found != value:
            raise DeviceProtocolError(
                f"{self._chip.name}: {otherwise}: configuration 0x{found:04x} instead of 0x{value:04x}"
            )


class Ina219Meter:
    """Measures volts and amperes of the supply; leaving `open()` only lets go of the bus."""

    _known = frozenset({"bus", "address", "shunt_ohms"})

    def __init__(
        self,
        name: str,
        shunt_ohms: float,
        *,
        bus: int = 1,
        address: int = _ADDRESSES[0],
        connect: Callable[[int], i2c.Bus] = i2c.LinuxBus,
    ) -> None:
        """Remember the wiring.

        Args:
            name: of the meter, for messages.
            shunt_ohms: resistance between the chip's inputs, 0.0001 to 10; 0.32 V over it is the most.
            bus: number of the I2C bus.
            address: 0x40 to 0x4f.
            connect: opens the bus; called in a thread.
        """
        self.name = name
        self._shunt_ohms = shunt_ohms
        self._number = bus
        self._address = address
        self._connect = connect

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `bus`, `address` and `shunt_ohms` (required); raises DriverSetupError."""
        refuse_unknown(name, options, cls._known)
        return cls(
            name,
            number(name, options, "shunt_ohms", low=_SHUNT_OHMS[0], high=_SHUNT_OHMS[1]),
            bus=integer(name, options, "bus", low=0, high=i2c.HIGHEST_BUS, default=1),
            address=integer(
                name, options, "address", low=_ADDRESSES[0], high=_ADDRESSES[1], default=_ADDRESSES[0]
            ),
        )

    def open(self) -> AbstractAsyncContextManager[Meter]:
        return open_meter(
            self.name,
            lambda: Ina219(self.name, self._connect(self._number), self._address, self._shunt_ohms),
        )


if TYPE_CHECKING:
    _driver: type[MeterDriver] = Ina219Meter
