"""HUB75 panels made of a file, refreshed by the real host, for the contract suite of boards."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from drivers.api import BoardDriver, BoardGeometry, CardTicker, Frame
from drivers.board.hub75.driver import Hub75Board
from drivers.board.hub75.emulator import PATH
from tests.support.boards import BenchFactory, Fault

GEOMETRY = BoardGeometry(64, 32)
OPTIONS = {"rows": 32, "cols": 32, "chain_length": 2, "parallel": 1, "hardware_mapping": "regular"}


class Hub75Bench:
    geometry = GEOMETRY
    faults = frozenset({Fault.VANISH, Fault.LATE, Fault.GARBAGE, Fault.NACK})
    limit_s = 5.0
    former = False
    keeps = False

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._missing = False

    def driver(self) -> BoardDriver:
        environment = {"PYTHONPATH": str(PATH), "RGBMATRIX_EMULATOR": str(self.directory)}
        return Hub75Board("panels", GEOMETRY, OPTIONS, environment=environment)

    def shown(self) -> Frame:
        try:
            return Frame(64, 32, (self.directory / "panels.rgb").read_bytes())
        except FileNotFoundError:
            return Frame(64, 32, bytes(64 * 32 * 3))

    def ticker(self) -> CardTicker | None:
        return None

    def expected(self, frame: Frame) -> Frame:
        return frame

    def received(self) -> int:
        swaps = json.loads((self.directory / "panels.json").read_text())["swaps"]
        assert isinstance(swaps, int)
        return swaps

    async def inflict(self, fault: Fault) -> None:
        words = {
            Fault.VANISH: "exit",
            Fault.LATE: "hang",
            Fault.GARBAGE: "garbage",
            Fault.NACK: "no such panel",
        }
        (self.directory / "fault").write_text(words[fault])

    async def mend(self) -> None:
        (self.directory / "fault").unlink(missing_ok=True)


@asynccontextmanager
async def _bench(directory: Path) -> AsyncIterator[Hub75Bench]:
    yield Hub75Bench(directory)


BENCHES = (BenchFactory("hub75", _bench),)
