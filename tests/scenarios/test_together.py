"""Boxes of one station start together, or as far apart as somebody chose."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.support.onair import OnAir, on_air, soon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]
S = timedelta(seconds=1)


async def first_sounds(one: OnAir, other: OnAir, start: datetime) -> tuple[datetime, datetime]:
    """When each box sounded first, of one airing that both hold."""
    for box in (one, other):
        box.programme("tin", start, await box.tone(400, 3))
    await asyncio.gather(one.record("tin"), other.record("tin"))
    found = [box.heard().first_sound(start - 2 * S) for box in (one, other)]
    assert found[0] is not None
    assert found[1] is not None
    return found[0], found[1]


async def test_two_boxes_begin_within_20_ms(tmp_path: Path) -> None:
    async with on_air(tmp_path / "a") as one, on_air(tmp_path / "b") as other:
        start = soon(3)
        first, second = await first_sounds(one, other, start)
        assert abs(first - second) <= timedelta(milliseconds=20)
        assert abs(first - start) <= timedelta(milliseconds=30)


async def test_a_pole_100_m_away_begins_by_its_chosen_delay_later(tmp_path: Path) -> None:
    async with on_air(tmp_path / "a") as one, on_air(tmp_path / "b", zone="delay_ms = 290") as other:
        first, second = await first_sounds(one, other, soon(3))
        apart_ms = (second - first) / timedelta(milliseconds=1)
        assert apart_ms == pytest.approx(290, abs=20)
        assert (await other.record("tin")).verdict == "heard"


async def test_latency_of_a_box_is_taken_off_its_start(tmp_path: Path) -> None:
    class Late(OnAir):
        def toml(self) -> str:
            return super().toml() + "\n[playout]\noutput_latency_ms = 120\n"

    late = Late(tmp_path / "a")
    await late.start()
    try:
        start = soon(3)
        late.programme("tin", start, await late.tone(400, 2))
        await late.record("tin")
        sound = late.heard().first_sound(start - 2 * S)
        assert sound is not None
        assert (start - sound) / timedelta(milliseconds=1) == pytest.approx(120, abs=20)
    finally:
        await late.stop()
