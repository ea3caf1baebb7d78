"""Keeps a little live sound ahead, and follows the source's clock without being heard to."""

from __future__ import annotations

import threading
from collections import deque

from drivers.audio import pcm

EXCESS_FRAMES = pcm.frames_of_ms(400)
"""More than this above the wanted reserve is latency: it is jumped over."""

_SEAM_FRAMES = pcm.frames_of_ms(5)
_SETTLE_FRAMES = 3 * pcm.RATE
_SMOOTHING_FRAMES = 5 * pcm.RATE
_TOLERANCE_FRAMES = pcm.frames_of_ms(5)
_STEP_EVERY_FRAMES = pcm.frames_of_ms(20)


class JitterBuffer:
    """Sound between a source that delivers when it likes and a card that consumes when it must.

    It gives silence until `buffer_ms` are there, and again whenever it ran empty. The mean reserve of the
    first seconds is kept from then on: single frames are left out or repeated, at most one in 20 ms, which
    follows clocks that differ by up to 1000 ppm. A reserve of 400 ms too much is cut at once, with a
    cross-fade, so that the delay stays bounded. One thread pushes, another draws.
    """

    def __init__(self, buffer_ms: int) -> None:
        """Begin empty; `buffer_ms` is the reserve to begin with."""
        self._lock = threading.Lock()
        self._pieces: deque[bytes] = deque()
        self._fill = 0
        self._reserve = pcm.frames_of_ms(buffer_ms)
        self._flowing = False
        self._ended = False
        self._starved = 0
        self._mean = 0.0
        self._aim = 0.0
        self._settling = 0
        self._since_step = 0

    def push(self, sound: bytes) -> None:
        """Append sound; what would make the delay too long is dropped from the front."""
        with self._lock:
            self._pieces.append(sound)
            self._fill += len(sound) // pcm.WIDTH
            if self._fill > self._reserve + EXCESS_FRAMES:
                self._cut()

    def finish(self) -> None:
        """Nothing more will come: play what is there, then silence."""
        with self._lock:
            self._ended = True

    @property
    def fill_ms(self) -> int:
        """Sound now kept."""
        return pcm.ms_of_frames(self._fill)

    def starved_ms(self) -> int:
        """How much silence has been given instead of sound, up to now; 0 while sound flows."""
        return pcm.ms_of_frames(self._starved)

    def loudest(self, frames: int) -> int:
        """Highest sample of the next frames."""
        with self._lock:
            highest, left = 0, frames * pcm.WIDTH
            for piece in self._pieces:
                highest = max(highest, pcm.peak(piece[:left]))
                left -= len(piece)
                if left <= 0:
                    break
            return highest

    def draw(self, frames: int) -> bytes:
        """Give exactly `frames` frames."""
        with self._lock:
            opening = not self._flowing
            if opening and not self._open():
                self._starved += frames
                return pcm.silence(frames)
            need = max(1, frames - self._correction(frames))
            missing = need - self._fill
            sound = self._take(min(need, self._fill))
            if missing > 0:
                sound = _fade_out(sound)
                self._flowing = False
                self._starved = missing
                sound += pcm.silence(frames - len(sound) // pcm.WIDTH)
            else:
                self._starved = 0
                sound = pcm.stretch(sound, frames)
            if opening:
                edge = min(frames, _SEAM_FRAMES) * pcm.WIDTH
                sound = pcm.ramp(sound[:edge], 0.0, 1.0) + sound[edge:]
            return sound

    # --- with the lock held -------------------------------------------------------------------------------

    def _open(self) -> bool:
        if self._fill < self._reserve and not (self._ended and self._fill):
            return False
        self._drop(self._fill - self._reserve)
        self._flowing = True
        self._mean = float(self._fill)
        self._settling = _SETTLE_FRAMES
        return True

    def _correction(self, frames: int) -> int:
        """How many frames to make up for (1: repeat one, -1: leave one out)."""
        self._mean += (self._fill - self._mean) * min(1.0, frames / _SMOOTHING_FRAMES)
        self._since_step += frames
        if self._settling > 0:
            self._settling -= frames
            self._aim = self._mean
            return 0
        error = self._mean - self._aim
        if abs(error) <= _TOLERANCE_FRAMES or self._since_step < _STEP_EVERY_FRAMES or frames < _SEAM_FRAMES:
            return 0
        self._since_step = 0
        return -1 if error > 0 else 1

    def _cut(self) -> None:
        """Jump forward to the wanted reserve; the seam is cross-faded."""
        if not self._flowing:
            self._drop(self._fill - self._reserve)
            return
        old = self._take(_SEAM_FRAMES)
        self._drop(self._fill - self._reserve)
        new = self._take(min(_SEAM_FRAMES, self._fill))
        length = min(len(old), len(new))
        seam = pcm.add(pcm.ramp(old[:length], 1.0, 0.0), pcm.ramp(new[:length], 0.0, 1.0))
        self._pieces.appendleft(seam + new[length:])
        self._fill += len(new) // pcm.WIDTH
        self._mean = float(self._fill)
        self._settling = _SETTLE_FRAMES

    def _take(self, frames: int) -> bytes:
        parts = []
        need = frames * pcm.WIDTH
        while need and self._pieces:
            piece = self._pieces.popleft()
            if len(piece) > need:
                self._pieces.appendleft(piece[need:])
                piece = piece[:need]
            parts.append(piece)
            need -= len(piece)
        sound = b"".join(parts)
        self._fill -= len(sound) // pcm.WIDTH
        return sound

    def _drop(self, frames: int) -> None:
        if frames > 0:
            self._take(frames)


def _fade_out(sound: bytes) -> bytes:
    """End a piece gently."""
    edge = min(len(sound), _SEAM_FRAMES * pcm.WIDTH)
    return sound[: len(sound) - edge] + pcm.ramp(sound[len(sound) - edge :], 1.0, 0.0)
