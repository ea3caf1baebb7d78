"""The queue between the thread that makes sound and the one that plays it; what the client refuses."""

from __future__ import annotations

import array
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from drivers.api import CueItem, FeedKind, LiveFeed, Signal
from drivers.audio import pcm
from drivers.audio.deck import Cue, Deck, FeedPlan, Item
from drivers.audio.order import check_cue, check_levels, row_of
from drivers.audio.stream import AHEAD_FRAMES, ENDLESS, Piece, Stream
from drivers.audio.worker import item_of


def steps(begin: int, count: int) -> bytes:
    return array.array("h", range(begin, begin + count)).tobytes()


class Endless:
    def draw(self, frames: int) -> bytes:
        return b"\x05\x00" * frames

    def loudest(self, _frames: int) -> int:
        return 5

    def starved_ms(self) -> int:
        return 40

    def close(self) -> None: ...


def test_pieces_are_given_out_by_place() -> None:
    stream = Stream()
    stream.push(Piece(100, steps(0, 100)))
    stream.skip_to(150)
    stream.push(Piece(50, steps(150, 50)))
    assert stream.take(90, 70) == (steps(90, 10) + bytes(100) + steps(150, 10), 1.0, False)
    assert stream.take(190, 20) == (steps(190, 10) + bytes(20), 1.0, True)
    stream.finish()
    assert stream.total == 200
    assert not stream.take(210, 10).late


def test_gains_are_left_to_the_player_and_the_loudest_is_known_ahead() -> None:
    stream = Stream()
    stream.push(Piece(10, b"\x64\x00" * 10, 4.0))
    stream.push(Piece(10, b"\x64\x00" * 10, 2.0))
    stream.push(Piece(10))
    assert stream.loudest(0, 10) == 400
    assert stream.loudest(10, 15) == 200
    assert stream.loudest(20, 50) == 0
    assert stream.take(0, 10) == (b"\x64\x00" * 10, 4.0, False)
    assert stream.take(8, 0).sound == b""


def test_two_gains_in_one_stretch_become_one() -> None:
    stream = Stream()
    stream.push(Piece(10, b"\x64\x00" * 10, 4.0))
    stream.push(Piece(10, b"\x64\x00" * 10, 2.0))
    assert stream.take(0, 20) == (b"\x64\x00" * 10 + b"\x32\x00" * 10, 4.0, False)


def test_live_sound_has_a_place_and_no_end() -> None:
    stream = Stream()
    stream.push(Piece(10, steps(0, 10)))
    stream.push(Piece(ENDLESS, Endless(), 2.0))
    assert stream.take(0, 12).gain == 2.0
    assert stream.live(5) is None
    assert stream.live(50) is not None
    assert stream.take(10**9, 4) == (b"\x05\x00" * 4, 2.0, False)
    assert stream.loudest(10**9 + 4, 10) == 10.0
    assert stream.full()


def test_the_maker_waits_for_room_and_for_the_end() -> None:
    stream = Stream()
    assert stream.push(Piece(AHEAD_FRAMES))
    done: list[bool] = []
    maker = threading.Thread(target=lambda: done.append(stream.push(Piece(10, steps(0, 10)))))
    maker.start()
    time.sleep(0.05)
    assert not done
    stream.take(100, 100)
    maker.join(2)
    assert done == [True]
    stream.close()
    assert not stream.push(Piece(10))


def test_a_deck_of_signals_needs_no_decoder() -> None:
    def never() -> Any:
        raise AssertionError("libvlc was asked for")

    items = (
        Item(signal="tone", duration_ms=100, hertz=480, gain_db=-6.0),
        Item(signal="silence", duration_ms=3_600_000),
        Item(signal="attention", start_ms=900, duration_ms=1000),
    )
    deck = Deck(Cue(1, items, 0), never, lambda *_: None)
    begun = time.monotonic()
    deck.start()
    while not deck.loudest(0, 10):
        assert time.monotonic() - begun < 1
    drawn = deck.take(0, 4800)
    assert drawn.gain == pytest.approx(0.501, abs=0.001)
    assert pcm.peak(drawn.sound) == pytest.approx(8230, abs=2)
    assert abs(array.array("h", drawn.sound)[-1]) < 100
    last = pcm.frames_of_ms(3_600_100)
    deck.take(last - 10, 10)
    deck.join(2)
    assert deck.total == last + 4800
    assert pcm.peak(deck.take(last, 4800).sound) > 7000
    assert deck.marks_until(ENDLESS) == [(0, 0), (4800, 1), (last, 2)]


def test_cues_are_checked_before_they_are_sent() -> None:
    feed = LiveFeed(FeedKind.PIPE, "/run/live")
    good: dict[str, Any] = {"fade_in_ms": 5, "duck_ms": 0, "duck_db": -18.0}
    check_cue((CueItem(Path("a")), CueItem(feed=feed), CueItem(signal=Signal.SWEEP, duration_ms=9)), **good)
    for item, reason in (
        (CueItem(), "exactly one"),
        (CueItem(Path("a"), feed=feed), "exactly one"),
        (CueItem(Path("a"), start_ms=-1), "negative"),
        (CueItem(signal=Signal.TONE), "duration_ms"),
        (CueItem(signal=Signal.TONE, duration_ms=5, hertz=5), "hertz"),
        (CueItem(feed=LiveFeed(FeedKind.PIPE, "")), "place"),
        (CueItem(feed=LiveFeed(FeedKind.PIPE, "x", 20)), "buffer_ms"),
        (CueItem(feed=feed, start_ms=5), "start_ms"),
    ):
        with pytest.raises(ValueError, match=f"item 0: .*{reason}"):
            check_cue((item,), **good)
    for wrong in ({"duck_ms": 20_000}, {"duck_db": 3.0}, {"fade_in_ms": -1}):
        with pytest.raises(ValueError, match="out of range"):
            check_cue((CueItem(Path("a")),), **{**good, **wrong})
    for levels in ((13.0, -1.0), (0.0, 1.0), (0.0, -41.0)):
        with pytest.raises(ValueError, match="out of range"):
            check_levels(*levels)


def test_items_survive_the_way_to_the_worker() -> None:
    feed = LiveFeed(FeedKind.CAPTURE, "plughw:CARD=Line", 120)
    assert item_of(row_of(CueItem(feed=feed, gain_db=-3.0, duration_ms=7))) == Item(
        feed=FeedPlan("capture", "plughw:CARD=Line", 120), gain_db=-3.0, duration_ms=7
    )
    assert item_of(row_of(CueItem(signal=Signal.TONE, hertz=440, duration_ms=9))) == Item(
        signal="tone", hertz=440, duration_ms=9
    )
    assert item_of(row_of(CueItem(Path("/a"), start_ms=3, gain_db=99))) == Item(
        Path("/a"), start_ms=3, gain_db=20.0
    )
