"""Electronic boards: every board is a sink of pixels, and only some of them can move a ticker themselves.

Text is always drawn by us: no card font is known to hold stacked Vietnamese marks.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, Self

from drivers.api.base import Options


class Colours(StrEnum):
    """What one pixel can show: one colour, red and green (and amber, both), or all."""

    MONO = "mono"
    DUAL = "dual"
    FULL = "full"


class TickerKind(StrEnum):
    """Who can move a ticker."""

    FRAMES = "frames"
    """The board takes each frame at once, at `refresh_hz`: we move it, through `Board.canvas`."""

    CARD = "card"
    """The card moves a long picture by itself: `CardTicker`."""

    NONE = "none"
    """Nobody: text has to be paged."""


class PixelFormat(StrEnum):
    """How a canvas keeps a pixel: bytes in memory order."""

    RGB = "rgb"
    """3 bytes."""

    BGRX = "bgrx"
    """4 bytes, the last unused: XRGB8888 of DRM."""

    RGB565 = "rgb565"
    """2 bytes, little-endian."""

    @property
    def size_bytes(self) -> int:
        """Bytes per pixel."""
        return {"rgb": 3, "bgrx": 4, "rgb565": 2}[self.value]


@dataclass(frozen=True, slots=True)
class BoardGeometry:
    """Pixel size of a board."""

    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture: `rgb` holds height_px * width_px * 3 bytes, rows from the top, R G B."""

    width_px: int
    height_px: int
    rgb: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class BoardAbilities:
    """What a board can do.

    Attributes:
        colours: of one pixel; a frame with more is reduced by the driver.
        ticker: who can move text.
        refresh_hz: frames per second a canvas takes; 0 without one.
        brightness: whether `brightness` changes anything.
        switches_off: whether `power` changes anything.
        reads_back: whether `status` tells what the card itself holds.
        video: whether a player of video may take over the output, which is then `video_output`.
        ticker_max_px: longest strip a card can move; 0 unless `ticker` is CARD.
        video_output: for the player, such as `/dev/dri/card1`; empty without `video`.
    """

    colours: Colours = Colours.FULL
    ticker: TickerKind = TickerKind.NONE
    refresh_hz: int = 0
    brightness: bool = False
    switches_off: bool = False
    reads_back: bool = False
    video: bool = False
    ticker_max_px: int = 0
    video_output: str = ""


@dataclass(frozen=True, slots=True)
class CardTicker:
    """A long picture that the card moves from right to left over the rows it lies on, over and over.

    Attributes:
        strip: as high as the band, any width up to `ticker_max_px`.
        y_px: top of the band, which is as wide as the board.
        speed_px_s: wished for; the card takes the nearest it has.
    """

    strip: Frame
    y_px: int
    speed_px_s: float = 60.0


@dataclass(frozen=True, slots=True)
class BoardStatus:
    """What a board said of itself; None where it cannot tell.

    Attributes:
        model: of card or display, such as `BX-6E2`.
        firmware: version as the card writes it.
        on: whether the picture is switched on.
        brightness: 0 to 1.
        lost: the card no longer holds what it was given (its power was off): show it again.
        foreign: something is shown that was not given by us.
        temperature_c: of the card.
        light: raw reading of its light sensor, 0 (dark) to 65535.
        detail: anything else worth knowing, English, one line.
    """

    model: str = ""
    firmware: str = ""
    on: bool | None = None
    brightness: float | None = None
    lost: bool | None = None
    foreign: bool | None = None
    temperature_c: float | None = None
    light: int | None = None
    detail: str = ""


class Canvas(Protocol):
    """Frame memory of a board with `TickerKind.FRAMES`: compose in `memory`, then `present`.

    `memory` is ordinary memory that nothing else writes; a driver with write-combined or double buffers
    copies out of it. It starts black and keeps what is written, so only what changed needs writing.
    """

    @property
    def pixel_format(self) -> PixelFormat: ...

    @property
    def stride_bytes(self) -> int:
        """Bytes from one row to the next, at least width_px * pixel_format.size_bytes."""
        ...

    @property
    def memory(self) -> memoryview:
        """height_px * stride_bytes writable bytes, rows from the top."""
        ...

    async def present(self, top_px: int, bottom_px: int) -> None:
        """Show rows `top_px` up to, not including, `bottom_px`; come back when the next frame is due.

        Coming back is paced by the display (vertical blank) or a steady timer at `refresh_hz`; a caller that
        is late loses frames, and the next one is due at its own time.

        Raises:
            DeviceUnavailableError: the display is gone.
        """
        ...


class Board(Protocol):
    """An electronic board.

    Leaving `open()` is the safe state: the safe screen given last, else dark; never strange text. A board
    that was handed back is left alone.
    """

    @property
    def name(self) -> str: ...

    @property
    def geometry(self) -> BoardGeometry: ...

    @property
    def abilities(self) -> BoardAbilities: ...

    @property
    def canvas(self) -> Canvas | None:
        """Frame memory, None unless the board takes each frame at once."""
        ...

    async def show(self, frame: Frame, label: str, ticker: CardTicker | None = None) -> None:
        """Show a whole picture until the next one; what it held before is gone at once.

        Args:
            frame: of exactly the size of the board.
            label: goes to logs and to the record of what was shown.
            ticker: only if `abilities.ticker` is CARD; covers its band of the frame.

        Raises:
            DeviceUnavailableError: no answer in time.
            DeviceProtocolError: an answer the manual does not allow.
            DeviceRefusedError: wrong size, or the card declined.
        """
        ...

    async def set_safe(self, frame: Frame | None) -> None:
        """Choose what is shown when `open()` is left; None is dark. Changes nothing that is shown now."""
        ...

    async def brightness(self, level: float) -> None:
        """Set brightness, 0 (darkest that is still lit) to 1; nothing happens if the board cannot.

        Raises:
            DeviceUnavailableError, DeviceProtocolError, DeviceRefusedError: as `show`.
        """
        ...

    async def power(self, on: bool) -> None:
        """Switch the picture on or off; a board that cannot is shown black and painted again."""
        ...

    async def status(self) -> BoardStatus:
        """Ask the board for a sign of life, and whatever it can tell.

        Raises:
            DeviceUnavailableError: no answer in time.
            DeviceProtocolError: an answer the manual does not allow.
        """
        ...

    async def hand_back(self) -> None:
        """Undo all that we put on the board: it shows what it showed before us. `show` takes it again."""
        ...


class BoardDriver(Protocol):
    """Factory of one board. `from_options` gets `width_px` and `height_px` besides its own options.

    A class with the attribute `remembers = True` also gets `keep_dir`, a folder of its own that outlives a
    restart, for what the board showed before us.
    """

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def open(self) -> AbstractAsyncContextManager[Board]: ...
