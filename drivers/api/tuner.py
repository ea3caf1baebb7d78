"""The FM receiver."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, Self

from drivers.api.base import Options


@dataclass(frozen=True, slots=True)
class TunerState:
    """What a tuner receives; None where the chip does not tell.

    Attributes:
        megahertz: frequency tuned to, None before the first `tune`.
        muted: its output is muted.
        locked: a station is received.
        rssi: signal strength in the chip's own unit.
        stereo: the pilot is received.
    """

    megahertz: float | None
    muted: bool
    locked: bool | None
    rssi: int | None
    stereo: bool | None = None


class Tuner(Protocol):
    """An FM receiver whose sound comes in by a sound card. Safe state: muted, asleep."""

    @property
    def name(self) -> str: ...

    async def tune(self, megahertz: float) -> TunerState:
        """Tune, still muted; returns once the chip says it is ready.

        Raises:
            DeviceRefusedError: outside 87.0 to 108.0.
            DeviceUnavailableError: no answer, or not ready within a second.
        """
        ...

    async def set_mute(self, *, muted: bool) -> None: ...

    async def read(self) -> TunerState: ...

    async def probe(self) -> None: ...


class TunerDriver(Protocol):
    """Factory of one tuner."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def open(self) -> AbstractAsyncContextManager[Tuner]: ...
