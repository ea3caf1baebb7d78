"""Keeps one board showing what is on air, or its idle text; a board that is absent is a state.

Drawing happens in a short-lived child; this service only decides what to show and hands frames to the
driver, whose exit is the board's safe state.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from agent.clock import Clock
from agent.latest import Latest
from agent.model.issue import Fault
from drivers.api import Board, DeviceUnavailableError, DriverError, Frame

logger = logging.getLogger(__name__)

RENDER_LIMIT_S = 10.0
PROBE_EVERY_S = 10.0


class Issues(Protocol):
    """Where conditions a person can fix are told."""

    def raise_(self, fault: Fault, subject: str = "", detail: str = "") -> None: ...

    def clear(self, fault: Fault, subject: str = "") -> None: ...


@dataclass(frozen=True, slots=True)
class Screen:
    """What a board should show: a text and its colour (red, green, blue, 0 to 255)."""

    text: str
    colour: tuple[int, int, int] = (255, 200, 0)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a board does show since when."""

    text: str
    since: datetime


async def render(screen: Screen, width_px: int, height_px: int) -> Frame:
    """Draw a screen in a child process.

    Raises:
        DeviceUnavailableError: the child failed or took longer than 10 s; it is killed.
    """
    wish = {"text": screen.text, "colour": screen.colour, "width_px": width_px, "height_px": height_px}
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agent.signage.render",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(RENDER_LIMIT_S):
            picture, complaint = await child.communicate(json.dumps(wish).encode())
    except TimeoutError as error:
        raise DeviceUnavailableError("drawing took longer than 10 s") from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0 or len(picture) != width_px * height_px * 3:
        lines = complaint.decode(errors="replace").strip().splitlines() or ["no picture"]
        raise DeviceUnavailableError(f"drawing failed: {lines[-1][:200]}")
    return Frame(width_px, height_px, picture)


class SignageEngine:
    """Service of one board."""

    def __init__(
        self,
        board: str,
        open_device: Callable[[], AbstractAsyncContextManager[Board]],
        wanted: Latest[Screen],
        clock: Clock,
        issues: Issues,
    ) -> None:
        self.name = f"board {board}"
        self.shown: Shown | None = None
        self._board = board
        self._open = open_device
        self._wanted = wanted
        self._clock = clock
        self._issues = issues

    async def run(self) -> None:
        try:
            async with self._open() as device:
                await self._follow(device)
        except DriverError as error:
            self._issues.raise_(Fault.BOARD_UNAVAILABLE, self._board, str(error))
            raise
        finally:
            self.shown = None

    async def _follow(self, device: Board) -> None:
        size = device.geometry
        while True:
            screen = self._wanted.value
            if self.shown is None or self.shown.text != screen.text:
                frame = await render(screen, size.width_px, size.height_px)
                await device.show(frame, screen.text)
                self.shown = Shown(screen.text, self._clock.now())
                self._issues.clear(Fault.BOARD_UNAVAILABLE, self._board)
                logger.info("board %s: shows %r", self._board, screen.text[:80])
            if self._wanted.value != screen:
                continue
            try:
                async with asyncio.timeout(PROBE_EVERY_S):
                    await self._wanted.changed()
            except TimeoutError:
                await device.probe()
