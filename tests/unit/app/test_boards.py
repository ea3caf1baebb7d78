"""All boards of a box: what was shown is reported, also when the card does not take it at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from agent.app import boards as module
from agent.app.board_sight import Sight
from agent.app.boards import Boards
from agent.clock import SystemClock
from agent.config import parse_config
from agent.content.store import MediaDiskError
from agent.errors import StoreFullError
from agent.health.issues import IssueBook
from agent.latest import Latest
from agent.model.board import Look, Page, PageKind, PageRank
from agent.model.bulletin import ClockTrust
from agent.playout.station import Station
from agent.signage.proof import Stay
from agent.source.api import SourceStatus
from agent.store.store import Store
from agent.wire.orders import Desired

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


class Files:
    """One file the disk does not read, others are well."""

    async def checked(self, sha256: str) -> Path:
        if sha256.startswith("bad"):
            raise MediaDiskError("the disk does not read it")
        return Path(sha256)


def boards_of(store: Store) -> Boards:
    clock = SystemClock(lambda: ClockTrust.SYNCHRONISED)
    desired: Latest[Desired | None] = Latest(None)
    return Boards(
        parse_config('[[boards]]\nid = "board"\nkind = "simulated"\n'),
        clock=clock,
        issues=IssueBook(clock, lambda *_: None),
        store=store,
        station=Station((), clock, begun=set(), finished=set(), planned_until=None, held=frozenset()),
        desired=desired,
        link=lambda: cast("SourceStatus", None),
        files=Files(),
        held=lambda _: True,
        tell=lambda *_: None,
        may_cancel=lambda *_: True,
        title_of=str,
    )


def stay(name: str, rank: PageRank = PageRank.PAGE) -> Stay:
    return Stay("board", Page(name, PageKind.PAGE), "playlist", rank, "a" * 64, 1, NOW, NOW)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "loa.db") as found:
        yield found


async def test_what_was_shown_is_reported_once_the_card_takes_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    boards = boards_of(store)
    report = store.report

    async def full(_: object) -> None:
        raise StoreFullError("full")

    monkeypatch.setattr(store, "report", full)
    boards._keep_stay(stay("lu", PageRank.EMERGENCY))
    await boards.close()
    assert await store.outbox_next(10) == []
    monkeypatch.setattr(store, "report", report)
    await boards.close()
    assert [one.kind for one in await store.outbox_next(10)] == ["screen"]


async def test_pages_make_room_for_an_emergency_while_the_card_takes_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_QUEUE", 3)
    boards = boards_of(store)
    for name in ("lu", "bao", "song"):
        boards._keep_stay(stay(name, PageRank.EMERGENCY if name == "lu" else PageRank.PAGE))
    boards._keep_stay(stay("chay", PageRank.EMERGENCY))
    boards._keep_stay(stay("lich"))
    kept = {one.page.id for one in boards._stays}
    assert len(kept) == 3
    assert {"lu", "chay"} <= kept


async def test_a_file_the_disk_does_not_read_costs_no_other_file(store: Store) -> None:
    sight: Sight = boards_of(store).sight
    pages = tuple(Page(name, PageKind.PAGE, picture=name) for name in ("bad", "good"))
    assert await sight.assets(Look(pages)) == {"good": Path("good")}
