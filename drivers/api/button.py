"""Buttons a person presses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol, Self

from drivers.api.base import Options


class Button(Protocol):
    """A push-button on the box, such as the safety stop."""

    @property
    def name(self) -> str: ...

    def presses(self) -> AsyncIterator[float]:
        """Yields how long, in seconds, each press lasted (0.05 or more), when it is let go."""
        ...


class ButtonDriver(Protocol):
    """Factory of one button."""

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self: ...

    def open(self) -> AbstractAsyncContextManager[Button]: ...
