"""Gain over time: ramps, the limiter, and the signals that the worker makes itself."""

from __future__ import annotations

import array
import itertools
import math
import random

import pytest

from drivers.audio import pcm
from drivers.audio.levels import Fader, Limiter
from drivers.audio.signals import SignalSound

CHUNK = 960


def samples(data: bytes) -> list[int]:
    return array.array("h", data).tolist()


def limited(chunks: list[bytes], gain: float, ceiling: int) -> bytes:
    """What comes out of a limiter that is given `chunks` one after the other."""
    limiter = Limiter()
    out = []
    for chunk, following in zip(chunks, [*chunks[1:], b""], strict=True):
        begin, end = limiter.next(CHUNK, pcm.peak(chunk) * gain, pcm.peak(following) * gain, ceiling, ceiling)
        out.append(pcm.clamp(pcm.ramp(chunk, gain * begin, gain * end), ceiling))
    return b"".join(out)


def test_a_fader_moves_along_a_line() -> None:
    fader = Fader(1.0)
    assert fader.next(100) == (1.0, 1.0)
    fader.go(0.0, 400)
    assert [fader.next(100) for _ in range(5)] == [(1.0, 0.75), (0.75, 0.5), (0.5, 0.25), (0.25, 0.0), (0, 0)]
    fader.go(2.0, 0)
    assert (fader.next(1), fader.highest, fader.lowest(9)) == ((2.0, 2.0), 2.0, 2.0)
    fader.go(0.0, 100)
    assert (fader.lowest(25), fader.lowest(200), fader.highest) == (1.5, 0.0, 2.0)


@pytest.mark.parametrize("gain_db", [0.0, 6.0, 20.0, 32.0])
@pytest.mark.parametrize("max_dbfs", [0.0, -1.0, -12.0, -40.0])
def test_no_sample_ever_passes_the_limit(gain_db: float, max_dbfs: float) -> None:
    noise = random.Random(7)
    chunks = []
    for _ in range(30):
        loud = noise.choice([0, 10, 3000, 32767])
        chunks.append(array.array("h", [noise.randint(-loud - 1, loud) for _ in range(CHUNK)]).tobytes())
    ceiling = pcm.ceiling_of_db(max_dbfs)
    heard = samples(limited(chunks, pcm.factor_of_db(gain_db), ceiling))
    assert max(abs(sample) for sample in heard) <= 32768 * 10 ** (max_dbfs / 20)


def test_sound_below_the_limit_is_not_touched() -> None:
    chunk = array.array("h", [round(29000 * math.sin(n / 7)) for n in range(CHUNK)]).tobytes()
    assert limited([chunk] * 5, 1.0, pcm.ceiling_of_db(-1.0)) == chunk * 5


def test_the_limiter_turns_down_before_a_peak_and_recovers_in_about_200_ms() -> None:
    limiter = Limiter()
    gains = [limiter.next(CHUNK, 10_000, 10_000, 20_000, 20_000)]
    gains.append(limiter.next(CHUNK, 10_000, 40_000, 20_000, 20_000))
    gains.append(limiter.next(CHUNK, 40_000, 10_000, 20_000, 20_000))
    assert gains[0] == (1.0, 1.0)
    assert gains[1][0] == 1.0
    assert gains[2][0] == gains[1][1] == pytest.approx(0.5, abs=0.001)
    back = [limiter.next(CHUNK, 10_000, 10_000, 20_000, 20_000)[1] for _ in range(60)]
    assert back == sorted(back)
    assert back[2] < 0.9
    assert back[10] > 0.96
    assert back[-1] == 1.0


def test_a_limit_that_falls_is_followed_without_a_step() -> None:
    fader, limiter = Fader(20_000.0), Limiter()
    fader.go(2_000.0, 10 * CHUNK)
    last = 1.0
    for _ in range(14):
        here = int(min(fader.next(CHUNK)))
        begin, end = limiter.next(CHUNK, 20_000, 20_000, here, int(fader.lowest(CHUNK)))
        assert abs(begin - last) < 0.0002 or last == 1.0
        assert begin * 20_000 <= here
        last = end
    assert last == pytest.approx(0.1, abs=0.001)


def goertzel(part: list[int], hertz: float) -> float:
    """Amplitude of one frequency."""
    step = 2 * math.pi * hertz / pcm.RATE
    real = sum(sample * math.cos(step * n) for n, sample in enumerate(part))
    imaginary = sum(sample * math.sin(step * n) for n, sample in enumerate(part))
    return 2 * math.hypot(real, imaginary) / len(part)


def test_the_attention_signal_is_two_notes_with_soft_edges() -> None:
    signal = SignalSound("attention", 5 * pcm.RATE)
    whole = samples(signal.read(0, 2 * pcm.RATE) or b"")
    assert len(whole) == 2 * pcm.RATE
    peak = max(abs(sample) for sample in whole)
    assert 20 * math.log10(peak / 32768) == pytest.approx(-12, abs=0.05)
    for half, hertz, other in ((0, 800, 1000), (1, 1000, 800), (2, 800, 1000), (3, 1000, 800)):
        part = whole[half * 24_000 + 4800 : half * 24_000 + 19_200]
        assert goertzel(part, hertz) == pytest.approx(8230, rel=0.01)
        assert goertzel(part, other) < 50
        assert max(abs(sample) for sample in whole[half * 24_000 : half * 24_000 + 24]) < 500
    assert whole[:1000] == whole[48_000:49_000]


@pytest.mark.parametrize("name", ["attention", "tone", "sweep"])
def test_a_signal_can_be_read_in_any_pieces(name: str) -> None:
    signal = SignalSound(name, 48_000, 997)
    whole = signal.read(0, 24_000)
    assert whole is not None
    pieces = [signal.read(begin, 1200) or b"" for begin in range(0, 24_000, 1200)]
    assert b"".join(pieces) == whole
    assert 20 * math.log10(pcm.peak(whole) / 32768) == pytest.approx(-12, abs=0.1)


def test_tone_sweep_and_silence() -> None:
    for hertz in (20, 440, 997, 20_000):
        part = samples(SignalSound("tone", 48_000, hertz).read(0, 48_000) or b"")
        assert goertzel(part, hertz) == pytest.approx(8230, rel=0.01)
    sweep = SignalSound("sweep", 96_000)

    def crossings(begin: int) -> int:
        part = samples(sweep.read(begin, 4800) or b"")
        return sum(1 for a, b in itertools.pairwise(part) if a < 0 <= b)

    assert 8 <= crossings(0) <= 14
    assert 700 <= crossings(96_000 - 4800) <= 800
    assert SignalSound("silence", 100).read(0, 100) is None
    with pytest.raises(ValueError, match="no signal 'siren'"):
        SignalSound("siren", 100)
