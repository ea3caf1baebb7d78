"""How bright a board is: pure. By order, else by its light sensor, else by the time of day.

The table of the light sensor is that of NTCIP 1203 (`dmsIllumBrightnessValues`): a row is left downwards at
`down` and upwards at `up`, and where rows overlap brightness stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """From a time of day on, brightness is `level`, 0 to 1."""

    start: time
    level: float


@dataclass(frozen=True, slots=True)
class Light:
    """One row of the table of a light sensor, darkest first.

    Attributes:
        level: 0 to 1.
        down: below this reading (0 to 65535) the row before this one begins.
        up: above this reading the next row begins.
    """

    level: float
    down: int
    up: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How bright, when.

    Attributes:
        level: if nothing else says, 0 to 1.
        steps: by civil time of day, any order; the last one that has begun counts, over midnight too.
        lights: table of the light sensor; empty: not used.
        night_cap: highest level that a sensor may ask for while `steps` ask for less than that; 1: none.
    """

    level: float = 1.0
    steps: tuple[Step, ...] = ()
    lights: tuple[Light, ...] = ()
    night_cap: float = 1.0

    def __post_init__(self) -> None:
        """Raises ValueError when a level is not from 0 to 1 or the table has a gap."""
        levels = [self.level, self.night_cap, *(s.level for s in self.steps), *(r.level for r in self.lights)]
        if not all(0 <= level <= 1 for level in levels):
            raise ValueError("brightness levels must be from 0 to 1")
        for lower, upper in zip(self.lights, self.lights[1:], strict=False):
            if upper.down > lower.up or upper.down < lower.down or upper.up < lower.up:
                raise ValueError("rows of the light table must overlap and rise")


ONBON_READINGS = (10, 24, 60, 148, 280, 437, 550, 693, 873, 1100, 1793, 3336, 6207, 11551, 21495, 40000)
"""Sensor readings of the 16 levels of Onbon's manual, a good scale for any light sensor."""


def light_table(least: float = 0.1, readings: Sequence[int] = ONBON_READINGS) -> tuple[Light, ...]:
    """Rows from a rising row of readings, evenly from `least` to 1, each overlapping its neighbours.

    Args:
        least: level of the darkest row, 0 to 1.
        readings: at which each level begins; at least two.
    """
    last = len(readings) - 1
    return tuple(
        Light(
            level=round(least + (1 - least) * n / last, 3),
            down=0 if n == 0 else (readings[n - 1] + reading) // 2,
            up=65535 if n == last else readings[n + 1],
        )
        for n, reading in enumerate(readings)
    )


@dataclass(frozen=True, slots=True)
class Dimmer:
    """Where brightness stands: `level` to be set now, `row` of the light table in force (None: none yet)."""

    level: float = 1.0
    row: int | None = None


def dim(
    plan: Plan, before: Dimmer, civil: datetime | None, light: int | None, ordered: float | None
) -> Dimmer:
    """Decide brightness.

    Args:
        plan: of the board.
        before: what was decided last.
        civil: local time; None while the clock is not known.
        light: reading of the sensor, 0 to 65535; None without one.
        ordered: level somebody ordered, 0 to 1; None: nobody did. Wins over all else.
    """
    row = None if light is None or not plan.lights else _row(plan.lights, before.row, light)
    by_time = _by_time(plan, civil)
    if ordered is not None:
        level = min(1.0, max(0.0, ordered))
    elif row is not None:
        level = plan.lights[row].level
        if by_time is not None and by_time < plan.night_cap:
            level = min(level, plan.night_cap)
    else:
        level = plan.level if by_time is None else by_time
    return Dimmer(level, row)


def _by_time(plan: Plan, civil: datetime | None) -> float | None:
    if civil is None or not plan.steps:
        return None
    steps = sorted(plan.steps, key=lambda step: step.start)
    begun = [step for step in steps if step.start <= civil.time().replace(tzinfo=None)]
    return (begun or steps)[-1].level


def _row(lights: tuple[Light, ...], before: int | None, light: int) -> int:
    if before is None or before >= len(lights):
        fitting = [n for n, row in enumerate(lights) if light <= row.up]
        return fitting[0] if fitting else len(lights) - 1
    row = before
    while row > 0 and light < lights[row].down:
        row -= 1
    while row < len(lights) - 1 and light > lights[row].up:
        row += 1
    return row


def row_of_plan(plan: Plan) -> dict[str, Any]:
    """As it travels in JSON."""
    return {
        "level": plan.level,
        "steps": [[step.start.isoformat(), step.level] for step in plan.steps],
        "lights": [[row.level, row.down, row.up] for row in plan.lights],
        "night_cap": plan.night_cap,
    }


def plan_of_row(row: dict[str, Any]) -> Plan:
    """Undo `row_of_plan`; raises KeyError, TypeError, ValueError."""
    return Plan(
        row["level"],
        tuple(Step(time.fromisoformat(start), level) for start, level in row["steps"]),
        tuple(Light(*values) for values in row["lights"]),
        row["night_cap"],
    )
