"""What boards made of frame memory share: screens, panels, receiver cards that take each frame at once.

A driver brings an `Output` of blocking calls; `SurfaceBoard` makes the contract of boards of it: one call
at a time in one thread, a picture that is repainted when the output was lost, pacing, and the safe state.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from drivers.api import (
    Board,
    BoardGeometry,
    BoardStatus,
    Canvas,
    CardTicker,
    DeviceProtocolError,
    DeviceRefusedError,
    DeviceUnavailableError,
    DriverError,
    Frame,
    PixelFormat,
)
from drivers.board.leaving import see_through
from drivers.board.output import Keeper, Output
from drivers.board.packing import pack, require_size
from drivers.worker_thread import WorkerThread

logger = logging.getLogger(__name__)

T = TypeVar("T")

_LIMIT_S = 3.0
_CHECK_EVERY_S = 0.5
_CLOSE_S = 1.0


@dataclass(slots=True)
class _Hold:
    """What the thread knows; nothing else touches it.

    Attributes:
        output: None while it is gone.
        keeper: keeps `former` for later processes, None if nothing does.
        taken: the output is ours.
        former: what was there before us; kept when the output was lost and came back.
        painted: the whole picture is on it.
        level: brightness to be set, None if never asked.
    """

    output: Output | None
    keeper: Keeper | None = None
    taken: bool = False
    former: object = None
    painted: bool = False
    level: float | None = None


class SurfaceBoard:
    """A board of frame memory; see `open_surface`."""

    def __init__(
        self,
        name: str,
        geometry: BoardGeometry,
        connect: Callable[[], Output],
        output: Output,
        *,
        thread: WorkerThread,
        limit_s: float,
        keeper: Keeper | None = None,
        former: object = None,
    ) -> None:
        self.name = name
        self.geometry = geometry
        self.abilities = output.abilities
        self._connect = connect
        self._thread = thread
        self._limit_s = limit_s
        self._format = output.pixel_format
        self._paces = output.paces
        self._hold = _Hold(output, keeper, former=former)
        self._row_bytes = geometry.width_px * self._format.size_bytes
        self._picture = memoryview(bytearray(self._row_bytes * geometry.height_px))
        self._black = memoryview(bytes(len(self._picture)))
        self._safe: Frame | None = None
        self._lock = asyncio.Lock()
        self._on = True
        self._mine = True
        self._given = False
        self._closed = False
        self._check_at_s = 0.0
        self._unpainted = (0, 0)  # rows of the picture whose painting nobody has seen end
        self._canvas = SurfaceCanvas(self) if self.abilities.refresh_hz else None

    @property
    def canvas(self) -> Canvas | None:
        return self._canvas

    @property
    def pixel_format(self) -> PixelFormat:
        return self._format

    @property
    def row_bytes(self) -> int:
        return self._row_bytes

    async def show(self, frame: Frame, label: str, ticker: CardTicker | None = None) -> None:
        self._require_open()
        require_size(self.name, self.geometry, frame)
        if ticker is not None:
            raise DeviceRefusedError(f"{self.name}: moves no ticker itself")
        async with self._lock:
            await self._show(frame)
        logger.debug("board %s shows %s", self.name, label)

    async def set_safe(self, frame: Frame | None) -> None:
        if frame is not None:
            require_size(self.name, self.geometry, frame)
        self._safe = frame

    async def brightness(self, level: float) -> None:
        self._require_open()
        if not self.abilities.brightness:
            return
        wanted = min(1.0, max(0.0, level))
        async with self._lock:
            await self._do(lambda: self._set_level(wanted))

    async def power(self, on: bool) -> None:
        self._require_open()
        async with self._lock:
            self._on = on
            if self._mine:
                await self._paint(0, self.geometry.height_px, check=True)

    async def status(self) -> BoardStatus:
        self._require_open()
        async with self._lock:
            return await self._do(self._ask)

    async def hand_back(self) -> None:
        self._require_open()
        async with self._lock:
            await self._do(self._give_back)

    async def present(self, memory: memoryview, top_px: int, bottom_px: int) -> None:
        """Show rows of the canvas and wait for the next frame to be due; see `Canvas.present`."""
        self._require_open()
        if not 0 <= top_px <= bottom_px <= self.geometry.height_px:
            raise DeviceRefusedError(f"{self.name}: no rows {top_px} to {bottom_px}")
        rows = slice(top_px * self._row_bytes, bottom_px * self._row_bytes)
        now_s = asyncio.get_running_loop().time()
        check = now_s >= self._check_at_s
        if check:
            self._check_at_s = now_s + _CHECK_EVERY_S
        async with self._lock:
            self._picture[rows] = memory[rows]
            self._mine = self._given = True
            await self._paint(top_px, bottom_px, check=check, wait=True)

    @property
    def paced(self) -> bool:
        """Whether `present` itself waited for the display."""
        return self._paces

    async def make_safe(self) -> None:
        """Show the safe screen, else dark; a board that was handed back is left alone."""
        async with self._lock:
            # Asked in the thread: it may just be giving the board back to its owner.
            if not await self._thread.call(lambda: self._mine, self._limit_s):
                return
            size = self.geometry
            self._on = True
            await self._show(self._safe or Frame(size.width_px, size.height_px, bytes(self._pixels * 3)))

    async def release(self) -> None:
        """Let go of the output, waiting a little for it, so that it can be opened again at once."""
        self._closed = True
        try:
            await self._thread.call(self._let_go, _CLOSE_S)
        finally:
            self._thread.close(self._let_go)

    @property
    def _pixels(self) -> int:
        return self.geometry.width_px * self.geometry.height_px

    def _require_open(self) -> None:
        if self._closed:
            raise DeviceUnavailableError(f"{self.name}: closed")

    async def _show(self, frame: Frame) -> None:
        self._picture[:] = await self._thread.call(
            lambda: pack(frame.width_px, frame.height_px, frame.rgb, self._format), self._limit_s
        )
        self._mine = self._given = True
        await self._paint(0, self.geometry.height_px, check=True)

    async def _paint(self, top_px: int, bottom_px: int, *, check: bool, wait: bool = False) -> None:
        picture = self._picture if self._on else self._black
        if self._unpainted[0] < self._unpainted[1]:
            top_px, bottom_px = min(top_px, self._unpainted[0]), max(bottom_px, self._unpainted[1])
        self._unpainted = top_px, bottom_px
        await self._do(lambda: self._put(picture, top_px, bottom_px, check=check, wait=wait))
        self._unpainted = 0, 0

    async def _do(self, work: Callable[[], T]) -> T:
        def guarded() -> T:
            try:
                return work()
            except OSError as error:
                self._let_go()
                raise DeviceUnavailableError(f"{self.name}: {error}") from error
            except DeviceUnavailableError:
                self._let_go()
                raise

        return await self._thread.call(guarded, self._limit_s)

    # From here on: in the thread.

    def _attached(self) -> Output:
        hold = self._hold
        if hold.output is None:
            output = self._connect()
            if output.pixel_format is not self._format:
                output.close()
                raise DeviceProtocolError(
                    f"{self.name}: came back with pixels of {output.pixel_format.value}"
                )
            if output.paces is not self._paces:
                output.close()
                raise DeviceProtocolError(f"{self.name}: came back as another kind of output")
            hold.output = output
            logger.info("board %s is back", self.name)
        return hold.output

    def _put(self, picture: memoryview, top_px: int, bottom_px: int, *, check: bool, wait: bool) -> None:
        output = self._attached()
        hold = self._hold
        if check:
            output.check()
        if not hold.taken:
            former = output.take()
            if hold.former is None:
                if hold.keeper is not None:
                    hold.keeper.store(former)
                hold.former = former
            hold.taken = True
            if hold.level is not None:
                output.brightness(hold.level)
        if not hold.painted:
            top_px, bottom_px = 0, self.geometry.height_px
        output.write(picture, top_px, bottom_px, wait=wait)
        hold.painted = True

    def _set_level(self, level: float) -> None:
        """Set it at once on a board that is ours, else as soon as it is."""
        self._hold.level = level
        output = self._attached()
        if self._hold.taken:
            output.brightness(level)

    def _ask(self) -> BoardStatus:
        output = self._attached()
        output.check()
        ours = self._mine and self._given
        status = output.status(self._picture if self._on else self._black)
        if status.lost:
            self._hold.painted = False
        lost, foreign = status.lost, status.foreign
        if not ours:
            lost = foreign = False
        elif not self._hold.painted:
            lost, foreign = True, False
        return replace(status, on=self._on, lost=lost, foreign=foreign)

    def _give_back(self) -> None:
        """The board is ours until this has worked: leaving makes it safe otherwise."""
        hold = self._hold
        if hold.former is not None or hold.taken:
            output = self._attached()
            output.check()  # what nobody receives is not handed back
            output.give_back(hold.former)
            if hold.keeper is not None:
                hold.keeper.forget()
            hold.taken = hold.painted = False
            hold.former = None
        self._mine = False

    def _let_go(self) -> None:
        output, self._hold.output = self._hold.output, None
        self._hold.taken = self._hold.painted = False
        if output is not None:
            with contextlib.suppress(OSError, ValueError, DriverError):
                output.close()


class SurfaceCanvas:
    """Frame memory of a `SurfaceBoard`, rows without gaps, paced by the display or a steady timer."""

    def __init__(self, board: SurfaceBoard) -> None:
        self._board = board
        self._memory = memoryview(bytearray(board.row_bytes * board.geometry.height_px))
        self._period_s = 1 / board.abilities.refresh_hz
        self._due_s: float | None = None

    @property
    def pixel_format(self) -> PixelFormat:
        return self._board.pixel_format

    @property
    def stride_bytes(self) -> int:
        return self._board.row_bytes

    @property
    def memory(self) -> memoryview:
        return self._memory

    async def present(self, top_px: int, bottom_px: int) -> None:
        await self._board.present(self._memory, top_px, bottom_px)
        if self._board.paced:
            self._due_s = None
            return
        now_s = asyncio.get_running_loop().time()
        self._due_s = next_due(self._due_s, now_s, self._period_s)
        await asyncio.sleep(self._due_s - now_s)


def next_due(last_s: float | None, now_s: float, period_s: float) -> float:
    """When the next frame is due on the grid of `last_s`; who is late loses frames, not the grid."""
    if last_s is None:
        return now_s + period_s
    missed = math.floor((now_s - last_s) / period_s)
    return last_s + (max(0, missed) + 1) * period_s


@asynccontextmanager
async def open_surface(
    name: str,
    geometry: BoardGeometry,
    connect: Callable[[], Output],
    *,
    limit_s: float = _LIMIT_S,
    keeper: Keeper | None = None,
) -> AsyncIterator[Board]:
    """Open a board on the output that `connect` opens; leaving shows the safe screen, else dark.

    Args:
        name: of the board, for messages.
        geometry: of the board.
        connect: opens the output; called in a thread, again after the output was lost.
        limit_s: longest time any call may take.
        keeper: keeps what the output showed before us, for later processes; called in the thread.

    Raises:
        DeviceUnavailableError: the output is not there.
    """
    thread = WorkerThread(name)

    def first() -> Output:
        try:
            return connect()
        except OSError as error:
            raise DeviceUnavailableError(f"{name}: {error}") from error

    try:
        former = None if keeper is None else await thread.call(keeper.load, limit_s)
        output = await thread.call(first, limit_s, discard=lambda late: late.close())
    except BaseException:
        thread.close()
        raise
    board = SurfaceBoard(
        name, geometry, connect, output, thread=thread, limit_s=limit_s, keeper=keeper, former=former
    )
    try:
        yield board
    finally:
        await see_through(_leave(board))


async def _leave(board: SurfaceBoard) -> None:
    try:
        await board.make_safe()
    except DriverError as error:
        logger.warning("board %s: not made safe: %s", board.name, error)
    finally:
        with contextlib.suppress(DeviceUnavailableError):
            await board.release()
