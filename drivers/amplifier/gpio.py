"""An amplifier switched by GPIO pins: supply or enable, standby, line relay, mute, and a fault input."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from drivers.amplifier.wiring import OPTIONS, Wiring
from drivers.api import Amplifier, AmplifierState, Options
from drivers.gpio import input_device, output_device, pin_errors, pin_factory
from drivers.options import refuse_unknown

if TYPE_CHECKING:
    from drivers.api import AmplifierDriver

_MUTE_SETTLE_S = 0.05
_RELAY_S = 0.02  # a relay's contacts open or close, and stop bouncing
_FAULT_DEBOUNCE_S = 0.02


class OpenGpioAmplifier:
    """The pins of one amplifier, held; see `GpioAmplifier`.

    On: supply, pause, standby released, pause, line connected; all muted. Off: mute, 50 ms, line opened,
    standby, supply. An order that comes meanwhile takes over from the one under way.
    """

    def __init__(self, name: str, wiring: Wiring, factory: Any) -> None:
        """Claim the pins in the safe state: muted, line open, standby, off.

        Raises:
            DriverSetupError: a pin does not exist or is used twice.
            DeviceUnavailableError: the GPIO chip refuses.
        """
        self.name = name
        self._wiring = wiring
        self._order = 0
        self._leaving = False
        self._mute: Any = None
        self._line: Any = None
        self._standby: Any = None
        self._enable: Any = None
        self._fault: Any = None

        def output(pin: int | None, *, active_high: bool, on: bool = False) -> Any:
            if pin is None:
                return None
            return output_device(pin, active_high=active_high, on=on, factory=factory)

        try:
            with pin_errors(name):
                # Mute first: nothing may be heard while the other pins are being claimed.
                self._mute = output(wiring.mute_pin, active_high=wiring.mute_active_high, on=True)
                self._line = output(wiring.line_pin, active_high=wiring.line_active_high)
                self._standby = output(wiring.standby_pin, active_high=wiring.standby_active_high, on=True)
                self._enable = output(wiring.enable_pin, active_high=wiring.enable_active_high)
                if wiring.fault_pin is not None:
                    self._fault = input_device(
                        wiring.fault_pin, pull_up=not wiring.fault_active_high, factory=factory
                    )
        except BaseException:
            self.release()
            raise

    async def set_power(self, *, on: bool) -> None:
        """Switch on, muted, or off; switching off mutes first and leaves the amplifier muted."""
        self._order += 1
        self._leaving = not on
        if on:
            await self._switch_on(self._order)
        else:
            await self._switch_off(self._order)

    async def set_mute(self, *, muted: bool) -> None:
        """Mute or unmute; while the amplifier is being switched off it stays muted."""
        if self._mute is not None:
            with pin_errors(self.name):
                self._mute.value = muted or self._leaving

    async def read(self) -> AmplifierState:
        """State of the pins; a fault must stand for 20 ms to be one."""
        with pin_errors(self.name):
            powered = bool(self._enable.value)
            muted = bool(self._mute.value) if self._mute is not None else not powered
            fault = bool(self._fault.value) if self._fault is not None else None
        if fault:
            await asyncio.sleep(_FAULT_DEBOUNCE_S)
            with pin_errors(self.name):
                fault = bool(self._fault.value)
        return AmplifierState(powered=powered, muted=muted, fault=fault)

    async def probe(self) -> None:
        await self.read()

    async def make_safe(self) -> None:
        """Mute, then off; a second cancellation only shortens the pauses in between."""
        await self.set_power(on=False)
        await self.set_mute(muted=True)

    def release(self) -> None:
        """Let go of the pins; the resistors on the board keep the amplifier off from here."""
        for device in (self._enable, self._standby, self._line, self._mute, self._fault):
            if device is not None:
                device.close()

    async def _switch_on(self, order: int) -> None:
        if not self._enable.value:
            await self.set_mute(muted=True)
        with pin_errors(self.name):
            self._enable.on()
        if self._standby is not None and self._standby.value:
            await asyncio.sleep(self._wiring.supply_ms / 1000)
            if order != self._order:
                return
            with pin_errors(self.name):
                self._standby.off()
            await asyncio.sleep(self._wiring.standby_ms / 1000)
        elif self._line is not None and not self._line.value:
            await asyncio.sleep(self._wiring.supply_ms / 1000)
        if self._line is not None and not self._line.value and order == self._order:
            with pin_errors(self.name):
                self._line.on()
            await asyncio.sleep(_RELAY_S)

    async def _switch_off(self, order: int) -> None:
        """Each pause may be cut short by a cancellation; what follows it is done all the same."""
        try:
            if self._mute is not None and self._enable.value and not self._mute.value:
                with pin_errors(self.name):
                    self._mute.on()
                await asyncio.sleep(_MUTE_SETTLE_S)
        finally:
            try:
                if order == self._order and self._line is not None and self._line.value:
                    with pin_errors(self.name):
                        self._line.off()
                    await asyncio.sleep(_RELAY_S)
            finally:
                if order == self._order:
                    self._leaving = False
                    self._cut_supply()

    def _cut_supply(self) -> None:
        with pin_errors(self.name):
            if self._standby is not None:
                self._standby.on()
            self._enable.off()


class GpioAmplifier:
    """An amplifier on GPIO pins. Leaving `open()` mutes it, then switches it off."""

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
        refuse_unknown(name, options, OPTIONS)
        return cls(name, Wiring.from_options(name, options))

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
