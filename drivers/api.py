"""What the agent may ask of hardware: one small protocol per kind of device.

Every driver is a factory (`from_options`) whose `open()` is an asynchronous context manager;
leaving it *is* the safe state. Absent hardware is an exception here and a state above.
Simulated drivers satisfy the same contract tests as real ones.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, Self

Options = Mapping[str, object]


class Retry(StrEnum):
    """Whether trying again can help."""

    SOON = "soon"
    LATER = "later"
    NEVER = "never"


class DriverError(Exception):
    """A device did not do what its contract says."""

    retry: Retry = Retry.SOON


class DeviceUnavailableError(DriverError):
    """No answer: unplugged, unpowered, or held by another program."""

    retry = Retry.SOON


class DeviceProtocolError(DriverError):
    """The device answered something its manual does not allow."""

    retry = Retry.LATER


class DeviceRefusedError(DriverError):
    """The device understood and declined."""

    retry = Retry.NEVER


class DriverSetupError(DriverError):
    """The configuration of this driver cannot work."""

    retry = Retry.NEVER


# --- sound -----------------------------------------------------------------------------------------


class Signal(StrEnum):
    """Sounds the worker makes itself, without a file or decoder.

    `attention` is the two-tone signal before an emergency, `tone` a sine of `CueItem.hertz`, `sweep` a sine
    that rises from 100 Hz to 8 kHz over the item, `silence` nothing at all. All but silence at -12 dBFS peak.
    """

    ATTENTION = "attention"
    TONE = "tone"
    SWEEP = "sweep"
    SILENCE = "silence"


class FeedKind(StrEnum):
    """How live sound reaches the worker."""

    PIPE = "pipe"
    CAPTURE = "capture"


@dataclass(frozen=True, slots=True)
class LiveFeed:
    """Live sound for the worker.

    Attributes:
        place: for `pipe` the path of a FIFO to which the agent writes an encoded stream that libvlc can read
            without seeking (MP3, AAC in ADTS, MPEG-TS, Ogg, FLAC), or WAV; for `capture` the ALSA name of an
            input, or `simulated:<path of a WAV file>`, which is captured from in real time, over and over.
        buffer_ms: sound kept ahead against jitter, 50 to 5000.
    """

    kind: FeedKind
    place: str
    buffer_ms: int = 300


@dataclass(frozen=True, slots=True)
class CueItem:
    """One piece of sound inside a cue: a file, a signal or a live feed; exactly one of the three.

    Attributes:
        path: file to decode; already verified against its hash by the caller.
        start_ms: position in the file at which to begin, >= 0; not for a feed.
        duration_ms: expected whole length, used to notice truncation; 0 when unknown. For a signal its
            length; a feed ends after it.
        gain_db: loudness gain from the schedule, -40 to +20.
        signal: what the worker is to make.
        hertz: pitch of `Signal.TONE`, 20 to 20000.
        feed: live sound.
    """

    path: Path | None = None
    start_ms: int = 0
    duration_ms: int = 0
    gain_db: float = 0.0
    signal: Signal | None = None
    hertz: int = 1000
    feed: LiveFeed | None = None


@dataclass(frozen=True, slots=True)
class CueStarted:
    """The first frame of the cue left the output device.

    Attributes:
        cue: the number given to `Audio.cue`.
        at_ns: CLOCK_MONOTONIC nanoseconds at which the first frame of the cue was heard.
    """

    cue: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class ItemStarted:
    """Item `index` of the cue begins to be heard at `at_ns` (CLOCK_MONOTONIC)."""

    cue: int
    index: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Level:
    """Level of what the output device really consumed during the last period (at most 500 ms).

    Attributes:
        item: index of the item now heard.
        played_ms: sound of this cue consumed by the device so far, silence between items included.
        rms_dbfs: root mean square over the period, -120 (digital silence) to 0.
        peak_dbfs: highest sample of the period, -120 to 0.
        starved_ms: how long the live feed now heard has given nothing; 0 for anything else.
    """

    cue: int
    item: int
    played_ms: int
    rms_dbfs: float
    peak_dbfs: float
    starved_ms: int = 0


@dataclass(frozen=True, slots=True)
class ItemFailed:
    """An item could not be decoded, wholly or from some point; the cue goes on with the next.

    Attributes:
        code: `unreadable` (not audio, or missing), `truncated` (ended before its announced length) or
            `input_lost` (a live feed ended or its device went away before its time).
    """

    cue: int
    index: int
    code: str
    detail: str


class EndReason(StrEnum):
    """Why a cue ended."""

    FINISHED = "finished"
    STOPPED = "stopped"
    DEVICE_LOST = "device_lost"


@dataclass(frozen=True, slots=True)
class CueEnded:
    """The last frame of the cue was heard (or the cue was stopped) at `at_ns`."""

    cue: int
    at_ns: int
    reason: EndReason
    played_ms: int
    detail: str = ""


AudioEvent = CueStarted | ItemStarted | Level | ItemFailed | CueEnded


class Audio(Protocol):
    """One sound output: decodes files and makes them heard at an exact moment.

    At most one cue is in force; a new `cue` replaces the old one at its own start moment.
    Every call is bounded in time. A decoder that hangs or dies shows as `DeviceUnavailableError`
    from `events()` or any verb; the user closes and opens again (that gives a fresh worker).
    """

    @property
    def name(self) -> str: ...

    async def cue(
        self,
        cue: int,
        items: tuple[CueItem, ...],
        at_ns: int,
        *,
        fade_in_ms: int = 5,
        max_dbfs: float = -1.0,
        volume_db: float = 0.0,
        duck_ms: int = 0,
        duck_db: float = -18.0,
    ) -> None:
        """Load items and start them, gapless, so that the first frame is heard at `at_ns`.

        Args:
            cue: number chosen by the caller, returned in every event.
            items: at least one.
            at_ns: CLOCK_MONOTONIC nanoseconds; best at least 300 ms ahead, so that a file can be opened. A
                signal or live feed needs 80 ms, with the card at rest or under other sound (measured: 20 ms
                from rest and 70 ms over other sound when simulated, 70 ms with ALSA). If it has passed,
                the sound starts as soon as possible *at the position the clock says*.
            fade_in_ms: gain ramp at the very start, 0 to 1000.
            max_dbfs: no sample goes above it: a limiter after all gain, then a clamp; -40 to 0.
            volume_db: gain of the whole cue on top of that of its items, -60 to +12.
            duck_ms: for so long from `at_ns` on, what sounded before goes on underneath, lowered to
                `duck_db`, and only then ends; 0 ends it at `at_ns`, 0 to 10000.
            duck_db: -60 to 0.

        Raises:
            DeviceUnavailableError: the worker is gone or does not answer within 2 s.
        """
        ...

    async def stop(self, cue: int, *, fade_ms: int = 50) -> None:
        """End the cue with a ramp down of `fade_ms`; no-op if it is not in force."""
        ...

    async def adjust(self, cue: int, *, volume_db: float, max_dbfs: float, ramp_ms: int = 200) -> None:
        """Change volume and limit of a cue while it sounds, along a ramp; no-op if it is not in force."""
        ...

    async def probe(self) -> None:
        """Ask the worker and the sound card for a sign of life without making a sound.

        Raises:
            DeviceUnavailableError: worker gone, hung for 1 s, or the card is missing.
        """
        ...

    def events(self) -> AsyncIterator[AudioEvent]:
        """Everything that happens, in order; raises DeviceUnavailableError when the worker is lost."""
        ...


class AudioDriver(Protocol):
    """Factory of one sound output."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def open(self) -> AbstractAsyncContextManager[Audio]: ...


