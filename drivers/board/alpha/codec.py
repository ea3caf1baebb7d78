"""Frames of the Alpha sign protocol (Alpha, BetaBrite): bytes to values, no I/O. Untested on hardware.

Source: hardware.md section 1 (vendor document 9708-8061, as others implemented it). A message is a tuple of
chunks: joined they are the frame, between them the sign wants a pause of 100 ms.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

PAUSE_S = 0.1
ROWS_MAX = 31
COLUMNS_MAX = 255
PRIORITY = b"0"

_SYNC = b"\0" * 5
_SOH, _STX, _ETX, _EOT = 0x01, 0x02, 0x03, 0x04
_ACK, _NAK = 0x06, 0x15
_CR = b"\r"
_REPLY_MAX = 70_000
_STATUS_SET = 0x40
_CHECKSUM = 4
_HEAD = 4  # SOH, type code, address
_ENTRY = 11

Message = tuple[bytes, ...]

MIDDLE_HOLD = b"\x1b\x20b"
"""Begins a TEXT file: position middle, mode hold."""


class MalformedError(ValueError):
    """Bytes that the protocol does not allow."""


class Kind(Enum):
    """Kind of a file and the letters that write and read it."""

    TEXT = ("A", b"A", b"B")
    STRING = ("B", b"G", b"H")
    DOTS = ("D", b"I", b"J")

    def __init__(self, letter: str, write: bytes, read: bytes) -> None:
        self.letter = letter
        self.write = write
        self.read = read


class Depth(Enum):
    """Colours of a DOTS file."""

    MONO = "1000"
    THREE = "2000"
    EIGHT = "4000"


class Fault(Enum):
    """Bits of the error register."""

    ILLEGAL = 0x20
    CHECKSUM = 0x10
    OVERFLOW = 0x08
    TIMEOUT = 0x04
    FRAMING = 0x02
    PARITY = 0x01


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in the memory of a sign.

    Attributes:
        label: one byte, 0x20 to 0x7f but not `?`.
        kind: what it holds.
        size: bytes; DOTS: rows * 256 + columns.
        more: four characters: TEXT times it runs (`FF00` always), STRING `0000`, DOTS its `Depth`.
        locked: against the infrared keyboard.
    """

    label: bytes
    kind: Kind
    size: int
    more: str
    locked: bool = True

    def encode(self) -> bytes:
        """The 11 characters of the memory configuration."""
        lock = "L" if self.locked else "U"
        return self.label + f"{self.kind.letter}{lock}{self.size:04X}{self.more}".encode("ascii")


def text_entry(label: bytes, size_bytes: int, *, locked: bool = True) -> Entry:
    return Entry(label, Kind.TEXT, size_bytes, "FF00", locked)


def string_entry(label: bytes, size_bytes: int) -> Entry:
    return Entry(label, Kind.STRING, size_bytes, "0000")


def dots_entry(label: bytes, rows: int, columns: int, depth: Depth) -> Entry:
    return Entry(label, Kind.DOTS, rows * 256 + columns, depth.value)


def parse_table(data: bytes) -> tuple[Entry, ...]:
    """Read a memory configuration; raises MalformedError."""
    if len(data) % _ENTRY:
        raise MalformedError(f"memory configuration of {len(data)} bytes")
    kinds = {kind.letter: kind for kind in Kind}
    found = []
    for start in range(0, len(data), _ENTRY):
        item = data[start : start + _ENTRY]
        match = re.fullmatch(rb"[\x20-\x7f]([ABD])([UL])([0-9A-Fa-f]{4})([0-9A-Fa-f]{4})", item)
        if match is None:
            raise MalformedError(f"memory configuration with {item!r}")
        kind = kinds[match[1].decode()]
        found.append(Entry(item[:1], kind, int(match[3], 16), match[4].decode().upper(), match[2] == b"L"))
    return tuple(found)


def message(*parts: bytes, kind: bytes = b"Z", address: bytes = b"00") -> Message:
    """Build the frame of one command with its checksum; a pause is wanted between `parts`.

    Args:
        parts: command letter and data.
        kind: type code of the sign, `Z` for all.
        address: two hexadecimal digits, `00` for all.
    """
    body = bytes((_STX,)) + b"".join(parts) + bytes((_ETX,))
    tail = bytes((_ETX,)) + f"{sum(body) & 0xFFFF:04X}".encode() + bytes((_EOT,))
    chunks = [_SYNC + bytes((_SOH,)) + kind + address + bytes((_STX,)) + parts[0], *parts[1:]]
    chunks[-1] += tail
    return tuple(chunks)


