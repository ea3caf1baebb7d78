"""Turns text into a file in the media store: normalised, spoken, levelled, remembered."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

from agent.clock import Clock
from agent.errors import ContentError
from agent.model.bulletin import Media
from agent.model.issue import Fault
from agent.model.speech import speakable
from agent.model.spoken_words import SpokenWords, parse_words, words_of
from agent.speech.cache import SpokenIndex
from agent.speech.engine import SpeechEngine
from agent.speech.errors import SpeechError, SpeechFailure
from agent.speech.level import PEAK_DBFS, TARGET_RMS_DBFS, level_speech
from agent.speech.threads import WORKERS

logger = logging.getLogger(__name__)

AT_ONCE = 2
"""Renders under way; the library makes one at a time, so an emergency never waits for it."""

PINNED = 16
_MAX_WORDS_BYTES = 256 * 1024


class Issues(Protocol):
    """The box's book of conditions a person can fix."""

    def raise_(self, fault: Fault, subject: str = "", detail: str = "") -> None: ...

    def clear(self, fault: Fault, subject: str = "") -> None: ...


class Speech:
    """Speaks texts, each once.

    Args:
        engine: speaks.
        adopt: moves a file into the media store and gives its SHA-256 and size; raises ContentError.
        held: whether the media store has the whole file of a SHA-256.
        folder: on the disk of the store, for the index, work files and the commune's own
            `words-<language>.toml`.
        clock: to tell how long it took.
        issues: told when the box cannot speak.
    """

    def __init__(
        self,
        *,
        engine: SpeechEngine,
        adopt: Callable[[Path], Awaitable[tuple[str, int]]],
        held: Callable[[str], bool],
        folder: Path,
        clock: Clock,
        issues: Issues,
    ) -> None:
        self._engine = engine
        self._adopt = adopt
        self._held = held
        self._folder = folder
        self._clock = clock
        self._issues = issues
        self._index = SpokenIndex(folder / "index.json")
        self._opened = False
        self._opening = asyncio.Lock()
        self._saving = asyncio.Lock()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._under_way: dict[str, tuple[asyncio.Lock, int]] = {}
        self._recent: OrderedDict[str, None] = OrderedDict()
        self._words: dict[str, SpokenWords] = {}

    async def render(self, text: str, language: str) -> Media:
        """The file in which `text` is spoken, made if it is not on the box.

        Raises:
            SpeechError: nothing to say, no voice for the language, no engine, or no room.
        """
        try:
            await self._open()
            media = await self._rendered(text, language)
        except SpeechError as error:
            self._tell(error, language)
            raise
        except (ContentError, OSError) as error:
            told = SpeechError(SpeechFailure.STORAGE, str(error))
            self._tell(told, language)
            raise told from error
        self._issues.clear(Fault.SPEECH_UNAVAILABLE)
        self._issues.clear(Fault.SPEECH_UNAVAILABLE, language)
        return media

    def pinned(self) -> frozenset[str]:
        """SHA-256 of the files asked for last, which must not be evicted."""
        return frozenset(self._recent)

    async def _rendered(self, text: str, language: str) -> Media:
        words = await WORKERS.run(self._words_for, language.partition("-")[0])
        said = await WORKERS.run(speakable, text, language, words=words)
        if not any(char.isalnum() for char in said):
            raise SpeechError(SpeechFailure.EMPTY, "nothing in the text can be said")
        key = self._key(said, language)
        async with self._alone(key):
            media = self._index.get(key)
            if media is None or not self._held(media.sha256):
                async with self._room:
                    media = await self._make(said, language)
                self._index.put(key, media)
                self._pin(media.sha256)
                await self._save()
        self._pin(media.sha256)
        return media

    async def _make(self, said: str, language: str) -> Media:
        began = self._clock.monotonic()
        with tempfile.TemporaryDirectory(
            dir=self._folder, prefix="work-", ignore_cleanup_errors=True
        ) as name:
            work = Path(name)
            raw = await self._engine.speak(said, language, work)
            levelled = work / "levelled.wav"
            duration_ms = await WORKERS.run(level_speech, raw, levelled)
            sha256, size_bytes = await self._adopt(levelled)
        took_s = self._clock.monotonic() - began
        logger.info("%d characters of %s spoken in %.2f s", len(said), language, took_s)
        return Media(sha256, size_bytes, duration_ms, 0.0, "")

    async def _open(self) -> None:
        async with self._opening:
            if not self._opened:
                await WORKERS.run(self._prepare)
                self._opened = True

    def _prepare(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.glob("work-*"):  # of a run that was cut off; what cannot go does no harm
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                with suppress(OSError):
                    left.unlink(missing_ok=True)
        self._index.load()

    async def _save(self) -> None:
        """A lost index costs a render, so a full disk is no reason to keep a warning back."""
        async with self._saving:
            try:
                await WORKERS.run(self._index.save, self._index.snapshot())
            except OSError as error:
                logger.warning("index of spoken texts not saved: %s", error.strerror)

    def _words_for(self, language: str) -> SpokenWords:
        if language not in self._words:
            words = words_of(language)
            path = self._folder / f"words-{language}.toml"
            try:
                with path.open("rb") as file:
                    own = file.read(_MAX_WORDS_BYTES).decode()
                words = words.and_more(parse_words(own))
            except FileNotFoundError:
                pass
            except (OSError, ValueError) as error:
                logger.warning("%s is not used: %s", path, error)
            self._words[language] = words
        return self._words[language]

    def _key(self, said: str, language: str) -> str:
        settings = f"{self._engine.key}\0{TARGET_RMS_DBFS}\0{PEAK_DBFS}\0{language}\0{said}"
        return hashlib.sha256(settings.encode()).hexdigest()

    @asynccontextmanager
    async def _alone(self, key: str) -> AsyncIterator[None]:
        """Whoever else wants the same text waits, and finds it in the index."""
        lock, users = self._under_way.get(key, (asyncio.Lock(), 0))
        self._under_way[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._under_way[key]
            if users == 1:
                del self._under_way[key]
            else:
                self._under_way[key] = (lock, users - 1)

    def _pin(self, sha256: str) -> None:
        self._recent[sha256] = None
        self._recent.move_to_end(sha256)
        while len(self._recent) > PINNED:
            self._recent.popitem(last=False)

    def _tell(self, error: SpeechError, language: str) -> None:
        if error.failure is SpeechFailure.EMPTY:
            return
        subject = language if error.failure is SpeechFailure.UNSUPPORTED else ""
        self._issues.raise_(Fault.SPEECH_UNAVAILABLE, subject, str(error))
