"""Huidu cards for the contract suite of boards: pictures in flash, pictures in RAM, and firmware that appends."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from drivers.api import BoardDriver, BoardGeometry, CardTicker, Frame
from drivers.board.huidu.driver import HuiduBoard
from drivers.board.huidu.emulator import HuiduEmulator
from tests.support.boards import BenchFactory, Fault

GEOMETRY = BoardGeometry(96, 48)
_LIMIT_S = 0.5


class HuiduBench:
    geometry = GEOMETRY
    limit_s = 4.0
    former = True

    def __init__(self, directory: Path, card: HuiduEmulator, *, in_ram: bool) -> None:
        self.card = card
        self._directory = directory
        self._in_ram = in_ram
        # What is in flash survives: there is nothing to be lost.
        self.faults = frozenset(Fault) - (frozenset() if in_ram else {Fault.POWER_LOSS})

    def driver(self) -> BoardDriver:
        return HuiduBoard(
            "square",
            "127.0.0.1",
            GEOMETRY,
            port=self.card.port,
            in_ram=self._in_ram,
            keep_dir=self._directory / "keep",
            limit_s=_LIMIT_S,
        )

    def shown(self) -> Frame:
        return self.card.frame()

    def ticker(self) -> CardTicker | None:
        return self.card.ticker()

    def expected(self, frame: Frame) -> Frame:
        return frame

    def received(self) -> int:
        return self.card.received

    async def inflict(self, fault: Fault) -> None:
        match fault:
            case Fault.VANISH:
                await self.card.stop()
            case Fault.LATE:
                self.card.late_s = _LIMIT_S * 1.5
            case Fault.GARBAGE:
                self.card.garbage = True
            case Fault.HALF:
                self.card.half = True
            case Fault.NACK:
                self.card.nack = True
            case Fault.POWER_LOSS:
                self.card.power_cycle()
            case Fault.FOREIGN:
                self.card.put_foreign((0, 90, 200), "another-advert")
            case Fault.OTHER_MODEL:
                self.card.model, self.card.serial = "A3L", "A3L-D19-A0001"

    async def mend(self) -> None:
        self.card.late_s = 0.0
        self.card.garbage = self.card.half = self.card.nack = False
        with contextlib.suppress(OSError):  # it listens already
            await self.card.start()


@asynccontextmanager
async def _bench(
    directory: Path, *, in_ram: bool = False, appends: bool = False
) -> AsyncIterator[HuiduBench]:
    card = HuiduEmulator(GEOMETRY.width_px, GEOMETRY.height_px, appends=appends)
    card.put_foreign((200, 120, 0))
    await card.start()
    try:
        yield HuiduBench(directory, card, in_ram=in_ram)
    finally:
        await card.stop()


BENCHES = (
    BenchFactory("huidu", _bench),
    BenchFactory("huidu-ram", partial(_bench, in_ram=True)),
    BenchFactory("huidu-appends", partial(_bench, appends=True)),
)
