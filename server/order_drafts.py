"""What officers send: emergencies, bulletins, live sessions, jobs, and their end."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from agent.model.board import Pattern
from agent.model.bulletin import LiveSource, SourceLevel
from agent.wire.base import DeviceId, Line, Moment, Name, Text
from agent.wire.orders import EmergencyEvent, JobAction, LanguageCode
from server.drafts import Draft, LiveInputDraft, MediaKey

Group = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
RequestId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
"""Chosen by whoever asks: asking again with the same id gives the same order."""


class AskedDraft(Draft):
    """What every request carries.

    Attributes:
        author: the person, where several share one login.
    """

    request_id: RequestId | None = None
    author: Line = ""


class AudienceDraft(AskedDraft):
    """For whom: boxes and groups add up; `all` is the whole station."""

    devices: tuple[DeviceId, ...] = Field(default=(), max_length=1000)
    groups: tuple[Group, ...] = Field(default=(), max_length=100)
    all: bool = False

    @model_validator(mode="after")
    def _somebody(self) -> AudienceDraft:
        if not (self.devices or self.groups or self.all):
            raise PydanticCustomError("nobody", "names nobody: give devices, groups or all")
        return self


class PartDraft(Draft):
    """One language version. Without text and media the station's message for the event is used.

    `picture` is shown by boards meanwhile.
    """

    language: LanguageCode = "vi"
    title: Line = ""
    text: Text = ""
    media: MediaKey | None = None
    picture: MediaKey | None = None


def _one_each(parts: tuple[PartDraft, ...]) -> tuple[PartDraft, ...]:
    if len({one.language for one in parts}) < len(parts):
        raise PydanticCustomError("repeated", "names a language twice")
    return parts


Parts = Annotated[tuple[PartDraft, ...], AfterValidator(_one_each)]
"""Versions in different languages."""


class EmergencyDraft(AudienceDraft):
    """Sounds at once, until its minutes are over or it is cancelled."""

    event: EmergencyEvent
    level: SourceLevel = SourceLevel.COMMUNE
    parts: Parts = Field(default=(), max_length=16)
    zones: tuple[Name, ...] = Field(default=(), max_length=32)
    repeats: int = Field(default=3, ge=1, le=100)
    repeat_every_s: int = Field(default=600, ge=30, le=86_400)
    minutes: int = Field(default=60, ge=1, le=1440)
    attention_s: int = Field(default=6, ge=4, le=8)


class CancelDraft(AskedDraft):
    """Ends an emergency, a bulletin or a live session; `all_clear` is said afterwards."""

    all_clear: PartDraft | None = None


class BulletinDraft(AudienceDraft):
    """Aired once beside the schedule.

    Attributes:
        send: whether boxes get it now. A normal bulletin is only kept unless this is asked for, and even
            then boxes keep it without playing: the officer chooses when.
        until: boxes that could not air it by then no longer do; by default 12 hours after its start.
    """

    bulletin_class: Literal["normal", "priority"] = Field(alias="class", default="priority")
    level: SourceLevel = SourceLevel.COMMUNE
    parts: Parts = Field(min_length=1, max_length=16)
    zones: tuple[Name, ...] = Field(default=(), max_length=32)
    start: Moment | None = None
    until: Moment | None = None
    max_minutes: int = Field(default=30, ge=1, le=240)
    approver: Line = ""
    send: bool | None = None


class GrantDraft(AudienceDraft, LiveInputDraft):
    """A live session. A stream without address is an announcement through this server."""

    speaker: Line
    level: SourceLevel = SourceLevel.COMMUNE
    stream_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    zones: tuple[Name, ...] = Field(default=(), max_length=32)
    minutes: int = Field(default=30, ge=1, le=240)
    chime: bool = True

    @model_validator(mode="after")
    def _somewhere(self) -> GrantDraft:
        if self.source in (LiveSource.MULTICAST, LiveSource.FM) and not self.address:
            problem = "frequency" if self.source is LiveSource.FM else "multicast_address"
            raise PydanticCustomError(problem, "is no address of this source")
        return self


class SourceGrantDraft(GrantDraft):
    """A live session from somewhere else than this server's own microphone page."""

    @model_validator(mode="after")
    def _elsewhere(self) -> SourceGrantDraft:
        if self.source is LiveSource.STREAM and not self.address:
            raise PydanticCustomError("stream_url", "is no address of this source")
        return self


JobValue = str | int | float | bool

_NUMBERS: dict[str, tuple[float, float]] = {
    "percent": (0, 100),
    "volume_db": (-40, 6),
    "minutes": (1, 240),
}
_PATTERN_MINUTES = 60
"""Ranges of a box's own check, so that a mistake is named before anything is signed."""

_ARGUMENTS: dict[JobAction, tuple[str, ...]] = {
    JobAction.SET_VOLUME: ("percent", "volume_db", "zone"),
    JobAction.PAUSE: ("minutes", "zone"),
    JobAction.SAFETY_STOP: ("minutes", "zone"),
    JobAction.REBOOT: ("force",),
    JobAction.SELF_TEST: ("kind", "zone"),
    JobAction.SCREENSHOT: ("board",),
    JobAction.BOARD_PATTERN: ("board", "pattern", "minutes"),
}
_USUAL_ARGUMENTS = ("zone",)


class ControlDraft(AskedDraft):
    """One action, and by when its result is wanted."""

    action: JobAction
    arguments: dict[Name, JobValue] = Field(default_factory=dict, max_length=16)
    deadline_s: int = Field(default=60, ge=5, le=86_400)

    @model_validator(mode="after")
    def _usable(self) -> ControlDraft:
        allowed = _ARGUMENTS.get(self.action, _USUAL_ARGUMENTS)
        if not set(self.arguments) <= set(allowed):
            expected = ", ".join(f"'{one}'" for one in allowed)
            raise PydanticCustomError("job_argument", "knows only {expected}", {"expected": expected})
        for name, (low, high) in _NUMBERS.items():
            value = self.arguments.get(name, low)
            if isinstance(value, bool | str) or not low <= value <= high:
                raise PydanticCustomError(f"job_{name}", "is out of range")
        if self.action is JobAction.BOARD_PATTERN:
            _check_pattern(self.arguments)
        volumes = {"percent", "volume_db"} & set(self.arguments)
        if self.action is JobAction.SET_VOLUME and len(volumes) != 1:
            raise PydanticCustomError("job_volume", "needs percent or volume_db")
        return self


def _check_pattern(arguments: dict[str, JobValue]) -> None:
    """A pattern boards know, for an hour at most; an empty one ends the pattern that is shown."""
    if arguments.get("pattern", "") not in ("", *Pattern):
        expected = ", ".join(f"'{one.value}'" for one in Pattern)
        raise PydanticCustomError("job_pattern", "knows only {expected}", {"expected": expected})
    minutes = arguments.get("minutes", 1)
    if isinstance(minutes, bool | str) or minutes > _PATTERN_MINUTES:
        raise PydanticCustomError("job_pattern_minutes", "is out of range")


class JobDraft(ControlDraft, AudienceDraft):
    """An action for boxes, groups or the whole station."""
