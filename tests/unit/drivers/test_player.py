"""How a cue follows the clock, without any real time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.audio import pcm
from drivers.audio.deck import Cue, Deck, Item
from drivers.audio.player import Player
from drivers.audio.sink import SinkError
from drivers.audio.stream import Drawn
from drivers.audio.voice import StalledError, Voice


class Stairs:
    """Stands in for a deck: sample n of the stream is n, modulo 30000."""

    def __init__(self, at_ns: int, *, late: bool = False) -> None:
        self.cue = Cue(1, (), at_ns, 5, 0.0)
        self.late = late
        self.taken: list[tuple[int, int]] = []

    def take(self, frame: int, count: int) -> Drawn:
        self.taken.append((frame, count))
        sound = b"".join((n % 30_000).to_bytes(2, "little") for n in range(frame, frame + count))
        return Drawn(sound, 1.0, self.late)

    def idle_ns(self) -> int:
        return 10**12


class NoSink:
    xruns = 0

    def check(self) -> None: ...
    def open(self) -> None:
        raise SinkError("no card")

    def close(self) -> None: ...
    def ready(self, frames: int) -> None: ...
    def next_ns(self) -> int:
        return time.monotonic_ns()

    def write(self, sound: bytes) -> None: ...


def player(events: list[dict[str, Any]] | None = None, give_up: Callable[[str], None] = print) -> Player:
    return Player(NoSink(), (events if events is not None else []).append, lambda: None, give_up)


@pytest.mark.parametrize("ppm", [0, 100, -100, 700, -700, 2000, -2000])
def test_a_drifting_crystal_is_followed(ppm: int) -> None:
    deck: Any = Stairs(0)
    voice = Voice(deck)
    step_ns = 20_000_000 * (1 - ppm / 1e6)
    corrections = 0
    for n in range(60 * 50):
        next_ns = round(n * step_ns)
        sound, _ = voice._draw(960, next_ns)
        assert len(sound) == 960 * pcm.WIDTH
        corrections += abs(deck.taken[-1][1] - 960)
        error_ms = (voice.frame / 48 - next_ns / 1e6) - 20
        assert abs(error_ms) < 4
    if ppm == 0:
        assert corrections == 0
    else:
        assert 0 < corrections <= abs(ppm) * 60 * 48_000 // 10**6


def test_a_pause_of_the_machine_is_jumped_over() -> None:
    deck: Any = Stairs(0)
    voice = Voice(deck)
    voice._draw(960, 0)
    voice._draw(960, 500_000_000)
    assert deck.taken[-1][0] == 24_000


def test_a_starving_cue_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    deck: Any = Stairs(0, late=True)
    voice = Voice(deck)
    voice._draw(960, 0)
    now = time.monotonic_ns()
    monkeypatch.setattr(time, "monotonic_ns", lambda: now + 1_100_000_000)
    with pytest.raises(StalledError):
        voice._draw(960, 20_000_000)


def test_a_card_that_cannot_be_opened_ends_the_cue() -> None:
    events: list[dict[str, Any]] = []
    output = player(events)
    output.start()
    output.cue(Cue(4, (Item(Path("/nothing"), 0, 100, 0.0),), time.monotonic_ns(), 5, 0.0))
    deadline = time.monotonic() + 2
    while not any(event["ev"] == "ended" for event in events) and time.monotonic() < deadline:
        time.sleep(0.01)
    ended = [event for event in events if event["ev"] == "ended"]
    assert [(event["cue"], event["reason"], event["detail"]) for event in ended] == [
        (4, "device_lost", "no card")
    ]
    assert output.stalled_ms() == 0
    output.quit(1)
    assert not any(thread.name == "output" for thread in threading.enumerate())


def test_a_deck_of_unreadable_items_is_silence_of_their_length() -> None:
    failures: list[tuple[int, int, str, str]] = []
    items = (Item(Path("/a"), 0, 100, 0.0), Item(Path("/b"), 50, 100, 0.0), Item(Path("/c"), 0, 0, 0.0))
    deck = Deck(Cue(1, items, 0, 5, 0.0), lambda: None, lambda *failure: failures.append(failure))
    deck.start()
    deck.join(2)
    assert deck.total == pcm.frames_of_ms(150)
    assert deck.take(0, 100) == (pcm.silence(100), 1.0, False)
    assert deck.take(7000, 480) == (pcm.silence(480), 1.0, False)
    assert [failure[1:3] for failure in failures] == [(n, "unreadable") for n in range(3)]
    deck.close()


def test_a_deck_may_be_taken_far_ahead_of_its_decoding() -> None:
    items = (Item(Path("/a"), 0, 3_600_000, 0.0),)
    deck = Deck(Cue(1, items, 0, 5, 0.0), lambda: None, lambda *_: None, first=pcm.frames_of_ms(3_599_900))
    begun = time.monotonic()
    deck.start()
    deck.join(2)
    assert deck.total == pcm.frames_of_ms(3_600_000)
    assert time.monotonic() - begun < 1
    deck.close()
