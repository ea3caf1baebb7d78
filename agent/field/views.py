"""What the box says about itself to a person standing beside it: values, filled in by `agent.app`.

Everything here is measured or read from state; what nothing measures is None, never a constant.
Texts are codes (`reason`, `verdict`, fault numbers); the reader words them from the catalogues.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum, IntEnum

from agent.field.boards import BoardInfo
from agent.model.bulletin import BulletinClass, ClockTrust, SourceLevel
from agent.model.issue import Issue
from agent.model.report import AsRun, CutReason, MissedReason, Verdict

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class ClockView:
    """The box's time and how far to believe it; `error_ms` is None when unknown."""

    now: datetime
    trust: ClockTrust
    error_ms: float | None = None


@dataclass(frozen=True, slots=True)
class SourceView:
    """The link to the source system.

    Attributes:
        state: a key of the catalogue's `[source]` table such as `connected` or `not_enrolled`.
        code: why it is not connected, a key of the catalogue's `[link]` table; empty when there is no cause.
        since: when the state was entered, None if it never changed.
        last_error: last failure in English, for the log and for support.
        last_answer: when the server last answered a heartbeat, by whatever way.
    """

    state: str
    code: str = ""
    since: datetime | None = None
    last_error: str = ""
    url: str = ""
    last_answer: datetime | None = None


@dataclass(frozen=True, slots=True)
class OnAirView:
    """What a zone is playing.

    Attributes:
        airing: airing id.
        title: title of the programme.
        item: title of the item being heard.
        position_ms: position inside that item.
        rung: rung of the ladder it stands on, e.g. `programme`.
    """

    airing: str
    title: str
    item: str
    position_ms: int
    rung: str


@dataclass(frozen=True, slots=True)
class AmplifierView:
    """State of an amplifier; `fault` is None when no pin tells."""

    powered: bool
    muted: bool
    fault: bool | None = None


@dataclass(frozen=True, slots=True)
class ZoneStatus:
    """One zone: what the plan wants, and what was measured.

    Attributes:
        reason: why the zone is (or is not) on air, a key of the catalogue's `[reason]` table.
        sounding: measured: the output device is consuming audible samples now.
        line_active: sound behind the amplifier; None without a line sensor.
        amplifier: None while it does not answer or the zone has none.
    """

    zone: str
    name: str
    reason: str
    on_air: OnAirView | None = None
    sounding: bool = False
    output_rms_dbfs: float | None = None
    line_active: bool | None = None
    amplifier: AmplifierView | None = None
    next_title: str | None = None
    next_start: datetime | None = None


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """The schedule in force."""

    id: str
    version: int
    station: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class MediaView:
    """Files held with the right hash, out of those the schedule needs."""

    held: int
    wanted: int
    held_bytes: int = 0


@dataclass(frozen=True, slots=True)
class StorageView:
    """Room on the file system of the media."""

    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class OutboxView:
    """Reports that wait for the server, and those given up when the outbox was full."""

    waiting: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class IssueView:
    """An open condition."""

    code: str
    subject: str
    since: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class BoxStatus:
    """Answer of `GET /status`."""

    version: str
    name: str
    boot_id: str
    uptime_s: int
    timezone: str
    clock: ClockView
    source: SourceView
    device: str | None = None
    enrolled: bool = False
    zones: tuple[ZoneStatus, ...] = ()
    boards: tuple[BoardInfo, ...] = ()
    schedule: ScheduleView | None = None
    media: MediaView = MediaView(0, 0)
    storage: StorageView | None = None
    outbox: OutboxView = OutboxView()
    issues: tuple[IssueView, ...] = ()
    mains: bool | None = None
    bearer: str | None = None
    signal_dbm: int | None = None
    temperature_c: float | None = None


@dataclass(frozen=True, slots=True)
class AiringView:
    """One coming airing; `media_ready` is False while a file of it is missing."""

    airing: str
    title: str
    start: datetime
    end: datetime
    bulletin_class: BulletinClass
    media_ready: bool = True


@dataclass(frozen=True, slots=True)
class MissedView:
    """One airing that was promised and did not start."""

    airing: str
    title: str
    start: datetime
    reason: MissedReason


