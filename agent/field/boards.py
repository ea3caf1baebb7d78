"""What a technician or a signed job may do to boards: the protocol that `agent.app` fulfils, its values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from agent.errors import AgentError, Retry
from agent.field.controls import ControlRefusedError

PATTERN_MINUTES = (1, 60)
"""Shortest and longest lease of a test picture; it ends by itself."""

MODULE = (1, 512)
"""Rows and columns of modules are counted from 1, from the upper left."""


class BoardAbsentError(AgentError):
    """The board, or what draws it, does not answer."""

    retry = Retry.SOON


@dataclass(frozen=True, slots=True)
class BoardInfo:
    """All that is known of one board; None or empty where nothing said so.

    Attributes:
        shown: headline or id of the page on the board; empty: dark; None: it does not answer.
        reason: why that is shown, such as `playlist`.
        rank: of what is shown, such as `idle`.
        sha256: of the screen on the board.
        mine: False while a commercial board is left to its owner.
        taken_until: a signed order took the commercial board over until then.
        dead_modules: `row/column`, as technicians entered them.
    """

    board: str
    kind: str
    width_px: int
    height_px: int
    pitch_mm: float = 10.0
    viewing_m: float = 15.0
    shown: str | None = None
    page: str = ""
    reason: str = ""
    rank: str = ""
    since: datetime | None = None
    sha256: str = ""
    mine: bool = True
    taken_until: datetime | None = None
    pattern: str = ""
    pattern_until: datetime | None = None
    colours: str = ""
    ticker: str = ""
    refresh_hz: int = 0
    model: str = ""
    firmware: str = ""
    on: bool | None = None
    brightness: float | None = None
    lost: bool | None = None
    foreign: bool | None = None
    temperature_c: float | None = None
    light: int | None = None
    detail: str = ""
    dead_modules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture of what is on a board now.

    Attributes:
        png: the whole picture.
        thumbnail: at most 160 pixels wide; empty if there is none.
        sha256: of the screen, as in the as-run records.
    """

    board: str
    png: bytes
    thumbnail: bytes
    sha256: str
    page: str
    width_px: int
    height_px: int


class BoardHands(Protocol):
    """Everything that can be done to boards by hand; `by` says who asked.

    Raises:
        ControlRefusedError: from any verb, when the box declines.
        BoardAbsentError: the board does not answer.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Boards of this box."""
        ...

    def info(self) -> tuple[BoardInfo, ...]: ...

    async def pattern(self, board: str, pattern: str, minutes: int, by: str) -> datetime:
        """Show a test picture for 1 to 60 minutes; says until when. An emergency comes before it."""
        ...

    async def end_pattern(self, board: str, by: str) -> None:
        """Go back to the programme; no-op if there is no test picture."""
        ...

    async def module(self, board: str, row: int, column: int, *, dead: bool, by: str) -> tuple[str, ...]:
        """Note durably that a module is dead, or works again; all dead ones as `row/column`."""
        ...

    async def screenshot(self, board: str) -> Shot: ...


__all__ = [
    "MODULE", "PATTERN_MINUTES", "BoardAbsentError", "BoardHands", "BoardInfo", "ControlRefusedError", "Shot",
]  # fmt: skip
