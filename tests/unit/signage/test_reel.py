"""The reel: which screen when."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from agent.signage.reel import Reel
from agent.signage.screen import Screen


def screen(page: str, dwell_s: float, number: int = 1, background: int = 0) -> Screen:
    return Screen(page, number, 1, 8, 8, (background, 0, 0), (), dwell_s)


THREE = Reel((screen("a", 2), screen("b", 3), screen("c", 5)), 100.0)


@pytest.mark.parametrize(
    ("now_s", "index", "ends_s"),
    [
        (0.0, 0, 102.0),
        (100.0, 0, 102.0),
        (101.99, 0, 102.0),
        (102.0, 1, 105.0),
        (109.9, 2, 110.0),
        (110.0, 0, 112.0),
        (100.0 + 10 * 8640 + 4, 1, 100.0 + 10 * 8640 + 5),
    ],
)
def test_screens_follow_each_other_over_and_over(now_s: float, index: int, ends_s: float) -> None:
    spot = THREE.at(now_s)
    assert spot.index == index
    assert spot.ends_s == pytest.approx(ends_s)


def test_a_single_screen_never_ends() -> None:
    assert Reel((screen("a", 2),), 0.0).at(1e9).ends_s == math.inf


def test_a_dwell_of_nothing_still_moves_on() -> None:
    reel = Reel((screen("a", 0), screen("b", -1)), 0.0)
    assert reel.at(0.65).index == 1
    assert reel.at(0.65).ends_s > 0.65


def test_screens_that_take_turns_never_flash_three_times_a_second() -> None:
    reel = Reel((screen("a", 0.01), screen("b", 0.01, background=255)), 0.0)
    shown = [reel.at(tick / 100).index for tick in range(1000)]
    assert sum(one != other for one, other in pairwise(shown)) / 2 / 10 <= 1.0


def test_the_next_screens_in_order_end_with_the_one_shown_now() -> None:
    assert [one.page_id for one in THREE.after(1)] == ["c", "a", "b"]


def test_a_reel_goes_on_where_another_was_if_only_what_is_seen_changed() -> None:
    assert Reel((screen("a", 2, background=9), *THREE.screens[1:]), 0.0).continues(THREE)
    assert not Reel(THREE.screens[:2], 0.0).continues(THREE)
    assert not Reel((screen("z", 2), *THREE.screens[1:]), 0.0).continues(THREE)
