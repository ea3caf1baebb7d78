"""A simulated electronic board: the picture it shows is `board.png`, what it was told is in `board.jsonl`."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from drivers.api import (
    Board,
    BoardAbilities,
    BoardGeometry,
    BoardStatus,
    Canvas,
    CardTicker,
    Colours,
    DeviceRefusedError,
    DeviceUnavailableError,
    DriverSetupError,
    Frame,
    Options,
    TickerKind,
)
from drivers.board.leaving import see_through
from drivers.board.picture_file import CHANNELS, reduced, stripes, with_ticker
from drivers.board.simulated_canvas import SimulatedCanvas
from drivers.board.simulated_picture import PictureFile
from drivers.journal import Journal
from drivers.options import integer, refuse_unknown, text
from drivers.simulation import FaultFile, place, suffixed

if TYPE_CHECKING:
    from drivers.api import BoardDriver

logger = logging.getLogger(__name__)

_SIDE_MAX_PX = 7680
_SLOW_S = 3.0
_TICKER_MAX_PX = 4096
_WATCH_S = 0.1
_NIGHT, _DAY = 40, 11551


@dataclass(frozen=True, slots=True)
class Build:
    """What kind of board is imitated; see `SimulatedBoard.from_options`."""

    geometry: BoardGeometry = field(default_factory=lambda: BoardGeometry(192, 64))
    ticker: TickerKind = TickerKind.FRAMES
    colours: Colours = Colours.FULL
    refresh_hz: int = 60
    commercial_picture: Path | None = None

    @property
    def abilities(self) -> BoardAbilities:
        """What such a board can do."""
        frames = self.ticker is TickerKind.FRAMES
        return BoardAbilities(
            colours=self.colours,
            ticker=self.ticker,
            refresh_hz=self.refresh_hz if frames else 0,
            brightness=True,
            switches_off=True,
            reads_back=True,
            ticker_max_px=_TICKER_MAX_PX if self.ticker is TickerKind.CARD else 0,
        )


class OpenSimulatedBoard:
    """A board that shows frames; see `SimulatedBoard`."""

    def __init__(self, name: str, directory: Path, zone: str, build: Build) -> None:
        """Open the record and look for the board.

        Raises:
            DeviceUnavailableError: `faults.toml` says that the board is missing.
        """
        self.name = name
        self.geometry = build.geometry
        self.abilities = build.abilities
        self._colours = build.colours
        self._file = PictureFile(directory / suffixed("board", zone, ".png"), self._as_seen)
        self._commercial = build.commercial_picture
        self._faults = FaultFile(directory)
        self._seen = self._faults.current()
        self._black = bytes(self.geometry.width_px * self.geometry.height_px * CHANNELS)
        self._lamps = bytearray(self._black)
        self._given: tuple[bytes, CardTicker | None] | None = None
        self._safe: Frame | None = None
        self._level = 1.0
        self._on = True
        self._ours = False
        self._lost = False
        self._closed = False
        self._foreign = False
        directory.mkdir(parents=True, exist_ok=True)
        if self._seen.board_missing:
            raise DeviceUnavailableError(f"{self.name}: no answer (faults.toml: board_missing)")
        self._journal = Journal(directory / suffixed("board", zone, ".jsonl"))
        self._canvas = (
            SimulatedCanvas(build.geometry, build.refresh_hz, self._scan)
            if build.ticker is TickerKind.FRAMES
            else None
        )
        if self._commercial is not None:
            self._file.copy_now(self._commercial)

    @property
    def canvas(self) -> Canvas | None:
        return self._canvas

    # --- what the agent may ask ----------------------------------------------------------------------

    async def show(self, frame: Frame, label: str, ticker: CardTicker | None = None) -> None:
        """Show a frame; one line in the record unless exactly that is shown already.

        Raises:
            DeviceRefusedError: the frame or the ticker does not fit the board.
            DeviceUnavailableError: the board is missing.
        """
        self._check_frame(frame, "frame")
        if ticker is not None:
            self._check_ticker(ticker)
        await self._answer()
        self._lamps[:] = frame.rgb if ticker is None else with_ticker(frame, ticker)
        if self._given == (frame.rgb, ticker):
            return
        self._given = (frame.rgb, ticker)
        self._ours, self._foreign, self._lost = True, False, False
        await self._file.draw()
        self._note(
            label=label,
            sha256=hashlib.sha256(frame.rgb).hexdigest(),
            width_px=frame.width_px,
            height_px=frame.height_px,
            **({} if ticker is None else _ticker_note(ticker)),
        )

    async def set_safe(self, frame: Frame | None) -> None:
        """Choose what is left on the board; raises DeviceRefusedError when it has another size."""
        if frame is not None:
            self._check_frame(frame, "safe frame")
        self._safe = frame

    async def brightness(self, level: float) -> None:
        """Record a brightness, 0 to 1; raises DeviceRefusedError, DeviceUnavailableError."""
        if not 0 <= level <= 1:
            raise DeviceRefusedError(f"{self.name}: brightness {level} is not from 0 to 1")
        await self._answer()
        if level != self._level:
            self._level = level
            self._note(brightness=level)

    async def power(self, on: bool) -> None:
        """Switch on or off: the picture file is black while off; raises DeviceUnavailableError."""
        await self._answer()
        if on != self._on:
            self._on = on
            await self._file.draw()
            self._note(power=on)

    async def status(self) -> BoardStatus:
        """What the card says of itself; raises DeviceUnavailableError."""
        await self._answer()
        lost, self._lost = self._lost, False
        return BoardStatus(
            model="simulated",
            firmware="1",
            on=self._on,
            brightness=self._level,
            lost=lost,
            foreign=self._foreign,
            temperature_c=35.0,
            light=_NIGHT if self._seen.board_night else _DAY,
        )

    async def hand_back(self) -> None:
        """Show the picture of `commercial_picture`, else black; raises DeviceUnavailableError."""
        await self._answer()
        if not self._ours:
            return
        self._ours, self._foreign, self._given, self._on = False, False, None, True
        self._lamps[:] = self._black
        await self._file.draw()
        if self._commercial is not None:
            await self._file.copy(self._commercial)
        self._note(hand_back=True)

    # --- life -----------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Let faults happen by themselves while the board is open."""
        while True:
            await asyncio.sleep(_WATCH_S)
            seen, before = self._faults.current(), self._seen
            self._seen = seen
            if seen.board_power_lost and not before.board_power_lost:
                self._given, self._lost = None, True
                self._lamps[:] = self._black
                await self._file.draw()
            if seen.board_changed and not before.board_changed:
                self._given, self._foreign = None, True
                self._lamps[:] = stripes(self.geometry)
                await self._file.draw()

    async def make_safe(self) -> None:
        """Leave the safe frame, or black; a board handed back is left alone."""
        if not self._ours:
            return
        frame = self._safe or Frame(self.geometry.width_px, self.geometry.height_px, self._black)
        self._given = None
        await self.power(on=True)
        await self.show(frame, "safe")

    def release(self) -> None:
        self._closed = True
        self._file.forget()
        self._journal.close()

    # --- inside ----------------------------------------------------------------------------------------

    async def _answer(self) -> None:
        """Be there, at once or late; raises DeviceUnavailableError."""
        self._check_open()
        faults = self._faults.current()
        if faults.board_slow:
            await asyncio.sleep(_SLOW_S)
            faults = self._faults.current()
        if faults.board_missing:
            raise DeviceUnavailableError(f"{self.name}: no answer (faults.toml: board_missing)")

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceUnavailableError(f"{self.name}: closed")

    async def _scan(self, start: int, end: int) -> None:
        """The canvas shows a range of bytes; the picture file follows at most four times a second."""
        self._check_open()
        if self._faults.current().board_missing:
            raise DeviceUnavailableError(f"{self.name}: no answer (faults.toml: board_missing)")
        if self._canvas is None or end <= start:
            return
        self._ours = True
        self._given = None
        self._lamps[start:end] = self._canvas.memory[start:end]
        self._file.draw_soon()

    def _as_seen(self) -> Frame:
        shown = reduced(bytes(self._lamps), self._colours) if self._on else self._black
        return Frame(self.geometry.width_px, self.geometry.height_px, shown)

    def _note(self, **values: object) -> None:
        self._journal.append(time.monotonic_ns(), **values)

    def _check_frame(self, frame: Frame, what: str) -> None:
        size = (self.geometry.width_px, self.geometry.height_px)
        if (frame.width_px, frame.height_px) != size or len(frame.rgb) != len(self._black):
            raise DeviceRefusedError(
                f"{self.name}: {what} of {frame.width_px}x{frame.height_px} px, {len(frame.rgb)} bytes; "
                f"the board has {size[0]}x{size[1]} px"
            )

    def _check_ticker(self, ticker: CardTicker) -> None:
        strip = ticker.strip
        if self.abilities.ticker is not TickerKind.CARD:
            raise DeviceRefusedError(f"{self.name}: this board cannot move a ticker by itself")
        if not 0 < strip.width_px <= self.abilities.ticker_max_px:
            raise DeviceRefusedError(
                f"{self.name}: ticker of {strip.width_px} px; the card moves up to "
                f"{self.abilities.ticker_max_px} px"
            )
        fits = 0 <= ticker.y_px <= self.geometry.height_px - strip.height_px and strip.height_px > 0
        if not fits or len(strip.rgb) != strip.width_px * strip.height_px * CHANNELS:
            raise DeviceRefusedError(f"{self.name}: the ticker does not fit the board")


