"""Signed hours as rules, progress of orders on disk, the safety button and its watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from agent.app.onair import (
    BUTTON_MINUTES,
    OrderRecord,
    SafetyButton,
    SafetyWatch,
    hours_of,
    level_of,
    live_news,
)
from agent.errors import StoreError
from agent.model.bulletin import SourceLevel, ZoneId
from agent.model.hours import permission
from agent.model.issue import Fault
from agent.model.live import LiveState, LiveStatus
from agent.store.store import Store
from agent.wire.orders import Desired, HoursWindow, Scope, ScopeKind
from agent.wire.reports import EventType
from agent.wire.root import Root
from agent.wire.ulid import new_ulid
from drivers.api import ButtonDriver, DeviceUnavailableError
from tests.support.clock import settle
from tests.unit.app.doubles import EAST, MAIN, NOON, Box, State
from tests.unit.field.doubles import FakeControls
from tests.unit.wire.documents import EXAMPLES


def desired(*windows: HoursWindow, version: int = 3) -> Desired:
    return Desired(
        id=new_ulid(NOON), issuer="commune", seq=1, scope=Scope(kind=ScopeKind.STATION, id="xa"),
        not_before=NOON, expires=NOON + timedelta(days=30), hours=windows, hours_version=version,
    )  # fmt: skip


def test_without_hours_sound_is_allowed_at_all_times() -> None:
    assert hours_of(desired(), "Asia/Ho_Chi_Minh") is None


def test_signed_hours_become_rules_of_the_station() -> None:
    rules = hours_of(
        desired(
            HoursWindow(weekdays=(1, 2), start="05:30", end="06:15", max_minutes=20, max_dbfs=-9),
            HoursWindow(start="22:00", end="24:00"),
        ),
        "Asia/Ho_Chi_Minh",
    )
    assert rules is not None
    assert (rules.version, rules.timezone) == (3, "Asia/Ho_Chi_Minh")
    first, second = rules.windows
    assert (first.weekdays, first.start, first.end) == (frozenset({1, 2}), 19_800, 22_500)
    assert (first.max_minutes, first.max_dbfs) == (20, -9)
    assert (second.end, len(second.weekdays)) == (86_400, 7)
    assert permission(rules, datetime(2026, 11, 22, 22, 45, tzinfo=UTC)).allowed  # Monday 05:45 in Vietnam


async def test_progress_of_orders_is_read_as_it_was_saved_and_ends_are_told_to_the_store() -> None:
    state = State()
    record = OrderRecord(cast("Store", state))
    assert await record.load() == {}
    await record.save({"o": {"rounds": {"main": 2}}})
    assert await record.load() == {"o": {"rounds": {"main": 2}}}
    await record.close("a", cancelled=True)
    await record.close("b", cancelled=False)
    assert state.closed == [("a", "cancelled"), ("b", "ended")]


async def test_a_failing_card_is_told_when_writing_and_forgiven_when_reading() -> None:
    state = State()
    state.broken = True
    record = OrderRecord(cast("Store", state))
    with pytest.raises(StoreError):  # so that the engine tries again
        await record.save({"o": {}})
    assert await record.load() == {}


@pytest.mark.parametrize(("issuer", "level"), [("commune", SourceLevel.COMMUNE), ("stranger", None)])
def test_the_level_of_an_issuer_is_that_of_the_trust_root(issuer: str, level: SourceLevel | None) -> None:
    example = next(values for model, values in EXAMPLES if model is Root)
    assert level_of(Root.model_validate(example), issuer) is level
    assert level_of(None, issuer) is None


class Button:
    """A button whose presses are given; the device may be gone first."""

    def __init__(self, *presses: float, lost: int = 0) -> None:
        self.left = list(presses)
        self.lost = lost
        self.opened = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Button]:
        self.opened += 1
        if self.opened <= self.lost:
            raise DeviceUnavailableError("no pin")
        yield self

    async def presses(self) -> AsyncIterator[float]:
        while self.left:
            yield self.left.pop(0)
        await asyncio.Event().wait()


@asynccontextmanager
async def running(service: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(service.run())
    await settle()
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def test_live_sound_that_comes_goes_and_comes_back_is_told_once_each_time() -> None:
    def now(state: LiveState, detail: str = "") -> dict[str, LiveStatus]:
        return {"a": LiveStatus(state, NOON, detail=detail)}

    connecting, ready = now(LiveState.CONNECTING), now(LiveState.READY)
    lost = now(LiveState.LOST, "no data for 10 s")
    told = [
        [*live_news(before, after)]
        for before, after in (
            ({}, connecting),
            (connecting, ready),
            (ready, ready),
            (ready, lost),
            (lost, ready),
        )
    ]
    begun, ended = (EventType.LIVE_BEGUN, "a", ""), (EventType.LIVE_LOST, "a", "no data for 10 s")
    assert told == [[], [begun], [], [ended], [begun]]
    assert [*live_news(connecting, lost)] == []  # it was never there


async def test_a_press_stops_all_zones_and_a_long_one_releases_them() -> None:
    controls = FakeControls()
    button = SafetyButton(cast("ButtonDriver", Button(0.2, 3.5)), Box().clock, controls, "local:button")
    async with running(button):
        assert controls.done == [
            ("safety_stop", (), BUTTON_MINUTES, "local:button"),
            ("safety_release", (), "local:button"),
        ]


async def test_a_button_that_does_not_answer_is_looked_for_again() -> None:
    controls, clock = FakeControls(), Box().clock
    driver = Button(0.2, lost=2)
    async with running(SafetyButton(cast("ButtonDriver", driver), clock, controls, "local:button")):
        assert controls.done == []
        await clock.pass_(25, 5)
        assert driver.opened == 3
        assert len(controls.done) == 1


class Issues:
    def __init__(self) -> None:
        self.open: set[tuple[Fault, str]] = set()

    def raise_(self, fault: Fault, subject: str = "", detail: str = "") -> None:
        self.open.add((fault, subject))

    def clear(self, fault: Fault, subject: str = "") -> None:
        self.open.discard((fault, subject))


async def test_a_safety_stop_is_shown_while_it_lasts_and_its_end_is_told_once() -> None:
    box, issues, ended, kept = Box(), Issues(), list[ZoneId](), list[float]()

    async def keep() -> None:
        kept.append(box.station.safety_left_s(MAIN))

    async with running(SafetyWatch(box.station, issues, box.clock, on_end=ended.append, keep=keep)):
        box.station.safety_stop((MAIN, EAST), 60)
        await settle()
        assert issues.open == {(Fault.SAFETY_STOPPED, "main"), (Fault.SAFETY_STOPPED, "east")}
        box.station.safety_release((EAST,))
        await settle()
        assert (ended, issues.open) == ([EAST], {(Fault.SAFETY_STOPPED, "main")})
        await box.clock.pass_(61, 10)
        before = box.station.changed.value
        box.station.touch()
        await settle()
        assert ended == [EAST, MAIN]
        assert issues.open == set()
        assert box.station.changed.value > before + 1  # the zones look again at once
        assert kept[-1] == 0  # and a restart does not bring it back
