"""What the operator set about CAP: which feeds are believed, and what becomes an emergency here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from agent.model.bulletin import SourceLevel
from agent.wire.base import DeviceId, Name
from agent.wire.orders import EmergencyEvent
from server.cap.alert import Category, Certainty, Severity, Urgency
from server.drafts import Draft
from server.order_drafts import Group

Value = Annotated[str, Field(min_length=1, max_length=300)]


class CodeDraft(Draft):
    """A `valueName` and a `value`, compared exactly."""

    name: Value
    value: Value


class FeedDraft(Draft):
    """A way in, named in the address of the request, and whose messages may come by it."""

    name: Name
    senders: tuple[Value, ...] = Field(min_length=1, max_length=50)


class EventDraft(Draft):
    """Which CAP events are an emergency of a kind: everything that is given has to hold.

    Attributes:
        texts: wordings of CAP `event`; upper and lower case are the same.
        codes: any of them among `eventCode`.
        categories: any of them among `category`.
    """

    event: EmergencyEvent
    texts: tuple[Value, ...] = Field(default=(), max_length=50)
    codes: tuple[CodeDraft, ...] = Field(default=(), max_length=50)
    categories: tuple[Category, ...] = Field(default=(), max_length=12)

    @model_validator(mode="after")
    def _something(self) -> EventDraft:
        if not (self.texts or self.codes or self.categories):
            raise PydanticCustomError("no_cap_event", "give texts, codes or categories")
        return self

    @field_validator("event")
    @classmethod
    def _sounds(cls, event: EmergencyEvent) -> EmergencyEvent:
        if event in (EmergencyEvent.ALL_CLEAR, EmergencyEvent.TEST):
            fit = [f"'{one}'" for one in EmergencyEvent if one not in ("all_clear", "test")]
            raise PydanticCustomError("enum", "says nothing alarming", {"expected": ", ".join(fit)})
        return event


class PlaceDraft(Draft):
    """Where the station is, in degrees of WGS 84, and how far its people live from there."""

    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    radius_km: float = Field(default=0, ge=0, le=100)


class AudienceRule(Draft):
    """Who hears it: boxes and groups add up; none of both is the whole station."""

    devices: tuple[DeviceId, ...] = Field(default=(), max_length=1000)
    groups: tuple[Group, ...] = Field(default=(), max_length=100)
    zones: tuple[Name, ...] = Field(default=(), max_length=32)


class FilterDraft(Draft):
    """The whole filter.

    Attributes:
        events: the first that holds says what an alert is; none holds: it is nothing for us.
        geocodes: an area with any of them is here, whatever its polygons say.
        place: an area whose polygon or circle touches it is here.
        allow_tests: exercises and tests sound as a test; otherwise they are ignored.
        max_minutes: an emergency ends after this, or when the alert does if that is earlier.
    """

    feeds: tuple[FeedDraft, ...] = Field(min_length=1, max_length=20)
    events: tuple[EventDraft, ...] = Field(min_length=1, max_length=100)
    min_severity: Severity = Severity.SEVERE
    min_urgency: Urgency = Urgency.EXPECTED
    min_certainty: Certainty = Certainty.LIKELY
    geocodes: tuple[CodeDraft, ...] = Field(default=(), max_length=200)
    place: PlaceDraft | None = None
    allow_tests: bool = False
    audience: AudienceRule = AudienceRule()
    level: SourceLevel = SourceLevel.COMMUNE
    max_minutes: int = Field(default=60, ge=1, le=1440)
    repeats: int = Field(default=3, ge=1, le=100)
    repeat_every_s: int = Field(default=600, ge=30, le=86_400)

    @field_validator("feeds")
    @classmethod
    def _once(cls, feeds: tuple[FeedDraft, ...]) -> tuple[FeedDraft, ...]:
        if len({one.name for one in feeds}) < len(feeds):
            raise PydanticCustomError("repeated", "names a feed twice")
        return feeds

    @field_validator("level")
    @classmethod
    def _own_level(cls, level: SourceLevel) -> SourceLevel:
        if level not in (SourceLevel.COMMUNE, SourceLevel.HAMLET):
            raise PydanticCustomError("enum", "is not ours", {"expected": "'commune', 'hamlet'"})
        return level

    @model_validator(mode="after")
    def _somewhere(self) -> FilterDraft:
        if not self.geocodes and self.place is None:
            raise PydanticCustomError("nowhere", "give geocodes or place")
        return self

    def feed(self, name: str) -> FeedDraft | None:
        """The feed of this name."""
        return next((one for one in self.feeds if one.name == name), None)
