"""Video on a board: ffmpeg decodes in a child, its frames go into the frame memory at up to 25 a second.

Or `mpv` shows it on the display itself, which decodes in hardware where ffmpeg is too slow (untested on
hardware); the driver gives the display up for that time and takes it again with the next picture.

A file is opened as MP4 and nothing else, so that a playlist in disguise cannot name other files; a live
stream (HLS) is opened over HTTP only. Boards without frame memory show the first frame.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import math
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from agent.signage.leash import leashed
from drivers.api import Board, BoardGeometry, Canvas, PixelFormat

logger = logging.getLogger(__name__)

FRAMES_HZ = 25
_FIRST_S = 8.0
_STALL_S = 5.0
_MEMORY_BYTES = 2 * 1024**3
_PIPE_BYTES = 1024 * 1024
_F_SETPIPE_SZ = 1031
_FORMATS = {PixelFormat.RGB: "rgb24", PixelFormat.BGRX: "bgr0", PixelFormat.RGB565: "rgb565le"}
_HOLD_S = 0.2
_ROUND_S = 1.0  # a decoder is started at most so often, however short its video
_LENGTH_MAX_S = 3600.0
_PROBE_S = 3.0
_MP4 = "mov"
_FILE_ONLY, _HTTP_ONLY = "file,pipe", "https,http,tls,tcp,crypto"


class VideoError(Exception):
    """A video cannot be shown.

    Attributes:
        code: `video_no_player` (ffmpeg is not installed), `video_missing`, `video_broken` or `video_stalled`.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def arguments(source: str | Path, size: BoardGeometry, form: PixelFormat, *, single: bool) -> list[str]:
    """Arguments of ffmpeg that write whole frames to standard output, fitted, never stretched.

    Args:
        source: a file, or the URL of an HLS stream.
        size: of the board.
        form: of its frame memory.
        single: only the first frame.

    Raises:
        VideoError: `video_missing`: neither a file nor an http(s) URL.
    """
    opened = _opened(source)
    width, height = size.width_px, size.height_px
    fitted = (
        f"fps={FRAMES_HZ},scale={width}:{height}:force_original_aspect_ratio=decrease:flags=bilinear,"
        f"pad={width}:{height}:-1:-1:black,setsar=1"
    )
    return [
        *("-hide_banner", "-loglevel", "error", "-nostdin", "-threads", "2"),
        *opened,
        *("-map", "0:v:0", "-an", "-sn", "-dn", "-vf", fitted),
        *(("-frames:v", "1") if single else ()),
        *("-f", "rawvideo", "-pix_fmt", _FORMATS[form], "pipe:1"),
    ]


def _opened(source: str | Path) -> list[str]:
    if isinstance(source, Path):
        return ["-protocol_whitelist", _FILE_ONLY, "-f", _MP4, "-i", f"file:{source}"]
    _require_url(source)
    return ["-protocol_whitelist", _HTTP_ONLY, "-rw_timeout", "8000000", "-f", "hls", "-i", source]


def _require_url(source: str) -> None:
    if not source.startswith(("https://", "http://")):
        raise VideoError("video_missing", f"no such video on this box: {source[:80]!r}")


def mpv_arguments(source: str | Path, output: str) -> list[str]:
    """Arguments of mpv that fill a display of its own, silently, over and over.

    Args:
        source: a file, or the URL of an HLS stream.
        output: of the display, such as `/dev/dri/card1`.

    Raises:
        VideoError: `video_missing`: neither a file nor an http(s) URL.

    Source: mpv's manual, DRM output driver; checked with no hardware.
    """
    if isinstance(source, Path):
        form, allowed, name = _MP4, _FILE_ONLY, f"file://{source}"
    else:
        _require_url(source)
        form, allowed, name = "hls", _HTTP_ONLY, source
    return [
        *("--no-config", "--load-scripts=no", "--ytdl=no", "--no-terminal", "--no-input-default-bindings"),
        *("--osd-level=0", "--no-audio", "--loop-file=inf", "--hwdec=auto-safe", "--keepaspect=yes"),
        *("--vo=gpu,drm", "--gpu-context=drm", f"--drm-device={output}"),
        *(f"--demuxer-lavf-format={form}", f"--demuxer-lavf-o=protocol_whitelist=[{allowed}]"),
        *("--demuxer=lavf", "--", name),
    ]


