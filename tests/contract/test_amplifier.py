"""What every amplifier owes: silence whenever its user is gone, mute before off."""

from __future__ import annotations

import asyncio
import importlib
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory

from drivers.amplifier.gpio import GpioAmplifier
from drivers.amplifier.none import NoAmplifier
from drivers.amplifier.simulated import SimulatedAmplifier
from drivers.amplifier.wiring import Wiring
from drivers.api import Amplifier, AmplifierDriver, AmplifierState, DeviceUnavailableError, DriverSetupError
from drivers.gpio import steady_pin
from drivers.simulation import AmplifierCell
from tests.contract.gpio_sim import SimulatedChip, simulated_chip


class KeptFactory(MockFactory):
    """Pins that a test can look at after the driver has let go of them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        pass


ALL_PINS: dict[str, Any] = {"standby_pin": 13, "line_pin": 19, "supply_ms": 20, "standby_ms": 10}


@dataclass
class Bench:
    """A driver, and the edges that reached the amplifier as (pin, on)."""

    driver: Any
    edges: Callable[[], list[tuple[str, bool]]]
    switches: bool = True
    extra: dict[str, Any] = field(default_factory=dict)

    def main_edges(self) -> list[tuple[str, bool]]:
        """Edges of supply and mute alone."""
        return [edge for edge in self.edges() if edge[0] in {"enable", "mute"}]


def watch(pin: Any, change: str, seen: Callable[[bool], None]) -> None:
    """Have `seen` called with each level that a pin is given."""
    original = getattr(pin, change)

    def wrapped(value: bool) -> Any:
        result = original(value)
        seen(bool(value))
        return result

    setattr(pin, change, wrapped)


def gpio_bench(factory: Any = None, *, ways: tuple[str, ...] = ("_change_state",), **wiring: Any) -> Bench:
    """The GPIO driver on mock pins, or on those of another factory, whose pins are written in these ways."""
    factory = KeptFactory() if factory is None else factory
    plan = Wiring(**{"enable_pin": 5, "mute_pin": 6, **wiring})
    seen: list[tuple[str, bool]] = []

    def note(name: str, high: bool) -> Callable[[bool], None]:
        return lambda level: seen.append((name, level == high))

    for name, number, high in (
        ("enable", plan.enable_pin, plan.enable_active_high),
        ("mute", plan.mute_pin, plan.mute_active_high),
        ("standby", plan.standby_pin, plan.standby_active_high),
        ("line", plan.line_pin, plan.line_active_high),
    ):
        if number is not None:
            for way in ways:
                watch(factory.pin(number), way, note(name, high))

    def edges() -> list[tuple[str, bool]]:
        """Changes only, counted from pins that are off."""
        state = {"enable": False, "line": False}
        found = []
        for name, on in seen:
            if state.get(name) is not on:
                found.append((name, on))
            state[name] = on
        return found

    return Bench(GpioAmplifier("amp", plan, lambda: factory), edges, extra={"factory": factory})


@pytest.fixture
def chip() -> Iterator[SimulatedChip]:
    with simulated_chip(lines=28) as found:
        yield found


BENCHES = [
    *("gpio", "gpio-inverted", "gpio-all-pins", "gpio-all-pins-inverted", "gpio-sim"),
    *("simulated", "simulated-relays", "simulated-spare", "none"),
]


@pytest.fixture(params=BENCHES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    inverted: dict[str, Any] = {"enable_active_high": False, "mute_active_high": False}
    match request.param:
        case "gpio":
            return gpio_bench()
        case "gpio-inverted":
            return gpio_bench(**inverted)
        case "gpio-all-pins":
            return gpio_bench(**ALL_PINS)
        case "gpio-all-pins-inverted":
            return gpio_bench(**ALL_PINS, **inverted, standby_active_high=True, line_active_high=False)
        case "gpio-sim":
            found = request.getfixturevalue("chip")
            return gpio_bench(found.factory(), ways=("output_with_state", "_set_state"), **ALL_PINS)
        case "none":
            return Bench(NoAmplifier.from_options("amp", {}), list, switches=False)
        case kind:
            options = {"dir": str(tmp_path), "relays": "relays" in kind, "spare": "spare" in kind}
            driver = SimulatedAmplifier.from_options("amp", options)

            def edges() -> list[tuple[str, bool]]:
                lines = (tmp_path / "amplifier.jsonl").read_text().splitlines()
                return [
                    (line["pin"].removeprefix("spare_"), line["level"] == "on")
                    for line in map(json.loads, lines)
                ]

            return Bench(driver, edges)


async def powered_and_muted(amplifier: Amplifier) -> tuple[bool, bool]:
    state = await amplifier.read()
    assert not state.fault
    return state.powered, state.muted


def is_safe(bench: Bench) -> bool:
    """Ended off, and was muted before that if it ever was on."""
    edges = bench.edges()
    state = dict(edges)
    if state.get("enable") or state.get("line") or state.get("standby") is False:
        return False
    if ("enable", True) in edges:
        last_off = len(edges) - 1 - edges[::-1].index(("enable", False))
        before = [on for pin, on in edges[:last_off] if pin == "mute"]
        return not before or before[-1]
    return True


async def test_opens_muted_and_off(bench: Bench) -> None:
    driver: AmplifierDriver = bench.driver
    async with driver.open() as amplifier:
        assert await powered_and_muted(amplifier) == (False, True)
        await amplifier.probe()
    assert ("enable", True) not in bench.edges()


async def test_switches_as_told(bench: Bench) -> None:
    async with bench.driver.open() as amplifier:
        await amplifier.set_power(on=True)
        assert await powered_and_muted(amplifier) == (True, True)
        await amplifier.set_mute(muted=False)
        assert await powered_and_muted(amplifier) == (True, False)
        await amplifier.set_mute(muted=True)
        await amplifier.set_mute(muted=False)
    if bench.switches:
        used = [edge for edge in bench.main_edges() if edge != ("enable", False)]
        assert used[-4:] == [("mute", False), ("mute", True), ("mute", False), ("mute", True)]
    assert is_safe(bench)


async def test_off_mutes_first(bench: Bench) -> None:
    async with bench.driver.open() as amplifier:
        await amplifier.set_power(on=True)
        await amplifier.set_mute(muted=False)
        await amplifier.set_power(on=False)
        assert await powered_and_muted(amplifier) == (False, True)
    if bench.switches:
        assert bench.main_edges()[-2:] == [("mute", True), ("enable", False)]


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
    with pytest.raises(DriverSetupError, match="named twice"):
        GpioAmplifier.from_options("amp", {"enable_pin": 4, "line_pin": 4})
    with pytest.raises(DriverSetupError, match="supply_ms"):
        GpioAmplifier.from_options("amp", {"enable_pin": 4, "supply_ms": 5000})


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


UP = [("enable", True), ("standby", False), ("line", True), ("mute", False)]
DOWN = [("mute", True), ("line", False), ("standby", True), ("enable", False)]


async def test_all_pins_go_up_and_down_in_order() -> None:
    bench = gpio_bench(**ALL_PINS)
    async with bench.driver.open() as amplifier:
        assert bench.edges() == [("mute", True), ("standby", True)]
        for _ in range(2):
            begun = len(bench.edges())
            await amplifier.set_power(on=True)
            await amplifier.set_mute(muted=False)
            await amplifier.set_power(on=False)
            assert bench.edges()[begun:] == UP + DOWN


async def test_pauses_lie_between_the_steps(tmp_path: Path) -> None:
    driver = SimulatedAmplifier.from_options(
        "amp", {"dir": str(tmp_path), "relays": True, "supply_ms": 120, "standby_ms": 60}
    )
    async with driver.open() as amplifier:
        await amplifier.set_power(on=True)
        await amplifier.set_mute(muted=False)
        await amplifier.set_power(on=False)
    lines = [json.loads(line) for line in (tmp_path / "amplifier.jsonl").read_text().splitlines()]
    at = {(line["pin"], line["level"]): line["monotonic_ns"] / 1e6 for line in lines}
    assert at["standby", "off"] - at["enable", "on"] >= 119
    assert at["line", "on"] - at["standby", "off"] >= 59
    assert at["line", "off"] - at["mute", "on"] >= 49
    assert at["enable", "off"] - at["line", "off"] >= 19


async def test_off_overtakes_on() -> None:
    bench = gpio_bench(standby_pin=13, line_pin=19, supply_ms=1000)
    async with bench.driver.open() as amplifier, asyncio.TaskGroup() as group:
        group.create_task(amplifier.set_power(on=True))
        await asyncio.sleep(0.02)
        begun = asyncio.get_running_loop().time()
        await amplifier.set_power(on=False)
        assert asyncio.get_running_loop().time() - begun < 0.5
        assert bench.edges()[-2:] == [("enable", True), ("enable", False)]
    assert ("line", True) not in bench.edges()
    assert ("standby", False) not in bench.edges()


async def test_on_overtakes_off() -> None:
    bench = gpio_bench(**ALL_PINS)
    async with bench.driver.open() as amplifier, asyncio.TaskGroup() as group:
        await amplifier.set_power(on=True)
        await amplifier.set_mute(muted=False)
        group.create_task(amplifier.set_power(on=False))
        await asyncio.sleep(0.02)
        await amplifier.set_power(on=True)
        await asyncio.sleep(0.15)
        assert await powered_and_muted(amplifier) == (True, True)
        assert dict(bench.edges())["line"] is True


async def test_unmuting_while_it_is_being_switched_off_changes_nothing() -> None:
    bench = gpio_bench(**ALL_PINS)
    async with bench.driver.open() as amplifier, asyncio.TaskGroup() as group:
        await amplifier.set_power(on=True)
        await amplifier.set_mute(muted=False)
        group.create_task(amplifier.set_power(on=False))
        await asyncio.sleep(0.02)
        await amplifier.set_mute(muted=False)
    assert bench.edges()[-4:] == DOWN


async def test_switching_on_mutes_first() -> None:
    bench = gpio_bench()
    async with bench.driver.open() as amplifier:
        await amplifier.set_mute(muted=False)
        await amplifier.set_power(on=True)
        assert bench.edges()[-2:] == [("mute", True), ("enable", True)]


@pytest.mark.parametrize("moment", [0.0, 0.03, 0.06])
async def test_cancelled_while_switching_ends_safe(moment: float) -> None:
    bench = gpio_bench(**{**ALL_PINS, "supply_ms": 40, "standby_ms": 40})

    async def user() -> None:
        async with bench.driver.open() as amplifier:
            await amplifier.set_power(on=True)
            await amplifier.set_mute(muted=False)
            await asyncio.sleep(30)

    task = asyncio.create_task(user())
    await asyncio.sleep(0.02 + moment)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_safe(bench)


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_is_ordered_at_once_nothing_pops_and_the_last_power_order_wins(seed: int) -> None:
    """Power and mute ordered by several users at the same time, some of them cancelled in the middle."""
    chance = random.Random(seed)
    bench = gpio_bench(**{**ALL_PINS, "supply_ms": 5, "standby_ms": 5})
    async with bench.driver.open() as amplifier:
        on = False
        async with asyncio.TaskGroup() as group:
            for _ in range(25):
                await asyncio.sleep(chance.choice((0.0, 0.003, 0.01, 0.03)))
                match chance.randrange(4):
                    case 0:
                        # Unmuted by users who believe that it is on, as they would in real life.
                        if (await amplifier.read()).powered:
                            await amplifier.set_mute(muted=chance.random() < 0.5)
                    case choice:
                        on = choice == 1
                        task = group.create_task(amplifier.set_power(on=on))
                        await asyncio.sleep(0)
                        if chance.random() < 0.2:
                            task.cancel()
                            on = False
                            group.create_task(amplifier.set_power(on=False))
                            await asyncio.sleep(0)
        assert (await amplifier.read()).powered is on
    state = {"enable": False, "mute": True, "line": False, "standby": True}
    for pin, level in bench.edges():
        if (pin, level) in {("line", False), ("standby", True), ("enable", False)} and state[pin] != level:
            assert state["mute"], "let go of while it sounded"
        if (pin, level) == ("enable", True):
            assert state["mute"], "switched on while it would sound"
        state[pin] = level
    assert is_safe(bench)


async def test_a_short_glitch_of_the_fault_pin_is_no_fault() -> None:
    bench = gpio_bench(fault_pin=7)
    async with bench.driver.open() as amplifier, asyncio.TaskGroup() as group:
        pin = bench.extra["factory"].pin(7)
        pin.drive_low()
        reading = group.create_task(amplifier.read())
        await asyncio.sleep(0.005)
        pin.drive_high()
        assert (await reading).fault is False


async def test_simulated_fault_pin_follows_the_faults(tmp_path: Path) -> None:
    main = SimulatedAmplifier.from_options("amp", {"dir": str(tmp_path)})
    spare = SimulatedAmplifier.from_options("spare", {"dir": str(tmp_path), "spare": True})
    async with main.open() as amplifier, spare.open() as second:
        assert (await amplifier.read()).fault is False
        (tmp_path / "faults.toml").write_text("amplifier_fault = true\n")
        await asyncio.sleep(0.2)
        assert (await amplifier.read()).fault is True
        assert (await second.read()).fault is None
        (tmp_path / "faults.toml").unlink()
        await asyncio.sleep(0.2)
        assert (await amplifier.read()).fault is False


async def test_main_and_spare_have_cells_and_pins_of_their_own(tmp_path: Path) -> None:
    main = SimulatedAmplifier.from_options("amp", {"dir": str(tmp_path)})
    spare = SimulatedAmplifier.from_options("spare", {"dir": str(tmp_path), "spare": True})
    cells = AmplifierCell(tmp_path, "main"), AmplifierCell(tmp_path, "main", spare=True)
    async with main.open(), spare.open() as second:
        await second.set_power(on=True)
        await second.set_mute(muted=False)
        gates = [cell.load() for cell in cells]
        assert [gate is not None and gate.passing for gate in gates] == [False, True]
    for cell in cells:
        cell.close()
    lines = [json.loads(line) for line in (tmp_path / "amplifier.jsonl").read_text().splitlines()]
    assert ("spare_enable", "on") in [(line["pin"], line["level"]) for line in lines]
    assert ("enable", "on") not in [(line["pin"], line["level"]) for line in lines]


async def test_simulated_relays_are_in_the_way_of_the_sound(tmp_path: Path) -> None:
    driver = SimulatedAmplifier.from_options("amp", {"dir": str(tmp_path), "relays": True, "supply_ms": 100})
    cell = AmplifierCell(tmp_path, "main")
    async with driver.open() as amplifier, asyncio.TaskGroup() as group:
        group.create_task(amplifier.set_power(on=True))
        await asyncio.sleep(0.03)
        await amplifier.set_mute(muted=False)
        gate = cell.load()
        assert gate is not None
        assert (gate.powered, gate.muted, gate.passing) == (True, False, False)
        await asyncio.sleep(0.2)
        gate = cell.load()
        assert gate is not None
        assert gate.passing
    cell.close()


async def test_on_a_chip_of_the_kernel_the_levels_are_real(chip: SimulatedChip) -> None:
    bench = gpio_bench(chip.factory(), ways=(), fault_pin=12, **ALL_PINS)
    async with bench.driver.open() as amplifier:
        assert [chip.level(pin) for pin in (5, 6, 13, 19)] == [False, True, False, False]
        await amplifier.set_power(on=True)
        await amplifier.set_mute(muted=False)
        assert [chip.level(pin) for pin in (5, 6, 13, 19)] == [True, False, True, True]
        chip.pull(12, up=False)
        assert (await amplifier.read()).fault is True
        chip.pull(12, up=True)
        assert (await amplifier.read()).fault is False
        await amplifier.set_power(on=False)
        assert [chip.level(pin) for pin in (5, 6, 13, 19)] == [False, True, False, False]


@pytest.mark.parametrize("level", [True, False])
def test_a_pin_becomes_an_output_at_its_level(level: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pins = importlib.import_module("gpiozero.pins.lgpio")
    claimed = []
    monkeypatch.setattr(pins.lgpio, "gpio_claim_output", lambda *arguments: claimed.append(arguments))
    pin = SimpleNamespace(factory=SimpleNamespace(_handle=3), _number=17)
    steady_pin(pins).output_with_state(pin, level)
    assert claimed == [(3, 17, int(level))]
