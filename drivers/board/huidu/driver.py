"""Huidu full-colour cards (A, C, D series) over SDK2, TCP 10001. Untested on hardware.

Source: hardware.md 3.1. One programme at a time is ours: its areas are PNG pictures that we painted, named by
the hash of their content, so that a picture is sent once and the card itself tells what it shows. They stay
on the card in case they come again, the oldest are deleted. What was on the card before is read at the first
picture and put back by `hand_back`.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

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
from drivers.board.huidu import codec
from drivers.board.huidu.card import Card
from drivers.board.huidu.link import LIMIT_S, Link
from drivers.board.huidu.programme import Programme, compose
from drivers.board.leaving import see_through
from drivers.options import boolean, integer, refuse_unknown, text

if TYPE_CHECKING:
    from drivers.api import BoardDriver

logger = logging.getLogger(__name__)

_SIDE_MAX_PX = 4096
_TICKER_MAX_PX = 4096
_CHANNELS = 3
_HEARTBEAT_S = 30.0
_LEAVING_S = 6.0
_DARK_S = 3.0
_VERB_S = 25.0
"""For all that one call asks of the card: each answer has its limit, but a card may want very many."""


class OpenHuiduBoard:
    """A card that answers; see `HuiduBoard`."""

    def __init__(self, name: str, card: Card, geometry: BoardGeometry, *, ticker: bool) -> None:
        self.name = name
        self.geometry = geometry
        self.abilities = BoardAbilities(
            colours=Colours.FULL,
            ticker=TickerKind.CARD if ticker else TickerKind.NONE,
            brightness=True,
            switches_off=True,
            reads_back=True,
            ticker_max_px=_TICKER_MAX_PX if ticker else 0,
        )
        self.canvas: Canvas | None = None
        self._longest_s = _VERB_S
        self._card = card
        self._lock = asyncio.Lock()
        self._safe: Frame | None = None
        self._handed_back = False
        self._closed = False
        self._given: tuple[str, CardTicker | None] | None = None
        self._shown: Programme | None = None

    async def show(self, frame: Frame, label: str, ticker: CardTicker | None = None) -> None:
        """Show a frame; one that is shown already is not sent again."""
        self._check(frame, ticker)
        given = (hashlib.sha256(frame.rgb).hexdigest(), ticker)
        async with self._turn():
            if self._shown is not None and given == self._given:
                return
            programme = await asyncio.to_thread(compose, frame, ticker)
            self._shown = None
            self._handed_back = False
            await self._card.take_over()
            await self._card.put(programme)
            await self._card.meet_again()
            self._shown, self._given = programme, given
            logger.debug("board %s: shows %r", self.name, label[:80])

    async def set_safe(self, frame: Frame | None) -> None:
        if frame is not None:
            self._check(frame, None)
        self._safe = frame

    async def brightness(self, level: float) -> None:
        async with self._turn():
            await self._card.set_brightness(min(max(level, 0.0), 1.0))
            await self._card.meet_again()

    async def power(self, on: bool) -> None:
        async with self._turn():
            await self._card.set_power(on)

    async def status(self) -> BoardStatus:
        """Compare what the card holds with what it was given; the next `show` sends what it lost."""
        async with self._turn():
            try:
                status = await self._card.status(self._shown)
            except DeviceRefusedError as error:
                raise DeviceProtocolError(f"{self.name}: does not tell its state: {error}") from error
            if status.lost or status.foreign:
                self._shown = None
            return status

    async def hand_back(self) -> None:
        """Put back what was there before us; what could not be restored is in the log and in `status`."""
        async with self._turn():
            self._shown = None
            await self._card.hand_back()
            self._handed_back = True

    async def beat_on(self) -> None:
        """Keep the session alive while nothing else is asked."""
        while True:
            await asyncio.sleep(_HEARTBEAT_S)
            async with self._lock:
                with suppress(DriverError):  # the next verb says it
                    await self._card.link.beat()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        async with self._lock:
            if self._closed:
                raise DeviceUnavailableError(f"{self.name}: closed")
            limit = asyncio.timeout(self._longest_s)
            try:
                async with limit:
                    yield
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise DeviceUnavailableError(f"{self.name}: not done within {self._longest_s:g} s") from error

    def close(self) -> None:
        self._closed = True
        self._card.link.close()

    async def make_safe(self) -> None:
        """Show the safe screen, else black, unless the board was handed back."""
        if self._handed_back:
            return
        width, height = self.geometry.width_px, self.geometry.height_px
        await self.show(self._safe or Frame(width, height, bytes(width * height * _CHANNELS)), "safe")

    async def go_dark(self) -> None:
        """Delete what is ours: the last resort when the card does not take a safe screen."""
        async with self._turn():
            await self._card.delete_ours()

    def _check(self, frame: Frame, ticker: CardTicker | None) -> None:
        width, height = self.geometry.width_px, self.geometry.height_px
        if (frame.width_px, frame.height_px, len(frame.rgb)) != (width, height, width * height * _CHANNELS):
            raise DeviceRefusedError(
                f"{self.name}: frame of {frame.width_px}x{frame.height_px} px, {len(frame.rgb)} bytes; "
                f"the board has {width}x{height} px"
            )
        if ticker is None:
            return
        strip = ticker.strip
        fits = ticker.y_px >= 0 and strip.height_px > 0 and ticker.y_px + strip.height_px <= height
        sized = 0 < strip.width_px <= self.abilities.ticker_max_px
        if not fits or not sized or len(strip.rgb) != strip.width_px * strip.height_px * _CHANNELS:
            raise DeviceRefusedError(
                f"{self.name}: ticker of {strip.width_px}x{strip.height_px} px at row {ticker.y_px}"
            )


class HuiduBoard:
    """A board behind a Huidu card. Leaving `open()` shows the safe screen, else black."""

    remembers = True
    _known = frozenset({"host", "port", "width_px", "height_px", "storage", "keep_dir", "ticker"})

    def __init__(
        self,
        name: str,
        host: str,
        geometry: BoardGeometry,
        *,
        port: int = codec.PORT,
        in_ram: bool = False,
        keep_dir: Path | None = None,
        ticker: bool = True,
        limit_s: float = LIMIT_S,
    ) -> None:
        """Remember the address.

        Args:
            name: of the board, for messages.
            host: address of the card, on a private cable: the protocol knows no password.
            geometry: of the board.
            port: of TCP.
            in_ram: pictures go to the card's memory instead of its flash; newer firmware only.
            keep_dir: what was on the card before us is kept there, so that it can be handed back even after a
                restart; None: only as long as the board is open.
            ticker: the card moves strips itself (effect 26); False if its firmware does not.
            limit_s: longest wait for one answer.
        """
        self.name = name
        self._host = host
        self._port = port
        self._geometry = geometry
        self._in_ram = in_ram
        self._keep_dir = keep_dir
        self._ticker = ticker
        self._limit_s = limit_s

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `host`, `port`, `width_px`, `height_px`, `storage`, `keep_dir`, `ticker`.

        Raises:
            DriverSetupError: an option is missing, unknown or out of range.
        """
        refuse_unknown(name, options, cls._known)
        storage = text(name, options, "storage", "flash")
        if storage not in {"flash", "ram"}:
            raise DriverSetupError(f'{name}: option \'storage\' must be "flash" or "ram"')
        keep_dir = text(name, options, "keep_dir", "")
        return cls(
            name,
            text(name, options, "host"),
            BoardGeometry(
                integer(name, options, "width_px", low=1, high=_SIDE_MAX_PX),
                integer(name, options, "height_px", low=1, high=_SIDE_MAX_PX),
            ),
            port=integer(name, options, "port", low=1, high=65_535, default=codec.PORT),
            in_ram=storage == "ram",
            keep_dir=Path(keep_dir) if keep_dir else None,
            ticker=boolean(name, options, "ticker", default=True),
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Board]:
        """Find the card.

        Raises:
            DeviceUnavailableError: no answer.
            DeviceProtocolError: something else answers.
            DeviceRefusedError: the card says that it drives a board of another size.
        """
        link = Link(self.name, self._host, self._port, self._limit_s)
        try:
            card = Card(self.name, link, self._geometry, in_ram=self._in_ram, keep_dir=self._keep_dir)
            await card.meet()
            board = OpenHuiduBoard(self.name, card, self._geometry, ticker=self._ticker)
            beating = asyncio.create_task(board.beat_on(), name=f"{self.name} heartbeat")
            try:
                yield board
            finally:
                beating.cancel()
                try:
                    await see_through(self._leave(board, beating))
                finally:
                    board.close()
        finally:
            link.close()

    async def _leave(self, board: OpenHuiduBoard, beating: asyncio.Task[None]) -> None:
        await asyncio.wait([beating])
        try:
            async with asyncio.timeout(_LEAVING_S):
                await board.make_safe()
        except (DriverError, TimeoutError) as error:
            logger.warning("board %s: not made safe: %s", self.name, error)
            with suppress(DriverError, TimeoutError):
                async with asyncio.timeout(_DARK_S):
                    await board.go_dark()


if TYPE_CHECKING:
    _driver: type[BoardDriver] = HuiduBoard
