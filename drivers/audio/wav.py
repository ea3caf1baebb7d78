"""WAV files with silence put behind them, because libvlc's transcoder loses the last 50 ms of a WAV file."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import NamedTuple

_HEAD_BYTES = 4096
_PAD_S = 0.25
_FORMAT_BYTES = 16


class WavInfo(NamedTuple):
    """What the header of a WAV file says.

    Attributes:
        rate: frames per second.
        step: bytes per frame.
        begin: place of the sound in the file.
        length: bytes of sound that the file really holds.
    """

    rate: int
    step: int
    begin: int
    length: int


def parse_wav(head: bytes, size: int) -> WavInfo | None:
    """Find the sound of a WAV file; None when the first bytes do not tell.

    Args:
        head: first bytes of the file.
        size: of the whole file.
    """
    rate, step, offset = 0, 0, 12
    while offset + 8 <= len(head):
        name, length = struct.unpack_from("<4sI", head, offset)
        body = offset + 8
        if name == b"fmt " and body + _FORMAT_BYTES <= len(head):
            rate, _, step = struct.unpack_from("<IIH", head, body + 4)
        if name == b"data":
            length = max(0, min(length, size - body))
            return WavInfo(rate, step, body, length - length % step) if rate and step else None
        offset = body + length + (length & 1)
    return None


class PaddedWav:
    """A WAV file with a quarter of a second of silence behind it."""

    def __init__(self, path: Path) -> None:
        """Open the file; raises OSError, or ValueError when its header is broken."""
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        head = os.pread(self._descriptor, _HEAD_BYTES, 0)
        info = parse_wav(head, os.fstat(self._descriptor).st_size)
        if info is None:
            self.close()
            raise ValueError("the WAV header is broken")
        length = info.length + round(info.rate * _PAD_S) * info.step
        self._end = info.begin + info.length
        self.size = info.begin + length
        self._head = (
            head[:4] + struct.pack("<I", self.size - 8) + head[8 : info.begin - 4] + struct.pack("<I", length)
        )
        self._position = 0

    def seek(self, position: int) -> None:
        self._position = position

    def read(self, count: int) -> bytes:
        """Up to `count` bytes; b"" at the end."""
        if self._position < len(self._head):
            data = self._head[self._position : self._position + count]
        elif self._position < self._end:
            data = os.pread(self._descriptor, min(count, self._end - self._position), self._position)
        else:
            data = bytes(min(count, self.size - self._position))
        self._position += len(data)
        return data

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
