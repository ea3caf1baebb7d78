"""Alpha and BetaBrite signs over a serial port or a serial server. Untested on hardware.

Source: hardware.md section 1. Signs know ASCII only, so every picture is painted by us and written as DOTS
files of at most 31 rows and 255 columns, side by side. At 9600 baud 1,000 pixels take about a second: what is
unchanged is not sent again, and pages that change often do not belong on such a sign.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from drivers.api import (
    Board,
    BoardAbilities,
    BoardGeometry,
    BoardStatus,
    Canvas,
    CardTicker,
    Colours,
    DeviceProtocolError,
    DeviceRefusedError,
    DeviceUnavailableError,
    DriverError,
    DriverSetupError,
    Frame,
    Options,
    TickerKind,
)
from drivers.board import kept
from drivers.board.alpha.codec import ROWS_MAX, Depth
from drivers.board.alpha.line import BAUD, LIMIT_S, Line
from drivers.board.alpha.picture import WIDTH_MAX_PX
from drivers.board.alpha.sign import Sign
from drivers.board.leaving import see_through
from drivers.options import boolean, integer, refuse_unknown, text
from drivers.worker_thread import WorkerThread

if TYPE_CHECKING:
    from drivers.api import BoardDriver

logger = logging.getLogger(__name__)

_CHANNELS = 3
_DEPTHS = {"mono": Depth.MONO, "dual": Depth.THREE, "eight": Depth.EIGHT}
_RENUMBERED = re.compile(r"/dev/tty(USB|ACM)\d+")
_OVERHEAD_S = 8.0

T = TypeVar("T")


class OpenAlphaBoard:
    """A sign that answers; see `AlphaBoard`."""

    def __init__(self, name: str, sign: Sign, geometry: BoardGeometry, *, mono: bool, limit_s: float) -> None:
        self.name = name
        self.geometry = geometry
        self.abilities = BoardAbilities(
            colours=Colours.MONO if mono else Colours.DUAL,
            ticker=TickerKind.NONE,
            brightness=True,
            switches_off=True,
            reads_back=True,
        )
        self.canvas: Canvas | None = None
        self._sign = sign
        self._thread = WorkerThread(name)
        self._limit_s = limit_s
        self._lock = asyncio.Lock()
        self._safe: Frame | None = None
        self._shown: str | None = None
        self._handed_back = False
        self._closed = False

    async def show(self, frame: Frame, label: str, ticker: CardTicker | None = None) -> None:
        """Show a frame in the sign's colours; parts that it shows already are not sent."""
        self._check(frame)
        if ticker is not None:
            raise DeviceRefusedError(f"{self.name}: the sign moves no pictures")
        digest = hashlib.sha256(frame.rgb).hexdigest()
        async with self._turn():
            if digest == self._shown:
                return
            self._shown = None
            self._handed_back = False
            await self._do(lambda: self._sign.show(frame))
            self._shown = digest
            logger.debug("board %s: shows %r", self.name, label[:80])

    async def set_safe(self, frame: Frame | None) -> None:
        if frame is not None:
            self._check(frame)
        self._safe = frame

    async def brightness(self, level: float) -> None:
        """Dim to one of five steps, 44 to 100 % of the light."""
        async with self._turn():
            await self._do(lambda: self._sign.dim(level))

    async def power(self, on: bool) -> None:
        async with self._turn():
            await self._do(lambda: self._sign.power(on=on))

    async def status(self) -> BoardStatus:
        """Read back what the sign holds; the next `show` sends what it lost."""
        async with self._turn():
            try:
                found = await self._do(self._sign.look)
            except DeviceRefusedError as error:
                raise DeviceProtocolError(f"{self.name}: does not tell its state: {error}") from error
            if found.lost or found.foreign:
                self._shown = None
            return BoardStatus(
                model=found.information,
                on=found.on,
                lost=found.lost,
                foreign=found.foreign,
                detail=found.detail,
            )

    async def hand_back(self) -> None:
        """Put back the files that were there before us, as far as they could be read."""
        async with self._turn():
            self._shown = None
            await self._do(self._sign.hand_back)
            self._handed_back = True

    async def greet(self) -> None:
        await self._do(self._sign.greet)

    async def make_safe(self) -> None:
        """Show the safe screen, else nothing, unless the board was handed back.

        The old picture goes first, with one short message: whoever ends us may not wait for the safe screen.
        """
        if self._handed_back:
            return
        if self._safe is None or hashlib.sha256(self._safe.rgb).hexdigest() != self._shown:
            async with self._turn():
                self._shown = None
                await self._do(self._sign.darken)
        if self._safe is not None:
            await self.show(self._safe, "safe")

    def close(self) -> None:
        self._closed = True
        self._thread.close(self._sign.close)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        async with self._lock:
            if self._closed:
                raise DeviceUnavailableError(f"{self.name}: closed")
            yield

    async def _do(self, work: Callable[[], T]) -> T:
        gone = threading.Event()

        def watched() -> T:
            self._sign.given_up = gone.is_set
            return work()

        try:
            return await self._thread.call(watched, self._limit_s)
        finally:
            gone.set()

    def _check(self, frame: Frame) -> None:
        width, height = self.geometry.width_px, self.geometry.height_px
        if (frame.width_px, frame.height_px, len(frame.rgb)) != (width, height, width * height * _CHANNELS):
            raise DeviceRefusedError(
                f"{self.name}: frame of {frame.width_px}x{frame.height_px} px, {len(frame.rgb)} bytes; "
                f"the board has {width}x{height} px"
            )


