"""What the output thread asks of a sound card, real or simulated."""

from __future__ import annotations

from typing import Protocol

from drivers.audio import pcm

LEAD_FRAMES = pcm.frames_of_ms(60)
BUFFER_FRAMES = pcm.frames_of_ms(80)
FORGIVEN_FRAMES = pcm.frames_of_ms(500)  # lateness that a device without a crystal of its own overlooks
WRITE_TIMEOUT_S = 0.5


class SinkError(Exception):
    """The sound card is missing, busy, or stopped taking sound."""


class Sink(Protocol):
    """A sound card that plays mono 48 kHz 16 bit sound; one thread uses it, `check` any thread."""

    xruns: int

    def check(self) -> None:
        """Look for the card without making a sound; raises SinkError when it is missing."""
        ...

    def open(self) -> None:
        """Start the card, playing silence; raises SinkError."""
        ...

    def ready(self, frames: int) -> None:
        """Wait until `frames` can be written so that at most 60 ms lie ahead; raises SinkError."""
        ...

    def write(self, sound: bytes) -> None:
        """Queue sound, waiting for `ready`; raises SinkError within about half a second."""
        ...

    def next_ns(self) -> int:
        """CLOCK_MONOTONIC nanoseconds at which the first frame of the next write will be heard."""
        ...

    def close(self) -> None:
        """Silence at once: what is queued is dropped."""
        ...
