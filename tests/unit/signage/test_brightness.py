"""Brightness: by order, by light with hysteresis, by time of day."""

from __future__ import annotations

import json
from datetime import UTC, datetime, time

import pytest

from agent.signage.brightness import (
    Dimmer,
    Light,
    Plan,
    Step,
    dim,
    light_table,
    plan_of_row,
    row_of_plan,
)

DAY = Plan(0.7, (Step(time(18), 0.3), Step(time(6), 1.0)))
LIGHTS = (Light(0.1, 0, 100), Light(0.5, 60, 1000), Light(1.0, 600, 65535))


@pytest.mark.parametrize(
    ("hour", "minute", "level"), [(5, 59, 0.3), (6, 0, 1.0), (17, 59, 1.0), (18, 0, 0.3), (0, 0, 0.3)]
)
def test_the_last_step_that_has_begun_counts_over_midnight(hour: int, minute: int, level: float) -> None:
    civil = datetime(2026, 11, 22, hour, minute, tzinfo=UTC)
    assert dim(DAY, Dimmer(), civil, None, None).level == level


def test_without_a_clock_or_steps_the_plain_level_holds() -> None:
    assert dim(DAY, Dimmer(), None, None, None).level == 0.7
    assert dim(Plan(0.4), Dimmer(), datetime(2026, 1, 1, tzinfo=UTC), None, None).level == 0.4


def test_an_order_wins_over_everything_and_stays_in_range() -> None:
    civil = datetime(2026, 11, 22, 12, tzinfo=UTC)
    plan = Plan(0.7, DAY.steps, LIGHTS)
    assert dim(plan, Dimmer(), civil, 5, 0.2).level == 0.2
    assert dim(plan, Dimmer(), civil, 5, 7.0).level == 1.0


def test_light_that_wavers_between_two_rows_changes_nothing() -> None:
    plan = Plan(lights=LIGHTS)
    now = dim(plan, Dimmer(), None, 80, None)
    assert now.level == 0.1
    now = dim(plan, now, None, 101, None)
    assert now.level == 0.5
    for light in (99, 61, 100, 60):
        now = dim(plan, now, None, light, None)
        assert now.level == 0.5
    assert dim(plan, now, None, 59, None).level == 0.1


def test_a_sudden_change_of_light_crosses_several_rows() -> None:
    plan = Plan(lights=light_table())
    bright = dim(plan, Dimmer(), None, 60000, None)
    dark = dim(plan, bright, None, 3, None)
    assert (bright.level, dark.level) == (1.0, 0.1)


def test_every_reading_has_a_row_in_both_directions() -> None:
    plan = Plan(lights=light_table())
    now = Dimmer()
    levels = []
    for light in [*range(0, 65536, 37), *range(65535, -1, -37)]:
        now = dim(plan, now, None, light, None)
        levels.append(now.level)
    middle = len(levels) // 2
    assert levels[:middle] == sorted(levels[:middle])
    assert levels[middle:] == sorted(levels[middle:], reverse=True)


def test_the_night_cap_holds_down_a_sensor_that_sees_a_lamp() -> None:
    plan = Plan(1.0, (Step(time(22), 0.2), Step(time(6), 1.0)), LIGHTS, night_cap=0.5)
    night = datetime(2026, 11, 22, 23, tzinfo=UTC)
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert dim(plan, Dimmer(), night, 60000, None).level == 0.5
    assert dim(plan, Dimmer(), noon, 60000, None).level == 1.0


@pytest.mark.parametrize(
    "lights",
    [(Light(0.1, 0, 10), Light(0.5, 20, 30)), (Light(1.1, 0, 10),), (Light(0.1, 5, 10), Light(0.2, 0, 20))],
)
def test_a_table_with_gaps_or_impossible_levels_is_refused(lights: tuple[Light, ...]) -> None:
    with pytest.raises(ValueError, match=r"levels|overlap"):
        Plan(lights=lights)


def test_a_plan_survives_its_journey() -> None:
    plan = Plan(0.7, DAY.steps, LIGHTS, 0.5)
    assert plan_of_row(json.loads(json.dumps(row_of_plan(plan)))) == plan
