"""A framebuffer device made of a file, written from linux/fb.h: answers its ioctls and reads its own memory.

Emulates what a driver meets: rows longer than the picture, a panned start, several orders of channels, and a
device that goes away.
"""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import dataclass
from pathlib import Path

FBIOGET_VSCREENINFO = 0x4600
FBIOGET_FSCREENINFO = 0x4602


@dataclass(frozen=True, slots=True)
class Channel:
    """Where one colour lies in a pixel read as a little-endian number."""

    offset: int
    length: int

    def of(self, pixel: int) -> int:
        """Value from 0 to 255."""
        top = (1 << self.length) - 1
        return ((pixel >> self.offset) & top) * 255 // top


class EmulatedFramebuffer:
    """Memory in a file, as `/dev/fb0` would be."""

    def __init__(
        self,
        path: Path,
        width_px: int,
        height_px: int,
        *,
        bits: int = 32,
        channels: tuple[Channel, Channel, Channel] = (Channel(16, 8), Channel(8, 8), Channel(0, 8)),
        gap_bytes: int = 0,
        panned_rows: int = 0,
    ) -> None:
        """Make the file.

        Args:
            path: where the memory lies.
            width_px: of what is visible.
            height_px: of what is visible.
            bits: of a pixel.
            channels: red, green, blue.
            gap_bytes: unused bytes after each row.
            panned_rows: hidden above the picture.
        """
        self.path = path
        self.width_px = width_px
        self.height_px = height_px
        self.bits = bits
        self.channels = channels
        self.line_length = width_px * bits // 8 + gap_bytes
        self.panned_rows = panned_rows
        self.present = False
        self.asked = 0
        self._content = bytes(self.line_length * (height_px + panned_rows))
        self.plug()

    def plug(self) -> None:
        """Let the device be there, black or with what it showed when it went."""
        self.path.write_bytes(self._content)
        self.present = True

    def unplug(self) -> None:
        """Let the device go: its node vanishes, and whoever holds it gets ENODEV."""
        self._content = self.path.read_bytes()
        self.path.unlink()
        self.present = False

    def scribble(self, text: bytes = b"\x55login: ") -> None:
        """Draw over the picture as the console does."""
        with self.path.open("r+b") as file:
            file.seek(self.panned_rows * self.line_length)
            file.write(text * 4)

    def memory(self) -> bytes:
        """All of the memory, hidden rows and gaps too."""
        return self.path.read_bytes() if self.present else self._content

    def picture(self, width_px: int, height_px: int) -> bytes:
        """R G B of the upper left part of what is visible."""
        memory, size = self.memory(), self.bits // 8
        rgb = bytearray()
        for row in range(height_px):
            start = (row + self.panned_rows) * self.line_length
            for column in range(width_px):
                at = start + column * size
                pixel = int.from_bytes(memory[at : at + size], "little")
                rgb += bytes(channel.of(pixel) for channel in self.channels)
        return bytes(rgb)

    def ioctl(self, file: int, request: int, buffer: bytearray) -> int:
        """Answer as the kernel does."""
        os.fstat(file)
        self.asked += 1
        if not self.present:
            raise OSError(errno.ENODEV, "No such device")
        if request == FBIOGET_VSCREENINFO:
            self._answer(buffer, self._variable(), 160)
        elif request == FBIOGET_FSCREENINFO:
            self._answer(buffer, self._fixed(), 80)
        else:
            raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")
        return 0

    def _variable(self) -> bytes:
        total = self.height_px + self.panned_rows
        words = [self.width_px, self.height_px, self.width_px, total, 0, self.panned_rows, self.bits, 0]
        for channel in self.channels:
            words += [channel.offset, channel.length, 0]
        return struct.pack("=40I", *words, *([0] * (40 - len(words))))

    def _fixed(self) -> bytes:
        head = struct.pack("<16sQIIII", b"emulated fb", 0, len(self._content), 0, 0, 2)
        return (head + bytes(8) + struct.pack("<I", self.line_length)).ljust(80, b"\0")

    @staticmethod
    def _answer(buffer: bytearray, answer: bytes, size: int) -> None:
        if len(buffer) < size:
            raise OSError(errno.EFAULT, f"struct of {len(buffer)} bytes, the kernel writes {size}")
        buffer[:size] = answer
