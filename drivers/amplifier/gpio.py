"""An amplifier switched by GPIO pins: enable (or supply relay), mute, and a fault line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from drivers.api import Amplifier, AmplifierState, Options
from drivers.gpio import HIGHEST_PIN, input_device, output_device, pin_errors, pin_factory
from drivers.options import boolean, integer, maybe_integer, refuse_unknown

if TYPE_CHECKING:
    from drivers.api import AmplifierDriver

logger = logging.getLogger(__name__)

_MUTE_SETTLE_S = 0.05


@dataclass(frozen=True, slots=True)
class Wiring:
    """Which pins lead to the amplifier, as BCM numbers.

    Attributes:
        enable_pin: runs the amplifier, or the relay of its supply.
        mute_pin: mutes its output; None when there is none, then off is the only silence.
        fault_pin: the amplifier's fault output; None when it is not connected.
        enable_active_high: a high level runs the amplifier.
        mute_active_high: a high level mutes.
        fault_active_high: a high level means fault; else the pin is pulled up and low means fault.
    """

    enable_pin: int
    mute_pin: int | None = None
    fault_pin: int | None = None
    enable_active_high: bool = True
    mute_active_high: bool = True
    fault_active_high: bool = False


class OpenGpioAmplifier:
    """The pins of one amplifier, held; see `GpioAmplifier`."""

    def __init__(self, name: str, wiring: Wiring, factory: Any) -> None:
        """Claim the pins in the safe state: muted, off.

        Raises:
            DriverSetupError: a pin does not exist or is used twice.
            DeviceUnavailableError: the GPIO chip refuses.
        """
        self.name = name
        self._mute: Any = None
        self._fault: Any = None
        self._enable: Any = None
        try:
            with pin_errors(name):
                # Mute first: nothing may be heard while the enable pin is being claimed.
                if wiring.mute_pin is not None:
                    self._mute = output_device(
                        wiring.mute_pin, active_high=wiring.mute_active_high, on=True, factory=factory
                    )
                self._enable = output_device(
                    wiring.enable_pin, active_high=wiring.enable_active_high, on=False, factory=factory
                )
                if wiring.fault_pin is not None:
                    self._fault = input_device(
                        wiring.fault_pin, pull_up=not wiring.fault_active_high, factory=factory
                    )
        except BaseException:
            self.release()
            raise

    async def set_power(self, *, on: bool) -> None:
        """Switch on or off; switching off mutes first and leaves the amplifier muted."""
        if on:
            with pin_errors(self.name):
                self._enable.on()
            return
        if self._mute is not None and self._enable.value and not self._mute.value:
            with pin_errors(self.name):
                self._mute.on()
            try:
                await asyncio.sleep(_MUTE_SETTLE_S)
            finally:
                self._switch_off()
        else:
            self._switch_off()

    async def set_mute(self, *, muted: bool) -> None:
        if self._mute is not None:
            with pin_errors(self.name):
                self._mute.value = muted

    async def read(self) -> AmplifierState:
        with pin_errors(self.name):
            powered = bool(self._enable.value)
            muted = bool(self._mute.value) if self._mute is not None else not powered
            fault = bool(self._fault.value) if self._fault is not None else None
        return AmplifierState(powered=powered, muted=muted, fault=fault)

    async def probe(self) -> None:
        await self.read()

    async def make_safe(self) -> None:
        """Mute, then off; a second cancellation only shortens the pause between the two."""
        await self.set_power(on=False)
        await self.set_mute(muted=True)

    def release(self) -> None:
        """Let go of the pins; the resistors on the board keep the amplifier off from here."""
        for device in (self._enable, self._mute, self._fault):
            if device is not None:
                device.close()

    def _switch_off(self) -> None:
        with pin_errors(self.name):
            self._enable.off()


class GpioAmplifier:
    """An amplifier on GPIO pins. Leaving `open()` mutes it, then switches it off."""

    _known = frozenset(
        {"enable_pin", "mute_pin", "fault_pin", "enable_active_high", "mute_active_high", "fault_active_high"}
    )

    def __init__(self, name: str, wiring: Wiring, factory: Callable[[], Any] = pin_factory) -> None:
        """Remember the wiring.

        Args:
            name: of the amplifier, for messages.
            wiring: its pins.
            factory: opens the gpiozero pin factory; called in a thread.
        """
        self.name = name
        self._wiring = wiring
        self._factory = factory

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from options named as the attributes of `Wiring`; raises DriverSetupError."""
        refuse_unknown(name, options, cls._known)
        return cls(
            name,
            Wiring(
                enable_pin=integer(name, options, "enable_pin", low=0, high=HIGHEST_PIN),
                mute_pin=maybe_integer(name, options, "mute_pin", low=0, high=HIGHEST_PIN),
                fault_pin=maybe_integer(name, options, "fault_pin", low=0, high=HIGHEST_PIN),
                enable_active_high=boolean(name, options, "enable_active_high", default=True),
                mute_active_high=boolean(name, options, "mute_active_high", default=True),
                fault_active_high=boolean(name, options, "fault_active_high", default=False),
            ),
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Amplifier]:
        factory = await asyncio.to_thread(self._factory)
        try:
            amplifier = OpenGpioAmplifier(self.name, self._wiring, factory)
            try:
                yield amplifier
            finally:
                try:
                    await amplifier.make_safe()
                finally:
                    amplifier.release()
        finally:
            factory.close()


if TYPE_CHECKING:
    _driver: type[AmplifierDriver] = GpioAmplifier
