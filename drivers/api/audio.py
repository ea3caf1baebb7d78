"""Sound: one output that decodes files and makes them heard at an exact moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, Self

from drivers.api.base import Options


class Signal(StrEnum):
    """Sounds the worker makes itself, without a file or decoder.

    `attention` is the two-tone signal before an emergency, `tone` a sine of `CueItem.hertz`, `sweep` a sine
    that rises from 100 Hz to 8 kHz over the item, `silence` nothing at all. All but silence at -12 dBFS peak.
    """

    ATTENTION = "attention"
    TONE = "tone"
    SWEEP = "sweep"
    SILENCE = "silence"


class FeedKind(StrEnum):
    """How live sound reaches the worker."""

    PIPE = "pipe"
    CAPTURE = "capture"


@dataclass(frozen=True, slots=True)
class LiveFeed:
    """Live sound for the worker.

    Attributes:
        place: for `pipe` the path of a FIFO to which the agent writes an encoded stream that libvlc can read
            without seeking (MP3, AAC in ADTS, MPEG-TS, Ogg, FLAC), or WAV; for `capture` the ALSA name of an
            input, or `simulated:<path of a WAV file>`, which is captured from in real time, over and over.
        buffer_ms: sound kept ahead against jitter, 50 to 5000.
    """

    kind: FeedKind
    place: str
    buffer_ms: int = 300


@dataclass(frozen=True, slots=True)
class CueItem:
    """One piece of sound inside a cue: a file, a signal or a live feed; exactly one of the three.

    Attributes:
        path: file to decode; already verified against its hash by the caller.
        start_ms: position in the file at which to begin, >= 0; not for a feed.
        duration_ms: expected whole length, used to notice truncation; 0 when unknown. For a signal its
            length; a feed ends after it.
        gain_db: loudness gain from the schedule, -40 to +20.
        signal: what the worker is to make.
        hertz: pitch of `Signal.TONE`, 20 to 20000.
        feed: live sound.
    """

    path: Path | None = None
    start_ms: int = 0
    duration_ms: int = 0
    gain_db: float = 0.0
    signal: Signal | None = None
    hertz: int = 1000
    feed: LiveFeed | None = None


@dataclass(frozen=True, slots=True)
class CueStarted:
    """The first frame of the cue left the output device.

    Attributes:
        cue: the number given to `Audio.cue`.
        at_ns: CLOCK_MONOTONIC nanoseconds at which the first frame of the cue was heard.
    """

    cue: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class ItemStarted:
    """Item `index` of the cue begins to be heard at `at_ns` (CLOCK_MONOTONIC)."""

    cue: int
    index: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Level:
    """Level of what the output device really consumed during the last period (at most 500 ms).

    Attributes:
        item: index of the item now heard.
        played_ms: sound of this cue consumed by the device so far, silence between items included.
        rms_dbfs: root mean square over the period, -120 (digital silence) to 0.
        peak_dbfs: highest sample of the period, -120 to 0.
        starved_ms: how long the live feed now heard has given nothing; 0 for anything else.
    """

    cue: int
    item: int
    played_ms: int
    rms_dbfs: float
    peak_dbfs: float
    starved_ms: int = 0


@dataclass(frozen=True, slots=True)
class ItemFailed:
    """An item could not be decoded, wholly or from some point; the cue goes on with the next.

    Attributes:
        code: `unreadable` (not audio, or missing), `truncated` (ended before its announced length) or
            `input_lost` (a live feed ended or its device went away before its time).
    """

    cue: int
    index: int
    code: str
    detail: str


class EndReason(StrEnum):
    """Why a cue ended."""

    FINISHED = "finished"
    STOPPED = "stopped"
    DEVICE_LOST = "device_lost"


@dataclass(frozen=True, slots=True)
class CueEnded:
    """The last frame of the cue was heard (or the cue was stopped) at `at_ns`."""

    cue: int
    at_ns: int
    reason: EndReason
    played_ms: int
    detail: str = ""


AudioEvent = CueStarted | ItemStarted | Level | ItemFailed | CueEnded


class Audio(Protocol):
    """One sound output: decodes files and makes them heard at an exact moment.

    At most one cue is in force; a new `cue` replaces the old one at its own start moment.
    Every call is bounded in time. A decoder that hangs or dies shows as `DeviceUnavailableError`
    from `events()` or any verb; the user closes and opens again (that gives a fresh worker).
    """

    @property
    def name(self) -> str: ...

    async def cue(
        self,
        cue: int,
        items: tuple[CueItem, ...],
        at_ns: int,
        *,
        fade_in_ms: int = 5,
        max_dbfs: float = -1.0,
        volume_db: float = 0.0,
        duck_ms: int = 0,
        duck_db: float = -18.0,
    ) -> None:
        """Load items and start them, gapless, so that the first frame is heard at `at_ns`.

        Args:
            cue: number chosen by the caller, returned in every event.
            items: at least one.
            at_ns: CLOCK_MONOTONIC nanoseconds; best at least 300 ms ahead, so that a file can be opened. A
                signal or live feed needs 80 ms, with the card at rest or under other sound (measured: 20 ms
                from rest and 70 ms over other sound when simulated, 70 ms with ALSA). If it has passed,
                the sound starts as soon as possible *at the position the clock says*.
            fade_in_ms: gain ramp at the very start, 0 to 1000.
            max_dbfs: no sample goes above it: a limiter after all gain, then a clamp; -40 to 0.
            volume_db: gain of the whole cue on top of that of its items, -60 to +12.
            duck_ms: for so long from `at_ns` on, what sounded before goes on underneath, lowered to
                `duck_db`, and only then ends; 0 ends it at `at_ns`, 0 to 10000.
            duck_db: -60 to 0.

        Raises:
            DeviceUnavailableError: the worker is gone or does not answer within 2 s.
        """
        ...

    async def stop(self, cue: int, *, fade_ms: int = 50) -> None:
        """End the cue with a ramp down of `fade_ms`; no-op if it is not in force."""
        ...

    async def adjust(self, cue: int, *, volume_db: float, max_dbfs: float, ramp_ms: int = 200) -> None:
        """Change volume and limit of a cue while it sounds, along a ramp; no-op if it is not in force."""
        ...

    async def probe(self) -> None:
        """Ask the worker and the sound card for a sign of life without making a sound.

        Raises:
            DeviceUnavailableError: worker gone, hung for 1 s, or the card is missing.
        """
        ...

    def events(self) -> AsyncIterator[AudioEvent]:
        """Everything that happens, in order; raises DeviceUnavailableError when the worker is lost."""
        ...


class AudioDriver(Protocol):
    """Factory of one sound output."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def open(self) -> AbstractAsyncContextManager[Audio]: ...
