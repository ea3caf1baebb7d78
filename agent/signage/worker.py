"""The board worker: one process for each board, so that drawing and a slow card never delay sound.

Started by `agent.signage.client`; speaks JSON lines over an inherited socket. Whatever ends it in good order
(quit, the agent's death, SIGTERM, a lost board) leaves the driver, which leaves the safe screen on the board.
"""

from __future__ import annotations

import asyncio
import base64
import ctypes
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agent.signage.brightness import Dimmer, dim
from agent.signage.link import (
    BoardEvent,
    Problem,
    Setup,
    facts_of_row,
    look_of_row,
    row_of_board,
    row_of_event,
    setup_of_row,
)
from agent.signage.stage import Stage
from agent.signage.studio import Studio
from drivers.api import Board, BoardStatus, DriverError
from drivers.registry import board_driver

logger = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_NICE = 5
_SWITCH_S = 0.001
_LINE_MAX_BYTES = 64 * 1024 * 1024
_BACKLOG_MAX_BYTES = 4 * 1024 * 1024
_STATUS_EVERY_S = 5.0
_STATUS_LIMIT_S = 20.0
_LAST_S = 10
_STEP = 0.004


class Quit(Exception):  # noqa: N818  not an error
    """The agent wants the worker to end, or is gone."""


