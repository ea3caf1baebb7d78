"""The programme of a board: who may have it, over every interleaving of what can happen."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.board import Page, PageKind, PageRank, Pattern
from agent.model.bulletin import SourceLevel
from agent.model.hours import Hours, Window
from agent.signage.programme import BoardState, Cleared, Lease, OnAir, OwnPage, Warned, decide

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)  # a Monday, 12:00 in Việt Nam
ZONE = "Asia/Ho_Chi_Minh"
MINUTE = timedelta(minutes=1)
IDLE, SAFE = Page("idle", PageKind.IDLE), Page("safe", PageKind.SAFE)
PLAIN = BoardState(IDLE, SAFE)
EVERY_DAY = frozenset(range(1, 8))


def hours(start: int, end: int, weekdays: frozenset[int] = EVERY_DAY) -> Hours:
    """A civil window by whole hours."""
    return Hours(0, ZONE, (Window(weekdays, start * 3600, end * 3600),))


def warned(name: str, level: SourceLevel = SourceLevel.COMMUNE, number: int = 1, pages: int = 1) -> Warned:
    shown = tuple(Page(f"{name}.{n}", PageKind.EMERGENCY, order_id=name) for n in range(pages))
    return Warned(name, level, number, shown)


def on_air(name: str, rank: PageRank = PageRank.BULLETIN) -> OnAir:
    return OnAir(name, rank, (Page(name, PageKind.BULLETIN),))


def own(name: str, **fields: object) -> OwnPage:
    return replace(OwnPage(Page(name, PageKind.PAGE)), **fields)  # type: ignore[arg-type]  # names are checked


def ids(state: BoardState, now: datetime = NOW) -> list[str]:
    return [page.id for page in decide(state, now).pages]


def test_nothing_due_is_the_idle_page_or_dark() -> None:
    assert ids(PLAIN) == ["idle"]
    assert decide(replace(PLAIN, dark_when_idle=True), NOW).pages == ()


def test_pages_share_the_board_and_urgent_ones_alone() -> None:
    state = replace(PLAIN, playlist=(own("a"), own("b")), playlist_until=NOW + MINUTE)
    assert ids(state) == ["a", "b"]
    urgent = replace(state, playlist=(*state.playlist, own("c", urgent=True)))
    assert ids(urgent) == ["c"]
    assert decide(urgent, NOW).rank is PageRank.URGENT_PAGE


@pytest.mark.parametrize(
    ("page", "due"),
    [
        (own("a", hours=hours(12, 13)), True),
        (own("a", hours=hours(13, 14)), False),
        (own("a", hours=hours(22, 13)), True),  # past midnight
        (own("a", hours=hours(12, 13, frozenset({1}))), True),
        (own("a", hours=hours(12, 13, frozenset({2}))), False),
        (own("a", valid_from=NOW), True),
        (own("a", valid_from=NOW + MINUTE), False),
        (own("a", valid_until=NOW + MINUTE), True),
        (own("a", valid_until=NOW), False),
    ],
)
def test_a_page_is_shown_in_its_hours_and_its_validity(page: OwnPage, due: bool) -> None:
    assert ids(replace(PLAIN, playlist=(page,))) == (["a"] if due else ["idle"])


def test_without_a_clock_no_page_bound_to_time_is_shown() -> None:
    timed = (own("a", hours=hours(0, 24)), own("b", valid_from=NOW - MINUTE), own("c"))
    assert ids(replace(PLAIN, playlist=timed, clock_known=False)) == ["c"]


def test_a_playlist_that_ran_out_leaves_the_safe_screen() -> None:
    state = replace(PLAIN, playlist=(own("a"),), playlist_until=NOW)
    assert decide(state, NOW).reason == "safe"
    assert ids(state) == ["safe"]
    assert ids(state, NOW - MINUTE) == ["a"]


def test_a_link_lost_past_its_limit_leaves_the_safe_screen_but_not_over_what_sounds() -> None:
    state = replace(PLAIN, playlist=(own("a"),), link_limit=NOW)
    assert ids(state, NOW - MINUTE) == ["a"]
    assert ids(state) == ["safe"]
    assert ids(replace(state, on_air=(on_air("tin"),))) == ["tin"]


def test_a_fault_leaves_the_safe_screen() -> None:
    assert decide(replace(PLAIN, playlist=(own("a"),), fault=True), NOW).reason == "safe"


def test_the_power_on_screen_ends_by_itself() -> None:
    state = replace(PLAIN, playlist=(own("a"),), started_until=NOW + MINUTE)
    assert decide(state, NOW).reason == "power_on"
    assert decide(state, NOW).until == NOW + MINUTE
    assert ids(state, NOW + MINUTE) == ["a"]


def test_what_sounds_is_shown_by_rank() -> None:
    state = replace(PLAIN, playlist=(own("a", urgent=True),), on_air=(on_air("tin"),))
    assert ids(state) == ["tin"]
    both = replace(state, on_air=(on_air("tin"), on_air("uu-tien", PageRank.PRIORITY)))
    assert ids(both) == ["uu-tien"]
    live = replace(both, on_air=(*both.on_air, on_air("truc-tiep", PageRank.LIVE)))
    assert decide(live, NOW).reason == "live"


def test_the_same_airing_in_two_zones_is_one_page() -> None:
    assert ids(replace(PLAIN, on_air=(on_air("tin"), on_air("tin")))) == ["tin"]


def test_all_emergencies_are_shown_by_level_then_the_newest() -> None:
    state = replace(
        PLAIN,
        emergencies=(
            warned("xa-1", number=1),
            warned("xa-2", number=2, pages=2),
            warned("tinh", SourceLevel.PROVINCE, number=0),
        ),
    )
    assert ids(state) == ["tinh.0", "xa-2.0", "xa-2.1", "xa-1.0"]
    assert decide(state, NOW).rank is PageRank.EMERGENCY


def test_an_all_clear_is_shown_for_a_while() -> None:
    state = replace(PLAIN, cleared=(Cleared((Page("yen", PageKind.ALL_CLEAR),), NOW + MINUTE),))
    assert ids(state) == ["yen"]
    assert ids(state, NOW + MINUTE) == ["idle"]
    assert ids(replace(state, emergencies=(warned("moi"),))) == ["moi.0"]


def test_a_pattern_ends_by_itself_and_yields_to_an_emergency() -> None:
    state = replace(PLAIN, on_air=(on_air("tin"),), lease=Lease(Pattern.GRID, NOW + MINUTE))
    assert decide(state, NOW).reason == "pattern"
    assert ids(state) == ["grid"]
    assert ids(state, NOW + MINUTE) == ["tin"]
    assert decide(replace(state, emergencies=(warned("lu"),)), NOW).reason == "emergency"


def test_a_board_is_dark_at_its_hours_whatever_sounds_below_an_emergency() -> None:
    state = replace(PLAIN, off=hours(12, 13), on_air=(on_air("tin"),), playlist=(own("a"),))
    assert decide(state, NOW).reason == "off_hours"
    assert decide(state, NOW).pages == ()
    assert decide(state, NOW).until == NOW + timedelta(hours=1)
    assert ids(replace(state, emergencies=(warned("lu"),))) == ["lu.0"]
    assert ids(replace(state, clock_known=False)) == ["tin"]  # nobody knows the hour


def test_a_commercial_board_is_its_owners_but_for_an_order_or_an_emergency() -> None:
    theirs = replace(PLAIN, commercial=True, playlist=(own("a"),), on_air=(on_air("tin"),))
    assert not decide(theirs, NOW).mine
    taken = replace(theirs, taken_until=NOW + MINUTE)
    assert ids(taken) == ["tin"]
    assert decide(taken, NOW).mine
    assert not decide(taken, NOW + MINUTE).mine
    warning = replace(theirs, emergencies=(warned("lu"),))
    assert decide(warning, NOW).rank is PageRank.EMERGENCY
    left = replace(warning, emergency_takes=False)
    assert not decide(left, NOW).mine
    assert ids(replace(left, taken_until=NOW + MINUTE)) == ["lu.0"]


# --- every interleaving ------------------------------------------------------------------------------

moments = st.integers(-180, 180).map(lambda minutes: NOW + minutes * MINUTE)
maybe = st.none() | moments
daily = st.tuples(st.integers(0, 23), st.integers(0, 24)).map(lambda pair: hours(*pair))
names = st.sampled_from(("a", "b", "c", "d"))
own_pages = st.builds(
    lambda name, window, first, last, urgent: own(
        name, hours=window, valid_from=first, valid_until=last, urgent=urgent
    ),
    names, st.none() | daily, maybe, maybe, st.booleans(),
)  # fmt: skip
states = st.builds(
    BoardState,
    idle=st.just(IDLE),
    safe=st.just(SAFE),
    dark_when_idle=st.booleans(),
    commercial=st.booleans(),
    emergency_takes=st.booleans(),
    taken_until=maybe,
    emergencies=st.lists(
        st.builds(warned, names, st.sampled_from(SourceLevel), st.integers(0, 9)), max_size=3, unique_by=lambda w: w.order_id
    ).map(tuple),
    cleared=st.lists(
        st.builds(lambda until: Cleared((Page("yen", PageKind.ALL_CLEAR),), until), moments), max_size=1
    ).map(tuple),
    on_air=st.lists(
        st.builds(on_air, names, st.sampled_from((PageRank.BULLETIN, PageRank.PRIORITY, PageRank.LIVE))),
        max_size=3,
    ).map(tuple),
    playlist=st.lists(own_pages, max_size=4, unique_by=lambda one: one.page.id).map(tuple),
    playlist_until=maybe,
    fault=st.booleans(),
    link_limit=maybe,
    clock_known=st.booleans(),
    off=st.none() | daily,
    started_until=maybe,
    lease=st.none() | st.builds(Lease, st.sampled_from(Pattern), moments),
)  # fmt: skip


@given(states, moments)
def test_an_emergency_has_the_board_unless_it_is_somebody_elses(state: BoardState, now: datetime) -> None:
    look = decide(state, now)
    taken = state.taken_until is not None and now < state.taken_until
    may = not state.commercial or state.emergency_takes or taken
    assert (look.rank is PageRank.EMERGENCY) == (bool(state.emergencies) and may)
    if look.rank is PageRank.EMERGENCY:
        assert {page.order_id for page in look.pages} == {one.order_id for one in state.emergencies}


@given(states, moments)
def test_a_board_that_is_not_ours_shows_nothing_of_ours(state: BoardState, now: datetime) -> None:
    look = decide(state, now)
    if not look.mine:
        assert state.commercial
        assert look.pages == ()


@given(states, moments)
def test_pages_of_a_look_are_unique_and_of_its_rank(state: BoardState, now: datetime) -> None:
    look = decide(state, now)
    assert len({page.id for page in look.pages}) == len(look.pages)
    on_board = {page.kind for page in look.pages}
    if look.reason in ("safe", "power_on"):
        assert on_board == {PageKind.SAFE}
    if look.reason == "playlist":
        assert on_board == {PageKind.PAGE}


@given(states, moments)
def test_no_page_bound_to_time_is_shown_by_a_clock_nobody_can_believe(
    state: BoardState, now: datetime
) -> None:
    state = replace(state, clock_known=False)
    look = decide(state, now)
    timed = {one.page for one in state.playlist if one.timed}
    assert not timed & set(look.pages)
    assert look.reason != "off_hours"


@pytest.mark.slow
@settings(max_examples=300)
@given(states, moments, st.integers(0, 600))
def test_a_look_holds_until_the_moment_it_names(state: BoardState, now: datetime, seconds: int) -> None:
    look = decide(state, now)
    later = now + timedelta(seconds=seconds)
    if look.until is not None and later >= look.until:
        later = max(now, look.until - timedelta(microseconds=1))
    then = decide(state, later)
    assert (then.pages, then.reason, then.mine, then.rank) == (look.pages, look.reason, look.mine, look.rank)


@given(states, moments)
def test_the_moment_a_look_names_lies_ahead(state: BoardState, now: datetime) -> None:
    until = decide(state, now).until
    assert until is None or until > now


def test_a_playlist_that_is_surely_over_is_not_shown_although_the_clock_is_not_believed() -> None:
    state = replace(PLAIN, playlist=(own("a"),), playlist_until=NOW, clock_known=False)
    assert ids(state) == ["a"]  # the clock may run ahead
    assert ids(replace(state, at_least=NOW - MINUTE)) == ["a"]
    assert ids(replace(state, at_least=NOW), NOW - 9 * MINUTE) == ["safe"]


def test_however_many_emergencies_stand_the_highest_are_shown_and_the_look_is_bounded() -> None:
    many = tuple(warned(f"xa-{n}", number=n, pages=16) for n in range(200))
    found = ids(replace(PLAIN, emergencies=(*many, warned("tinh", SourceLevel.PROVINCE, number=0))))
    assert found[:2] == ["tinh.0", "xa-199.0"]
    assert len(found) <= 64


def test_the_fullest_playlist_an_order_may_hold_does_not_keep_the_box_busy() -> None:
    windows = tuple(Window(EVERY_DAY, minute * 60, minute * 60 + 30) for minute in range(32))
    full = tuple(own(f"p{n}", hours=Hours(n, ZONE, windows)) for n in range(64))
    state = replace(PLAIN, playlist=full)
    decide(state, NOW)
    began_s = time.process_time()
    for second in range(20):
        decide(state, NOW + timedelta(seconds=second))
    assert time.process_time() - began_s < 0.4


def test_hours_are_right_wherever_the_clock_is_set_to() -> None:
    page = own("a", hours=hours(12, 13))
    for moved, due in ((0, True), (60, False), (-1, False), (59, True), (-3000, False), (24 * 60, True)):
        assert page.due(NOW + moved * MINUTE) is due
