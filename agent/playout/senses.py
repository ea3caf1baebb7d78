"""Reads what listens behind a zone's amplifier: the line sensor and the microphone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from agent.clock import Clock
from drivers.api import DriverError, LineReading, LineSense

logger = logging.getLogger(__name__)

_READ_LIMIT_S = 1.0
_REOPEN_S = 5.0


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
    ) -> None:
        """Wire a sensor.

        Args:
            name: for the log, and of its task.
            open_sense: opens the sensor.
            clock: time.
            wanted: set while readings are wanted.
            take: told each reading.
        """
        self.name = name
        self.reading: LineReading | None = None
        self._open = open_sense
        self._clock = clock
        self._wanted = wanted
        self._take = take

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
            await self._wanted.wait()
        async with asyncio.timeout(_READ_LIMIT_S):
            reading = await sense.read()
        self.reading = reading
        self._take(reading)
        await self._clock.sleep(0.1)
