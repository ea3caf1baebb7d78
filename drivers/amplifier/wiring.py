"""Which pins lead to an amplifier, and the pauses between them, as read from the configuration."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

from drivers.api import DriverSetupError, Options
from drivers.gpio import HIGHEST_PIN
from drivers.options import boolean, integer, maybe_integer

# Their sum stays below the two seconds that the agent allows for one verb.
SUPPLY_MAX_MS = 1000
STANDBY_MAX_MS = 500


@dataclass(frozen=True, slots=True)
class Wiring:
    """Which pins lead to the amplifier, as BCM numbers.

    Attributes:
        enable_pin: runs the amplifier, or the relay of its supply.
        mute_pin: mutes its output; None when there is none, then off is the only silence.
        fault_pin: the amplifier's fault output; None when it is not connected.
        standby_pin: puts the amplifier to sleep while its supply stays on; None when there is none.
        line_pin: the relay that connects the loudspeaker line; None when there is none.
        enable_active_high: a high level runs the amplifier.
        mute_active_high: a high level mutes.
        fault_active_high: a high level means fault; else the pin is pulled up and low means fault.
        standby_active_high: a high level means standby; else low does, as at SHUTDOWN of the TPA31xx.
        line_active_high: a high level connects the line.
        supply_ms: pause for the supply to rise before standby is released, 0 to 1000.
        standby_ms: pause after standby before the line is connected, 0 to 500.
    """

    enable_pin: int
    mute_pin: int | None = None
    fault_pin: int | None = None
    standby_pin: int | None = None
    line_pin: int | None = None
    enable_active_high: bool = True
    mute_active_high: bool = True
    fault_active_high: bool = False
    standby_active_high: bool = False
    line_active_high: bool = True
    supply_ms: int = 0
    standby_ms: int = 0

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from options named as the attributes.

        Raises:
            DriverSetupError: one is missing or out of range, or a pin is named twice.
        """

        def pin(key: str) -> int | None:
            return maybe_integer(name, options, key, low=0, high=HIGHEST_PIN)

        wiring = cls(
            enable_pin=integer(name, options, "enable_pin", low=0, high=HIGHEST_PIN),
            mute_pin=pin("mute_pin"),
            fault_pin=pin("fault_pin"),
            standby_pin=pin("standby_pin"),
            line_pin=pin("line_pin"),
            enable_active_high=boolean(name, options, "enable_active_high", default=True),
            mute_active_high=boolean(name, options, "mute_active_high", default=True),
            fault_active_high=boolean(name, options, "fault_active_high", default=False),
            standby_active_high=boolean(name, options, "standby_active_high", default=False),
            line_active_high=boolean(name, options, "line_active_high", default=True),
            supply_ms=integer(name, options, "supply_ms", low=0, high=SUPPLY_MAX_MS, default=0),
            standby_ms=integer(name, options, "standby_ms", low=0, high=STANDBY_MAX_MS, default=0),
        )
        pins = (
            wiring.enable_pin,
            wiring.mute_pin,
            wiring.fault_pin,
            wiring.standby_pin,
            wiring.line_pin,
        )
        used = [number for number in pins if number is not None]
        if len(set(used)) != len(used):
            raise DriverSetupError(f"{name}: one pin is named twice: {', '.join(map(str, used))}")
        return wiring


OPTIONS = frozenset(field.name for field in fields(Wiring))
