"""Small files that outlive us: how a board was before us, so that it can be handed back after we were killed.

A file is there as long as something of ours may be on the board: it is written before the first change, stays
when we leave or are killed, and goes when the board has been handed back. Every call here blocks. A disk that
is full, broken or read-only is logged and forgotten: the board is then handed back only by the process that
took it.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

logger = logging.getLogger(__name__)

_NAME_MAX = 60
_LONGEST_BYTES = 16_000_000


class KeptError(Exception):
    """There is a file, and it cannot be used."""


def place(folder: Path | None, kind: str, board: str, suffix: str) -> Path | None:
    """Where a driver of `kind` keeps its file of a board; None if it has no folder."""
    if folder is None:
        return None
    plain = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in board)[:_NAME_MAX]
    return folder / f"{kind}-{plain}{suffix}"


def write(path: Path | None, content: bytes) -> None:
    """Replace the file: a power cut leaves the old one or the new one, a failure the old one."""
    if path is None:
        return
    fresh = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _settle(path.parent)
    except OSError as error:
        logger.warning("%s: how the board was before us cannot be kept: %s", path, error)
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)


def read(path: Path | None, longest_bytes: int = _LONGEST_BYTES) -> bytes | None:
    """Return what was written, None if nothing was; raises KeptError when it is too long or unreadable."""
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            content = file.read(longest_bytes + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeptError(str(error)) from error
    if len(content) > longest_bytes:
        raise KeptError(f"longer than {longest_bytes} bytes")
    return content


def forget(path: Path | None) -> None:
    """Delete the file, if there is one."""
    if path is None:
        return
    try:
        path.unlink(missing_ok=True)
        if path.parent.is_dir():
            _settle(path.parent)
    except OSError as error:
        logger.warning("%s: cannot be deleted: %s", path, error)


def _settle(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
