"""Scenarios play in real time on a simulated box; each is judged by what its horn gave out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.onair import OnAir


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[OnAir]:
    """A running box with one zone."""
    found = OnAir(tmp_path / "box")
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
async def two_zones(tmp_path: Path) -> AsyncIterator[OnAir]:
    """A running box with the zones `main` and `market`."""
    found = OnAir(tmp_path / "box", ("main", "market"))
    await found.start()
    yield found
    await found.stop()
