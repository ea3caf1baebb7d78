from __future__ import annotations

import array
import itertools

import pytest

from drivers.audio import pcm


def samples(data: bytes) -> list[int]:
    return array.array("h", data).tolist()


def sound(*values: int) -> bytes:
    return array.array("h", values).tobytes()


def test_conversions_of_time() -> None:
    assert pcm.frames_of_ms(10) == 480
    assert pcm.ms_of_frames(480) == 10
    assert pcm.frames_of_ns(1_000_000_000) == 48_000
    assert pcm.frames_of_ns(-1_000_000_000) == -48_000
    assert pcm.frames_of_ns(10_000) == 0
    assert pcm.frames_of_ns(-11_000) == -1
    assert pcm.ns_of_frames(48) == 1_000_000


def test_levels() -> None:
    assert pcm.dbfs(0) == -120.0
    assert pcm.dbfs(32768) == 0.0
    assert pcm.dbfs(16384) == pytest.approx(-6.02, abs=0.01)
    assert pcm.factor_of_db(-6.0206) == pytest.approx(0.5, abs=0.001)


def test_clamp_leaves_quiet_sound_alone_and_cuts_the_rest() -> None:
    quiet = sound(100, -16000, 16000)
    assert pcm.clamp(quiet, 16384) is quiet
    for ceiling in (1, 16384, 29204, 32767):
        loud = pcm.clamp(sound(32767, -32768, 30000, -30000, 7), ceiling)
        assert max(abs(sample) for sample in samples(loud)) <= ceiling
    assert samples(pcm.clamp(sound(1, 2), 0)) == [0, 0]
    assert [pcm.ceiling_of_db(level) for level in (0.0, -1.0, -40.0)] == [32768, 29204, 327]


def test_stretch_leaves_out_or_repeats_single_frames() -> None:
    stairs = sound(*range(12))
    assert pcm.stretch(stairs, 12) is stairs
    assert samples(pcm.stretch(stairs, 10)) == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert samples(pcm.stretch(stairs, 14)) == [0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 11, 11]
    assert pcm.stretch(b"", 0) == b""


def test_a_ramp_of_five_milliseconds_has_no_coarser_steps() -> None:
    faded = samples(pcm.ramp(sound(*[24000] * 240), 1.0, 0.0))
    assert max(abs(b - a) for a, b in itertools.pairwise(faded)) <= 101


def test_scale_saturates() -> None:
    assert samples(pcm.scale(sound(30000, -30000), 2.0)) == [32767, -32768]
    unchanged = sound(1, 2)
    assert pcm.scale(unchanged, 1.0) is unchanged


def test_ramp_goes_all_the_way() -> None:
    faded = samples(pcm.ramp(sound(*[10000] * 480), 1.0, 0.0))
    assert faded[0] > 9500
    assert faded[-1] < 500
    assert faded == sorted(faded, reverse=True)
    assert samples(pcm.ramp(sound(10, 10), 0.0, 0.0)) == [0, 0]


def test_meter() -> None:
    meter = pcm.Meter()
    assert meter.take() == (-120.0, -120.0)
    piece = sound(*[16384, -16384] * 100)
    meter.add(200, pcm.mean_square(piece), pcm.peak(piece))
    meter.add(200, 0.0, 0)
    rms, peak = meter.take()
    assert rms == pytest.approx(-9.03, abs=0.01)
    assert peak == pytest.approx(-6.02, abs=0.01)
    assert meter.take() == (-120.0, -120.0)


def test_stereo() -> None:
    assert samples(pcm.stereo(sound(5, -7))) == [5, 5, -7, -7]
