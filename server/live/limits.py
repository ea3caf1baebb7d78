"""What one live session may take, and how long things may last."""

from __future__ import annotations

from dataclasses import dataclass

MESSAGE_BYTES = 64 * 1024
"""Largest message of a microphone; 100 ms of speech are about 600 bytes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one session; seconds, bytes and bytes per second.

    Attributes:
        first_s: a session without a microphone ends after this.
        lost_s: a session whose microphone was lost ends after this.
        deaf_s: an encoder that is fed and gives nothing for longer is given up.
        tail_s: how long the last words may take to come out of the encoder.
        late_s: speech that is later than this is left out.
        replay_s: what a box that joins gets of the past.
        waiting_s: what may wait for a slow box; beyond it the oldest is left out.
        rate: what a microphone may send on average; 32 kB/s are 256 kbit/s.
        burst_bytes: what it may send at once, after a network stood still.
        restarts: how often an encoder that failed after it had worked is started again.
    """

    first_s: float = 20.0
    lost_s: float = 5.0
    deaf_s: float = 5.0
    tail_s: float = 1.0
    late_s: float = 2.0
    replay_s: float = 0.5
    waiting_s: float = 2.0
    rate: float = 32_000.0
    burst_bytes: float = 192_000.0
    restarts: int = 1


class Budget:
    """A bucket of bytes that fills at `rate` and holds `burst_bytes`."""

    def __init__(self, limits: Limits, now_s: float) -> None:
        self._limits = limits
        self._left = limits.burst_bytes
        self._at_s = now_s

    def spend(self, size: int, now_s: float) -> bool:
        """Take `size` bytes; False if there are not so many."""
        limits = self._limits
        self._left = min(limits.burst_bytes, self._left + (now_s - self._at_s) * limits.rate) - size
        self._at_s = now_s
        return self._left >= 0
