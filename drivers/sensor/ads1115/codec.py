"""Registers of the ADS1115 converter: bytes to values, no I/O.

Source: Texas Instruments ADS1115 data sheet SBAS444E, tables 8-1 to 8-5.
"""

from __future__ import annotations

CONVERSION = 0x00
CONFIGURATION = 0x01
CHANNELS = 4

_IDLE = 0x8000  # read: no conversion under way; written: begin one
_MUX_SINGLE_ENDED = 4
_MUX_SHIFT = 12
_RANGE_4_096_V = 0x0200
_SINGLE_SHOT = 0x0100
_RATE_32 = 0x0040
_COMPARATOR_OFF = 0x0003
_FULL_SCALE_VOLTS = 4.096
_STEPS = 32_768
_SIGN = 0x8000

CONVERSION_S = 1 / 32
"""Mean over so long: a few periods of the mains and of most music."""


def start(channel: int) -> int:
    """Configuration that begins one conversion of `channel` (0 to 3) against ground, range 4.096 V."""
    mux = (_MUX_SINGLE_ENDED + channel) << _MUX_SHIFT
    return _IDLE | mux | _RANGE_4_096_V | _SINGLE_SHOT | _RATE_32 | _COMPARATOR_OFF


def is_ready(configuration: int) -> bool:
    """The conversion has ended."""
    return bool(configuration & _IDLE)


def is_settings(configuration: int, channel: int) -> bool:
    """The configuration is the one of `start(channel)`, apart from the flag of a conversion under way."""
    return configuration | _IDLE == start(channel)


def volts(register: int) -> float:
    """Voltage at the input, -4.096 to 4.096."""
    value = register - 0x10000 if register & _SIGN else register
    return value * _FULL_SCALE_VOLTS / _STEPS
