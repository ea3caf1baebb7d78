"""Sounds that the worker makes itself: no file, no decoder, there at once."""

from __future__ import annotations

import array
import math

from drivers.audio import pcm

_PEAK = pcm.ceiling_of_db(-12.0)
_EDGE_FRAMES = pcm.frames_of_ms(10)
_HALF_FRAMES = pcm.RATE // 2
_ATTENTION_HERTZ = (800, 1000)
_SWEEP_HERTZ = (100.0, 8000.0)


def _sine(phases: list[float]) -> bytes:
    """Samples at phases given in turns."""
    turn = 2 * math.pi
    return array.array("h", [round(_PEAK * math.sin(turn * phase)) for phase in phases]).tobytes()


def _periods(hertz: int) -> bytes:
    """The shortest stretch of a sine that can be repeated without a seam."""
    length = pcm.RATE // math.gcd(pcm.RATE, hertz)
    return _sine([n * hertz % pcm.RATE / pcm.RATE for n in range(length)])


def _soft(tone: bytes) -> bytes:
    edge = _EDGE_FRAMES * pcm.WIDTH
    return pcm.ramp(tone[:edge], 0.0, 1.0) + tone[edge:-edge] + pcm.ramp(tone[-edge:], 1.0, 0.0)


def _repeat(period: bytes, begin: int, count: int) -> bytes:
    """`count` frames of a period that repeats for ever, from frame `begin` on."""
    length = len(period) // pcm.WIDTH
    first = begin % length
    turns = (first + count) // length + 1
    return (period * turns)[first * pcm.WIDTH : (first + count) * pcm.WIDTH]


class SignalSound:
    """One signal of a given length.

    The attention signal alternates between 800 and 1000 Hz every half second, each note with soft edges:
    two steady notes that nothing in a broadcast sounds like, in the band where a horn is loudest.
    """

    def __init__(self, signal: str, frames: int, hertz: int = 1000) -> None:
        """Prepare the signal.

        Args:
            signal: a value of `drivers.api.Signal`.
            frames: whole length.
            hertz: of a tone, 20 to 20000.

        Raises:
            ValueError: there is no such signal.
        """
        if signal not in ("attention", "tone", "sweep", "silence"):
            raise ValueError(f"there is no signal {signal!r}")
        self._signal = signal
        self._frames = frames
        self._hertz = hertz
        self._period = b""
        if signal == "attention":
            notes = [_repeat(_periods(pitch), 0, _HALF_FRAMES) for pitch in _ATTENTION_HERTZ]
            self._period = b"".join(_soft(note) for note in notes)
        elif signal == "tone" and pcm.RATE // math.gcd(pcm.RATE, hertz) <= pcm.RATE // 50:
            self._period = _periods(hertz)

    def read(self, begin: int, count: int) -> bytes | None:
        """`count` frames from frame `begin` on; None for digital silence."""
        if self._signal == "silence":
            return None
        if self._period:
            return _repeat(self._period, begin, count)
        if self._signal == "tone":
            return _sine([n * self._hertz % pcm.RATE / pcm.RATE for n in range(begin, begin + count)])
        low, high = _SWEEP_HERTZ
        rise = math.log(high / low)
        scale = low * self._frames / pcm.RATE / rise
        return _sine([scale * math.expm1(rise * n / self._frames) for n in range(begin, begin + count)])
