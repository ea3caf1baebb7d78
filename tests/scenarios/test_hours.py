"""The commune's hours, kept on the box; only an emergency goes over them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from agent.model.hours import Hours, Window
from agent.model.report import CutReason, MissedReason, Verdict
from agent.wire.orders import HoursWindow
from tests.support.onair import MAIN, OnAir, pitch, sleep_until, soon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]
S = timedelta(seconds=1)
EVERY_DAY = frozenset(range(1, 8))


def hours(begin: datetime, end: datetime, **window: float) -> Hours:
    """A window of these two moments, in UTC."""

    def second(moment: datetime) -> int:
        return moment.hour * 3600 + moment.minute * 60 + moment.second

    return Hours(3, "UTC", (Window(EVERY_DAY, second(begin), second(end), **window),))  # type: ignore[arg-type]


async def test_outside_the_hours_nothing_sounds_and_the_record_says_why(box: OnAir) -> None:
    now = datetime.now(UTC)
    box.box.station.set_hours(hours(now + timedelta(hours=2), now + timedelta(hours=3)))
    start = box.programme("tin", soon(1.5), await box.tone(400, 1), window=timedelta(0))
    record = await box.record("tin")
    assert (record.verdict, record.missed) == (Verdict.MISSED, MissedReason.HOURS)
    assert box.heard().first_sound(start - S) is None


async def test_end_of_the_window_cuts_what_sounds(box: OnAir) -> None:
    start = soon(2)
    box.box.station.set_hours(hours(start - timedelta(hours=1), start + 2 * S))
    box.programme("tin", start, await box.tone(400, 6))
    record = await box.record("tin")
    assert record.segments[0].cut is CutReason.HOURS
    assert 1000 <= record.played_ms <= 2200
    await sleep_until(start + 4 * S)
    assert box.heard().sounding_ms(start + 2.2 * S, start + 4 * S) == 0


async def test_minutes_of_a_session_are_counted(box: OnAir) -> None:
    start = soon(2)
    rules = hours(start - timedelta(hours=1), start + timedelta(hours=1), max_minutes=1)
    box.box.station.set_hours(rules)
    session = rules.session(start)
    assert session is not None
    box.box.station.used[MAIN, session.key] = timedelta(seconds=57)
    box.programme("tin", start, await box.tone(400, 8))
    record = await box.record("tin")
    assert record.segments[0].cut is CutReason.HOURS
    assert record.played_ms == pytest.approx(3000, abs=700)


async def test_level_cap_of_the_hours_holds(box: OnAir) -> None:
    start = soon(2)
    box.box.station.set_hours(hours(start - timedelta(hours=1), start + timedelta(hours=1), max_dbfs=-30.0))
    box.programme("tin", start, await box.tone(400, 2))
    record = await box.record("tin")
    assert record.evidence.output_peak_dbfs is not None
    assert record.evidence.output_peak_dbfs <= -29.9
    assert record.verdict is Verdict.HEARD


async def test_emergency_goes_over_hours_and_cap_and_it_is_told(box: OnAir) -> None:
    now = datetime.now(UTC)
    box.box.station.set_hours(hours(now + timedelta(hours=2), now + timedelta(hours=3), max_dbfs=-30.0))
    record = await box.record(await box.emergency(parts=(await box.recording(600, 1.0),)))
    assert record.verdict is Verdict.HEARD
    assert record.evidence.output_peak_dbfs is not None
    assert record.evidence.output_peak_dbfs > -20
    assert "version 3" in (await box.event("hours_overridden"))["detail"]


async def test_signed_hours_come_into_force_on_the_box(box: OnAir) -> None:
    await box.desired(hours=(HoursWindow(start="00:00", end="00:01"),), hours_version=7)
    await box.until("hours", lambda: box.box.station.hours is not None and box.box.station.hours.version == 7)
    start = box.programme("tin", soon(1.5), await box.tone(400, 1), window=timedelta(0))
    assert (await box.record("tin")).missed is MissedReason.HOURS
    await box.restart()  # and they are still in force
    assert box.box.station.hours is not None
    assert pitch(box.heard(), start + 0.3 * S) is None