class AlphaBoard:
    """An Alpha or BetaBrite sign. Leaving `open()` shows the safe screen, else black."""

    remembers = True
    _known = frozenset(
        {"device", "width_px", "height_px", "colours", "address", "baud", "acknowledge", "keep_dir"}
    )

    def __init__(
        self,
        name: str,
        device: str,
        geometry: BoardGeometry,
        *,
        depth: Depth = Depth.THREE,
        address: str = "00",
        baud: int = BAUD,
        acknowledge: bool = True,
        keep_dir: Path | None = None,
        limit_s: float = LIMIT_S,
    ) -> None:
        """Remember the port.

        Args:
            name: of the board, for messages.
            device: stable path of a serial port, 7 data bits, even parity, 1 stop bit, or `socket://host:port`
                of a serial server that is set so.
            geometry: of the board, at most 1020 x 31.
            depth: colours of its pixels.
            address: of the sign, two hexadecimal digits; "00" for whoever hears it.
            baud: 9600 unless the sign was set otherwise.
            acknowledge: the sign knows ACK and NAK (Alpha 2.0 and later).
            keep_dir: what was on the sign before us is kept there, so that it can be handed back even after a
                restart; None: only as long as the board is open.
            limit_s: longest wait for an answer, besides the time on the wire.
        """
        self.name = name
        self._device = device
        self._geometry = geometry
        self._depth = depth
        self._address = address
        self._baud = baud
        self._acknowledge = acknowledge
        self._keep_dir = keep_dir
        self._limit_s = limit_s

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from the options named as the arguments of `__init__`; `colours` is mono, dual or eight.

        Raises:
            DriverSetupError: an option is missing, unknown or out of range, or the port's name is not stable.
        """
        refuse_unknown(name, options, cls._known)
        device = text(name, options, "device")
        if _RENUMBERED.fullmatch(device):
            raise DriverSetupError(
                f"{name}: {device} may be another adapter tomorrow; use its name in /dev/serial/by-id/ "
                "or /dev/serial/by-path/"
            )
        if not device.startswith(("/dev/", "socket://")):
            raise DriverSetupError(f"{name}: option 'device' must be a path in /dev or socket://host:port")
        colours = text(name, options, "colours", "dual")
        if colours not in _DEPTHS:
            raise DriverSetupError(f"{name}: option 'colours' must be one of {', '.join(_DEPTHS)}")
        address = text(name, options, "address", "00").upper()
        if re.fullmatch(r"[0-9A-F]{2}", address) is None:
            raise DriverSetupError(f"{name}: option 'address' must be two hexadecimal digits")
        keep_dir = text(name, options, "keep_dir", "")
        return cls(
            name,
            device,
            BoardGeometry(
                integer(name, options, "width_px", low=1, high=WIDTH_MAX_PX),
                integer(name, options, "height_px", low=1, high=ROWS_MAX),
            ),
            depth=_DEPTHS[colours],
            address=address,
            baud=integer(name, options, "baud", low=1200, high=38_400, default=BAUD),
            acknowledge=boolean(name, options, "acknowledge", default=True),
            keep_dir=Path(keep_dir) if keep_dir else None,
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Board]:
        """Find the sign; nothing on it is changed before the first picture.

        Raises:
            DeviceUnavailableError: no such port, or no answer.
            DeviceProtocolError: something else answers.
        """
        line = Line(self.name, self._device, baud=self._baud, limit_s=self._limit_s)
        sign = Sign(
            self.name,
            line,
            self._geometry,
            depth=self._depth,
            address=self._address.encode("ascii"),
            acknowledge=self._acknowledge,
            keep=kept.place(self._keep_dir, "alpha", self.name, ".json"),
        )
        # A whole picture, what was there before it, and every answer at its limit.
        pixels = (self._geometry.width_px + 1) * self._geometry.height_px
        limit_s = _OVERHEAD_S + 4 * self._limit_s + 4 * line.line_s(pixels)
        board = OpenAlphaBoard(
            self.name, sign, self._geometry, mono=self._depth is Depth.MONO, limit_s=limit_s
        )
        try:
            await board.greet()
            try:
                yield board
            finally:
                try:
                    await see_through(board.make_safe())
                except DriverError as error:
                    logger.warning("board %s: not made safe: %s", self.name, error)
        finally:
            board.close()


if TYPE_CHECKING:
    _driver: type[BoardDriver] = AlphaBoard
