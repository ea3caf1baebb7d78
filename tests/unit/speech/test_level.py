from __future__ import annotations

import array
import math
import random
import wave
from itertools import pairwise
from pathlib import Path

import pytest

from agent.speech.errors import SpeechError, SpeechFailure
from agent.speech.level import TARGET_RMS_DBFS, level_speech
from tests.unit.speech.doubles import tone, write_wav


def read(path: Path) -> tuple[int, int, array.array[int]]:
    with wave.open(str(path), "rb") as file:
        samples = array.array("h")
        samples.frombytes(file.readframes(file.getnframes()))
        assert file.getsampwidth() == 2
        return file.getframerate(), file.getnchannels(), samples


def rms_dbfs(samples: array.array[int]) -> float:
    return 20 * math.log10(math.sqrt(sum(one * one for one in samples) / len(samples)) / 32_768)


@pytest.mark.parametrize("amplitude", [0.02, 0.1, 0.5, 1.0])
def test_quiet_and_loud_speech_come_out_equally_loud(tmp_path: Path, amplitude: float) -> None:
    source = write_wav(tmp_path / "a.wav", tone(1, amplitude) + [0] * 5_000)
    assert level_speech(source, tmp_path / "b.wav") == pytest.approx(1_227, abs=2)
    rate, channels, samples = read(tmp_path / "b.wav")
    assert (rate, channels, len(samples)) == (22_050, 1, 27_050)
    assert rms_dbfs(samples[:22_050]) == pytest.approx(TARGET_RMS_DBFS, abs=0.5)


def test_peaks_are_turned_down_and_nothing_else(tmp_path: Path) -> None:
    loud = random.Random(4)
    quiet = tone(1, 0.1)
    for place in range(0, len(quiet), 6_600):
        quiet[place] = loud.choice((-32_768, 32_767))
    level_speech(write_wav(tmp_path / "a.wav", quiet), tmp_path / "b.wav")
    _, _, samples = read(tmp_path / "b.wav")
    assert max(map(abs, samples)) <= round(32_768 * 10 ** (-1 / 20)) + 1
    assert rms_dbfs(samples) > TARGET_RMS_DBFS - 3


def test_no_click_where_the_gain_changes(tmp_path: Path) -> None:
    level_speech(write_wav(tmp_path / "a.wav", tone(0.5, 0.05) + tone(0.5, 1.0)), tmp_path / "b.wav")
    _, _, samples = read(tmp_path / "b.wav")
    steepest = 32_768 * 2 * math.pi * 440 / 22_050
    assert max(abs(b - a) for a, b in pairwise(samples)) < steepest * 1.1


def test_other_formats_become_mono_16_bit(tmp_path: Path) -> None:
    left_and_right = [one for sample in tone(0.5, 0.3, 8_000) for one in (sample, sample)]
    level_speech(write_wav(tmp_path / "a.wav", left_and_right, rate=8_000, channels=2), tmp_path / "b.wav")
    assert read(tmp_path / "b.wav")[:2] == (8_000, 1)
    eight_bit = [128 + one // 512 for one in tone(0.5, 0.5)]
    level_speech(write_wav(tmp_path / "c.wav", eight_bit, width=1), tmp_path / "d.wav")
    assert rms_dbfs(read(tmp_path / "d.wav")[2]) == pytest.approx(TARGET_RMS_DBFS, abs=0.5)


@pytest.mark.parametrize(
    ("samples", "rate", "why"),
    [
        ([0] * 20_000, 22_050, "silent"),
        ([9_000] * 100, 22_050, "lasts 0.00 s"),
        (tone(0.5, 0.3), 4_000, "4000 Hz"),
    ],
)
def test_what_is_no_speech_is_refused(tmp_path: Path, samples: list[int], rate: int, why: str) -> None:
    with pytest.raises(SpeechError, match=why) as refused:
        level_speech(write_wav(tmp_path / "a.wav", samples, rate=rate), tmp_path / "b.wav")
    assert refused.value.failure is SpeechFailure.FAILED


@pytest.mark.parametrize("content", [b"", b"RIFF", b"<html>404</html>" * 10, b"RIFF\xff\xff\xff\xffWAVEfmt "])
def test_a_file_that_is_no_wav_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(SpeechError, match="no WAV"):
        level_speech(tmp_path / "a.wav", tmp_path / "b.wav")


def test_a_missing_or_shortened_file(tmp_path: Path) -> None:
    with pytest.raises(SpeechError, match="no file"):
        level_speech(tmp_path / "a.wav", tmp_path / "b.wav")
    whole = write_wav(tmp_path / "c.wav", tone(2, 0.3))
    whole.write_bytes(whole.read_bytes()[: 44 + 22_050])
    level_speech(whole, tmp_path / "d.wav")
    assert len(read(tmp_path / "d.wav")[2]) == 22_050 // 2
