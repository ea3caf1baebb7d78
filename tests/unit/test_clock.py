from __future__ import annotations

from datetime import UTC, datetime, timedelta

from agent.clock import SystemClock, monotonic_to_wall, wall_to_monotonic_ns
from agent.model.bulletin import ClockTrust
from tests.support.clock import FakeClock


def test_clock_behind_the_last_known_moment_is_not_believed() -> None:
    ahead = datetime.now(UTC) + timedelta(days=1)
    assert SystemClock(lambda: ClockTrust.SYNCHRONISED, ahead).trust is ClockTrust.UNKNOWN


def test_clock_that_is_not_before_the_last_run_is_at_least_restored() -> None:
    before = datetime.now(UTC) - timedelta(days=1)
    assert SystemClock(lambda: ClockTrust.UNKNOWN, seen=before).trust is ClockTrust.RESTORED
    assert SystemClock(lambda: ClockTrust.RTC, seen=before).trust is ClockTrust.RTC
    assert SystemClock(lambda: ClockTrust.UNKNOWN).trust is ClockTrust.UNKNOWN


def test_clock_chip_that_lost_its_time_is_not_believed_until_somebody_sets_the_clock() -> None:
    ahead = datetime.now(UTC) + timedelta(days=30)
    assert SystemClock(lambda: ClockTrust.RTC, seen=ahead).trust is ClockTrust.UNKNOWN
    # one wrong answer of a time server in an earlier run must not silence the box for 30 days
    assert SystemClock(lambda: ClockTrust.SYNCHRONISED, seen=ahead).trust is ClockTrust.SYNCHRONISED


def test_floor_only_rises() -> None:
    clock = SystemClock(lambda: ClockTrust.RTC, None)
    late, early = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    clock.raise_floor(late)
    clock.raise_floor(early)
    assert clock.floor == late


async def test_wall_and_monotonic_moments_translate_both_ways() -> None:
    clock = FakeClock()
    moment = clock.now() + timedelta(seconds=3, microseconds=7)
    at_ns = wall_to_monotonic_ns(clock, moment)
    assert at_ns == clock.monotonic_ns() + 3_000_007_000
    assert monotonic_to_wall(clock, at_ns) == moment
    clock.step(timedelta(hours=-1))
    assert wall_to_monotonic_ns(clock, moment) == at_ns + 3600 * 10**9
