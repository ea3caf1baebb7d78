"""What every amplifier owes: silence whenever its user is gone, mute before off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory

from drivers.amplifier.gpio import GpioAmplifier, Wiring
from drivers.amplifier.none import NoAmplifier
from drivers.amplifier.simulated import SimulatedAmplifier
from drivers.api import AmplifierDriver, AmplifierState, DeviceUnavailableError, DriverSetupError
from drivers.simulation import AmplifierCell


class KeptFactory(MockFactory):
    """Pins that a test can look at after the driver has let go of them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        pass


@dataclass
class Bench:
    """A driver, and the edges that reached the amplifier as (pin, on)."""

    driver: Any
    edges: Callable[[], list[tuple[str, bool]]]
    switches: bool = True
    extra: dict[str, Any] = field(default_factory=dict)


def gpio_bench(**wiring: Any) -> Bench:
    factory: Any = KeptFactory()
    plan = Wiring(**{"enable_pin": 5, "mute_pin": 6, **wiring})
    seen: list[tuple[str, bool]] = []
    names = {5: ("enable", plan.enable_active_high), 6: ("mute", plan.mute_active_high)}

    def watch(number: int) -> None:
        pin = factory.pin(number)
        original = pin._change_state

        def change(value: bool) -> bool:
            changed = bool(original(value))
            if changed:
                name, high = names[number]
                seen.append((name, value == high))
            return changed

        pin._change_state = change

    watch(5)
    watch(6)
    return Bench(GpioAmplifier("amp", plan, lambda: factory), lambda: seen, extra={"factory": factory})


