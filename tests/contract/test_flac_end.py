"""The last block of every FLAC file is heard, whatever it holds: real libvlc decodes what ffmpeg encoded."""

import random
import subprocess
from array import array
from pathlib import Path

import pytest

from drivers.audio.decoder import Decoder, create_instance
from drivers.audio.media import examine
from drivers.audio.pcm import WIDTH

pytestmark = pytest.mark.slow  # sound takes its time

SMALLEST_BLOCK = 16


def flac_of(samples: "array[int]", path: Path) -> Path:
    command = ["ffmpeg", "-v", "error", "-f", "s16le", "-ac", "1", "-ar", "48000", "-i", "-", str(path)]
    subprocess.run(command, input=samples.tobytes(), check=True, timeout=30)
    return path


def decoded_frames(path: Path) -> int:
    media = examine(path)
    decoder = Decoder(create_instance())
    decoder.start(path, media, media.seek(0))
    frames, waits = 0, 0
    while (piece := decoder.read(0.25)) != b"" and waits < 40:
        waits += piece is None
        frames += len(piece or b"") // WIDTH
    decoder.close()
    return frames


@pytest.mark.parametrize(
    ("sound", "silence"), [(40_222, 20_000), (163_068, 17_474), (48_000, 1_000), (60_000, 0)]
)
def test_silence_at_the_end_of_a_file_is_not_cut_off(sound: int, silence: int, tmp_path: Path) -> None:
    noise = random.Random(sound)
    samples = array("h", [noise.randint(-8000, 8000) for _ in range(sound)] + [0] * silence)
    path = flac_of(samples, tmp_path / "end.flac")
    assert decoded_frames(path) >= sound + silence - SMALLEST_BLOCK
