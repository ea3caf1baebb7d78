"""Framebuffers: layouts of pixels, plain files, modes that change, and rows that are not ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.api import BoardGeometry, DeviceUnavailableError, DriverSetupError, Frame
from drivers.board.fbdev.driver import FbdevBoard
from drivers.board.fbdev.emulator import Channel, EmulatedFramebuffer

SIZE = BoardGeometry(16, 8)
RED = Frame(16, 8, b"\xff\0\0" * 128)


def on(screen: EmulatedFramebuffer, geometry: BoardGeometry = SIZE) -> FbdevBoard:
    return FbdevBoard("screen", geometry, screen.path, ioctl=screen.ioctl)


async def test_only_our_part_of_the_screen_is_touched(tmp_path: Path) -> None:
    screen = EmulatedFramebuffer(tmp_path / "fb0", 32, 16, gap_bytes=8, panned_rows=2)
    screen.scribble(b"\x11" * 1000)
    before = screen.memory()
    async with on(screen).open() as board:
        await board.show(RED, "red")
        after = screen.memory()
        changed = {at for at in range(len(before)) if before[at] != after[at]}
        ours = {(row + 2) * screen.line_length + column for row in range(8) for column in range(16 * 4)}
        assert changed <= ours
        assert screen.picture(16, 8) == RED.rgb
        await board.hand_back()
        assert screen.memory() == before
    assert screen.memory() == before


async def test_a_board_as_wide_as_the_screen(tmp_path: Path) -> None:
    screen = EmulatedFramebuffer(tmp_path / "fb0", 16, 8)
    async with on(screen).open() as board:
        await board.show(RED, "red")
        assert screen.picture(16, 8) == RED.rgb
        assert board.abilities.reads_back


async def test_a_screen_smaller_than_the_board_or_set_to_another_mode_is_unavailable(tmp_path: Path) -> None:
    screen = EmulatedFramebuffer(tmp_path / "fb0", 16, 8)
    with pytest.raises(DeviceUnavailableError, match="smaller than the board"):
        async with on(screen, BoardGeometry(17, 8)).open():
            raise AssertionError("opened")
    async with on(screen).open() as board:
        await board.show(RED, "red")
        screen.width_px = 15
        with pytest.raises(DeviceUnavailableError):
            await board.status()


async def test_pixels_in_an_unknown_layout_are_refused_at_once(tmp_path: Path) -> None:
    ten = (Channel(20, 10), Channel(10, 10), Channel(0, 10))
    screen = EmulatedFramebuffer(tmp_path / "fb0", 16, 8, channels=ten)
    with pytest.raises(DriverSetupError, match="cannot write pixels of 32 bits"):
        async with on(screen).open():
            raise AssertionError("opened")


@pytest.mark.parametrize(
    ("format_", "bytes_"),
    [
        ("xrgb8888", bytes((0x08, 0xFF, 0x10, 0x00))),
        ("xbgr8888", bytes((0x10, 0xFF, 0x08, 0xFF))),
        ("rgb888", bytes((0x08, 0xFF, 0x10))),
        ("bgr888", bytes((0x10, 0xFF, 0x08))),
        ("rgb565", (0x10 >> 3 << 11 | 0xFF >> 2 << 5 | 0x08 >> 3).to_bytes(2, "little")),
    ],
)
async def test_a_plain_file_is_written_in_the_format_of_the_options(
    tmp_path: Path, format_: str, bytes_: bytes
) -> None:
    path = tmp_path / "memory"
    stride = 20 * len(bytes_) + 4
    path.write_bytes(bytes(stride * 10))
    options = {
        "width_px": 16, "height_px": 8, "path": str(path), "format": format_, "screen_width_px": 20,
        "screen_height_px": 10, "stride_bytes": stride,
    }  # fmt: skip
    async with FbdevBoard.from_options("screen", options).open() as board:
        await board.show(Frame(16, 8, bytes((0x10, 0xFF, 0x08)) * 128), "colour")
        memory = path.read_bytes()
        for row in range(8):
            assert memory[row * stride : (row + 1) * stride] == (bytes_ * 16).ljust(stride, b"\0")
        assert not any(memory[8 * stride :])
        assert not (await board.status()).foreign


async def test_a_file_that_is_no_framebuffer_and_one_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "fb0"
    for content in (None, b"text"):
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DeviceUnavailableError):
            async with FbdevBoard("screen", SIZE, path).open():
                raise AssertionError("opened")


async def test_a_file_too_short_for_the_screen_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "fb0"
    path.write_bytes(bytes(100))
    options = {"width_px": 16, "height_px": 8, "path": str(path), "format": "rgb565"}
    with pytest.raises(DeviceUnavailableError):
        async with FbdevBoard.from_options("screen", options).open():
            raise AssertionError("opened")


async def test_memory_that_shrinks_is_unavailable_and_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "fb0"
    path.write_bytes(bytes(16 * 8 * 2))
    options = {"width_px": 16, "height_px": 8, "path": str(path), "format": "rgb565"}
    async with FbdevBoard.from_options("screen", options).open() as board:
        await board.show(RED, "red")
        path.write_bytes(b"")
        with pytest.raises(DeviceUnavailableError):
            await board.show(RED, "red")


def test_options_are_checked() -> None:
    good = {"width_px": 16, "height_px": 8}
    assert FbdevBoard.from_options("s", good).name == "s"
    for wrong in (
        {"width_px": 16},
        {**good, "format": "yuv"},
        {**good, "format": "rgb565", "stride_bytes": 31},
        {**good, "format": "rgb565", "screen_width_px": 15},
        {**good, "device": "/dev/fb0"},
    ):
        with pytest.raises(DriverSetupError):
            FbdevBoard.from_options("s", wrong)
