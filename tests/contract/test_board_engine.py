"""The engine of a board: what it gives, what it replaces, what it raises; the worker is a double."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.latest import Latest
from agent.model.board import Facts, Look, Page, PageKind, PageRank
from agent.model.bulletin import ClockTrust, SourceLevel
from agent.model.issue import Fault
from agent.signage import engine as module
from agent.signage.client import Problem
from agent.signage.client import Shown as WorkerShown
from agent.signage.engine import SignageEngine
from agent.signage.programme import BoardState, OwnPage, Warned
from agent.signage.proof import ScreenLog, Stay
from drivers.api import BoardAbilities, BoardGeometry, BoardStatus, DeviceUnavailableError

STATE = BoardState(Page("idle", PageKind.IDLE, title="Xã"), Page("safe", PageKind.SAFE))
FLOOD = Warned("lu", SourceLevel.COMMUNE, 1, (Page("lu.0", PageKind.EMERGENCY, title="Lũ", order_id="lu"),))


class FakeClient:
    """A worker that shows at once unless it is told otherwise."""

    def __init__(self) -> None:
        self.geometry = BoardGeometry(192, 64)
        self.abilities = BoardAbilities()
        self.looks: list[Look] = []
        self.levels: list[float | None] = []
        self.clocks: list[bool] = []
        self.broken = ""
        self.stuck = False
        self.asked = 0
        self.poisoned = False
        self.assets: Mapping[str, Path] = {}
        self.told = BoardStatus(model="BX-6E2", on=True)
        self._events: asyncio.Queue[WorkerShown | Problem | None] = asyncio.Queue()

    async def look(self, number: int, look: Look, facts: Facts, assets: Mapping[str, Path]) -> None:
        del facts
        self.asked += 1
        if self.poisoned and assets:
            self.event(None)
            await asyncio.Event().wait()
        if self.broken:
            raise DeviceUnavailableError(self.broken)
        if self.stuck and look.rank is not PageRank.EMERGENCY:
            await asyncio.Event().wait()
        self.looks.append(look)
        self.assets = assets
        page = look.pages[0].id if look.pages else ""
        self.event(WorkerShown(number, page, 1 if page else 0, 1, "a" * 64, 0, b"png"))

    async def set_clock(self, wall_minus_monotonic_ns: int, known: bool) -> None:
        assert wall_minus_monotonic_ns > 0
        self.clocks.append(known)

    async def set_brightness(self, level: float | None) -> None:
        self.levels.append(level)

    async def screenshot(self) -> bytes:
        return b"PNG"

    async def status(self) -> BoardStatus:
        if self.broken:
            raise DeviceUnavailableError(self.broken)
        return self.told

    async def events(self) -> AsyncIterator[WorkerShown | Problem]:
        while (event := await self._events.get()) is not None:
            yield event
        raise DeviceUnavailableError("the board worker is gone")

    def event(self, event: WorkerShown | Problem | None) -> None:
        self._events.put_nowait(event)


class Issues:
    """Open issues."""

    def __init__(self) -> None:
        self.open: dict[tuple[Fault, str], str] = {}

    def raise_(self, fault: Fault, subject: str = "", detail: str = "") -> None:
        self.open[fault, subject] = detail

    def clear(self, fault: Fault, subject: str = "") -> None:
        self.open.pop((fault, subject), None)

    @property
    def faults(self) -> set[Fault]:
        return {fault for fault, _ in self.open}


class Bench:
    """An engine with its room."""

    def __init__(self) -> None:
        self.changed: Latest[int] = Latest(0)
        self.now = STATE
        self.level: float | None = None
        self.clients: list[FakeClient] = []
        self.absent = False
        self.poison = False
        self.known = Facts()
        self.checking: asyncio.Event | None = None
        self.stays: list[Stay] = []
        self.issues = Issues()
        self.engine = SignageEngine(
            "board",
            self._open,
            self,
            clock=SystemClock(lambda: ClockTrust.SYNCHRONISED),
            issues=self.issues,
            log=ScreenLog("board", self.stays.append),
        )

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[FakeClient]:
        if self.absent:
            raise DeviceUnavailableError("no answer")
        client = FakeClient()
        client.poisoned = self.poison
        self.clients.append(client)
        yield client

    def state(self) -> BoardState:
        return self.now

    def facts(self) -> Facts:
        return self.known

    async def assets(self, look: Look) -> Mapping[str, Path]:
        files = {one for page in look.pages for one in (page.picture, page.video) if one}
        if files and self.checking is not None:
            await self.checking.wait()
        return {one: Path("film") for one in files}

    def brightness(self) -> float | None:
        return self.level

    def set(self, state: BoardState) -> None:
        self.now = state
        self.changed.set(self.changed.value + 1)

    @property
    def client(self) -> FakeClient:
        return self.clients[-1]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    found = Bench()
    task = asyncio.create_task(found.engine.run())
    yield found
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(look: Callable[[], object], limit_s: float = 5) -> None:
    async with asyncio.timeout(limit_s):
        while not look():
            await asyncio.sleep(0.005)


async def shows(bench: Bench, page: str) -> None:
    await until(lambda: bench.engine.view.answers and bench.engine.view.page == page)


async def test_a_change_is_on_the_board_at_once(bench: Bench) -> None:
    await shows(bench, "idle")
    bench.set(replace(STATE, emergencies=(FLOOD,)))
    began = asyncio.get_running_loop().time()
    await shows(bench, "lu.0")
    assert asyncio.get_running_loop().time() - began < 0.3
    assert bench.engine.view.title == "Lũ"


async def test_a_look_is_decided_anew_at_its_end_and_not_ended_by_the_worker(bench: Bench) -> None:
    now = datetime.now(UTC)
    page = OwnPage(Page("a", PageKind.PAGE), valid_until=now + timedelta(seconds=0.5))
    bench.set(replace(STATE, playlist=(page, OwnPage(Page("b", PageKind.PAGE)))))
    await until(lambda: bench.clients and bench.client.looks and len(bench.client.looks[-1].pages) == 2)
    assert bench.client.looks[-1].until is None
    await until(lambda: [one.id for one in bench.client.looks[-1].pages] == ["b"], 1.5)


async def test_the_same_look_is_given_once(bench: Bench) -> None:
    await shows(bench, "idle")
    for _ in range(5):
        bench.set(STATE)
        await asyncio.sleep(0.02)
    assert len(bench.client.looks) == 1


async def test_an_emergency_does_not_wait_for_a_look_that_hangs(bench: Bench) -> None:
    await shows(bench, "idle")
    bench.client.stuck = True
    bench.set(replace(STATE, playlist=(OwnPage(Page("a", PageKind.PAGE)),)))
    await asyncio.sleep(0.05)
    bench.set(replace(STATE, emergencies=(FLOOD,)))
    await shows(bench, "lu.0")


async def test_a_lost_worker_is_replaced_at_once_and_shows_the_same(bench: Bench) -> None:
    bench.now = replace(STATE, emergencies=(FLOOD,))
    await shows(bench, "lu.0")
    began = asyncio.get_running_loop().time()
    bench.client.event(None)
    await until(lambda: len(bench.clients) == 2 and bench.engine.view.page == "lu.0")
    assert asyncio.get_running_loop().time() - began < 0.5
    assert Fault.BOARD_WORKER not in bench.issues.faults


async def test_workers_that_keep_dying_are_an_issue(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for count in range(1, module.MANY_LOSSES + 1):
        await until(lambda count=count: len(bench.clients) == count and bench.client.looks)  # type: ignore[misc]
        bench.client.event(None)
    await until(lambda: Fault.BOARD_WORKER in bench.issues.faults)
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(module, "LOSSES_S", 0.1)
    await until(lambda: Fault.BOARD_WORKER not in bench.issues.faults)  # the last one stays


async def test_a_board_that_cannot_be_opened_is_an_issue_until_it_shows(bench: Bench) -> None:
    await shows(bench, "idle")
    bench.absent = True
    bench.client.event(None)
    await until(lambda: bench.issues.open.get((Fault.BOARD_UNAVAILABLE, "board")) == "no answer")
    assert not bench.engine.view.answers
    with pytest.raises(DeviceUnavailableError):
        await bench.engine.screenshot()
    bench.absent = False
    await shows(bench, "idle")
    assert bench.issues.faults == set()


async def test_a_board_that_refuses_a_look_is_asked_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.1)
    await shows(bench, "idle")
    bench.client.broken = "cable"
    bench.set(replace(STATE, playlist=(OwnPage(Page("a", PageKind.PAGE)),)))
    await until(lambda: Fault.BOARD_UNAVAILABLE in bench.issues.faults)
    bench.client.broken = ""
    await shows(bench, "a")
    assert bench.issues.faults == set()
    assert len(bench.clients) == 1  # the worker itself was well


async def test_what_a_page_cannot_show_is_an_issue_while_the_page_is_shown(bench: Bench) -> None:
    bench.now = replace(STATE, playlist=(OwnPage(Page("a", PageKind.PAGE)),))
    await shows(bench, "a")
    bench.client.event(Problem("a", "missing_glyph", "U+1F600"))
    await until(lambda: (Fault.BOARD_CONTENT, "board/a") in bench.issues.open)
    bench.set(STATE)
    await shows(bench, "idle")
    await until(lambda: not bench.issues.open)
    await until(lambda: bench.stays)
    told = {one.page.id: one.complaints for one in bench.stays}
    assert told["a"] == ("missing_glyph U+1F600",)


async def test_a_strange_picture_is_told(bench: Bench) -> None:
    await shows(bench, "idle")
    bench.client.event(Problem("", "foreign", "another picture"))
    await until(lambda: bench.issues.open.get((Fault.BOARD_CHANGED, "board")) == "another picture")


async def test_a_wrong_theme_is_told(bench: Bench) -> None:
    await shows(bench, "idle")
    bench.client.event(Problem("", "theme", "colours.text: too dark"))
    await until(lambda: Fault.BOARD_THEME in bench.issues.faults)


async def test_ordered_brightness_is_passed_on_and_given_back_to_the_plan(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.02)
    bench.level = 0.3
    await until(lambda: bench.clients and bench.client.levels == [0.3])
    bench.level = None
    await until(lambda: bench.client.levels == [0.3, None])
    assert bench.client.clocks == [True]


async def test_the_status_of_the_card_is_in_view(bench: Bench) -> None:
    await shows(bench, "idle")
    assert (await bench.engine.ask_status()).model == "BX-6E2"
    assert bench.engine.view.status is not None
    assert await bench.engine.screenshot() == b"PNG"


async def test_a_card_that_stops_answering_is_an_issue(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(module, "STATUS_EVERY_S", 0.05)
    await shows(bench, "idle")
    bench.client.broken = "no answer"
    await until(lambda: Fault.BOARD_UNAVAILABLE in bench.issues.faults)
    assert not bench.engine.view.answers


async def test_an_emergency_does_not_wait_for_the_pause_after_failures(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WAITS_S", (0.0, 0.0, 60.0))
    await shows(bench, "idle")
    bench.absent = True
    bench.client.event(None)
    await until(lambda: (Fault.BOARD_UNAVAILABLE, "board") in bench.issues.open)
    await asyncio.sleep(0.1)
    bench.absent = False
    began = asyncio.get_running_loop().time()
    bench.set(replace(STATE, emergencies=(FLOOD,)))
    await shows(bench, "lu.0")
    assert asyncio.get_running_loop().time() - began < 1.5


async def test_a_board_that_refuses_an_emergency_is_asked_again_soon_but_not_without_pause(
    bench: Bench,
) -> None:
    await shows(bench, "idle")
    bench.client.broken = "NACK"
    bench.set(replace(STATE, emergencies=(FLOOD,)))
    await asyncio.sleep(1)
    assert 2 <= bench.client.asked <= 12
    bench.client.broken = ""
    await shows(bench, "lu.0")


async def test_an_emergency_does_not_wait_for_files_that_are_still_being_checked(bench: Bench) -> None:
    await shows(bench, "idle")
    bench.checking = asyncio.Event()
    bench.set(replace(STATE, playlist=(OwnPage(Page("a", PageKind.PAGE, video="f" * 64)),)))
    await shows(bench, "a")  # without its video so far
    bench.set(replace(STATE, emergencies=(FLOOD,)))
    began = asyncio.get_running_loop().time()
    await shows(bench, "lu.0")
    assert asyncio.get_running_loop().time() - began < 0.4
    bench.set(replace(STATE, playlist=(OwnPage(Page("a", PageKind.PAGE, video="f" * 64)),)))
    bench.checking.set()
    await until(lambda: bench.client.assets == {"f" * 64: Path("film")})


async def test_files_that_kill_one_worker_after_the_other_are_left_out(bench: Bench) -> None:
    await shows(bench, "idle")
    page = Page("lu.0", PageKind.EMERGENCY, title="Lũ", picture="f" * 64, order_id="lu")
    bench.poison = bench.client.poisoned = True
    bench.set(replace(STATE, emergencies=(replace(FLOOD, pages=(page,)),)))
    await shows(bench, "lu.0")
    assert bench.client.assets == {}


async def test_a_board_that_stops_answering_is_not_said_to_show_its_page(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(module, "STATUS_EVERY_S", 0.05)
    bench.now = replace(STATE, emergencies=(FLOOD,))
    await shows(bench, "lu.0")
    bench.client.broken = "no answer"
    await until(lambda: not bench.engine.view.answers)
    assert (bench.stays[-1].page.id, bench.stays[-1].ended) == ("lu.0", True)
    assert (bench.engine.view.page, bench.engine.view.sha256) == ("", "")


async def test_a_page_never_carries_the_thumbnail_of_another(bench: Bench) -> None:
    await shows(bench, "idle")
    assert bench.engine.view.thumbnail == b"png"
    number = bench.engine._number
    bench.client.event(WorkerShown(number, "idle", 1, 1, "b" * 64, 0, b""))
    await until(lambda: bench.engine.view.sha256 == "b" * 64)
    assert bench.engine.view.thumbnail == b""


async def test_what_is_on_the_board_is_recorded_when_the_agent_stops() -> None:
    bench = Bench()
    bench.now = replace(STATE, emergencies=(FLOOD,))
    task = asyncio.create_task(bench.engine.run())
    await shows(bench, "lu.0")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [(one.page.id, one.ended) for one in bench.stays] == [("lu.0", False), ("lu.0", True)]


async def test_an_error_nobody_thought_of_costs_the_worker_and_not_the_emergency(bench: Bench) -> None:
    await shows(bench, "idle")
    bench.set(replace(STATE, emergencies=(FLOOD,)))
    await shows(bench, "lu.0")
    bench.client.event(WorkerShown(bench.engine._number, "lu.0", "x", 1, "a" * 64, None))  # type: ignore[arg-type]  # garbage
    await until(lambda: len(bench.clients) == 2)
    await shows(bench, "lu.0")


async def test_a_board_handed_back_is_left_alone_whatever_the_programme_says_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.02)
    bench.now = replace(STATE, commercial=True)
    await until(lambda: bench.clients and bench.client.looks and not bench.client.looks[-1].mine)
    count = len(bench.client.looks)
    for title in ("Bản tin", "Ca nhạc"):
        bench.known = Facts(next_title=title)
        await asyncio.sleep(0.1)
    assert len(bench.client.looks) == count
