"""The memory of a kernel framebuffer: what its ioctls say, and where the rows of a board lie in it.

From linux/fb.h: FBIOGET_VSCREENINFO 0x4600 fills fb_var_screeninfo (160 bytes), FBIOGET_FSCREENINFO 0x4602
fills fb_fix_screeninfo (80 bytes with 64 bit longs). A file that knows neither (ENOTTY) is taken as plain
memory if its shape is given.
"""

from __future__ import annotations

import errno
import logging
import mmap
import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from drivers.api import (
    BoardAbilities,
    BoardGeometry,
    BoardStatus,
    DeviceUnavailableError,
    DriverSetupError,
    PixelFormat,
    TickerKind,
)
from drivers.board.fbdev.former import Former
from drivers.board.packing import reorder

logger = logging.getLogger(__name__)

Ioctl = Callable[[int, int, bytearray], int]

_GET_VARIABLE = 0x4600
_GET_FIXED = 0x4602
_VARIABLE = struct.Struct("=40I")
_FIXED = struct.Struct("@16sL4I3HIL2I3H0L")
_REFRESH_HZ = 60

_LAYOUTS: dict[tuple[int, int, int, int, int, int, int], tuple[PixelFormat, str]] = {
    (32, 16, 8, 8, 8, 0, 8): (PixelFormat.BGRX, ""),
    (32, 0, 8, 8, 8, 16, 8): (PixelFormat.RGB, "RGBX"),
    (32, 24, 8, 16, 8, 8, 8): (PixelFormat.RGB, "XBGR"),
    (32, 8, 8, 16, 8, 24, 8): (PixelFormat.RGB, "XRGB"),
    (24, 16, 8, 8, 8, 0, 8): (PixelFormat.RGB, "BGR"),
    (24, 0, 8, 8, 8, 16, 8): (PixelFormat.RGB, ""),
    (16, 11, 5, 5, 6, 0, 5): (PixelFormat.RGB565, ""),
}
"""Bits per pixel, offset and length of red, green, blue: our layout, and the order Pillow makes of it."""

FORMATS: dict[str, tuple[int, int, int, int, int, int, int]] = {
    "xrgb8888": (32, 16, 8, 8, 8, 0, 8),
    "xbgr8888": (32, 0, 8, 8, 8, 16, 8),
    "rgb888": (24, 16, 8, 8, 8, 0, 8),
    "bgr888": (24, 0, 8, 8, 8, 16, 8),
    "rgb565": (16, 11, 5, 5, 6, 0, 5),
}
"""Values of the option `format`, named as DRM names them: from the highest bit down."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A framebuffer: visible size, bytes per row, start of the visible part, and channels of a pixel."""

    width_px: int
    height_px: int
    stride_bytes: int
    start_bytes: int
    channels: tuple[int, int, int, int, int, int, int]
    model: str = ""


