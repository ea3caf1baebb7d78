"""Brings spoken WAV files to one loudness: mono, 16 bit, the engine's own rate.

Parts of 5 ms that are spoken at all get an RMS of -14.5 dBFS, which for speech of espeak-ng 1.51 measures as
-16 LUFS (EBU R 128); peaks beyond -1 dBFS are turned down for the few milliseconds that they last. Works in
pieces, so that minutes of sound take no memory.
"""

from __future__ import annotations

import math
import warnings
import wave
from itertools import pairwise
from pathlib import Path

from agent.speech.errors import SpeechError, SpeechFailure

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

TARGET_RMS_DBFS = -14.5
PEAK_DBFS = -1.0
SHORTEST_MS = 100
LONGEST_MS = 20 * 60_000
RATES = range(8_000, 48_001)

_WIDTH = 2
_FULL = 32768.0
_CHUNK_S = 0.005
_CHUNKS_AT_ONCE = 200
_STEPS = 5
_GATE = _FULL * 10 ** (-45 / 20)
_RISE = 1.05
_ROUNDS = 2
_MOST_MAKE_UP = 10 ** (6 / 20)
_MOST_GAIN = 10 ** (20 / 20)


def level_speech(source: Path, target: Path) -> int:
    """Write `source` levelled to `target`; blocking.

    Returns:
        Length in milliseconds.

    Raises:
        SpeechError: the file is no WAV file, silent, or too short or long to be speech.
        OSError: the disk would not read or write.
    """
    try:
        with wave.open(str(source), "rb") as read:
            rate, frames = read.getframerate(), read.getnframes()
            _check(read, rate, frames)
            step = max(1, round(rate * _CHUNK_S))
            gains = _gains(read, step)
            read.rewind()
            with target.open("wb") as file, wave.open(file, "wb") as written:
                written.setnchannels(1)
                written.setsampwidth(_WIDTH)
                written.setframerate(rate)
                held = _write(read, written, step, gains)
    except (wave.Error, EOFError) as error:
        raise SpeechError(SpeechFailure.FAILED, f"the engine wrote no WAV file: {error}") from error
    except FileNotFoundError as error:
        raise SpeechError(SpeechFailure.FAILED, "the engine wrote no file") from error
    return held * 1000 // rate


def _check(read: wave.Wave_read, rate: int, frames: int) -> None:
    if read.getnchannels() not in (1, 2) or rate not in RATES:
        raise SpeechError(
            SpeechFailure.FAILED,
            f"the engine's WAV file has {read.getnchannels()} channels at {rate} Hz; "
            f"it must have 1 or 2 at {RATES[0]} to {RATES[-1]} Hz",
        )
    if not SHORTEST_MS <= frames * 1000 // rate <= LONGEST_MS:
        raise SpeechError(SpeechFailure.FAILED, f"the engine's WAV file lasts {frames / rate:.2f} s")


def _piece(read: wave.Wave_read, frames: int) -> bytes:
    """The next frames as mono, 16 bit."""
    data = read.readframes(frames)
    width = read.getsampwidth()
    data = data[: len(data) - len(data) % (width * read.getnchannels())]
    if width == 1:
        data = audioop.bias(data, 1, -128)
    if width != _WIDTH:
        data = audioop.lin2lin(data, width, _WIDTH)
    return audioop.tomono(data, _WIDTH, 0.5, 0.5) if read.getnchannels() == 2 else data  # noqa: PLR2004 - stereo


def _gains(read: wave.Wave_read, step: int) -> list[float]:
    """Gain at each border of the chunks, so that no chunk goes beyond the peak."""
    peaks: list[int] = []
    levels: list[int] = []
    while data := _piece(read, step * _CHUNKS_AT_ONCE):
        for begin in range(0, len(data), step * _WIDTH):
            chunk = data[begin : begin + step * _WIDTH]
            peaks.append(audioop.max(chunk, _WIDTH))
            levels.append(audioop.rms(chunk, _WIDTH))
    spoken = [(place, rms) for place, rms in enumerate(levels) if rms >= _GATE]
    if not spoken:
        raise SpeechError(SpeechFailure.FAILED, "the engine's WAV file is silent")
    target = _FULL * 10 ** (TARGET_RMS_DBFS / 20)
    wanted = most = min(_MOST_GAIN, target / math.sqrt(sum(rms * rms for _, rms in spoken) / len(spoken)))
    gains = _limited(peaks, wanted)
    for _ in range(_ROUNDS):  # what limiting took is given back, up to a point
        power = sum((rms * min(gains[place], gains[place + 1])) ** 2 for place, rms in spoken) / len(spoken)
        wanted = min(wanted * target / math.sqrt(power), most * _MOST_MAKE_UP)
        gains = _limited(peaks, wanted)
    return gains


def _limited(peaks: list[int], wanted: float) -> list[float]:
    ceiling = _FULL * 10 ** (PEAK_DBFS / 20)
    allowed = [min(wanted, ceiling / peak) if peak else wanted for peak in peaks]
    borders = [allowed[0], *(min(pair) for pair in pairwise(allowed)), allowed[-1]]
    for order in (range(1, len(borders)), range(len(borders) - 2, -1, -1)):
        for index in order:
            borders[index] = min(borders[index], borders[index - order.step] * _RISE)
    return borders


def _write(read: wave.Wave_read, written: wave.Wave_write, step: int, gains: list[float]) -> int:
    index, frames = 0, 0
    stride = max(1, step // _STEPS) * _WIDTH
    while data := _piece(read, step * _CHUNKS_AT_ONCE):
        out: list[bytes] = []
        for begin in range(0, len(data), step * _WIDTH):
            chunk = data[begin : begin + step * _WIDTH]
            here, there = gains[index], gains[index + 1]
            index += 1
            if here == there:
                out.append(audioop.mul(chunk, _WIDTH, here))
                continue
            for place in range(0, len(chunk), stride):
                share = place / len(chunk)
                out.append(audioop.mul(chunk[place : place + stride], _WIDTH, here + (there - here) * share))
        written.writeframesraw(b"".join(out))
        frames += len(data) // _WIDTH
    return frames