class Channel:
    """Sends lines without ever waiting for the agent; events are dropped while it does not read."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def send(self, row: dict[str, Any]) -> None:
        transport = self._writer.transport
        if transport.is_closing():
            return
        if "id" in row or transport.get_write_buffer_size() < _BACKLOG_MAX_BYTES:
            self._writer.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")

    def emit(self, event: BoardEvent) -> None:
        self.send(row_of_event(event))


class Worker:
    """Carries out the commands of the agent for an opened board."""

    def __init__(self, setup: Setup, board: Board, studio: Studio, channel: Channel) -> None:
        self._setup = setup
        self._board = board
        self._channel = channel
        self._stage = Stage(board, studio, channel.emit, setup.video_player)
        self._status: BoardStatus | None = None
        self._ordered: float | None = None
        self._dimmer = Dimmer()
        self._level: float | None = None
        self._light = asyncio.Event()
        self._verbs: dict[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]] = {
            "look": self._look,
            "clock": self._clock,
            "brightness": self._brightness,
            "screenshot": self._screenshot,
            "status": self._tell_status,
        }

    async def run(self, reader: asyncio.StreamReader, stop: asyncio.Event) -> None:
        """Serve until the agent says quit or is gone, or `stop`, which raises Quit in a group."""
        async with asyncio.TaskGroup() as group:
            group.create_task(_quit_after(stop), name="stop")
            group.create_task(self._stage.run(), name="stage")
            group.create_task(self._follow(), name="status")
            group.create_task(self._dim_when_told(), name="light")
            group.create_task(self._serve(reader, group), name="serve")

    async def _serve(self, reader: asyncio.StreamReader, group: asyncio.TaskGroup) -> None:
        while line := await reader.readline():
            message = json.loads(line)
            if message["op"] == "quit":
                break
            if message["op"] == "ping":
                self._channel.send({"ev": "done", "id": message["id"]})
            else:
                group.create_task(self._answer(message))
        raise Quit

    async def _answer(self, message: dict[str, Any]) -> None:
        values = await self._verbs[message["op"]](message)
        self._channel.send({"ev": "done", "id": message["id"], **values})

    async def _look(self, message: dict[str, Any]) -> dict[str, Any]:
        assets = {key: Path(path) for key, path in message["assets"].items()}
        look, facts = look_of_row(message["look"]), facts_of_row(message["facts"])
        await self._stage.look(message["number"], look, facts, assets)
        return {}

    async def _clock(self, message: dict[str, Any]) -> dict[str, Any]:
        self._stage.set_clock(message["offset_ns"], message["known"])
        self._light.set()
        return {}

    async def _brightness(self, message: dict[str, Any]) -> dict[str, Any]:
        self._ordered = message["level"]
        await self._dim()
        return {}

    async def _screenshot(self, _message: dict[str, Any]) -> dict[str, Any]:
        return {"png": base64.b64encode(await self._stage.screenshot()).decode()}

    async def _tell_status(self, _message: dict[str, Any]) -> dict[str, Any]:
        status = self._status or await self._ask()
        return {"status": asdict(status), "frames": self._stage.frames}

    async def _ask(self) -> BoardStatus:
        async with self._stage.lock, asyncio.timeout(_STATUS_LIMIT_S):
            self._status = await self._board.status()
        return self._status

    async def _follow(self) -> None:
        """Ask the board every five seconds how it is; paint again what it lost or what is not ours."""
        while True:
            await self._dim()
            await asyncio.sleep(_STATUS_EVERY_S)
            status = await self._ask()
            if self._stage.mine and (status.lost or status.foreign):
                self._level = None
                if status.lost:
                    self._stage.repaint("power_lost", "the board had lost its picture")
                else:
                    self._stage.repaint("foreign", "the board showed something that is not ours")

    async def _dim_when_told(self) -> None:
        """Brightness goes by the clock; who sets it does not wait for the card."""
        while True:
            await self._light.wait()
            self._light.clear()
            await self._dim()

    async def _dim(self) -> None:
        light = None if self._status is None else self._status.light
        civil = None
        if self._stage.clock_known:
            with suppress(ZoneInfoNotFoundError, ValueError, OSError):
                civil = self._stage.now().astimezone(ZoneInfo(self._stage.facts.timezone))
        self._dimmer = dim(self._setup.brightness, self._dimmer, civil, light, self._ordered)
        level = self._dimmer.level
        if self._level is None or abs(level - self._level) > _STEP:
            self._level = level
            async with self._stage.lock:
                await self._board.brightness(level)


async def _quit_after(stop: asyncio.Event) -> None:
    await stop.wait()
    raise Quit


def build_studio(setup: Setup, tell: Callable[[Problem], object]) -> Studio:
    """Load what draws; a broken theme is told and the built-in one taken. Raises FontsMissingError."""
    from agent.signage.theme import ThemeError  # noqa: PLC0415  in a thread while the board is opened

    try:
        return Studio(setup)
    except (ThemeError, OSError) as error:
        if setup.theme is None:
            raise
        tell(Problem("", "theme", str(error)[:500]))
        return Studio(replace(setup, theme=None))


async def serve(connection: socket.socket) -> None:
    """Run the worker over a socket until its end."""
    reader, writer = await asyncio.open_connection(sock=connection, limit=_LINE_MAX_BYTES)
    channel = Channel(writer)
    first = json.loads(await reader.readline())
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def end() -> None:
        # The agent's death comes as SIGTERM and as the end of the socket at once: nothing is cancelled here,
        # which could break off making the board safe. The alarm ends a driver that hangs meanwhile.
        stop.set()
        signal.alarm(_LAST_S)

    loop.add_signal_handler(signal.SIGTERM, end)
    ready = False

    try:
        setup = setup_of_row(first["setup"])
        loading = loop.run_in_executor(
            None, build_studio, setup, lambda problem: loop.call_soon_threadsafe(channel.emit, problem)
        )
        driver = board_driver(setup.kind).from_options(first["name"], setup.options)
        async with driver.open() as board:
            studio = await loading
            studio.fit(board.geometry, board.abilities)
            channel.send({"ev": "ready", "id": 0, **row_of_board(board.geometry, board.abilities)})
            ready = True
            try:
                await Worker(setup, board, studio, channel).run(reader, stop)
            except* Exception as group:
                # Told before the driver makes the board safe: that may take its time, and meanwhile nothing
                # is answered. The alarm ends a driver that hangs.
                signal.alarm(_LAST_S)
                if stop.is_set():
                    channel.send({"ev": "fatal", "id": 0, "detail": "the board worker was told to end"})
                _tell_end(group, channel, "fatal")
                raise
    except* Quit:
        pass
    except* Exception as group:  # noqa: BLE001  told to the agent, before or here; the process ends
        if not ready:
            _tell_end(group, channel, "unable")
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(0.5):
            await writer.drain()
    writer.close()


def _tell_end(group: BaseExceptionGroup[BaseException], channel: Channel, kind: str) -> None:
    """Tell the agent why the worker ends; what is not an error of a device is a bug."""
    reason = _first(group)
    if isinstance(reason, Quit):
        return
    text = str(reason)
    if not isinstance(reason, DriverError):
        logger.error("board worker ends", exc_info=reason)
        text = f"{type(reason).__name__}: {reason}"
    channel.send({"ev": kind, "id": 0, "detail": text[:500]})


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def main() -> None:
    """Run the worker: arguments are the number of the control socket and the agent's process id."""
    control, parent = int(sys.argv[1]), int(sys.argv[2])
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    sys.setswitchinterval(_SWITCH_S)
    with suppress(OSError):
        os.nice(_NICE)
    if os.getppid() != parent:
        return
    connection = socket.socket(fileno=control)
    connection.set_inheritable(False)
    with suppress(asyncio.CancelledError, KeyboardInterrupt):
        asyncio.run(serve(connection))
    sys.stderr.flush()
    # A painting thread may still be busy; nothing in it is worth waiting for.
    os._exit(0)


if __name__ == "__main__":
    main()
