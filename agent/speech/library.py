"""Emergency messages ready on the box: recordings that were sent, else built-in texts, spoken ahead."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from agent.clock import Clock
from agent.model.bulletin import Media
from agent.model.messages import message
from agent.speech.errors import SpeechError, SpeechFailure

logger = logging.getLogger(__name__)

RETRY_S = 60.0
CHECK_S = 300.0
_PAUSE_S = 0.2

Recording = tuple[str, str, Media]
"""Event type, language, file."""


class Speaker(Protocol):
    """What the library needs of speech."""

    async def render(self, text: str, language: str) -> Media: ...


class MessageLibrary:
    """Service: speaks the built-in messages ahead, one at a time, and knows the recordings.

    Args:
        speech: renders texts.
        held: whether the media store has the whole file of a SHA-256.
        events: event types to have a message for.
        clock: for waiting.
    """

    name = "message library"

    def __init__(
        self, *, speech: Speaker, held: Callable[[str], bool], events: Iterable[str], clock: Clock
    ) -> None:
        self._speech = speech
        self._held = held
        self._events = tuple(events)
        self._clock = clock
        self._languages: tuple[str, ...] = ()
        self._recordings: dict[tuple[str, str], Media] = {}
        self._spoken: dict[tuple[str, str], Media] = {}
        self._wake = asyncio.Event()

    def set_languages(self, languages: tuple[str, ...]) -> None:
        """Languages of the box, the most important first."""
        if languages != self._languages:
            self._languages = languages
            self._spoken = {key: media for key, media in self._spoken.items() if key[1] in languages}
            self._wake.set()

    def set_recordings(self, recordings: tuple[Recording, ...]) -> None:
        """Recordings that a signed order gives; they replace the former ones as a whole."""
        self._recordings = {(str(event), language): media for event, language, media in recordings}

    def staged(self, event: str, language: str) -> Media | None:
        """The message to play at once: a recording that is on disk, else the spoken text; None if neither is.

        A region (`vi-VN`) may use the message of its language.
        """
        tags = (language, language.partition("-")[0])
        for messages in (self._recordings, self._spoken):
            for tag in tags:
                media = messages.get((str(event), tag))
                if media is not None and self._held(media.sha256):
                    return media
        self._wake.set()
        return None

    def wanted(self) -> tuple[Media, ...]:
        """Recordings to be fetched and kept, each once."""
        return tuple({media.sha256: media for media in self._recordings.values()}.values())

    def pinned(self) -> frozenset[str]:
        """SHA-256 of everything that must not be evicted."""
        return frozenset(
            media.sha256 for table in (self._recordings, self._spoken) for media in table.values()
        )

    @property
    def missing(self) -> tuple[tuple[str, str], ...]:
        """Event types and languages whose built-in message is not spoken, or no longer on disk."""
        return tuple(
            (event, language)
            for language in self._languages
            for event in self._events
            if message(event, language) is not None
            and ((made := self._spoken.get((event, language))) is None or not self._held(made.sha256))
        )

    async def run(self) -> None:
        """Keep the messages ready until cancelled."""
        while True:
            self._wake.clear()
            complete = await self._bring_in_line()
            try:
                async with asyncio.timeout(CHECK_S if complete else RETRY_S):
                    await self._wake.wait()
            except TimeoutError:
                continue
            await self._clock.sleep(_PAUSE_S)

    async def _bring_in_line(self) -> bool:
        """Speak what is missing; False if some of it should be tried again."""
        refused: set[str] = set()
        complete = True
        for event, language in self.missing:
            text = message(event, language)
            if text is None or language in refused or language not in self._languages:
                continue
            try:
                self._spoken[event, language] = await self._speech.render(text.text, language)
            except SpeechError as error:
                refused.add(language)
                complete = complete and error.failure is SpeechFailure.UNSUPPORTED
                logger.warning("messages in %s cannot be spoken: %s", language, error)
            await self._clock.sleep(_PAUSE_S)
        return complete
