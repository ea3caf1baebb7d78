"""The GPIO amplifier on mock pins: edges go to `amplifier.jsonl`, sound passes in the simulated speaker."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from drivers.amplifier.gpio import GpioAmplifier, Wiring
from drivers.api import Amplifier, Options
from drivers.journal import Journal
from drivers.options import integer, refuse_unknown
from drivers.simulation import AmplifierCell, Gate, place

if TYPE_CHECKING:
    from drivers.api import AmplifierDriver

_WIRING = Wiring(enable_pin=17, mute_pin=27)
_NAMES = {17: "enable", 27: "mute"}
_WARM_UP_MAX_MS = 10_000


class Circuit:
    """What hangs on the mock pins: writes down each edge and opens or closes the way of the sound."""

    def __init__(self, directory: Path, zone: str, warm_up_ms: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._zone = zone
        self._warm_up_ns = warm_up_ms * 1_000_000
        self._journal = Journal(directory / "amplifier.jsonl")
        self._cell = AmplifierCell(directory, zone, writable=True)
        self._powered = False
        self._muted = False
        self._powered_ns = 0
        now_ns = time.monotonic_ns()
        self._gate = Gate(powered=False, muted=False, passing=False, since_ns=now_ns, changed_ns=now_ns)
        self._cell.store(self._gate)

    def edge(self, pin: str, *, level: bool) -> None:
        """A pin has changed."""
        now_ns = time.monotonic_ns()
        if pin == "enable":
            self._powered = level
            self._powered_ns = now_ns
        else:
            self._muted = level
        passing = self._powered and not self._muted
        since_ns = self._gate.since_ns
        if passing and not self._gate.passing:
            since_ns = max(now_ns, self._powered_ns + self._warm_up_ns)
        elif self._gate.passing and not passing:
            since_ns = now_ns
        self._gate = Gate(self._powered, self._muted, passing, since_ns, now_ns)
        self._cell.store(self._gate)
        self._journal.append(now_ns, pin=pin, level="on" if level else "off", zone=self._zone)

    def close(self) -> None:
        self._cell.close()
        self._journal.close()


def _pins(circuit: Circuit) -> Any:
    """A gpiozero factory whose pins lead to the circuit."""
    mock: Any = importlib.import_module("gpiozero.pins.mock")

    class WiredPin(mock.MockPin):  # type: ignore[misc]  # gpiozero is untyped
        def _change_state(self, value: bool) -> bool:
            changed = bool(super()._change_state(value))
            number = int(self.info.name.removeprefix("GPIO"))
            if changed and number in _NAMES:
                circuit.edge(_NAMES[number], level=value)
            return changed

    return mock.MockFactory(pin_class=WiredPin)


class SimulatedAmplifier:
    """An amplifier that passes sound to `speaker.wav` while it is on, warm and not muted."""

    _known = frozenset({"dir", "zone", "warm_up_ms"})

    def __init__(self, name: str, directory: Path, zone: str = "main", warm_up_ms: int = 0) -> None:
        """Remember the place.

        Args:
            name: of the amplifier, for messages.
            directory: of the simulated box.
            zone: whose speaker it feeds.
            warm_up_ms: after power on, sound passes only this much later, 0 to 10000.
        """
        self.name = name
        self._directory = directory
        self._zone = zone
        self._warm_up_ms = warm_up_ms

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `dir` (required), `zone` and `warm_up_ms`; raises DriverSetupError."""
        refuse_unknown(name, options, cls._known)
        directory, zone = place(name, options)
        return cls(
            name,
            directory,
            zone,
            integer(name, options, "warm_up_ms", low=0, high=_WARM_UP_MAX_MS, default=0),
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Amplifier]:
        circuit = await asyncio.to_thread(Circuit, self._directory, self._zone, self._warm_up_ms)
        try:
            async with GpioAmplifier(self.name, _WIRING, lambda: _pins(circuit)).open() as amplifier:
                yield amplifier
        finally:
            circuit.close()


if TYPE_CHECKING:
    _driver: type[AmplifierDriver] = SimulatedAmplifier
