"""What a framebuffer showed before us comes back also when we were killed while it was ours."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sys
import zlib
from pathlib import Path

import pytest

from drivers.api import Board, BoardGeometry, Frame
from drivers.board.fbdev.driver import FbdevBoard
from drivers.board.fbdev.emulator import Channel, EmulatedFramebuffer
from tests.support.boards import dark, plain

SIZE = BoardGeometry(16, 8)
RED = plain(SIZE, (255, 0, 0))
BLUE = plain(SIZE, (0, 0, 255))

KILLED = """
import asyncio, json, os, signal, sys
from drivers.api import Frame
from drivers.board.fbdev.driver import FbdevBoard

async def main():
    async with FbdevBoard.from_options("screen", json.loads(sys.argv[1])).open() as board:
        await board.show(Frame(16, 8, b"\\xff\\0\\0" * 128), "red")
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.fixture
def screen(tmp_path: Path) -> EmulatedFramebuffer:
    made = EmulatedFramebuffer(tmp_path / "fb0", 32, 16, gap_bytes=8, panned_rows=2)
    made.scribble(b"the owner's picture ")
    return made


@pytest.fixture
def keep(tmp_path: Path) -> Path:
    return tmp_path / "keep"


def on(screen: EmulatedFramebuffer, keep: Path, geometry: BoardGeometry = SIZE) -> FbdevBoard:
    return FbdevBoard("screen", geometry, screen.path, ioctl=screen.ioctl, keep_dir=keep)


async def shown_and_killed(screen: EmulatedFramebuffer, keep: Path) -> None:
    """As a process leaves it that shows red and is killed."""
    board: Board
    async with on(screen, keep).open() as board:
        await board.show(RED, "red")
        memory = screen.memory()
    screen.path.write_bytes(memory)


def the_file(keep: Path) -> Path:
    (path,) = keep.iterdir()
    return path


async def test_after_a_sigkill_the_next_process_hands_back_what_was_there_before_both(
    tmp_path: Path,
) -> None:
    path, keep = tmp_path / "memory", tmp_path / "keep"
    before = bytes(range(256)) * 4
    path.write_bytes(before)
    options = {
        "width_px": 16, "height_px": 8, "path": str(path), "format": "xrgb8888", "screen_width_px": 32,
        "keep_dir": str(keep),
    }  # fmt: skip
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, json.dumps(options))
    assert await killed.wait() == -9
    assert path.read_bytes() != before
    async with FbdevBoard.from_options("screen", options).open() as board:
        await board.show(BLUE, "blue")
        await board.hand_back()
        assert path.read_bytes() == before
    assert path.read_bytes() == before
    assert list(keep.iterdir()) == []


async def test_it_can_be_handed_back_without_showing_anything_first(
    screen: EmulatedFramebuffer, keep: Path
) -> None:
    before = screen.memory()
    await shown_and_killed(screen, keep)
    async with on(screen, keep).open() as board:
        await board.hand_back()
        assert screen.memory() == before
        await board.hand_back()
    assert screen.memory() == before


async def test_leaving_keeps_the_file_and_handing_back_ends_it(
    screen: EmulatedFramebuffer, keep: Path
) -> None:
    before = screen.memory()
    for _ in range(3):
        async with on(screen, keep).open() as board:
            await board.set_safe(BLUE)
            await board.show(RED, "red")
        assert the_file(keep).stat().st_size > 0
    async with on(screen, keep).open() as board:
        await board.hand_back()
        assert screen.memory() == before
        assert list(keep.iterdir()) == []
        screen.scribble(b"another picture of the owner ")
        later = screen.memory()
        await board.show(RED, "red")
    async with on(screen, keep).open() as board:
        await board.hand_back()
        assert screen.memory() == later


async def test_opening_alone_keeps_nothing(screen: EmulatedFramebuffer, keep: Path) -> None:
    async with on(screen, keep).open() as board:
        await board.status()
        assert not keep.exists()


async def test_a_screen_that_comes_back_with_our_picture_does_not_replace_what_is_kept(
    screen: EmulatedFramebuffer, keep: Path
) -> None:
    before = screen.memory()
    async with on(screen, keep).open() as board:
        await board.show(RED, "red")
        content = the_file(keep).read_bytes()
        screen.unplug()
        with pytest.raises(Exception, match="screen"):
            await board.status()
        screen.plug()
        await board.show(BLUE, "blue")
        assert the_file(keep).read_bytes() == content
    async with on(screen, keep).open() as board:
        await board.hand_back()
        assert screen.memory() == before


