"""The FM receiver RDA5807M on an I2C bus. Untested on hardware."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Self

from drivers import i2c
from drivers.api import DeviceProtocolError, DeviceUnavailableError, Options, Tuner, TunerState
from drivers.options import integer, refuse_unknown
from drivers.tuner.chip import READY_LIMIT_S, open_tuner, refuse_untuned
from drivers.tuner.rda5807m import codec

if TYPE_CHECKING:
    from drivers.api import TunerDriver

ADDRESS = 0x11
"""Where single registers are read and written; at 0x10 the chip only takes and gives them in a row."""
_START_S = 0.05
_LOOK_EVERY_S = 0.01


class Rda5807m:
    """The chip, running and muted."""

    def __init__(self, name: str, bus: i2c.Bus) -> None:
        """Reset the chip, muted from the first moment.

        Raises:
            DeviceUnavailableError: no answer.
            DeviceProtocolError: another chip answers.
        """
        self._bus = bus
        self._chip = i2c.Chip(name, bus, ADDRESS)
        self._megahertz: float | None = None
        self._muted = True
        try:
            self._identify()
            self._chip.write_register(codec.CONTROL, codec.RESET)
            self._chip.write_register(codec.CONTROL, codec.MUTED)
            time.sleep(_START_S)
            self._chip.write_register(codec.SYSTEM, codec.EUROPE_50_US)
            volume = self._chip.read_register(codec.VOLUME)
            self._chip.write_register(codec.VOLUME, codec.loudest(volume))
        except BaseException:
            bus.close()
            raise

    def _identify(self) -> None:
        identity = self._chip.read_register(codec.IDENTITY)
        if not codec.is_family(identity):
            raise DeviceProtocolError(f"{self._chip.name}: is no RDA5807M: identity 0x{identity:04x}")

    def tune(self, megahertz: float) -> TunerState:
        channel = codec.channel_of(megahertz)
        self.set_mute(muted=True)
        self._megahertz = None
        self._chip.write_register(codec.CHANNEL, codec.at_rest(channel))  # the flag of the last time goes
        self._chip.write_register(codec.CHANNEL, codec.tune(channel))
        end_s = time.monotonic() + READY_LIMIT_S
        while not codec.is_tuned(status := self._chip.read_register(codec.STATUS)):
            if time.monotonic() > end_s:
                raise DeviceUnavailableError(f"{self._chip.name}: not ready within {READY_LIMIT_S:g} s")
            time.sleep(_LOOK_EVERY_S)
        found = codec.tuned_channel(status)
        if found != channel:
            raise DeviceProtocolError(f"{self._chip.name}: on channel {found} instead of {channel}")
        self._megahertz = codec.megahertz_of(channel)
        return self.state()

    def set_mute(self, *, muted: bool) -> None:
        refuse_untuned(self._chip.name, self._megahertz, muted=muted)
        self._chip.write_register(codec.CONTROL, codec.MUTED if muted else codec.UNMUTED)
        self._muted = muted

    def state(self) -> TunerState:
        control = self._chip.read_register(codec.CONTROL)
        if control != (codec.MUTED if self._muted else codec.UNMUTED):
            raise DeviceProtocolError(
                f"{self._chip.name}: lost its settings (supply interrupted?): control 0x{control:04x}"
            )
        if self._megahertz is None:
            return TunerState(None, self._muted, locked=None, rssi=None)
        status = self._chip.read_register(codec.STATUS)
        signal = self._chip.read_register(codec.SIGNAL)
        return TunerState(
            self._megahertz,
            self._muted,
            locked=codec.is_station(signal),
            rssi=codec.rssi(signal),
            stereo=codec.is_stereo(status),
        )

    def sleep(self) -> None:
        try:
            self.set_mute(muted=True)
        finally:
            self._chip.write_register(codec.CONTROL, codec.ASLEEP)

    def close(self) -> None:
        self._bus.close()


class Rda5807mTuner:
    """An RDA5807M; leaving `open()` mutes it and puts it to sleep."""

    _known = frozenset({"bus"})

    def __init__(self, name: str, *, bus: int = 1, connect: Callable[[int], i2c.Bus] = i2c.LinuxBus) -> None:
        """Remember the wiring.

        Args:
            name: of the tuner, for messages.
            bus: number of the I2C bus.
            connect: opens the bus; called in a thread.
        """
        self.name = name
        self._number = bus
        self._connect = connect

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `bus`; raises DriverSetupError."""
        refuse_unknown(name, options, cls._known)
        return cls(name, bus=integer(name, options, "bus", low=0, high=i2c.HIGHEST_BUS, default=1))

    def open(self) -> AbstractAsyncContextManager[Tuner]:
        return open_tuner(self.name, lambda: Rda5807m(self.name, self._connect(self._number)))


if TYPE_CHECKING:
    _driver: type[TunerDriver] = Rda5807mTuner
