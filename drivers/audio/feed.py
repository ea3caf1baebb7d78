"""Live sound inside a cue: a thread that fetches it, and the reserve it fills."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from drivers.audio.decoder import Decoder
from drivers.audio.fifo import FifoStream
from drivers.audio.jitter import JitterBuffer
from drivers.audio.media import UnreadableError

logger = logging.getLogger(__name__)

_PATIENCE_S = 0.25
_SIMULATED = "simulated:"

Failed = Callable[[str, str], None]
"""Told why live sound ended: code and detail as in `drivers.api.ItemFailed`."""


class FeedPlan(NamedTuple):
    """Where live sound comes from; fields as in `drivers.api.LiveFeed`."""

    kind: str
    place: str
    buffer_ms: int


class CaptureError(Exception):
    """A sound input is missing, busy or has gone away."""


class Capture(Protocol):
    """A sound input that gives mono 48 kHz 16 bit sound in real time."""

    def read(self) -> bytes:
        """Wait at most 0.2 s for sound; raises CaptureError."""
        ...

    def close(self) -> None: ...


class Feed:
    """Live sound that is fetched from the moment of `start` on, until it ends or is closed."""

    def __init__(self, plan: FeedPlan, instance: Callable[[], Any], failed: Failed) -> None:
        """Prepare; nothing is opened before `start`.

        Args:
            plan: where it comes from.
            instance: gives the libvlc instance.
            failed: called at most once, from the fetching thread, when live sound ends by itself.
        """
        self._plan = plan
        self._instance = instance
        self._failed = failed
        self._closed = threading.Event()
        self._over = False
        self._buffer = JitterBuffer(plan.buffer_ms)
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def draw(self, frames: int) -> bytes:
        """The next frames; silence while there are none."""
        return self._buffer.draw(frames)

    def loudest(self, frames: int) -> int:
        """Highest sample of the next frames."""
        return self._buffer.loudest(frames)

    def starved_ms(self) -> int:
        """How long it has given nothing although it was asked."""
        return self._buffer.starved_ms()

    def close(self) -> None:
        """Let the fetching thread end; returns at once."""
        self._closed.set()

    # --- the fetching thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        fetch = self._fetch_pipe if self._plan.kind == "pipe" else self._fetch_capture
        try:
            fetch()
        except UnreadableError as error:
            code, detail = "unreadable", f"{self._plan.place} {error}"
        except CaptureError as error:
            code, detail = "input_lost", str(error)
        else:
            code, detail = "input_lost", f"{self._plan.place} has ended"
        self._buffer.finish()
        if not self._closed.is_set():
            self._failed(code, detail)

    def _fetch_pipe(self) -> None:
        stream = FifoStream(self._plan.place, lambda: self._closed.is_set() or self._over)
        try:
            options = stream.recognise()
            if options:
                self._decode(stream, options)
        finally:
            stream.close()

    def _decode(self, stream: FifoStream, options: tuple[str, ...]) -> None:
        decoder = Decoder(self._instance())
        heard = False
        try:
            decoder.start_live(stream, options)
            while not self._closed.is_set():
                piece = decoder.read(_PATIENCE_S)
                if piece == b"":
                    break
                if piece:
                    heard = True
                    self._buffer.push(piece)
        finally:
            self._over = True  # whatever libvlc still wants to read, there is nothing more
            decoder.close()
        if not heard:
            raise UnreadableError("holds no sound that can be decoded")

    def _fetch_capture(self) -> None:
        capture = open_capture(self._plan.place)
        try:
            while not self._closed.is_set():
                piece = capture.read()
                if piece:
                    self._buffer.push(piece)
        finally:
            capture.close()


def open_capture(place: str) -> Capture:
    """Open a sound input by its ALSA name, or a WAV file that plays its part.

    Raises:
        CaptureError: it is missing or busy.
    """
    from drivers.audio.capture import AlsaCapture, SimulatedCapture  # noqa: PLC0415  only where live sound is

    if place.startswith(_SIMULATED):
        return SimulatedCapture(place.removeprefix(_SIMULATED))
    return AlsaCapture(place)
