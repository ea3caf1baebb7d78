"""ffmpeg and ffprobe as bounded children: no network, no playlists, limited time and output."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from server.leash import command
from server.problems import Problem, RefusedError

logger = logging.getLogger(__name__)

FORMATS = "mp3,wav,w64,flac,ogg,mov,matroska,aac,aiff,asf,amr,avi,mpeg,mpegts,caf,ac3,eac3,flv,au,tta,wv,ape"
"""Containers that hold sound themselves; playlists (hls, concat, dash) name other files and are left out."""

LOG_KEPT_BYTES = 256 * 1024
PROBE_LIMIT_S = 30.0
SAY_EVERY_S = 10.0

_READ = ("-protocol_whitelist", "file,pipe", "-format_whitelist", FORMATS)
_ERROR_LINE = re.compile(r"\[(?:error|fatal|panic)\]")


class ToolFailedError(Exception):
    """A tool ended with an error; `log` is what it said, `out` what it gave."""

    def __init__(self, tool: str, status: int, log: str, out: bytes = b"") -> None:
        self.log = log
        self.out = out
        super().__init__(f"{tool} ended with status {status}")


@dataclass(frozen=True, slots=True)
class Probe:
    """What a file says of itself.

    Attributes:
        declared_s: length its container declares, None if it does not.
    """

    format: str
    codec: str
    declared_s: float | None


async def probe(path: Path) -> Probe:
    """Look into an uploaded file.

    Raises:
        RefusedError: there is no sound in it that we can read.
    """
    try:
        out, _ = await run_tool(
            [
                *("ffprobe", "-v", "error", *_READ, "-select_streams", "a:0", "-of", "json"),
                *("-show_entries", "stream=codec_name,duration:format=format_name,duration", _url(path)),
            ],
            PROBE_LIMIT_S,
        )
        said = json.loads(out)
    except (ToolFailedError, ValueError, TimeoutError) as error:
        raise RefusedError(Problem.MEDIA_NOT_AUDIO) from error
    streams = said.get("streams") or []
    if not streams or not streams[0].get("codec_name"):
        raise RefusedError(Problem.MEDIA_NOT_AUDIO)
    container = said.get("format") or {}
    declared = _seconds(streams[0].get("duration")) or _seconds(container.get("duration"))
    return Probe(str(container.get("format_name", "")), str(streams[0]["codec_name"]), declared)


async def filter_sound(
    source: Path, filters: str, output: list[str], *, limit_s: float, longest_s: float, label: str
) -> str:
    """Read the first audio stream of a file, filter it, write it; returns what ffmpeg said.

    Args:
        source: untrusted file.
        filters: filter graph of one sound stream.
        output: arguments of the outputs.
        limit_s: the child is killed after this.
        longest_s: sound read at most.
        label: names the work in the log.

    Raises:
        ToolFailedError: nothing usable came out.
        TimeoutError: it took longer than `limit_s`.
    """
    arguments = ["ffmpeg", "-hide_banner", "-nostdin", "-y", "-loglevel", "repeat+level+info"]
    arguments += ["-progress", "pipe:1", "-stats_period", "2", "-nostats", *_READ, "-t", str(longest_s)]
    arguments += ["-i", _url(source), "-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1"]
    arguments += ["-af", filters, *output]
    return (await run_tool(arguments, limit_s, _progress(label)))[1]


async def encode_flac(pcm: Path, target: Path, filters: str, *, limit_s: float, label: str) -> str:
    """Encode 48 kHz mono 16-bit PCM as the canonical FLAC and measure it in the same run."""
    arguments = ["ffmpeg", "-hide_banner", "-nostdin", "-y", "-loglevel", "repeat+level+info"]
    arguments += ["-progress", "pipe:1", "-stats_period", "2", "-nostats", "-protocol_whitelist", "file,pipe"]
    arguments += ["-f", "s16le", "-ar", "48000", "-ac", "1", "-i", _url(pcm)]
    arguments += ["-map", "0:a:0", "-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact"]
    arguments += ["-c:a", "flac", "-frame_size", "4608", "-f", "flac", _url(target)]
    arguments += ["-map", "0:a:0", "-af", filters, "-f", "null", "-"]
    return (await run_tool(arguments, limit_s, _progress(label)))[1]


def decoding_errors(log: str) -> int:
    """Number of lines in which ffmpeg complained of the data."""
    return len(_ERROR_LINE.findall(log))


async def run_tool(
    arguments: list[str], limit_s: float, on_line: Callable[[str], None] | None = None
) -> tuple[bytes, str]:
    """Run a bounded child to its end; returns its output and the end of what it said.

    Raises:
        ToolFailedError: it ended with an error.
        TimeoutError: it took longer than `limit_s` and was killed.
    """
    child = await asyncio.create_subprocess_exec(
        *command(*arguments, cpu_s=int(limit_s * 4) + 10, file_bytes=4 * 1024**3),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1024 * 1024,
    )
    if child.stdout is None or child.stderr is None:
        raise RuntimeError("started without pipes")
    try:
        async with asyncio.timeout(limit_s), asyncio.TaskGroup() as group:
            out = group.create_task(_read_out(child.stdout, on_line))
            log = group.create_task(_read_log(child.stderr))
            status = await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if status != 0:
        raise ToolFailedError(arguments[0], status, log.result(), out.result())
    return out.result(), log.result()


async def _read_out(stream: asyncio.StreamReader, on_line: Callable[[str], None] | None) -> bytes:
    kept = bytearray()
    while line := await stream.readline():
        if on_line is not None:
            on_line(line.decode(errors="replace").strip())
        elif len(kept) < LOG_KEPT_BYTES:
            kept += line
    return bytes(kept)


async def _read_log(stream: asyncio.StreamReader) -> str:
    """The end of what a tool said; a hostile file can make it say gigabytes."""
    kept = bytearray()
    complaints = 0
    while part := await stream.read(65536):
        kept += part
        if len(kept) > 2 * LOG_KEPT_BYTES:
            complaints += decoding_errors(kept[:-LOG_KEPT_BYTES].decode(errors="replace"))
            del kept[:-LOG_KEPT_BYTES]
    return "[error] \n" * min(complaints, 1000) + kept.decode(errors="replace")


def _progress(label: str) -> Callable[[str], None]:
    loop = asyncio.get_running_loop()
    said_s = loop.time()

    def note(line: str) -> None:
        nonlocal said_s
        name, _, value = line.partition("=")
        if name == "out_time" and loop.time() - said_s >= SAY_EVERY_S:
            said_s = loop.time()
            logger.info("%s: at %s", label, value[:8])

    return note


def _url(path: Path) -> str:
    return f"file:{path}"


def _seconds(text: object) -> float | None:
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if 0 < value < 1e7 else None  # noqa: PLR2004 - beyond is nonsense
