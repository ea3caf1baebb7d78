"""Packets of Huidu SDK2 over TCP: bytes to values, no I/O. Untested on hardware.

Source: hardware.md 3.1 (vendor's C# SDK of 2017, huidutech/sdk). Little-endian; the length of a packet counts
its own header; a document of XML travels in pieces that each say the total length and where they belong.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

PORT = 10001
LONGEST_PACKET = 9216
LONGEST_PIECE = 9200
LONGEST_DOCUMENT = 1 << 20
VERSION = 0x0100_0005

_HEADER = struct.Struct("<HH")
_PIECE = struct.Struct("<II")
_FILE = struct.Struct("<33sqh")
_FILE_FOUND = struct.Struct("<hq")
_VERSION = struct.Struct("<IH")
_STATUS = struct.Struct("<H")


class MalformedError(ValueError):
    """Bytes that the protocol does not allow."""


class Command(IntEnum):
    """Meaning of a packet; answers are one more than what they answer."""

    HEARTBEAT = 0x005F
    HEARTBEAT_ANSWER = 0x0060
    ERROR = 0x2000
    VERSION = 0x2001
    VERSION_ANSWER = 0x2002
    XML = 0x2003
    XML_ANSWER = 0x2004
    FILE_START = 0x8001
    FILE_START_ANSWER = 0x8002
    FILE_BYTES = 0x8003
    FILE_END = 0x8005
    FILE_END_ANSWER = 0x8006


class FileKind(IntEnum):
    """Where and as what a file is kept."""

    PICTURE = 0
    """In flash."""

    PICTURE_IN_RAM = 128
    """In memory, gone with the power, 10 MB for all; of newer firmware, not in the SDK of 2017."""


OCCUPIED = 4
"""Status: another client has the card."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet; `command` may be one that we do not know."""

    command: int
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class FileFound:
    """Answer to the start of a file: `status` 0 is well, `size_bytes` of it are there already."""

    status: int
    size_bytes: int


def pack(command: Command, payload: bytes = b"") -> bytes:
    """Build a packet; raises ValueError when it would be longer than 9216 bytes."""
    length = _HEADER.size + len(payload)
    if length > LONGEST_PACKET:
        raise ValueError(f"packet of {length} bytes, at most {LONGEST_PACKET}")
    return _HEADER.pack(length, command) + payload


def version_ask() -> bytes:
    """First packet of a session."""
    return pack(Command.VERSION, struct.pack("<I", VERSION))


def version_answer(payload: bytes) -> int:
    """Version of the card; raises MalformedError, also when its status is not 0."""
    if len(payload) != _VERSION.size:
        raise MalformedError(f"version answer of {len(payload)} bytes")
    version, status = _VERSION.unpack(payload)
    if status:
        raise MalformedError(f"version refused with status {status}")
    return int(version)


def xml_ask(document: bytes) -> list[bytes]:
    """Packets that carry a document; raises ValueError when it is empty or longer than 1 MiB."""
    if not 0 < len(document) <= LONGEST_DOCUMENT:
        raise ValueError(f"document of {len(document)} bytes")
    return [
        pack(Command.XML, _PIECE.pack(len(document), start) + document[start : start + LONGEST_PIECE])
        for start in range(0, len(document), LONGEST_PIECE)
    ]


def file_start(name: str, md5: str, size_bytes: int, kind: FileKind) -> bytes:
    """Announce a file.

    Args:
        name: without directories, as programmes refer to it.
        md5: 32 hexadecimal digits.
        size_bytes: of the whole file.
        kind: where it is kept.
    """
    head = _FILE.pack(md5.encode("ascii"), size_bytes, kind)
    return pack(Command.FILE_START, head + name.encode() + b"\0")


def file_found(payload: bytes) -> FileFound:
    """Read the answer to `file_start`; raises MalformedError."""
    if len(payload) < _FILE_FOUND.size:
        raise MalformedError(f"file answer of {len(payload)} bytes")
    status, size_bytes = _FILE_FOUND.unpack_from(payload)
    if size_bytes < 0:
        raise MalformedError("file of negative size")
    return FileFound(status, size_bytes)


def file_bytes(data: bytes, start: int) -> list[bytes]:
    """Packets with the bytes of a file from `start` on."""
    step = LONGEST_PACKET - _HEADER.size
    return [pack(Command.FILE_BYTES, data[at : at + step]) for at in range(start, len(data), step)]


def status_of(payload: bytes) -> int:
    """Status of an error or file end answer; an empty one is 0."""
    if not payload:
        return 0
    if len(payload) < _STATUS.size:
        raise MalformedError("status of one byte")
    return int(_STATUS.unpack_from(payload)[0])


class Splitter:
    """Cuts a stream into packets, wherever it was cut on its way."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Packet]:
        """Take more bytes and return the packets that are complete.

        Raises:
            MalformedError: a length below 4 or above 9216; the stream cannot be followed any further.
        """
        self._rest += data
        found: list[Packet] = []
        while len(self._rest) >= _HEADER.size:
            length, command = _HEADER.unpack_from(self._rest)
            if not _HEADER.size <= length <= LONGEST_PACKET:
                raise MalformedError(f"packet that says it has {length} bytes")
            if len(self._rest) < length:
                break
            found.append(Packet(command, bytes(self._rest[_HEADER.size : length])))
            del self._rest[:length]
        return found


class Document:
    """Puts the pieces of an XML answer together."""

    def __init__(self) -> None:
        self._held = bytearray()

    def add(self, payload: bytes) -> bytes | None:
        """Take a piece and return the document once it is whole.

        Raises:
            MalformedError: too short, too long, out of order, or more than was announced.
        """
        if len(payload) < _PIECE.size:
            raise MalformedError(f"piece of {len(payload)} bytes")
        total, start = _PIECE.unpack_from(payload)
        if not 0 < total <= LONGEST_DOCUMENT:
            raise MalformedError(f"document that says it has {total} bytes")
        if start != len(self._held):
            raise MalformedError(f"piece at {start}, expected {len(self._held)}")
        if len(payload) == _PIECE.size:
            raise MalformedError("empty piece")
        self._held += payload[_PIECE.size :]
        if len(self._held) > total:
            raise MalformedError(f"{len(self._held)} bytes of a document of {total}")
        return bytes(self._held) if len(self._held) == total else None
