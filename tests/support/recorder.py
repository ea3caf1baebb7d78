"""A browser's recorder, played: speech as WebM/Opus or MP4/AAC cut into slices, and what boxes make of the MP3."""

from __future__ import annotations

import array
import asyncio
import math
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

RATE = 48_000


@dataclass(frozen=True)
class Slice:
    """What a recorder hands over when `end_s` of sound have been recorded."""

    end_s: float
    data: bytes


def record(
    folder: Path, filters: str, seconds: float, container: str = "webm", slice_s: float = 0.1
) -> list[Slice]:
    """Slices of a recording of the lavfi source `filters`, as MediaRecorder with a time slice makes them."""
    path = folder / f"recording.{container}"
    codec = {
        "webm": ["-c:a", "libopus", "-b:a", "32k", "-frame_duration", "20", "-live", "1"],
        "mp4": [
            *("-c:a", "aac", "-b:a", "64k", "-movflags", "+frag_every_frame+empty_moov+default_base_moof"),
        ],
    }[container]
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", filters, "-t", str(seconds), *codec, str(path)],
        check=True,
    )
    data = path.read_bytes()
    blocks = list(_webm_blocks(data) if container == "webm" else _mp4_fragments(data))
    slices: list[Slice] = []
    start, due_s = 0, slice_s
    for (_, end), (next_s, _) in zip(blocks, [*blocks[1:], (math.inf, 0)], strict=True):
        if next_s > due_s - 1e-6:
            slices.append(Slice(due_s, data[start:end]))
            start, due_s = end, due_s + slice_s
    return slices


async def in_real_time(slices: list[Slice], began_s: float) -> AsyncIterator[bytes]:
    """The slices at the moments a recorder started at `began_s` (loop time) would give them."""
    loop = asyncio.get_running_loop()
    for one in slices:
        await asyncio.sleep(began_s + one.end_s - loop.time())
        yield one.data


def decode(mp3: bytes) -> array.array[int]:
    """Mono 48 kHz samples of what a box received."""
    done = subprocess.run(
        [
            "ffmpeg",
            "-v",
            "error",
            "-f",
            "mp3",
            "-i",
            "pipe:0",
            "-f",
            "s16le",
            "-ac",
            "1",
            "-ar",
            str(RATE),
            "-",
        ],
        input=mp3,
        capture_output=True,
        check=True,
    )
    assert done.stderr == b"", done.stderr
    return array.array("h", done.stdout)


def pitch_hz(samples: array.array[int]) -> float:
    """Frequency of a pure tone, from its zero crossings."""
    rises = [n for n in range(1, len(samples)) if samples[n - 1] < 0 <= samples[n]]
    return (len(rises) - 1) * RATE / (rises[-1] - rises[0])


def onset(samples: array.array[int], level: int = 1000) -> int:
    """First sample louder than `level`."""
    return next(n for n, value in enumerate(samples) if abs(value) > level)


def _webm_blocks(data: bytes) -> Iterator[tuple[float, int]]:
    """Start in seconds and end in bytes of every block. Source: RFC 8794, RFC 9559."""
    at, cluster_ms = 0, 0
    while at < len(data):
        name_size = 9 - data[at].bit_length()
        name = data[at : at + name_size].hex()
        at += name_size
        size_size = 9 - data[at].bit_length()
        size = int.from_bytes(data[at : at + size_size], "big") & ((1 << 7 * size_size) - 1)
        at += size_size
        if name in {"18538067", "1f43b675"}:  # Segment, Cluster: look inside
            continue
        if name == "e7":  # Timestamp of a cluster
            cluster_ms = int.from_bytes(data[at : at + size], "big")
        if name == "a3":  # SimpleBlock
            yield (cluster_ms + int.from_bytes(data[at + 1 : at + 3], "big", signed=True)) / 1000, at + size
        if name == "a0":  # BlockGroup: its first child is the Block
            skip = 1 + 9 - data[at + 1].bit_length()
            near = data[at + skip + 1 : at + skip + 3]
            yield (cluster_ms + int.from_bytes(near, "big", signed=True)) / 1000, at + size
        at += size


def _mp4_fragments(data: bytes) -> Iterator[tuple[float, int]]:
    """Start in seconds and end in bytes of every fragment of one AAC frame."""
    at, number = 0, 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        at += size
        if name == b"mdat":
            yield number * 1024 / RATE, at
            number += 1
