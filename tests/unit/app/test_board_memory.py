"""What boards know again after a power cut."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from agent.app.board_memory import KEY, BoardMemory
from agent.errors import StoreFullError
from agent.model.board import Page, PageKind
from agent.model.bulletin import ClockTrust
from agent.store.state import Json
from agent.store.store import Store
from tests.support.clock import FakeClock

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CLEAR = Page("c", PageKind.ALL_CLEAR, title="Báo yên", issued=NOW)


class Shelf:
    """The store's state."""

    def __init__(self) -> None:
        self.values: dict[str, Json] = {}
        self.full = False

    async def get_state(self, key: str) -> Json:
        if self.full:
            raise StoreFullError("full")
        return self.values.get(key)

    async def put_state(self, values: Mapping[str, Json]) -> None:
        if self.full:
            raise StoreFullError("full")
        self.values.update(values)


class Bench:
    def __init__(self) -> None:
        self.clock, self.shelf = FakeClock(NOW), Shelf()
        self.memory = self.fresh()

    def fresh(self) -> BoardMemory:
        return BoardMemory(cast("Store", self.shelf), self.clock, ("board",))

    async def restarted(self) -> BoardMemory:
        self.memory = self.fresh()
        await self.memory.restore()
        return self.memory


async def test_dead_modules_and_all_clears_are_known_after_a_power_cut() -> None:
    bench = Bench()
    for place in ("2/10", "2/9", "1/1"):
        bench.memory.module("board", place, dead=True)
    bench.memory.module("board", "1/1", dead=False)
    bench.memory.clear(CLEAR, NOW + MINUTE, ("main",))
    bench.memory.clear(CLEAR, NOW + 9 * MINUTE, ())  # the same cancel once more
    await bench.memory.save()
    memory = await bench.restarted()
    assert memory.dead("board") == ("2/9", "2/10")
    assert list(memory.cleared) == [(CLEAR, NOW + MINUTE, ("main",))]
    await bench.clock.pass_(60, grain_s=60)
    await memory.look(reachable=False)
    assert memory.cleared == ()


async def test_the_link_counts_as_lost_from_when_it_was_last_seen_over_restarts() -> None:
    bench = Bench()
    await bench.memory.look(reachable=True)
    await bench.memory.save()
    await bench.clock.pass_(600, grain_s=600)
    memory = await bench.restarted()
    await memory.look(reachable=False)
    assert memory.link_limit(30) == NOW + 30 * MINUTE
    assert memory.link_limit(0) is None
    bench.clock.trust = ClockTrust.UNKNOWN  # nobody knows since when: from the start of this run
    assert memory.link_limit(30) == NOW + 40 * MINUTE


async def test_a_box_that_never_saw_its_server_has_its_time_from_the_start() -> None:
    bench = Bench()
    await bench.memory.look(reachable=False)
    assert bench.memory.link_limit(30) == NOW + 30 * MINUTE


@pytest.mark.parametrize(
    "kept",
    [None, [], "x", {"dead": 5, "cleared": [5], "seen": 7}, {"cleared": [{"page": {}}]}, {"seen": "then"},
     {"dead": {"board": [1, "2/3"]}, "cleared": {}}],
)  # fmt: skip
async def test_what_cannot_be_understood_is_left_out(kept: Json) -> None:
    bench = Bench()
    bench.shelf.values[KEY] = kept
    memory = await bench.restarted()
    assert memory.cleared == ()
    assert set(memory.dead("board")) <= {"2/3"}


async def test_a_store_that_refuses_costs_only_the_memory() -> None:
    bench = Bench()
    bench.shelf.full = True
    bench.memory.module("board", "1/1", dead=True)
    await bench.memory.save()
    assert bench.memory.dead("board") == ("1/1",)
    assert (await bench.restarted()).dead("board") == ()


@pytest.mark.parametrize("step", [timedelta(days=-900), timedelta(days=900)])
async def test_an_all_clear_is_shown_as_long_as_meant_although_the_clock_is_set(step: timedelta) -> None:
    bench = Bench()
    bench.memory.clear(CLEAR, NOW + 15 * MINUTE, ())
    bench.clock.step(step)
    await bench.memory.look(reachable=True)
    ((_, until, _),) = bench.memory.cleared
    assert until == NOW + step + 15 * MINUTE
    await bench.clock.pass_(900, grain_s=900)
    await bench.memory.look(reachable=True)
    assert bench.memory.cleared == ()


async def test_an_all_clear_of_a_run_whose_clock_ran_ahead_does_not_stay_for_years() -> None:
    bench = Bench()
    bench.memory.clear(CLEAR, NOW + 15 * MINUTE, ())
    await bench.memory.save()
    bench.clock.step(timedelta(days=-900))
    ((_, until, _),) = (await bench.restarted()).cleared
    assert until <= bench.clock.now() + 15 * MINUTE


async def test_the_link_is_lost_past_its_limit_also_without_a_clock_to_believe() -> None:
    bench = Bench()
    bench.clock.trust = ClockTrust.UNKNOWN
    await bench.memory.look(reachable=True)
    await bench.clock.pass_(1200, grain_s=1200)
    await bench.memory.look(reachable=False)
    assert bench.memory.link_limit(30) == bench.clock.now() + 10 * MINUTE
    bench.clock.step(timedelta(days=900))
    assert bench.memory.link_limit(30) == bench.clock.now() + 10 * MINUTE


async def test_a_clock_that_ran_ahead_does_not_make_the_link_good_for_years() -> None:
    bench = Bench()
    await bench.memory.look(reachable=True)
    bench.clock.step(timedelta(days=-900))
    await bench.memory.look(reachable=False)
    limit = bench.memory.link_limit(30)
    assert limit is not None
    assert limit <= bench.clock.now() + 30 * MINUTE
