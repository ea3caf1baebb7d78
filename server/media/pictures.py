"""From any uploaded picture to the canonical one: PNG or JPEG, at most 3840 px, nothing but pixels."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from server.media.ffmpeg import ToolFailedError, run_tool
from server.problems import Problem, RefusedError
from server.reasons import Phrase

logger = logging.getLogger(__name__)

LIMIT_S = 60.0
_CHILD = Path(__file__).with_name("picture_child.py")
_PROBLEMS = ("format", "broken", "cut", "pixels")


@dataclass(frozen=True, slots=True)
class CanonicalPicture:
    """A finished file.

    Attributes:
        duration_ms: of a video; 0 for a picture.
    """

    path: Path
    sha256: str
    content_type: str
    size_bytes: int
    width_px: int
    height_px: int
    duration_ms: int = 0


async def make_picture(upload: Path, workspace: Path, label: str) -> CanonicalPicture:
    """Decode and encode again an uploaded picture, in a child process with limits.

    Args:
        upload: as received; untrusted.
        workspace: a folder; the result is in it, and all else is for the caller to remove.
        label: names the upload in the log.

    Raises:
        RefusedError: it is empty, no picture of a known format, damaged, cut, or too large.
    """
    if not await asyncio.to_thread(lambda: upload.stat().st_size):
        raise RefusedError(Problem.MEDIA_EMPTY)
    try:
        out, _ = await run_tool([sys.executable, "-I", str(_CHILD), str(upload), str(workspace)], LIMIT_S)
        said = json.loads(out)
        path = workspace / str(said["file"])
        width_px, height_px = int(said["width"]), int(said["height"])
    except ToolFailedError as error:
        raise _refused(error, label) from error
    except TimeoutError as error:
        raise RefusedError(Problem.PICTURE_UNUSABLE, detail=Phrase("picture.pixels")) from error
    sha256 = await asyncio.to_thread(sha256_synced, path)
    logger.info("%s: %d x %d px, %s", label, width_px, height_px, path.suffix)
    content_type = "image/png" if path.suffix == ".png" else "image/jpeg"
    return CanonicalPicture(path, sha256, content_type, path.stat().st_size, width_px, height_px)


def _refused(error: ToolFailedError, label: str) -> RefusedError:
    """The child's own reason; one that died of a limit or of a decoder says nothing."""
    try:
        problem = str(json.loads(error.out)["problem"])
    except (ValueError, KeyError, TypeError):
        logger.warning("%s: %s: %s", label, error, error.log[-500:].strip())
        problem = "broken"
    return RefusedError(
        Problem.PICTURE_UNUSABLE, detail=Phrase(f"picture.{problem if problem in _PROBLEMS else 'broken'}")
    )


def sha256_synced(path: Path) -> str:
    """Hash of a file whose bytes are on the disk."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return digest
