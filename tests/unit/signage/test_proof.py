"""As-run of screens: one record a stay, bounded whatever the playlist does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from agent.model.board import Look, Page, PageKind, PageRank
from agent.signage import proof
from agent.signage.link import THUMBNAIL_BYTES
from agent.signage.proof import ScreenLog, Shown, Stay

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Bench:
    """A log and what it told."""

    def __init__(self) -> None:
        self.told: list[Stay] = []
        self.begun: list[Stay] = []
        self.log = ScreenLog("board", self.tell)
        self.at = NOW
        self.looks = 0

    def tell(self, stay: Stay) -> None:
        (self.told if stay.ended else self.begun).append(stay)

    def give(self, *names: str, reason: str = "playlist", rank: PageRank = PageRank.PAGE) -> None:
        self.looks += 1
        pages = tuple(Page(name, PageKind.PAGE, order_id="01") for name in names)
        self.log.given(self.looks, Look(pages, rank, reason))

    def show(self, page: str, after_s: float = 0, number: int = 1, thumbnail: bytes = b"png") -> None:
        self.at += after_s * SECOND
        event = Shown(self.looks, page, number, 2, f"{page}{number}", self.at, thumbnail)
        self.log.shown(event)

    def dark(self, after_s: float = 0) -> None:
        self.at += after_s * SECOND
        self.log.dark(self.at)


def test_pages_that_take_turns_are_one_record_each() -> None:
    bench = Bench()
    bench.give("a", "b")
    for _ in range(3):
        bench.show("a", 5)
        bench.show("a", 5, number=2)
        bench.show("b", 5)
    bench.dark(5)
    first, second = bench.told
    assert (first.page.id, first.times, first.screens, first.sha256) == ("a", 3, 2, "a1")
    assert first.shown_s == 3 * 10
    assert (second.page.id, second.times, second.shown_s) == ("b", 3, 15)
    assert first.first_shown == NOW + 5 * SECOND


def test_a_stay_goes_on_over_a_look_that_still_has_the_page() -> None:
    bench = Bench()
    bench.give("a", "b")
    bench.show("a")
    bench.give("a", "c")
    bench.show("a", 10)
    bench.dark(10)
    assert [(one.page.id, one.times, one.shown_s) for one in bench.told] == [("a", 2, 20)]


def test_another_reason_ends_the_stay() -> None:
    bench = Bench()
    bench.give("a")
    bench.show("a")
    bench.give("a", reason="bulletin", rank=PageRank.BULLETIN)
    bench.show("a", 10)
    assert [(one.reason, one.shown_s) for one in bench.told] == [("playlist", 10)]


def test_a_long_stay_is_told_every_hour() -> None:
    bench = Bench()
    bench.give("a")
    for _ in range(130):
        bench.show("a", 60)
    assert len(bench.told) == 2
    assert all(3500 <= one.shown_s <= 3700 for one in bench.told)


def test_a_thumbnail_is_sent_once_and_only_if_it_is_small() -> None:
    bench = Bench()
    for _ in range(2):
        bench.give("a")
        bench.show("a", 5)
        bench.dark(5)
    assert [one.thumbnail for one in bench.begun] == [b"png"]
    assert [one.thumbnail for one in bench.told] == [b"", b""]
    bench.give("large")
    bench.show("large", thumbnail=b"x" * (THUMBNAIL_BYTES + 1))
    bench.dark(1)
    assert bench.told[-1].thumbnail == b""


def test_a_playlist_cannot_fill_the_outbox_but_an_emergency_is_always_told() -> None:
    bench = Bench()
    for number in range(proof.MAX_PER_DAY + 5):
        bench.give(f"p{number}")
        bench.show(f"p{number}", 1)
        bench.dark(1)
    assert len(bench.told) == proof.MAX_PER_DAY
    assert bench.log.dropped == 5
    bench.give("lu", reason="emergency", rank=PageRank.EMERGENCY)
    bench.show("lu", 1)
    bench.dark(1)
    assert bench.told[-1].page.id == "lu"
    bench.at += timedelta(days=1)
    bench.give("mai")
    bench.show("mai")
    bench.dark(1)
    assert bench.told[-1].page.id == "mai"


def test_what_nobody_gave_is_not_counted() -> None:
    bench = Bench()
    bench.give("a")
    bench.show("strange")
    bench.log.shown(Shown(99, "a", 1, 1, "a", NOW))
    bench.dark(5)
    assert bench.told == []


def test_complaints_stand_in_the_record_once() -> None:
    bench = Bench()
    bench.give("a")
    bench.show("a")
    bench.log.complained("a", "missing_glyph U+1F600")
    bench.log.complained("a", "missing_glyph U+1F600")
    bench.log.complained("late", "picture")
    bench.dark(1)
    bench.give("late")
    bench.show("late")
    bench.dark(1)
    assert bench.told[1].complaints == ("picture",)
    assert bench.told[0].complaints == ("missing_glyph U+1F600",)


def test_a_clock_that_is_set_while_a_page_is_up_does_not_change_how_long_it_was_shown() -> None:
    for step in (timedelta(hours=9), timedelta(days=-2000)):
        bench = Bench()
        bench.give("lu", reason="emergency", rank=PageRank.EMERGENCY)
        bench.log.shown(Shown(1, "lu", 1, 1, "a", NOW, b"", 100.0))
        bench.log.shown(Shown(1, "lu", 1, 1, "a", NOW + step, b"", 110.0))
        bench.log.dark(NOW + step, 115.0)
        assert [one.shown_s for one in bench.told] == [15]
        assert bench.told[0].first_shown <= bench.told[0].last_shown


def test_a_long_stay_is_told_every_hour_also_when_the_clock_was_set_back() -> None:
    bench = Bench()
    bench.give("a")
    for minute in range(130):
        bench.log.shown(Shown(1, "a", 1, 1, "a", NOW - minute * timedelta(hours=1), b"", minute * 60.0))
    assert len(bench.told) == 2


def test_an_emergency_is_told_as_soon_as_it_is_up_so_that_a_power_cut_takes_no_proof_along() -> None:
    bench = Bench()
    bench.give("e", reason="emergency", rank=PageRank.EMERGENCY)
    bench.show("e", thumbnail=b"")
    (begun,) = bench.begun
    assert (begun.page.id, begun.reason, begun.times, begun.shown_s) == ("e", "emergency", 1, 0.0)
    bench.dark(90)
    (whole,) = bench.told
    assert (whole.first_shown, whole.shown_s) == (begun.first_shown, 90)


def test_new_pictures_of_ordinary_pages_are_told_at_once_and_bounded_a_day() -> None:
    bench = Bench()
    for number in range(proof.PICTURES_PER_DAY + 5):
        bench.give(f"p{number}")
        bench.show(f"p{number}", 1)
    bench.dark()
    assert len(bench.begun) == proof.PICTURES_PER_DAY
    assert len(bench.told) == proof.PICTURES_PER_DAY + 5
    assert all(one.thumbnail for one in bench.told[-4:])  # what did not go out then goes out with the whole