@pytest.fixture(params=["gpio", "gpio-inverted", "simulated", "none"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    match request.param:
        case "gpio":
            return gpio_bench()
        case "gpio-inverted":
            return gpio_bench(enable_active_high=False, mute_active_high=False)
        case "simulated":
            driver = SimulatedAmplifier.from_options("amp", {"dir": str(tmp_path)})

            def edges() -> list[tuple[str, bool]]:
                lines = (tmp_path / "amplifier.jsonl").read_text().splitlines()
                return [(line["pin"], line["level"] == "on") for line in map(json.loads, lines)]

            return Bench(driver, edges)
        case _:
            return Bench(NoAmplifier.from_options("amp", {}), list, switches=False)


def is_safe(bench: Bench) -> bool:
    """Ended off, and was muted before that if it ever was on."""
    edges = bench.edges()
    state = dict(edges)
    if state.get("enable"):
        return False
    if ("enable", True) in edges:
        last_off = len(edges) - 1 - edges[::-1].index(("enable", False))
        before = [on for pin, on in edges[:last_off] if pin == "mute"]
        return not before or before[-1]
    return True


async def test_opens_muted_and_off(bench: Bench) -> None:
    driver: AmplifierDriver = bench.driver
    async with driver.open() as amplifier:
        assert await amplifier.read() == AmplifierState(powered=False, muted=True)
        await amplifier.probe()
    assert ("enable", True) not in bench.edges()


async def test_switches_as_told(bench: Bench) -> None:
    async with bench.driver.open() as amplifier:
        await amplifier.set_power(on=True)
        assert await amplifier.read() == AmplifierState(powered=True, muted=True)
        await amplifier.set_mute(muted=False)
        assert await amplifier.read() == AmplifierState(powered=True, muted=False)
        await amplifier.set_mute(muted=True)
        await amplifier.set_mute(muted=False)
    if bench.switches:
        used = [edge for edge in bench.edges() if edge != ("enable", False)]
        assert used[-4:] == [("mute", False), ("mute", True), ("mute", False), ("mute", True)]
    assert is_safe(bench)


async def test_off_mutes_first(bench: Bench) -> None:
    async with bench.driver.open() as amplifier:
        await amplifier.set_power(on=True)
        await amplifier.set_mute(muted=False)
        await amplifier.set_power(on=False)
        assert await amplifier.read() == AmplifierState(powered=False, muted=True)
    if bench.switches:
        assert bench.edges()[-2:] == [("mute", True), ("enable", False)]


async def test_safe_when_its_user_fails(bench: Bench) -> None:
    async def user() -> None:
        async with bench.driver.open() as amplifier:
            await amplifier.set_power(on=True)
            await amplifier.set_mute(muted=False)
            raise RuntimeError("user")

    with pytest.raises(RuntimeError, match="user"):
        await user()
    assert is_safe(bench)


@pytest.mark.parametrize("cancels", [1, 2])
async def test_safe_when_its_user_is_cancelled_even_twice(bench: Bench, cancels: int) -> None:
    running = asyncio.Event()

    async def user() -> None:
        async with bench.driver.open() as amplifier:
            await amplifier.set_power(on=True)
            await amplifier.set_mute(muted=False)
            running.set()
            await asyncio.sleep(30)

    task = asyncio.create_task(user())
    await running.wait()
    for _ in range(cancels):
        task.cancel()
        await asyncio.sleep(0.01)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_safe(bench)


async def test_can_be_opened_again(bench: Bench) -> None:
    for _ in range(2):
        async with bench.driver.open() as amplifier:
            await amplifier.set_power(on=True)
    assert is_safe(bench)


async def test_gpio_without_mute_and_with_fault_pin() -> None:
    bench = gpio_bench(mute_pin=None, fault_pin=7)
    async with bench.driver.open() as amplifier:
        assert await amplifier.read() == AmplifierState(powered=False, muted=True, fault=False)
        await amplifier.set_power(on=True)
        bench.extra["factory"].pin(7).drive_low()
        assert await amplifier.read() == AmplifierState(powered=True, muted=False, fault=True)
    assert bench.edges()[-1] == ("enable", False)


async def test_gpio_claims_mute_before_enable() -> None:
    bench = gpio_bench()
    async with bench.driver.open():
        pass
    assert bench.edges()[0] == ("mute", True)


async def test_gpio_that_cannot_work_says_so() -> None:
    with pytest.raises(DriverSetupError):
        async with gpio_bench(mute_pin=5).driver.open():
            raise AssertionError("claimed one pin twice")
    with pytest.raises(DriverSetupError, match="enable_pin"):
        GpioAmplifier.from_options("amp", {"mute_pin": 6})
    with pytest.raises(DriverSetupError, match="0 to 27"):
        GpioAmplifier.from_options("amp", {"enable_pin": 40})
    with pytest.raises(DriverSetupError, match="gain"):
        GpioAmplifier.from_options("amp", {"enable_pin": 4, "gain": 3})


async def test_no_gpio_chip_is_an_absent_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LG_WD", raising=False)
    monkeypatch.chdir(tmp_path)
    if Path("/dev/gpiochip0").exists():
        pytest.skip("this machine has a GPIO chip")
    with pytest.raises(DeviceUnavailableError, match="GPIO chip"):
        async with GpioAmplifier.from_options("amp", {"enable_pin": 17}).open():
            raise AssertionError("opened a chip that does not exist")
    assert not list(tmp_path.iterdir())


async def test_simulated_edges_and_cell(tmp_path: Path) -> None:
    driver = SimulatedAmplifier.from_options(
        "amp", {"dir": str(tmp_path), "zone": "market", "warm_up_ms": 200}
    )
    cell = AmplifierCell(tmp_path, "market")
    assert cell.load() is None
    async with driver.open() as amplifier:
        gate = cell.load()
        assert gate is not None
        assert not gate.passing
        await amplifier.set_power(on=True)
        await amplifier.set_mute(muted=False)
        gate = cell.load()
        assert gate is not None
        assert gate.passing
        assert 190_000_000 < gate.since_ns - gate.changed_ns <= 200_000_000
    gate = cell.load()
    assert gate is not None
    assert not gate.passing
    assert not gate.powered
    assert gate.muted
    cell.close()
    lines = [json.loads(line) for line in (tmp_path / "amplifier.jsonl").read_text().splitlines()]
    assert [(line["pin"], line["level"]) for line in lines] == [
        ("mute", "on"),
        ("enable", "on"),
        ("mute", "off"),
        ("mute", "on"),
        ("enable", "off"),
    ]
    assert all(line["zone"] == "market" and line["wall"].endswith("+00:00") for line in lines)
    assert lines[-1]["monotonic_ns"] - lines[-2]["monotonic_ns"] >= 50_000_000
