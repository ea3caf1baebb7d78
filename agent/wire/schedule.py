"""The schedule document: JSON on the wire, `agent.model.schedule.Schedule` once read."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, NaiveDatetime, model_validator

from agent.model import bulletin as model
from agent.model import schedule as plan
from agent.wire.base import Document, Line, Moment, Name, Text
from agent.wire.errors import WireError
from agent.wire.orders import FileRef, LanguageCode, MediaRef

MAX_SCHEDULE_BYTES = 16 * 1024 * 1024


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("is not an IANA time zone such as Asia/Ho_Chi_Minh") from error
    return name


class RelayRef(Document):
    """Live sound inside a programme: another station relayed for a fixed time."""

    source: model.LiveSource
    address: Annotated[str, Field(max_length=500)] = ""
    duration_ms: int = Field(ge=1000, le=24 * 3600 * 1000)
    silence_limit_s: int = Field(default=30, ge=1, le=600)
    stall_limit_s: int = Field(default=10, ge=1, le=120)


class ItemDocument(Document):
    """One bulletin inside a programme: a file, or a relay."""

    id: Name
    title: Line
    kind: Literal["chime", "speech", "music", "live"] = "speech"
    media: MediaRef | None = None
    relay: RelayRef | None = None
    text: Text = ""
    language: LanguageCode = "vi"
    author: Line = ""
    approver: Line = ""
    picture: FileRef | None = None

    @model_validator(mode="after")
    def _one_sound(self) -> ItemDocument:
        if (self.media is None) == (self.relay is None):
            raise ValueError("must have either media or relay")
        if (self.kind == "live") != (self.relay is not None):
            raise ValueError("a relay is of kind live, and nothing else is")
        return self


class RecurrenceDocument(Document):
    """When a programme starts; civil times of the schedule's zone."""

    start: NaiveDatetime
    rrule: Annotated[str, Field(min_length=6, max_length=500)] | None = None
    exdates: tuple[NaiveDatetime, ...] = Field(default=(), max_length=2000)
    rdates: tuple[NaiveDatetime, ...] = Field(default=(), max_length=2000)


class ProgrammeDocument(Document):
    """Items that air together at each start."""

    id: Name
    title: Line
    bulletin_class: Literal["normal", "priority"] = Field(alias="class", default="normal")
    level: model.SourceLevel = model.SourceLevel.COMMUNE
    zones: tuple[Name, ...] = ()
    items: tuple[ItemDocument, ...] = Field(min_length=1, max_length=500)
    recurrences: tuple[RecurrenceDocument, ...] = Field(min_length=1, max_length=500)
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    clock_needed: Literal["unknown", "restored", "rtc", "synchronised"] = "rtc"
    resume: plan.Resume = plan.Resume.STOPPED
    window_minutes: int = Field(default=30, ge=0, le=240)
    fallback: bool = False

    @model_validator(mode="after")
    def _validity(self) -> ProgrammeDocument:
        if self.valid_from and self.valid_until and self.valid_until <= self.valid_from:
            raise ValueError("valid_until must be after valid_from")
        return self


class ScheduleDocument(Document):
    """A whole schedule."""

    id: Name
    version: int = Field(ge=1, le=2**53)
    station: Line
    timezone: Annotated[str, AfterValidator(_timezone)] = "Asia/Ho_Chi_Minh"
    programmes: tuple[ProgrammeDocument, ...] = Field(default=(), max_length=100_000)

    @model_validator(mode="after")
    def _unique(self) -> ScheduleDocument:
        seen: set[str] = set()
        for programme in self.programmes:
            if programme.id in seen:
                raise ValueError(f"programme id {programme.id!r} is used twice")
            seen.add(programme.id)
        return self


def to_model(document: ScheduleDocument) -> plan.Schedule:
    """The schedule as values; recurrence rules are checked when a `Timetable` is built from it."""
    return plan.Schedule(
        id=document.id,
        version=document.version,
        station=document.station,
        timezone=document.timezone,
        programmes=tuple(_programme(one) for one in document.programmes),
    )


def read_schedule(data: bytes) -> plan.Schedule:
    """Parse and check a whole schedule document.

    Raises:
        WireError: naming the field, e.g. `programmes[0].recurrences[1].rrule: ...`.
    """
    if len(data) > MAX_SCHEDULE_BYTES:
        raise WireError("schedule", f"{len(data)} bytes; at most {MAX_SCHEDULE_BYTES} are read")
    return to_model(ScheduleDocument.read(data))


def _programme(one: ProgrammeDocument) -> plan.Programme:
    return plan.Programme(
        id=one.id,
        title=one.title,
        bulletin_class=model.BulletinClass(one.bulletin_class),
        level=one.level,
        items=tuple(_item(item) for item in one.items),
        recurrences=tuple(
            plan.Recurrence(
                start=when.start, rrule=when.rrule, exdates=_set(when.exdates), rdates=_set(when.rdates)
            )
            for when in one.recurrences
        ),
        zones=tuple(model.ZoneId(zone) for zone in one.zones),
        valid_from=one.valid_from,
        valid_until=one.valid_until,
        clock_needed=model.ClockTrust[one.clock_needed.upper()],
        resume=plan.Resume.CLOCK if any(item.relay for item in one.items) else one.resume,
        window=timedelta(minutes=one.window_minutes),
        fallback=one.fallback,
    )


def _item(item: ItemDocument) -> model.Item:
    media, live = _sound(item)
    return model.Item(
        id=item.id,
        title=item.title,
        kind=model.ItemKind(item.kind),
        media=media,
        live=live,
        text=item.text,
        language=item.language,
        author=item.author,
        approver=item.approver,
        picture=file_of(item.picture) if item.picture is not None else None,
    )


def _sound(item: ItemDocument) -> tuple[model.Media, model.LiveInput | None]:
    relay, media = item.relay, item.media
    if relay is not None:
        live = model.LiveInput(relay.source, relay.address, relay.silence_limit_s, relay.stall_limit_s)
        # The same input is the same session wherever it stands, so one connection serves all.
        name = hashlib.sha256(repr(live).encode()).hexdigest()[:16]
        return model.live_media(name, relay.duration_ms), live
    if media is None:
        raise AssertionError("the document was checked")
    return media_of(media), None


def media_of(media: MediaRef) -> model.Media:
    """A file as a value."""
    return model.Media(media.sha256, media.size_bytes, media.duration_ms, media.gain_db, media.url)


def file_of(file: FileRef) -> model.Media:
    """A picture or video as a value; it has no length of its own."""
    return model.Media(file.sha256, file.size_bytes, 0, 0.0, file.url)


def _set(moments: tuple[datetime, ...]) -> frozenset[datetime]:
    return frozenset(moments)
