"""An Alpha sign on a pseudo terminal or behind a serial server over TCP.

`python -m drivers.board.alpha.emulator --pty /tmp/sign --width 160 --height 16 --out board.png`
`python -m drivers.board.alpha.emulator --port 4001 --out board.png`
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import time
import tty
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from PIL import Image

from drivers.api import Frame
from drivers.board.alpha.emulated_sign import AlphaEmulator

__all__ = ["AlphaEmulator", "Plug"]

logger = logging.getLogger(__name__)


class Plug:
    """Connects a sign to a pseudo terminal behind a stable name, or to a TCP port; and pulls it out."""

    def __init__(self, sign: AlphaEmulator) -> None:
        self.sign = sign
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._terminal: tuple[int, int] | None = None
        self._spare: list[tuple[int, int]] = []
        self._name: Path | None = None

    @property
    def is_out(self) -> bool:
        return self._terminal is None and self._server is None

    async def listen(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Be a serial server; `port` 0 takes a free one."""
        self._server = await asyncio.start_server(self._serve, host, port or self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def attach(self, name: Path) -> None:
        """Be a serial adapter whose stable name is `name`, a link to whatever number it has today."""
        if name.is_symlink():
            name.unlink()
        elif name.exists():
            raise FileExistsError(f"{name} is something else than the name of an emulated port")
        self._name = name
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        name.symlink_to(os.ttyname(slave))
        self._terminal = (master, slave)
        asyncio.get_running_loop().add_reader(master, self._readable)

    def renumber(self) -> None:
        """Come back as another number under the same name."""
        self._spare.append(os.openpty())  # takes the number that was free
        if self._name is not None:
            self.attach(self._name)

    async def pull(self) -> None:
        """Vanish."""
        if self._terminal is not None:
            master, slave = self._terminal
            self._terminal = None
            asyncio.get_running_loop().remove_reader(master)
            if self._name is not None:
                self._name.unlink(missing_ok=True)
            os.close(slave)
            os.close(master)
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if server is not None:
            await server.wait_closed()

    async def close(self) -> None:
        await self.pull()
        for pair in self._spare:
            for descriptor in pair:
                os.close(descriptor)
        self._spare.clear()

    def _readable(self) -> None:
        if self._terminal is None:
            return
        try:
            data = os.read(self._terminal[0], 4096)
        except (BlockingIOError, OSError):
            return
        answers = self.sign.feed(data, time.monotonic())
        if answers:
            task = asyncio.create_task(self._answer(answers))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, answers: list[bytes]) -> None:
        if self.sign.late_s:
            await asyncio.sleep(self.sign.late_s)
        for answer in answers:
            rest = self.sign.spoil(answer)
            while rest and self._terminal is not None:
                try:
                    rest = rest[os.write(self._terminal[0], rest) :]
                except BlockingIOError:
                    await asyncio.sleep(0.005)
                except OSError:
                    return

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            while data := await reader.read(4096):
                for answer in self.sign.feed(data, time.monotonic()):
                    if self.sign.late_s:
                        await asyncio.sleep(self.sign.late_s)
                    writer.write(self.sign.spoil(answer))
                    await writer.drain()
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()


async def _run(arguments: argparse.Namespace) -> None:
    sign = AlphaEmulator(arguments.width, arguments.height)
    plug = Plug(sign)
    if arguments.pty is not None:
        plug.attach(arguments.pty)
        logger.info("sign of %dx%d px at %s", sign.width, sign.height, arguments.pty)
    else:
        await plug.listen(arguments.host, arguments.port)
        logger.info("sign of %dx%d px at port %d", sign.width, sign.height, plug.port)
    before: Frame | None = None
    try:
        while True:
            frame = sign.frame()
            if frame != before:
                before = frame
                image = Image.frombytes("RGB", (frame.width_px, frame.height_px), frame.rgb)
                temporary = arguments.out.with_suffix(".new.png")
                await asyncio.to_thread(image.save, temporary, "PNG")
                temporary.replace(arguments.out)
            await asyncio.sleep(0.1)
    finally:
        await plug.close()


async def _until_signalled(work: Coroutine[Any, Any, None]) -> None:
    """Run until SIGINT or SIGTERM: both clean up."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
    logger.info("stopped")


def main() -> None:
    """Run as a tool until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="Emulated Alpha sign; what it shows is a PNG file.")
    parser.add_argument("--pty", type=Path, help="be a serial port under this name")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=4001, help="TCP port when there is no --pty (4001)")
    parser.add_argument("--width", type=int, default=160, help="width of the sign in pixels")
    parser.add_argument("--height", type=int, default=16, help="height of the sign in pixels")
    parser.add_argument("--out", type=Path, default=Path("board.png"), help="picture of what is shown")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(_until_signalled(_run(parser.parse_args())))


if __name__ == "__main__":
    main()
