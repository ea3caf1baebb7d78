"""Benches for the contract suite of boards: a driver wired to its emulator, and the emulator's own view of it.

A driver joins by a module `tests/support/board_<name>.py` with `BENCHES: tuple[BenchFactory, ...]`; the suite in
`tests/contract/test_board.py` runs every test over every bench. `shown` must be decoded by the emulator from
protocol facts, never by the driver's codec.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from drivers.api import (
    BoardDriver,
    BoardGeometry,
    CardTicker,
    DeviceProtocolError,
    DeviceRefusedError,
    DeviceUnavailableError,
    DriverError,
    Frame,
)


class Fault(StrEnum):
    """What a bench can do to its board."""

    VANISH = "vanish"
    """Cable pulled: no answer at all, connections are closed or refused."""

    LATE = "late"
    """Answers, but later than the driver waits."""

    GARBAGE = "garbage"
    """Answers with bytes that the protocol does not allow."""

    HALF = "half"
    """Begins an answer and stops in the middle."""

    NACK = "nack"
    """Understands and declines."""

    POWER_LOSS = "power_loss"
    """The card was without power for a moment: it answers, and has forgotten what it was given."""

    FOREIGN = "foreign"
    """Somebody else puts a picture on the card."""

    OTHER_MODEL = "other_model"
    """The card was replaced by one of another model or size."""


EXPECTED: dict[Fault, tuple[type[DriverError], ...]] = {
    Fault.VANISH: (DeviceUnavailableError,),
    Fault.LATE: (DeviceUnavailableError,),
    Fault.GARBAGE: (DeviceProtocolError, DeviceUnavailableError),
    Fault.HALF: (DeviceProtocolError, DeviceUnavailableError),
    Fault.NACK: (DeviceRefusedError,),
}
"""What `show` raises while a fault is there."""


class Bench(Protocol):
    """One driver and its emulator.

    Attributes:
        geometry: of the board that `driver` makes.
        faults: those that `inflict` knows; the tests of others are skipped.
        limit_s: longest time that any call of the driver may take, whatever happens.
        former: whether something was on the board before us, which handing back brings back. `shown` tells it
            before `open`. Where False, handing back must leave the board dark or as it was before us.

    Two more may be there: `keeps = False` for panels that are dark as soon as their program has left, and
    `settle_s`, how long `shown` may lag behind a canvas.
    """

    geometry: BoardGeometry
    faults: frozenset[Fault]
    limit_s: float
    former: bool

    def driver(self) -> BoardDriver:
        """Make a driver wired to the emulator; may be called more than once."""
        ...

    def shown(self) -> Frame:
        """Tell what is on the board, as the emulator decodes it, without a card ticker; dark is all zeros."""
        ...

    def ticker(self) -> CardTicker | None:
        """Tell what the card moves, None when it moves nothing or cannot; speed as the card has it."""
        ...

    def expected(self, frame: Frame) -> Frame:
        """What `shown` should be after `show(frame)`: the board's colours and depth; not calling the driver."""
        ...

    def received(self) -> int:
        """Count whatever came from the driver so far (bytes, packets, ioctls): still when it sends nothing."""
        ...

    async def inflict(self, fault: Fault) -> None:
        """Let a fault begin, or happen at once if it is a moment (POWER_LOSS, FOREIGN, OTHER_MODEL)."""
        ...

    async def mend(self) -> None:
        """End every lasting fault."""
        ...


@dataclass(frozen=True, slots=True)
class BenchFactory:
    """Makes benches: `make(directory)` is entered for each test, with an empty directory of its own.

    Benches that are `slow` belong to `make test`, not to `make check`.
    """

    name: str
    make: Callable[[Path], AbstractAsyncContextManager[Bench]]
    slow: bool = False

    def __str__(self) -> str:
        return self.name


_MODULES = ("simulated", "fbdev", "drm", "hub75", "colorlight", "onbon", "huidu", "alpha")


def benches() -> tuple[BenchFactory, ...]:
    """Every bench there is: `BENCHES` of each `tests.support.board_<name>` that exists."""
    found: list[BenchFactory] = []
    for name in _MODULES:
        module = f"tests.support.board_{name}"
        if importlib.util.find_spec(module) is not None:
            found.extend(importlib.import_module(module).BENCHES)
    return tuple(found)


def plain(geometry: BoardGeometry, colour: tuple[int, int, int]) -> Frame:
    """A frame of one colour."""
    return Frame(
        geometry.width_px, geometry.height_px, bytes(colour) * (geometry.width_px * geometry.height_px)
    )


def corners(geometry: BoardGeometry, shift: int = 0) -> Frame:
    """The eight colours of full or no channels in an uneven pattern that shows swapped rows, columns, channels."""
    rgb = bytearray()
    for y in range(geometry.height_px):
        for x in range(geometry.width_px):
            which = (x * 3 + y * 5 + (x * y) // 7 + shift) % 8
            rgb += bytes((255 * (which & 1), 255 * (which >> 1 & 1), 255 * (which >> 2 & 1)))
    return Frame(geometry.width_px, geometry.height_px, bytes(rgb))


def gradient(geometry: BoardGeometry) -> Frame:
    """Every channel with values between, for boards of all colours."""
    rgb = bytearray()
    for y in range(geometry.height_px):
        for x in range(geometry.width_px):
            rgb += bytes(((x * 7) % 256, (y * 11 + x) % 256, (x * 3 + y * 13) % 256))
    return Frame(geometry.width_px, geometry.height_px, bytes(rgb))


def dark(geometry: BoardGeometry) -> Frame:
    return plain(geometry, (0, 0, 0))


def keeps(bench: Bench) -> bool:
    """Whether the board shows anything after its driver has left."""
    return bool(getattr(bench, "keeps", True))


async def settled(bench: Bench) -> None:
    """Wait until `shown` has followed the canvas."""
    await asyncio.sleep(float(getattr(bench, "settle_s", 0.0)))


def is_dark(frame: Frame) -> bool:
    return not any(frame.rgb)
