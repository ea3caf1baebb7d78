"""Reports going up: birth, state, health, event, as-run, reported state, job results.

Every report that must not be lost carries a ULID `id`; the receiver stores each id once.
"""

from __future__ import annotations

from datetime import MAXYEAR, MINYEAR, datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from agent.model.bulletin import BulletinClass, SourceLevel
from agent.model.report import AsRun, CutReason, MissedReason, Verdict
from agent.wire.base import Document, Line, Moment, Sha256, Ulid
from agent.wire.orders import JobAction

Short = Annotated[str, Field(max_length=100)]


def _within(low: float, high: float) -> AfterValidator:
    """What no sensor can measure is not a measurement: absent, and the rest of the report still counts."""
    return AfterValidator(lambda value: value if value is None or low <= value <= high else None)


Dbfs = Annotated[float | None, _within(-200, 20)]
VolumeDb = Annotated[float | None, _within(-100, 40)]
Amps = Annotated[float | None, _within(-1000, 1000)]
Volts = Annotated[float | None, _within(-1000, 1000)]
Celsius = Annotated[float | None, _within(-100, 300)]


def _civil(moment: datetime | None) -> datetime | None:
    """A moment that every time zone can tell, None for any other."""
    return moment if moment is not None and MINYEAR < moment.year < MAXYEAR else None


CivilMoment = Annotated[Moment | None, AfterValidator(_civil)]


class Birth(Document):
    """Says everything about a box each time it connects; retained."""

    kind: Literal["birth"] = "birth"
    boot_id: Short
    at: Moment
    name: Line = ""
    version: Short
    boot_slot: Short = ""
    zones: tuple[Short, ...] = ()
    capabilities: tuple[Short, ...] = ()
    root_version: int = 0
    desired_seq: int = 0
    schedule_version: int = 0


class Online(StrEnum):
    """Connection state."""

    ONLINE = "online"
    OFFLINE = "offline"


class State(Document):
    """Retained connection state; `offline` is the last will and carries the same boot id as the birth."""

    kind: Literal["state"] = "state"
    state: Online
    boot_id: Short


class ZoneHealth(Document):
    """What one zone is doing, from measurement."""

    zone: Short
    on_air: Short | None = None
    title: Line | None = None
    sounding: bool = False
    output_rms_dbfs: Dbfs = None
    line_active: bool | None = None
    amplifier_on: bool | None = None
    next_airing: Short | None = None
    next_start: CivilMoment = None
    reason: Short | None = None
    rung: Short | None = None
    volume_db: VolumeDb = None
    safety_until: CivilMoment = None
    supply_amps: Amps = None
    supply_volts: Volts = None
    amplifier_temperature_c: Celsius = None


class BoardHealth(Document):
    """What one board shows; what nothing measured is absent.

    Attributes:
        page: id of the page that is shown.
        sha256: of the picture that is shown.
        reason: why it is there, such as `playlist` or `emergency`.
        rank: of the page: `idle page urgent_page bulletin priority live pattern emergency`.
        on: whether the picture is switched on.
        mine: False while a commercial board is left to its owner.
        lost: the card had lost its picture when it was last asked.
        foreign: something else than our picture was shown when it was last asked.
        dead_modules: as a technician entered them, `row/column` counted from 1.
        width_px, height_px, pitch_mm, viewing_m, colours: of the board itself, for previews.
    """

    board: Short
    page: Short | None = None
    title: Line | None = None
    sha256: Sha256 | None = None
    reason: Short | None = None
    rank: Short | None = None
    since: CivilMoment = None
    mine: bool = True
    on: bool | None = None
    lost: bool | None = None
    foreign: bool | None = None
    brightness: Annotated[float | None, _within(0, 1)] = None
    temperature_c: Celsius = None
    model: Short | None = None
    dead_modules: tuple[Short, ...] = Field(default=(), max_length=200)
    width_px: int | None = Field(default=None, ge=1, le=7680)
    height_px: int | None = Field(default=None, ge=1, le=4320)
    pitch_mm: float | None = Field(default=None, ge=0.1, le=100)
    viewing_m: float | None = Field(default=None, ge=0.3, le=500)
    colours: Literal["mono", "dual", "full"] | None = None


class IssueReport(Document):
    """A condition that a person can fix; `code` is a stable fault number such as `TL-301`."""

    code: Short
    subject: Line = ""
    since: Moment


class Health(Document):
    """Heartbeat: what was measured; an absent sensor is an absent value."""

    kind: Literal["health"] = "health"
    boot_id: Short
    at: Moment
    uptime_s: int = Field(ge=0)
    clock: Literal["unknown", "restored", "rtc", "synchronised"]
    clock_error_ms: float | None = None
    zones: tuple[ZoneHealth, ...] = ()
    boards: tuple[BoardHealth, ...] = Field(default=(), max_length=16)
    issues: tuple[IssueReport, ...] = ()
    media_held: int = 0
    media_wanted: int = 0
    storage_free_bytes: int | None = None
    mains: bool | None = None
    bearer: Short | None = None
    signal_dbm: int | None = None
    temperature_c: Celsius = None
    outbox_waiting: int = 0
    outbox_dropped: int = 0