class FrameBuffer:
    """The upper left part of a framebuffer as an `Output`."""

    abilities = BoardAbilities(ticker=TickerKind.FRAMES, refresh_hz=_REFRESH_HZ, reads_back=True)
    paces = False

    def __init__(
        self, name: str, path: Path, geometry: BoardGeometry, shape: Shape | None, ioctl: Ioctl
    ) -> None:
        """Map the memory.

        Args:
            name: of the board, for messages.
            path: `/dev/fb0`, or a file.
            geometry: of the board, not larger than the screen.
            shape: used when the file answers no ioctl.
            ioctl: as `fcntl.ioctl` with a buffer that is changed.

        Raises:
            DeviceUnavailableError: no such file, no permission, or too small for the board.
            DriverSetupError: pixels in a layout we cannot write.
        """
        self._name = name
        self._path = path
        self._geometry = geometry
        self._ioctl = ioctl
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            found = _usable(name, path, geometry, self._ask() or shape)
            self._shape = found
            self._mode = _layout(name, found)
            self._pixel_bytes = found.channels[0] // 8
            self._memory = _map(name, self._file, found)
        except BaseException:
            os.close(self._file)
            raise

    @property
    def pixel_format(self) -> PixelFormat:
        return self._mode[0]

    def take(self) -> object:
        return Former(self._shape.channels, self._read())

    def check(self) -> None:
        """Raise when the device was unplugged, replaced, or set to another mode."""
        here, there = os.fstat(self._file), self._path.stat()
        if (here.st_dev, here.st_ino, here.st_rdev) != (there.st_dev, there.st_ino, there.st_rdev):
            raise DeviceUnavailableError(f"{self._name}: {self._path} is another one now")
        if stat.S_ISREG(here.st_mode) and here.st_size < len(self._memory):
            raise DeviceUnavailableError(f"{self._name}: {self._path} became smaller")
        if (found := self._ask()) is not None and found != self._shape:
            raise DeviceUnavailableError(f"{self._name}: the screen changed its mode")

    def write(self, picture: memoryview, top_px: int, bottom_px: int, *, wait: bool) -> None:
        del wait
        width = self._geometry.width_px
        source = width * self._mode[0].size_bytes
        rows = picture[top_px * source : bottom_px * source]
        if self._mode[1]:
            rows = memoryview(reorder(width, bottom_px - top_px, rows, self._mode[1]))
        size = width * self._pixel_bytes
        at, stride = self._start(top_px), self._shape.stride_bytes
        if size == stride:
            self._memory[at : at + len(rows)] = rows
            return
        for start in range(0, len(rows), size):
            self._memory[at : at + size] = rows[start : start + size]
            at += stride

    def brightness(self, level: float) -> None:
        """Nothing: a screen has no brightness here."""

    def status(self, picture: memoryview) -> BoardStatus:
        shape = self._shape
        return BoardStatus(
            model=shape.model,
            lost=False,
            foreign=not self._shows(picture),
            detail=f"{self._path} {shape.width_px}x{shape.height_px} {shape.channels[0]} bpp",
        )

    def give_back(self, former: object) -> None:
        """Write what was there; a line of text of the console may have been drawn meanwhile and is lost."""
        size = self._geometry.width_px * self._pixel_bytes
        if isinstance(former, Former) and former.channels == self._shape.channels:
            pixels = former.pixels
        else:
            logger.warning("board %s: handed back dark: it had other pixels before us", self._name)
            pixels = bytes(size * self._geometry.height_px)
        for row in range(self._geometry.height_px):
            at = self._start(row)
            self._memory[at : at + size] = pixels[row * size : (row + 1) * size]

    def close(self) -> None:
        try:
            self._memory.close()
        finally:
            os.close(self._file)

    def _start(self, row: int) -> int:
        return self._shape.start_bytes + row * self._shape.stride_bytes

    def _read(self) -> bytes:
        size = self._geometry.width_px * self._pixel_bytes
        rows = (self._start(row) for row in range(self._geometry.height_px))
        return b"".join(self._memory[at : at + size] for at in rows)

    def _shows(self, picture: memoryview) -> bool:
        """Compare row by row: a whole screen at once would keep all other threads waiting for 30 ms."""
        width, row = self._geometry.width_px, self._geometry.width_px * self._mode[0].size_bytes
        size = width * self._pixel_bytes
        for number in range(self._geometry.height_px):
            wanted = picture[number * row : (number + 1) * row].tobytes()
            if self._mode[1]:
                wanted = reorder(width, 1, wanted, self._mode[1])
            at = self._start(number)
            found = self._memory[at : at + size]
            if found != wanted and not self._same_colours(found, wanted):
                return False
        return True

    def _same_colours(self, found: bytes, wanted: bytes) -> bool:
        """Compare what counts of each pixel: the unused byte may be anything."""
        if self._pixel_bytes < 4:  # noqa: PLR2004  bytes: no unused one
            return False
        used = [offset // 8 for offset in self._shape.channels[1::2]]
        return all(found[part::4] == wanted[part::4] for part in used)

    def _ask(self) -> Shape | None:
        """Ask the kernel; None when this file answers no such question."""
        variable, fixed = bytearray(_VARIABLE.size), bytearray(_FIXED.size)
        try:
            self._ioctl(self._file, _GET_VARIABLE, variable)
            self._ioctl(self._file, _GET_FIXED, fixed)
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL):
                return None
            raise
        values = _VARIABLE.unpack(variable)
        name, _smem, _size, _type, _aux, _visual, _xpan, _ypan, _wrap, stride, *_ = _FIXED.unpack(fixed)
        width, height, x_px, y_px, bits = values[0], values[1], values[4], values[5], values[6]
        red, green, blue = values[8:10], values[11:13], values[14:16]
        return Shape(
            width,
            height,
            stride,
            y_px * stride + x_px * bits // 8,
            (bits, *red, *green, *blue),
            name.split(b"\0")[0].decode("ascii", "replace"),
        )


def _usable(name: str, path: Path, geometry: BoardGeometry, shape: Shape | None) -> Shape:
    if shape is None:
        raise DeviceUnavailableError(f"{name}: {path} is no framebuffer")
    if shape.width_px < geometry.width_px or shape.height_px < geometry.height_px:
        raise DeviceUnavailableError(
            f"{name}: screen of {shape.width_px}x{shape.height_px} px is smaller than the board"
        )
    return shape


def _map(name: str, file: int, shape: Shape) -> mmap.mmap:
    try:
        return mmap.mmap(file, shape.start_bytes + shape.stride_bytes * shape.height_px, mmap.MAP_SHARED)
    except ValueError as error:
        raise DeviceUnavailableError(f"{name}: {error}") from error


def _layout(name: str, shape: Shape) -> tuple[PixelFormat, str]:
    try:
        return _LAYOUTS[shape.channels]
    except KeyError:
        raise DriverSetupError(
            f"{name}: cannot write pixels of {shape.channels[0]} bits with red, green, blue at "
            f"{shape.channels[1::2]}"
        ) from None
