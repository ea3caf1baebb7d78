"""HUB75: the host process, what is said when the library is missing, and options."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from drivers.api import BoardGeometry, DeviceRefusedError, DeviceUnavailableError, DriverSetupError, Frame
from drivers.board.hub75.driver import Hub75Board
from drivers.board.hub75.emulator import PATH

SIZE = BoardGeometry(64, 32)
PANELS = {"rows": 32, "cols": 32, "chain_length": 2, "parallel": 1, "hardware_mapping": "regular"}
RED = Frame(64, 32, b"\xff\0\0" * 2048)


def panels(place: Path | None, **more: object) -> Hub75Board:
    environment = {"PYTHONPATH": str(PATH)} | ({} if place is None else {"RGBMATRIX_EMULATOR": str(place)})
    return Hub75Board("panels", SIZE, {**PANELS, **more}, environment=environment)


async def test_a_missing_library_says_what_to_install(tmp_path: Path) -> None:
    driver = Hub75Board("panels", SIZE, PANELS, environment={"PYTHONPATH": str(tmp_path)})
    with pytest.raises(
        DeviceUnavailableError, match=r"rgbmatrix is missing; install it .*rpi-rgb-led-matrix"
    ):
        async with driver.open():
            raise AssertionError("opened")


async def test_a_machine_without_pins_and_an_unknown_option_are_told(tmp_path: Path) -> None:
    for driver, says in (
        (panels(None), "Must run on a Raspberry Pi"),
        (panels(tmp_path, wobble=3), "wobble"),
        (panels(tmp_path, hardware_mapping="breadboard"), "breadboard"),
    ):
        with pytest.raises(DeviceUnavailableError, match=says):
            async with driver.open():
                raise AssertionError("opened")


async def test_panels_of_another_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceRefusedError, match="panels of 96 32 px; the board should have 64 32 px"):
        async with panels(tmp_path, chain_length=3).open():
            raise AssertionError("opened")


async def test_brightness_is_set_in_percent_and_the_picture_drawn_again(tmp_path: Path) -> None:
    async with panels(tmp_path).open() as board:
        await board.show(RED, "red")
        await board.brightness(0.5)
        said = json.loads((tmp_path / "panels.json").read_text())
        assert said["brightness"] == 50
        assert said["swaps"] == 2
        await board.brightness(0)
        assert json.loads((tmp_path / "panels.json").read_text())["brightness"] == 1


async def test_a_killed_host_is_started_again_and_its_brightness_set_again(tmp_path: Path) -> None:
    async with panels(tmp_path).open() as board:
        await board.show(RED, "red")
        await board.brightness(0.3)
        host = int((await board.status()).detail.split()[-1])
        os.kill(host, 9)
        time.sleep(0.1)
        with pytest.raises(DeviceUnavailableError, match="host ended"):
            await board.status()
        assert (await board.status()).lost
        await board.show(RED, "red")
        assert (tmp_path / "panels.rgb").read_bytes() == RED.rgb
        assert json.loads((tmp_path / "panels.json").read_text())["brightness"] == 30
        assert int((await board.status()).detail.split()[-1]) != host


async def test_no_host_is_left_behind(tmp_path: Path) -> None:
    async with panels(tmp_path).open() as board:
        host = int((await board.status()).detail.split()[-1])
        assert Path(f"/proc/{host}").exists()
    assert not Path(f"/proc/{host}").exists()
    assert not any((tmp_path / "panels.rgb").read_bytes())


async def test_signals_for_the_whole_service_leave_the_panels_to_their_board(tmp_path: Path) -> None:
    """A service manager signals every process: a host that ended first would leave its last row lit."""
    async with panels(tmp_path).open() as board:
        await board.show(RED, "red")
        host = int((await board.status()).detail.split()[-1])
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(host, number)
        time.sleep(0.1)
        assert int((await board.status()).detail.split()[-1]) == host
    assert not Path(f"/proc/{host}").exists()
    assert not any((tmp_path / "panels.rgb").read_bytes())


def test_panels_are_counted_from_the_size_of_the_board() -> None:
    board = Hub75Board.from_options("b", {"width_px": 256, "height_px": 64, "gpio_slowdown": 4})
    assert board._options["chain_length"] == 4
    assert board._options["parallel"] == 2
    assert board._options["gpio_slowdown"] == 4
    for wrong in (
        {"width_px": 256},
        {"width_px": 256, "height_px": 64, "hardware_mapping": "wires"},
        {"width_px": 256, "height_px": 64, "brightness": 0},
        {"width_px": 4096, "height_px": 64},
        {"width_px": 256, "height_px": 64, "gamma": 2},
    ):
        with pytest.raises(DriverSetupError):
            Hub75Board.from_options("b", wrong)
