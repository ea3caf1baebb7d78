"""Access to the pins of the Raspberry Pi through gpiozero and lgpio, loaded only where pins are used."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from drivers.api import DeviceUnavailableError, DriverSetupError

HIGHEST_PIN = 27  # BCM numbers on the 40-pin header


def pin_factory() -> Any:
    """Open the GPIO chip of this machine; blocks about 0.1 s the first time.

    Raises:
        DriverSetupError: gpiozero or lgpio is not installed.
        DeviceUnavailableError: this machine has no GPIO chip, or we may not use it.
    """
    # lgpio leaves a FIFO in the current directory when imported, unless told where.
    os.environ.setdefault("LG_WD", os.environ.get("RUNTIME_DIRECTORY", tempfile.gettempdir()).split(":")[0])
    try:
        from gpiozero.exc import GPIOZeroError  # noqa: PLC0415  heavy, and absent where nothing uses pins

        pins: Any = importlib.import_module("gpiozero.pins.lgpio")
    except ImportError as error:
        raise DriverSetupError(f"GPIO libraries are not installed: {error}") from error
    try:
        factory = pins.LGPIOFactory()
    except (OSError, GPIOZeroError, _library_error()) as error:
        raise DeviceUnavailableError(f"the GPIO chip of this machine cannot be opened: {error}") from error
    factory.pin_class = steady_pin(pins)
    return factory


def steady_pin(pins: Any) -> Any:
    """The lgpio pin of gpiozero, made to become an output at its level.

    That of gpiozero 2.0.1 becomes a low output first and takes its level after that: long enough for an
    amplifier that a low level switches on.

    Args:
        pins: the module `gpiozero.pins.lgpio`.
    """

    class SteadyPin(pins.LGPIOPin):  # type: ignore[misc]  # gpiozero is untyped
        def output_with_state(self, state: Any) -> None:
            pins.lgpio.gpio_claim_output(self.factory._handle, self._number, int(bool(state)))  # noqa: SLF001

    return SteadyPin


@contextmanager
def pin_errors(name: str) -> Iterator[None]:
    """Translate what gpiozero and lgpio raise into driver errors that name the device."""
    from gpiozero.exc import GPIOPinInUse, GPIOZeroError, PinInvalidPin  # noqa: PLC0415

    try:
        yield
    except (PinInvalidPin, GPIOPinInUse) as error:
        raise DriverSetupError(f"{name}: {error}") from error
    except (GPIOZeroError, OSError, _library_error()) as error:
        raise DeviceUnavailableError(f"{name}: {error}") from error


def output_device(pin: int, *, active_high: bool, on: bool, factory: Any) -> Any:
    """Claim a pin as output, at the given state from the first moment."""
    gpiozero: Any = importlib.import_module("gpiozero")
    return gpiozero.DigitalOutputDevice(pin, active_high=active_high, initial_value=on, pin_factory=factory)


def input_device(pin: int, *, pull_up: bool | None, active_high: bool | None = None, factory: Any) -> Any:
    """Claim a pin as input; `active_high` only where `pull_up` is None (no resistor of the chip)."""
    gpiozero: Any = importlib.import_module("gpiozero")
    return gpiozero.DigitalInputDevice(pin, pull_up=pull_up, active_state=active_high, pin_factory=factory)


def _library_error() -> type[Exception]:
    """What lgpio raises: its own class, derived from Exception alone, when it is loaded."""
    library = sys.modules.get("lgpio")
    found: type[Exception] = OSError if library is None else library.error
    return found
