"""State that changes: readers may skip values in between, never the last one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds a value; `follow` yields it and each newer one."""

    def __init__(self, value: T) -> None:
        self._value = value
        self._changed = asyncio.Event()

    @property
    def value(self) -> T:
        """The current value."""
        return self._value

    def set(self, value: T) -> None:
        """Replace the value; equal values wake nobody."""
        if value != self._value:
            self._value = value
            self.poke()

    def poke(self) -> None:
        """Wake every reader although the value is the same object (its content changed)."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def changed(self) -> None:
        """Wait for the next change after this call."""
        await self._changed.wait()

    async def follow(self) -> AsyncIterator[T]:
        """Yield the current value, then each newer one."""
        while True:
            changed = self._changed  # taken before the yield, so a change meanwhile is not missed
            yield self._value
            await changed.wait()
