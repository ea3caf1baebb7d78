"""For boxes whose amplifier is always on: nothing to switch, nothing to measure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self

from drivers.api import Amplifier, AmplifierState, Options
from drivers.options import refuse_unknown

if TYPE_CHECKING:
    from drivers.api import AmplifierDriver


class NoAmplifier:
    """Takes every order and remembers it; the real amplifier hears everything the sound card plays."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._powered = False
        self._muted = True

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build; there are no options. Raises DriverSetupError when there is one."""
        refuse_unknown(name, options, frozenset())
        return cls(name)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Amplifier]:
        self._powered, self._muted = False, True
        try:
            yield self
        finally:
            self._powered, self._muted = False, True

    async def set_power(self, *, on: bool) -> None:
        self._powered = on
        self._muted = self._muted or not on

    async def set_mute(self, *, muted: bool) -> None:
        self._muted = muted

    async def read(self) -> AmplifierState:
        return AmplifierState(powered=self._powered, muted=self._muted)

    async def probe(self) -> None:
        """Nothing can be asked."""


if TYPE_CHECKING:
    _driver: type[AmplifierDriver] = NoAmplifier
