"""What a driver of a `SurfaceBoard` brings: the blocking calls that put packed rows on a display."""

from __future__ import annotations

from typing import Protocol

from drivers.api import BoardAbilities, BoardStatus, PixelFormat


class Output(Protocol):
    """Where packed rows go. Every call blocks and is made in one thread; an OSError means: gone."""

    @property
    def pixel_format(self) -> PixelFormat: ...

    @property
    def abilities(self) -> BoardAbilities: ...

    @property
    def paces(self) -> bool:
        """Whether `write` with `wait` comes back when the next frame is due."""
        ...

    def take(self) -> object:
        """Take the output over; return what `give_back` needs to bring back what is there now."""
        ...

    def check(self) -> None:
        """Raise DeviceUnavailableError or OSError when the output is gone; quick enough for each frame."""
        ...

    def write(self, picture: memoryview, top_px: int, bottom_px: int, *, wait: bool) -> None:
        """Show rows of a picture of the whole board, packed without gaps between rows."""
        ...

    def brightness(self, level: float) -> None: ...

    def status(self, picture: memoryview) -> BoardStatus:
        """Tell what is known; `foreign`: not `picture` is shown; `lost`: told once, it forgot."""
        ...

    def give_back(self, former: object) -> None: ...

    def close(self) -> None:
        """Let go, leaving on the board what it shows as far as the hardware allows; never raises."""
        ...


class Keeper(Protocol):
    """Keeps what an output showed before us, beyond this process. Every call blocks; none raises."""

    def load(self) -> object:
        """Return what an earlier process stored and never forgot, None if there is nothing."""
        ...

    def store(self, former: object) -> None:
        """Keep what `Output.take` returned, before anything of ours is shown."""
        ...

    def forget(self) -> None:
        """It has been given back."""
        ...
