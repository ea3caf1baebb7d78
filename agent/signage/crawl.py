"""Keeps the ticker of one board going: painted piece by piece in a thread, or moved by the card in turns."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from agent.signage.link import Problem
from agent.signage.screen import TickerBand
from agent.signage.studio import Studio
from agent.signage.ticker import PIECE_MAX_PX, Motion, Tape, turns
from drivers.api import Board, Canvas, CardTicker, Frame, TickerKind

logger = logging.getLogger(__name__)

_Parts = list[tuple[bytes, int]]


class Crawl:
    """The ticker of a board; it goes on from screen to screen while its band stays the same.

    Attributes:
        turn: of a text that is longer than a card can move at once.
    """

    def __init__(self, board: Board, studio: Studio, complain: Callable[[Problem], object]) -> None:
        self.turn = 0
        self._complain = complain
        self._board = board
        self._studio = studio
        self._pool = ThreadPoolExecutor(1, "strips")
        self._tape: Tape | None = None
        self._motion: Motion | None = None
        self._piece: asyncio.Future[_Parts] | None = None
        self._parts: deque[tuple[bytes, int]] = deque()
        self._cut: tuple[TickerBand, tuple[str, ...]] | None = None

    def stop(self) -> None:
        """Forget the ticker; the next one begins anew."""
        self._tape = self._motion = self._piece = None
        self._parts.clear()

    def close(self) -> None:
        """Let go of the thread."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    # --- whole pictures -----------------------------------------------------------------------------------

    async def dress(self, band: TickerBand | None, rgb: bytes) -> tuple[bytes, CardTicker | None]:
        """A picture of the board with its ticker where that stands now, or the ticker for the card."""
        try:
            return await self._dress(band, rgb)
        except Exception as error:  # noqa: BLE001  told; the picture itself is worth more than its ticker
            self._failed(error)
            self.stop()
            return rgb, None

    async def _dress(self, band: TickerBand | None, rgb: bytes) -> tuple[bytes, CardTicker | None]:
        kind, canvas = self._board.abilities.ticker, self._board.canvas
        if band is None or kind is TickerKind.NONE or not self._fits(band):
            self.stop()
            return rgb, None
        if kind is TickerKind.CARD:
            return rgb, await self._in_thread(band)
        if canvas is None:
            return rgb, None
        if self._tape is None or self._motion is None or self._tape.band != band:
            await self._begin(band, canvas)
            return rgb, None
        width = self._board.geometry.width_px
        stride = width * canvas.pixel_format.size_bytes
        rows = bytearray(stride * band.height_px)
        self._tape.copy(memoryview(rows), stride, self._motion.offset_px, at_top=True)
        now = self._studio.unpacked(bytes(rows), canvas.pixel_format, stride)
        top, bottom = band.y_px * width * 3, (band.y_px + band.height_px) * width * 3
        return b"".join((rgb[:top], now, rgb[bottom:])), None

    def _fits(self, band: TickerBand) -> bool:
        return band.y_px >= 0 and 0 < band.height_px <= self._board.geometry.height_px - band.y_px

    async def _begin(self, band: TickerBand, canvas: Canvas) -> None:
        self.stop()
        loop = asyncio.get_running_loop()
        ground = partial(self._studio.ground, band, canvas.pixel_format)
        pixel = await loop.run_in_executor(self._pool, ground)
        self._tape = Tape(band, self._board.geometry.width_px, pixel)
        self._motion = Motion(band.speed_px_s, self._board.abilities.refresh_hz, time.monotonic())

    # --- frames -------------------------------------------------------------------------------------------

    def draw(self, canvas: Canvas, now_s: float) -> TickerBand | None:
        """Write the next frame of the band into a canvas; None when nothing runs."""
        if self._tape is None or self._motion is None:
            return None
        offset_px = self._motion.next(now_s)
        self._feed(self._tape, offset_px, canvas)
        self._tape.copy(canvas.memory, canvas.stride_bytes, offset_px)
        return self._tape.band

    def _feed(self, tape: Tape, offset_px: int, canvas: Canvas) -> None:
        """Have the next piece painted when there is room for it, and take in what is painted."""
        if not tape.wants(offset_px):
            return
        if self._parts:
            packed, width_px = self._parts.popleft()
            tape.add(packed, width_px, offset_px)
        elif self._piece is None:
            text = tape.next_text()
            if not text:
                tape.add_gap(offset_px)
                return
            work = partial(self._studio.strips, tape.band, text, PIECE_MAX_PX, canvas.pixel_format)
            self._piece = asyncio.get_running_loop().run_in_executor(self._pool, work)
        elif self._piece.done():
            piece, self._piece = self._piece, None
            if (error := piece.exception()) is None:
                self._parts.extend(piece.result())
            else:
                self._failed(error)

    def _failed(self, error: BaseException) -> None:
        logger.error("part of a ticker cannot be shown", exc_info=error)
        self._complain(Problem("", "ticker", f"{type(error).__name__}: {error}"[:300]))

    # --- cards --------------------------------------------------------------------------------------------

    async def _in_thread(self, band: TickerBand) -> CardTicker:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._card_ticker, band)

    def _card_ticker(self, band: TickerBand) -> CardTicker:
        """The strip of this turn."""
        texts = self._turns(band)
        image = self._studio.strip(band, texts[self.turn % len(texts)])
        image = image.crop((0, 0, min(image.width, self._board.abilities.ticker_max_px), image.height))
        strip = Frame(image.width, image.height, image.tobytes())
        return CardTicker(strip, band.y_px, band.speed_px_s)

    def _turns(self, band: TickerBand) -> tuple[str, ...]:
        if self._cut is None or self._cut[0] != band:
            most_px = self._board.abilities.ticker_max_px
            self.turn = 0
            self._cut = band, turns(band.text, most_px, partial(self._studio.strip_width, band))
        return self._cut[1]

    async def end_of_turn(self, band: TickerBand) -> float:
        """When the card has moved its strip through once; never, if the text has only one turn."""
        loop = asyncio.get_running_loop()
        texts = await loop.run_in_executor(self._pool, self._turns, band)
        if len(texts) == 1:
            return math.inf
        text = texts[self.turn % len(texts)]
        width_px = await loop.run_in_executor(self._pool, self._studio.strip_width, band, text)
        long_px = width_px + self._board.geometry.width_px
        return time.monotonic() + long_px / max(1.0, band.speed_px_s)
