"""Hostile streams must not cost more work than they have bytes; work is counted, not timed."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from agent.live.api import LiveError, LiveRefusedError
from agent.live.containers import FlacFramer, WavFramer
from agent.live.mpeg import MpegFramer


class Counted(bytearray):
    """Counts the bytes that are searched, and how often something is read."""

    searched = 0
    reads = 0

    def find(self, mark: Any, start: Any = 0, end: Any = None) -> int:
        found = super().find(mark, start, len(self) if end is None else end)
        self.searched += (len(self) if found < 0 else found) - start
        return found

    def rfind(self, mark: Any, start: Any = 0, end: Any = None) -> int:
        stop = len(self) if end is None else end
        found = super().rfind(mark, start, stop)
        self.searched += stop - (start if found < 0 else found)
        return found

    def __getitem__(self, key: Any) -> Any:
        self.reads += 1
        return super().__getitem__(key)


@pytest.mark.parametrize("junk", [b"\xff", b"\xff\0\0", b"ID3\0\0\0\0\0\0\0x"])
def test_false_marks_of_mpeg_are_each_looked_at_once(junk: bytes) -> None:
    framer = MpegFramer("mpeg")
    framer._held = held = Counted()
    data = junk * (60_000 // len(junk))
    with contextlib.suppress(LiveError):
        framer.feed(data)
    assert held.searched <= 4 * len(data)


def test_blocks_of_flac_are_walked_once_and_few() -> None:
    framer = FlacFramer()
    framer._held = held = Counted(b"fLaC")
    for _ in range(900):
        framer.feed(bytes(4))
    assert held.reads <= 4 * 900
    with pytest.raises(LiveRefusedError, match="does not end"):
        framer.feed(bytes(4 * 200))


def test_block_of_flac_that_announces_too_much_is_refused_at_once() -> None:
    with pytest.raises(LiveRefusedError, match="does not end"):
        FlacFramer().feed(b"fLaC\x06\xff\xff\xff")


def test_chunks_of_wav_are_walked_once_and_few() -> None:
    framer = WavFramer()
    framer._held = held = Counted(b"RIFF\xff\xff\xff\xffWAVE")
    for _ in range(900):
        framer.feed(b"junk\0\0\0\0")
    assert held.reads <= 4 * 900
    with pytest.raises(LiveRefusedError, match="does not end"):
        framer.feed(b"junk\0\0\0\0" * 200)


def test_chunk_of_wav_that_announces_too_much_is_refused_at_once() -> None:
    with pytest.raises(LiveRefusedError, match="does not end"):
        WavFramer().feed(b"RIFF\xff\xff\xff\xffWAVEjunk\xff\xff\xff\x7f")


def test_flac_without_frames_is_searched_once() -> None:
    framer = FlacFramer()
    framer.feed(b"fLaC\x80\0\0\0")
    framer._held = held = Counted()
    for _ in range(200):
        framer.feed(b"\xff" * 500)
    assert held.searched <= 2 * 200 * 500
