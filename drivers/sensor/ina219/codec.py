"""Registers of the INA219 current and voltage monitor: bytes to values, no I/O.

Source: Texas Instruments INA219 data sheet SBOS448G, register tables 2 to 8.
"""

from __future__ import annotations

CONFIGURATION = 0x00
SHUNT_VOLTAGE = 0x01
BUS_VOLTAGE = 0x02

RESET = 0x8000
AFTER_RESET = 0x399F
"""What the configuration register holds after a reset; no other common chip at this address does."""

_RANGE_32_V = 0x2000
_SHUNT_320_MV = 0x1800
_BUS_16_SAMPLES = 0x0600
_SHUNT_128_SAMPLES = 0x0078
_CONTINUOUS = 0x0007

SETTINGS = _RANGE_32_V | _SHUNT_320_MV | _BUS_16_SAMPLES | _SHUNT_128_SAMPLES | _CONTINUOUS
"""32 V, 320 mV, current averaged over 128 samples: 68 ms, several periods of the music."""
CONVERSION_S = 0.0766

_SHUNT_LSB_VOLTS = 10e-6
_SHUNT_FULL_SCALE = 32_000
_BUS_LSB_VOLTS = 4e-3
_BUS_SHIFT = 3
_SIGN = 0x8000


def shunt_volts(register: int) -> float:
    """Voltage across the shunt, -0.32 to 0.32.

    Raises:
        ValueError: beyond the range that was set; a working chip stops at its end.
    """
    value = register - 0x10000 if register & _SIGN else register
    if abs(value) > _SHUNT_FULL_SCALE:
        raise ValueError(f"shunt register 0x{register:04x} is beyond 320 mV")
    return value * _SHUNT_LSB_VOLTS


def bus_volts(register: int) -> float:
    """Voltage of the supply behind the shunt, 0 to 32.764; flags in the low bits are ignored."""
    return (register >> _BUS_SHIFT) * _BUS_LSB_VOLTS
