"""The reserve of live sound, without any real time: what is pushed, and what is drawn."""

from __future__ import annotations

import array
import math

import pytest

from drivers.audio import pcm
from drivers.audio.jitter import EXCESS_FRAMES, JitterBuffer

CHUNK = 960
SILENCE = pcm.silence(CHUNK)


def stairs(begin: int, count: int) -> bytes:
    return array.array("h", [(begin + n) % 30_000 + 1 for n in range(count)]).tobytes()


PERIOD = array.array("h", [round(8000 * math.sin(2 * math.pi * n / 240)) for n in range(240)]).tobytes()


def wave(begin: int, count: int) -> bytes:
    return (PERIOD * (count // 240 + 2))[begin % 240 * 2 : (begin % 240 + count) * 2]


def steepest(data: bytes) -> int:
    """Highest step from one sample to the next."""
    return pcm.peak(pcm.add(data[2:], pcm.scale(data[:-2], -1.0)))


def test_silence_until_the_reserve_is_there() -> None:
    buffer = JitterBuffer(100)
    for n in range(4):
        buffer.push(stairs(n * CHUNK, CHUNK))
        assert buffer.draw(CHUNK) == SILENCE
    assert buffer.starved_ms() == 80
    buffer.push(stairs(4 * CHUNK, CHUNK))
    first = buffer.draw(CHUNK)
    assert first[2 * 240 :] == stairs(240, CHUNK - 240)
    assert steepest(first[:480]) < 100
    assert buffer.starved_ms() == 0
    assert buffer.draw(CHUNK) == stairs(CHUNK, CHUNK)


def test_it_fades_out_when_it_runs_empty_and_fills_up_again() -> None:
    buffer = JitterBuffer(50)
    buffer.push(wave(0, 2400))
    heard = b"".join(buffer.draw(CHUNK) for _ in range(5))
    assert steepest(heard) < 400
    assert buffer.starved_ms() == 50
    buffer.push(wave(0, CHUNK))
    assert buffer.draw(CHUNK) == SILENCE
    assert buffer.starved_ms() == 70
    buffer.push(wave(CHUNK, 3 * CHUNK))
    assert buffer.draw(CHUNK) != SILENCE
    assert buffer.starved_ms() == 0


def test_what_is_left_at_the_end_is_played() -> None:
    buffer = JitterBuffer(500)
    buffer.push(stairs(0, 2 * CHUNK))
    assert buffer.draw(CHUNK) == SILENCE
    buffer.finish()
    assert buffer.draw(CHUNK) != SILENCE
    assert buffer.draw(CHUNK) != SILENCE
    assert buffer.draw(CHUNK) == SILENCE


def test_the_delay_stays_bounded_whatever_is_pushed() -> None:
    buffer = JitterBuffer(300)
    for n in range(100):
        buffer.push(wave(n * CHUNK, CHUNK))
    assert buffer.fill_ms <= 700
    heard = b""
    for n in range(100, 300):
        buffer.push(wave(n * CHUNK, CHUNK))
        buffer.push(wave(n * CHUNK, CHUNK))
        heard += buffer.draw(CHUNK)
        assert buffer.fill_ms <= 300 + pcm.ms_of_frames(EXCESS_FRAMES)
    assert steepest(heard) < 2 * steepest(wave(0, 480)) + 8000 // 240 * 2


@pytest.mark.parametrize("ppm", [0, 100, -100, 900, -900])
def test_a_source_with_another_clock_is_followed_by_single_frames(ppm: int) -> None:
    buffer = JitterBuffer(300)
    made = 0.0
    pushed = drawn = 0
    heard = []
    fills = []
    buffer.push(wave(0, 300 * 48))
    pushed = 300 * 48
    for _ in range(180 * 50):
        made += CHUNK * (1 + ppm / 1e6)
        burst = int(made / 1152) * 1152 + 300 * 48 - pushed
        if burst:
            buffer.push(wave(pushed, burst))
            pushed += burst
        heard.append(buffer.draw(CHUNK))
        drawn += CHUNK
        fills.append(buffer.fill_ms)
        assert buffer.starved_ms() == 0
    assert max(fills) - min(fills) < 80
    assert steepest(b"".join(heard)) <= 2 * steepest(wave(0, 480)) + 1
    assert len(b"".join(heard)) == 2 * drawn
    assert abs(fills[-1] - fills[200]) < 60


def test_short_draws_are_exact() -> None:
    buffer = JitterBuffer(50)
    buffer.push(stairs(0, 4800))
    parts = [buffer.draw(count) for count in (1, 7, 240, 960, 3, 100)]
    assert [len(part) // 2 for part in parts] == [1, 7, 240, 960, 3, 100]
    assert buffer.loudest(10) > 0
