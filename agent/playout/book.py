"""The records of one zone: opened before anything sounds, saved on the way, final once it is over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from agent.clock import Clock
from agent.model.bulletin import AiringId, ZoneId
from agent.model.report import AsRun, CutReason
from agent.model.schedule import Airing
from agent.playout.airing_log import AiringLog, blank_record, kept_position
from agent.playout.contracts import AiringShelf
from agent.playout.station import Station
from agent.playout.stretch import Stretch

logger = logging.getLogger(__name__)

SAVE_EVERY_S = 5.0
_STOP_LIMIT_S = 2.0


class ZoneBook:
    """Keeps the as-run records of a zone.

    Attributes:
        complete: airings that need not sound any more, and wait for their final record.
    """

    def __init__(
        self,
        zone: ZoneId,
        station: Station,
        shelf: AiringShelf,
        clock: Clock,
        on_final: Callable[[AsRun], None],
    ) -> None:
        self.complete: set[AiringId] = set()
        self._zone = zone
        self._station = station
        self._shelf = shelf
        self._clock = clock
        self._on_final = on_final
        self._logs: dict[AiringId, AiringLog] = {}

    async def restore(self) -> None:
        """Take up the records that an earlier run left open."""
        for record in await self._shelf.open_records(self._zone):
            self._logs[record.airing] = AiringLog.resume(record)
            self._station.begin(record.airing, self._zone)
            position_ms = kept_position(record)
            if position_ms is not None:
                self._station.hold_again(record.airing, self._zone, position_ms)

    async def finish_over(self, now: datetime, sounds: Callable[[AiringId], bool]) -> None:
        """Give every airing that is over its final record, once."""
        for airing, log in list(self._logs.items()):
            if sounds(airing):
                continue
            record = log.record()
            if airing not in self.complete:
                asked_for = record.order_id == record.programme  # by an order of its own, not by the schedule
                over = record.planned_start + timedelta(milliseconds=record.planned_ms) <= now
                if self._station.is_open(airing, self._zone, now) or not (over or asked_for):
                    continue
            final = log.final()
            await self._shelf.finish(final)
            self._station.finish(airing, self._zone)
            del self._logs[airing]
            self.complete.discard(airing)
            self._on_final(final)
            self._station.touch()
            logger.info("zone %s: airing %s %s", self._zone, airing, final.verdict)

    async def save_progress(self, stretches: dict[int, Stretch]) -> None:
        """Write down, now and then, how far what sounds has come."""
        for stretch in list(stretches.values()):
            if stretch.cue not in stretches:
                continue  # it ended while another was being saved, and its record with it
            if stretch.started_ns is not None and self._clock.monotonic() - stretch.saved_s >= SAVE_EVERY_S:
                stretch.saved_s = self._clock.monotonic()
                await self._shelf.update(stretch.log.record())

    def blank(self, airing: Airing) -> AsRun:
        """The record of an airing of which nothing has happened yet."""
        if airing.key:
            return blank_record(airing, self._zone, 0, airing.order_id)
        return blank_record(airing, self._zone, self._station.schedule_version, self._station.order_id)

    async def open_log(self, airing: Airing) -> AiringLog | None:
        """The record of an airing, durable before it sounds; None if it has its final one already."""
        log = self._logs.get(airing.id)
        if log is None:
            log = AiringLog(self.blank(airing))
            if not await self._shelf.begin(log.record()):
                self._station.finish(airing.id, self._zone)
                return None
            self._station.begin(airing.id, self._zone)
            self._logs[airing.id] = log
        return log

    async def save_on_stop(self, stretches: Iterable[Stretch]) -> None:
        """Make durable what was heard, so that the next run goes on from the truth."""
        now = self._clock.now()
        for stretch in stretches:
            stretch.log.end(now, stretch.played_ms, CutReason.RESTART)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_LIMIT_S):
                for log in self._logs.values():
                    await self._shelf.update(log.record())

    async def save(self, airing: AiringId) -> None:
        """Write down how an airing stands, if its record is open."""
        log = self._logs.get(airing)
        if log is not None:
            await self._shelf.update(log.record())
