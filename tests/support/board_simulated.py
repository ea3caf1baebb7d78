"""The simulated board for the contract suite: what it shows is a picture file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from PIL import Image

from drivers.api import BoardDriver, BoardGeometry, CardTicker, Frame
from drivers.board.simulated import SimulatedBoard
from tests.support.boards import BenchFactory, Fault

GEOMETRY = BoardGeometry(64, 32)


class SimulatedBench:
    geometry = GEOMETRY
    faults = frozenset({Fault.VANISH, Fault.POWER_LOSS, Fault.FOREIGN})
    limit_s = 4.0
    former = True
    settle_s = 0.6

    def __init__(self, directory: Path, colours: str, ticker: str) -> None:
        self._directory = directory / "box"
        self._directory.mkdir()
        self._colours = colours
        self._ticker = ticker
        self._before = directory / "advertisement.png"
        Image.new("RGB", (64, 32), (255, 255, 0)).save(self._before)
        Image.open(self._before).save(self._directory / "board.png")

    def driver(self) -> BoardDriver:
        return SimulatedBoard.from_options(
            "sign",
            {
                "dir": str(self._directory),
                "width_px": 64,
                "height_px": 32,
                "colours": self._colours,
                "ticker": self._ticker,
                "commercial_picture": str(self._before),
            },
        )

    def shown(self) -> Frame:
        with Image.open(self._directory / "board.png") as picture:
            return Frame(picture.width, picture.height, picture.convert("RGB").tobytes())

    def ticker(self) -> CardTicker | None:
        return None

    def expected(self, frame: Frame) -> Frame:
        if self._colours == "full":
            return frame
        rgb = bytearray()
        for at in range(0, len(frame.rgb), 3):
            red, green, blue = (255 if value >= 128 else 0 for value in frame.rgb[at : at + 3])
            if self._colours == "mono":
                rgb += bytes([max(red, green, blue)]) * 3
            else:
                rgb += bytes((red, green, 0)) if red or green else bytes((blue, blue, 0))
        return Frame(frame.width_px, frame.height_px, bytes(rgb))

    def received(self) -> int:
        """Count lines of the record: whatever changes the board leaves one."""
        return len((self._directory / "board.jsonl").read_text().splitlines())

    async def inflict(self, fault: Fault) -> None:
        words = {
            Fault.VANISH: "board_missing",
            Fault.POWER_LOSS: "board_power_lost",
            Fault.FOREIGN: "board_changed",
        }
        (self._directory / "faults.toml").write_text(f"{words[fault]} = true\n")
        await _until_seen()

    async def mend(self) -> None:
        (self._directory / "faults.toml").unlink(missing_ok=True)
        await _until_seen()


async def _until_seen() -> None:
    """The fault file is looked at every 0.15 s."""
    await asyncio.sleep(0.4)


@asynccontextmanager
async def _bench(colours: str, ticker: str, directory: Path) -> AsyncIterator[SimulatedBench]:
    yield SimulatedBench(directory, colours, ticker)


BENCHES = (
    BenchFactory("simulated-frames", partial(_bench, "full", "frames")),
    BenchFactory("simulated-dual", partial(_bench, "dual", "none")),
    BenchFactory("simulated-mono", partial(_bench, "mono", "none")),
)
