"""Configuration of a box: TOML in, frozen values out; unknown keys and values out of range are refused.

`config.example.toml` holds every key with meaning, unit, range and default; a test compares the two.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from agent.errors import ConfigError
from agent.wire.errors import explain
from agent.wire.orders import LanguageCode

ZoneName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("is not an IANA time zone such as Asia/Ho_Chi_Minh") from error
    return name


class Section(BaseModel):
    """Base of every table: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class BoxSection(Section):
    """The box itself."""

    name: str = Field(default="", max_length=100)
    data_dir: Path = Path("/var/lib/tieng-lang")
    runtime_dir: Path = Path("/run/tieng-lang")
    timezone: Annotated[str, AfterValidator(_timezone)] = "Asia/Ho_Chi_Minh"
    language: Literal["vi", "en"] = "vi"
    languages: Annotated[tuple[LanguageCode, ...], Field(min_length=1, max_length=16)] = ("vi",)


class SourceSection(Section):
    """The source system that serves the box."""

    url: Annotated[str, Field(pattern=r"^(https?://[^/\s]+)?$")] = ""
    heartbeat_s: float = Field(default=60, ge=1, le=3600)
    keepalive_s: int = Field(default=25, ge=5, le=300)
    session_expiry_s: int = Field(default=7 * 86_400, ge=60, le=60 * 86_400)
    reconnect_max_s: float = Field(default=60, ge=0.1, le=600)


class ContentSection(Section):
    """Media kept on the box."""

    quota_mb: int = Field(default=4096, ge=16, le=1_000_000)
    keep_free_mb: int = Field(default=256, ge=0, le=100_000)
    parallel_downloads: int = Field(default=2, ge=1, le=8)


class PlayoutSection(Section):
    """How sound is produced."""

    max_dbfs: float = Field(default=-1.0, ge=-40, le=0)
    preroll_s: float = Field(default=3.0, ge=0.5, le=30)
    output_latency_ms: float = Field(default=0.0, ge=-500, le=500)
    line_silent_after_s: float = Field(default=3.0, ge=1, le=60)


class Driver(Section):
    """A driver by kind, with options only the driver knows."""

    kind: str = Field(min_length=1, max_length=40)
    options: dict[str, str | int | float | bool | list[int]] = Field(default_factory=dict)


class MeterSection(Driver):
    """What measures an amplifier's supply, and what is normal there."""

    idle_amps: float | None = Field(default=None, ge=0, le=100)
    full_amps: float | None = Field(default=None, gt=0, le=200)
    low_volts: float = Field(default=0, ge=0, le=400)
    high_volts: float = Field(default=400, gt=0, le=400)
    warm_c: float = Field(default=70, ge=30, le=150)
    hot_c: float = Field(default=85, ge=30, le=150)


class InputSection(Driver):
    """A sound input: line-in, microphone, or the sound of a tuner."""

    id: ZoneName


class SpeechSection(Section):
    """Turns text into speech on the box."""

    engine: Literal["espeak-ng", "command", "none"] = "espeak-ng"
    command: Annotated[tuple[str, ...], Field(max_length=32)] = ()
    voice: str = Field(default="", max_length=64)
    words_per_minute: int = Field(default=150, ge=80, le=260)


class AmplifierSection(Driver):
    """The amplifier of a zone and its times."""

    settle_ms: int = Field(default=500, ge=0, le=10_000)
    unmute_ms: int = Field(default=50, ge=0, le=2_000)
    hold_s: float = Field(default=30, ge=0, le=3600)


class ZoneSection(Section):
    """Loudspeakers that sound together."""

    id: ZoneName
    name: str = Field(default="", max_length=100)
    audio: Driver
    amplifier: AmplifierSection = AmplifierSection(kind="none")
    line_sense: Driver | None = None
    delay_ms: float = Field(default=0, ge=0, le=5000)
    spare_amplifier: AmplifierSection | None = None
    meter: MeterSection | None = None
    microphone: Driver | None = None


CivilTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class BrightnessStep(Section):
    """From a time of day on."""

    start: CivilTime
    level: float = Field(ge=0, le=1)