# --- amplifier -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AmplifierState:
    """What is known of the amplifier; None means that nothing measures it."""

    powered: bool
    muted: bool
    fault: bool | None = None


class Amplifier(Protocol):
    """A switchable power amplifier feeding one zone. Safe state: muted, off."""

    @property
    def name(self) -> str: ...

    async def set_power(self, *, on: bool) -> None: ...

    async def set_mute(self, *, muted: bool) -> None: ...

    async def read(self) -> AmplifierState: ...

    async def probe(self) -> None: ...


class AmplifierDriver(Protocol):
    """Factory of one amplifier."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def open(self) -> AbstractAsyncContextManager[Amplifier]: ...


# --- line sense: is there really sound on the loudspeaker line? ---------------------------------------


@dataclass(frozen=True, slots=True)
class LineReading:
    """Sound measured after the amplifier.

    Attributes:
        active: sound is present on the loudspeaker line.
        level_dbfs: level where the sensor gives one, else None.
        at_ns: CLOCK_MONOTONIC nanoseconds of the measurement.
    """

    active: bool
    level_dbfs: float | None
    at_ns: int


class LineSense(Protocol):
    """A sensor behind the amplifier that shows whether the line carries sound."""

    @property
    def name(self) -> str: ...

    async def read(self) -> LineReading: ...

    async def probe(self) -> None: ...


class LineSenseDriver(Protocol):
    """Factory of one line sensor."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def open(self) -> AbstractAsyncContextManager[LineSense]: ...


# --- meters: what does the amplifier draw? -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MeterReading:
    """Supply of an amplifier, or current in its line; None where nothing measures it.

    Attributes:
        volts: of the amplifier's supply.
        amps: drawn from it (or flowing in the loudspeaker line), mean over the conversion.
        temperature_c: of the amplifier.
        at_ns: CLOCK_MONOTONIC nanoseconds of the measurement.
    """

    volts: float | None
    amps: float | None
    temperature_c: float | None
    at_ns: int


