"""Builds the player of a zone from its configuration: sound card, amplifiers, sensors, limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Protocol, Self, TypeVar

from agent.app.bridges import AiringRecords
from agent.clock import Clock
from agent.config import Config, InputSection, MeterSection, ZoneSection
from agent.model.bulletin import ZoneId
from agent.model.report import AsRun
from agent.model.schedule import Airing
from agent.playout.amplifier import AmplifierSwitch, AmplifierTimes
from agent.playout.contracts import Issues, LiveRoom, Media, PlayoutSettings
from agent.playout.station import Station
from agent.playout.supervision import MeterLimits
from agent.playout.zone import ZonePlayer
from drivers import registry
from drivers.api import Options

DeviceT_co = TypeVar("DeviceT_co", covariant=True)


class Driver(Protocol[DeviceT_co]):
    """Any driver of a kind of device."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def open(self) -> AbstractAsyncContextManager[DeviceT_co]: ...


def opener(
    driver: type[Driver[DeviceT_co]], name: str, options: Options
) -> Callable[[], AbstractAsyncContextManager[DeviceT_co]]:
    """Something that opens a device each time it is called.

    Raises:
        DriverSetupError: options with which the driver cannot work.
    """
    return driver.from_options(name, options).open


def input_place(section: InputSection) -> str:
    """A sound input as the audio worker names it: an ALSA device, or `simulated:<path>`."""
    if section.kind == "simulated":
        return f"simulated:{section.options.get('file', '')}"
    return str(section.options.get("device", ""))


def build_zone(
    zone: ZoneSection,
    config: Config,
    *,
    station: Station,
    media: Media,
    records: AiringRecords,
    live: LiveRoom,
    clock: Clock,
    issues: Issues,
    on_air: Callable[[ZoneId, Airing, bool], Awaitable[None]],
    on_final: Callable[[AsRun], None],
    progress: Callable[[], None],
) -> ZonePlayer:
    """The player of one zone; opens nothing yet.

    Raises:
        DriverSetupError: a driver that is not installed or cannot work with its options.
    """
    line, microphone = zone.line_sense, zone.microphone
    playout = config.playout
    return ZonePlayer(
        ZoneId(zone.id),
        station=station,
        open_audio=opener(registry.audio_driver(zone.audio.kind), zone.id, zone.audio.options),
        open_line=opener(registry.line_sense_driver(line.kind), zone.id, line.options) if line else None,
        open_microphone=opener(registry.microphone_driver(microphone.kind), zone.id, microphone.options)
        if microphone
        else None,
        amplifier=_amplifier(zone, clock, issues),
        media=media,
        shelf=records,
        clock=clock,
        issues=issues,
        settings=PlayoutSettings(
            max_dbfs=playout.max_dbfs,
            preroll=timedelta(seconds=playout.preroll_s),
            output_latency_ms=playout.output_latency_ms,
            silent_after_s=playout.line_silent_after_s,
            delay=timedelta(milliseconds=zone.delay_ms),
        ),
        on_air=on_air,
        on_final=on_final,
        progress=progress,
        live=live,
    )


def meter_limits(section: MeterSection) -> MeterLimits:
    """What is normal for an amplifier, as configured."""
    return MeterLimits(
        idle_amps=section.idle_amps,
        full_amps=section.full_amps,
        low_volts=section.low_volts,
        high_volts=section.high_volts,
        warm_c=section.warm_c,
        hot_c=section.hot_c,
    )


def _amplifier(zone: ZoneSection, clock: Clock, issues: Issues) -> AmplifierSwitch:
    main, spare, meter = zone.amplifier, zone.spare_amplifier, zone.meter
    return AmplifierSwitch(
        zone.id,
        opener(registry.amplifier_driver(main.kind), zone.id, main.options),
        AmplifierTimes(main.settle_ms, main.unmute_ms, main.hold_s),
        clock,
        issues,
        open_spare=opener(registry.amplifier_driver(spare.kind), zone.id, spare.options) if spare else None,
        spare_times=AmplifierTimes(spare.settle_ms, spare.unmute_ms, spare.hold_s) if spare else None,
        open_meter=opener(registry.meter_driver(meter.kind), zone.id, meter.options) if meter else None,
        limits=meter_limits(meter) if meter else None,
    )
