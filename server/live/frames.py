"""The MP3 that boxes get: frames of equal size that need no other, so a box may join at any moment; pure.

Source: ISO/IEC 11172-3 clause 2.4.1.3 (frame header) and 2.4.2.3 (its fields).
"""

from __future__ import annotations

SAMPLE_RATE = 48_000
BIT_RATE = 64_000
FRAME_SAMPLES = 1152
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE
FRAME_BYTES = FRAME_SAMPLES // 8 * BIT_RATE // SAMPLE_RATE
"""192, without remainder: no frame ever needs a padding byte."""

_SYNC = b"\xff\xfb\x54"
"""Sync word, MPEG-1 layer III without checksum, 64 kbit/s, 48 kHz, no padding, private bit clear."""


class NotFramesError(Exception):
    """The encoder wrote something else than the frames it was asked for."""


class Framer:
    """Cuts a byte stream into whole frames."""

    def __init__(self) -> None:
        self._rest = b""

    def cut(self, data: bytes) -> bytes:
        """The whole frames that are complete with `data`; empty if none is.

        Raises:
            NotFramesError: a frame does not begin where one must.
        """
        data = self._rest + data
        whole = len(data) - len(data) % FRAME_BYTES
        for start in range(0, whole, FRAME_BYTES):
            if not data.startswith(_SYNC, start):
                raise NotFramesError(f"no frame header but {data[start : start + 4].hex()}")
        self._rest = data[whole:]
        return data[:whole]


class Freshness:
    """Tells speech that comes too late to be live, after a network stood still and gives all at once.

    The promptest frame so far is the measure. A sound card may run slow by `DRIFT`, which is no delay.
    """

    DRIFT = 0.001

    def __init__(self, most_late_s: float) -> None:
        self._most_late_s = most_late_s
        self._position_s = 0.0
        self._promptest_s = float("inf")
        self._seen_s = float("-inf")

    def is_late(self, frames: bytes, now_s: float) -> bool:
        """Whether frames that arrive at `now_s` (seconds of a steady clock) are too late to be sent on."""
        self._position_s += len(frames) / FRAME_BYTES * FRAME_S
        behind_s = now_s - self._position_s
        if self._seen_s > float("-inf"):
            self._promptest_s += (now_s - self._seen_s) * self.DRIFT
        self._seen_s = now_s
        self._promptest_s = min(self._promptest_s, behind_s)
        return behind_s - self._promptest_s > self._most_late_s
