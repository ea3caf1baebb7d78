"""Observations of the box itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, Self

from drivers.api.base import Options


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
