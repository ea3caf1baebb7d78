"""Frames of Colorlight 5A-75 receiver cards: raw Ethernet without a type, then one byte of kind and its data.

From the public notes of Falcon Player (ColorLight-5a-75), PanelPlayer and others; no vendor document is
public.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from drivers.api import DeviceProtocolError

_HEAD = bytes.fromhex("112233445566222233445566")
_SYNC = 0x01
_DISCOVER = 0x07
_REPLY = 0x08
_BRIGHTNESS = 0x0A
_ROW = 0x55

REPLY_ETHERTYPE = 0x0805
"""What bytes 12 and 13 of a reply look like to the kernel."""

ROW_PIXELS_MAX = 497
_REPLY_LEAST_BYTES = 13 + 86


@dataclass(frozen=True, slots=True)
class CardInfo:
    """What a card says of itself.

    Attributes:
        firmware: such as (13, 5).
        width_px: of the panels it drives, as set in the vendor's tool.
        height_px: likewise.
        packets: received since it began.
        uptime_ms: since it began.
        number: of the card in its chain.
    """

    firmware: tuple[int, int]
    width_px: int
    height_px: int
    packets: int
    uptime_ms: int
    number: int


def sync(level: int) -> bytes:
    """Show what was sent; `level` is the brightness, 0 to 255."""
    data = bytearray(99)
    data[0] = 0x07
    data[22] = level
    data[23] = 0x05
    data[25:28] = bytes((level, level, level))
    return _HEAD + bytes((_SYNC,)) + bytes(data)


def brightness(level: int) -> bytes:
    """Set the brightness, 0 to 255."""
    return _HEAD + bytes((_BRIGHTNESS, level, level, level, 0xFF)) + bytes(60)


def row_heads(width_px: int, height_px: int) -> list[tuple[bytes, int, int]]:
    """Heads of all row frames, each with where its pixels begin and end, counted from the first pixel."""
    heads = []
    for row in range(height_px):
        for x_px in range(0, width_px, ROW_PIXELS_MAX):
            count = min(ROW_PIXELS_MAX, width_px - x_px)
            head = _HEAD + struct.pack(">BHHHBB", _ROW, row, x_px, count, 0x08, 0x88)
            start = row * width_px + x_px
            heads.append((head, start, start + count))
    return heads


def discover(number: int = 0) -> bytes:
    """Ask one card of the chain what it is."""
    data = bytearray(271)
    data[3] = number
    return _HEAD + bytes((_DISCOVER,)) + bytes(data)


def parse_reply(frame: bytes) -> CardInfo:
    """Read the answer to `discover`.

    Raises:
        DeviceProtocolError: it is something else, or cut.
    """
    if len(frame) < _REPLY_LEAST_BYTES or frame[12] != _REPLY or frame[13] != REPLY_ETHERTYPE & 0xFF:
        raise DeviceProtocolError(f"no answer of a receiver card: {len(frame)} bytes {frame[:24].hex()}")
    data = frame[13:]
    width, height = struct.unpack_from(">HH", data, 21)
    packets = struct.unpack_from(">I", data, 38)[0]
    uptime = struct.unpack_from(">I", data, 46)[0]
    return CardInfo((data[2], data[3]), width, height, packets, uptime, data[85])
