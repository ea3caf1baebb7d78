"""Finds drivers by kind and name among the installed entry points; loads only what is configured."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

from drivers.api import DriverSetupError

if TYPE_CHECKING:
    from drivers.api import (
        AmplifierDriver,
        AudioDriver,
        BoardDriver,
        ButtonDriver,
        ClockSensor,
        LineSenseDriver,
        MeterDriver,
        PowerSensor,
        StorageSensor,
        TunerDriver,
        UplinkSensor,
    )


def installed(family: str) -> tuple[str, ...]:
    """Names of the drivers installed for a family such as `audio` or `amplifier`, sorted."""
    return tuple(sorted(point.name for point in entry_points(group=f"tieng_lang.{family}")))


def _load(family: str, kind: str) -> object:
    for point in entry_points(group=f"tieng_lang.{family}", name=kind):
        try:
            return point.load()
        except ImportError as error:
            raise DriverSetupError(f"{family} driver {kind!r} cannot be imported: {error}") from error
    names = ", ".join(installed(family)) or "none"
    raise DriverSetupError(f"no {family} driver {kind!r}; installed: {names}")


def audio_driver(kind: str) -> type[AudioDriver]:
    """Load the sound driver registered under `kind`; raises DriverSetupError when there is none."""
    return cast("type[AudioDriver]", _load("audio", kind))


def amplifier_driver(kind: str) -> type[AmplifierDriver]:
    """Load the amplifier driver registered under `kind`; raises DriverSetupError when there is none."""
    return cast("type[AmplifierDriver]", _load("amplifier", kind))


def line_sense_driver(kind: str) -> type[LineSenseDriver]:
    """Load the line sensor registered under `kind`; raises DriverSetupError when there is none."""
    return cast("type[LineSenseDriver]", _load("line_sense", kind))


def microphone_driver(kind: str) -> type[LineSenseDriver]:
    """Load the monitoring microphone registered under `kind`; raises DriverSetupError when there is none."""
    return cast("type[LineSenseDriver]", _load("microphone", kind))


def meter_driver(kind: str) -> type[MeterDriver]:
    """Load the meter registered under `kind`; raises DriverSetupError when there is none."""
    return cast("type[MeterDriver]", _load("meter", kind))


def tuner_driver(kind: str) -> type[TunerDriver]:
    """Load the tuner registered under `kind`; raises DriverSetupError when there is none."""
    return cast("type[TunerDriver]", _load("tuner", kind))


def button_driver(kind: str) -> type[ButtonDriver]:
    """Load the button registered under `kind`; raises DriverSetupError when there is none."""
    return cast("type[ButtonDriver]", _load("button", kind))


def board_driver(kind: str) -> type[BoardDriver]:
    """Load the board driver registered under `kind`; raises DriverSetupError when there is none."""
    return cast("type[BoardDriver]", _load("board", kind))


def board_remembers(kind: str) -> bool:
    """Whether a board driver takes `keep_dir`, see `drivers.api.BoardDriver`; False if there is none."""
    try:
        return bool(getattr(board_driver(kind), "remembers", False))
    except DriverSetupError:
        return False


def uplink_sensor(kind: str) -> type[UplinkSensor]:
    """Load the uplink sensor registered under `kind`; raises DriverSetupError when there is none."""
    return cast("type[UplinkSensor]", _load("uplink", kind))


def clock_sensor(kind: str) -> type[ClockSensor]:
    """Load the clock sensor registered under `kind`; raises DriverSetupError when there is none."""
    return cast("type[ClockSensor]", _load("clock", kind))


def power_sensor(kind: str) -> type[PowerSensor]:
    """Load the power sensor registered under `kind`; raises DriverSetupError when there is none."""
    return cast("type[PowerSensor]", _load("power", kind))


def storage_sensor(kind: str) -> type[StorageSensor]:
    """Load the storage sensor registered under `kind`; raises DriverSetupError when there is none."""
    return cast("type[StorageSensor]", _load("storage", kind))
