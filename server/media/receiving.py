"""Uploads on their way into the store: received within bounds, moved into place whole."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterable
from pathlib import Path

from server.problems import Problem, RefusedError
from server.reasons import Phrase

KEEP_FREE_BYTES = 512 * 1024 * 1024
RECEIVE_STALL_S = 60.0


def check_room(folder: Path) -> None:
    """Refuse an upload while the disk is nearly full.

    Raises:
        RefusedError: it is.
    """
    if shutil.disk_usage(folder).free < KEEP_FREE_BYTES:
        raise RefusedError(Problem.STORAGE_FULL)


async def receive(chunks: AsyncIterable[bytes], target: Path, largest: int) -> None:
    """Write an upload into a file.

    Raises:
        RefusedError: more than `largest` bytes, or nothing came for a minute.
    """
    size = 0
    iterator = aiter(chunks)
    with target.open("wb") as file:
        while True:
            try:
                async with asyncio.timeout(RECEIVE_STALL_S):
                    chunk = await anext(iterator)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                raise RefusedError(Problem.INVALID, detail=Phrase("wrong.stalled")) from error
            size += len(chunk)
            if size > largest:
                raise RefusedError(Problem.TOO_LARGE, detail=f"{largest // 1024**2} MB")
            await asyncio.to_thread(file.write, chunk)


def move_into_place(made: Path, target: Path) -> None:
    """Give a finished file its name, so that it survives a power cut."""
    target.parent.mkdir(exist_ok=True)
    made.chmod(0o600)
    made.replace(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
