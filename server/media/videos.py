"""Videos for boards: MP4 with H.264, looked into by ffprobe, copied without sound and metadata."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

from server.media.ffmpeg import ToolFailedError, decoding_errors, run_tool
from server.media.pictures import CanonicalPicture, sha256_synced
from server.problems import Problem, RefusedError
from server.reasons import Phrase

logger = logging.getLogger(__name__)

LONGEST_S = 30 * 60
LONGER_SIDE_PX, SHORTER_SIDE_PX = 1920, 1088
"""What a box decodes without help from a fan; 1088 because H.264 counts in blocks of 16."""

PROBE_LIMIT_S = 30.0
COPY_LIMIT_S = 120.0
_READ = ("-protocol_whitelist", "file,pipe", "-format_whitelist", "mov")
_PIXELS = ("yuv420p", "yuvj420p")
_CUT = ("partial file", "Packet corrupt", "moov atom not found")
_SHORTER = 0.97
"""Of its declared length a video may lack some frames at its end."""


async def make_video(upload: Path, workspace: Path, label: str) -> CanonicalPicture:
    """Check an uploaded video and copy its picture.

    Args:
        upload: as received; untrusted.
        workspace: a folder; the result is in it, and all else is for the caller to remove.
        label: names the upload in the log.

    Raises:
        RefusedError: it is empty, another format than MP4 with H.264, too large, too long, damaged or cut.
    """
    if not await asyncio.to_thread(lambda: upload.stat().st_size):
        raise RefusedError(Problem.MEDIA_EMPTY)
    declared_s, _, _ = await _looked_into(upload)
    target = workspace / "plain.mp4"
    try:
        _, log = await run_tool(
            [
                *("ffmpeg", "-hide_banner", "-nostdin", "-y", "-loglevel", "repeat+level+warning", *_READ),
                *("-i", f"file:{upload}", "-map", "0:v:0", "-c", "copy", "-an", "-sn", "-dn"),
                *("-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact"),
                *("-movflags", "+faststart", "-f", "mp4", f"file:{target}"),
            ],
            COPY_LIMIT_S,
        )
    except (ToolFailedError, TimeoutError) as error:
        raise _unusable("broken") from error
    if any(saying in log for saying in _CUT):
        raise _unusable("cut")
    length_s, width_px, height_px = await _looked_into(target)
    if length_s < declared_s * _SHORTER - 0.5:
        raise _unusable("cut")
    if decoding_errors(log):
        raise _unusable("broken")
    sha256 = await asyncio.to_thread(sha256_synced, target)
    logger.info("%s: %d x %d px, %.1f s", label, width_px, height_px, length_s)
    return CanonicalPicture(
        target,
        sha256,
        "video/mp4",
        target.stat().st_size,
        width_px,
        height_px,
        max(1, round(length_s * 1000)),
    )


async def _looked_into(path: Path) -> tuple[float, int, int]:
    """Length in seconds, width and height of a video that boards can play."""
    try:
        out, _ = await run_tool(
            [
                *("ffprobe", "-v", "error", *_READ, "-select_streams", "v:0", "-of", "json", "-show_entries"),
                "stream=codec_name,pix_fmt,width,height,duration:format=format_name,duration",
                f"file:{path}",
            ],
            PROBE_LIMIT_S,
        )
        said = json.loads(out)
    except ToolFailedError as error:
        raise _unusable("cut" if "moov atom not found" in error.log else "format") from error
    except (ValueError, TimeoutError) as error:
        raise _unusable("format") from error
    streams: list[dict[str, Any]] = said.get("streams") or []
    if not streams:
        raise _unusable("format")
    stream = streams[0]
    if stream.get("codec_name") != "h264" or stream.get("pix_fmt") not in _PIXELS:
        raise _unusable("codec", found=f"{stream.get('codec_name')} {stream.get('pix_fmt', '')}".strip())
    sides = sorted((_whole(stream.get("width")), _whole(stream.get("height"))))
    if not 0 < sides[0] <= SHORTER_SIDE_PX or sides[1] > LONGER_SIDE_PX:
        raise _unusable("pixels", found=f"{stream.get('width')} x {stream.get('height')}")
    length_s = _seconds(stream.get("duration")) or _seconds((said.get("format") or {}).get("duration"))
    if not length_s:
        raise _unusable("broken")
    if length_s > LONGEST_S:
        raise _unusable("long")
    return length_s, _whole(stream.get("width")), _whole(stream.get("height"))


def _unusable(why: str, **values: object) -> RefusedError:
    return RefusedError(Problem.VIDEO_UNUSABLE, detail=Phrase(f"video.{why}", values))


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _seconds(text: object) -> float:
    try:
        value = float(str(text))
    except ValueError:
        return 0.0
    return value if 0 < value < 1e7 else 0.0  # noqa: PLR2004 - beyond is nonsense
