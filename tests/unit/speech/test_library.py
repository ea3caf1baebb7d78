from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.model.bulletin import Media
from agent.model.messages import messages
from agent.speech.errors import SpeechError, SpeechFailure
from agent.speech.library import RETRY_S, MessageLibrary
from tests.support.clock import FakeClock
from tests.unit.speech.doubles import until

EVENTS = ("flood", "fire", "test")


class Speaker:
    def __init__(self) -> None:
        self.spoken: list[tuple[str, str]] = []
        self.disk: set[str] = set()
        self.error: SpeechError | None = None

    async def render(self, text: str, language: str) -> Media:
        if self.error is not None:
            raise self.error
        self.spoken.append((text, language))
        media = Media(f"{abs(hash((text, language))):064x}"[:64], 1, 1, 0.0, "")
        self.disk.add(media.sha256)
        return media


class Bench:
    def __init__(self) -> None:
        self.clock, self.speaker = FakeClock(), Speaker()
        self.library = MessageLibrary(
            speech=self.speaker, held=self.speaker.disk.__contains__, events=EVENTS, clock=self.clock
        )

    async def settle(self) -> None:
        for _ in range(40):
            await self.clock.pass_(0.2)


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.library.run())
        try:
            yield
        finally:
            task.cancel()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def recording(number: int) -> Media:
    return Media(f"{number:064x}", 1000, 9000, -2.0, f"/media/{number}")


async def test_built_in_messages_are_spoken_ahead_in_every_language(bench: Bench) -> None:
    bench.library.set_languages(("vi", "en", "km"))
    assert bench.library.staged("flood", "vi") is None
    async with running(bench):
        await bench.settle()
        assert bench.library.missing == ()
    assert len(bench.speaker.spoken) == 6
    assert bench.speaker.spoken[0] == (messages("vi")["flood"].text, "vi")
    assert bench.library.staged("flood", "vi") != bench.library.staged("flood", "en")
    assert bench.library.staged("flood", "vi-VN") == bench.library.staged("flood", "vi")
    assert bench.library.staged("flood", "km") is None
    assert bench.library.pinned() == bench.speaker.disk
    assert bench.library.wanted() == ()


async def test_a_recording_is_preferred_once_it_is_on_disk(bench: Bench) -> None:
    bench.library.set_languages(("vi",))
    bench.library.set_recordings((("flood", "vi", recording(1)), ("test", "vi", recording(1))))
    async with running(bench):
        await bench.settle()
    spoken = bench.library.staged("flood", "vi")
    assert spoken is not None
    assert spoken != recording(1)
    bench.speaker.disk.add(recording(1).sha256)
    assert bench.library.staged("flood", "vi") == recording(1)
    assert bench.library.staged("fire", "vi") != recording(1)
    assert bench.library.wanted() == (recording(1),)
    assert recording(1).sha256 in bench.library.pinned()
    bench.library.set_recordings(())
    assert bench.library.staged("flood", "vi") == spoken


async def test_a_message_that_vanished_is_spoken_again(bench: Bench) -> None:
    bench.library.set_languages(("vi",))
    async with running(bench):
        await bench.settle()
        bench.speaker.disk.clear()
        assert bench.library.staged("fire", "vi") is None
        await bench.settle()
        assert bench.library.staged("fire", "vi") is not None


async def test_a_new_language_is_spoken_and_an_old_one_let_go(bench: Bench) -> None:
    bench.library.set_languages(("vi",))
    async with running(bench):
        await bench.settle()
        bench.library.set_languages(("en",))
        await bench.settle()
    assert bench.library.staged("flood", "vi") is None
    assert bench.library.staged("flood", "en") is not None
    assert len(bench.library.pinned()) == 3


async def test_an_engine_that_fails_is_asked_again_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.speech.library.RETRY_S", 0.05)
    bench.speaker.error = SpeechError(SpeechFailure.UNAVAILABLE, "not installed")
    bench.library.set_languages(("vi",))
    async with running(bench):
        await bench.settle()
        assert bench.library.staged("flood", "vi") is None
        bench.speaker.error = None
        async with asyncio.timeout(10):
            while bench.library.missing:
                await asyncio.sleep(0.01)
                await bench.clock.pass_(0.2)
    assert RETRY_S > 0


async def test_cancelled_between_messages_it_ends(bench: Bench) -> None:
    bench.library.set_languages(("vi",))
    async with running(bench):
        await until(lambda: len(bench.speaker.spoken) == 1)
    assert len(bench.speaker.spoken) == 1
