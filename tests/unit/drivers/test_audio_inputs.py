"""How live sound is recognised and read, against a FIFO and a stand-in for a sound input."""

from __future__ import annotations

import array
import ctypes
import errno
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.audio import pcm
from drivers.audio.capture import AlsaCapture, SimulatedCapture
from drivers.audio.feed import CaptureError, open_capture
from drivers.audio.fifo import FifoStream
from drivers.audio.media import UnreadableError, adts_frame_bytes, find_stream, mpeg_frame_bytes
from tests.contract import sound

MP3_FRAME = b"\xff\xfb\x54\xc0" + bytes(188)  # MPEG 1, layer III, 64 kbit/s, 48 kHz: 192 bytes
LAYER_2_FRAME = b"\xff\xfd\x84\xc4" + bytes(380)  # MPEG 1, layer II, 128 kbit/s, 48 kHz: 384 bytes
LSF_LAYER_2_FRAME = b"\xff\xf5\x80\xc4" + bytes(413)  # MPEG 2, layer II, 64 kbit/s, 22.05 kHz: 417 bytes
LAYER_1_FRAME = b"\xff\xff\x44\xc4" + bytes(124)  # MPEG 1, layer I, 128 kbit/s, 48 kHz: 128 bytes
LSF_FRAME = b"\xff\xf3\x40\xc0" + bytes(100)  # MPEG 2, 32 kbit/s, 22.05 kHz: 104 bytes
ADTS_FRAME = b"\xff\xf1\x4c\x40\x19\x1f\xfc" + bytes(193)  # 200 bytes
TS_PACKET = b"\x47" + bytes(187)


def test_frame_lengths() -> None:
    assert mpeg_frame_bytes(MP3_FRAME) == 192
    assert mpeg_frame_bytes(LSF_FRAME) == 104
    assert mpeg_frame_bytes(LAYER_2_FRAME) == len(LAYER_2_FRAME) == 384
    assert mpeg_frame_bytes(LSF_LAYER_2_FRAME) == len(LSF_LAYER_2_FRAME) == 417
    assert mpeg_frame_bytes(LAYER_1_FRAME) == len(LAYER_1_FRAME) == 128
    assert adts_frame_bytes(ADTS_FRAME) == 200
    for wrong in (b"", b"\xff\xff\xff\xff", b"\xff\xfb\xf0\x00", b"\xff\xfb\x5c\x00", b"\xff\xf9\x50\x00"):
        assert mpeg_frame_bytes(wrong) == 0
        assert adts_frame_bytes(wrong) == 0


@pytest.mark.parametrize(
    ("data", "kind", "skip"),
    [
        (MP3_FRAME * 4, "mpeg", 0),
        (MP3_FRAME[50:] + MP3_FRAME * 4, "mpeg", 142),
        (LAYER_2_FRAME[50:] + LAYER_2_FRAME * 4, "mpeg", 334),
        (LAYER_1_FRAME * 4, "mpeg", 0),
        (ADTS_FRAME * 4, "aac", 0),
        (b"\x00\x01" + TS_PACKET * 4, "ts", 2),
        (b"OggS" + bytes(100), "ogg", 0),
        (b"fLaC" + bytes(100), "flac", 0),
        (b"RIFF" + bytes(100), "wav", 0),
        (b"ID3" + bytes(5000), "mpeg", 0),
    ],
)
def test_live_formats_are_recognised_even_from_the_middle(data: bytes, kind: str, skip: int) -> None:
    found = find_stream(data, whole=False)
    assert found is not None
    assert (found.kind, found.skip) == (kind, skip)
    assert found.options


@pytest.mark.parametrize(
    "data", [b"", b"<html>" * 900, bytes(9000), MP3_FRAME, MP3_FRAME[:100] * 9, b"#EXTM3U\nhttp://x\n" * 50]
)
def test_anything_else_is_not(data: bytes) -> None:
    assert find_stream(data, whole=True) is None


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "live"
    os.mkfifo(path)
    return path


def test_a_fifo_is_read_as_it_is_written(fifo: Path) -> None:
    stream = FifoStream(str(fifo), lambda: False)
    with fifo.open("wb", buffering=0) as writer:
        writer.write(b"junk" + MP3_FRAME * 3)
        assert stream.recognise()
        assert stream.read(10) == MP3_FRAME[:10]
        assert stream.read(10_000) == (MP3_FRAME * 3)[10:]
        writer.write(b"more")
        assert stream.read(3) == b"mor"
    assert stream.read(10) == b"e"
    assert stream.read(10) == b""
    stream.seek(0)
    with pytest.raises(OSError, match="cannot be sought"):
        stream.seek(5)
    stream.close()
    stream.close()