@dataclass(frozen=True, slots=True)
class ZonePlan:
    """What one zone plays now and next, and what it missed lately."""

    zone: str
    name: str
    reason: str
    on_air: OnAirView | None = None
    upcoming: tuple[AiringView, ...] = ()
    missed: tuple[MissedView, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanView:
    """Answer of `GET /plan`."""

    now: datetime
    timezone: str
    hours: float
    zones: tuple[ZonePlan, ...] = ()


@dataclass(frozen=True, slots=True)
class WaitingView:
    """Something whose time it is but that does not sound; `reason` is a key of the `[reason]` table."""

    title: str
    rung: str
    reason: str


@dataclass(frozen=True, slots=True)
class HoursView:
    """The hours of the commune as they bear on a zone now.

    Attributes:
        allowed: whether anything below an emergency may sound.
        until: when that changes, None if it does not within the horizon.
        cap_dbfs: level cap now, None without one.
        minutes_left: minutes the session may still sound, None without a limit.
    """

    allowed: bool
    until: datetime | None = None
    cap_dbfs: float | None = None
    minutes_left: int | None = None


@dataclass(frozen=True, slots=True)
class ZoneWhy:
    """Why a zone sounds, or why it does not.

    Attributes:
        reason: a key of the catalogue's `[reason]` table.
        rung: what it stands on, a key of `[rung]`; empty while nothing is on air.
        since: when what is on air began here.
        sounding: measured: audible samples leave the sound card now; None if it is not known.
        waiting: what is due and does not sound, highest first; `preempted` is what is being cut.
        hours: None when the commune set no hours.
        next_blocked: why the next airing could not start as things stand; None if it can.
    """

    zone: str
    name: str
    reason: str
    on_air: OnAirView | None = None
    rung: str = ""
    since: datetime | None = None
    sounding: bool | None = None
    waiting: tuple[WaitingView, ...] = ()
    hours: HoursView | None = None
    safety_until: datetime | None = None
    paused_until: datetime | None = None
    next_title: str | None = None
    next_start: datetime | None = None
    next_blocked: str | None = None


@dataclass(frozen=True, slots=True)
class WhyView:
    """Answer of `GET /why`."""

    now: datetime
    timezone: str
    zones: tuple[ZoneWhy, ...] = ()


@dataclass(frozen=True, slots=True)
class PlayLogEntry:
    """One line of the play log (nhật ký phát), from an as-run record."""

    airing: str
    zone: str
    title: str
    bulletin_class: BulletinClass
    level: SourceLevel
    planned_start: datetime
    planned_ms: int
    first_sound: datetime | None
    ended: datetime | None
    played_ms: int
    verdict: Verdict
    missed: MissedReason | None
    cuts: tuple[CutReason, ...]
    output_rms_dbfs: float | None
    line_rms_dbfs: float | None
    sounding_ms: int
    sensed_ms: int | None
    failed_items: tuple[str, ...]
    final: bool


def play_log_entry(record: AsRun) -> PlayLogEntry:
    """The line of the play log for one as-run record."""
    proof = record.evidence
    return PlayLogEntry(
        airing=record.airing,
        zone=record.zone,
        title=record.title,
        bulletin_class=record.bulletin_class,
        level=record.level,
        planned_start=record.planned_start,
        planned_ms=record.planned_ms,
        first_sound=record.first_sound,
        ended=record.segments[-1].ended if record.segments else None,
        played_ms=record.played_ms,
        verdict=record.verdict,
        missed=record.missed,
        cuts=tuple(one.cut for one in record.segments if one.cut is not CutReason.NONE),
        output_rms_dbfs=proof.output_rms_dbfs,
        line_rms_dbfs=proof.line_rms_dbfs,
        sounding_ms=proof.sounding_ms,
        sensed_ms=proof.sensed_ms,
        failed_items=proof.failed_items,
        final=record.final,
    )


def issue_view(issue: Issue) -> IssueView:
    """An open issue as it is shown."""
    return IssueView(issue.fault.value, issue.subject, issue.since, issue.detail)


def to_json(value: object) -> Json:
    """A view as plain JSON values: moments in ISO 8601 UTC, enumerations by value, `ClockTrust` by name.

    Raises:
        TypeError: something that is not part of a view.
    """
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None  # JSON has no infinity, and no reading is none
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, list | tuple):
        return [to_json(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: to_json(getattr(value, one.name)) for one in fields(value)}
    raise TypeError(f"{type(value).__name__} is not part of a view")
