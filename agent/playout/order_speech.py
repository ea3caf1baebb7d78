"""Speaks the texts of orders, emergencies before all others; what cannot be spoken is tried again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container, Mapping
from typing import Protocol

from agent.errors import AgentError, Retry
from agent.model.bulletin import Media
from agent.playout.rounds import chosen_parts
from agent.playout.stand import Stand
from agent.wire.orders import BulletinPart

logger = logging.getLogger(__name__)


class Speech(Protocol):
    """Turns text into a file in the media store."""

    async def render(self, text: str, language: str) -> Media: ...


class OrderSpeech:
    """The queue of texts that wait to be spoken.

    Args:
        speech: text to speech.
        held: media on disk, by SHA-256; a text whose recording is there is not spoken.
        stands: orders that stand, by id; the others are not spoken any more.
        languages: language versions this box plays, asked each time.
        on_spoken: called when texts of an order have been spoken, or given up.
        sounds: False for a box without a horn: it speaks nothing.
    """

    def __init__(
        self,
        speech: Speech,
        held: Container[str],
        stands: Mapping[str, Stand],
        languages: Callable[[], tuple[str, ...]],
        on_spoken: Callable[[], None],
        *,
        sounds: bool = True,
    ) -> None:
        self._speech = speech
        self._held = held
        self._stands = stands
        self._languages = languages
        self._on_spoken = on_spoken
        self._sounds = sounds
        self._queue: asyncio.PriorityQueue[tuple[int, int, Stand]] = asyncio.PriorityQueue()

    def later(self, stand: Stand) -> None:
        """Speak an order's texts when there is time."""
        self._queue.put_nowait((-stand.rung, stand.number, stand))

    def again(self) -> None:
        """Try anew what could not be spoken and still may be."""
        for stand in self._stands.values():
            if any(self._lacks(stand, number) for number in self._chosen(stand)):
                self.later(stand)

    async def run(self, wake: Callable[[], None]) -> None:
        """Speak one order after the other, calling `wake` after each, until cancelled."""
        while True:
            _, _, stand = await self._queue.get()
            if stand.order.id in self._stands:
                await self.speak(stand)
                wake()

    async def speak(self, stand: Stand) -> None:
        """Turn the texts of an order into speech; what cannot be spoken is left to its other forms."""
        for number in self._chosen(stand):
            if not self._lacks(stand, number):
                continue
            part = stand.parts[number]
            try:
                stand.spoken[number] = await self._speech.render(part.text, part.language)
            except AgentError as error:
                logger.warning("order %s: %s", stand.order.id, error)
                if error.retry is Retry.NEVER:
                    stand.mute.add(number)
        self._on_spoken()

    def _chosen(self, stand: Stand) -> tuple[int, ...]:
        if not self._sounds:
            return ()
        return tuple(chosen_parts(stand.parts, () if stand.all_clear else self._languages()))

    def _lacks(self, stand: Stand, number: int) -> bool:
        part = stand.parts[number]
        return (
            bool(part.text)
            and number not in stand.spoken
            and number not in stand.mute
            and not is_held(part, self._held)
        )


def is_held(part: BulletinPart, held: Container[str]) -> bool:
    """Whether the recording of a part is on disk."""
    return part.media is not None and part.media.sha256 in held
