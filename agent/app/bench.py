"""What the on-site tests need of the box: play on the test rung, and measure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from agent.clock import Clock
from agent.errors import AgentError
from agent.field.controls import Busy, BusyCause, ClockReading, Sample
from agent.field.rtc import read_rtc
from agent.model.bulletin import Item, ItemKind, ZoneId
from agent.model.report import AsRun
from agent.playout.ladder import Rung
from agent.playout.order_speech import Speech
from agent.playout.orders import StandingOrders
from agent.playout.station import Station
from agent.playout.zone import ZonePlayer
from drivers.api import ClockSensor, DriverError

SOON = timedelta(seconds=60)
_SLACK_S = 20.0


class BoxBench:
    """The box as a bench for its own tests."""

    def __init__(
        self,
        *,
        station: Station,
        players: Mapping[ZoneId, ZonePlayer],
        orders: StandingOrders,
        speech: Speech,
        clock: Clock,
        sensor: ClockSensor,
    ) -> None:
        self._station = station
        self._players = players
        self._orders = orders
        self._speech = speech
        self._clock = clock
        self._sensor = sensor

    def busy(self, zone: str) -> Busy | None:
        player = self._players[ZoneId(zone)]
        now = self._clock.now()
        if (left_s := self._station.safety_left_s(player.zone)) > 0:
            return Busy(BusyCause.SAFETY_STOP, until=now + timedelta(seconds=left_s))
        view, wanted = player.view, player.wanted
        if view.on_air is not None and view.rung is not Rung.FALLBACK:
            cause = BusyCause.TEST if view.rung is Rung.TEST else BusyCause.ON_AIR
            return Busy(cause, view.on_air.programme.title, view.on_air.end)
        upcoming = wanted.next if wanted is not None else None
        if upcoming is not None and upcoming.start <= now + SOON:
            return Busy(BusyCause.SOON, upcoming.programme.title, upcoming.start)
        return None

    async def play(self, zone: str, items: tuple[Item, ...], title: str) -> AsRun:
        length_s = sum(item.media.duration_ms for item in items) / 1000
        return await self._orders.play_test(ZoneId(zone), items, title, length_s + _SLACK_S)

    async def sample(self, zone: str) -> Sample:
        player = self._players[ZoneId(zone)]
        meter = await player.amplifier.measure()
        view = player.view
        line, microphone = player.sense("line"), player.sense("microphone")
        return Sample(
            output_rms_dbfs=view.output_rms_dbfs,
            line_active=line.active if line is not None else None,
            line_dbfs=line.level_dbfs if line is not None else None,
            microphone_active=microphone.active if microphone is not None else None,
            microphone_dbfs=microphone.level_dbfs if microphone is not None else None,
            volts=meter.volts if meter is not None else None,
            amps=meter.amps if meter is not None else None,
            temperature_c=meter.temperature_c if meter is not None else None,
            powered=player.amplifier.powered,
            muted=not player.amplifier.sounding,
            fault=player.amplifier.fault,
        )

    async def render_speech(self, text: str, language: str) -> Item | None:
        try:
            media = await self._speech.render(text, language)
        except AgentError:
            return None
        return Item("speech", text[:80], ItemKind.SPEECH, media, text, language)

    def clock(self) -> ClockReading:
        try:
            error_ms = self._sensor.read().error_ms
        except DriverError:
            error_ms = None
        return ClockReading(self._clock.now(), self._clock.trust, error_ms, read_rtc())
