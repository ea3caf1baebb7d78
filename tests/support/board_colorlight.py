"""An emulated receiver card of two firmwares for the contract suite of boards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from drivers.api import BoardDriver, BoardGeometry, CardTicker, Frame
from drivers.board.colorlight.driver import ColorlightBoard
from drivers.board.colorlight.emulator import EmulatedCard, EmulatedLink
from tests.support.boards import BenchFactory, Fault

GEOMETRY = BoardGeometry(510, 16)


class ColorlightBench:
    geometry = GEOMETRY
    faults = frozenset({Fault.VANISH, Fault.POWER_LOSS, Fault.OTHER_MODEL})
    limit_s = 4.0
    former = False

    def __init__(self, firmware: tuple[int, int]) -> None:
        self.card = EmulatedCard(GEOMETRY.width_px, GEOMETRY.height_px, firmware, uptime_s=3600)
        self.link = EmulatedLink(self.card)
        self.same_card = True

    def driver(self) -> BoardDriver:
        return ColorlightBoard("wall", GEOMETRY, lambda: self.link)

    def shown(self) -> Frame:
        return Frame(GEOMETRY.width_px, GEOMETRY.height_px, self.card.shown)

    def ticker(self) -> CardTicker | None:
        return None

    def expected(self, frame: Frame) -> Frame:
        return frame

    def received(self) -> int:
        return self.card.frames

    async def inflict(self, fault: Fault) -> None:
        if fault is Fault.VANISH:
            self.link.plugged = False
        elif fault is Fault.POWER_LOSS:
            self.card.power_cycle()
        else:
            self.same_card = False
            self.card.width_px = 256
            self.card.firmware = (13, 2)

    async def mend(self) -> None:
        self.link.plugged = True


@asynccontextmanager
async def _bench(firmware: tuple[int, int], _: Path) -> AsyncIterator[ColorlightBench]:
    bench = ColorlightBench(firmware)
    yield bench
    assert not (bench.same_card and bench.card.complaints)


BENCHES = tuple(
    BenchFactory(f"colorlight-{major}", partial(_bench, (major, minor)))
    for major, minor in ((11, 9), (13, 5))
)
