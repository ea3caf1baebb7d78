"""What is said: bulletins, their class, the level that speaks, and the media that carry them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NewType

ZoneId = NewType("ZoneId", str)
"""Loudspeakers that sound together, as named in the box's configuration."""

AiringId = NewType("AiringId", str)
"""One occurrence of a programme: `<programme id>@<start in UTC, YYYYmmddTHHMMSSZ>`."""


class BulletinClass(StrEnum):
    """The three classes of TT 39/2020: thông thường, ưu tiên, khẩn cấp."""

    NORMAL = "normal"
    PRIORITY = "priority"
    EMERGENCY = "emergency"


class SourceLevel(StrEnum):
    """Administrative level that speaks, highest first."""

    CENTRAL = "central"
    PROVINCE = "province"
    DISTRICT = "district"
    COMMUNE = "commune"
    HAMLET = "hamlet"


class ItemKind(StrEnum):
    """Part an item plays inside a programme."""

    CHIME = "chime"
    SPEECH = "speech"
    MUSIC = "music"
    SIGNAL = "signal"
    LIVE = "live"


class Signal(StrEnum):
    """Sounds the box makes itself; they need no file, so they can never be missing."""

    ATTENTION = "attention"
    TONE = "tone"
    SWEEP = "sweep"
    SILENCE = "silence"


class LiveSource(StrEnum):
    """Where live sound comes from."""

    STREAM = "stream"
    MULTICAST = "multicast"
    LINE_IN = "line_in"
    FM = "fm"
    MICROPHONE = "microphone"


@dataclass(frozen=True, slots=True)
class LiveInput:
    """A source of live sound, and how long it may be quiet.

    Attributes:
        address: for a stream its URL (a path such as `/device/v1/live/...` means the source system itself),
            for multicast `239.1.2.3:5004`, for FM the frequency in MHz such as `98.9`, for line-in and
            microphone the name of an input in the box's configuration, or "" for the only one.
        silence_limit_s: inaudible for longer, the session is over.
        stall_limit_s: without any data for longer, the source counts as lost.
    """

    source: LiveSource
    address: str
    silence_limit_s: int = 30
    stall_limit_s: int = 10


class ClockTrust(IntEnum):
    """How far the wall clock may be believed; higher is better."""

    UNKNOWN = 0
    RESTORED = 1
    RTC = 2
    SYNCHRONISED = 3


@dataclass(frozen=True, slots=True)
class Media:
    """One piece of sound: a file named by its content, a signal the box makes, or a live input.

    Attributes:
        sha256: 64 lower-case hexadecimal digits of the whole file; `signal:<name>` and `live:<id>` for what
            is no file.
        size_bytes: exact length of the file.
        duration_ms: exact length of the sound.
        gain_db: loudness gain to apply at playout, from levelling at ingest.
        url: where to fetch it, relative to the source system's base address.
    """

    sha256: str
    size_bytes: int
    duration_ms: int
    gain_db: float
    url: str

    @property
    def is_file(self) -> bool:
        """Whether there is a file to hold on disk."""
        return ":" not in self.sha256

    @property
    def signal(self) -> Signal | None:
        """The signal it names, None for a file or a live input."""
        kind, _, name = self.sha256.partition(":")
        return Signal(name) if kind == "signal" else None

    @property
    def live_id(self) -> str | None:
        """The live session it names, None for a file or a signal."""
        kind, _, name = self.sha256.partition(":")
        return name if kind == "live" else None


def signal_media(signal: Signal, duration_ms: int, gain_db: float = 0.0) -> Media:
    """Sound made by the box itself."""
    return Media(f"signal:{signal.value}", 0, duration_ms, gain_db, "")


def live_media(live_id: str, duration_ms: int) -> Media:
    """A live input for at most `duration_ms`."""
    return Media(f"live:{live_id}", 0, duration_ms, 0.0, "")


@dataclass(frozen=True, slots=True)
class Item:
    """One bulletin (or its chime) as part of a programme; `picture` is for boards."""

    id: str
    title: str
    kind: ItemKind
    media: Media
    text: str = ""
    language: str = "vi"
    author: str = ""
    approver: str = ""
    live: LiveInput | None = None
    picture: Media | None = None
