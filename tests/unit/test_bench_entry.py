"""Figures and their limits."""

from __future__ import annotations

import pytest

from benchmarks.entry import at_least, lower, missed


@pytest.mark.parametrize(("value", "wrong"), [(59.89, True), (59.9, False), (60.1, False)])
def test_a_figure_below_its_least_value_is_missed(value: float, wrong: bool) -> None:
    assert missed(at_least("fps", value, "frames/s", 59.9)) is wrong


@pytest.mark.parametrize(("value", "wrong"), [(5.01, True), (5.0, False), (0.1, False)])
def test_a_figure_above_its_limit_is_missed(value: float, wrong: bool) -> None:
    assert missed(lower("cpu", value, "%", "limit", 5)) is wrong


def test_a_figure_held_against_a_peer_is_never_missed() -> None:
    assert not missed(lower("cpu", 9, "%", "drawn each frame", 5))
