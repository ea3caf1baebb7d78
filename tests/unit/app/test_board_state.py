"""From orders and programmes to pages: what a board's programme is told. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.app.board_state import (
    concerns,
    due,
    item_page,
    off_hours,
    own_pages,
    page_files,
    read_only,
    sounding,
    warned,
)
from agent.config import BoardSection, OffHours
from agent.model.board import PageKind, PageRank
from agent.model.bulletin import BulletinClass, Item, ItemKind, Media, Signal, SourceLevel, signal_media
from agent.model.schedule import Airing, Programme
from agent.playout.ladder import Rung
from agent.playout.notices import Notice
from agent.wire.orders import (
    BoardPage,
    Bulletin,
    BulletinPart,
    Desired,
    Emergency,
    FileRef,
    PageWindow,
    Scope,
    ScopeKind,
)
from agent.wire.ulid import new_ulid

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
ZONE = "Asia/Ho_Chi_Minh"
PICTURE = FileRef(sha256="a" * 64, size_bytes=10, url="/p")
VIDEO = FileRef(sha256="b" * 64, size_bytes=10, url="/v")


def carried(**more: Any) -> dict[str, Any]:
    return {
        "id": new_ulid(NOW),
        "issuer": "xa",
        "seq": 1,
        "scope": Scope(kind=ScopeKind.STATION, id="xa"),
        "not_before": NOW,
        "expires": NOW + timedelta(hours=1),
        **more,
    }


@pytest.mark.parametrize(
    ("meant", "board", "box", "answer"),
    [
        ((), (), ("main",), True),
        (("main",), (), ("main",), True),
        (("market",), (), ("main",), False),
        (("market",), ("market",), ("main",), True),
        (("main",), ("market",), ("main",), False),
        (("market",), (), (), True),  # a board alone serves the whole station
        (("market",), ("main",), (), False),
    ],
)
def test_a_board_is_meant_by_its_zones(
    meant: tuple[str, ...], board: tuple[str, ...], box: tuple[str, ...], *, answer: bool
) -> None:
    assert concerns(meant, board, box) is answer


def test_pages_of_an_order_become_the_playlist_of_the_boards_they_name() -> None:
    order = Desired(
        **carried(),
        pages=(
            BoardPage(id="a", title="A", picture=PICTURE, dwell_s=5),
            BoardPage(id="b", title="B", boards=("khac",), video=VIDEO),
            BoardPage(
                id="c", title="C", stream="https://x/y.m3u8", urgent=True,
                windows=(PageWindow(start="22:00", end="05:00", weekdays=(1,)),),
            ),
        ),
    )  # fmt: skip
    first, second = own_pages(order, "board", ZONE)
    assert (first.page.picture, first.page.dwell_s, first.page.order_id) == ("a" * 64, 5, order.id)
    assert not first.timed
    assert (second.page.video, second.urgent, second.timed) == ("https://x/y.m3u8", True, True)
    monday_night = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)  # 23:00
    assert second.due(monday_night)
    assert second.due(monday_night + timedelta(hours=5))
    assert not second.due(monday_night + timedelta(days=1))
    assert [one.sha256 for one in page_files(order, ("board",))] == ["a" * 64]
    assert [one.sha256 for one in page_files(order, ("board", "khac"))] == ["a" * 64, "b" * 64]
    assert page_files(None, ("board",)) == ()


def emergency(**more: Any) -> Notice:
    order = Emergency.model_validate(
        carried(
            event="flood", level="commune", parts=(BulletinPart(title="Lũ", text="Lên cao", picture=PICTURE),)
        )
        | more
    )
    return Notice(order, order.parts, tuple(order.zones), 4)


def test_an_emergency_is_a_page_for_each_of_its_languages() -> None:
    parts = (BulletinPart(title="Lũ"), BulletinPart(title="ទឹកជំនន់", language="km"))
    found = warned([emergency(parts=parts)], (), ("main",), {"xa": "UBND xã"}.__getitem__)
    assert [(one.level, one.number) for one in found] == [(SourceLevel.COMMUNE, 4)]
    first, second = found[0].pages
    assert (first.kind, first.event, first.source, first.issued) == (
        PageKind.EMERGENCY, "flood", "UBND xã", NOW,
    )  # fmt: skip
    assert second.language == "km"
    assert first.id != second.id


def test_an_emergency_elsewhere_is_not_for_this_board() -> None:
    assert warned([emergency(zones=("market",))], (), ("main",), str) == ()


def test_an_all_clear_given_as_an_event_looks_like_one() -> None:
    (found,) = warned([emergency(event="all_clear")], (), (), str)
    assert found.pages[0].kind is PageKind.ALL_CLEAR


def test_a_bulletin_of_a_box_without_a_horn_is_read_from_its_start() -> None:
    order = Bulletin.model_validate(
        carried(level="commune", parts=(BulletinPart(title="Họp"),), start=NOW + timedelta(minutes=1))
    )
    notice = Notice(order, order.parts, (), 1)
    assert read_only([notice], (), (), NOW) == ()
    (shown,) = read_only([notice], (), (), NOW + timedelta(minutes=1))
    assert (shown.rank, shown.pages[0].title) == (PageRank.PRIORITY, "Họp")


def airing(bulletin_class: BulletinClass = BulletinClass.NORMAL, **more: Any) -> Airing:
    def speech(name: str, title: str, picture: Media | None = None) -> Item:
        media = Media(name[0] * 64, 1, 10_000, 0, "/x")
        return Item(name, title, ItemKind.SPEECH, media, f"lời {name}", picture=picture)

    chime = Item("chime", "Nhạc hiệu", ItemKind.CHIME, signal_media(Signal.TONE, 1_000))
    picture = Media("p" * 64, 5, 0, 0, "/p")
    items = (chime, speech("a", "Tin một"), speech("b", "Tin hai", picture))
    programme = Programme("sang", "Buổi sáng", bulletin_class, SourceLevel.COMMUNE, items, (), **more)
    return Airing(programme, NOW, "sang@x", "01")


def test_a_chime_shows_what_it_announces_and_each_item_its_own_text() -> None:
    pages = [item_page(airing(), index) for index in range(3)]
    assert [page.title for page in pages] == ["Tin một", "Tin một", "Tin hai"]
    assert pages[0] == pages[1]
    assert (pages[2].text, pages[2].picture, pages[2].source) == ("lời b", "p" * 64, "Buổi sáng")
    assert item_page(airing(), 99).title == "Tin hai"


@pytest.mark.parametrize(
    ("rung", "rank"),
    [(Rung.PROGRAMME, PageRank.BULLETIN), (Rung.PRIORITY, PageRank.PRIORITY), (Rung.LIVE, PageRank.LIVE)],
)
def test_what_sounds_has_the_rank_of_its_rung(rung: Rung, rank: PageRank) -> None:
    found = sounding(airing(), rung, 1)
    assert found is not None
    assert found.rank is rank
    assert (found.pages[0].kind is PageKind.LIVE) == (rung is Rung.LIVE)


@pytest.mark.parametrize("rung", [None, Rung.FALLBACK, Rung.TEST, Rung.EMERGENCY])
def test_tests_and_fallback_music_are_not_shown(rung: Rung | None) -> None:
    assert sounding(airing(), rung, 0) is None


def test_a_board_without_a_horn_follows_the_schedule() -> None:
    found = due(airing(), NOW + timedelta(seconds=12))
    assert found is not None
    assert (found.rank, found.pages[0].title) == (PageRank.BULLETIN, "Tin hai")
    assert due(airing(), NOW + timedelta(minutes=5)) is None
    assert due(airing(fallback=True), NOW) is None


def test_off_hours_run_past_midnight() -> None:
    section = BoardSection(id="board", kind="simulated", off_hours=(OffHours(start="22:00", end="04:30"),))
    dark = off_hours(section, ZONE)
    assert dark is not None
    assert dark.session(datetime(2026, 11, 23, 16, 0, tzinfo=UTC)) is not None  # 23:00
    assert dark.session(datetime(2026, 11, 23, 21, 0, tzinfo=UTC)) is not None  # 04:00
    assert dark.session(NOW) is None
    assert off_hours(BoardSection(id="board", kind="simulated"), ZONE) is None


def test_pages_of_the_same_id_are_told_apart() -> None:
    order = Desired(**carried(), pages=tuple(BoardPage(id="a", title=str(number)) for number in range(3)))
    pages = [one.page for one in own_pages(order, "board", ZONE)]
    assert [one.title for one in pages] == ["0", "1", "2"]
    assert len({one.id for one in pages}) == 3
    assert pages[0].id == "a"
