"""What is told upstream: proof of what was really played, and events."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from agent.model.bulletin import AiringId, BulletinClass, SourceLevel, ZoneId


class Verdict(StrEnum):
    """What the evidence allows to be said of one airing in one zone."""

    HEARD = "heard"
    PARTIAL = "partial"
    SILENT = "silent"
    UNKNOWN = "unknown"
    MISSED = "missed"


class MissedReason(StrEnum):
    """Why an airing that was promised did not start."""

    BOX_OFF = "box_off"
    CLOCK = "clock_not_trusted"
    MEDIA = "media_missing"
    AUDIO = "audio_unavailable"
    PREEMPTED = "preempted"
    SAFETY_STOP = "safety_stop"
    HOURS = "outside_hours"
    LIVE = "live_unavailable"
    CANCELLED = "cancelled"
    STOPPED = "stopped"


class CutReason(StrEnum):
    """What ended a stretch of sound before its planned end."""

    NONE = "none"
    PREEMPTED = "preempted"
    RESTART = "restart"
    AUDIO = "audio_unavailable"
    SCHEDULE_CHANGED = "schedule_changed"
    CLOCK_STEP = "clock_step"
    STOPPED = "stopped"
    SAFETY_STOP = "safety_stop"
    HOURS = "outside_hours"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    PAUSED = "paused"
    LIVE_LOST = "live_lost"
    LIVE_SILENT = "live_silent"


@dataclass(frozen=True, slots=True)
class Segment:
    """One uninterrupted stretch of an airing.

    Attributes:
        started: first sound, wall clock UTC.
        ended: last sound, None while it goes on.
        from_ms: position in the programme at which the stretch began.
        played_ms: sound the output device consumed.
    """

    started: datetime
    ended: datetime | None
    from_ms: int
    played_ms: int
    cut: CutReason = CutReason.NONE


@dataclass(frozen=True, slots=True)
class Evidence:
    """Measurements gathered over one airing.

    Attributes:
        output_rms_dbfs: mean level of what the sound card consumed while sound was due; None if nothing was.
        output_peak_dbfs: highest peak.
        sounding_ms: time in which the card consumed audible samples (above -60 dBFS).
        sensed_ms: part of `sounding_ms` in which the line sensor reported sound; None without a sensor.
        line_rms_dbfs: mean level on the line where the sensor gives one.
        amplifier_on: the amplifier was powered and unmuted throughout.
        amplifier_fault: its fault pin was seen; None if there is no such pin.
        failed_items: `item id: code` of items that could not be decoded.
        microphone_ms: part of `sounding_ms` in which the microphone heard what was sent; None without one.
        supply_amps: mean current of the amplifier's supply while sound was due; None without a meter.
        drawn_ms: part of `sounding_ms` in which the amplifier drew the current that sound needs; None
            without a meter or without a learnt idle current.
    """

    output_rms_dbfs: float | None = None
    output_peak_dbfs: float | None = None
    sounding_ms: int = 0
    sensed_ms: int | None = None
    line_rms_dbfs: float | None = None
    amplifier_on: bool = False
    amplifier_fault: bool | None = None
    failed_items: tuple[str, ...] = ()
    microphone_ms: int | None = None
    supply_amps: float | None = None
    drawn_ms: int | None = None


@dataclass(frozen=True, slots=True)
class AsRun:
    """The record of one airing in one zone (nhật ký phát)."""

    airing: AiringId
    zone: ZoneId
    programme: str
    title: str
    bulletin_class: BulletinClass
    level: SourceLevel
    schedule_version: int
    order_id: str
    planned_start: datetime
    planned_ms: int
    segments: tuple[Segment, ...] = ()
    evidence: Evidence = field(default_factory=Evidence)
    verdict: Verdict = Verdict.UNKNOWN
    missed: MissedReason | None = None
    final: bool = False

    @property
    def first_sound(self) -> datetime | None:
        """When the first sample was heard, None if none was."""
        return self.segments[0].started if self.segments else None

    @property
    def played_ms(self) -> int:
        """Sound consumed by the output device over all segments."""
        return sum(segment.played_ms for segment in self.segments)