async def test_a_board_that_could_not_be_handed_back_keeps_the_file(
    screen: EmulatedFramebuffer, keep: Path
) -> None:
    before = screen.memory()
    async with on(screen, keep).open() as board:
        await board.show(RED, "red")
        screen.unplug()
        with pytest.raises(Exception, match="screen"):
            await board.hand_back()
        assert the_file(keep).exists()
        screen.plug()
        await board.hand_back()
        assert screen.memory() == before
        assert list(keep.iterdir()) == []


def broken(whole: bytes) -> dict[str, bytes]:
    head, body = whole.split(b"\n", 1)
    fields = json.loads(head)
    bomb = zlib.compress(bytes(50_000_000))
    return {
        "empty": b"",
        "no head": body,
        "half": whole[: len(whole) // 2],
        "flipped": whole[:-6] + bytes(byte ^ 0x10 for byte in whole[-6:]),
        "longer": whole + b"more",
        "list": b"[]\n" + body,
        "no json": b"{\n" + body,
        "deep": b"[" * 100_000 + b"\n" + body,
        "other words": json.dumps({**fields, "channels": "many"}).encode() + b"\n" + body,
        "endless": json.dumps({**fields, "channels": [float("inf")]}).encode() + b"\n" + body,
        "bomb": head + b"\n" + bomb,
        "short": head + b"\n" + zlib.compress(b"short"),
        "huge": whole + bytes(20_000),
    }


@pytest.mark.parametrize("damage", list(broken(b"{}\n" + zlib.compress(bytes(512)))))
async def test_a_damaged_file_never_raises_and_none_of_our_text_is_left(
    screen: EmulatedFramebuffer, keep: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    await shown_and_killed(screen, keep)
    path = the_file(keep)
    path.write_bytes(broken(path.read_bytes())[damage])
    async with on(screen, keep).open() as board:
        assert "is not known" in caplog.text
        await board.show(BLUE, "blue")
        await board.hand_back()
        assert Frame(16, 8, screen.picture(16, 8)) == dark(SIZE)
        assert list(keep.iterdir()) == []


async def test_a_file_of_another_size_is_not_used(
    screen: EmulatedFramebuffer, keep: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await shown_and_killed(screen, keep)
    other = BoardGeometry(8, 16)
    async with on(screen, keep, other).open() as board:
        assert "16x8 px" in caplog.text
        await board.show(plain(other, (0, 0, 255)), "blue")
        await board.hand_back()
        assert not any(screen.picture(8, 16))


async def test_a_file_of_other_pixels_is_not_used(
    tmp_path: Path, screen: EmulatedFramebuffer, keep: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await shown_and_killed(screen, keep)
    turned = EmulatedFramebuffer(
        tmp_path / "fb0", 32, 16, channels=(Channel(0, 8), Channel(8, 8), Channel(16, 8))
    )
    async with on(turned, keep).open() as board:
        await board.show(BLUE, "blue")
        await board.hand_back()
        assert not any(turned.picture(16, 8))
    assert "other pixels" in caplog.text


async def test_a_full_disk_is_logged_and_the_board_works(
    screen: EmulatedFramebuffer, keep: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, f"No space left on device {handle}")

    before = screen.memory()
    monkeypatch.setattr(os, "fsync", full)
    async with on(screen, keep).open() as board:
        await board.show(RED, "red")
        assert screen.picture(16, 8) == RED.rgb
        assert list(keep.iterdir()) == []
        await board.hand_back()
        assert screen.memory() == before
    assert "No space left" in caplog.text


async def test_a_whole_screen_takes_little_room(tmp_path: Path, keep: Path) -> None:
    screen = EmulatedFramebuffer(tmp_path / "fb0", 1920, 1080)
    screen.scribble()
    size = BoardGeometry(1920, 1080)
    async with on(screen, keep, size).open() as board:
        await board.show(plain(size, (255, 0, 0)), "red")
        assert the_file(keep).stat().st_size < 100_000
