"""A Huidu card as a tool.

`python -m drivers.board.huidu.emulator --port 10001 --width 128 --height 64 --out board.png`
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from PIL import Image

from drivers.board.huidu.emulated_card import HuiduEmulator

__all__ = ["HuiduEmulator"]

logger = logging.getLogger(__name__)


async def _run(arguments: argparse.Namespace) -> None:
    card = HuiduEmulator(arguments.width, arguments.height, appends=arguments.appends)
    await card.start(arguments.host, arguments.port)
    logger.info("huidu card of %dx%d px at port %d", card.width, card.height, card.port)
    before = b""
    while True:
        frame = card.frame()
        ticker = card.ticker()
        image = Image.frombytes("RGB", (frame.width_px, frame.height_px), frame.rgb)
        if ticker is not None:
            strip = Image.frombytes("RGB", (ticker.strip.width_px, ticker.strip.height_px), ticker.strip.rgb)
            offset = int(time.monotonic() * ticker.speed_px_s) % strip.width
            for start in range(-offset, frame.width_px, strip.width):
                image.paste(strip, (start, ticker.y_px))
        if image.tobytes() != before:
            before = image.tobytes()
            temporary = arguments.out.with_suffix(".new.png")
            await asyncio.to_thread(image.save, temporary, "PNG")
            temporary.replace(arguments.out)
        await asyncio.sleep(0.1)


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
    parser = argparse.ArgumentParser(
        description="Emulated Huidu card: SDK2 over TCP, what it shows as a PNG file."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=10001, help="TCP port (10001)")
    parser.add_argument("--width", type=int, default=128, help="width of the board in pixels")
    parser.add_argument("--height", type=int, default=64, help="height of the board in pixels")
    parser.add_argument("--appends", action="store_true", help="AddProgram keeps other programmes")
    parser.add_argument("--out", type=Path, default=Path("board.png"), help="picture of what is shown")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(_until_signalled(_run(parser.parse_args())))


if __name__ == "__main__":
    main()
