"""An open Onbon board: what it shows, what we believe the card holds, and how it is left."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from drivers.api import (
    BoardAbilities,
    BoardGeometry,
    BoardStatus,
    CardTicker,
    Colours,
    DeviceRefusedError,
    DeviceUnavailableError,
    DriverError,
    Frame,
    TickerKind,
)
from drivers.board.onbon.answers import Card, CardStatus
from drivers.board.onbon.areas import Area
from drivers.board.onbon.codec import BRIGHTNESS_STEPS, Family
from drivers.board.onbon.conversation import Conversation
from drivers.board.onbon.former import Keeper
from drivers.board.onbon.link import Link, LinkLostError, TcpLink
from drivers.board.onbon.painter import Painter
from drivers.board.onbon.scene import AREAS_MAX, Place, scene

logger = logging.getLogger(__name__)

T = TypeVar("T")

_CHANNELS = 3
_REFRESH_S = 60.0
"""How often a picture is sent again that the card would keep: memory is lost without a word."""
_LEAVE_LIMIT_S = 15.0


class OtherCardError(DeviceRefusedError):
    """The card that answers is not the one this board was set up for."""

    def __init__(self, message: str, card: Card) -> None:
        """Keep who answered."""
        super().__init__(message)
        self.card = card


@dataclass(frozen=True, slots=True)
class Plan:
    """What the configuration says of a board.

    Attributes:
        geometry: our part of the screen.
        x_px, y_px: where it begins.
        family: None: whatever answers.
        colours: None: whatever the card says.
        blank_after_s: see `Place`; 0: never.
        ticker_step_ms: see `Place.step_ms`.
    """

    geometry: BoardGeometry
    x_px: int = 0
    y_px: int = 0
    family: Family | None = None
    colours: Colours | None = None
    blank_after_s: int = 120
    ticker_step_ms: float = 10.0


class OpenOnbonBoard:
    """A board on one card; see `OnbonBoard`. Its calls wait for each other."""

    canvas = None

    def __init__(self, name: str, link: Link, plan: Plan, keep: Path | None = None) -> None:
        """Ask nothing yet; `attach` does. `keep` is the file of what was there before us."""
        self.name = name
        self.geometry = plan.geometry
        self.abilities = BoardAbilities()
        self._link = link
        self._plan = plan
        self._talk = Conversation(name, link, plan.family)
        self._turn = asyncio.Lock()
        self._closed = False
        self._card: Card | None = None
        self._met = 0  # the opening of the link in which the card was last recognised
        self._place = Place(
            plan.family or Family.BX6E, Colours.MONO, plan.x_px, plan.y_px,
            plan.geometry.width_px, plan.geometry.height_px,
        )  # fmt: skip
        self._painter = Painter(name, self._talk, plan.blank_after_s / 2 or _REFRESH_S)
        self._wanted: tuple[Frame, CardTicker | None] | None = None
        self._painted: int | None = None  # the opening of the link in which all of it was accepted
        self._safe: Frame | None = None
        self._returned = False
        self._on: bool | None = None
        self._level: int | None = None
        self._keeper = Keeper(name, keep)
        self._usual: tuple[int, bool, bool] = (0, False, False)
        self._program: bytes | None = None
        self._foreign = ""

    async def attach(self) -> None:
        """Find the card and remember how it was before us, also before a process of ours that was killed.

        Raises:
            DeviceUnavailableError, DeviceProtocolError: as `show`.
            DeviceRefusedError: another model, another size, or one whose areas we cannot write.
        """
        told = await self._do(self._talk.status)
        self._usual = _usual(told)
        if self._card is not None:
            await self._keeper.recall(self._card, told)
            logger.info(
                "board %s: %s, firmware %s, %dx%d px, %s, %d programs",
                self.name, self._card.model, self._card.firmware, self._card.width_px, self._card.height_px,
                self._place.colours.value, told.programs,
            )  # fmt: skip

    async def show(self, frame: Frame, label: str, ticker: CardTicker | None = None) -> None:
        """Show a picture in areas over our whole part; raises as `Board.show`."""
        self._refuse_misfits(frame, ticker)
        async with self._mine():
            areas = scene(self._place, frame, ticker, self._safe)  # refused here, nothing is changed
            self._wanted = (frame, ticker)
            self._returned = False
            await self._do(lambda: self._put(areas))
        logger.debug("board %s: %s", self.name, label)

    async def set_safe(self, frame: Frame | None) -> None:
        """Choose the picture of leaving. The card gets it with the next picture or refreshment.

        Raises:
            DeviceRefusedError: wrong size.
        """
        if frame is not None:
            self._refuse_misfits(frame, None)
        self._safe = frame

    async def brightness(self, level: float) -> None:
        """Set one of 16 steps for the whole day; raises as `Board.brightness`."""
        step = round(min(max(level, 0.0), 1.0) * BRIGHTNESS_STEPS)
        async with self._mine():
            await self._do(lambda: self._dim(step))
            self._level = step

    async def power(self, on: bool) -> None:
        """Switch the screen; the card remembers it without power. Raises as `show`."""
        async with self._mine():
            await self._do(lambda: self._switch(on=on))
            self._on = on

    async def set_clock(self, when: datetime) -> None:
        """Set the card's own clock, which its flash programs use, to a civil time; raises as `show`."""
        async with self._mine():
            await self._do(lambda: self._talk.set_clock(when))

    async def status(self) -> BoardStatus:
        """Ask the card, and send its picture again when that is due.

        Has to be called several times within `blank_after_s`, or the card takes the picture away.

        Raises:
            DeviceUnavailableError, DeviceProtocolError: as `Board.status`.
        """
        async with self._mine():
            try:
                return await self._do(self._status)
            except OtherCardError as error:
                self._foreign = str(error)
                return BoardStatus(
                    error.card.model, error.card.firmware, lost=True, foreign=True, detail=str(error)
                )
            except DeviceRefusedError as error:
                return BoardStatus(lost=self._wanted is not None, detail=str(error))

    async def hand_back(self) -> None:
        """Take our areas away, restore brightness and switch: the card's own programs show again.

        Other dynamic areas that the owner had before us under the same numbers do not come back, and neither
        does a table of brightness by the time of day, which the card does not tell.
        """
        async with self._mine():
            if not self._returned or self._keeper.holds:
                await self._do(self._return)

    async def leave(self) -> None:
        """Leave the safe picture, or black, and send nothing any more; never raises DriverError."""
        async with self._turn:
            try:
                if not self._closed and not self._returned:
                    size = self._place.bytes_of(self.geometry.height_px)
                    async with asyncio.timeout(_LEAVE_LIMIT_S + 2 * self._link.line_s(size)):
                        await self._do(self._leave)
            except (DriverError, TimeoutError) as error:
                logger.warning("board %s: not left safe: %s", self.name, error or "too slow")
            finally:
                self.release()

    def release(self) -> None:
        """Let go of the link without a word to the card."""
        self._closed = True
        self._link.close()

    @asynccontextmanager
    async def _mine(self) -> AsyncIterator[None]:
        async with self._turn:
            if self._closed:
                raise DeviceUnavailableError(f"{self.name}: closed")
            yield

    def _refuse_misfits(self, frame: Frame, ticker: CardTicker | None) -> None:
        width, height = self.geometry.width_px, self.geometry.height_px
        if (frame.width_px, frame.height_px, len(frame.rgb)) != (width, height, width * height * _CHANNELS):
            raise DeviceRefusedError(
                f"{self.name}: frame of {frame.width_px}x{frame.height_px} px, {len(frame.rgb)} bytes; "
                f"the board has {width}x{height} px"
            )
        if ticker is None:
            return
        strip = ticker.strip
        fits = 0 < strip.width_px <= self.abilities.ticker_max_px and strip.height_px > 0
        fits = fits and 0 <= ticker.y_px <= height - strip.height_px
        if not fits or len(strip.rgb) != strip.width_px * strip.height_px * _CHANNELS:
            raise DeviceRefusedError(
                f"{self.name}: ticker of {strip.width_px}x{strip.height_px} px at {ticker.y_px} px, "
                f"{len(strip.rgb)} bytes, does not lie on the board"
            )

    async def _do(self, work: Callable[[], Awaitable[T]]) -> T:
        """Recognise the card if the link is new, then work; once more when the connection ended meanwhile."""
        try:
            await self._meet()
            return await work()
        except LinkLostError as error:
            logger.info("board %s: asked again: %s", self.name, error)
        await self._meet()
        return await work()

    async def _meet(self) -> None:
        if self._link.is_open and self._link.openings == self._met:
            return
        card = await self._talk.meet()
        self._recognise(card)
        self._met = self._link.openings

    def _recognise(self, card: Card) -> None:
        plan, geometry = self._plan, self.geometry
        problem = ""
        if card.family is None:
            problem = "its areas cannot be written by us"
        elif plan.family is not None and card.family is not plan.family:
            problem = f"a {plan.family.value} is configured"
        elif card.colours is None and plan.colours is None:
            problem = "its kind of colour is not supported"
        elif card.width_px < plan.x_px + geometry.width_px or card.height_px < plan.y_px + geometry.height_px:
            problem = f"our part is {geometry.width_px}x{geometry.height_px} px at {plan.x_px}, {plan.y_px}"
        elif self._card is not None and _kind(card) != _kind(self._card):
            problem = f"it was {self._card.model}, {self._card.width_px}x{self._card.height_px} px, before"
        if problem or card.family is None:
            raise OtherCardError(
                f"{self.name}: {card.model}, {card.width_px}x{card.height_px} px: {problem}", card
            )
        if self._card is None:
            self._adopt(card, card.family)

    def _adopt(self, card: Card, family: Family) -> None:
        self._card = card
        self._talk.family = family
        colours = (
            Colours.FULL if family is Family.BX6Q else self._plan.colours or card.colours or Colours.MONO
        )
        self._place = replace(
            self._place, family=family, colours=colours,
            blank_after_s=self._plan.blank_after_s, step_ms=self._plan.ticker_step_ms,
        )  # fmt: skip
        longest_px = self._place.ticker_max_px
        self.abilities = BoardAbilities(
            colours=colours,
            ticker=TickerKind.CARD if longest_px else TickerKind.NONE,
            brightness=True,
            switches_off=True,
            # Without a connection nothing tells of a short loss of power; there the refreshment repairs it.
            reads_back=isinstance(self._link, TcpLink),
            ticker_max_px=longest_px,
        )

    async def _put(self, areas: tuple[Area, ...]) -> None:
        if self._painted != self._link.openings or self._foreign:
            self._painter.forget()
        self._painted = None
        await self._painter.paint(areas)
        self._painted = self._link.openings
        await self._settle()

    async def _dim(self, step: int) -> None:
        async with self._keeper.changing(brightness=True):
            await self._talk.brightness(step)

    async def _switch(self, *, on: bool) -> None:
        async with self._keeper.changing(switch=True):
            await self._talk.switch(on=on)

    async def _settle(self) -> None:
        """See how the card is now that our picture stands; put back what somebody else has switched."""
        told = await self._talk.status()
        if changes := self._foreign or self._compare(told):
            logger.warning("board %s: painted over what is not ours: %s", self.name, changes)
        self._foreign = ""
        self._usual, self._program = (told.programs, *self._usual[1:]), told.program
        if self._on is None:
            async with self._keeper.changing(switch=True):
                self._on = True  # a board that shows has to be lit
        if told.on != self._on:
            await self._talk.switch(on=self._on)
        if self._level is not None and told.brightness != self._level:
            await self._talk.brightness(self._level)

    async def _status(self) -> BoardStatus:
        told = await self._talk.status()
        card = self._card
        due_s = self._plan.blank_after_s / 2 or _REFRESH_S
        lost = self._wanted is not None and self._painted != self._link.openings
        self._foreign = self._foreign or self._compare(told)
        due = not lost and not self._foreign and time.monotonic() - self._painter.oldest_s >= due_s
        if due and self._wanted is not None:
            frame, ticker = self._wanted
            await self._put(scene(self._place, frame, ticker, self._safe))
            logger.debug("board %s: refreshed", self.name)
        return BoardStatus(
            model=card.model if card else "",
            firmware=card.firmware if card else "",
            on=told.on,
            brightness=told.brightness / BRIGHTNESS_STEPS,
            lost=lost if lost or self.abilities.reads_back or self._wanted is None else None,
            foreign=bool(self._foreign),
            temperature_c=told.temperature_c,
            detail=self._foreign or ("" if told.clock_works else "its clock does not work"),
        )

    def _compare(self, told: CardStatus) -> str:
        """What somebody else has changed, in words; empty: nothing."""
        if self._returned or self._wanted is None:
            return ""
        programs, screen_locked, program_locked = self._usual
        changes = {
            f"{told.programs} programs instead of {programs}": told.programs != programs,
            f"program {told.program!r} instead of {self._program!r}": self._program
            not in {None, told.program},
            "screen locked": told.screen_locked and not screen_locked,
            "program locked": told.program_locked and not program_locked,
            f"switched {'on' if told.on else 'off'}": self._on is not None and told.on != self._on,
        }
        return ", ".join(words for words, changed in changes.items() if changed)

    async def _return(self) -> None:
        stills = len(scene(self._place, self._black, None, self._black))
        await self._talk.delete(*range(min(stills + 2, AREAS_MAX[self._place.family])))
        self._painter.forget()
        former = self._keeper.former
        if former.brightness is not None:
            await self._talk.brightness(*former.brightness)
            self._level = None
        if former.on is not None:
            await self._talk.switch(on=former.on)
            self._on = None
        await self._keeper.forget()
        self._wanted = None
        self._foreign = ""
        self._returned = True

    @property
    def _black(self) -> Frame:
        width, height = self.geometry.width_px, self.geometry.height_px
        return Frame(width, height, bytes(width * height * _CHANNELS))

    async def _leave(self) -> None:
        await self._painter.paint(scene(self._place, self._safe or self._black, None, None, lasting=True))
        if self._safe is not None and self._on is False:
            await self._talk.switch(on=True)


def _usual(told: CardStatus) -> tuple[int, bool, bool]:
    return told.programs, told.screen_locked, told.program_locked


def _kind(card: Card) -> tuple[int, int, int, Colours | None]:
    return card.device_type, card.width_px, card.height_px, card.colours
