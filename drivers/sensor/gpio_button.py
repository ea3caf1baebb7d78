"""A push-button on a GPIO pin: how long each press lasted, without the bouncing of its contact."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from drivers.api import Button, Options
from drivers.gpio import HIGHEST_PIN, input_device, pin_errors, pin_factory
from drivers.options import boolean, integer, refuse_unknown

if TYPE_CHECKING:
    from drivers.api import ButtonDriver

BOUNCE_NS = 20_000_000
SHORTEST_S = 0.05
_EDGES_KEPT = 64
_SETTLE_S = BOUNCE_NS / 1e9


class Debouncer:
    """Turns edges into presses; a level counts once it has stood for 20 ms. No clock of its own."""

    def __init__(self, *, pressed: bool) -> None:
        """Begin at a level; a button held down already gives no press when it is let go."""
        self._level = pressed
        self._pressed_ns: int | None = None
        self._candidate: tuple[bool, int] | None = None

    @property
    def settling(self) -> bool:
        """A change has been seen and has not stood for 20 ms yet."""
        return self._candidate is not None

    def edge(self, *, pressed: bool, at_ns: int) -> float | None:
        """A contact changed; returns the length in seconds of a press that this shows to be over."""
        press = self.settle(at_ns)
        self._candidate = (pressed, at_ns) if pressed != self._level else None
        return press

    def settle(self, now_ns: int) -> float | None:
        """Time has passed; returns the length in seconds of a press that is over."""
        if self._candidate is None or now_ns - self._candidate[1] < BOUNCE_NS:
            return None
        self._level, at_ns = self._candidate
        self._candidate = None
        if self._level:
            self._pressed_ns = at_ns
            return None
        begun_ns, self._pressed_ns = self._pressed_ns, None
        if begun_ns is None:
            return None
        seconds = (at_ns - begun_ns) / 1e9
        return seconds if seconds >= SHORTEST_S else None


class OpenGpioButton:
    """The pin, held; see `GpioButton`."""

    def __init__(self, name: str, pin: int, *, pull_up: bool, factory: Any) -> None:
        """Claim the pin as input.

        Raises:
            DriverSetupError: the pin does not exist or is in use.
            DeviceUnavailableError: the GPIO chip refuses.
        """
        self.name = name
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._edges: deque[tuple[bool, int]] = deque(maxlen=_EDGES_KEPT)
        self._input: Any = None
        with pin_errors(name):
            self._input = input_device(pin, pull_up=pull_up, factory=factory)
            self._debouncer = Debouncer(pressed=bool(self._input.value))
            self._input.when_activated = lambda: self._on_edge(pressed=True)
            self._input.when_deactivated = lambda: self._on_edge(pressed=False)

    async def presses(self) -> AsyncIterator[float]:
        while True:
            self._changed.clear()
            while self._edges:
                pressed, at_ns = self._edges.popleft()
                press = self._debouncer.edge(pressed=pressed, at_ns=at_ns)
                if press is not None:
                    yield press
            press = self._debouncer.settle(time.monotonic_ns())
            if press is not None:
                yield press
            try:
                async with asyncio.timeout(_SETTLE_S if self._debouncer.settling else None):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def release(self) -> None:
        self._input.close()

    def _on_edge(self, *, pressed: bool) -> None:
        """Called in a thread of the GPIO library."""
        self._edges.append((pressed, time.monotonic_ns()))
        try:
            self._loop.call_soon_threadsafe(self._changed.set)
        except RuntimeError:
            return  # the loop has ended


class GpioButton:
    """A button between a pin and ground (or 3.3 V), for one listener at a time."""

    _known = frozenset({"pin", "pull_up"})

    def __init__(
        self, name: str, pin: int, *, pull_up: bool = True, factory: Callable[[], Any] = pin_factory
    ) -> None:
        """Remember the wiring.

        Args:
            name: of the button, for messages.
            pin: BCM number.
            pull_up: the button pulls the pin to ground against the chip's pull-up resistor; else it pulls
                it to 3.3 V against the pull-down.
            factory: opens the gpiozero pin factory; called in a thread.
        """
        self.name = name
        self._pin = pin
        self._pull_up = pull_up
        self._factory = factory

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `pin` (required) and `pull_up`; raises DriverSetupError."""
        refuse_unknown(name, options, cls._known)
        return cls(
            name,
            integer(name, options, "pin", low=0, high=HIGHEST_PIN),
            pull_up=boolean(name, options, "pull_up", default=True),
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Button]:
        factory = await asyncio.to_thread(self._factory)
        try:
            button = OpenGpioButton(self.name, self._pin, pull_up=self._pull_up, factory=factory)
            try:
                yield button
            finally:
                button.release()
        finally:
            factory.close()


if TYPE_CHECKING:
    _driver: type[ButtonDriver] = GpioButton
