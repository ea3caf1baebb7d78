"""Tickers: pieces, even motion, and a ring that always shows what an endless strip would show."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from agent.signage.screen import TickerBand
from agent.signage.ticker import PIECE_MAX_PX, Motion, Tape, gap_px, pace, pieces, turns

BAND = TickerBand(2, 3, "chữ", 16, (255, 255, 255), (0, 0, 0), 60.0)


@pytest.mark.parametrize(
    "text", ["Xã Mường Lống thông báo", "không_có_dấu_cách" * 20, "ខ្មែរ" * 50, "一二三" * 90, "a"]
)
@pytest.mark.parametrize("size_px", [8, 16, 160, 900])
def test_pieces_are_the_whole_text_in_order(text: str, size_px: int) -> None:
    parts = list(pieces(text, size_px))
    assert "".join(parts) == text
    assert all(parts)


def test_pieces_end_after_spaces_and_are_short() -> None:
    parts = list(pieces("Uỷ ban nhân dân xã Mường Lống " * 30, 20))
    assert all(part.endswith(" ") for part in parts)
    assert max(map(len, parts)) <= 34


def test_a_letter_is_never_cut_from_its_marks() -> None:
    text = "e\u0302\u0301" * 200
    assert all(part.startswith("e") for part in pieces(text, 60))


def test_an_empty_text_has_no_pieces() -> None:
    assert list(pieces("", 16)) == []


@pytest.mark.parametrize(
    ("speed", "hertz", "expected"),
    [
        (60, 60, (1, 1)),
        (120, 60, (2, 1)),
        (90, 60, (2, 1)),
        (30, 60, (1, 2)),
        (10, 60, (1, 6)),
        (50, 60, (1, 1)),
    ],
)
def test_motion_is_whole_pixels_in_whole_frames(
    speed: float, hertz: float, expected: tuple[int, int]
) -> None:
    found = pace(speed, hertz)
    assert (found.step_px, found.frames) == expected


def test_a_ticker_moves_evenly_and_catches_up_after_a_pause() -> None:
    motion = Motion(60, 60, 0.0)
    offsets = [motion.next(frame / 60) for frame in range(1, 100)]
    assert {b - a for a, b in pairwise(offsets)} == {1}
    assert motion.next(10.0) == 600


def test_a_display_that_is_faster_than_it_said_does_not_make_it_jump() -> None:
    motion = Motion(60, 60, 0.0)
    offsets = [motion.next(frame / 75) for frame in range(1, 2000)]
    assert {b - a for a, b in pairwise(offsets)} == {1}


def _shown(tape: Tape, offset: int, width: int, stride: int) -> list[bytes]:
    memory = bytearray(b"\x77" * (stride * 8))
    tape.copy(memoryview(memory), stride, offset)
    assert set(memory[: 2 * stride]) == {0x77}, "rows above the band are not touched"
    assert set(memory[5 * stride :]) == {0x77}
    return [bytes(memory[row * stride : row * stride + width * 2]) for row in (2, 3, 4)]


@pytest.mark.parametrize("seed", range(8))
def test_the_ring_shows_what_an_endless_strip_would_show(seed: int) -> None:
    dice = random.Random(seed)
    width = dice.choice([20, 333, 1920])
    tape = Tape(BAND, width, b"\0\0")
    strip = [bytes(width * 2) for _ in range(3)]
    offset = 0
    for _ in range(300):
        if tape.wants(offset):
            part = dice.randint(1, PIECE_MAX_PX)
            rows = [dice.randbytes(part * 2) for _ in range(3)]
            tape.add(b"".join(rows), part, offset)
            strip = [kept + row for kept, row in zip(strip, rows, strict=True)]
        offset = min(offset + dice.randint(0, 40), len(strip[0]) // 2 - width)
        assert _shown(tape, offset, width, width * 2 + 6) == [
            bytes(row[offset * 2 : (offset + width) * 2]) for row in strip
        ]


def test_a_ticker_whose_painting_comes_late_shows_its_background() -> None:
    tape = Tape(BAND, 10, b"\1\2")
    assert _shown(tape, 5000, 10, 20) == [b"\1\2" * 10] * 3
    tape.add(b"\3\4" * 30, 10, 5000)
    assert _shown(tape, 5005, 10, 20) == [b"\1\2" * 5 + b"\3\4" * 5] * 3


def test_the_text_comes_round_after_a_gap() -> None:
    tape = Tape(BAND, 30, b"\0\0")
    assert [tape.next_text() for _ in range(4)] == ["chữ", "", "chữ", ""]
    before = tape.wants(0)
    tape.add_gap(0)
    assert before
    assert gap_px(30, 16) == 32


def test_a_text_of_any_length_takes_the_same_ring() -> None:
    long = TickerBand(2, 3, "chữ chạy " * 10_000, 16, (255, 255, 255), (0, 0, 0), 60.0)
    assert len(Tape(long, 192, b"\0\0")._ring) == len(Tape(BAND, 192, b"\0\0")._ring)


def test_turns_of_a_card_are_never_wider_than_it_can_move() -> None:
    text = "Uỷ ban nhân dân xã Mường Lống thông báo " * 20
    found = turns(text, 1000, lambda part: len(part) * 10.0)
    assert "".join(found) == text
    assert all(len(turn) * 10 < 1000 for turn in found)
    assert turns("", 1000, lambda part: len(part) * 10.0) == ("",)
