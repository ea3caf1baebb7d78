"""Brightness and switch of an Onbon card come back also when we were killed while the card was ours."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.api import BoardGeometry, DeviceRefusedError, DriverError
from drivers.board.onbon.driver import OnbonBoard
from drivers.board.onbon.emulated_network import CardServer
from drivers.board.onbon.emulator import OnbonCard
from tests.support.boards import plain

SIZE = BoardGeometry(64, 32)
RED = plain(SIZE, (255, 0, 0))

KILLED = """
import asyncio, json, os, signal, sys
from drivers.api import Frame
from drivers.board.onbon.driver import OnbonBoard

async def main():
    async with OnbonBoard.from_options("sign", json.loads(sys.argv[1])).open() as board:
        await board.show(Frame(64, 32, b"\\xff\\0\\0" * 2048), "red")
        await board.brightness(1.0)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


class World:
    """A dark, dim card with a program of its owner; its files are in `keep`."""

    def __init__(self, keep: Path) -> None:
        self.card = OnbonCard("6e", 64, 32, "dual")
        self.card.on = False
        self.card.brightness_mode, self.card.brightness = 2, [4] * 48
        self.card.programs[b"P000"] = plain(SIZE, (0, 255, 0)).rgb
        self.server = CardServer(self.card)
        self.keep = keep

    @property
    def options(self) -> dict[str, object]:
        return {
            "width_px": 64, "height_px": 32, "host": "127.0.0.1", "port": self.server.tcp_port,
            "keep_dir": str(self.keep),
        }  # fmt: skip

    def driver(self) -> OnbonBoard:
        return OnbonBoard.from_options("sign", self.options)

    @property
    def as_before(self) -> bool:
        card = self.card
        return (card.on, card.brightness_mode, card.brightness, card.areas) == (False, 2, [4] * 48, {})

    async def shown(self) -> None:
        """Show and brighten, as a process does that never hands back."""
        async with self.driver().open() as board:
            await board.show(RED, "red")
            await board.brightness(1.0)
        assert (self.card.on, self.card.brightness) == (True, [15] * 48)

    @property
    def file(self) -> Path:
        (path,) = self.keep.iterdir()
        return path


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path / "keep")
    await made.server.listen_tcp()
    yield made
    await made.server.close()


async def test_after_a_sigkill_the_next_process_hands_back_how_the_card_was_before_both(world: World) -> None:
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, json.dumps(world.options))
    assert await killed.wait() == -9
    assert (world.card.on, world.card.brightness) == (True, [15] * 48)
    async with world.driver().open() as board:
        await board.show(RED, "red")
        await board.brightness(0.0)
        await board.hand_back()
        assert world.as_before
    assert world.as_before
    assert list(world.keep.iterdir()) == []


async def test_it_can_be_handed_back_without_showing_anything_first(world: World) -> None:
    await world.shown()
    async with world.driver().open() as board:
        await board.hand_back()
        assert world.as_before


async def test_leaving_keeps_the_file_and_handing_back_ends_it(world: World) -> None:
    for _ in range(3):
        await world.shown()
        assert world.file.stat().st_size < 1000
    async with world.driver().open() as board:
        await board.hand_back()
        assert list(world.keep.iterdir()) == []
        await board.show(RED, "red")
        await board.brightness(0.5)
        assert world.file.exists()
        await board.hand_back()
        assert world.as_before
    world.card.brightness = [9] * 48
    world.card.brightness_mode = 0
    await world.shown()
    async with world.driver().open() as board:
        await board.hand_back()
        assert (world.card.brightness_mode, world.card.brightness) == (0, [9] * 48)


async def test_what_we_never_set_is_not_set_back(world: World) -> None:
    async with world.driver().open() as board:
        await board.show(RED, "red")
    world.card.brightness = [9] * 48  # by its owner
    async with world.driver().open() as board:
        await board.hand_back()
        assert not world.card.on
        assert world.card.brightness == [9] * 48


async def test_opening_alone_keeps_nothing(world: World) -> None:
    async with world.driver().open() as board:
        await board.status()
    assert not world.keep.exists()


async def test_a_brightness_that_the_card_refused_is_not_set_back(world: World) -> None:
    async with world.driver().open() as board:
        world.card.faults.nack = 1_000_000
        with pytest.raises(DeviceRefusedError):
            await board.brightness(1.0)
        with pytest.raises(DeviceRefusedError):
            await board.power(True)
        world.card.faults.nack = 0
        assert not world.keep.exists() or list(world.keep.iterdir()) == []
        world.card.brightness = [9] * 48
        await board.hand_back()
        assert world.card.brightness == [9] * 48


async def test_a_card_that_could_not_be_handed_back_keeps_the_file(world: World) -> None:
    await world.shown()
    async with world.driver().open() as board:
        await world.server.unplug()
        with pytest.raises(DriverError):
            await board.hand_back()
        assert world.file.exists()
        await world.server.plug()
        await board.hand_back()
        assert world.as_before
        assert list(world.keep.iterdir()) == []


async def test_the_file_of_another_card_is_not_used(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.shown()
    world.card.become("6e", 128, 32, "dual")
    world.card.on, world.card.brightness_mode, world.card.brightness = True, 0, [7] * 48
    async with world.driver().open() as board:
        assert "of another card" in caplog.text
        await board.brightness(1.0)
        await board.hand_back()
        assert (world.card.on, world.card.brightness) == (True, [7] * 48)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"card": [628, 64, 32], "brightness": [99, 0], "on": true}',
        b'{"card": [628, 64, 32], "brightness": [true, 0], "on": true}',
        b'{"card": [628, 64, 32], "brightness": 4, "on": true}',
        b'{"card": [628, 64, 32], "brightness": [4, 9], "on": true}',
        b'{"card": [628, 64, 32], "brightness": [4, 0], "on": 1}',
        b'{"card": {}, "brightness": null, "on": null}',
        b'{"brightness": [4, 0], "on": true}',
        bytes(100_000),
    ],
)
async def test_a_damaged_file_never_raises(
    world: World, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    await world.shown()
    world.file.write_bytes(content)
    async with world.driver().open() as board:
        assert "is not known" in caplog.text
        await board.show(RED, "red")
        await board.brightness(0.2)
        await board.hand_back()
        assert world.card.areas == {}
        assert world.card.brightness == [15] * 48
        assert list(world.keep.iterdir()) == []


async def test_a_full_disk_is_logged_and_the_board_works(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, f"No space left on device {handle}")

    monkeypatch.setattr(os, "fsync", full)
    async with world.driver().open() as board:
        await board.show(RED, "red")
        await board.brightness(1.0)
        assert list(world.keep.iterdir()) == []
        await board.hand_back()
        assert world.as_before
    assert "No space left" in caplog.text


async def test_a_picture_given_up_while_the_file_is_written_leaves_no_file_after_handing_back(
    world: World,
) -> None:
    async with world.driver().open() as board:
        for steps in range(12):
            task = asyncio.create_task(board.brightness(1.0))
            await asyncio.sleep(steps * 0.0005)
            task.cancel()
            await asyncio.wait([task])
            await board.hand_back()
            await asyncio.sleep(0.01)
            assert not world.keep.exists() or list(world.keep.iterdir()) == []
        assert world.card.brightness == [4] * 48
