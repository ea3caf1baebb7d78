"""Sound detectors on the loudspeaker line: comparator boards that pull a GPIO pin while there is sound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from drivers.api import DriverSetupError, LineReading, LineSense, Options
from drivers.gpio import HIGHEST_PIN, input_device, pin_errors, pin_factory
from drivers.options import boolean, integer, refuse_unknown

if TYPE_CHECKING:
    from drivers.api import LineSenseDriver

_PINS_MAX = 4
_HOLD_MAX_MS = 10_000


class OpenGpioLineSense:
    """The pins of one line, held; see `GpioLineSense`."""

    def __init__(
        self,
        name: str,
        pins: tuple[int, ...],
        *,
        active_high: bool,
        pull_up: bool,
        hold_ms: int,
        factory: Any,
    ) -> None:
        """Claim the pins as inputs.

        Raises:
            DriverSetupError: a pin does not exist or is in use.
            DeviceUnavailableError: the GPIO chip refuses.
        """
        self.name = name
        self._hold_ns = hold_ms * 1_000_000
        self._active_ns: int | None = None
        self._inputs: list[Any] = []
        self._inverted = pull_up and active_high
        try:
            with pin_errors(name):
                for pin in pins:
                    self._inputs.append(
                        input_device(
                            pin,
                            pull_up=True if pull_up else None,
                            active_high=None if pull_up else active_high,
                            factory=factory,
                        )
                    )
                for line in self._inputs:
                    # A peak lasts a millisecond: the edge, not the reading, must see it.
                    line.when_activated = line.when_deactivated = self._on_edge
        except BaseException:
            self.release()
            raise

    async def read(self) -> LineReading:
        """Active while any pin was active within the hold time."""
        now_ns = time.monotonic_ns()
        with pin_errors(self.name):
            if any(bool(line.value) != self._inverted for line in self._inputs):
                self._active_ns = now_ns
        active = self._active_ns is not None and now_ns - self._active_ns <= self._hold_ns
        return LineReading(active=active, level_dbfs=None, at_ns=now_ns)

    async def probe(self) -> None:
        await self.read()

    def release(self) -> None:
        for line in self._inputs:
            line.close()

    def _on_edge(self) -> None:
        self._active_ns = time.monotonic_ns()


class GpioLineSense:
    """Sound detectors on GPIO inputs; the line is active when any of them was lately."""

    _known = frozenset({"pins", "active_high", "pull_up", "hold_ms"})

    def __init__(
        self,
        name: str,
        pins: tuple[int, ...],
        *,
        active_high: bool = False,
        pull_up: bool = True,
        hold_ms: int = 300,
        factory: Callable[[], Any] = pin_factory,
    ) -> None:
        """Remember the wiring.

        Args:
            name: of the sensor, for messages.
            pins: BCM numbers, one per line conductor or channel.
            active_high: a high level means sound.
            pull_up: switch on the chip's pull-up resistor.
            hold_ms: the line counts as active this long after the last sound, 0 to 10000.
            factory: opens the gpiozero pin factory; called in a thread.
        """
        self.name = name
        self._pins = pins
        self._active_high = active_high
        self._pull_up = pull_up
        self._hold_ms = hold_ms
        self._factory = factory

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `pins` (list), `active_high`, `pull_up` and `hold_ms`; raises DriverSetupError."""
        refuse_unknown(name, options, cls._known)
        pins = options.get("pins")
        if not isinstance(pins, (list, tuple)) or not 1 <= len(pins) <= _PINS_MAX:
            raise DriverSetupError(f"{name}: option 'pins' must list 1 to {_PINS_MAX} pin numbers")
        return cls(
            name,
            tuple(integer(name, {"pins": pin}, "pins", low=0, high=HIGHEST_PIN) for pin in pins),
            active_high=boolean(name, options, "active_high", default=False),
            pull_up=boolean(name, options, "pull_up", default=True),
            hold_ms=integer(name, options, "hold_ms", low=0, high=_HOLD_MAX_MS, default=300),
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[LineSense]:
        factory = await asyncio.to_thread(self._factory)
        try:
            sense = OpenGpioLineSense(
                self.name,
                self._pins,
                active_high=self._active_high,
                pull_up=self._pull_up,
                hold_ms=self._hold_ms,
                factory=factory,
            )
            try:
                yield sense
            finally:
                sense.release()
        finally:
            factory.close()


if TYPE_CHECKING:
    _driver: type[LineSenseDriver] = GpioLineSense