def write_file(kind: Kind, label: bytes, data: bytes) -> tuple[bytes, ...]:
    """Parts that write a TEXT or STRING file, or a DOTS file as it was read."""
    if kind is Kind.DOTS:
        return (kind.write + label + data[:4], data[4:])
    return (kind.write + label + data,)


def write_dots(label: bytes, rows: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Parts that write a SMALL DOTS picture.

    Args:
        label: of its file.
        rows: at most 31 of the same length of at most 255; one character a pixel: `0` off, `1` red,
            `2` green, `3` amber, `4` dim red, `5` dim green, `6` brown, `7` orange, `8` yellow.

    Raises:
        ValueError: too large or uneven.
    """
    return (Kind.DOTS.write + label + dots_size(rows), b"".join(row + _CR for row in rows))


def dots_size(rows: tuple[bytes, ...]) -> bytes:
    columns = len(rows[0]) if rows else 0
    if not 0 < len(rows) <= ROWS_MAX or not 0 < columns <= COLUMNS_MAX:
        raise ValueError(f"picture of {len(rows)} rows, {columns} columns")
    if any(len(row) != columns for row in rows):
        raise ValueError("uneven rows")
    return f"{len(rows):02X}{columns:02X}".encode()


def parse_dots(data: bytes) -> tuple[bytes, ...]:
    """Read the content of a DOTS file, from its size on; raises MalformedError."""
    if re.fullmatch(rb"[0-9A-Fa-f]{4}", data[:4]) is None:
        raise MalformedError(f"picture without a size: {data[:8]!r}")
    rows, columns = int(data[:2], 16), int(data[2:4], 16)
    found = tuple(data[4:].split(_CR)[:-1])
    if len(found) != rows or any(len(row) != columns for row in found):
        raise MalformedError(f"picture of {len(found)} rows instead of {rows}")
    return found


def write_special(label: bytes, data: bytes = b"") -> tuple[bytes, ...]:
    return (b"E" + label + data,)


def read_special(label: bytes) -> tuple[bytes, ...]:
    return (b"F" + label,)


def read_file(kind: Kind, label: bytes) -> tuple[bytes, ...]:
    return (kind.read + label,)


def configure(entries: tuple[Entry, ...]) -> tuple[bytes, ...]:
    """Lay out the memory: erases every file. No entries: wipe it."""
    return write_special(b"$", b"".join(entry.encode() for entry in entries))


def cancel_priority() -> tuple[bytes, ...]:
    return (Kind.TEXT.write + PRIORITY,)


def dimming(level: float) -> bytes:
    """Data of the dimming register for a level from 0 (44 %, the darkest there is) to 1 (full)."""
    return f"00{round((1 - min(max(level, 0.0), 1.0)) * 4):02d}".encode()


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The sign took a frame, or (`well` False) did not; `status` is its error register."""

    well: bool
    status: int


@dataclass(frozen=True, slots=True)
class Reply:
    """The sign answers a read: `data` begins with the letter that would write the same."""

    data: bytes


class Splitter:
    """Cuts what a sign sends into answers, wherever it was cut on its way."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Acknowledged | Reply]:
        """Take more bytes and return the answers that are complete; raises MalformedError."""
        self._held += data
        found: list[Acknowledged | Reply] = []
        while True:
            while self._held[:1] == b"\0":
                del self._held[:1]
            if not self._held:
                return found
            first = self._held[0]
            if first in {_ACK, _NAK}:
                if len(self._held) < 2:  # noqa: PLR2004  the status byte is still to come
                    return found
                status = self._held[1]
                if not status & _STATUS_SET or status > 0x7F:  # noqa: PLR2004  seven bits
                    raise MalformedError(f"status 0x{status:02x}")
                found.append(Acknowledged(first == _ACK, status))
                del self._held[:2]
                continue
            if first != _SOH:
                raise MalformedError(f"answer begins with 0x{first:02x}")
            end = self._held.find(_EOT)
            if end < 0:
                if len(self._held) > _REPLY_MAX:
                    raise MalformedError("endless answer")
                return found
            found.append(_reply(bytes(self._held[:end])))
            del self._held[: end + 1]


def _reply(held: bytes) -> Reply:
    """Check a reply from SOH up to its end of transmission."""
    body = held[_HEAD:]
    if held[1:2] != b"0" or body[:1] != bytes((_STX,)) or body[-_CHECKSUM - 1 : -_CHECKSUM] != bytes((_ETX,)):
        raise MalformedError(f"reply {held[:12]!r}")
    stated = body[-_CHECKSUM:]
    if re.fullmatch(rb"[0-9A-Fa-f]{4}", stated) is None or int(stated, 16) != sum(body[:-_CHECKSUM]) & 0xFFFF:
        raise MalformedError("reply with a wrong checksum")
    return Reply(body[1 : -_CHECKSUM - 1])
