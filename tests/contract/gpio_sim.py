"""A simulated GPIO chip of the kernel (module gpio-sim, through configfs), where there is one.

Source: Documentation/admin-guide/gpio/gpio-sim.rst of Linux.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.gpio import steady_pin

CONFIGFS = Path("/sys/kernel/config/gpio-sim")
PLATFORM = Path("/sys/devices/platform")


class SimulatedChip:
    """The chip, live; levels are read and inputs are pulled through sysfs, behind the driver's back."""

    def __init__(self, device: str, chip: str) -> None:
        self.number = int(chip.removeprefix("gpiochip"))
        self._lines = PLATFORM / device / chip
        self._opened: list[Callable[[], None]] = []

    def level(self, line: int) -> bool:
        return (self._lines / f"sim_gpio{line}/value").read_text().strip() == "1"

    def pull(self, line: int, *, up: bool) -> None:
        (self._lines / f"sim_gpio{line}/pull").write_text("pull-up" if up else "pull-down")

    def factory(self) -> Any:
        """The lgpio pins our drivers use, on this chip; `close` does nothing, so that it can be used again."""
        pins: Any = importlib.import_module("gpiozero.pins.lgpio")

        class Factory(pins.LGPIOFactory):  # type: ignore[misc]
            def _get_revision(self) -> int:
                return 0xA02082  # a Raspberry Pi 3, for the numbers of its header

        factory = Factory(chip=self.number)
        factory.pin_class = steady_pin(pins)
        self._opened.append(factory.close)
        factory.close = lambda: None
        return factory

    def release(self) -> None:
        for close in self._opened:
            close()


@contextmanager
def simulated_chip(lines: int) -> Iterator[SimulatedChip]:
    """Make a chip and take it away again; skips the test where the kernel does not offer it."""
    if not CONFIGFS.is_dir():
        pytest.skip(f"this kernel has no gpio-sim ({CONFIGFS} is missing: modprobe gpio-sim, mount configfs)")
    if not os.access(CONFIGFS, os.W_OK):
        pytest.skip(f"{CONFIGFS} may not be written by this user")
    device = CONFIGFS / f"tieng-lang-{os.getpid()}"
    bank = device / "bank"
    device.mkdir()
    try:
        bank.mkdir()
        (bank / "num_lines").write_text(str(lines))
        (device / "live").write_text("1")
        chip = SimulatedChip(
            (device / "dev_name").read_text().strip(), (bank / "chip_name").read_text().strip()
        )
        try:
            yield chip
        finally:
            chip.release()
    finally:
        (device / "live").write_text("0")
        bank.rmdir()
        device.rmdir()
