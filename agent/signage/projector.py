"""Plays the videos of one board, and remembers for a while which of them cannot be played."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from agent.signage import video
from agent.signage.screen import Screen
from drivers.api import Board

STREAM_AGAIN_S = 30.0
"""A live stream that failed is tried again after so long."""

FILE_AGAIN_S = 600.0


class Projector:
    """Videos of a board.

    Attributes:
        lent: another program has the display now.
        playing: the video that plays now, empty if none does.
    """

    def __init__(self, board: Board, player: str) -> None:
        """`player` is `ffmpeg`, or `mpv` where the board lets go of its display."""
        self.lent = False
        self.playing = ""
        self._board = board
        self._lends = player == "mpv" and board.abilities.video
        self._again_s: dict[str, float] = {}

    def plays(self, screen: Screen) -> bool:
        """Whether a screen is a video that is not known to be broken."""
        return bool(screen.video) and self._again_s.get(screen.video, -math.inf) <= time.monotonic()

    async def play(
        self,
        screen: Screen,
        source: str | Path,
        first: Callable[[bytes], Awaitable[None]],
        stop: asyncio.Event,
        ends: Callable[[], float],
    ) -> None:
        """Play as `video.play` does.

        Raises:
            VideoError: it cannot be played; `plays` is False from now on, for a while.
            DriverError: the board is lost.
        """
        self.playing, self.lent = screen.video, self._lends
        try:
            await (video.play_on_display if self._lends else video.play)(
                self._board, source, first, stop, ends
            )
        except video.VideoError:
            now_s = time.monotonic()
            for name in [name for name, again_s in self._again_s.items() if again_s < now_s]:
                del self._again_s[name]
            live = not isinstance(source, Path)
            self._again_s[screen.video] = now_s + (STREAM_AGAIN_S if live else FILE_AGAIN_S)
            raise
        finally:
            self.playing, self.lent = "", False

    def again_s(self, screen: Screen) -> float:
        """When a broken video is tried again, CLOCK_MONOTONIC; infinity for what is no broken video."""
        return math.inf if self.plays(screen) else self._again_s.get(screen.video, math.inf)
