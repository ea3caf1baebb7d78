from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from drivers.audio.deck import Item, Slot, plan_slot
from drivers.audio.flac import FlacTail, find_block, frame_number, parse_stream_info
from drivers.audio.media import Seek, UnreadableError, examine, open_stream
from drivers.audio.wav import PaddedWav, parse_wav
from tests.contract import sound


@pytest.fixture(scope="module")
def stairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sound.write_flac(tmp_path_factory.mktemp("flac") / "stairs.flac", sound.staircase(3000))


def test_stream_info(stairs: Path) -> None:
    info = parse_stream_info(stairs.read_bytes()[:42])
    assert info is not None
    assert (info.rate, info.samples) == (48_000, 144_000)
    assert info.block > 0
    assert parse_stream_info(b"fLaC") is None
    assert parse_stream_info(b"RIFF" + bytes(60)) is None


def test_every_block_is_found(stairs: Path) -> None:
    data = stairs.read_bytes()
    info = parse_stream_info(data)
    assert info is not None
    descriptor = os.open(stairs, os.O_RDONLY)
    try:
        places = [find_block(descriptor, info, block) for block in range(-(-info.samples // info.block))]
        with pytest.raises(ValueError, match="not there"):
            find_block(descriptor, info, 1000)
    finally:
        os.close(descriptor)
    assert places == sorted(set(places))
    assert [frame_number(data, place) for place in places] == list(range(len(places)))


def test_frame_headers_are_checked(stairs: Path) -> None:
    data = stairs.read_bytes()
    info = parse_stream_info(data)
    assert info is not None
    descriptor = os.open(stairs, os.O_RDONLY)
    place = find_block(descriptor, info, 3)
    os.close(descriptor)
    header = bytes(data[place : place + 32])
    assert frame_number(header, 0) == 3
    for at in range(2, 6):
        broken = bytearray(header)
        broken[at] ^= 0x11
        assert frame_number(bytes(broken), 0) != 3
    assert frame_number(header[:10], 0) is None
    assert frame_number(bytes(32), 0) is None


def test_a_tail_is_a_flac_file(stairs: Path) -> None:
    tail = FlacTail(stairs, 2)
    whole = b""
    while piece := tail.read(1000):
        whole += piece
    assert len(whole) == tail.size
    info = parse_stream_info(whole)
    assert info is not None
    assert (info.samples, info.block) == (0, 0)
    assert frame_number(whole, 42) == 2
    tail.seek(0)
    assert tail.read(4) == b"fLaC"
    tail.close()
    tail.close()


def test_broken_flac_files_are_refused(tmp_path: Path, stairs: Path) -> None:
    bad = tmp_path / "bad.flac"
    bad.write_bytes(b"fLaC" + bytes(100))
    with pytest.raises(UnreadableError, match="broken FLAC header"):
        examine(bad)
    bad.write_bytes(stairs.read_bytes()[:60])
    with pytest.raises(ValueError, match="does not end"):
        FlacTail(bad, 0)


def test_formats_are_recognised_by_content(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    for head, kind in (
        (b"OggS" + bytes(30), "ogg"),
        (bytes(4) + b"ftypM4A " + bytes(20), "mp4"),
        (b"ID3" + bytes(30), "mpeg"),
        (b"\xff\xfb\x90\x64" + bytes(30), "mpeg"),
        (b"\xff\xf1\x50\x80" + bytes(30), "mpeg"),
    ):
        path.write_bytes(head)
        assert examine(path).kind == kind
    for junk in (b"<html>", b"#EXTM3U\nhttp://x", b"\xff\xff\xff\xff" * 9, b"MZ" + bytes(50), b"\x00" * 100):
        path.write_bytes(junk)
        with pytest.raises(UnreadableError, match="not a sound format"):
            examine(path)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="cannot be opened"):
        examine(tmp_path / "missing")
    with pytest.raises(UnreadableError, match="cannot be read"):
        examine(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(UnreadableError, match="empty"):
        examine(tmp_path / "empty")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UnreadableError):
        examine(tmp_path / "fifo")


def test_seek_plans(stairs: Path, tmp_path: Path) -> None:
    media = examine(stairs)
    assert media.seek(0) == Seek(block=0)
    plan = media.seek(100_000)
    assert plan.block is not None
    assert plan.block * media.block + plan.discard == 100_000
    last = media.seek(143_990)
    assert last.block == (144_000 - 1) // media.block - 1
    ogg = tmp_path / "a.ogg"
    ogg.write_bytes(b"OggS" + bytes(40))
    assert examine(ogg).seek(4800) == Seek(discard=4800)
    assert examine(ogg).seek(48_000 * 600).options == (":start-time=600.000000",)


def test_wav_header_and_padding(tmp_path: Path) -> None:
    path = sound.write_wav(tmp_path / "a.wav", [1, 2, 3, 4])
    media = examine(path)
    assert (media.kind, media.frames, media.length()) == ("wav", 4, 4)
    stream = open_stream(path, media, media.seek(0))
    assert isinstance(stream, PaddedWav)
    data = stream.read(30)
    while piece := stream.read(10_000):
        data += piece
    stream.close()
    assert len(data) == stream.size == 44 + 8 + 24_000
    assert data[44:52] == struct.pack("<4h", 1, 2, 3, 4)
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    assert not any(data[52:])
    assert parse_wav(b"RIFF" + bytes(40), 44) is None


def test_slots() -> None:
    def item(start_ms: int = 0, duration_ms: int = 0) -> Item:
        return Item(Path("x"), start_ms, duration_ms, 0.0)

    assert plan_slot(item(), None) == Slot(None, cut=False)
    assert plan_slot(item(), 4800) == Slot(4800, cut=False)
    assert plan_slot(item(50), 4800) == Slot(2400, cut=False)
    assert plan_slot(item(0, 100), 4807) == Slot(4807, cut=False)
    assert plan_slot(item(0, 100), 48_000) == Slot(4800, cut=True)
    assert plan_slot(item(0, 1000), 4800) == Slot(48_000, cut=True)
    assert plan_slot(item(40, 100), None) == Slot(2880, cut=True)
    assert plan_slot(item(500, 100), None) == Slot(0, cut=True)
