import asyncio
import os
from pathlib import Path

import pytest

from agent.live.pieces import Piece
from agent.live.pipes import Fan, PipeLimits, clean

RATE = 8000.0


def push(fan: Fan, *data: bytes, header: bytes = b"", now_s: float = 0.0) -> None:
    fan.push([Piece(one) for one in data], header, now_s, RATE)


def reading(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK)


async def test_nothing_is_kept_in_the_kernel_for_a_reader_that_is_not_there(tmp_path: Path) -> None:
    fan = Fan(tmp_path, PipeLimits(backlog_s=0.5))
    path = fan.open("square")
    fan.begin("mpeg")
    push(fan, b"old", now_s=0.0)
    push(fan, b"new", now_s=1.0)
    reader = reading(path)
    with pytest.raises(BlockingIOError):
        os.read(reader, 100)
    fan.tend()
    assert os.read(reader, 100) == b"new"
    os.close(reader)
    fan.close()
    assert not path.exists()


async def test_late_reader_is_given_the_header_first(tmp_path: Path) -> None:
    fan = Fan(tmp_path, PipeLimits())
    fan.begin("ogg")
    fan.push([Piece(b"HEAD", starts=True), Piece(b"one")], b"HEAD", 0.0, RATE)
    reader = reading(fan.open("square"))
    push(fan, b"two", header=b"HEAD", now_s=0.1)
    assert os.read(reader, 100) == b"HEADonetwo"
    os.close(reader)
    fan.close()


async def test_reader_that_waited_for_the_stream_is_given_the_header_once(tmp_path: Path) -> None:
    for name in ("wav", "ogg", "flac"):
        fan = Fan(tmp_path, PipeLimits())
        reader = reading(fan.open("square"))
        fan.tend()
        fan.begin(name)
        fan.tend()
        fan.push([Piece(b"HEAD", starts=True), Piece(b"one")], b"HEAD", 0.0, RATE)
        fan.tend()
        assert os.read(reader, 100) == b"HEADone", name
        os.close(reader)
        fan.close()


async def test_reader_that_went_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    fan = Fan(tmp_path, PipeLimits(backlog_s=0.5))
    path = fan.open("square")
    fan.begin("mpeg")
    gone = reading(path)
    push(fan, b"never read", now_s=0.0)
    os.close(gone)
    push(fan, b"unheard", now_s=5.0)
    assert not fan.pipes[0].attached
    come = reading(path)
    push(fan, b"fresh", now_s=10.0)
    assert os.read(come, 100) == b"fresh"
    os.close(come)
    fan.close()


async def test_slow_reader_loses_whole_pieces_and_is_bounded(tmp_path: Path) -> None:
    fan = Fan(tmp_path, PipeLimits(kernel_bytes=4096, queue_bytes=32 * 1024))
    reader = reading(fan.open("square"))
    fan.begin("mpeg")
    push(fan, b"")
    for number in range(2000):
        push(fan, bytes((number % 251,)) * 500, now_s=number * 0.06)
        assert fan.pipes[0].queued <= 33 * 1024
    got = bytearray()
    for _ in range(200):
        try:
            got += os.read(reader, 65536)
        except BlockingIOError:
            break
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    runs = [got[at : at + 500] for at in range(0, len(got), 500)]
    assert all(len(set(run)) == 1 for run in runs), "a piece was torn"
    assert got[-1] == 1999 % 251
    assert len(got) < 60_000
    os.close(reader)
    fan.close()


async def test_grant_keeps_a_slow_reader_close_behind(tmp_path: Path) -> None:
    fan = Fan(tmp_path, PipeLimits(kernel_bytes=4096, lag_s=1.5))
    reader = reading(fan.open("square"))
    fan.begin("mpeg")
    for number in range(500):
        push(fan, b"x" * 800, now_s=number / 10)
    assert fan.pipes[0].queued <= 16 * 1024 + 800
    os.close(reader)
    fan.close()


async def test_another_format_sends_readers_away_but_the_same_one_does_not(tmp_path: Path) -> None:
    fan = Fan(tmp_path, PipeLimits())
    reader = reading(fan.open("square"))
    fan.begin("mpeg")
    push(fan, b"one")
    fan.begin("mpeg")
    push(fan, b"two")
    assert os.read(reader, 100) == b"onetwo"
    fan.begin("adts")
    assert os.read(reader, 100) == b""
    os.close(reader)


async def test_same_wav_goes_on_and_another_rate_begins_anew(tmp_path: Path) -> None:
    fan = Fan(tmp_path, PipeLimits())
    reader = reading(fan.open("square"))
    for header in (b"A", b"A", b"B"):
        fan.begin("wav")
        fan.push([Piece(header, starts=True), Piece(b"..")], header, 0.0, RATE)
    assert os.read(reader, 100) == b"A...."
    assert os.read(reader, 100) == b"", "sound of another rate would be noise"
    os.close(reader)


async def test_zone_that_begins_anew_keeps_its_earlier_reader_until_it_goes(tmp_path: Path) -> None:
    fan = Fan(tmp_path, PipeLimits())
    fan.begin("mpeg")
    readers = [reading(fan.open("square"))]
    push(fan, b"one")
    readers.append(reading(fan.open("square")))
    push(fan, b"two")
    assert [os.read(one, 100) for one in readers] == [b"onetwo", b"onetwo"]
    fan.open("square")
    push(fan, b"three")
    assert [os.read(one, 100) for one in readers] == [b"three", b"three"]
    for _ in range(10):
        fan.open("square")
    assert len(fan.pipes) == 3
    fan.release("square")
    assert list(tmp_path.iterdir()) == []
    for one in readers:
        os.close(one)


def test_what_an_earlier_run_left_is_removed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "live-7.fifo")
    (tmp_path / "live-8.fifo").write_text("no FIFO")
    clean(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["live-8.fifo"]
    clean(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
