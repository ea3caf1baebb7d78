"""Frames of Onbon BX-5 and BX-6 cards: values to bytes and back, no I/O.

A frame on the wire is eight `a5`, the escaped content, `5a`. Three headers are in use: F0 for dynamic areas
(all models), C5 for common commands of the fifth generation, C6 for those of the sixth. Numbers are
little-endian; lengths and checks are over unescaped bytes.

Source: vendor's manual of dynamic areas for the 5th and 6th generation (`onbonlab/BX-V-VI`), its open library
(`onbonlab/bx.dual.dyn.java`), and frames captured from its Java SDK (bx05 0.5, bx06 0.6.200402A).
Untested on hardware.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum

SYNC = 0xA5
END = 0x5A
_PREAMBLE = bytes([SYNC]) * 8
_ESCAPED = ((0xA6, b"\xa6\x01"), (0xA5, b"\xa6\x02"), (0x5B, b"\x5b\x01"), (0x5A, b"\x5b\x02"))
"""In this order: the introducers themselves come before the bytes that need them."""
_UNESCAPED = {pair: byte for byte, pair in _ESCAPED}
_INTRODUCERS = frozenset({0xA6, 0x5B})

REPLY_MAX_BYTES = 4096
"""No reply that we ask for is longer than 350 bytes; more is garbage."""

BROADCAST = 0xFFFE
SCREEN_NUMBER = 0x0001
_SOURCE = 0x8000
_ANY_DEVICE = 0xFFFE
_NO_ENCRYPTION = 0x96
_F0_HEADER = struct.Struct("<HHBBHII")
_C5_HEADER = struct.Struct("<HHBBHBBHBBBB6sHH")
_C6_HEADER = struct.Struct("<HHBBHBBHHBB6sHHB")
_REPLY = struct.Struct("<BBBHHH")
BRIGHTNESS_STEPS = 15
"""The brightest of the card's levels, 0 to 15."""
BRIGHTNESS_MODE_MAX = 3
_HALF_HOURS = 48
_BITS = 8
_BARCODE_BYTES = 16
_ONES = 0xFFFF_FFFF


class FrameError(ValueError):
    """Bytes that are no frame, or a frame that is none of the manual."""


class Family(StrEnum):
    """Cards that share encoding and headers; the values are those of the option `model`."""

    BX5E = "5e"
    BX6E = "6e"
    BX6Q = "6q"


class Header(IntEnum):
    """The headers by the byte that tells them apart, the fifth."""

    F0 = 0xF0
    C5 = 0x05
    C6 = 0x07


ERRORS = {
    0: "no error",
    1: "wrong command group",
    2: "no such command",
    3: "busy",
    4: "out of memory",
    5: "checksum of the packet",
    6: "file missing",
    7: "flash access",
    8: "download",
    9: "file name",
    10: "file type",
    11: "checksum of the file",
    12: "no font",
    13: "firmware does not fit",
    14: "date format",
    15: "file exists",
    16: "block number",
    17: "controller type",
    18: "screen parameter",
    19: "controller id",
}
BUSY = 3
PACKET_CHECK = 5
TRANSIENT_ERRORS = frozenset({BUSY, PACKET_CHECK})
"""The only ones worth sending again."""


GROUP_COMMON = 0xA2
GROUP_AREAS = 0xA7
GROUP_ACKNOWLEDGE = 0xA0
PING, SET_CLOCK, SWITCH, BRIGHTNESS, STATUS = 0x00, 0x02, 0x05, 0x07, 0x0F
UPDATE_AREA, DELETE_AREAS = 0x00, 0x01
_ANSWERS = 0x80
"""Added to a command's number in the reply that carries its answer."""
_ALL_AREAS = 0xFF


def escape(content: bytes) -> bytes:
    """Replace the four bytes that may not stand between `a5` and `5a`."""
    for byte, pair in _ESCAPED:
        content = content.replace(bytes([byte]), pair)
    return content


def unescape(content: bytes) -> bytes:
    """Undo `escape`; raises FrameError when a pair does not exist."""
    if not _INTRODUCERS.intersection(content):
        return content
    plain = bytearray()
    position = 0
    while position < len(content):
        byte = content[position]
        if byte not in _INTRODUCERS:
            plain.append(byte)
            position += 1
            continue
        pair = content[position : position + 2]
        if pair not in _UNESCAPED:
            raise FrameError(f"escape {pair.hex(' ')} does not exist")
        plain.append(_UNESCAPED[pair])
        position += 2
    return bytes(plain)