class BrightnessSection(Section):
    """How bright a board is, unless an order says otherwise."""

    level: float = Field(default=1.0, ge=0, le=1)
    steps: tuple[BrightnessStep, ...] = Field(default=(), max_length=24)
    light_sensor: bool = False
    least: float = Field(default=0.1, ge=0, le=1)
    night_cap: float = Field(default=1.0, ge=0, le=1)


class OffHours(Section):
    """Civil hours in which a board is dark; an end that is not after the start is on the next day."""

    weekdays: Annotated[tuple[Annotated[int, Field(ge=1, le=7)], ...], Field(min_length=1, max_length=7)] = (
        1,
        2,
        3,
        4,
        5,
        6,
        7,
    )
    start: CivilTime
    end: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]


class BoardSection(Driver):
    """An electronic board."""

    id: ZoneName
    width_px: int = Field(default=192, ge=16, le=7680)
    height_px: int = Field(default=64, ge=8, le=4320)
    pitch_mm: float = Field(default=10.0, ge=0.1, le=100)
    viewing_m: float = Field(default=15.0, ge=0.3, le=500)
    colours: Literal["full", "dual", "mono"] = "full"
    gamma: float = Field(default=1.0, ge=1, le=4)
    colour_order: Literal["RGB", "RBG", "GRB", "GBR", "BRG", "BGR"] = "RGB"
    theme: Path | None = None
    video_player: Literal["ffmpeg", "mpv"] = "ffmpeg"
    zones: tuple[ZoneName, ...] = Field(default=(), max_length=8)
    owner: Literal["commune", "commercial"] = "commune"
    emergency_takes: bool = True
    when_idle: Literal["clock", "dark"] = "clock"
    lost_link_minutes: int = Field(default=10_080, ge=0, le=525_600)
    power_on_s: float = Field(default=10, ge=0, le=600)
    brightness: BrightnessSection = BrightnessSection()
    off_hours: tuple[OffHours, ...] = Field(default=(), max_length=32)


class SensorsSection(Section):
    """What measures the box itself."""

    uplink: Driver = Driver(kind="host")
    clock: Driver = Driver(kind="host")
    power: Driver | None = None
    storage: Driver = Driver(kind="host")


class TunerSection(Driver):
    """The FM receiver, and the sound input its sound comes in by."""

    input: ZoneName


class Config(Section):
    """Everything the agent is told by its file."""

    box: BoxSection = BoxSection()
    source: SourceSection = SourceSection()
    content: ContentSection = ContentSection()
    playout: PlayoutSection = PlayoutSection()
    sensors: SensorsSection = SensorsSection()
    speech: SpeechSection = SpeechSection()
    safety_button: Driver | None = None
    tuner: TunerSection | None = None
    inputs: tuple[InputSection, ...] = Field(default=(), max_length=8)
    zones: tuple[ZoneSection, ...] = Field(default=(), max_length=8)
    boards: tuple[BoardSection, ...] = Field(default=(), max_length=8)

    @model_validator(mode="after")
    def _names_unique(self) -> Config:
        for what, parts in (("zones", self.zones), ("boards", self.boards), ("inputs", self.inputs)):
            if len({part.id for part in parts}) != len(parts):
                raise ValueError(f"two {what} have the same id")
        if self.tuner is not None and self.tuner.input not in {one.id for one in self.inputs}:
            raise ValueError(f"tuner: there is no input {self.tuner.input!r}")
        if self.speech.engine == "command" and not self.speech.command:
            raise ValueError("speech: engine 'command' needs a command")
        return self


def parse_config(text: str, path: str = "config") -> Config:
    """Read configuration from TOML text.

    Raises:
        ConfigError: with one line of `key: problem` for each mistake.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path, [f"not TOML: {error}"]) from error
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(path, explain(error, 20)) from error


def load_config(path: Path) -> Config:
    """Read configuration from a file.

    Raises:
        ConfigError: unreadable, not UTF-8, not TOML, or with keys that are wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), [f"not UTF-8 at byte {error.start}"]) from error
    return parse_config(text, str(path))


def load_to_run(path: Path) -> Config:
    """Read the configuration of a box that is to run.

    Raises:
        ConfigError: as `load_config`, or the box would have nothing to sound or show: a file cut short by a
            full disk parses, and must not silence a site.
    """
    config = load_config(path)
    if not config.zones and not config.boards:
        raise ConfigError(str(path), ["zones: a box needs at least one [[zones]] or [[boards]]"])
    return config
