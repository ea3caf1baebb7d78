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


class ClockTrust(IntEnum):
    """How far the wall clock may be believed; higher is better."""

    UNKNOWN = 0
    RESTORED = 1
    RTC = 2
    SYNCHRONISED = 3


@dataclass(frozen=True, slots=True)
class Media:
    """One file of sound, named by its content.

    Attributes:
        sha256: 64 lower-case hexadecimal digits of the whole file.
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


@dataclass(frozen=True, slots=True)
class Item:
    """One bulletin (or its chime) as part of a programme."""

    id: str
    title: str
    kind: ItemKind
    media: Media
    text: str = ""
    language: str = "vi"
    author: str = ""
    approver: str = ""
