"""Fifty power cuts around airings: nothing accepted is lost, nothing airs twice, no record goes missing."""

from __future__ import annotations

import random
import signal
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.support.station import CIVIL, TONES_HZ, Station, a_station, soon, wrong_places

KILLS = 50
BOXES = ("box-a", "box-b")
AIRINGS = 11
EVERY = timedelta(seconds=9)
LENGTH = timedelta(seconds=len(TONES_HZ))


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_killed_at_fifty_random_moments_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    chance = random.Random(20261122)
    with a_station(tmp_path, 400) as station:
        for name in BOXES:
            station.add_box(name)
        tones = station.tones()
        first = soon(8)
        starts = [first + EVERY * n for n in range(AIRINGS)]
        end = starts[-1] + LENGTH
        station.publish(tones, *starts)
        for name in BOXES:
            station.wait(f"{name} has a schedule", 20, partial(_version, station, name))
        last_version = _kill_until(station, chance, end, starts)
        for name in BOXES:
            _judge(station, name, starts, last_version)


def _kill_until(station: Station, chance: random.Random, end: datetime, starts: list[datetime]) -> int:
    """Kill and restart the boxes in turn, spread over all airings; publishes a newer version meanwhile."""
    span_s = (end - datetime.now(CIVIL)).total_seconds()
    moments = sorted(chance.uniform(0, span_s) for _ in range(KILLS))
    began = time.monotonic()
    version = 0
    for number, moment_s in enumerate(moments):
        time.sleep(max(0.0, moment_s - (time.monotonic() - began)))
        name = BOXES[number % len(BOXES)]
        station.kill(name, signal.SIGKILL)
        if number in {KILLS // 3, KILLS // 2}:
            version = station.publish(station.tones(), *starts)  # while one of them is down
        station.start_box(name)
    time.sleep(max(0.0, (end - datetime.now(CIVIL)).total_seconds()))
    return version


def _judge(station: Station, name: str, starts: list[datetime], last_version: int) -> None:
    key = [start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for start in starts]

    def all_told() -> bool | None:
        told = station.airings(name)
        return all(one in told for one in key) or None

    station.wait(f"{name}: every airing proved", 60, all_told)
    station.wait(f"{name}: last version", 20, lambda: _version(station, name) == last_version or None)
    told = station.airings(name)
    assert set(told) == set(key)
    assert all(len(records) == 1 for records in told.values())
    heard = station.speaker(name)
    assert [wrong for start in starts for wrong in wrong_places(heard, start)] == []
    between = [heard.sounding_ms(start + LENGTH + timedelta(seconds=0.1), start + EVERY) for start in starts]
    assert between == [0.0] * len(starts)
    sounded = sum(heard.sounding_ms(start, start + LENGTH) for start in starts)
    assert sounded > 0.2 * len(starts) * LENGTH.total_seconds() * 1000, (
        "it hardly played: the test shows nothing"
    )
    reported_ms = sum(record["played_ms"] for records in told.values() for record in records)
    assert reported_ms <= sounded + 1000, "more was reported than was heard"


def _version(station: Station, name: str) -> int | None:
    status = station.local_status(name)
    return status["schedule"]["version"] if status and status["schedule"] else None
