"""Arithmetic on sound: mono, signed 16 bit little-endian, 48 kHz; one frame is one sample, two bytes."""

from __future__ import annotations

import math
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

RATE = 48_000
WIDTH = 2
SILENT_DBFS = -120.0
_FULL_SCALE = 32768.0
_RAMP_STEPS = 240  # steps of a ramp over the whole range: as fine as one of 5 ms can be
_NS = 1_000_000_000


def frames_of_ms(milliseconds: float) -> int:
    """Frames in a length of time, rounded."""
    return round(milliseconds * RATE / 1000)


def ms_of_frames(frames: int) -> int:
    """Whole milliseconds in a number of frames."""
    return frames * 1000 // RATE


def frames_of_ns(nanoseconds: int) -> int:
    """Frames in a length of time, rounded; negative lengths give negative counts."""
    return (nanoseconds * RATE + _NS // 2) // _NS


def ns_of_frames(frames: int) -> int:
    """Nanoseconds that `frames` last."""
    return frames * _NS // RATE


def silence(frames: int) -> bytes:
    return bytes(frames * WIDTH)


def factor_of_db(decibels: float) -> float:
    return math.pow(10.0, decibels / 20.0)


def dbfs(amplitude: float) -> float:
    """Level of a linear amplitude (0 to 32768) in dBFS, never below -120."""
    if amplitude <= 0:
        return SILENT_DBFS
    return max(SILENT_DBFS, 20.0 * math.log10(min(amplitude, _FULL_SCALE) / _FULL_SCALE))


def scale(pcm: bytes, factor: float) -> bytes:
    """Multiply, saturating at full scale."""
    return pcm if factor == 1.0 else audioop.mul(pcm, WIDTH, factor)


def ceiling_of_db(decibels: float) -> int:
    """Highest sample that is not above `decibels` (dBFS, at most 0): 0 to 32768."""
    return min(int(_FULL_SCALE), int(_FULL_SCALE * factor_of_db(decibels)))


def clamp(pcm: bytes, ceiling: int) -> bytes:
    """Cut peaks above `ceiling` (0 to 32768); sound below it passes unchanged."""
    if audioop.max(pcm, WIDTH) <= ceiling:
        return pcm
    if ceiling <= 0:
        return bytes(len(pcm))
    # Saturation is the only clipping audioop has: lift the limit to full scale, then put it back. A factor
    # that is a whole number of 32768ths is exact, so rounding cannot pass the limit.
    return audioop.mul(audioop.mul(pcm, WIDTH, _FULL_SCALE / ceiling), WIDTH, ceiling / _FULL_SCALE)


def add(one: bytes, other: bytes) -> bytes:
    """Both at once, saturating at full scale; of the same length."""
    return audioop.add(one, other, WIDTH)


def stretch(pcm: bytes, frames: int) -> bytes:
    """Make a piece `frames` long by leaving out or repeating single frames, evenly spaced."""
    have = len(pcm) // WIDTH
    steps = abs(frames - have)
    if not steps or not have:
        return pcm
    parts = []
    for n in range(steps):
        begin, end = have * n // steps * WIDTH, have * (n + 1) // steps * WIDTH
        parts.append(pcm[begin : end - WIDTH] if frames < have else pcm[begin:end] + pcm[end - WIDTH : end])
    return b"".join(parts)


def ramp(pcm: bytes, begin: float, end: float) -> bytes:
    """Move the gain from `begin` to `end` (linear) across the piece, saturating at full scale."""
    if begin == end:
        return scale(pcm, begin)
    total = len(pcm) // WIDTH
    count = max(1, min(total, math.ceil(abs(end - begin) * _RAMP_STEPS)))
    parts = []
    for n in range(count):
        piece = pcm[total * n // count * WIDTH : total * (n + 1) // count * WIDTH]
        parts.append(audioop.mul(piece, WIDTH, begin + (end - begin) * (n + 0.5) / count))
    return b"".join(parts)


def mean_square(pcm: bytes) -> float:
    """Mean of the squared samples; 0 for an empty piece."""
    return float(audioop.rms(pcm, WIDTH)) ** 2 if pcm else 0.0


def peak(pcm: bytes) -> int:
    """Highest absolute sample, 0 to 32768."""
    return audioop.max(pcm, WIDTH) if pcm else 0


def stereo(pcm: bytes) -> bytes:
    """The same sound on two interleaved channels."""
    return audioop.tostereo(pcm, WIDTH, 1.0, 1.0)


class Meter:
    """Collects the level of pieces of sound over a period."""

    __slots__ = ("_frames", "_peak", "_squares")

    def __init__(self) -> None:
        self._frames = 0
        self._squares = 0.0
        self._peak = 0

    def add(self, frames: int, square: float, highest: int) -> None:
        self._frames += frames
        self._squares += square * frames
        self._peak = max(self._peak, highest)

    def take(self) -> tuple[float, float]:
        """Return (rms, peak) in dBFS since the last call and begin a new period."""
        rms = dbfs(math.sqrt(self._squares / self._frames)) if self._frames else SILENT_DBFS
        highest = dbfs(self._peak)
        self._frames, self._squares, self._peak = 0, 0.0, 0
        return rms, highest
