"""What a person beside the box, or a signed job, may do to it: protocols that `agent.app` fulfils.

`by` always says who asked, for the audit: `local:<user>` or `order:<issuer>`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from agent.errors import AgentError, Retry
from agent.model.bulletin import ClockTrust, Item, SourceLevel
from agent.model.report import AsRun

SAFETY_MINUTES = (1, 240)
"""Shortest and longest lease of a safety stop; it ends by itself."""

PAUSE_MINUTES = (1, 240)
"""Shortest and longest pause; it ends by itself."""

VOLUME_DB = (-40.0, 6.0)
"""Volume of a zone, lowest and highest."""

MAX_PRIORITIES = 200


class ControlRefusedError(AgentError):
    """The box understood and declines.

    Attributes:
        code: why, a key of the catalogue's `[control]` table.
        detail: English, for the log.
    """

    retry = Retry.NEVER

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        self.detail = detail
        super().__init__(f"{code}: {detail}" if detail else code)


@dataclass(frozen=True, slots=True)
class PriorityEntry:
    """A priority programme or bulletin that is due or to come.

    Attributes:
        id: programme or order id, as `set_priority_order` takes it.
        start: its next or present start, None if it has none.
        position: place in the order a person set, counted from 1; None if nobody placed it.
    """

    id: str
    title: str
    level: SourceLevel
    start: datetime | None = None
    position: int | None = None


class Controls(Protocol):
    """Everything that can be done to a box by hand. Every verb is bounded in time and leaves an event.

    Raises:
        ControlRefusedError: from any verb, when the box declines.
    """

    @property
    def zones(self) -> tuple[str, ...]:
        """Zones of this box, in the order of its configuration."""
        ...

    async def safety_stop(self, zones: tuple[str, ...], minutes: int, by: str) -> datetime:
        """Silence zones for 1 to 240 minutes, emergencies included; says until when."""
        ...

    async def safety_release(self, zones: tuple[str, ...], by: str) -> None:
        """End the safety stop of zones; no-op where there is none."""
        ...

    async def set_volume(self, zone: str, volume_db: float, by: str) -> None:
        """Set the volume of a zone, -40 to +6 dB, durably."""
        ...

    async def stop(self, zone: str, by: str) -> str:
        """End what is on air for good; its title, "" if nothing was on air."""
        ...

    async def next(self, zone: str, by: str) -> str:
        """Go to the next item; the title of what follows, "" if nothing does."""
        ...

    async def pause(self, zone: str, minutes: int, by: str) -> None:
        """Keep a zone quiet for 1 to 240 minutes; an emergency still sounds."""
        ...

    async def resume(self, zone: str, by: str) -> None:
        """End a pause; no-op if there is none."""
        ...

    async def restart_worker(self, zone: str, by: str) -> None:
        """Replace the zone's audio worker; what is on air goes on."""
        ...

    async def reboot(self, by: str) -> None:
        """Ask the machine to restart; returns once it agreed."""
        ...

    def priorities(self) -> tuple[PriorityEntry, ...]:
        """Priority programmes and bulletins, in the order in which they would win."""
        ...

    async def set_priority_order(self, ids: tuple[str, ...], by: str) -> None:
        """Let `ids` win in this order; what is not named comes after."""
        ...

    async def reset_amplifier(self, zone: str, by: str) -> None:
        """Try an amplifier again that was given up after faults."""
        ...


class BusyCause(StrEnum):
    """Why no on-site test may sound now."""

    ON_AIR = "on_air"
    SOON = "soon"
    SAFETY_STOP = "safety_stop"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Busy:
    """Why a test may not run now.

    Attributes:
        title: what is on air, or begins within a minute.
        until: when it may be tried again; for `soon` the start of what begins; None if unknown.
    """

    cause: BusyCause
    title: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One snapshot of what a zone's hardware says; None where nothing measures it.

    Attributes:
        output_rms_dbfs: level of what the sound card consumed in the last period.
        line_active, line_dbfs: sound behind the amplifier.
        microphone_active, microphone_dbfs: sound at the monitoring microphone.
        volts, amps, temperature_c: the amplifier's meter.
        powered, muted, fault: the amplifier itself.
    """

    output_rms_dbfs: float | None = None
    line_active: bool | None = None
    line_dbfs: float | None = None
    microphone_active: bool | None = None
    microphone_dbfs: float | None = None
    volts: float | None = None
    amps: float | None = None
    temperature_c: float | None = None
    powered: bool | None = None
    muted: bool | None = None
    fault: bool | None = None


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The box's time at one moment.

    Attributes:
        error_ms: how far it may be off, None when unknown.
        rtc: what the clock chip says at the same moment, None if there is none or it does not answer.
    """

    now: datetime
    trust: ClockTrust
    error_ms: float | None = None
    rtc: datetime | None = None


class Bench(Protocol):
    """What the on-site tests need of the box."""

    def busy(self, zone: str) -> Busy | None:
        """Why nothing may be played for a test now: on air, due within 60 s, or a safety stop."""
        ...

    async def play(self, zone: str, items: tuple[Item, ...], title: str) -> AsRun:
        """Play on the test rung and return the final record.

        An airing that becomes due cuts it; the record says so. Cancelling the call ends the sound.
        """
        ...

    async def sample(self, zone: str) -> Sample:
        """Measure once, within a second; a sensor that does not answer is None."""
        ...

    async def render_speech(self, text: str, language: str) -> Item | None:
        """A sentence as sound on the box, None if it cannot be spoken."""
        ...

    def clock(self) -> ClockReading:
        """The clock as it is now."""
        ...