def frame(content: bytes) -> bytes:
    """A complete wire frame around header, body and check."""
    return _PREAMBLE + escape(content) + bytes([END])


def _crc16_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        check = byte
        for _ in range(_BITS):
            check = check >> 1 ^ (0xA001 if check & 1 else 0)
        table.append(check)
    return tuple(table)


_CRC16 = _crc16_table()


def crc16(data: bytes) -> int:
    """CRC-16/ARC: reflected polynomial a001, start 0, no final xor."""
    check = 0
    for byte in data:
        check = check >> 8 ^ _CRC16[(check ^ byte) & 0xFF]
    return check


def file_crc32(data: bytes) -> int:
    """Check of a file in the card's flash: reflected edb88320, but start 0 and no final xor."""
    return zlib.crc32(data, _ONES) ^ _ONES


def xor(data: bytes) -> int:
    """Check of the C5 and C6 headers."""
    check = 0
    for byte in data:
        check ^= byte
    return check


@dataclass(frozen=True, slots=True)
class Session:
    """What the C5 and C6 headers of one exchange carry.

    Attributes:
        sequence: 0 to 65535.
        random: 0 to 255; the vendor's SDK takes one per session.
        q_model: header values of the 6Q, which has Ethernet only.
    """

    sequence: int = 0
    random: int = 0
    q_model: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A command to the card.

    Attributes:
        group, command: numbers of the manual's table.
        data: what follows group, command and length.
        header: family of the header it is sent with.
        broadcast: to any screen number; only for ping.
    """

    group: int
    command: int
    data: bytes = b""
    header: Header = Header.F0
    broadcast: bool = False

    def body(self) -> bytes:
        """Reply wanted, group, command, length of the data, data; a length over 65535 is written as 0."""
        length = len(self.data) if len(self.data) <= 0xFFFF else 0  # noqa: PLR2004  16 bits
        return struct.pack("<BBBH", 1, self.group, self.command, length) + self.data

    def encode(self, session: Session = Session()) -> bytes:
        """The wire frame."""
        body = self.body()
        target = BROADCAST if self.broadcast else SCREEN_NUMBER
        if self.header is Header.F0:
            content = _F0_HEADER.pack(target, _SOURCE, self.header, 0, _ANY_DEVICE, 0, len(body)) + body
            return frame(content + struct.pack("<H", crc16(content)))
        q_model = int(session.q_model)
        if self.header is Header.C5:
            head = _C5_HEADER.pack(
                target, _SOURCE, self.header, 0, _ANY_DEVICE, 1, 0, session.sequence, 0, 0x90,
                _NO_ENCRYPTION, session.random, bytes(6), len(body), crc16(body),
            )  # fmt: skip
        else:
            head = _C6_HEADER.pack(
                target, _SOURCE, self.header, q_model, _ANY_DEVICE, q_model, 0, session.sequence, 0x0190,
                _NO_ENCRYPTION, session.random, bytes(6), len(body), crc16(body), 0,
            )  # fmt: skip
        return frame(head + bytes([xor(head)]) + body)


def ping(header: Header) -> Request:
    """Ask who is there."""
    return Request(GROUP_COMMON, PING, header=header, broadcast=True)


def status(header: Header) -> Request:
    """Ask for state and sensors."""
    return Request(GROUP_COMMON, STATUS, header=header)


def switch(header: Header, *, on: bool) -> Request:
    """Switch the screen on or off; the card remembers it without power."""
    return Request(GROUP_COMMON, SWITCH, bytes([on]), header)


def brightness(header: Header, step: int, mode: int = 0) -> Request:
    """Set one brightness for all 48 half hours of the day.

    Args:
        header: of the card's generation.
        step: 0 to 15.
        mode: 0 manual, 1 timed, 2 sensor, 3 automatic.

    Raises:
        ValueError: out of range.
    """
    if not 0 <= step <= BRIGHTNESS_STEPS or not 0 <= mode <= BRIGHTNESS_MODE_MAX:
        raise ValueError(f"brightness step {step}, mode {mode}")
    return Request(GROUP_COMMON, BRIGHTNESS, bytes([mode]) + bytes([step]) * _HALF_HOURS, header)


def set_clock(header: Header, when: datetime) -> Request:
    """Set the card's clock to the civil time of `when`; its zone is not told to the card."""
    year = when.year % 10_000
    digits = (year % 100, year // 100, when.month, when.day, when.hour, when.minute, when.second)
    data = bytes([*(_to_bcd(value) for value in digits), when.isoweekday()])
    return Request(GROUP_COMMON, SET_CLOCK, data, header)


def delete_areas(ids: tuple[int, ...] = ()) -> Request:
    """Take dynamic areas away; no ids: all of them."""
    data = bytes([len(ids), *ids]) if ids else bytes([_ALL_AREAS])
    return Request(GROUP_AREAS, DELETE_AREAS, data)


def _to_bcd(value: int) -> int:
    return value // 10 << 4 | value % 10


class Splitter:
    """Cuts a stream of bytes into the unescaped contents of frames; keeps at most one frame."""

    def __init__(self) -> None:
        """Wait for the first `a5`."""
        self._content: bytearray | None = None
        self.skipped = 0
        """Bytes that belonged to no frame."""

    @property
    def begun(self) -> bool:
        """A frame has begun and not ended."""
        return self._content is not None

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes as they come.

        Raises:
            FrameError: an escape that does not exist, or a frame longer than any reply; what came is dropped.
        """
        contents = []
        for byte in data:
            if byte == SYNC:
                self.skipped += len(self._content or b"")
                self._content = bytearray()
            elif self._content is None:
                self.skipped += 1
            elif byte == END:
                content, self._content = bytes(self._content), None
                contents.append(unescape(content))
            else:
                self._content.append(byte)
                if len(self._content) > 2 * REPLY_MAX_BYTES:
                    self._content = None
                    raise FrameError(f"a reply of more than {REPLY_MAX_BYTES} bytes")
        return contents


@dataclass(frozen=True, slots=True)
class Reply:
    """What a card answered.

    Attributes:
        group, command: `a0` `00` accepted, `a0` `01` declined, else the number of the command + 80 (hex).
        status: bit 0 says that it was declined.
        error: number, see `ERRORS`.
        data: of the answer.
        device_type: of the card that answered; fffe when it does not tell.
    """

    group: int
    command: int
    status: int
    error: int
    data: bytes
    device_type: int = _ANY_DEVICE

    @property
    def declined(self) -> bool:
        return bool(self.status & 1) or (self.group, self.command) == (GROUP_ACKNOWLEDGE, 1)

    @property
    def accepted(self) -> bool:
        return not self.declined and (self.group, self.command) == (GROUP_ACKNOWLEDGE, 0)

    @property
    def why(self) -> str:
        """The error in words."""
        return f"error {self.error}, {ERRORS.get(self.error, 'not in the manual')}"

    def answers(self, request: Request) -> bool:
        """Whether it carries the answer that `request` asks for."""
        wanted = (request.group, request.command + _ANSWERS)
        return not self.declined and (self.group, self.command) == wanted


def parse_reply(content: bytes) -> Reply:
    """Read the unescaped content of a frame from the card.

    Raises:
        FrameError: unknown header, wrong length or wrong check.
    """
    if len(content) < _F0_HEADER.size:
        raise FrameError(f"a reply of {len(content)} bytes")
    kind = content[4]
    if kind == Header.F0:
        device, length = _F0_HEADER.unpack_from(content)[4::2]
        size, check = _F0_HEADER.size, 2
        good = crc16(content[:-check]) == int.from_bytes(content[-check:], "little")
        body = content[size:-check]
    elif kind in (Header.C5, Header.C6):
        header = _C5_HEADER if kind == Header.C5 else _C6_HEADER
        size = header.size + 1
        if len(content) < size:
            raise FrameError(f"a reply of {len(content)} bytes")
        fields = header.unpack_from(content)
        device = fields[4]
        length, body_check = fields[-2:] if kind == Header.C5 else fields[-3:-1]
        body = content[size:]
        if kind == Header.C6 and len(body) == length + _BARCODE_BYTES:  # a flag that we need not know
            body = body[_BARCODE_BYTES:]
        good = xor(content[: size - 1]) == content[size - 1] and crc16(body) == body_check
    else:
        raise FrameError(f"header {kind:02x} is none of the manual")
    if not good:
        raise FrameError("the check of the reply is wrong")
    if len(body) != length or len(body) < _REPLY.size:
        raise FrameError(f"the reply tells of {length} bytes and has {len(body)}")
    _, group, command, state, error, count = _REPLY.unpack_from(body)
    data = body[_REPLY.size :]
    if count != len(data):
        raise FrameError(f"the reply tells of {count} bytes of data and has {len(data)}")
    return Reply(group, command, state, error, data, device)
