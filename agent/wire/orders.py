"""Signed orders: what a source system may tell a box, one model per document type.

Every order carries who issued it, its place in that issuer's sequence, whom it is for and how long
it holds. The names of `kind` are the payload type suffixes of the wire contract.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from agent.model.bulletin import BulletinClass, LiveSource, SourceLevel
from agent.wire.base import Document, Line, Moment, Name, RelativeUrl, Sha256, Text, Ulid

LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
"""BCP 47 language tag such as `vi`, `km` or `vi-VN`."""


class ScopeKind(StrEnum):
    """What a scope names."""

    DEVICE = "device"
    GROUP = "group"
    STATION = "station"
    PROVINCE = "province"


class Scope(Document):
    """Whom an order is for."""

    kind: ScopeKind
    id: Name


class Order(Document):
    """What every order carries."""

    id: Ulid
    issuer: Name
    seq: int = Field(ge=1, le=2**53)
    scope: Scope
    not_before: Moment
    expires: Moment

    @model_validator(mode="after")
    def _validity(self) -> Order:
        if self.expires <= self.not_before:
            raise ValueError("expires must be after not_before")
        return self


class MediaRef(Document):
    """A file named by its content."""

    sha256: Sha256
    size_bytes: int = Field(ge=1, le=2**31)
    duration_ms: int = Field(ge=1, le=24 * 3600 * 1000)
    gain_db: float = Field(default=0.0, ge=-40, le=20)
    url: RelativeUrl


class FileRef(Document):
    """A picture or video named by its content."""

    sha256: Sha256
    size_bytes: int = Field(ge=1, le=2**31)
    url: RelativeUrl


class ScheduleRef(Document):
    """A schedule document, fetched apart and believed because its hash is signed here."""

    id: Name
    version: int = Field(ge=1, le=2**53)
    sha256: Sha256
    size_bytes: int = Field(ge=2, le=16 * 1024 * 1024)
    url: RelativeUrl


class HoursWindow(Document):
    """Civil hours in which sound is allowed, with a level cap."""

    weekdays: tuple[Annotated[int, Field(ge=1, le=7)], ...] = Field(
        default=(1, 2, 3, 4, 5, 6, 7), min_length=1, max_length=7
    )
    start: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    end: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]
    max_minutes: int | None = Field(default=None, ge=1, le=1440)
    max_dbfs: float | None = Field(default=None, ge=-40, le=0)


class ReleaseRef(Document):
    """Software the box should run."""

    version: Annotated[str, Field(min_length=1, max_length=64)]
    sha256: Sha256
    size_bytes: int = Field(ge=1)
    url: RelativeUrl


class PageWindow(Document):
    """Civil hours in which a page is shown; an end that is not after the start is on the next day."""

    weekdays: tuple[Annotated[int, Field(ge=1, le=7)], ...] = Field(
        default=(1, 2, 3, 4, 5, 6, 7), min_length=1, max_length=7
    )
    start: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    end: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]


class BoardPage(Document):
    """One page a board shows when nothing more urgent is due.

    Attributes:
        ticker: runs through a band of the board.
        video: file that is shown instead of text and picture, on boards that can.
        stream: live HLS, in place of `video`.
        qr: text of a QR code.
        weather: one line.
        template: of the board's theme; empty: the ordinary one.
        dwell_s: how long each of its screens stays; 0: as long as reading takes.
        windows: when it is shown; empty: at all times.
        urgent: while it is due, only urgent pages are shown.
        boards: which boards of a box show it; empty: all.
    """

    id: Name
    title: Line
    text: Text = ""
    ticker: Annotated[Text, Field(max_length=4_000)] = ""
    language: LanguageCode = "vi"
    picture: FileRef | None = None
    video: FileRef | None = None
    stream: Annotated[str, Field(max_length=500, pattern=r"^(https?://\S+)?$")] = ""
    qr: Annotated[Line, Field(max_length=300)] = ""
    weather: Line = ""
    template: Annotated[str, Field(max_length=64, pattern=r"^([a-z0-9][a-z0-9._-]*)?$")] = ""
    dwell_s: int = Field(default=10, ge=0, le=3600)
    windows: tuple[PageWindow, ...] = Field(default=(), max_length=32)
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    urgent: bool = False
    boards: tuple[Name, ...] = Field(default=(), max_length=16)

    @model_validator(mode="after")
    def _validity(self) -> BoardPage:
        if self.valid_from and self.valid_until and self.valid_until <= self.valid_from:
            raise ValueError("valid_until must be after valid_from")
        if self.video is not None and self.stream:
            raise ValueError("must not have both video and stream")
        return self


class EmergencyEvent(StrEnum):
    """Event types with a pre-staged message."""

    FLOOD = "flood"
    STORM = "storm"
    FLASH_FLOOD = "flash_flood"
    DAM_RELEASE = "dam_release"
    LANDSLIDE = "landslide"
    FIRE = "fire"
    EPIDEMIC = "epidemic"
    EVACUATION = "evacuation"
    ALL_CLEAR = "all_clear"
    TEST = "test"
    OTHER = "other"


def _known_event(value: object) -> object:
    """An event this build has no message for is still an emergency; its text is spoken."""
    return EmergencyEvent.OTHER if isinstance(value, str) and value not in _EVENTS else value


_EVENTS = frozenset(EmergencyEvent)

Event = Annotated[EmergencyEvent, BeforeValidator(_known_event)]


class StagedMessage(Document):
    """A recording kept on the box for emergencies of one type, in one language."""

    event: Event
    language: LanguageCode = "vi"
    text: Text = ""
    media: MediaRef


class Desired(Order):
    """What the box should hold; replaces the former `desired` of the same issuer and scope as a whole.

    Attributes:
        hours: when the station may sound; empty means at any time. Only an emergency overrides it.
        hours_version: rises with each change of `hours`.
        priority_order: ids of priority programmes and bulletins in the order a person at the commune set;
            what it does not name comes after.
        messages: recordings to keep on the box for emergencies.
        languages: language versions this box plays, in order; empty: those of its configuration.
    """

    kind: Literal["desired"] = "desired"
    schedule: ScheduleRef | None = None
    hours: tuple[HoursWindow, ...] = Field(default=(), max_length=64)
    hours_version: int = Field(default=0, ge=0, le=2**53)
    priority_order: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        default=(), max_length=200
    )
    messages: tuple[StagedMessage, ...] = Field(default=(), max_length=200)
    languages: tuple[LanguageCode, ...] = Field(default=(), max_length=16)
    groups: tuple[Name, ...] = Field(default=(), max_length=32)
    pages: tuple[BoardPage, ...] = Field(default=(), max_length=64)
    settings: dict[Name, str | int | float | bool] = Field(default_factory=dict, max_length=64)
    release: ReleaseRef | None = None


class BulletinPart(Document):
    """One language version of a bulletin."""

    language: LanguageCode = "vi"
    title: Line
    text: Text = ""
    media: MediaRef | None = None
    picture: FileRef | None = None


class Bulletin(Order):
    """A normal or priority bulletin to be aired once, beside the schedule."""

    kind: Literal["bulletin"] = "bulletin"
    bulletin_class: BulletinClass = Field(alias="class", default=BulletinClass.PRIORITY)
    level: SourceLevel
    parts: tuple[BulletinPart, ...] = Field(min_length=1, max_length=16)
    zones: tuple[Name, ...] = ()
    start: Moment | None = None
    max_minutes: int = Field(default=30, ge=1, le=240)
    author: Line = ""
    approver: Line = ""


class Emergency(Order):
    """Class khẩn cấp: sounds at once, until `expires` or a `cancel`."""

    kind: Literal["emergency"] = "emergency"
    event: Event
    level: SourceLevel
    parts: tuple[BulletinPart, ...] = Field(min_length=1, max_length=16)
    zones: tuple[Name, ...] = ()
    repeats: int = Field(default=3, ge=1, le=100)
    repeat_every_s: int = Field(default=600, ge=30, le=86_400)
    max_minutes: int = Field(default=60, ge=1, le=1440)
    attention_s: int = Field(default=6, ge=4, le=8)


class Cancel(Order):
    """Ends an emergency, bulletin, live session or takeover, with an optional all-clear message."""

    kind: Literal["cancel"] = "cancel"
    cancels: Ulid
    all_clear: BulletinPart | None = None


class Takeover(Order):
    """Commercial boards show the commune's programme from now until `expires` or a `cancel`; then they are
    handed back as they were.

    Attributes:
        boards: which boards of a box; empty: all.
        reason: for people who ask.
    """  # noqa: D205 - the sentence is longer than a line

    kind: Literal["takeover"] = "takeover"
    boards: tuple[Name, ...] = Field(default=(), max_length=16)
    reason: Line = ""


class Grant(Order):
    """A live session: who may speak, whence, from when to when."""

    kind: Literal["grant"] = "grant"
    speaker: Line
    level: SourceLevel
    source: LiveSource
    address: Annotated[str, Field(max_length=500)] = ""
    stream_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    zones: tuple[Name, ...] = ()
    max_minutes: int = Field(default=30, ge=1, le=240)
    chime: bool = True
    silence_limit_s: int = Field(default=30, ge=1, le=600)
    stall_limit_s: int = Field(default=10, ge=1, le=120)


class JobAction(StrEnum):
    """The only actions a job may ask for."""

    SET_VOLUME = "set_volume"
    STOP = "stop"
    NEXT = "next"
    PAUSE = "pause"
    RESUME = "resume"
    RESTART_WORKER = "restart_worker"
    REBOOT = "reboot"
    SELF_TEST = "self_test"
    SCREENSHOT = "screenshot"
    BOARD_PATTERN = "board_pattern"
    SUPPORT_BUNDLE = "support_bundle"
    SAFETY_STOP = "safety_stop"
    SAFETY_RELEASE = "safety_release"


class Job(Order):
    """One diagnostic or control action with a deadline (`expires`)."""

    kind: Literal["job"] = "job"
    action: JobAction
    arguments: dict[Name, str | int | float | bool] = Field(default_factory=dict, max_length=16)


AnyOrder = Desired | Bulletin | Emergency | Cancel | Takeover | Grant | Job

ORDER_KINDS: dict[str, type[AnyOrder]] = {
    "desired": Desired,
    "bulletin": Bulletin,
    "emergency": Emergency,
    "cancel": Cancel,
    "takeover": Takeover,
    "grant": Grant,
    "job": Job,
}

MAX_VALIDITY = timedelta(days=400)
"""No order may hold longer than this."""
