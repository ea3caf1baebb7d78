"""Mains-fail contact of the power supply on a GPIO pin."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from drivers.api import Options, PowerState
from drivers.gpio import HIGHEST_PIN, input_device, pin_errors, pin_factory
from drivers.options import boolean, integer, refuse_unknown

if TYPE_CHECKING:
    from drivers.api import PowerSensor


class GpioPower:
    """Reads one input pin; the pin is claimed at the first reading and kept."""

    _known = frozenset({"mains_fail_pin", "active_high"})

    def __init__(
        self,
        name: str,
        mains_fail_pin: int,
        *,
        active_high: bool = True,
        factory: Callable[[], Any] = pin_factory,
    ) -> None:
        """Remember the wiring.

        Args:
            name: of the sensor, for messages.
            mains_fail_pin: BCM number.
            active_high: a high level means that mains are lost (the pin is pulled up, so that a broken
                wire shows as lost); else a low level does (pulled down).
            factory: opens the gpiozero pin factory.
        """
        self.name = name
        self._pin = mains_fail_pin
        self._active_high = active_high
        self._factory = factory
        self._input: Any = None

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `mains_fail_pin` (required) and `active_high`; raises DriverSetupError."""
        refuse_unknown(name, options, cls._known)
        return cls(
            name,
            integer(name, options, "mains_fail_pin", low=0, high=HIGHEST_PIN),
            active_high=boolean(name, options, "active_high", default=True),
        )

    def read(self) -> PowerState:
        """Read the pin.

        Raises:
            DriverSetupError: the pin does not exist or is in use.
            DeviceUnavailableError: there is no GPIO chip.
        """
        if self._input is None:
            factory = self._factory()
            with pin_errors(self.name):
                self._input = input_device(self._pin, pull_up=self._active_high, factory=factory)
        with pin_errors(self.name):
            high = bool(self._input.pin.state)
        return PowerState(mains=high != self._active_high)


if TYPE_CHECKING:
    _driver: type[PowerSensor] = GpioPower
