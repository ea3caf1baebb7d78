"""Gain over time: ramps that somebody asked for, and the limiter that nobody has to ask for."""

from __future__ import annotations

import math

from drivers.audio import pcm

_RELEASE_FRAMES = pcm.frames_of_ms(70)  # time constant; 95 % of the way back after 200 ms
_OPEN = 0.9998
_ROUNDING = 2  # adding two pieces of sound may round each of them away from zero


class Fader:
    """A value that moves to its target along a straight line."""

    __slots__ = ("_left", "_target", "_value")

    def __init__(self, value: float) -> None:
        self._value = value
        self._target = value
        self._left = 0

    def go(self, target: float, frames: int) -> None:
        """Be at `target` in `frames` frames; at once for 0."""
        self._target, self._left = target, frames
        if frames <= 0:
            self._value = target

    def next(self, frames: int) -> tuple[float, float]:
        """Values at the beginning and at the end of the next `frames` frames, which are passed by it."""
        begin = self._value
        if self._left > frames:
            self._value += (self._target - begin) * frames / self._left
            self._left -= frames
        else:
            self._value, self._left = self._target, 0
        return begin, self._value

    @property
    def highest(self) -> float:
        """The most it will be from now on."""
        return max(self._value, self._target)

    def lowest(self, frames: int) -> float:
        """The least it will be within the next `frames` frames."""
        share = 1.0 if self._left <= frames else frames / self._left
        return min(self._value, self._value + (self._target - self._value) * share)


class Limiter:
    """Turns the gain down before a peak arrives and back up within about 200 ms.

    It knows one piece of sound ahead: at the beginning of each piece the gain is already low enough for it,
    and within the piece it moves to what the next one needs. Sound below the ceiling passes untouched.
    """

    def __init__(self) -> None:
        self._gain = 1.0

    def next(
        self, frames: int, now: float, ahead: float, ceiling: int, ceiling_ahead: int
    ) -> tuple[float, float]:
        """Gain at the beginning and at the end of a piece.

        Args:
            frames: length of the piece, > 0.
            now: highest sample of the piece before limiting.
            ahead: highest sample of the piece after it.
            ceiling: highest sample that may come out, 0 to 32768.
            ceiling_ahead: the same for the piece after it.
        """
        here, there = self._needed(now, ceiling), self._needed(ahead, ceiling_ahead)
        begin = min(self._gain, here)
        back = 1.0 - (1.0 - begin) * math.exp(-frames / _RELEASE_FRAMES)
        self._gain = min(1.0 if back > _OPEN else back, here, there)
        return begin, self._gain

    @staticmethod
    def _needed(peak: float, ceiling: int) -> float:
        return 1.0 if peak <= ceiling else max(0, ceiling - _ROUNDING) / peak
