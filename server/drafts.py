"""What officers send: schedules. A misspelt field is an error, and every error names its field."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, NaiveDatetime, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from agent.model import bulletin as model
from agent.model.schedule import Resume
from agent.wire.base import Document, Line, Moment, Name, Text
from agent.wire.orders import LanguageCode
from server.live_address import check_address

MediaKey = Annotated[str, Field(pattern=r"^([0-9a-f]{64}|[0-7][0-9A-HJKMNP-TV-Z]{25})$")]
"""Id or SHA-256 of a kept file."""


class Draft(Document):
    """Base of what an officer sends."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LiveInputDraft(Draft):
    """Where live sound comes from, and how long it may be quiet."""

    source: model.LiveSource
    address: Annotated[str, Field(max_length=500)] = ""
    silence_limit_s: int = Field(default=30, ge=1, le=600)
    stall_limit_s: int = Field(default=10, ge=1, le=120)

    @field_validator("address")
    @classmethod
    def _address(cls, address: str, info: ValidationInfo) -> str:
        if address and "source" in info.data:
            problem = check_address(info.data["source"], address)
            if problem is not None:
                raise PydanticCustomError(problem, "is no address of this source")
        return address


class RelayDraft(LiveInputDraft):
    """Another station relayed for a fixed time."""

    duration_ms: int = Field(ge=1000, le=24 * 3600 * 1000)

    @model_validator(mode="after")
    def _somewhere(self) -> RelayDraft:
        # Left out, the field validator does not run.
        problem = check_address(self.source, self.address)
        if problem is not None:
            raise PydanticCustomError(problem, "is no address of this source")
        return self


class DraftItem(Draft):
    """One bulletin, chime or piece of music, or a relay; `media` is the id or SHA-256 of a kept file."""

    media: MediaKey | None = None
    relay: RelayDraft | None = None
    id: Name | None = None
    title: Line = ""
    kind: model.ItemKind = model.ItemKind.SPEECH
    text: Text = ""
    language: LanguageCode = "vi"
    author: Line = ""
    approver: Line = ""

    @model_validator(mode="after")
    def _one_sound(self) -> DraftItem:
        if (self.media is None) == (self.relay is None):
            raise PydanticCustomError("one_sound", "needs either media or relay")
        return self


class DraftRecurrence(Draft):
    """When a programme starts: civil times of the schedule's zone, RFC 5545 rules."""

    start: NaiveDatetime
    rrule: Annotated[str, Field(min_length=6, max_length=500)] | None = None
    exdates: tuple[NaiveDatetime, ...] = Field(default=(), max_length=2000)
    rdates: tuple[NaiveDatetime, ...] = Field(default=(), max_length=2000)


class DraftProgramme(Draft):
    """Items that air together at each start."""

    id: Name
    title: Line
    bulletin_class: Literal["normal", "priority"] = Field(alias="class", default="normal")
    level: model.SourceLevel = model.SourceLevel.COMMUNE
    zones: tuple[Name, ...] = ()
    items: tuple[DraftItem, ...] = Field(min_length=1, max_length=500)
    recurrences: tuple[DraftRecurrence, ...] = Field(min_length=1, max_length=500)
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    clock_needed: Literal["unknown", "restored", "rtc", "synchronised"] = "rtc"
    resume: Resume = Resume.STOPPED
    window_minutes: int = Field(default=30, ge=0, le=240)
    fallback: bool = False


class ScheduleDraft(Draft):
    """A whole schedule as an officer made it; replaces the former of the same id as a new version."""

    id: Name
    station: Line = ""
    timezone: Annotated[str, Field(max_length=64)] = "Asia/Ho_Chi_Minh"
    programmes: tuple[DraftProgramme, ...] = Field(default=(), max_length=100_000)
