"""Boards on Onbon cards BX-5E, BX-6E and BX-6Q, by TCP, UDP or a serial line. Untested on hardware.

The picture lives in dynamic areas of the card's memory, so that its flash does not wear. The card takes it
away by itself when this box falls silent. Nothing on the card checks who speaks: put it on a cable of its
own, never on the network of the commune.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from drivers.api import Board, BoardGeometry, Colours, DriverSetupError, Options
from drivers.board import kept
from drivers.board.leaving import see_through
from drivers.board.onbon.board import OpenOnbonBoard, Plan
from drivers.board.onbon.codec import Family
from drivers.board.onbon.link import Link, SerialLink, TcpLink, UdpLink
from drivers.options import integer, number, refuse_unknown, text

if TYPE_CHECKING:
    from drivers.api import BoardDriver

logger = logging.getLogger(__name__)

ANSWER_LIMIT_S = 2.0
TCP_PORT, UDP_PORT = 5005, 5007
_BAUDS = (9600, 57_600)
_AUTO = "auto"
_SIDE_MAX_PX = 2048
_PORT_MAX = 65_535
_SHORTEST_S, _LONGEST_S = 30, 65_535  # status, which refreshes the picture, is asked every few seconds


class OnbonBoard:
    """A board on an Onbon card; leaving `open()` shows the safe picture, else black, until power is lost."""

    remembers = True
    _known = frozenset(
        {
            "model", "transport", "host", "port", "baud", "colours", "width_px", "height_px", "x", "y",
            "blank_after_s", "ticker_step_ms", "keep_dir",
        }
    )  # fmt: skip

    def __init__(
        self, name: str, plan: Plan, connect: Callable[[], Link], keep_dir: Path | None = None
    ) -> None:
        """Remember what to do.

        Args:
            name: of the board, for messages.
            plan: what the configuration says.
            connect: makes a link that is not open yet.
            keep_dir: see `from_options`.
        """
        self.name = name
        self._plan = plan
        self._connect = connect
        self._keep = kept.place(keep_dir, "onbon", name, ".json")

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from the configuration.

        Options:
            width_px, height_px: our part of the screen, 1 to 2048; required.
            x, y: where it begins on the card's screen, default 0; multiples of 32 are safest.
            model: `5e`, `6e`, `6q`, or `auto` (default): what the card says of itself.
            colours: `mono`, `dual`, or `auto` (default): what the card says; a 6Q has all colours.
            transport: `tcp` (default), `udp` or `serial`.
            host: of the card, for tcp and udp; required there.
            port: 5005 for tcp, 5007 for udp; for serial the name of the adapter, required, such as
                `/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0`.
            baud: 9600 or 57600 (default), for serial.
            blank_after_s: the card takes the picture away after so long without us, 30 to 65535, default 120;
                0: it keeps it. With a safe picture it shows that instead.
            ticker_step_ms: time of one pixel at the card's fastest speed, 1 to 100, default 10: measure it,
                the manual does not say.
            keep_dir: brightness and switch as they were before us are kept there, so that they can be put
                back even after a restart; default: only as long as the board is open.

        Raises:
            DriverSetupError: one of them is unknown, missing or out of range.
        """
        refuse_unknown(name, options, cls._known)
        model = _one_of(name, options, "model", _AUTO, (_AUTO, *(family.value for family in Family)))
        colours = _one_of(name, options, "colours", _AUTO, (_AUTO, *(kind.value for kind in Colours)))
        if (model == Family.BX6Q.value) != (colours == Colours.FULL.value) and _AUTO not in (model, colours):
            raise DriverSetupError(f"{name}: a card {model} does not have colours {colours!r}")
        if model == Family.BX6Q.value and options.get("transport") == "serial":
            raise DriverSetupError(f"{name}: a card {model} has no serial line")
        if options.get("blank_after_s") == 0:
            blank_after_s = 0
        else:
            blank_after_s = integer(
                name, options, "blank_after_s", low=_SHORTEST_S, high=_LONGEST_S, default=120
            )
        plan = Plan(
            geometry=BoardGeometry(
                integer(name, options, "width_px", low=1, high=_SIDE_MAX_PX),
                integer(name, options, "height_px", low=1, high=_SIDE_MAX_PX),
            ),
            x_px=integer(name, options, "x", low=0, high=_SIDE_MAX_PX, default=0),
            y_px=integer(name, options, "y", low=0, high=_SIDE_MAX_PX, default=0),
            family=None if model == _AUTO else Family(model),
            colours=None if colours == _AUTO else Colours(colours),
            blank_after_s=blank_after_s,
            ticker_step_ms=number(name, options, "ticker_step_ms", low=1, high=100, default=10),
        )
        keep_dir = text(name, options, "keep_dir", "")
        return cls(name, plan, _connector(name, options), Path(keep_dir) if keep_dir else None)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Board]:
        """Find the card; raises DeviceUnavailableError, DeviceProtocolError or DeviceRefusedError."""
        board = OpenOnbonBoard(self.name, self._connect(), self._plan, self._keep)
        try:
            await board.attach()
        except BaseException:
            board.release()
            raise
        try:
            yield board
        finally:
            await see_through(board.leave())


def _connector(name: str, options: Options) -> Callable[[], Link]:
    transport = _one_of(name, options, "transport", "tcp", ("tcp", "udp", "serial"))
    needless = {"host"} if transport == "serial" else {"baud"}
    if unused := sorted(needless & set(options)):
        raise DriverSetupError(f"{name}: option {unused[0]!r} means nothing for transport {transport!r}")
    if transport == "serial":
        port = text(name, options, "port")
        baud = integer(name, options, "baud", low=min(_BAUDS), high=max(_BAUDS), default=max(_BAUDS))
        if baud not in _BAUDS:
            raise DriverSetupError(f"{name}: option 'baud' must be one of {_BAUDS}")
        if port.startswith("/dev/tty"):
            logger.warning(
                "board %s: %s may be another adapter after a reboot, use /dev/serial/by-id", name, port
            )
        return lambda: SerialLink(name, port, baud, ANSWER_LIMIT_S)
    host = text(name, options, "host")
    default = TCP_PORT if transport == "tcp" else UDP_PORT
    number_ = integer(name, options, "port", low=1, high=_PORT_MAX, default=default)
    kind = TcpLink if transport == "tcp" else UdpLink
    return lambda: kind(name, host, number_, ANSWER_LIMIT_S)


def _one_of(name: str, options: Options, key: str, default: str, known: tuple[str, ...]) -> str:
    value = text(name, options, key, default)
    if value not in known:
        raise DriverSetupError(f"{name}: option {key!r} must be one of {', '.join(known)}")
    return value


if TYPE_CHECKING:
    _driver: type[BoardDriver] = OnbonBoard
