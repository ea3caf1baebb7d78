"""Brings areas onto a card in an order in which they never overlap, and knows what the card holds."""

from __future__ import annotations

import logging
import math
import time
from contextlib import suppress

from drivers.api import DeviceRefusedError, DriverError
from drivers.board.onbon.areas import Area, Display
from drivers.board.onbon.conversation import Conversation

logger = logging.getLogger(__name__)


class Painter:
    """Remembers the areas that the card accepted, which is not the same as what it shows."""

    def __init__(self, name: str, talk: Conversation, refresh_s: float) -> None:
        """Nothing is held yet; `refresh_s` is how often even a ticker on its way is sent again."""
        self._name = name
        self._talk = talk
        self._refresh_s = refresh_s
        self._held: dict[int, Area] = {}
        self._sent_s: dict[int, float] = {}

    @property
    def oldest_s(self) -> float:
        """When the area that is held longest was sent, CLOCK_MONOTONIC; infinity: none is held."""
        return min((self._sent_s[number] for number in self._held), default=math.inf)

    def forget(self) -> None:
        """The card may hold anything: all of the next picture is sent."""
        self._held.clear()

    async def paint(self, areas: tuple[Area, ...]) -> None:
        """Send areas; when one of them is declined, take all away and send all once more.

        Raises:
            DeviceUnavailableError, DeviceProtocolError, DeviceRefusedError: as `Board.show`.
        """
        try:
            await self._send(areas)
        except DeviceRefusedError as error:
            logger.warning("board %s: all areas are taken away and sent again: %s", self._name, error)
            await self.clear()
            try:
                await self._send(areas)
            except DeviceRefusedError:
                with suppress(DriverError):
                    await self.clear()  # half a picture may say the opposite
                raise

    async def clear(self) -> None:
        """Take all areas away, those of others too; raises as `paint`."""
        self.forget()
        await self._talk.delete()

    async def _send(self, areas: tuple[Area, ...]) -> None:
        numbers = {area.number for area in areas}
        await self._drop([number for number in self._held if number not in numbers])
        for area in areas:
            if self._moves_on(area):
                continue
            await self._drop(
                [
                    number
                    for number, old in self._held.items()
                    if number != area.number and old.spot.overlaps(area.spot)
                ]
            )
            self._held.pop(area.number, None)
            await self._talk.update(area)
            self._held[area.number] = area
            self._sent_s[area.number] = time.monotonic()

    def _moves_on(self, area: Area) -> bool:
        """A ticker that is on its way already: sent again, it would begin anew."""
        moving = area.pages[0].display is Display.CONTINUOUS_LEFT
        fresh = time.monotonic() - self._sent_s.get(area.number, 0.0) < self._refresh_s
        return moving and fresh and self._held.get(area.number) == area

    async def _drop(self, numbers: list[int]) -> None:
        if numbers:
            await self._talk.delete(*numbers)
            for number in numbers:
                del self._held[number]