def _ticker_note(ticker: CardTicker) -> dict[str, object]:
    return {
        "ticker_sha256": hashlib.sha256(ticker.strip.rgb).hexdigest(),
        "ticker_width_px": ticker.strip.width_px,
        "ticker_y_px": ticker.y_px,
        "ticker_speed_px_s": ticker.speed_px_s,
    }


class SimulatedBoard:
    """A board made of a picture file. Leaving `open()` shows the safe frame, else black."""

    _known = frozenset(
        {"dir", "zone", "width_px", "height_px", "ticker", "colours", "refresh_hz", "commercial_picture"}
    )

    def __init__(self, name: str, directory: Path, zone: str = "main", build: Build | None = None) -> None:
        """Remember the place.

        Args:
            name: of the board, for messages.
            directory: of the simulated box.
            zone: becomes part of the file names unless it is "main".
            build: what kind of board; default 192x64, full colour, frames at 60 Hz.
        """
        self.name = name
        self._directory = directory
        self._zone = zone
        self._build = build or Build()

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from options.

        Args:
            name: of the board.
            options: `dir` (required), `zone`, `width_px` and `height_px` (1 to 7680), `ticker` (`frames`,
                `card`, `none`), `colours` (`mono`, `dual`, `full`), `refresh_hz` (1 to 240, default 60),
                `commercial_picture`: a PNG that is on the board before we show anything and after handing
                it back.

        Raises:
            DriverSetupError: something is unknown or out of range.
        """
        refuse_unknown(name, options, cls._known)
        directory, zone = place(name, options)
        commercial = text(name, options, "commercial_picture", "")
        return cls(
            name,
            directory,
            zone,
            Build(
                BoardGeometry(
                    integer(name, options, "width_px", low=1, high=_SIDE_MAX_PX, default=192),
                    integer(name, options, "height_px", low=1, high=_SIDE_MAX_PX, default=64),
                ),
                TickerKind(_one_of(name, options, "ticker", TickerKind, TickerKind.FRAMES)),
                Colours(_one_of(name, options, "colours", Colours, Colours.FULL)),
                integer(name, options, "refresh_hz", low=1, high=240, default=60),
                Path(commercial) if commercial else None,
            ),
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Board]:
        board = await asyncio.to_thread(
            OpenSimulatedBoard, self.name, self._directory, self._zone, self._build
        )
        watch = asyncio.create_task(board.watch(), name=f"simulated board {self.name}")
        try:
            yield board
        finally:
            watch.cancel()
            await see_through(self._leave(board, watch))

    async def _leave(self, board: OpenSimulatedBoard, watch: asyncio.Task[None]) -> None:
        try:
            await asyncio.wait([watch])
            await board.make_safe()
        except DeviceUnavailableError as error:
            logger.warning("board %s: not made safe, it is dark anyway: %s", self.name, error)
        finally:
            board.release()


def _one_of(name: str, options: Options, key: str, choices: Iterable[str], default: str) -> str:
    found = text(name, options, key, default)
    known = [str(choice) for choice in choices]
    if found not in known:
        raise DriverSetupError(f"{name}: option {key!r} must be one of {', '.join(known)}")
    return found


if TYPE_CHECKING:
    _driver: type[BoardDriver] = SimulatedBoard
