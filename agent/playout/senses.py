"""Reads what listens behind a zone's amplifier: the line sensor and the microphone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from agent.clock import Clock
from drivers.api import DriverError, LineReading, LineSense

logger = logging.getLogger(__name__)

_READ_LIMIT_S = 1.0
_REOPEN_S = 5.0
_IDLE_EVERY_S = 5.0


class Sense:
    """Reads one sensor ten times a second while something sounds.

    Attributes:
        reading: the newest, None while nothing is read.
    """

    def __init__(
        self,
        name: str,
        open_sense: Callable[[], AbstractAsyncContextManager[LineSense]],
        clock: Clock,
        *,
        wanted: asyncio.Event,
        take: Callable[[LineReading], None],
        idle: Callable[[LineReading], None] | None = None,
    ) -> None:
        """Wire a sensor.

        Args:
            name: for the log, and of its task.
            open_sense: opens the sensor.
            clock: time.
            wanted: set while readings are wanted.
            take: told each reading.
            idle: told a reading every 5 s while none is wanted: what the place sounds like without us.
        """
        self.name = name
        self.reading: LineReading | None = None
        self._open = open_sense
        self._clock = clock
        self._wanted = wanted
        self._take = take
        self._idle = idle

    async def run(self) -> None:
        """Read until cancelled; a sensor that does not answer is tried again every 5 s."""
        lost = False
        while True:
            try:
                async with self._open() as sense:
                    if lost:
                        logger.info("%s is back", self.name)
                    lost = False
                    while True:
                        await self._read(sense)
            except (DriverError, TimeoutError) as error:
                if not lost:
                    logger.warning("%s does not answer: %s", self.name, error)
                lost = True
            finally:
                self.reading = None
            await self._clock.sleep(_REOPEN_S)

    async def _read(self, sense: LineSense) -> None:
        if not self._wanted.is_set():
            self.reading = None
            await self._listen_idle(sense)
        async with asyncio.timeout(_READ_LIMIT_S):
            reading = await sense.read()
        self.reading = reading
        self._take(reading)
        await self._clock.sleep(0.1)

    async def _listen_idle(self, sense: LineSense) -> None:
        while not self._wanted.is_set():
            if self._idle is None:
                await self._wanted.wait()
                return
            async with asyncio.timeout(_READ_LIMIT_S):
                reading = await sense.read()
            if not self._wanted.is_set():
                self._idle(reading)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_IDLE_EVERY_S):
                    await self._wanted.wait()
