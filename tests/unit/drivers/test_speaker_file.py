from __future__ import annotations

import array
import json
import time
import wave
from pathlib import Path

import pytest

from drivers.audio import speaker_file
from drivers.audio.speaker_file import SpeakerFile, boot_id

MINUTE = 60 * 48_000


def blocks(path: Path) -> int:
    return path.stat().st_blocks * 512


def read(path: Path) -> array.array[int]:
    with wave.open(str(path)) as source:
        return array.array("h", source.readframes(source.getnframes()))


def test_gaps_are_silence_and_take_no_room(tmp_path: Path) -> None:
    file = SpeakerFile(tmp_path, "speaker", 60)
    file.write(MINUTE, b"\x01\x00" * 480)
    file.reach(2 * MINUTE)
    samples = read(tmp_path / "speaker.wav")
    assert len(samples) == 2 * MINUTE
    assert sum(samples) == 480
    assert samples[MINUTE] == 1
    assert blocks(tmp_path / "speaker.wav") < 100_000
    file.close()


def test_is_continued_by_the_next_worker(tmp_path: Path) -> None:
    first = SpeakerFile(tmp_path, "speaker", 60)
    first.write(0, b"\x05\x00" * 10)
    first.close()
    second = SpeakerFile(tmp_path, "speaker", 60)
    assert second.origin_ns == first.origin_ns
    second.write(100, b"\x06\x00")
    second.close()
    samples = read(tmp_path / "speaker.wav")
    assert (samples[0], samples[50], samples[100]) == (5, 0, 6)
    assert not (tmp_path / "speaker.previous.wav").exists()


@pytest.mark.parametrize("damage", ["boot", "json", "longer", "rate"])
def test_a_file_that_does_not_fit_is_put_aside(tmp_path: Path, damage: str) -> None:
    first = SpeakerFile(tmp_path, "speaker", 60)
    first.write(0, b"\x05\x00" * 10)
    first.close()
    side = tmp_path / "speaker.json"
    content = json.loads(side.read_text())
    assert content["boot_id"] == boot_id()
    match damage:
        case "boot":
            content["boot_id"] = "another"
        case "longer":
            content["first_sample_monotonic_ns"] = time.monotonic_ns() + 10**12
        case "rate":
            content["rate"] = 44_100
        case _:
            pass
    side.write_text("{" if damage == "json" else json.dumps(content))
    second = SpeakerFile(tmp_path, "speaker", 60)
    second.close()
    assert read(tmp_path / "speaker.previous.wav")[0] == 5
    assert len(read(tmp_path / "speaker.wav")) == 0
    assert json.loads(side.read_text())["boot_id"] == boot_id()


def test_old_sound_is_dropped_and_the_mapping_stays_true(tmp_path: Path) -> None:
    file = SpeakerFile(tmp_path, "speaker", 1)
    origin_ns = file.origin_ns
    marks = (100, MINUTE // 2 + 7, MINUTE + 12_345, MINUTE + 9 * 4800)
    for number, frame in enumerate(marks):
        file.write(frame, (number + 1).to_bytes(2, "little"))
    file.reach(MINUTE + MINUTE // 10)
    file.settle()
    assert not (tmp_path / "speaker.wav.new").exists()
    file.reach(MINUTE + MINUTE // 10 + 4800)
    file.write(MINUTE + MINUTE // 10 + 4900, b"\x09\x00")
    file.settle()
    assert (tmp_path / "speaker.json").exists()
    file.reach(MINUTE + MINUTE // 10 + 9600)
    file.close()
    side = json.loads((tmp_path / "speaker.json").read_text())
    samples = read(tmp_path / "speaker.wav")
    dropped = round((side["first_sample_monotonic_ns"] - origin_ns) * 48_000 / 1e9)
    assert dropped > 0
    assert dropped % 48_000 == 0
    assert len(samples) == MINUTE + MINUTE // 10 + 9600 - dropped
    assert len(samples) <= MINUTE * 1.1
    for number, frame in enumerate(marks[1:], start=1):
        assert samples[frame - dropped] == number + 1
    assert samples[MINUTE + MINUTE // 10 + 4900 - dropped] == 9
    assert sum(samples) == 2 + 3 + 4 + 9
    assert blocks(tmp_path / "speaker.wav") < 200_000
    assert (
        abs(
            time.time_ns()
            - time.monotonic_ns()
            - side["first_sample_wall_ns"]
            + side["first_sample_monotonic_ns"]
        )
        < 10**9
    )


def test_no_room_for_dropping_keeps_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(speaker_file.SpeakerFile, "_copy", staticmethod(refuse))
    file = SpeakerFile(tmp_path, "speaker", 1)
    file.write(5, b"\x07\x00")
    file.reach(2 * MINUTE)
    file.settle()
    file.reach(2 * MINUTE + 10)
    file.close()
    assert read(tmp_path / "speaker.wav")[5] == 7
    assert not (tmp_path / "speaker.wav.new").exists()
