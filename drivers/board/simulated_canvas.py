"""Frame memory of a simulated board, paced by a steady timer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from drivers.api import BoardGeometry, PixelFormat
from drivers.board.picture_file import CHANNELS


class SimulatedCanvas:
    """Frame memory of a simulated board, R G B; `present` is paced by a steady timer."""

    def __init__(
        self, geometry: BoardGeometry, refresh_hz: int, scan: Callable[[int, int], Awaitable[None]]
    ) -> None:
        """Make black memory; `scan` is called with the byte range that each `present` shows."""
        self.pixel_format = PixelFormat.RGB
        self.stride_bytes = geometry.width_px * CHANNELS
        self.memory = memoryview(bytearray(geometry.height_px * self.stride_bytes))
        self._period_s = 1 / refresh_hz
        self._due_s = 0.0
        self._scan = scan

    async def present(self, top_px: int, bottom_px: int) -> None:
        """Show rows, and sleep until the next frame is due; raises DeviceUnavailableError."""
        await self._scan(top_px * self.stride_bytes, bottom_px * self.stride_bytes)
        now = time.monotonic()
        missed = max(0, int((now - self._due_s) / self._period_s))
        self._due_s = now + self._period_s if missed > 1 else self._due_s + self._period_s
        await asyncio.sleep(max(0.0, self._due_s - now))
