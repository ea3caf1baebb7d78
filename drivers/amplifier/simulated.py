"""The GPIO amplifier on mock pins: edges go to `amplifier.jsonl`, sound passes in the simulated speaker."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from drivers.amplifier.gpio import GpioAmplifier
from drivers.amplifier.wiring import Wiring
from drivers.api import Amplifier, Options
from drivers.journal import Journal
from drivers.options import boolean, integer, refuse_unknown
from drivers.simulation import AmplifierCell, FaultFile, Gate, place

if TYPE_CHECKING:
    from drivers.api import AmplifierDriver

_MAIN = Wiring(enable_pin=17, mute_pin=27, fault_pin=4)
_SPARE = Wiring(enable_pin=24, mute_pin=25)
_STANDBY_PIN = 22
_LINE_PIN = 23
_WARM_UP_MAX_MS = 10_000


class Circuit:
    """What hangs on the mock pins: writes down each edge and opens or closes the way of the sound."""

    def __init__(self, directory: Path, zone: str, wiring: Wiring, warm_up_ms: int, *, spare: bool) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._zone = zone
        self._warm_up_ns = warm_up_ms * 1_000_000
        prefix = "spare_" if spare else ""
        self._names = {
            number: (name, prefix + name)
            for name, number in (
                ("enable", wiring.enable_pin),
                ("mute", wiring.mute_pin),
                ("standby", wiring.standby_pin),
                ("line", wiring.line_pin),
            )
        }
        self._active_low = frozenset({wiring.standby_pin})
        self._fault_pin = wiring.fault_pin
        self._faults = FaultFile(directory)
        self._journal = Journal(directory / "amplifier.jsonl")
        self._cell = AmplifierCell(directory, zone, spare=spare, writable=True)
        self._on = {
            "enable": False,
            "mute": False,
            "standby": wiring.standby_pin is not None,
            "line": wiring.line_pin is None,
        }
        self._powered_ns = 0
        now_ns = time.monotonic_ns()
        self._gate = Gate(powered=False, muted=False, passing=False, since_ns=now_ns, changed_ns=now_ns)
        self._cell.store(self._gate)

    def edge(self, pin: int, *, level: bool) -> None:
        """A pin has changed; `level` is high or low, the journal says on or off."""
        if pin not in self._names:
            return
        name, shown = self._names[pin]
        on = level != (pin in self._active_low)
        now_ns = time.monotonic_ns()
        if name == "enable":
            self._powered_ns = now_ns
        self._on[name] = on
        passing = self._on["enable"] and not self._on["mute"] and not self._on["standby"] and self._on["line"]
        since_ns = self._gate.since_ns
        if passing and not self._gate.passing:
            since_ns = max(now_ns, self._powered_ns + self._warm_up_ns)
        elif self._gate.passing and not passing:
            since_ns = now_ns
        self._gate = Gate(self._on["enable"], self._on["mute"], passing, since_ns, now_ns)
        self._cell.store(self._gate)
        self._journal.append(now_ns, pin=shown, level="on" if on else "off", zone=self._zone)

    def input_level(self, pin: int) -> bool | None:
        """Level that the amplifier gives to an input pin; None where it gives none."""
        if pin != self._fault_pin:
            return None
        return not self._faults.current().amplifier_fault  # active low, as `Wiring` has it by default

    def close(self) -> None:
        self._cell.close()
        self._journal.close()


def _pins(circuit: Circuit) -> Any:
    """A gpiozero factory whose pins lead to the circuit."""
    mock: Any = importlib.import_module("gpiozero.pins.mock")

    class WiredPin(mock.MockPin):  # type: ignore[misc]  # gpiozero is untyped
        @property
        def _bcm(self) -> int:
            return int(self.info.name.removeprefix("GPIO"))

        def _change_state(self, value: bool) -> bool:
            changed = bool(super()._change_state(value))
            if changed and self.function == "output":
                circuit.edge(self._bcm, level=value)
            return changed

        def _get_state(self) -> bool:
            level = circuit.input_level(self._bcm)
            if level is not None:
                super()._change_state(level)
            return bool(super()._get_state())

    return mock.MockFactory(pin_class=WiredPin)


class SimulatedAmplifier:
    """An amplifier that passes sound to `speaker.wav` while it is on, warm and not muted."""

    _known = frozenset({"dir", "zone", "warm_up_ms", "spare", "relays", "supply_ms", "standby_ms"})

    def __init__(
        self,
        name: str,
        directory: Path,
        zone: str = "main",
        warm_up_ms: int = 0,
        *,
        spare: bool = False,
        wiring: Wiring = _MAIN,
    ) -> None:
        """Remember the place.

        Args:
            name: of the amplifier, for messages.
            directory: of the simulated box.
            zone: whose speaker it feeds.
            warm_up_ms: after power on, sound passes only this much later, 0 to 10000.
            spare: the zone's second amplifier, which `amplifier_dead` and `amplifier_fault` do not touch.
            wiring: its mock pins.
        """
        self.name = name
        self._directory = directory
        self._zone = zone
        self._warm_up_ms = warm_up_ms
        self._spare = spare
        self._wiring = wiring

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from options.

        Args:
            name: of the amplifier.
            options: `dir` (required), `zone`, `warm_up_ms`, `spare` (default false), `relays` (default
                false: no standby pin and no line relay), `supply_ms` and `standby_ms` as in `Wiring`.

        Raises:
            DriverSetupError: one of them is wrong.
        """
        refuse_unknown(name, options, cls._known)
        directory, zone = place(name, options)
        spare = boolean(name, options, "spare", default=False)
        wiring = _SPARE if spare else _MAIN
        if boolean(name, options, "relays", default=False):
            wiring = replace(wiring, standby_pin=_STANDBY_PIN, line_pin=_LINE_PIN)
        pauses = {key: options[key] for key in ("supply_ms", "standby_ms") if key in options}
        checked = Wiring.from_options(name, {"enable_pin": wiring.enable_pin, **pauses})
        return cls(
            name,
            directory,
            zone,
            integer(name, options, "warm_up_ms", low=0, high=_WARM_UP_MAX_MS, default=0),
            spare=spare,
            wiring=replace(wiring, supply_ms=checked.supply_ms, standby_ms=checked.standby_ms),
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Amplifier]:
        circuit = await asyncio.to_thread(
            Circuit, self._directory, self._zone, self._wiring, self._warm_up_ms, spare=self._spare
        )
        try:
            async with GpioAmplifier(self.name, self._wiring, lambda: _pins(circuit)).open() as amplifier:
                yield amplifier
        finally:
            circuit.close()


if TYPE_CHECKING:
    _driver: type[AmplifierDriver] = SimulatedAmplifier
