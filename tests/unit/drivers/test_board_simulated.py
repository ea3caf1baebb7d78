"""The record and the files of the simulated board; what it owes as a board is in the contract suite."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from PIL import Image

from drivers.api import CardTicker, DeviceRefusedError, DriverSetupError, Frame
from drivers.board.simulated import SimulatedBoard

RED = Frame(16, 8, bytes((255, 0, 0)) * 128)
BLUE = Frame(16, 8, bytes((0, 0, 255)) * 128)


def board(box: Path, **more: object) -> SimulatedBoard:
    return SimulatedBoard.from_options("sign", {"dir": str(box), "width_px": 16, "height_px": 8, **more})


def record(box: Path, name: str = "board.jsonl") -> list[dict[str, object]]:
    return [json.loads(line) for line in (box / name).read_text().splitlines()]


def pixels(path: Path) -> bytes:
    with Image.open(path) as picture:
        assert picture.mode == "RGB"
        assert picture.size == (16, 8)
        return picture.tobytes()


async def test_it_records_changes_only(tmp_path: Path) -> None:
    async with board(tmp_path).open() as sign:
        await sign.show(RED, "red")
        await sign.show(RED, "red again")
        await sign.show(BLUE, "blue")
        assert pixels(tmp_path / "board.png") == BLUE.rgb
    lines = [line for line in record(tmp_path) if "label" in line]
    assert [line["label"] for line in lines] == ["red", "blue", "safe"]
    assert lines[0]["sha256"] == hashlib.sha256(RED.rgb).hexdigest()
    assert (lines[0]["width_px"], lines[0]["height_px"]) == (16, 8)


async def test_a_refused_frame_says_both_sizes(tmp_path: Path) -> None:
    async with board(tmp_path).open() as sign:
        with pytest.raises(DeviceRefusedError, match="16x8"):
            await sign.show(Frame(8, 16, bytes(384)), "turned")
        with pytest.raises(DeviceRefusedError, match="10 bytes"):
            await sign.show(Frame(16, 8, bytes(10)), "short")


async def test_a_ticker_of_the_card_is_recorded_and_begins_on_the_picture(tmp_path: Path) -> None:
    strip = Frame(40, 4, b"\xff\xff\0" * 160)
    async with board(tmp_path, ticker="card").open() as sign:
        await sign.show(RED, "with ticker", CardTicker(strip, 4, 30.0))
        line = record(tmp_path)[-1]
        assert (line["ticker_width_px"], line["ticker_y_px"], line["ticker_speed_px_s"]) == (40, 4, 30.0)
        shown = pixels(tmp_path / "board.png")
        assert shown[: 16 * 4 * 3] == RED.rgb[: 16 * 4 * 3]
        assert shown[16 * 4 * 3 :] == b"\xff\xff\0" * 64


async def test_zones_have_files_of_their_own_and_options_are_checked(tmp_path: Path) -> None:
    async with board(tmp_path, zone="market").open() as sign:
        await sign.show(RED, "red")
    assert (tmp_path / "board-market.png").exists()
    assert (tmp_path / "board-market.jsonl").exists()
    for wrong in ({"width_px": 0}, {"ticker": "lorry"}, {"colours": "sepia"}, {"refresh_hz": 0}):
        with pytest.raises(DriverSetupError, match=next(iter(wrong))):
            SimulatedBoard.from_options("sign", {"dir": str(tmp_path), **wrong})