class EventType(StrEnum):
    """What an event is about."""

    ORDER_ACCEPTED = "order_accepted"
    ORDER_REFUSED = "order_refused"
    SCHEDULE_IN_FORCE = "schedule_in_force"
    SCHEDULE_REFUSED = "schedule_refused"
    MEDIA_READY = "media_ready"
    MEDIA_FAILED = "media_failed"
    ON_AIR = "on_air"
    OFF_AIR = "off_air"
    ISSUE_RAISED = "issue_raised"
    ISSUE_CLEARED = "issue_cleared"
    STARTED = "started"
    EMERGENCY_BEGUN = "emergency_begun"
    EMERGENCY_ENDED = "emergency_ended"
    ORDER_ENDED = "order_ended"
    LIVE_BEGUN = "live_begun"
    LIVE_LOST = "live_lost"
    LIVE_ENDED = "live_ended"
    HOURS_OVERRIDDEN = "hours_overridden"
    SAFETY_STOPPED = "safety_stopped"
    SAFETY_RELEASED = "safety_released"
    CONTROL = "control"
    BOARD_TAKEN = "board_taken"
    BOARD_HANDED_BACK = "board_handed_back"


class Event(Document):
    """Something that happened once."""

    kind: Literal["event"] = "event"
    id: Ulid
    at: Moment
    type: EventType
    subject: Line = ""
    code: Short = ""
    detail: Line = ""
    historical: bool = False


class SegmentReport(Document):
    """One uninterrupted stretch of sound."""

    started: Moment
    ended: Moment | None = None
    from_ms: int
    played_ms: int
    cut: CutReason = CutReason.NONE


class AsRunReport(Document):
    """The proof of one airing in one zone; sent when final, idempotent by `airing` and `zone`."""

    kind: Literal["asrun"] = "asrun"
    id: Ulid
    airing: Annotated[str, Field(max_length=120)]
    zone: Short
    programme: Short
    title: Line
    bulletin_class: BulletinClass = Field(alias="class")
    level: SourceLevel
    schedule_version: int
    order_id: Short = ""
    planned_start: Moment
    planned_ms: int
    first_sound: Moment | None = None
    played_ms: int = 0
    segments: tuple[SegmentReport, ...] = ()
    output_rms_dbfs: Dbfs = None
    output_peak_dbfs: Dbfs = None
    sounding_ms: int = 0
    sensed_ms: int | None = None
    line_rms_dbfs: Dbfs = None
    amplifier_on: bool = False
    amplifier_fault: bool | None = None
    failed_items: tuple[Line, ...] = ()
    microphone_ms: int | None = None
    supply_amps: Amps = None
    drawn_ms: int | None = None
    verdict: Verdict
    missed: MissedReason | None = None


class ScreenReport(Document):
    """Proof that a page was on a board; pages that take turns are counted in one report, an hour at most.

    What came up may be told at once, with `ended` false; the report of the whole stay, with the same board,
    page and `first_shown`, takes its place later.

    Attributes:
        page: id of the page.
        order_id: the order that caused it.
        reason: why it was shown, such as `playlist`.
        sha256: of the picture of its first screen; absent for a video.
        screens: how many screens the page had.
        first_shown, last_shown: when a screen of it came up for the first and the last time.
        times: how often its first screen came up.
        shown_s: for how long it was on the board in all.
        complaints: what could not be shown as wished, a code each.
        thumbnail: PNG of its first screen, base64; absent when it is too large or was sent before.
    """

    kind: Literal["screen"] = "screen"
    id: Ulid
    board: Short
    page: Short
    title: Line = ""
    order_id: Short = ""
    reason: Short = ""
    sha256: Sha256 | None = None
    screens: int = Field(default=1, ge=1)
    first_shown: Moment
    last_shown: Moment
    times: int = Field(default=1, ge=1)
    shown_s: float = Field(default=0, ge=0)
    complaints: tuple[Line, ...] = Field(default=(), max_length=20)
    thumbnail: Annotated[str, Field(max_length=8 * 1024)] | None = None
    ended: bool = True


class Reported(Document):
    """What the box holds; retained. `media_held` counts files on disk with the right hash."""

    kind: Literal["reported"] = "reported"
    boot_id: Short
    at: Moment
    desired_id: Short = ""
    desired_seq: int = 0
    schedule_id: Short = ""
    schedule_version: int = 0
    schedule_sha256: Sha256 | None = None
    media_held: int = 0
    media_wanted: int = 0


class JobState(StrEnum):
    """Life of a job; the last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"


class JobReport(Document):
    """State of one job."""

    kind: Literal["job"] = "job"
    id: Ulid
    at: Moment
    job: Ulid
    action: JobAction
    state: JobState
    result: dict[str, str | int | float | bool | None] = Field(default_factory=dict)


def asrun_report(report_id: str, record: AsRun) -> AsRunReport:
    """The wire form of an as-run record."""
    proof = record.evidence
    return AsRunReport.model_validate(
        {
            "id": report_id,
            "airing": record.airing,
            "zone": record.zone,
            "programme": record.programme,
            "title": record.title,
            "class": record.bulletin_class,
            "level": record.level,
            "schedule_version": record.schedule_version,
            "order_id": record.order_id,
            "planned_start": record.planned_start,
            "planned_ms": record.planned_ms,
            "first_sound": record.first_sound,
            "played_ms": record.played_ms,
            "segments": [
                {
                    "started": one.started,
                    "ended": one.ended,
                    "from_ms": one.from_ms,
                    "played_ms": one.played_ms,
                    "cut": one.cut,
                }
                for one in record.segments
            ],
            "output_rms_dbfs": proof.output_rms_dbfs,
            "output_peak_dbfs": proof.output_peak_dbfs,
            "sounding_ms": proof.sounding_ms,
            "sensed_ms": proof.sensed_ms,
            "line_rms_dbfs": proof.line_rms_dbfs,
            "amplifier_on": proof.amplifier_on,
            "amplifier_fault": proof.amplifier_fault,
            "failed_items": list(proof.failed_items),
            "microphone_ms": proof.microphone_ms,
            "supply_amps": proof.supply_amps,
            "drawn_ms": proof.drawn_ms,
            "verdict": record.verdict,
            "missed": record.missed,
        }
    )
