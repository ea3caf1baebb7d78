"""Frame after frame on the canvas of a board: its ticker and the blinking border of an emergency."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from agent.signage.crawl import Crawl
from agent.signage.screen import Motion, Screen, TickerBand
from agent.signage.studio import Studio
from drivers.api import Board, Canvas

_BLINK_S = 0.5


class Animation:
    """What moves on a board that takes each frame at once.

    Attributes:
        frames: given to the board so far.
    """

    def __init__(self, board: Board, studio: Studio, crawl: Crawl) -> None:
        self.frames = 0
        self._canvas = board.canvas
        self._width_px, self._height_px = board.geometry.width_px, board.geometry.height_px
        self._studio = studio
        self._crawl = crawl
        self._rows = range(0)

    # --- what is on the board ---------------------------------------------------------------------------

    def rest(self) -> None:
        """A whole picture was shown: nothing of the canvas is on the board."""
        self._rows = range(0)

    def fill(self) -> None:
        """All of the canvas is on the board: video."""
        self._rows = range(self._height_px)

    def seen(self, rgb: bytes) -> Callable[[], bytes]:
        """What is on the board now: a whole picture and the rows of the canvas over it; RGB, for a thread."""
        canvas, top, count = self._canvas, self._rows.start, len(self._rows)
        if canvas is None or not count:
            return lambda: rgb
        stride, row = canvas.stride_bytes, self._width_px * 3
        rows = bytes(canvas.memory[top * stride : (top + count) * stride])
        unpacked = partial(self._studio.unpacked, rows, canvas.pixel_format, stride)
        return lambda: b"".join((rgb[: top * row], unpacked(), rgb[(top + count) * row :]))

    # --- frames -------------------------------------------------------------------------------------------

    def moves(self, screen: Screen) -> bool:
        """Whether there is anything to be done for a screen."""
        return self._canvas is not None and (screen.ticker is not None or screen.motion is Motion.BORDER)

    def halves(self, screen: Screen, assets: Mapping[str, Path]) -> tuple[bytes, bytes] | None:
        """Both halves of blinking, packed; None without. For a thread."""
        if self._canvas is None or screen.motion is not Motion.BORDER:
            return None
        form = self._canvas.pixel_format
        lit, unlit = self._studio.paint(screen, assets).rgb, self._studio.unlit(screen, assets)
        return self._studio.packed(lit, form), self._studio.packed(unlit, form)

    async def run(
        self, screen: Screen, halves: tuple[bytes, bytes] | None, wake: asyncio.Event, ends_s: float
    ) -> None:
        """Give frames until `wake` or a moment of CLOCK_MONOTONIC; raises DriverError."""
        canvas = self._canvas
        if canvas is None:
            return
        half_before = -1
        began_s = time.monotonic()
        while not wake.is_set() and (now := time.monotonic()) < ends_s:
            top, bottom = self._height_px, 0
            if halves is not None and (half := int((now - began_s) / _BLINK_S) % 2) != half_before:
                half_before = half
                self._write(canvas, halves[half], screen.ticker)
                top, bottom = 0, self._height_px
            band = self._crawl.draw(canvas, now)
            if band is not None:
                top, bottom = min(top, band.y_px), max(bottom, band.y_px + band.height_px)
            if bottom <= top:
                half_s = math.inf if halves is None else now + _BLINK_S - (now - began_s) % _BLINK_S
                await wait(wake, min(ends_s, half_s))
                continue
            await canvas.present(top, bottom)
            self._rows = range(
                min(top, self._rows.start) if self._rows else top, max(bottom, self._rows.stop)
            )
            self.frames += 1

    def _write(self, canvas: Canvas, packed: bytes, ticker: TickerBand | None) -> None:
        """Write a whole picture into the canvas, except for the rows of a ticker."""
        row = self._width_px * canvas.pixel_format.size_bytes
        source = memoryview(packed)
        kept = range(0) if ticker is None else range(ticker.y_px, ticker.y_px + ticker.height_px)
        for y in range(self._height_px):
            if y not in kept:
                at = y * canvas.stride_bytes
                canvas.memory[at : at + row] = source[y * row : y * row + row]


async def wait(event: asyncio.Event, until_s: float) -> None:
    """Wait for an event until a moment of CLOCK_MONOTONIC, which may be infinity."""
    with suppress(TimeoutError):
        async with asyncio.timeout(None if until_s == math.inf else max(0.0, until_s - time.monotonic())):
            await event.wait()
