"""An Onbon card made from the protocol facts, not from our codec, for tests and for integrators without one.

`python -m drivers.board.onbon.emulator --model 6e --port 5005 --out board.png` serves TCP, UDP and a serial
line, and keeps a picture of what a person would see. Not known of real cards, and chosen here: an area that
overlaps another is declined (error 18), as is one too many (4); moving text takes 10 ms a pixel and step of
speed; programs in flash show when no area with "only this area" is left.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

TYPES = {"5e": 0x0254, "6e": 0x0274, "6q": 0x0266}
COLOUR_CODES = {"mono": 1, "dual": 3, "full": 255}
RED, GREEN, AMBER = b"\xff\0\0", b"\0\xff\0", b"\xff\xff\0"
AREA_LIMIT_BYTES = 300 * 1024
STEP_S = 0.01


class DeclinedError(Exception):
    """The card answers NACK with this error number."""

    def __init__(self, error: int, why: str) -> None:
        """Keep both; `why` goes to the card's complaints."""
        super().__init__(why)
        self.error = error


@dataclass
class Page:
    """One picture of an area, still encoded."""

    mode: int
    speed: int
    stay_s: float
    valid: int
    bitmap: bytes


@dataclass
class DynamicArea:
    """What the card keeps in RAM; `since_s` is when it was last written."""

    number: int
    run_mode: int
    timeout_s: int
    immediate: int
    x: int
    y: int
    width: int
    height: int
    pages: list[Page]
    since_s: float


@dataclass
class Faults:
    """What goes wrong; numbers count down, one for each request."""

    busy: int = 0
    nack: int = 0
    nack_error: int = 4
    drop: int = 0
    garbage: int = 0
    half: int = 0
    silent: int = 0
    bad_check: int = 0
    late_s: float = 0.0
    refused_areas: dict[int, int] = field(default_factory=dict)
    """How many more updates of an area, by its number, are declined."""

    def takes(self, name: str) -> bool:
        """Whether this fault happens now."""
        left: int = getattr(self, name)
        if left > 0:
            setattr(self, name, left - 1)
        return left > 0