class Meter(Protocol):
    """Measures the supply of one amplifier (INA219, ADS1115, MCP3008)."""

    @property
    def name(self) -> str: ...

    async def read(self) -> MeterReading: ...

    async def probe(self) -> None: ...


class MeterDriver(Protocol):
    """Factory of one meter."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def open(self) -> AbstractAsyncContextManager[Meter]: ...


# --- tuner -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TunerState:
    """What a tuner receives; None where the chip does not tell.

    Attributes:
        megahertz: frequency tuned to, None before the first `tune`.
        muted: its output is muted.
        locked: a station is received.
        rssi: signal strength in the chip's own unit.
        stereo: the pilot is received.
    """

    megahertz: float | None
    muted: bool
    locked: bool | None
    rssi: int | None
    stereo: bool | None = None


class Tuner(Protocol):
    """An FM receiver whose sound comes in by a sound card. Safe state: muted, asleep."""

    @property
    def name(self) -> str: ...

    async def tune(self, megahertz: float) -> TunerState:
        """Tune, still muted; returns once the chip says it is ready.

        Raises:
            DeviceRefusedError: outside 87.0 to 108.0.
            DeviceUnavailableError: no answer, or not ready within a second.
        """
        ...

    async def set_mute(self, *, muted: bool) -> None: ...

    async def read(self) -> TunerState: ...

    async def probe(self) -> None: ...


class TunerDriver(Protocol):
    """Factory of one tuner."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def open(self) -> AbstractAsyncContextManager[Tuner]: ...


# --- buttons ---------------------------------------------------------------------------------------


class Button(Protocol):
    """A push-button on the box, such as the safety stop."""

    @property
    def name(self) -> str: ...

    def presses(self) -> AsyncIterator[float]:
        """Yields how long, in seconds, each press lasted (0.05 or more), when it is let go."""
        ...


class ButtonDriver(Protocol):
    """Factory of one button."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def open(self) -> AbstractAsyncContextManager[Button]: ...


# --- board -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BoardGeometry:
    """Pixel size of a board."""

    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture: `rgb` holds height_px * width_px * 3 bytes, rows from the top, R G B."""

    width_px: int
    height_px: int
    rgb: bytes = field(repr=False)


class Board(Protocol):
    """An electronic board. Safe state: its safe screen or dark, never strange text."""

    @property
    def name(self) -> str: ...

    @property
    def geometry(self) -> BoardGeometry: ...

    async def show(self, frame: Frame, label: str) -> None:
        """Show a frame; `label` goes to logs and to the record of what was shown."""
        ...

    async def probe(self) -> None: ...


class BoardDriver(Protocol):
    """Factory of one board."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def open(self) -> AbstractAsyncContextManager[Board]: ...


# --- observations of the box itself -----------------------------------------------------------------


class Bearer(StrEnum):
    """How the box reaches the network."""

    NONE = "none"
    ETHERNET = "ethernet"
    WIFI = "wifi"
    CELLULAR = "cellular"


@dataclass(frozen=True, slots=True)
class UplinkState:
    """Network as seen from below the internet protocols.

    Attributes:
        bearer: kind of link in use.
        signal_dbm: cellular or Wi-Fi strength; None when not measured.
        data: False when the link is registered but carries no data (SIM out of credit); None when unknown.
    """

    bearer: Bearer
    signal_dbm: int | None
    data: bool | None


class ClockSource(StrEnum):
    """Best source that set the wall clock, in falling order of trust."""

    SYNCHRONISED = "synchronised"
    RTC = "rtc"
    RESTORED = "restored"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ClockState:
    """Where the wall clock comes from and how far it may be off (None when unknown)."""

    source: ClockSource
    error_ms: float | None = None


@dataclass(frozen=True, slots=True)
class PowerState:
    """Mains and supply; None where nothing measures it."""

    mains: bool | None = None
    dc_volts: float | None = None
    undervoltage: bool | None = None


@dataclass(frozen=True, slots=True)
class StorageState:
    """Room on the file system that holds the media, in bytes."""

    total_bytes: int
    free_bytes: int


class UplinkSensor(Protocol):
    """Reads the state of the network link."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def read(self) -> UplinkState: ...


class ClockSensor(Protocol):
    """Reads where the wall clock was set from."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def read(self) -> ClockState: ...


class PowerSensor(Protocol):
    """Reads mains and supply."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def read(self) -> PowerState: ...


class StorageSensor(Protocol):
    """Reads the room left for media below `path`."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def read(self, path: Path) -> StorageState: ...
