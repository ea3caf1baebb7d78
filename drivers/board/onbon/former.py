"""How an Onbon card was before we changed it, for handing it back, also by a later process."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from drivers.api import DeviceRefusedError
from drivers.board import kept
from drivers.board.leaving import see_through
from drivers.board.onbon.answers import Card, CardStatus
from drivers.board.onbon.codec import BRIGHTNESS_MODE_MAX, BRIGHTNESS_STEPS

logger = logging.getLogger(__name__)

_LONGEST_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class Former:
    """What was there before us of all that we changed; None: we did not touch it.

    Attributes:
        brightness: step 0 to 15, and mode as in `CardStatus`.
        on: whether the screen was switched on.
    """

    brightness: tuple[int, int] | None = None
    on: bool | None = None

    def over(self, told: CardStatus) -> CardStatus:
        """What the card tells of itself, without our changes."""
        if self.brightness is not None:
            told = replace(told, brightness=self.brightness[0], brightness_mode=self.brightness[1])
        return told if self.on is None else replace(told, on=self.on)


class Keeper:
    """Knows `former`, in memory and in a file that outlives us; the caller sees that calls do not cross."""

    def __init__(self, name: str, path: Path | None) -> None:
        """Read nothing yet; without a path it is known in memory only."""
        self._name = name
        self._path = path
        self._card: tuple[int, int, int] = (0, 0, 0)
        self._before: CardStatus | None = None
        self.former = Former()

    @property
    def holds(self) -> bool:
        """Whether there is anything to put back."""
        return self.former != Former()

    async def recall(self, card: Card, told: CardStatus) -> None:
        """See how the card is; load what an earlier process left that never handed this one back."""
        self._card = (card.device_type, card.width_px, card.height_px)
        await self._load()
        self._before = self.former.over(told)

    @asynccontextmanager
    async def changing(self, *, brightness: bool = False, switch: bool = False) -> AsyncIterator[None]:
        """Keep how it was before the first change of it, unless the card refuses that change."""
        held, before = self.former, self._before
        if before is not None and brightness and held.brightness is None:
            await self._hold(replace(held, brightness=(before.brightness, before.brightness_mode)))
        if before is not None and switch and held.on is None:
            await self._hold(replace(held, on=before.on))
        try:
            yield
        except DeviceRefusedError:
            await self._hold(held)
            raise

    async def forget(self) -> None:
        """Nothing of ours is on the card any more."""
        self.former = Former()
        await see_through(asyncio.to_thread(kept.forget, self._path))

    async def _load(self) -> None:
        try:
            content = await asyncio.to_thread(kept.read, self._path, _LONGEST_BYTES)
            if content is None:
                return
            of, former = decode(content)
        except (kept.KeptError, ValueError) as error:
            logger.warning("board %s: how the card was before us is not known: %s", self._name, error)
            return
        if of != self._card:
            logger.warning("board %s: what is kept is of another card: %s", self._name, of)
            return
        self.former = former

    async def _hold(self, former: Former) -> None:
        """Store it to the end, whoever is cancelled meanwhile: a late write must not outlive `forget`."""
        if former == self.former:
            return
        self.former = former
        if not self.holds:
            await self.forget()
        else:
            await see_through(asyncio.to_thread(kept.write, self._path, encode(self._card, former)))


def encode(card: tuple[int, int, int], former: Former) -> bytes:
    return json.dumps({"card": card, "brightness": former.brightness, "on": former.on}).encode()


def decode(content: bytes) -> tuple[tuple[int, int, int], Former]:
    """Read what `encode` made: device type, width and height in px, and the rest; raises ValueError."""
    try:
        found = json.loads(content)
        device_type, width_px, height_px = found["card"]
        brightness, on = found["brightness"], found["on"]
        if brightness is not None:
            step, mode = brightness
            brightness = (_whole(step, BRIGHTNESS_STEPS), _whole(mode, BRIGHTNESS_MODE_MAX))
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"damaged: {error!r}") from error
    if on is not None and not isinstance(on, bool):
        raise ValueError(f"switched {on!r}")
    return (device_type, width_px, height_px), Former(brightness, on)


def _whole(value: object, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise ValueError(f"{value!r} is not 0 to {most}")
    return value