def length_s(path: Path) -> float | None:
    """How long a video file is, at most an hour; None when that cannot be told. Blocks: for a thread."""
    program = shutil.which("ffprobe")
    if program is None:
        return None
    wanted = ["-v", "error", *_opened(path), "-show_entries", "format=duration", "-of", "csv=p=0"]
    try:
        done = subprocess.run(
            leashed([program, *wanted], _MEMORY_BYTES), capture_output=True, timeout=_PROBE_S, check=False
        )
        found = float(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return min(found, _LENGTH_MAX_S) if found > 0 else None


@asynccontextmanager
async def _decoder(
    wanted: list[str],
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int, asyncio.Task[str]]]:
    """Run ffmpeg; gives the process, the pipe with its frames and its last complaint. Raises VideoError."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise VideoError("video_no_player", "ffmpeg is not installed")
    reading, writing = os.pipe()
    try:
        with suppress(OSError):
            fcntl.fcntl(writing, _F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            child = await asyncio.create_subprocess_exec(
                *leashed([program, *wanted], _MEMORY_BYTES),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writing,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        finally:
            os.close(writing)
        said = asyncio.ensure_future(_last_line(child.stderr))
        try:
            yield child, reading, said
        finally:
            if child.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
            await child.wait()
            said.cancel()
            await asyncio.wait([said])
    finally:
        os.close(reading)


async def _last_line(stream: asyncio.StreamReader | None) -> str:
    """What ffmpeg complained of last; all of it is read, since it would stop at a full pipe."""
    kept = b""
    while stream is not None and (data := await stream.read(4096)):
        kept = (kept + data)[-1000:]
    lines = kept.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "no picture in it"


def _fill(descriptor: int, buffer: memoryview) -> bool:
    """Read a whole frame, in a thread; False at the end of the video."""
    filled = 0
    while filled < len(buffer):
        count = os.readv(descriptor, [buffer[filled:]])
        if count == 0:
            return False
        filled += count
    return True


async def play(
    board: Board,
    source: str | Path,
    first: Callable[[bytes], Awaitable[None]],
    stop: asyncio.Event,
    ends: Callable[[], float],
) -> None:
    """Play a video until `stop` or until `ends()` is reached, over and over if it is shorter.

    Args:
        board: what plays it.
        source: a file, or the URL of an HLS stream.
        first: shows the first frame, RGB, and records it.
        stop: something else is due.
        ends: tells when its time is over, CLOCK_MONOTONIC; may be infinity, and may change.

    Raises:
        VideoError: nothing could be decoded, or a stream stalled.
        DriverError: the board is lost.
    """
    canvas = board.canvas
    form = PixelFormat.RGB if canvas is None else canvas.pixel_format
    began = False
    while not stop.is_set() and time.monotonic() < ends():
        wanted = arguments(source, board.geometry, form, single=canvas is None)
        again_s = time.monotonic() + _ROUND_S
        async with _decoder(wanted) as (child, pipe, said):
            show_first = None if began else first
            frames = await _run(child, pipe, board, canvas, show_first, stop, ends)
            if frames == 0 and not stop.is_set() and time.monotonic() < ends():
                await asyncio.wait([said], timeout=_STALL_S)
                raise VideoError("video_broken", said.result()[:300] if said.done() else "no picture in it")
        began = True
        await _until(stop, ends, math.inf if canvas is None else again_s)


async def play_on_display(
    board: Board,
    source: str | Path,
    first: Callable[[bytes], Awaitable[None]],
    stop: asyncio.Event,
    ends: Callable[[], float],
) -> None:
    """Let mpv have the display until `stop` or `ends()`; the first frame is shown and recorded by us.

    Raises:
        VideoError: `video_no_player` (mpv is not installed), or the player ended by itself.
        DriverError: the board is lost.
    """
    program = shutil.which("mpv")
    if program is None:
        raise VideoError("video_no_player", "mpv is not installed")
    wanted = mpv_arguments(source, board.abilities.video_output)
    picture = arguments(source, board.geometry, PixelFormat.RGB, single=True)
    async with _decoder(picture) as (child, pipe, _):
        if await _run(child, pipe, board, None, first, stop, ends) == 0:
            raise VideoError("video_broken", "no picture in it")
    await board.hand_back()
    player = await asyncio.create_subprocess_exec(
        *leashed([program, *wanted]),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    over = asyncio.ensure_future(player.wait())
    waiting = asyncio.ensure_future(_until(stop, ends))
    try:
        await asyncio.wait((over, waiting), return_when=asyncio.FIRST_COMPLETED)
        if over.done() and not stop.is_set():
            raise VideoError("video_broken", f"mpv ended with status {player.returncode}")
    finally:
        waiting.cancel()
        if player.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(player.pid, signal.SIGKILL)
        await over


async def _until(stop: asyncio.Event, ends: Callable[[], float], most_s: float = math.inf) -> None:
    while not stop.is_set() and (left_s := min(most_s, ends()) - time.monotonic()) > 0:
        with suppress(TimeoutError):
            async with asyncio.timeout(min(0.2, left_s)):
                await stop.wait()


async def _run(  # noqa: PLR0917  one step of `play`
    child: asyncio.subprocess.Process,
    pipe: int,
    board: Board,
    canvas: Canvas | None,
    first: Callable[[bytes], Awaitable[None]] | None,
    stop: asyncio.Event,
    ends: Callable[[], float],
) -> int:
    """Show what one decoder gives; returns the number of frames."""
    size = board.geometry
    form = PixelFormat.RGB if canvas is None else canvas.pixel_format
    row = size.width_px * form.size_bytes
    buffers = [memoryview(bytearray(row * size.height_px)) for _ in range(1 if canvas is None else 2)]
    loop = asyncio.get_running_loop()
    pool = ThreadPoolExecutor(1, "video")
    count = 0
    due_s = 0.0
    reading = loop.run_in_executor(pool, _fill, pipe, buffers[0])
    stopping = asyncio.ensure_future(stop.wait())
    try:
        while True:
            limit_s = min(_STALL_S if count else _FIRST_S, max(0.0, ends() - time.monotonic()))
            await asyncio.wait((reading, stopping), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set() or time.monotonic() >= ends():
                return count
            if not reading.done():
                raise VideoError("video_stalled", f"no frame within {limit_s:.0f} s")
            if not reading.result():
                return count
            frame = buffers[count % len(buffers)]
            count += 1
            if canvas is not None:
                reading = loop.run_in_executor(pool, _fill, pipe, buffers[count % len(buffers)])
            if count == 1:
                due_s = time.monotonic()
                if first is not None:
                    rgb = await loop.run_in_executor(None, partial(_as_rgb, bytes(frame), size, form))
                    await first(rgb)
            if canvas is None:
                return count
            await _put(canvas, frame, row, size.height_px)
            due_s = max(due_s + 1 / FRAMES_HZ, time.monotonic() - _HOLD_S)
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
    finally:
        stopping.cancel()
        await _let_go(child, reading)
        pool.shutdown(wait=False)


async def _let_go(child: asyncio.subprocess.Process, reading: asyncio.Future[bool]) -> None:
    """End ffmpeg while the reading thread waits for it; the pipe is in use until its other end closes."""
    if reading.done():
        return
    if child.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    await asyncio.wait((reading,))


async def _put(canvas: Canvas, frame: memoryview, row: int, height_px: int) -> None:
    if canvas.stride_bytes == row:
        canvas.memory[: row * height_px] = frame
    else:
        for y in range(height_px):
            canvas.memory[y * canvas.stride_bytes : y * canvas.stride_bytes + row] = frame[
                y * row : y * row + row
            ]
    await canvas.present(0, height_px)


def _as_rgb(frame: bytes, size: BoardGeometry, form: PixelFormat) -> bytes:
    from PIL import Image  # noqa: PLC0415

    if form is PixelFormat.RGB:
        return frame
    raw = {PixelFormat.BGRX: "BGRX", PixelFormat.RGB565: "BGR;16"}[form]
    return Image.frombytes("RGB", (size.width_px, size.height_px), frame, "raw", raw).tobytes()
