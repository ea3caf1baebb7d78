"""A screen through the kernel's framebuffer, `/dev/fb0`. Untested on hardware.

For machines without DRM; `drm` is better where it works, since here nothing waits for the vertical blank. The
board is the upper left part of the screen. The kernel draws its own text and cursor into the same memory:
start it with `vt.global_cursor_default=0 consoleblank=0 fbcon=map:9` (no console on the screen, never
blanked). What it draws nevertheless is seen as foreign by `status` and painted over.
"""

from __future__ import annotations

import fcntl
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from drivers.api import Board, BoardGeometry, DriverSetupError, Options
from drivers.board import kept
from drivers.board.fbdev.former import Keeper
from drivers.board.fbdev.memory import FORMATS, FrameBuffer, Ioctl, Shape
from drivers.board.surface import open_surface
from drivers.options import integer, maybe_integer, refuse_unknown, text

if TYPE_CHECKING:
    from drivers.api import BoardDriver

_SIDE_MAX_PX = 7680


def kernel_ioctl(file: int, request: int, buffer: bytearray) -> int:
    """Ask the kernel; `buffer` is changed."""
    return int(fcntl.ioctl(file, request, buffer, True))


class FbdevBoard:
    """The upper left part of a framebuffer. Leaving `open()` shows the safe screen, else black."""

    remembers = True
    _known = frozenset(
        {
            "width_px", "height_px", "path", "format", "screen_width_px", "screen_height_px", "stride_bytes",
            "keep_dir",
        }
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        geometry: BoardGeometry,
        path: Path = Path("/dev/fb0"),
        shape: Shape | None = None,
        ioctl: Ioctl = kernel_ioctl,
        *,
        keep_dir: Path | None = None,
    ) -> None:
        """Remember the place.

        Args:
            name: of the board, for messages.
            geometry: of the board.
            path: of the framebuffer.
            shape: of the memory, used when the file does not tell it.
            ioctl: asks the file; called in a thread.
            keep_dir: what the screen showed before us is kept there, so that it can be handed back even after
                a restart; None: only as long as the board is open.
        """
        self.name = name
        self._geometry = geometry
        self._path = path
        self._shape = shape
        self._ioctl = ioctl
        self._keep = kept.place(keep_dir, "fbdev", name, ".screen")

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `width_px`, `height_px`, `path` (default `/dev/fb0`), `keep_dir`.

        For memory that does not tell its shape: `format` (`xrgb8888`, `xbgr8888`, `rgb888`, `bgr888`,
        `rgb565`), `screen_width_px` and `screen_height_px` (default: of the board), `stride_bytes` (default:
        without gaps). Raises DriverSetupError.
        """
        refuse_unknown(name, options, cls._known)
        width = integer(name, options, "width_px", low=1, high=_SIDE_MAX_PX)
        height = integer(name, options, "height_px", low=1, high=_SIDE_MAX_PX)
        path = Path(text(name, options, "path", "/dev/fb0"))
        shape = _shape(name, options, width, height)
        keep_dir = text(name, options, "keep_dir", "")
        return cls(
            name, BoardGeometry(width, height), path, shape, keep_dir=Path(keep_dir) if keep_dir else None
        )

    def open(self) -> AbstractAsyncContextManager[Board]:
        return open_surface(
            self.name,
            self._geometry,
            lambda: FrameBuffer(self.name, self._path, self._geometry, self._shape, self._ioctl),
            keeper=Keeper(self.name, self._geometry, self._keep),
        )


def _shape(name: str, options: Options, width_px: int, height_px: int) -> Shape | None:
    chosen = text(name, options, "format", "")
    if not chosen:
        return None
    if chosen not in FORMATS:
        raise DriverSetupError(f"{name}: option 'format' must be one of {', '.join(FORMATS)}")
    channels = FORMATS[chosen]
    screen_width = integer(
        name, options, "screen_width_px", low=width_px, high=_SIDE_MAX_PX, default=width_px
    )
    screen_height = integer(
        name, options, "screen_height_px", low=height_px, high=_SIDE_MAX_PX, default=height_px
    )
    least = screen_width * channels[0] // 8
    stride = maybe_integer(name, options, "stride_bytes", low=least, high=1 << 20) or least
    return Shape(screen_width, screen_height, stride, 0, channels)


if TYPE_CHECKING:
    _driver: type[BoardDriver] = FbdevBoard
