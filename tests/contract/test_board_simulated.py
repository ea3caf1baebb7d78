"""The simulated board: its picture file, its record, and what faults.toml does to it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from drivers.api import (
    CardTicker,
    DeviceRefusedError,
    DeviceUnavailableError,
    DriverSetupError,
    Frame,
    PixelFormat,
    TickerKind,
)
from drivers.board.simulated import SimulatedBoard

RED = Frame(16, 8, bytes((255, 0, 0)) * 128)
BLUE = Frame(16, 8, bytes((0, 0, 255)) * 128)


def board(box: Path, **options: object) -> SimulatedBoard:
    return SimulatedBoard.from_options("sign", {"dir": str(box), "width_px": 16, "height_px": 8, **options})


def record(box: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (box / "board.jsonl").read_text().splitlines()]


def pixels(path: Path) -> bytes:
    with Image.open(path) as picture:
        assert picture.mode == "RGB"
        assert picture.size == (16, 8)
        return picture.tobytes()


def break_it(box: Path, fault: str) -> None:
    (box / "faults.toml").write_text(f"{fault} = true\n")


async def test_the_record_keeps_a_line_for_each_thing_asked(tmp_path: Path) -> None:
    async with board(tmp_path).open() as sign:
        await sign.show(RED, "red")
        await sign.show(RED, "red again")
        await sign.brightness(0.5)
        await sign.power(False)
        assert not any(pixels(tmp_path / "board.png"))
        await sign.power(True)
        assert pixels(tmp_path / "board.png") == RED.rgb
        await sign.hand_back()
    lines = record(tmp_path)
    assert [set(line) - {"wall", "monotonic_ns"} for line in lines] == [
        {"label", "sha256", "width_px", "height_px"},
        {"brightness"},
        {"power"},
        {"power"},
        {"hand_back"},
    ]
    assert lines[0]["sha256"] == hashlib.sha256(RED.rgb).hexdigest()
    assert lines[0]["monotonic_ns"] <= time.monotonic_ns()


async def test_the_safe_frame_is_left_and_recorded(tmp_path: Path) -> None:
    async with board(tmp_path).open() as sign:
        await sign.set_safe(BLUE)
        await sign.show(RED, "red")
        await sign.power(False)
    assert pixels(tmp_path / "board.png") == BLUE.rgb
    assert record(tmp_path)[-1]["label"] == "safe"


async def test_the_picture_file_follows_a_canvas_a_few_times_a_second(tmp_path: Path) -> None:
    async with board(tmp_path).open() as sign:
        await sign.show(RED, "red")
        canvas = sign.canvas
        assert canvas is not None
        assert canvas.pixel_format is PixelFormat.RGB
        assert not any(canvas.memory), "as on all boards, nothing else writes it"
        seen, began_s = set(), time.monotonic()
        for frame in range(60):
            canvas.memory[:48] = bytes((frame, 0, 0)) * 16
            await canvas.present(0, 1)
            seen.add((tmp_path / "board.png").stat().st_ino)
        assert 0.8 < time.monotonic() - began_s < 1.6
        assert 2 <= len(seen) <= 6
        await asyncio.sleep(0.5)
        assert pixels(tmp_path / "board.png")[:3] == bytes((59, 0, 0))
    assert [line["label"] for line in record(tmp_path)] == ["red", "safe"]


async def test_a_card_ticker_is_recorded_and_must_fit(tmp_path: Path) -> None:
    strip = Frame(40, 4, bytes((0, 255, 0)) * 160)
    async with board(tmp_path, ticker="card").open() as sign:
        assert sign.canvas is None
        assert sign.abilities.ticker is TickerKind.CARD
        await sign.show(RED, "moving", CardTicker(strip, 4))
        assert pixels(tmp_path / "board.png") == RED.rgb[:192] + bytes((0, 255, 0)) * 64
        assert record(tmp_path)[-1]["ticker_width_px"] == 40
        with pytest.raises(DeviceRefusedError):
            await sign.show(RED, "too low", CardTicker(strip, 5))
        with pytest.raises(DeviceRefusedError):
            await sign.show(RED, "half", CardTicker(Frame(40, 4, b""), 4))
        wide = sign.abilities.ticker_max_px + 1
        with pytest.raises(DeviceRefusedError):
            await sign.show(RED, "long", CardTicker(Frame(wide, 1, bytes(wide * 3)), 0))
    async with board(tmp_path).open() as sign:
        with pytest.raises(DeviceRefusedError):
            await sign.show(RED, "no card", CardTicker(strip, 4))


async def test_a_power_cut_is_told_once_and_leaves_black(tmp_path: Path) -> None:
    async with board(tmp_path).open() as sign:
        await sign.show(RED, "red")
        break_it(tmp_path, "board_power_lost")
        await asyncio.sleep(0.5)
        assert not any(pixels(tmp_path / "board.png"))
        assert (await sign.status()).lost
        assert not (await sign.status()).lost
        await sign.show(RED, "red again")
        assert pixels(tmp_path / "board.png") == RED.rgb


async def test_a_foreign_picture_stays_until_painted_over(tmp_path: Path) -> None:
    async with board(tmp_path).open() as sign:
        await sign.show(RED, "red")
        break_it(tmp_path, "board_changed")
        await asyncio.sleep(0.5)
        assert pixels(tmp_path / "board.png") != RED.rgb
        assert (await sign.status()).foreign
        assert (await sign.status()).foreign
        await sign.show(RED, "red again")
        assert not (await sign.status()).foreign
        assert pixels(tmp_path / "board.png") == RED.rgb


async def test_a_slow_board_answers_late(tmp_path: Path) -> None:
    async with board(tmp_path).open() as sign:
        break_it(tmp_path, "board_slow")
        await asyncio.sleep(0.3)
        began_s = time.monotonic()
        await sign.status()
        assert 2.5 < time.monotonic() - began_s < 4.5
        (tmp_path / "faults.toml").unlink()


async def test_the_light_sensor_sees_the_night(tmp_path: Path) -> None:
    async with board(tmp_path).open() as sign:
        day = (await sign.status()).light
        break_it(tmp_path, "board_night")
        await asyncio.sleep(0.5)
        night = (await sign.status()).light
        assert day is not None
        assert night is not None
        assert night < day


async def test_a_missing_board(tmp_path: Path) -> None:
    break_it(tmp_path, "board_missing")
    with pytest.raises(DeviceUnavailableError):
        async with board(tmp_path).open():
            pytest.fail("opened a missing board")


@pytest.mark.parametrize(
    "wrong",
    [
        {"width_px": 0},
        {"ticker": "fast"},
        {"colours": "sepia"},
        {"refresh_hz": 1000},
        {"speed": 3},
        {"zone": "a/b"},
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(DriverSetupError):
        board(tmp_path, **wrong)


async def test_zones_have_files_of_their_own(tmp_path: Path) -> None:
    async with board(tmp_path, zone="market").open() as sign:
        await sign.show(RED, "red")
    assert (tmp_path / "board-market.png").exists()
    assert (tmp_path / "board-market.jsonl").exists()
