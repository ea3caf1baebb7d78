"""What a board owes: it shows what it is given, records it, and ends dark."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image

from drivers.api import BoardGeometry, DeviceRefusedError, DeviceUnavailableError, DriverSetupError, Frame
from drivers.board.simulated import SimulatedBoard

RED = Frame(16, 8, bytes((255, 0, 0)) * 128)
BLUE = Frame(16, 8, bytes((0, 0, 255)) * 128)


def board(box: Path, zone: str = "main") -> SimulatedBoard:
    return SimulatedBoard.from_options(
        "sign", {"dir": str(box), "width_px": 16, "height_px": 8, "zone": zone}
    )


def record(box: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (box / "board.jsonl").read_text().splitlines()]


def pixels(path: Path) -> bytes:
    with Image.open(path) as picture:
        assert picture.mode == "RGB"
        assert picture.size == (16, 8)
        return picture.tobytes()


async def test_shows_and_records_changes_only(tmp_path: Path) -> None:
    async with board(tmp_path).open() as sign:
        assert sign.geometry == BoardGeometry(16, 8)
        await sign.show(RED, "red")
        assert pixels(tmp_path / "board.png") == RED.rgb
        await sign.show(RED, "red again")
        await sign.show(BLUE, "blue")
        assert pixels(tmp_path / "board.png") == BLUE.rgb
        await sign.probe()
    labels = [line["label"] for line in record(tmp_path)]
    assert labels == ["red", "blue", "safe"]
    assert record(tmp_path)[0]["sha256"] == hashlib.sha256(RED.rgb).hexdigest()
    assert (record(tmp_path)[0]["width_px"], record(tmp_path)[0]["height_px"]) == (16, 8)
    assert not any(pixels(tmp_path / "board.png"))


async def test_dark_when_its_user_fails_or_is_cancelled(tmp_path: Path) -> None:
    async def failing() -> None:
        async with board(tmp_path).open() as sign:
            await sign.show(RED, "red")
            raise RuntimeError("user")

    with pytest.raises(RuntimeError, match="user"):
        await failing()
    assert not any(pixels(tmp_path / "board.png"))

    async def user() -> None:
        async with board(tmp_path).open() as sign:
            await sign.show(BLUE, "blue")
            await asyncio.sleep(30)

    task = asyncio.create_task(user())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not any(pixels(tmp_path / "board.png"))


async def test_refuses_a_frame_of_another_size(tmp_path: Path) -> None:
    async with board(tmp_path).open() as sign:
        with pytest.raises(DeviceRefusedError, match="16x8"):
            await sign.show(Frame(8, 16, bytes(384)), "turned")
        with pytest.raises(DeviceRefusedError, match="10 bytes"):
            await sign.show(Frame(16, 8, bytes(10)), "short")


async def test_a_missing_board(tmp_path: Path) -> None:
    faults = tmp_path / "faults.toml"
    faults.write_text("board_missing = true\n")
    with pytest.raises(DeviceUnavailableError):
        async with board(tmp_path).open():
            raise AssertionError("opened a missing board")
    faults.unlink()
    async with board(tmp_path).open() as sign:
        await sign.show(RED, "red")
        faults.write_text("board_missing = true\n")
        await asyncio.sleep(0.2)
        with pytest.raises(DeviceUnavailableError):
            await sign.probe()
        with pytest.raises(DeviceUnavailableError):
            await sign.show(BLUE, "blue")


async def test_zones_and_options(tmp_path: Path) -> None:
    async with board(tmp_path, "market").open() as sign:
        await sign.show(RED, "red")
    assert (tmp_path / "board-market.png").exists()
    assert (tmp_path / "board-market.jsonl").exists()
    with pytest.raises(DriverSetupError, match="width_px"):
        SimulatedBoard.from_options("sign", {"dir": str(tmp_path), "width_px": 0})