def test_nobody_waits_for_a_writer_once_closed(fifo: Path) -> None:
    closed = threading.Event()
    stream = FifoStream(str(fifo), closed.is_set)
    threading.Timer(0.15, closed.set).start()
    begun = time.monotonic()
    assert stream.recognise() == ()
    assert 0.1 < time.monotonic() - begun < 1.5
    stream.close()


def test_a_writer_that_leaves_at_once_or_writes_nonsense(fifo: Path) -> None:
    stream = FifoStream(str(fifo), lambda: False)
    os.close(os.open(fifo, os.O_WRONLY))
    assert stream.recognise() == ()
    with fifo.open("wb", buffering=0) as writer:
        writer.write(b"<html>" * 4000)
        with pytest.raises(UnreadableError, match="not sound"):
            stream.recognise()
    stream.close()


def test_only_a_fifo_will_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(MP3_FRAME * 4)
    with pytest.raises(UnreadableError, match="not a FIFO"):
        FifoStream(str(tmp_path / "file"), lambda: False)
    with pytest.raises(UnreadableError, match="cannot be opened"):
        FifoStream(str(tmp_path / "none"), lambda: False)


class Input:
    """Stands in for libasound: an input that counts its frames."""

    def __init__(self, *, stereo_only: bool = False) -> None:
        self.stereo_only = stereo_only
        self.results: Iterator[int] = iter(())
        self.calls: list[str] = []
        self.open_error = 0

    def snd_pcm_open(self, _handle: Any, _name: bytes, stream: int, mode: int) -> int:
        assert (stream, mode) == (1, 1)
        return self.open_error

    def snd_pcm_set_params(
        self, _pcm: Any, form: int, access: int, channels: int, rate: int, *_rest: int
    ) -> int:
        assert (form, access, rate) == (2, 3, 48_000)
        return -errno.EINVAL if self.stereo_only and channels == 1 else 0

    def snd_pcm_start(self, _pcm: Any) -> int:
        self.calls.append("start")
        return 0

    def snd_pcm_wait(self, _pcm: Any, _limit_ms: int) -> int:
        return 1

    def snd_pcm_readi(self, _pcm: Any, buffer: Any, frames: int) -> int:
        result = next(self.results, frames)
        if result > 0:
            width = 2 if self.stereo_only else 1
            ctypes.memmove(
                buffer, array.array("h", range(100, 100 + result * width)).tobytes(), result * 2 * width
            )
        return result

    def snd_pcm_recover(self, _pcm: Any, _code: int, _silent: int) -> int:
        self.calls.append("recover")
        return 0

    def snd_pcm_drop(self, _pcm: Any) -> int:
        self.calls.append("drop")
        return 0

    def snd_pcm_close(self, _pcm: Any) -> int:
        self.calls.append("close")
        return 0

    def snd_strerror(self, code: int) -> bytes:
        return errno.errorcode[-code].encode()


def test_an_input_is_read_and_an_overrun_survived() -> None:
    library = Input()
    library.results = iter([3, -errno.EAGAIN, -errno.EPIPE, 2])
    line = AlsaCapture("village", library)
    assert [len(line.read()) for _ in range(5)] == [6, 0, 0, 4, 1920]
    assert library.calls == ["start", "recover", "start"]
    line.close()
    assert library.calls[-2:] == ["drop", "close"]


def test_a_stereo_input_becomes_mono() -> None:
    library = Input(stereo_only=True)
    library.results = iter([2])
    assert array.array("h", AlsaCapture("village", library).read()).tolist() == [100, 102]


def test_an_input_that_goes_away_or_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Input()
    library.results = iter([-errno.ENODEV])
    with pytest.raises(CaptureError, match="ENODEV"):
        AlsaCapture("village", library).read()
    library.results = iter([-errno.EAGAIN] * 5)
    line = AlsaCapture("village", library)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 5)
    with pytest.raises(CaptureError, match="given nothing"):
        line.read()
    library.open_error = -errno.EBUSY
    with pytest.raises(CaptureError, match="EBUSY"):
        AlsaCapture("village", library)


def test_a_simulated_input(tmp_path: Path) -> None:
    path = sound.write_wav(tmp_path / "in.wav", range(700))
    line = open_capture(f"simulated:{path}")
    assert isinstance(line, SimulatedCapture)
    heard = array.array("h", line.read() + line.read()).tolist()
    assert heard == [n % 700 for n in range(2 * pcm.frames_of_ms(20))]
    path.unlink()
    with pytest.raises(CaptureError, match="gone"):
        line.read()
    for name, content in (("empty.wav", b""), ("page.wav", b"<html>" * 20), ("none.wav", None)):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(CaptureError, match=name):
            SimulatedCapture(str(tmp_path / name))
