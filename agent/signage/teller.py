"""Tells what was shown: hash and thumbnail of each picture, made in a thread beside the playing."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from agent.signage.link import BoardEvent, Shown
from agent.signage.screen import Screen
from agent.signage.studio import Studio, digest

_REPORTS_LEAST, _REPORTS_MAX = 8, 32


class Teller:
    """Keeps what is still to be told; when pictures change faster than that, the oldest are not told."""

    def __init__(self, studio: Studio, emit: Callable[[BoardEvent], None], pool: ThreadPoolExecutor) -> None:
        self._studio = studio
        self._emit = emit
        self._pool = pool
        most = max(_REPORTS_LEAST, min(_REPORTS_MAX, 2 * studio.room))  # pictures are held in memory
        self._waiting: deque[tuple[int, Screen | None, bytes, int]] = deque(maxlen=most)
        self._news = asyncio.Event()

    def record(self, look: int, screen: Screen | None, rgb: bytes) -> None:
        """Note what is on the board from now on.

        Args:
            look: its number.
            screen: None: dark, or handed back.
            rgb: as given to the board; empty: handed back.
        """
        self._waiting.append((look, screen, rgb, time.monotonic_ns()))
        self._news.set()

    async def run(self) -> None:
        """Tell, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                look, screen, rgb, at_ns = self._waiting.popleft()
                sha256 = await loop.run_in_executor(self._pool, digest, rgb) if rgb else ""
                if screen is None:
                    self._emit(Shown(look, "", 0, 0, sha256, at_ns))
                    continue
                small = await loop.run_in_executor(self._pool, self._studio.thumbnail, rgb)
                self._emit(Shown(look, screen.page_id, screen.number, screen.count, sha256, at_ns, small))
