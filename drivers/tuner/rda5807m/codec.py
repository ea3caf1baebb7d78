"""Registers of the RDA5807M receiver: values to bits, no I/O.

Source: RDA Microelectronics RDA5807M data sheet V1.8, register table.
"""

from __future__ import annotations

IDENTITY = 0x00
CONTROL = 0x02
CHANNEL = 0x03
SYSTEM = 0x04
VOLUME = 0x05
STATUS = 0x0A
SIGNAL = 0x0B

ASLEEP = 0x0000
RESET = 0x0003  # SOFT_RESET and ENABLE
MUTED = 0x8001  # DHIZ (outputs driven), ENABLE
UNMUTED = 0xC001  # the same with DMUTE, which is active low
EUROPE_50_US = 0x0800

_FAMILY = 0x58
_LOUDEST = 0x000F
_CHANNEL_SHIFT = 6
_TUNE = 0x0010  # band 87 to 108 MHz and steps of 100 kHz are zeros
_LOWEST_TENTHS = 870
_TUNED = 0x4000
_STEREO = 0x0400
_READ_CHANNEL = 0x03FF
_STATION = 0x0100
_RSSI_SHIFT = 9


def is_family(identity: int) -> bool:
    """The identity register is that of an RDA5807."""
    return identity >> 8 == _FAMILY


def channel_of(megahertz: float) -> int:
    """Number of the channel nearest to 87.0 to 108.0 MHz, in steps of 100 kHz."""
    return round(megahertz * 10) - _LOWEST_TENTHS


def megahertz_of(channel: int) -> float:
    return (channel + _LOWEST_TENTHS) / 10


def at_rest(channel: int) -> int:
    """Channel register that holds `channel` without tuning."""
    return channel << _CHANNEL_SHIFT


def tune(channel: int) -> int:
    """Channel register that begins to tune; 103.5 MHz is 0x2950."""
    return at_rest(channel) | _TUNE


def loudest(volume: int) -> int:
    """Volume register at full volume; the other bits, such as the aerial input, stay."""
    return volume | _LOUDEST


def is_tuned(status: int) -> bool:
    """Tuning has ended (STC)."""
    return bool(status & _TUNED)


def tuned_channel(status: int) -> int:
    return status & _READ_CHANNEL


def is_stereo(status: int) -> bool:
    return bool(status & _STEREO)


def is_station(signal: int) -> bool:
    """The chip takes what it receives for a station (FM TRUE)."""
    return bool(signal & _STATION)


def rssi(signal: int) -> int:
    """Signal strength, 0 to 127, on a logarithmic scale."""
    return signal >> _RSSI_SHIFT
