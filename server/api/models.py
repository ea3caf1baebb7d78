"""What the operator's API takes and gives; the OpenAPI document is made from these."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from agent.wire.base import DeviceId, Line, Moment, Sha256, Text, Ulid
from agent.wire.reports import AsRunReport, Event, IssueReport, ZoneHealth

Group = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]


class Request(BaseModel):
    """Base of requests: a misspelt field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Given(BaseModel):
    """Base of answers."""

    model_config = ConfigDict(frozen=True)


class Message(Given):
    """One sentence in both languages."""

    vi: str
    en: str


class ErrorAnswer(Given):
    """Every refusal: stable code, what to tell a person, and the field it is about."""

    error: str
    message: Message
    field: str | None = None


class CodeRequest(Request):
    """A code for one box that is to join."""

    name: Line = ""
    groups: tuple[Group, ...] = Field(default=(), max_length=32)
    minutes: int = Field(default=15, ge=1, le=60)


class CodeAnswer(Given):
    """The code, shown once."""

    code: str
    expires: Moment


class TicketAnswer(Given):
    """A link that opens the console once."""

    path: str
    expires: Moment


class MediaAnswer(Given):
    """A kept file, as boxes will play it.

    Attributes:
        loudness_lufs: integrated loudness of the finished file; the target is -16.
        peak_dbtp: true peak of the finished file; at most -1.
        source_lufs: loudness as it was uploaded.
        gain_db: what was added.
        limited: a limiter held its peaks.
        silent: nothing audible is in it.
    """

    id: Ulid
    sha256: Sha256
    title: str
    size_bytes: int
    duration_ms: int
    loudness_lufs: float
    peak_dbtp: float
    source_lufs: float
    source_peak_dbtp: float
    gain_db: float
    limited: bool
    silent: bool


class MediaList(Given):
    """Newest first."""

    media: list[MediaAnswer]


class SpeechRequest(Request):
    """A text to be spoken."""

    text: Annotated[Text, Field(min_length=1)]
    title: Line = ""
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] = "vi"


class ScheduleAnswer(Given):
    """A kept version."""

    id: str
    version: int
    sha256: Sha256
    size_bytes: int
    created: Moment


class PublishRequest(Request):
    """For whom: boxes, groups, or all."""

    version: int | None = Field(default=None, ge=1)
    devices: tuple[DeviceId, ...] = Field(default=(), max_length=10_000)
    groups: tuple[Group, ...] = Field(default=(), max_length=1000)
    all: bool = False

    @model_validator(mode="after")
    def _somebody(self) -> PublishRequest:
        if not (self.devices or self.groups or self.all):
            raise PydanticCustomError("nobody", "names nobody: give devices, groups or all")
        return self


class DocumentAnswer(Given):
    """One signed order; `pushed` says that the broker has it, otherwise the next heartbeat brings it."""

    device: str
    id: Ulid
    seq: int
    pushed: bool


class PublishAnswer(Given):
    """What was signed."""

    version: int
    sha256: Sha256
    documents: list[DocumentAnswer]


class ScheduleState(Given):
    """A schedule by name, number and content."""

    id: str
    version: int
    sha256: str | None = None


class BoxSchedule(Given):
    """What a box should hold and what it says it holds.

    Attributes:
        confirmed: the box named exactly the wanted hash.
    """

    wanted: ScheduleState | None
    in_force: ScheduleState | None
    confirmed: bool


class AiringAnswer(Given):
    """Proof of one airing by one box."""

    device: str
    name: str
    report: AsRunReport


class BoxAnswer(Given):
    """One box as known now; what no sensor measured is absent."""

    id: str
    name: str
    groups: list[str]
    enrolled: Moment
    state: Literal["online", "offline"]
    last_contact: Moment | None
    heartbeat_age_s: float | None
    boot_id: str | None
    version: str
    clock: str | None
    schedule: BoxSchedule
    media_held: int
    media_wanted: int
    issues: list[IssueReport]
    zones: list[ZoneHealth]
    last_airing: AsRunReport | None


class BoxList(Given):
    """Every enrolled box."""

    boxes: list[BoxAnswer]


class AiringList(Given):
    """Newest planned start first."""

    airings: list[AiringAnswer]


class EventList(Given):
    """Newest first."""

    events: list[Event]


class HealthAnswer(Given):
    """Whether the server works."""

    status: Literal["ok", "degraded"]
    broker: bool
    version: str
