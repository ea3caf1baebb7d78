"""From any uploaded sound to the canonical file: mono 48 kHz 16-bit FLAC at one loudness, exact in length."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from server.media.containers import looks_cut
from server.media.ffmpeg import ToolFailedError, decoding_errors, encode_flac, filter_sound, probe
from server.media.loudness import (
    CEILING_DBTP,
    Levelling,
    Loudness,
    first_levelling,
    next_levelling,
    read_summary,
)
from server.problems import Problem, RefusedError

logger = logging.getLogger(__name__)

RATE = 48_000
SAMPLES_PER_MS = 48
SAMPLE_BYTES = 2
LONGEST_S = 4 * 3600
SHORTEST_MS = 100
MOST_ERRORS = 5
ABSURD_PEAK_DBTP = 20.0
ROUNDS = 3
MOST_ROUNDS = 6
"""Peaks above the ceiling are worked on longer than a loudness that is nearly right."""

_MONO = f"aresample={RATE}:async=0,aformat=sample_fmts=flt:sample_rates={RATE}:channel_layouts=mono"
_MEASURE = "ebur128=peak=true:framelog=verbose"
_CUT_SAYINGS = ("partial file", "Packet corrupt")


@dataclass(frozen=True, slots=True)
class Canonical:
    """A finished file.

    Attributes:
        source: loudness as it was uploaded.
        result: loudness of the finished file.
        limited: a limiter held its peaks.
    """

    path: Path
    sha256: str
    size_bytes: int
    duration_ms: int
    source: Loudness
    result: Loudness
    gain_db: float
    limited: bool


async def make_canonical(upload: Path, workspace: Path, label: str) -> Canonical:
    """Check, level and convert an uploaded file.

    Args:
        upload: as received; untrusted.
        workspace: an empty folder; the result is in it, and all else is for the caller to remove.
        label: names the upload in the log.

    Raises:
        RefusedError: it is empty, no sound, damaged, too short or too long.
    """
    if not await asyncio.to_thread(lambda: upload.stat().st_size):
        raise RefusedError(Problem.MEDIA_EMPTY)
    found = await probe(upload)
    if found.declared_s is not None and found.declared_s > LONGEST_S:
        raise RefusedError(Problem.MEDIA_TOO_LONG)
    if await asyncio.to_thread(looks_cut, upload):
        raise RefusedError(Problem.MEDIA_TRUNCATED)
    limit_s = 60 + (found.declared_s or LONGEST_S) / 4
    pcm = workspace / "sound.pcm"
    source, levelling = await _measure(upload, limit_s, label)
    flac = workspace / "sound.flac"
    rounds = 0
    while True:
        rounds += 1
        await _level(upload, levelling, pcm, limit_s, label)
        duration_ms = await asyncio.to_thread(_pad_to_whole_ms, pcm)
        _check_length(duration_ms, found.declared_s)
        result = await _encode(pcm, flac, limit_s, label)
        better = next_levelling(source, levelling, result)
        if better is None or (rounds >= ROUNDS and result.true_peak_dbtp <= CEILING_DBTP):
            break
        if rounds >= MOST_ROUNDS:
            raise RefusedError(Problem.MEDIA_CORRUPT)
        levelling = better
    pcm.unlink()
    sha256 = await asyncio.to_thread(_sha256_synced, flac)
    logger.info(
        "%s: %s, %.1f s, %.1f LUFS to %.1f LUFS by %+.1f dB%s",
        label,
        found.codec,
        duration_ms / 1000,
        source.integrated_lufs,
        result.integrated_lufs,
        levelling.gain_db,
        " and a limiter" if levelling.limit else "",
    )
    return Canonical(
        flac,
        sha256,
        flac.stat().st_size,
        duration_ms,
        source,
        result,
        levelling.gain_db,
        levelling.limit,
    )


async def _measure(upload: Path, limit_s: float, label: str) -> tuple[Loudness, Levelling]:
    try:
        log = await filter_sound(
            upload,
            f"{_MONO},{_MEASURE}",
            ["-f", "null", "-"],
            limit_s=limit_s,
            longest_s=LONGEST_S + 1,
            label=f"{label}: measuring",
        )
    except ToolFailedError as error:
        raise RefusedError(Problem.MEDIA_CORRUPT) from error
    except TimeoutError as error:
        raise RefusedError(Problem.MEDIA_CORRUPT, detail="reading it took too long") from error
    if any(saying in log for saying in _CUT_SAYINGS):
        raise RefusedError(Problem.MEDIA_TRUNCATED)
    measured = read_summary(log)
    if measured is None or decoding_errors(log) > MOST_ERRORS or measured.true_peak_dbtp > ABSURD_PEAK_DBTP:
        raise RefusedError(Problem.MEDIA_CORRUPT)
    return measured, first_levelling(measured)


async def _level(upload: Path, levelling: Levelling, pcm: Path, limit_s: float, label: str) -> None:
    filters = f"{_MONO},volume={levelling.gain_db}dB:precision=float"
    if levelling.limit:
        # True peaks stand between samples, so the limiter works on four times as many; the margin
        # covers what going back to 48 kHz adds.
        ceiling = 10 ** ((CEILING_DBTP - 0.3) / 20)
        filters += (
            f",aresample={4 * RATE},alimiter=limit={ceiling:.5f}:attack=5:release=60:level=false:latency=true"
            f",aresample={RATE}"
        )
    output = ["-f", "s16le", "-c:a", "pcm_s16le", "-ar", str(RATE), "-ac", "1", f"file:{pcm}"]
    try:
        await filter_sound(
            upload, filters, output, limit_s=limit_s, longest_s=LONGEST_S + 1, label=f"{label}: levelling"
        )
    except (ToolFailedError, TimeoutError) as error:
        raise RefusedError(Problem.MEDIA_CORRUPT) from error


async def _encode(pcm: Path, flac: Path, limit_s: float, label: str) -> Loudness:
    log = await encode_flac(pcm, flac, _MEASURE, limit_s=limit_s, label=f"{label}: encoding")
    result = read_summary(log)
    if result is None:
        raise RuntimeError("ffmpeg measured nothing of a file it wrote")
    return result


def _pad_to_whole_ms(pcm: Path) -> int:
    """Fill the last millisecond with silence; returns the length in milliseconds."""
    samples = pcm.stat().st_size // SAMPLE_BYTES
    whole = -(-samples // SAMPLES_PER_MS) * SAMPLES_PER_MS
    os.truncate(pcm, whole * SAMPLE_BYTES)
    return whole // SAMPLES_PER_MS


def _check_length(duration_ms: int, declared_s: float | None) -> None:
    if duration_ms > LONGEST_S * 1000:
        raise RefusedError(Problem.MEDIA_TOO_LONG)
    if declared_s is not None and duration_ms / 1000 < declared_s - max(0.5, declared_s * 0.01):
        raise RefusedError(Problem.MEDIA_TRUNCATED)
    if duration_ms < SHORTEST_MS:
        raise RefusedError(Problem.MEDIA_TOO_SHORT)


def _sha256_synced(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return digest


def workspace_in(folder: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder for one upload, removed with everything in it."""
    return tempfile.TemporaryDirectory(dir=folder, prefix="upload-")
