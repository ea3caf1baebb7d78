"""A screen or sender card at HDMI, DisplayPort, DSI through the kernel's DRM. Untested on hardware.

The board is the upper left part of the display, pixel for pixel, as sender cards of LED walls map it. One
process holds the display: a desktop or another player makes it unavailable, by name. `hand_back` brings
back what was shown and gives the display up, so that a player of video can take it; `show` takes it again.

A pulled cable is DeviceUnavailableError from every call; once a display answers again, the next `show` sets
it up afresh. A wall whose sender card gives no hot-plug signal needs `video=HDMI-A-1:1280x720@60e` on the
kernel's command line: then the kernel says "connected" whatever happens, and a pulled cable cannot be seen
from here.

When we leave, kernels that know CLOSEFB (about 6.8) keep the last picture; older ones turn the output off,
and either may bring back the console of the kernel when nobody holds the device, so start it with
`fbcon=map:9 vt.global_cursor_default=0 consoleblank=0`. The picture is put into `console` too, for that
moment.
"""

from __future__ import annotations

import logging
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from drivers.api import Board, BoardGeometry, Options
from drivers.board.drm.kernel import Kernel, LinuxKernel
from drivers.board.drm.output import Wish, open_display
from drivers.board.fbdev.driver import kernel_ioctl
from drivers.board.fbdev.memory import FrameBuffer
from drivers.board.output import Output
from drivers.board.surface import open_surface
from drivers.options import boolean, integer, refuse_unknown, text

if TYPE_CHECKING:
    from drivers.api import BoardDriver

logger = logging.getLogger(__name__)

_SIDE_MAX_PX = 7680
_LIMIT_S = 6.0  # setting a mode and asking a television for its own takes seconds at times
_FRAMEBUFFER = Path("/dev/fb0")


class DrmBoard:
    """The upper left part of a display. Leaving `open()` shows the safe screen, else black."""

    _known = frozenset({"width_px", "height_px", "card", "connector", "mode", "fallback", "console"})

    def __init__(
        self,
        name: str,
        geometry: BoardGeometry,
        wish: Wish | None = None,
        *,
        fallback: Path | None = _FRAMEBUFFER,
        kernel: Kernel | None = None,
    ) -> None:
        """Remember the display.

        Args:
            name: of the board, for messages.
            geometry: of the board.
            wish: which display, and how.
            fallback: framebuffer to use on a machine without any DRM device; None: use none.
            kernel: called in a thread.
        """
        self.name = name
        self._geometry = geometry
        self._wish = wish or Wish()
        self._fallback = fallback
        self._kernel = kernel or LinuxKernel()
        self._may_fall_back = self._wish.card is None

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from the options; raises DriverSetupError.

        `width_px`, `height_px`: required. `card`: such as `/dev/dri/card1`, default the first with a display.
        `connector`: such as `HDMI-A-1`, default the first connected. `mode`: such as `1280x720@60`, default
        what the display prefers. `fallback`: true (default) uses `/dev/fb0` where there is no DRM at all
        and no `card` is named.
        `console`: framebuffer that gets the last picture when we leave, default `/dev/fb0`, empty for none.
        """
        refuse_unknown(name, options, cls._known)
        width = integer(name, options, "width_px", low=1, high=_SIDE_MAX_PX)
        height = integer(name, options, "height_px", low=1, high=_SIDE_MAX_PX)
        card = text(name, options, "card", "")
        console = text(name, options, "console", str(_FRAMEBUFFER))
        wish = Wish(
            card=Path(card) if card else None,
            connector=text(name, options, "connector", ""),
            mode=text(name, options, "mode", ""),
            console=Path(console) if console else None,
        )
        fallback = boolean(name, options, "fallback", default=True)
        return cls(name, BoardGeometry(width, height), wish, fallback=_FRAMEBUFFER if fallback else None)

    def open(self) -> AbstractAsyncContextManager[Board]:
        return open_surface(self.name, self._geometry, self._connect, limit_s=_LIMIT_S)

    def _connect(self) -> Output:
        try:
            display = open_display(self.name, self._geometry, self._wish, self._kernel)
        except FileNotFoundError:
            if self._fallback is None or not self._may_fall_back or not self._fallback.exists():
                raise
            logger.info("board %s: no DRM here, showing on %s", self.name, self._fallback)
            return FrameBuffer(self.name, self._fallback, self._geometry, None, kernel_ioctl)
        self._may_fall_back = False  # gone for a moment, it is not replaced by whatever screen is there
        return display


if TYPE_CHECKING:
    _driver: type[BoardDriver] = DrmBoard
