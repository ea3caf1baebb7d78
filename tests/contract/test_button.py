"""What every button owes: each press once, with its length, when it is let go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory

from drivers.api import Button, ButtonDriver
from drivers.sensor.gpio_button import Debouncer, GpioButton
from drivers.sensor.simulated_button import SimulatedButton


@dataclass
class Bench:
    driver: ButtonDriver
    press: Callable[[float], Awaitable[None]]


def gpio(*, pull_up: bool) -> Bench:
    factory: Any = MockFactory()  # type: ignore[no-untyped-call]

    async def press(seconds: float) -> None:
        pin = factory.pin(23)
        down, up = (pin.drive_low, pin.drive_high) if pull_up else (pin.drive_high, pin.drive_low)
        for _ in range(3):  # a contact bounces as it closes
            down()
            up()
        down()
        await asyncio.sleep(seconds)
        up()
        down()
        up()

    driver = GpioButton("stop", 23, pull_up=pull_up, factory=lambda: factory)
    factory.close = lambda: None
    return Bench(driver, press)


def simulated(box: Path) -> Bench:
    async def press(seconds: float) -> None:
        with (box / "button").open("a") as file:
            file.write(f"{seconds}\n")

    return Bench(SimulatedButton.from_options("stop", {"dir": str(box)}), press)


@pytest.fixture(params=["gpio", "gpio-pull-down", "simulated"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    match request.param:
        case "gpio":
            return gpio(pull_up=True)
        case "gpio-pull-down":
            return gpio(pull_up=False)
        case _:
            return simulated(tmp_path)


async def take(button: Button, count: int) -> list[float]:
    found = []
    async with asyncio.timeout(10):
        async for seconds in button.presses():
            found.append(seconds)
            if len(found) == count:
                break
    return found


async def test_a_press_has_its_length(bench: Bench) -> None:
    async with bench.driver.open() as button, asyncio.TaskGroup() as group:
        presses = group.create_task(take(button, 2))
        await asyncio.sleep(0)
        await bench.press(0.2)
        await asyncio.sleep(0.1)
        await bench.press(0.4)
    first, second = presses.result()
    assert 0.19 <= first < 1.0
    assert 0.39 <= second < 1.2


async def test_nobody_pressed_gives_nothing(bench: Bench) -> None:
    async with bench.driver.open() as button:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await take(button, 1)


async def test_too_short_a_press_is_none(bench: Bench) -> None:
    async with bench.driver.open() as button:
        await bench.press(0.0)
        await asyncio.sleep(0.05)
        await bench.press(0.3)
        assert (await take(button, 1))[0] >= 0.29


async def test_a_button_held_down_at_the_start_is_no_press() -> None:
    factory: Any = MockFactory()  # type: ignore[no-untyped-call]
    pin = factory.pin(23)
    driver = GpioButton("stop", 23, factory=lambda: factory)

    class HeldDown(type(pin)):  # type: ignore[misc]
        def _set_pull(self, value: str) -> None:
            self._pull = value
            self._state = False

    pin.__class__ = HeldDown
    async with driver.open() as button, asyncio.TaskGroup() as group:
        presses = group.create_task(take(button, 1))
        await asyncio.sleep(0.1)
        pin.drive_high()
        await asyncio.sleep(0.1)
        assert not presses.done()
        pin.drive_low()
        await asyncio.sleep(0.2)
        pin.drive_high()
    assert 0.15 < presses.result()[0] < 1.0


MS = 1_000_000


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ([(True, 0), (False, 300)], [0.3]),
        ([(True, 0), (False, 5), (True, 8), (False, 308)], [0.3]),  # bounces as it closes
        ([(True, 0), (False, 300), (True, 303), (False, 309)], [0.309]),  # and as it opens
        ([(True, 0), (False, 19)], []),  # never stood
        ([(True, 0), (False, 30)], []),  # shorter than 50 ms
        ([(True, 0), (False, 100), (True, 200), (False, 400)], [0.1, 0.2]),
        ([(False, 0), (False, 100)], []),
    ],
)
def test_debouncing(edges: list[tuple[bool, int]], expected: list[float]) -> None:
    debouncer = Debouncer(pressed=False)
    found = [debouncer.edge(pressed=pressed, at_ns=at * MS) for pressed, at in edges]
    found.append(debouncer.settle((edges[-1][1] + 20) * MS))
    assert [round(press, 3) for press in found if press is not None] == expected
    assert not debouncer.settling


async def test_simulated_button_ignores_what_is_no_press(tmp_path: Path) -> None:
    path = tmp_path / "button"
    path.write_text("9\n9\n")
    async with SimulatedButton.from_options("stop", {"dir": str(tmp_path)}).open() as button:
        with path.open("a") as file:
            file.write("long\n-1\nnan\ninf\n0.01\n" + "9" * 10_000 + "\n\n3")
        listening = button.presses()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await anext(listening)
        with path.open("a") as file:
            file.write(".5\n")
        assert await take(button, 1) == [3.5]
        path.write_text("2\n")  # begun anew
        begun = time.monotonic()
        assert await take(button, 1) == [2.0]
        assert time.monotonic() - begun < 5
