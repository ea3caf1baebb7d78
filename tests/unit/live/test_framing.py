import contextlib
import os
import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.live.api import LiveError, LiveLostError, LiveRefusedError
from agent.live.containers import wav_header
from agent.live.framing import Framing, sniff
from agent.live.mpeg import frame_at
from agent.live.pieces import Piece

FORMATS = {
    "mp3": ("mpeg", ["-b:a", "64k"]),
    "aac": ("adts", ["-b:a", "64k"]),
    "ts": ("mpeg-ts", ["-c:a", "aac"]),
    "ogg": ("ogg", ["-c:a", "libvorbis", "-page_duration", "100000"]),
    "opus": ("ogg", ["-c:a", "libopus", "-b:a", "32k"]),
    "flac": ("flac", ["-ar", "16000"]),
    "wav": ("wav", ["-ar", "8000"]),
}


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("sounds")
    found = {}
    for name, (_, options) in FORMATS.items():
        path = Path(folder / f"tone.{name}")
        tone = ["-f", "lavfi", "-i", "anoisesrc=duration=3:amplitude=0.3"]
        subprocess.run(["ffmpeg", "-v", "error", *tone, *options, str(path)], check=True)
        found[name] = path.read_bytes()
    return found


def fed(framing: Framing, data: bytes, sizes: random.Random) -> list[Piece]:
    pieces, at = [], 0
    while at < len(data):
        size = sizes.choice((1, 7, 188, 400, 1500, 9000))
        pieces += framing.feed(data[at : at + size])
        at += size
    return pieces


@pytest.mark.parametrize("name", FORMATS)
def test_format_is_recognised_and_nothing_is_lost_however_it_is_cut(
    sounds: dict[str, bytes], name: str
) -> None:
    data = sounds[name]
    for seed in range(5):
        framing = Framing()
        pieces = fed(framing, data, random.Random(seed))
        assert framing.name == FORMATS[name][0]
        joined = b"".join(piece.data for piece in pieces)
        assert joined in data, "bytes in between were left out or changed"
        assert len(joined) > len(data) * 0.9


@pytest.mark.parametrize(("name", "seconds"), [("mp3", 3.0), ("aac", 3.0), ("wav", 3.0)])
def test_length_of_the_sound_is_known_where_the_format_tells(
    sounds: dict[str, bytes], name: str, seconds: float
) -> None:
    pieces = fed(Framing(), sounds[name], random.Random(1))
    assert sum(piece.sound_s for piece in pieces) == pytest.approx(seconds, abs=0.15)


@pytest.mark.parametrize("name", ["mp3", "aac", "ts"])
def test_stream_may_be_joined_anywhere(sounds: dict[str, bytes], name: str) -> None:
    for start in (1, 333, 5000, 9001):
        framing = Framing()
        framing.feed(sounds[name][start:])
        assert framing.name == FORMATS[name][0]


def test_each_piece_of_mp3_begins_with_a_frame(sounds: dict[str, bytes]) -> None:
    for piece in fed(Framing(), sounds["mp3"], random.Random(3)):
        assert frame_at(piece.data + b"\0" * 8, 0) is not None


@pytest.mark.parametrize("name", ["mp3", "aac", "ts", "ogg"])
def test_damage_is_left_out_and_the_stream_goes_on(sounds: dict[str, bytes], name: str) -> None:
    data = sounds[name]
    middle = len(data) // 2
    damaged = data[:middle] + b"ID3\x04\0\0\0\0\x01\x05" + b"title" * 27 + os.urandom(300) + data[middle:]
    pieces = fed(Framing(), damaged, random.Random(2))
    joined = b"".join(piece.data for piece in pieces)
    assert len(joined) > len(data) * 0.8
    assert joined.endswith(data[-4000:-2000]) or data[-4000:-2000] in joined


@pytest.mark.parametrize("name", ["mp3", "aac", "ts", "ogg"])
def test_stream_that_turns_into_something_else_is_lost(sounds: dict[str, bytes], name: str) -> None:
    framing = Framing()
    framing.feed(sounds[name])
    with pytest.raises(LiveLostError, match="no longer"):
        framing.feed(b"<html>" * 100_000)


def test_late_reader_of_mpeg_ts_is_given_the_tables_first(sounds: dict[str, bytes]) -> None:
    framing = Framing()
    framing.feed(sounds["ts"])
    assert len(framing.header) == 2 * 188
    assert framing.header[0] == framing.header[188] == 0x47
    assert framing.header[1] & 0x1F == framing.header[2] == 0


def test_header_of_ogg_is_that_of_the_newest_link_of_the_chain(sounds: dict[str, bytes]) -> None:
    framing = Framing()
    framing.feed(sounds["ogg"])
    first = framing.header
    assert first.count(b"vorbis") >= 3
    assert len(first) < 20_000
    changed = bytearray(sounds["ogg"])
    changed[first.index(b"vorbis") + 30] ^= 0  # the same link again
    framing.feed(bytes(changed))
    assert framing.header == first


def test_wav_is_never_cut_within_a_sample_frame() -> None:
    framing = Framing()
    data = wav_header(44100, 2) + bytes(range(256)) * 64
    pieces = fed(framing, data, random.Random(4))
    assert pieces[0].starts
    assert all(len(piece.data) % 4 == 0 for piece in pieces[1:])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<!DOCTYPE html><html><head><title>Login</title>" * 3, "text"),
        (b'{"error": "not found", "code": 404, "more": "text"}', "text"),
        (b"\x00\x00\x00\x1cftypiso5\x00\x00\x02\x00iso5iso6mp41" * 2, "MP4"),
        (b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + b"\0" * 100, "ID3"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40_000, "not audio"),
        (b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + b"\0" * 16 + b"data\0\0\0\0" + b"\0" * 10, "cannot be"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0" + b"\0" * 10, "without a format"),
    ],
)
def test_what_is_no_sound_is_refused_by_name(data: bytes, said: str) -> None:
    framing = Framing()
    with pytest.raises(LiveRefusedError, match=said):
        framing.feed(data)


@given(
    st.lists(st.binary(max_size=600), max_size=20),
    st.sampled_from([b"", b"OggS", b"fLaC", b"RIFF\0\0\0\0WAVE", b"G"]),
)
def test_hostile_bytes_raise_nothing_but_a_refusal(chunks: list[bytes], mark: bytes) -> None:
    framing = Framing()
    pieces = []
    with contextlib.suppress(LiveError):
        pieces += framing.feed(mark)
        for chunk in chunks:
            pieces += framing.feed(chunk)
    assert sum(len(piece.data) for piece in pieces) <= len(mark) + sum(map(len, chunks))


@given(st.binary(min_size=16, max_size=400), st.integers(0, 6))
def test_frames_have_a_length_that_moves_on(data: bytes, at: int) -> None:
    frame = frame_at(b"\xff" + data, at or 0)
    if frame is not None:
        assert frame.length > 0
        assert 0 < frame.sound_s < 1


def test_first_letter_of_joined_audio_is_not_taken_for_text(sounds: dict[str, bytes]) -> None:
    assert sniff(b"<" + sounds["mp3"][300:8000]) is not None
