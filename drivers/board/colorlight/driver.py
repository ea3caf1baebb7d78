"""LED walls behind Colorlight 5A-75 receiver cards, by raw Ethernet. Untested on hardware.

Needs a network port of its own that links at 1000 Mb/s, no switch between, and CAP_NET_RAW. Panel type,
scan and size must be in the card already, by the vendor's tool. Firmware up to 11 works best; from 13 on
some frames are sent twice. Nothing on this cable is authenticated: never put it on a network that others
use.

The card keeps the last picture as long as it has power; whether it goes dark without a signal is a setting
of the vendor's tool. A card that answers questions tells of a lost picture by its running time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Self

from drivers.api import Board, BoardGeometry, Options
from drivers.board.colorlight.link import Link, PacketLink
from drivers.board.colorlight.output import ColorlightOutput
from drivers.board.output import Output
from drivers.board.surface import open_surface
from drivers.options import boolean, integer, refuse_unknown, text

if TYPE_CHECKING:
    from drivers.api import BoardDriver

_REFRESH_HZ = 30
_FASTEST_HZ = 50


class ColorlightBoard:
    """A wall of panels. Leaving `open()` shows the safe screen, else black."""

    _known = frozenset({"width_px", "height_px", "interface", "refresh_hz", "double_sync"})

    def __init__(
        self,
        name: str,
        geometry: BoardGeometry,
        connect: Callable[[], Link],
        *,
        refresh_hz: int = _REFRESH_HZ,
        double: bool | None = None,
    ) -> None:
        """Remember the cable.

        Args:
            name: of the board, for messages.
            geometry: of the board.
            connect: opens the link; called in a thread.
            refresh_hz: frames a second, 10 to 50.
            double: send sync and brightness twice; None: as the firmware needs.
        """
        self.name = name
        self._geometry = geometry
        self._connect = connect
        self._refresh_hz = refresh_hz
        self._double = double

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from the options; raises DriverSetupError.

        `width_px` (1 to 1024), `height_px` (1 to 1024), `interface` (such as `eth1`): required. `refresh_hz`:
        10 to 50, default 30. `double_sync`: true or false, default as the firmware of the card needs.
        """
        refuse_unknown(name, options, cls._known)
        width = integer(name, options, "width_px", low=1, high=1024)
        height = integer(name, options, "height_px", low=1, high=1024)
        interface = text(name, options, "interface")
        double = boolean(name, options, "double_sync", default=False) if "double_sync" in options else None
        return cls(
            name,
            BoardGeometry(width, height),
            lambda: PacketLink(name, interface),
            refresh_hz=integer(name, options, "refresh_hz", low=10, high=_FASTEST_HZ, default=_REFRESH_HZ),
            double=double,
        )

    def open(self) -> AbstractAsyncContextManager[Board]:
        return open_surface(self.name, self._geometry, self._attach)

    def _attach(self) -> Output:
        link = self._connect()
        try:
            return ColorlightOutput(
                self.name, self._geometry, link, refresh_hz=self._refresh_hz, double=self._double
            )
        except BaseException:
            link.close()
            raise


if TYPE_CHECKING:
    _driver: type[BoardDriver] = ColorlightBoard
