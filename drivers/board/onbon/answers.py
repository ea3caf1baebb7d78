"""What Onbon cards answer to ping and status: bytes to values, no I/O. Source: as `codec`."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from drivers.api import Colours
from drivers.board.onbon.codec import BRIGHTNESS_MODE_MAX, BRIGHTNESS_STEPS, Family, FrameError

_PING = struct.Struct("<H8sBHBHHBBBHBBHBBBB")
_STATUS = struct.Struct("<BBBBH4sBBBB8s3s3sHHB")
_COLOURS = {1: Colours.MONO, 3: Colours.DUAL, 255: Colours.FULL}
_TEMPERATURE_RANGE_C = (-60.0, 120.0)


MODELS: dict[int, tuple[str, Family]] = {
    0x0154: ("BX-5E1", Family.BX5E),
    0x0254: ("BX-5E2", Family.BX5E),
    0x0354: ("BX-5E3", Family.BX5E),
    0x0174: ("BX-6E1", Family.BX6E),
    0x0274: ("BX-6E2", Family.BX6E),
    0x0374: ("BX-6E3", Family.BX6E),
    0x0474: ("BX-6E1X", Family.BX6E),
    0x0574: ("BX-6E2X", Family.BX6E),
    0x0066: ("BX-6QL", Family.BX6Q),
    0x0166: ("BX-6Q1", Family.BX6Q),
    0x0266: ("BX-6Q2", Family.BX6Q),
    0x0366: ("BX-6Q3", Family.BX6Q),
    0x0466: ("BX-6Q2L", Family.BX6Q),
    0x0566: ("BX-6Q3L", Family.BX6Q),
}
"""Device types whose dynamic areas we can write."""

OTHER_MODELS = {
    0x1056: "BX-5Q0+",
    0x1156: "BX-5Q1+",
    0x1256: "BX-5Q2+",
    0x0052: "BX-5M1",
    0x0551: "BX-5A4",
}
"""Device types that are known but not supported: the byte order of a 5Q was never seen."""


@dataclass(frozen=True, slots=True)
class Card:
    """Who answered a ping.

    Attributes:
        device_type: number of the manual's table.
        firmware: as the card writes it.
        width_px, height_px: of the whole screen.
        colours: of one pixel; None for three colours without shades, which we cannot encode.
        brightness: 0 to 15 as far as it tells.
        on: whether the screen is switched on.
    """

    device_type: int
    firmware: str
    width_px: int
    height_px: int
    colours: Colours | None
    brightness: int
    on: bool

    @property
    def model(self) -> str:
        if self.device_type in MODELS:
            return MODELS[self.device_type][0]
        return OTHER_MODELS.get(self.device_type, f"type {self.device_type:04x}")

    @property
    def family(self) -> Family | None:
        """None: its dynamic areas cannot be written by us."""
        return MODELS[self.device_type][1] if self.device_type in MODELS else None


@dataclass(frozen=True, slots=True)
class CardStatus:
    """What a card tells of itself.

    Attributes:
        on: whether the screen is switched on.
        brightness_mode: 0 manual, 1 timed, 2 and 3 automatic.
        brightness: 0 to 15; what cards tell beyond that is cut, so that it can be set again.
        programs: how many are in its flash.
        program: name of the one that runs, as bytes.
        screen_locked, program_locked: somebody froze what is shown.
        clock_works: of its own clock.
        temperature_c: None without a sensor.
    """

    on: bool
    brightness_mode: int
    brightness: int
    programs: int
    program: bytes
    screen_locked: bool
    program_locked: bool
    clock_works: bool
    temperature_c: float | None


def parse_ping(data: bytes) -> Card:
    """Read the answer to a ping; raises FrameError when it is too short."""
    if len(data) < _PING.size:
        raise FrameError(f"an answer to ping of {len(data)} bytes")
    fields = _PING.unpack_from(data)
    firmware = bytes(byte for byte in fields[1] if 0x20 <= byte < 0x7F).decode("ascii").strip()  # noqa: PLR2004
    return Card(
        fields[0], firmware, fields[5], fields[6], _COLOURS.get(fields[7]), fields[8], bool(fields[9])
    )


def parse_status(data: bytes) -> CardStatus:
    """Read the answer to a status request; raises FrameError when it is too short."""
    if len(data) < _STATUS.size:
        raise FrameError(f"an answer to status of {len(data)} bytes")
    fields = _STATUS.unpack_from(data)
    return CardStatus(
        on=bool(fields[0] & 1),
        brightness_mode=fields[2] if fields[2] <= BRIGHTNESS_MODE_MAX else 0,
        brightness=min(fields[3], BRIGHTNESS_STEPS),
        programs=fields[4],
        program=fields[5],
        screen_locked=bool(fields[6]),
        program_locked=bool(fields[7]),
        clock_works=bool(fields[9]),
        temperature_c=_temperature(fields[11]),
    )


def _temperature(raw: bytes) -> float | None:
    """Sign (0 plus, 1 minus), then tenths of a degree. The manual does not say it: inferred."""
    value_c = int.from_bytes(raw[1:], "little") / 10 * (-1 if raw[0] == 1 else 1)
    plausible = raw[0] <= 1 and any(raw) and _TEMPERATURE_RANGE_C[0] <= value_c <= _TEMPERATURE_RANGE_C[1]
    return value_c if plausible else None
