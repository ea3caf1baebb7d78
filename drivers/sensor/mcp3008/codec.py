"""Frames of the MCP3008 converter: bytes to values, no I/O.

Source: Microchip MCP3004/3008 data sheet DS21295, figure 6-1 (three bytes, SPI mode 0).
"""

from __future__ import annotations

CHANNELS = 8
SPEED_HZ = 1_000_000
"""Below the 1.35 MHz that are allowed at 2.7 V."""

_START = 0x01
_SINGLE_ENDED = 0x80
_CHANNEL_SHIFT = 4
_NULL_BIT = 0x04
_HIGH_BITS = 0x03
_STEPS = 1024
_FRAME_BYTES = 3


def request(channel: int) -> bytes:
    """Three bytes that ask for `channel`, 0 to 7, against ground."""
    return bytes([_START, _SINGLE_ENDED | channel << _CHANNEL_SHIFT, 0x00])


def steps(answer: bytes) -> int:
    """Measured value, 0 to 1023.

    Raises:
        ValueError: not three bytes, or the bit that the chip holds low before its value is high.
    """
    if len(answer) != _FRAME_BYTES or answer[1] & _NULL_BIT:
        raise ValueError(f"answer {answer.hex(' ')} is none of an MCP3008")
    return (answer[1] & _HIGH_BITS) << 8 | answer[2]


def volts(mean_steps: float, reference_volts: float) -> float:
    """Voltage at the input, 0 to almost `reference_volts`."""
    return mean_steps * reference_volts / _STEPS
