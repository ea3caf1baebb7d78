"""A wall clock that is stepped, wrong or unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from agent.clock import SystemClock
from agent.model.report import CutReason, Verdict
from tests.support.onair import OnAir, pitch, sleep_until, soon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]
S = timedelta(seconds=1)
Step = Callable[[timedelta], None]


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch, box: OnAir) -> Iterator[Step]:
    """Steps the wall clock that the box sees, as a time server or a person would."""
    offset = [timedelta(0)]
    monkeypatch.setattr(SystemClock, "now", lambda _: datetime.now(UTC) + offset[0])

    def by(seconds: timedelta) -> None:
        offset[0] = offset[0] + seconds
        box.box.station.touch()  # what the kernel's timer descriptor tells the real box

    yield by
    offset[0] = timedelta(0)


async def test_step_of_a_second_forward_joins_where_the_clock_is_now(box: OnAir, step: Step) -> None:
    start = box.programme("tin", soon(1.5), await box.tone(400, 4), await box.tone(900, 4))
    await sleep_until(start + 2 * S)
    step(1.5 * S)
    record = await box.record("tin")
    assert [one.cut for one in record.segments] == [CutReason.CLOCK_STEP, CutReason.NONE]
    assert record.segments[1].from_ms == pytest.approx(3900, abs=400)
    assert pitch(box.heard(), start + 3.2 * S) == pytest.approx(900, abs=25)


async def test_step_of_less_than_a_second_is_not_heard(box: OnAir, step: Step) -> None:
    start = box.programme("tin", soon(1.5), await box.tone(400, 4))
    await sleep_until(start + S)
    step(timedelta(milliseconds=-900))
    record = await box.record("tin")
    assert [one.cut for one in record.segments] == [CutReason.NONE]
    assert record.verdict is Verdict.HEARD


async def test_step_of_an_hour_forward_plays_what_is_due_then(box: OnAir, step: Step) -> None:
    start = box.programme("sang", soon(1.5), await box.tone(400, 20), window=timedelta(0))
    box.programme("chieu", start + timedelta(hours=1), await box.tone(900, 8))
    await sleep_until(start + 2 * S)
    step(timedelta(hours=1))
    await box.sounding("chieu")
    moment = datetime.now(UTC)
    await asyncio.sleep(1)
    assert pitch(box.heard(), moment + 0.3 * S) == pytest.approx(900, abs=25)
    assert (await box.record("sang")).segments[0].cut in (CutReason.CLOCK_STEP, CutReason.SCHEDULE_CHANGED)


async def test_step_of_an_hour_back_stops_what_is_no_longer_due(box: OnAir, step: Step) -> None:
    start = box.programme("tin", soon(1.5), await box.tone(400, 20))
    await sleep_until(start + 1.5 * S)
    step(-timedelta(hours=1))
    await box.quiet()
    stepped = datetime.now(UTC)
    await asyncio.sleep(1.5)
    assert box.heard().sounding_ms(stepped + 0.3 * S, stepped + 1.3 * S) == 0


async def test_ten_years_ahead_and_back_again_harms_nothing(box: OnAir, step: Step) -> None:
    start = soon(5)
    box.programme("tin", start, await box.tone(400, 2))
    step(timedelta(days=3650))
    await asyncio.sleep(1)
    step(-timedelta(days=3650))
    record = await box.record("tin")
    assert record.verdict is Verdict.HEARD
    assert record.first_sound is not None
    assert abs(record.first_sound - start) < timedelta(milliseconds=50)


async def test_emergency_does_not_notice_a_step(box: OnAir, step: Step) -> None:
    order = await box.emergency(parts=(await box.recording(600, 2.0),))
    await box.sounding("Lũ trên sông")
    step(timedelta(hours=1))
    await asyncio.sleep(1)
    step(-timedelta(hours=2))
    record = await box.record(order)
    assert [one.cut for one in record.segments] == [CutReason.NONE]


async def test_box_that_wakes_in_1970_waits_with_its_programme_and_sounds_an_emergency(
    box: OnAir, step: Step
) -> None:
    box.break_(clock_unknown=True)
    step(datetime(1970, 1, 1, tzinfo=UTC) - datetime.now(UTC))
    await asyncio.sleep(1.5)
    began = datetime.now(UTC)
    box.programme("tin", datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC), await box.tone(400, 5))
    await asyncio.sleep(5)
    assert box.heard().first_sound(began) is None
    record = await box.record(await box.emergency(parts=(await box.recording(600, 1.0),)))
    assert record.verdict is Verdict.HEARD
