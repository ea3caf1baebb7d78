"""Small pieces the box is put together with: how far its clock is believed, its limits, what follows what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from agent.config import Config, Driver
from agent.field.findings import Limits
from agent.latest import Latest
from agent.model.bulletin import ClockTrust
from drivers.api import ClockSensor, ClockSource, DriverError, PowerSensor

_TRUST = {
    ClockSource.SYNCHRONISED: ClockTrust.SYNCHRONISED,
    ClockSource.RTC: ClockTrust.RTC,
    ClockSource.RESTORED: ClockTrust.RESTORED,
    ClockSource.UNKNOWN: ClockTrust.UNKNOWN,
}

T = TypeVar("T")


class Following(Generic[T]):
    """Service that calls a coroutine with each value of a `Latest`."""

    def __init__(self, name: str, latest: Latest[T], take: Callable[[T], Awaitable[None]]) -> None:
        self.name = name
        self._latest = latest
        self._take = take

    async def run(self) -> None:
        async for value in self._latest.follow():
            await self._take(value)


def clock_trust(sensor: ClockSensor) -> ClockTrust:
    """How far the wall clock may be believed, by what set it."""
    try:
        return _TRUST[sensor.read().source]
    except DriverError:
        return ClockTrust.UNKNOWN  # nobody says where the time comes from


def test_limits(config: Config) -> dict[str, Limits]:
    """What is normal for each zone's amplifier."""
    return {
        zone.id: Limits(
            idle_amps=zone.meter.idle_amps,
            full_amps=zone.meter.full_amps,
            low_volts=zone.meter.low_volts,
            high_volts=zone.meter.high_volts,
            hot_c=zone.meter.hot_c,
        )
        for zone in config.zones
        if zone.meter is not None
    }


def optional(
    section: Driver | None, find: Callable[[str], type[PowerSensor]], name: str
) -> PowerSensor | None:
    """A sensor if the configuration names one."""
    return find(section.kind).from_options(name, section.options) if section else None
