"""Questions to one card, with headers of its generation, checked answers, and patience while it is busy."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from drivers.api import DeviceProtocolError, DeviceRefusedError, DeviceUnavailableError
from drivers.board.onbon import codec
from drivers.board.onbon.answers import Card, CardStatus, parse_ping, parse_status
from drivers.board.onbon.areas import Area, update_area
from drivers.board.onbon.codec import Family, FrameError, Header, Reply, Request, Session
from drivers.board.onbon.link import Link, LinkLostError

logger = logging.getLogger(__name__)

T = TypeVar("T")

TRIES = 4
"""How often a busy card is asked altogether."""
_BUSY_PAUSE_S = 0.15
_SEQUENCES = 0x10000


class Conversation:
    """Speaks to a card over a link; the caller keeps questions from crossing each other."""

    def __init__(self, name: str, link: Link, family: Family | None) -> None:
        """Begin.

        Args:
            name: of the board, for messages.
            link: closed by the caller.
            family: None until the card has said what it is.
        """
        self._name = name
        self._link = link
        self.family = family
        self._sequence = random.randrange(_SEQUENCES)  # noqa: S311  tells sessions apart, hides nothing
        self._random = random.randrange(0x100)  # noqa: S311

    @property
    def _header(self) -> Header:
        return Header.C5 if self.family is Family.BX5E else Header.C6

    async def meet(self) -> Card:
        """Ask who is there; while the family is not known, in every way there is.

        Raises:
            DeviceUnavailableError, DeviceProtocolError, DeviceRefusedError: as `Board.show`.
        """
        if self.family is not None:
            return self._read(parse_ping, (await self._answer(codec.ping(self._header))).data)
        ways = (Header.F0, Header.C6, Header.C5)
        for way in ways[:-1]:
            try:
                return self._read(parse_ping, (await self._answer(codec.ping(way))).data)
            except LinkLostError:
                raise
            except (DeviceUnavailableError, DeviceProtocolError, DeviceRefusedError) as error:
                if not self._link.openings:  # nobody there at all: no use asking otherwise
                    raise
                logger.debug("board %s: no answer to a ping of %s: %s", self._name, way.name, error)
        return self._read(parse_ping, (await self._answer(codec.ping(ways[-1]))).data)

    async def status(self) -> CardStatus:
        """Ask for state and sensors; raises as `meet`."""
        return self._read(parse_status, (await self._answer(codec.status(self._header))).data)

    async def update(self, area: Area) -> None:
        """Give an area new contents; raises as `meet`."""
        await self._command(update_area(self.family or Family.BX6E, area))

    async def delete(self, *numbers: int) -> None:
        """Take areas away, all of them when none is named; raises as `meet`."""
        await self._command(codec.delete_areas(numbers))

    async def switch(self, *, on: bool) -> None:
        """Switch the screen on or off; raises as `meet`."""
        await self._command(codec.switch(self._header, on=on))

    async def brightness(self, step: int, mode: int = 0) -> None:
        """Set brightness, see `codec.brightness`; raises as `meet`."""
        await self._command(codec.brightness(self._header, step, mode))

    async def set_clock(self, when: datetime) -> None:
        """Set the card's clock; raises as `meet`."""
        await self._command(codec.set_clock(self._header, when))

    async def _command(self, request: Request) -> None:
        reply = await self._ask(request)
        if not reply.accepted:
            raise self._strange(request, reply)

    async def _answer(self, request: Request) -> Reply:
        reply = await self._ask(request)
        if not reply.answers(request):
            raise self._strange(request, reply)
        return reply

    async def _ask(self, request: Request) -> Reply:
        tried = 0
        while True:
            tried += 1
            self._sequence = (self._sequence + 1) % _SEQUENCES
            session = Session(self._sequence, self._random, q_model=self.family is Family.BX6Q)
            reply = self._read(codec.parse_reply, await self._link.ask(request.encode(session)))
            if not reply.declined:
                return reply
            if reply.error not in codec.TRANSIENT_ERRORS or tried == TRIES:
                break
            await asyncio.sleep(_BUSY_PAUSE_S * tried)
        what = f"{self._name}: command {request.group:02x} {request.command:02x}: {reply.why}"
        if reply.error in codec.TRANSIENT_ERRORS:
            raise DeviceUnavailableError(f"{what}, asked {TRIES} times")
        raise DeviceRefusedError(what)

    def _strange(self, request: Request, reply: Reply) -> DeviceProtocolError:
        self._link.close()  # answers and questions no longer match
        return DeviceProtocolError(
            f"{self._name}: command {request.group:02x} {request.command:02x} "
            f"was answered by {reply.group:02x} {reply.command:02x}"
        )

    def _read(self, parse: Callable[[bytes], T], data: bytes) -> T:
        try:
            return parse(data)
        except FrameError as error:
            self._link.close()
            raise DeviceProtocolError(f"{self._name}: {error}") from error
