"""The FM receiver TEA5767 on an I2C bus. Untested on hardware."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Self

from drivers import i2c
from drivers.api import DeviceProtocolError, DeviceUnavailableError, Options, Tuner, TunerState
from drivers.options import integer, refuse_unknown
from drivers.tuner.chip import LOWEST_MHZ, READY_LIMIT_S, open_tuner, refuse_untuned
from drivers.tuner.tea5767 import codec

if TYPE_CHECKING:
    from drivers.api import TunerDriver

ADDRESS = 0x60
_LOOK_EVERY_S = 0.01


class Tea5767:
    """The chip, asleep until it is tuned, and muted."""

    def __init__(self, name: str, bus: i2c.Bus) -> None:
        """Mute the chip before anything else.

        Raises:
            DeviceUnavailableError: no answer.
            DeviceProtocolError: another chip answers.
        """
        self._bus = bus
        self._chip = i2c.Chip(name, bus, ADDRESS)
        self._megahertz: float | None = None
        self._muted = True
        try:
            self._answer()
            self.sleep()
        except BaseException:
            bus.close()
            raise

    def tune(self, megahertz: float) -> TunerState:
        self._muted, self._megahertz = True, None
        self._chip.transfer(codec.frame(megahertz, muted=True))
        end_s = time.monotonic() + READY_LIMIT_S
        while not (answer := self._answer()).ready:
            if time.monotonic() > end_s:
                raise DeviceUnavailableError(f"{self._chip.name}: not ready within {READY_LIMIT_S:g} s")
            time.sleep(_LOOK_EVERY_S)
        divider = codec.divider_of(megahertz)
        if abs(answer.divider - divider) > 1:
            raise DeviceProtocolError(
                f"{self._chip.name}: tuned to divider {answer.divider} instead of {divider}"
            )
        self._megahertz = megahertz
        return self._state(answer)

    def set_mute(self, *, muted: bool) -> None:
        refuse_untuned(self._chip.name, self._megahertz, muted=muted)
        if self._megahertz is not None:  # before that it sleeps, muted
            self._chip.transfer(codec.frame(self._megahertz, muted=muted))
        self._muted = muted

    def state(self) -> TunerState:
        return self._state(self._answer())

    def sleep(self) -> None:
        self._muted = True
        self._chip.transfer(codec.frame(self._megahertz or LOWEST_MHZ, muted=True, standby=True))
        self._megahertz = None

    def close(self) -> None:
        self._bus.close()

    def _answer(self) -> codec.Answer:
        data = self._chip.transfer(b"", codec.FRAME_BYTES)
        try:
            return codec.decode(data)
        except ValueError as error:
            raise DeviceProtocolError(f"{self._chip.name}: {error}") from error

    def _state(self, answer: codec.Answer) -> TunerState:
        if self._megahertz is None:
            return TunerState(None, self._muted, locked=None, rssi=None)
        return TunerState(
            self._megahertz, self._muted, locked=answer.locked, rssi=answer.level, stereo=answer.stereo
        )


class Tea5767Tuner:
    """A TEA5767; leaving `open()` mutes it and puts it to sleep."""

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
        return open_tuner(self.name, lambda: Tea5767(self.name, self._connect(self._number)))


if TYPE_CHECKING:
    _driver: type[TunerDriver] = Tea5767Tuner
