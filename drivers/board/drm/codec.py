"""Structs and numbers of linux/drm_mode.h, little-endian, alike for 32 and 64 bit programs."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from drivers.api import DeviceProtocolError

SET_MASTER = 0x641E
DROP_MASTER = 0x641F
GET_RESOURCES = 0xC04064A0
GET_CRTC = 0xC06864A1
SET_CRTC = 0xC06864A2
GET_ENCODER = 0xC01464A6
GET_CONNECTOR = 0xC05064A7
ADD_FB = 0xC01C64AE
REMOVE_FB = 0xC00464AF
PAGE_FLIP = 0xC01864B0
CREATE_DUMB = 0xC02064B2
MAP_DUMB = 0xC01064B3
DESTROY_DUMB = 0xC00464B4
CLOSE_FB = 0xC00864D0
"""Forget a framebuffer but let the display go on with it; kernels of 2024 and later."""

RESOURCES = struct.Struct("<4Q8I")
CONNECTOR = struct.Struct("<4Q12I")
ENCODER = struct.Struct("<5I")
CRTC = struct.Struct("<Q7I68s")
MODE = struct.Struct("<I10H3I32s")
DUMB = struct.Struct("<6IQ")
DUMB_MAP = struct.Struct("<2IQ")
FB = struct.Struct("<7I")
FLIP = struct.Struct("<4IQ")
EVENT_HEAD = struct.Struct("<2I")

CONNECTED = 1
FLIP_WITH_EVENT = 1
EVENT_FLIP = 2
EVENT_VBLANK = 1
_PREFERRED = 1 << 3
_KNOWN_EVENTS = frozenset({EVENT_VBLANK, EVENT_FLIP, 3})
_EVENT_MAX_BYTES = 256

_CONNECTOR_TYPES = (
    "Unknown", "VGA", "DVI-I", "DVI-D", "DVI-A", "Composite", "SVIDEO", "LVDS", "Component", "DIN", "DP",
    "HDMI-A", "HDMI-B", "TV", "eDP", "Virtual", "DSI", "DPI", "Writeback", "SPI", "USB",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mode:
    """A display mode; `raw` goes back to the kernel unchanged."""

    width_px: int
    height_px: int
    refresh_hz: int
    preferred: bool
    name: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Connector:
    """A socket for a display.

    Attributes:
        id: of the kernel.
        name: as the kernel prints it, such as `HDMI-A-1`.
        connected: a display answers, or the kernel was told that one is there.
        encoder_id: in use now, 0 for none.
        size_mm: of the display, 0 when it does not say.
        mode_count: how many modes it has.
        modes: empty unless asked for.
        encoders: that can feed it; empty unless asked for.
    """

    id: int
    name: str
    connected: bool
    encoder_id: int
    size_mm: tuple[int, int]
    mode_count: int
    modes: tuple[Mode, ...] = ()
    encoders: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Crtc:
    """What a scan-out engine shows: framebuffer 0 is nothing."""

    id: int
    fb_id: int
    x_px: int
    y_px: int
    mode_valid: bool
    mode: bytes


def connector_name(kind: int, number: int) -> str:
    known = _CONNECTOR_TYPES[kind] if kind < len(_CONNECTOR_TYPES) else "Unknown"
    return f"{known}-{number}"


def parse_mode(raw: bytes) -> Mode:
    values = MODE.unpack(raw)
    clock_khz, width, total_width, height, total_height = (
        values[0],
        values[1],
        values[4],
        values[6],
        values[9],
    )
    refresh = values[11]
    if not refresh and total_width and total_height:
        refresh = round(clock_khz * 1000 / (total_width * total_height))
    name = values[14].split(b"\0")[0].decode("ascii", "replace")
    return Mode(width, height, refresh, bool(values[13] & _PREFERRED), name, raw)


def parse_crtc(raw: bytes | bytearray) -> Crtc:
    _, _, crtc_id, fb_id, x_px, y_px, _gamma, valid, mode = CRTC.unpack(raw)
    return Crtc(crtc_id, fb_id, x_px, y_px, bool(valid), mode)


def pack_crtc(crtc: Crtc, connectors_pointer: int, connectors: int) -> bytearray:
    return bytearray(
        CRTC.pack(
            connectors_pointer,
            connectors,
            crtc.id,
            crtc.fb_id,
            crtc.x_px,
            crtc.y_px,
            0,
            int(crtc.mode_valid),
            crtc.mode,
        )
    )


def event_types(data: bytes) -> list[int]:
    """Types of the events in what was read.

    Raises:
        DeviceProtocolError: these are no events.
    """
    found = []
    at = 0
    while at < len(data):
        if len(data) - at < EVENT_HEAD.size:
            raise DeviceProtocolError(f"half an event of the display: {data[at:].hex()}")
        kind, length = EVENT_HEAD.unpack_from(data, at)
        if kind not in _KNOWN_EVENTS or not EVENT_HEAD.size <= length <= min(
            len(data) - at, _EVENT_MAX_BYTES
        ):
            raise DeviceProtocolError(f"unknown event of the display: type {kind}, {length} bytes")
        found.append(kind)
        at += length
    return found
