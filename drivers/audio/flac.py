"""Finds a block inside a FLAC file, so that decoding can begin at an exact sample.

Source: RFC 9639 (sections 8.2 STREAMINFO, 9.1 frame header). Only streams of fixed block size are searched:
that is what every common encoder writes.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import NamedTuple

_STREAMINFO_END = 42
_WINDOW_BYTES = 32 * 1024
_HEADER_MAX_BYTES = 16
_LAST_BLOCK = 0x80
_METADATA_BLOCKS_MAX = 1000
# libvlc's packetizer looks 16 bytes ahead before it believes a frame. Digital silence makes frames of 13
# bytes, so a file that ends with it would lose up to 0.4 s. These bytes behind it are never decoded.
_PADDING = bytes(64)


class StreamInfo(NamedTuple):
    """What the header of a FLAC file says.

    Attributes:
        block: samples per block when every block has that size, else 0.
        rate: samples per second.
        samples: whole length; 0 when unknown.
    """

    block: int
    rate: int
    samples: int


def parse_stream_info(head: bytes) -> StreamInfo | None:
    """Read STREAMINFO from the first 42 bytes of a file; None when they are something else."""
    if len(head) < _STREAMINFO_END or not head.startswith(b"fLaC") or head[4] & 0x7F:
        return None
    smallest, largest = struct.unpack_from(">HH", head, 8)
    packed = int.from_bytes(head[18:26], "big")
    rate = packed >> 44
    return StreamInfo(largest if smallest == largest else 0, rate, packed & ((1 << 36) - 1)) if rate else None


def _crc8_table() -> bytes:
    table = bytearray(256)
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = ((crc << 1) ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
        table[value] = crc
    return bytes(table)


_CRC8 = _crc8_table()


def frame_number(data: bytes, at: int) -> int | None:
    """Number of the fixed-size block whose frame header begins at `at`, or None when none does."""
    if len(data) - at < _HEADER_MAX_BYTES or data[at] != 0xFF or data[at + 1] != 0xF8:  # noqa: PLR2004  sync code
        return None
    size_code, rate_code = data[at + 2] >> 4, data[at + 2] & 15
    if size_code == 0 or rate_code == 15 or data[at + 3] >> 4 > 10 or data[at + 3] & 1:  # noqa: PLR2004  reserved values
        return None
    lead = data[at + 4]
    more = 0
    while more < 7 and lead & (0x80 >> more):  # noqa: PLR2004  length of the coded number
        more += 1
    if more in (1, 7):
        return None
    length = max(1, more)
    number = lead & (0x7F if more == 0 else 0x7F >> more)
    for byte in data[at + 5 : at + 4 + length]:
        if byte & 0xC0 != 0x80:  # noqa: PLR2004  continuation byte
            return None
        number = number << 6 | byte & 0x3F
    end = at + 4 + length
    end += {6: 1, 7: 2}.get(size_code, 0) + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    crc = 0
    for byte in data[at:end]:
        crc = _CRC8[crc ^ byte]
    return number if end < len(data) and crc == data[end] else None


def _first_frame(descriptor: int, offset: int, stop: int, highest: int) -> tuple[int, int] | None:
    """The first frame at or after `offset`: its place and number."""
    while offset < stop:
        window = os.pread(descriptor, _WINDOW_BYTES + _HEADER_MAX_BYTES, offset)
        at = window.find(b"\xff\xf8")
        while 0 <= at < _WINDOW_BYTES:
            number = frame_number(window, at)
            if number is not None and number <= highest:
                return offset + at, number
            at = window.find(b"\xff\xf8", at + 1)
        offset += _WINDOW_BYTES
    return None


def audio_start(descriptor: int) -> int:
    """Place of the first frame, after all metadata blocks; raises ValueError when they have no end."""
    place = 4
    for _ in range(_METADATA_BLOCKS_MAX):
        head = os.pread(descriptor, 4, place)
        if len(head) < 4:  # noqa: PLR2004  metadata block header
            break
        place += 4 + int.from_bytes(head[1:], "big")
        if head[0] & _LAST_BLOCK:
            return place
    raise ValueError("the FLAC header does not end")


def find_block(descriptor: int, info: StreamInfo, wanted: int) -> int:
    """Place in the file of the frame of block `wanted`; raises ValueError when it is not found."""
    low, high = audio_start(descriptor), os.fstat(descriptor).st_size
    if wanted == 0:
        return low
    if not info.block:
        raise ValueError("the FLAC blocks are of different sizes")
    highest = info.samples // info.block if info.samples else (1 << 31) - 1
    while True:
        middle = (low + high) // 2 if high - low > _WINDOW_BYTES else low
        found = _first_frame(descriptor, middle, high, highest)
        if found is not None and found[1] == wanted:
            return found[0]
        if middle == low:
            # The stretch is short now: walk it.
            if found is None or found[1] > wanted:
                raise ValueError(f"block {wanted} is not there")
            low = found[0] + 1
        elif found is None or found[1] > wanted:
            high = middle + _HEADER_MAX_BYTES
        else:
            low = found[0]


def _require(info: StreamInfo | None) -> StreamInfo:
    if info is None:
        raise ValueError("not a FLAC file")
    return info


def _tail_header(head: bytes) -> bytes:
    """Header for a part of a file.

    Length and checksum are those of the whole and become unknown (0). The smallest block is declared as 16:
    libvlc 3 takes the declared one for the last block too, and throws that away when it is shorter.
    """
    smallest = struct.pack(">H", 16)
    rest = head[10:21] + bytes([head[21] & 0xF0]) + bytes(4 + 16)
    return head[:4] + bytes([_LAST_BLOCK]) + head[5:8] + smallest + rest


class FlacTail:
    """A FLAC file from one block on, with a header before it: a file of its own for the decoder."""

    def __init__(self, path: Path, wanted: int) -> None:
        """Open the file at block `wanted`.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is damaged, or the block is not there.
        """
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            head = os.pread(self._descriptor, _STREAMINFO_END, 0)
            info = _require(parse_stream_info(head))
            self._offset = find_block(self._descriptor, info, wanted)
            self._body = os.fstat(self._descriptor).st_size - self._offset
        except (OSError, ValueError):
            self.close()
            raise
        self._head = _tail_header(head)
        # libvlc's packetizer never gives out a block that stands alone: give it two. Users know the length.
        alone = 0 < info.samples <= info.block
        self._end = _STREAMINFO_END + self._body * (2 if alone else 1)
        self.size = self._end + len(_PADDING)
        self._position = 0

    def seek(self, position: int) -> None:
        self._position = position

    def read(self, count: int) -> bytes:
        """Up to `count` bytes; b"" at the end."""
        if self._position < len(self._head):
            data = self._head[self._position : self._position + count]
        elif self._position < self._end:
            place = self._position - len(self._head)
            if place >= self._body:
                place -= self._body
            data = os.pread(self._descriptor, min(count, self._end - self._position), self._offset + place)
        else:
            at = self._position - self._end
            data = _PADDING[at : at + count]
        self._position += len(data)
        return data

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