def reflected_crc(data: bytes) -> int:
    """CRC-16 with polynomial a001, start 0: bit by bit."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


class OnbonCard:
    """State of one card, and its answers to frames.

    Attributes:
        programs: pictures in flash by name, RGB bytes of the whole screen; the first one runs.
        areas: dynamic areas by number; gone without power.
        faults: see `Faults`.
        complaints: what was wrong with requests, in words.
        requests: (group, command) of every request that was understood.
        received: bytes that came in.
    """

    def __init__(
        self,
        family: str = "6e",
        width: int = 64,
        height: int = 32,
        colours: str = "dual",
        *,
        area_limit: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Build a card that is switched on and shows its flash, which is empty."""
        self.family, self.width, self.height, self.colours = family, width, height, colours
        self.device_type = TYPES[family]
        self.firmware = "20101901"
        self.area_limit = area_limit or (32 if family == "6q" else 4)
        self.on = True
        self.brightness_mode = 0
        self.brightness = [15] * 48
        self.rtc = bytes([0x26, 0x20, 0x11, 0x22, 0x00, 0x00, 0x00, 0x07])
        self.programs: dict[bytes, bytes] = {}
        self.screen_locked = self.program_locked = False
        self.temperature = bytes([0, 0x3B, 0x01])  # 31.5 degrees
        self.areas: dict[int, DynamicArea] = {}
        self.faults = Faults()
        self.complaints: list[str] = []
        self.requests: list[tuple[int, int]] = []
        self.received = 0
        self._clock = clock

    def lose_power(self) -> None:
        """RAM forgets; flash keeps programs, switch and brightness."""
        self.areas.clear()

    def become(self, family: str, width: int, height: int, colours: str) -> None:
        """Somebody replaced the card."""
        self.family, self.width, self.height, self.colours = family, width, height, colours
        self.device_type = TYPES[family]
        self.lose_power()
        self.programs.clear()

    def load_program(self, name: bytes, rgb: bytes) -> None:
        """Somebody else writes a program, which runs at once: it comes first."""
        self.areas.clear()
        self.programs = {name: rgb, **self.programs}

    # -- frames -------------------------------------------------------------------------------------------

    def answer(self, content: bytes) -> bytes | None:
        """Take what stood between `a5` and `5a`, still escaped; return a whole frame, None to stay silent."""
        plain = self._unescaped(content)
        if plain is None or len(plain) < 16:
            self.complaints.append("frame too short or with an unknown escape")
            return None
        version = plain[4]
        head = {0xF0: 16, 0x05: 27, 0x07: 28}.get(version)
        if head is None or len(plain) < head:
            self.complaints.append(f"header {version:02x}")
            return None
        generation = 0x05 if self.family == "5e" else 0x07
        if version not in {0xF0, generation}:
            self.complaints.append(f"header {version:02x} of the other generation")
            return None
        target, source = struct.unpack("<HH", plain[:4])
        if target not in {0xFFFE, 0xFFFF, 0x0001} or source != 0x8000:
            self.complaints.append(f"from {source:04x} to {target:04x}")
            return None
        try:
            body = self._body(plain, version, head)
            reply = self._obey(body)
        except DeclinedError as declined:
            self.complaints.append(f"error {declined.error}: {declined}")
            reply = struct.pack("<BBBHHH", 0, 0xA0, 1, 1, declined.error, 0)
        return self._framed(reply, version, plain[:head])

    def _unescaped(self, content: bytes) -> bytes | None:
        out, at = bytearray(), 0
        while at < len(content):
            if content[at] in (0xA6, 0x5B):
                second = content[at + 1] if at + 1 < len(content) else 0
                if second not in (1, 2):
                    return None
                out.append(content[at] - (second - 1))
                at += 2
            else:
                out.append(content[at])
                at += 1
        return bytes(out)

    def _body(self, plain: bytes, version: int, head: int) -> bytes:
        if version == 0xF0:
            body = plain[16:-2]
            length = int.from_bytes(plain[12:16], "little")
            check = reflected_crc(plain[:-2]) == int.from_bytes(plain[-2:], "little")
        else:
            header_sum = 0
            for byte in plain[: head - 1]:
                header_sum ^= byte
            if header_sum != plain[head - 1]:
                raise DeclinedError(5, "xor of the header")
            body = plain[head:]
            at = 22
            length, crc = struct.unpack_from("<HH", plain, at)
            check = reflected_crc(body) == crc
            if plain[14] != 0x96:
                raise DeclinedError(5, "encrypted")
        if not check:
            raise DeclinedError(5, "crc of the packet")
        if length != len(body) or length < 5:
            raise DeclinedError(5, f"length {length} with {len(body)} bytes")
        if struct.unpack_from("<H", plain, 6)[0] not in {0xFFFE, self.device_type}:
            raise DeclinedError(17, "device type")
        if body[0] != 1:
            raise DeclinedError(1, "no reply wanted")
        return body

    def _framed(self, body: bytes, version: int, asked: bytes) -> bytes:
        kind = struct.pack("<H", self.device_type)
        start = b"\x00\x80\x01\x00" + bytes([version])
        if version == 0xF0:
            plain = start + b"\0" + kind + bytes(4) + struct.pack("<I", len(body)) + body
            plain += struct.pack("<H", reflected_crc(plain))
        else:
            rest = asked[8:22] + struct.pack("<HH", len(body), reflected_crc(body))
            header = start + asked[5:6] + kind + rest + (b"\0" if version == 0x07 else b"")
            total = 0
            for byte in header:
                total ^= byte
            plain = header + bytes([total]) + body
        if self.faults.takes("bad_check"):
            plain = plain[:-1] + bytes([plain[-1] ^ 1])
        out = bytearray(b"\xa5" * 8)
        for byte in plain:
            out += {0xA5: b"\xa6\x02", 0xA6: b"\xa6\x01", 0x5A: b"\x5b\x02", 0x5B: b"\x5b\x01"}.get(
                byte, bytes([byte])
            )
        return bytes(out) + b"\x5a"

    # -- commands -----------------------------------------------------------------------------------------

    def _obey(self, body: bytes) -> bytes:
        group, command, length = body[1], body[2], int.from_bytes(body[3:5], "little")
        data = body[5:]
        if length not in {0, len(data)}:
            raise DeclinedError(5, f"command length {length} with {len(data)} bytes")
        self.requests.append((group, command))
        if self.faults.takes("busy"):
            raise DeclinedError(3, "busy")
        if self.faults.takes("nack"):
            raise DeclinedError(self.faults.nack_error, "asked to decline")
        if (group, command) == (0xA2, 0x00):
            return self._told(0x80, self._who())
        if (group, command) == (0xA2, 0x0F):
            return self._told(0x8F, self._how())
        self._do(group, command, data)
        return struct.pack("<BBBHHH", 0, 0xA0, 0, 0, 0, 0)

    def _told(self, command: int, data: bytes) -> bytes:
        return struct.pack("<BBBHHH", 0, 0xA2, command, 0, 0, len(data)) + data

    def _who(self) -> bytes:
        colour = COLOUR_CODES[self.colours]
        return (
            struct.pack("<H", self.device_type)
            + self.firmware.encode().ljust(8, b"\0")
            + b"\0"
            + struct.pack("<HBHH", 1, 2, self.width, self.height)
            + bytes([colour, self.brightness[0], self.on])
            + struct.pack("<HBBHBBBB", 0, 16, 0, 32, 0, 0, 0, 0)
            + (b"" if self.family == "5e" else bytes(16 + 128 + 128 + 4))
        )

    def _how(self) -> bytes:
        running = next(iter(self.programs), bytes(4))
        return (
            bytes([self.on, 0, self.brightness_mode, self.brightness[0]])
            + struct.pack("<H", len(self.programs))
            + running[:4].ljust(4, b"\0")
            + bytes([self.screen_locked, self.program_locked, 0, 1])
            + self.rtc
            + self.temperature
            + b"\xff\xff\xff"
            + bytes(2 + 2 + 1)
            + (b"" if self.family == "5e" else bytes(12 + 16))
        )

    def _do(self, group: int, command: int, data: bytes) -> None:
        if group == 0xA2:
            self._set(command, data)
        elif (group, command) == (0xA7, 0x00):
            self._update(data)
        elif (group, command) == (0xA7, 0x01):
            self._delete(data)
        else:
            raise DeclinedError(2 if group in {0xA1, 0xA4, 0xA7} else 1, f"{group:02x} {command:02x}")

    def _set(self, command: int, data: bytes) -> None:
        if command == 0x05 and data in (b"\0", b"\1"):
            self.on = data == b"\1"
        elif command == 0x07 and len(data) == 49 and data[0] <= 3 and max(data[1:]) <= 15:
            self.brightness_mode, self.brightness = data[0], list(data[1:])
        elif command == 0x02 and len(data) == 8:
            if any(byte >> 4 > 9 or byte & 15 > 9 for byte in data) or not 1 <= data[7] <= 7:
                raise DeclinedError(14, data.hex(" "))
            self.rtc = data
        elif command in {0x02, 0x05, 0x07}:
            raise DeclinedError(18, f"a2 {command:02x} with {data.hex(' ')}")
        else:
            raise DeclinedError(2, f"a2 {command:02x}")

    def _delete(self, data: bytes) -> None:
        if data == b"\xff":
            self.areas.clear()
        elif not data or data[0] != len(data) - 1:
            raise DeclinedError(18, f"list of areas {data.hex(' ')}")
        else:
            for number in data[1:]:
                self.areas.pop(number, None)

    def _update(self, data: bytes) -> None:
        from drivers.board.onbon.emulated_areas import parse_areas  # noqa: PLC0415  it needs this module

        areas = parse_areas(self.family, data, self._clock())
        for area in areas:
            self._judge(area)
            self.areas[area.number] = area

    def _judge(self, area: DynamicArea) -> None:
        left = self.faults.refused_areas.get(area.number, 0)
        if left:
            self.faults.refused_areas[area.number] = left - 1
            raise DeclinedError(4, f"asked to decline area {area.number}")
        if area.number >= self.area_limit:
            raise DeclinedError(4, f"area {area.number} of {self.area_limit}")
        right, bottom = area.x + area.width, area.y + area.height
        if not area.width or not area.height or right > self.width or bottom > self.height:
            raise DeclinedError(18, f"area to {right}, {bottom} of {self.width}, {self.height}")
        for other in self.areas.values():
            if other.number != area.number and (
                area.x < other.x + other.width
                and other.x < right
                and area.y < other.y + other.height
                and other.y < bottom
            ):
                raise DeclinedError(18, f"areas {area.number} and {other.number} overlap")
        if sum(len(page.bitmap) for page in area.pages) > AREA_LIMIT_BYTES:
            raise DeclinedError(4, "more than 300 KB")
        for page in area.pages:
            if len(page.bitmap) != self.bitmap_size(area):
                raise DeclinedError(18, f"bitmap of {len(page.bitmap)}, not {self.bitmap_size(area)} bytes")

    def bitmap_size(self, area: DynamicArea) -> int:
        """How many bytes a page of an area has: bytes or words on the grid of the whole screen."""
        if self.family == "6q":
            return area.width * area.height * 3
        grid = 8 if self.family == "5e" else 32
        first, last = area.x // grid, (area.x + area.width - 1) // grid
        planes = 2 if self.colours == "dual" else 1
        return (last - first + 1) * (grid // 8) * planes * area.height

    # -- what a person sees -------------------------------------------------------------------------------

    def render(self) -> bytes:
        """RGB of the whole screen now, height * width * 3 bytes; one colour is shown as red."""
        from drivers.board.onbon.emulated_areas import look_of  # noqa: PLC0415  it needs this module

        screen = bytearray(self.width * self.height * 3)
        if not self.on:
            return bytes(screen)
        now_s = self._clock()
        visible = [area for area in self.areas.values() if not self._stale(area, now_s)]
        if self.programs and not any(area.immediate == 1 for area in visible):
            program = next(iter(self.programs.values()))
            screen[:] = program[: len(screen)].ljust(len(screen), b"\0")
        for area in visible:
            rows = look_of(self.family, self.colours, area, now_s)
            for row, pixels in enumerate(rows):
                at = ((area.y + row) * self.width + area.x) * 3
                screen[at : at + area.width * 3] = pixels
        return bytes(screen)

    def _stale(self, area: DynamicArea, now_s: float) -> bool:
        return area.run_mode == 2 and now_s - area.since_s > area.timeout_s


if __name__ == "__main__":
    from drivers.board.onbon.emulated_network import main

    raise SystemExit(main())
