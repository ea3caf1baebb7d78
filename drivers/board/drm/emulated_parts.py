"""Parts of the emulated display device: its memory, sockets and modes."""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass, field


def fail(number: int, why: str) -> OSError:
    """Make the error of a system call."""
    return OSError(number, why)


@dataclass(slots=True)
class Dumb:
    """Memory that a program asked for; owner -1 is the kernel."""

    width: int
    height: int
    pitch: int
    memory: bytearray
    owner: int


@dataclass(slots=True)
class Framebuffer:
    """A picture in such memory."""

    width: int
    height: int
    pitch: int
    dumb: Dumb | None
    owner: int


@dataclass(slots=True)
class EmulatedConnector:
    """A socket with a display at it, or without.

    Attributes:
        number: 1 for `HDMI-A-1`.
        connected: a display answers.
        modes: width, height, refresh rate; the first is the preferred one.
        size_mm: of the display.
    """

    number: int
    connected: bool = True
    modes: list[tuple[int, int, int]] = field(default_factory=lambda: [(1280, 720, 60), (640, 480, 60)])
    size_mm: tuple[int, int] = (520, 290)


class WriteOnly:
    """Mapped memory that nobody may read."""

    def __init__(self, memory: bytearray) -> None:
        self._memory: bytearray | None = memory

    def write_at(self, start: int, data: memoryview) -> None:
        if self._memory is None or start < 0 or start + len(data) > len(self._memory):
            raise fail(errno.EFAULT, "wrote outside of the mapping")
        self._memory[start : start + len(data)] = data

    def close(self) -> None:
        self._memory = None


def emulated_mode(width: int, height: int, rate: int, *, preferred: bool = False) -> bytes:
    """The 68 bytes of struct drm_mode_modeinfo, with blanking around the picture."""
    total_width, total_height = width + 160, height + 30
    words = struct.pack("<I", total_width * total_height * rate // 1000)
    words += struct.pack(
        "<10H",
        width,
        width + 40,
        width + 80,
        total_width,
        0,
        height,
        height + 5,
        height + 10,
        total_height,
        0,
    )
    words += struct.pack("<3I", rate, 5, 0x48 if preferred else 0x40)
    return words + f"{width}x{height}".encode().ljust(32, b"\0")
