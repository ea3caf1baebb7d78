"""The five bytes written to and the five read from a TEA5767 receiver: values to bits, no I/O.

Source: Philips TEA5767HN data sheet rev. 05, tables 5 to 20.
"""

from __future__ import annotations

from dataclasses import dataclass

FRAME_BYTES = 5
VALID_IF = (0x31, 0x3E)
"""Count of the intermediate frequency when a station is tuned right."""

_MUTE = 0x80
_PLL_HIGH = 0x3F
_HIGH_SIDE = 0x10
_STANDBY = 0x40
_CRYSTAL_32_KHZ = 0x10
_NOISE_CANCELLING = 0x02
_FIFTY_MICROSECONDS = 0x00  # fifth byte: no PLL reference, DTC 0
_READY = 0x80
_STEREO = 0x80
_IF_COUNT = 0x7F
_CHIP = 0x0F
_REFERENCE_HZ = 32_768
_IF_HZ = 225_000


def divider_of(megahertz: float) -> int:
    """Divider of the oscillator, which runs above the station; 103.5 MHz is 12662 (0x3176)."""
    return round(4 * (megahertz * 1e6 + _IF_HZ) / _REFERENCE_HZ)


def frame(megahertz: float, *, muted: bool, standby: bool = False) -> bytes:
    """Five bytes that set everything: frequency, mute, standby, 87.5-108 MHz band, 50 us."""
    divider = divider_of(megahertz)
    return bytes(
        [
            (_MUTE if muted else 0) | divider >> 8 & _PLL_HIGH,
            divider & 0xFF,
            _HIGH_SIDE,
            (_STANDBY if standby else 0) | _CRYSTAL_32_KHZ | _NOISE_CANCELLING,
            _FIFTY_MICROSECONDS,
        ]
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """What the chip tells.

    Attributes:
        ready: it has tuned.
        divider: it is tuned to.
        stereo: the pilot is received.
        if_count: count of the intermediate frequency, 0 to 127.
        level: signal strength, 0 to 15.
    """

    ready: bool
    divider: int
    stereo: bool
    if_count: int
    level: int

    @property
    def locked(self) -> bool:
        """A station is tuned right."""
        return self.ready and VALID_IF[0] <= self.if_count <= VALID_IF[1]


def decode(data: bytes) -> Answer:
    """Read five bytes.

    Raises:
        ValueError: not five, or the bits that identify the chip are not those of a TEA5767.
    """
    if len(data) != FRAME_BYTES or data[3] & _CHIP or data[4] or len(set(data)) == 1:
        raise ValueError(f"answer {data.hex(' ')} is none of a TEA5767")
    return Answer(
        ready=bool(data[0] & _READY),
        divider=(data[0] & _PLL_HIGH) << 8 | data[1],
        stereo=bool(data[2] & _STEREO),
        if_count=data[2] & _IF_COUNT,
        level=data[3] >> 4,
    )
