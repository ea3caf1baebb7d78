"""Who is on air: the ladder, what is cut by it, and what comes back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from agent.model.bulletin import SourceLevel
from agent.model.report import CutReason, MissedReason, Verdict
from agent.model.schedule import Resume
from tests.support.onair import PROVINCIAL, OnAir, pitch, pitches, sleep_until, soon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]
S = timedelta(seconds=1)


async def test_programme_cut_by_an_emergency_goes_on_where_it_stopped(box: OnAir) -> None:
    message = await box.recording(600, 1.0)
    start = box.programme("tin", soon(1.5), await box.tone(400, 4), await box.tone(900, 4))
    await sleep_until(start + 2 * S)
    order = await box.emergency(parts=(message,))
    cut, again = (await box.record("tin", limit_s=40)).segments
    emergency = await box.record(order)
    assert cut.cut is CutReason.PREEMPTED
    assert abs(again.from_ms - (cut.from_ms + cut.played_ms)) <= 50
    assert emergency.verdict is Verdict.HEARD
    assert emergency.first_sound is not None
    heard = box.heard()
    assert pitch(heard, emergency.first_sound + 4.3 * S) == pytest.approx(600, abs=25)
    assert pitch(heard, again.started + 0.3 * S) == pytest.approx(400, abs=25)
    left_of_first_s = (4000 - again.from_ms) / 1000
    assert pitch(heard, again.started + (left_of_first_s + 0.5) * S) == pytest.approx(900, abs=25)


async def test_priority_airing_cuts_the_programme_at_its_start_to_the_millisecond(box: OnAir) -> None:
    start = box.programme("nhac", soon(1.5), await box.tone(400, 6))
    box.programme("uu-tien", start + 2 * S, await box.tone(900, 2), normal=False)
    await box.record("nhac")
    heard = box.heard()
    assert pitches(heard, start + 0.1 * S, start + 1.9 * S).count(400) >= 17
    assert pitches(heard, start + 2.1 * S, start + 3.9 * S).count(900) >= 17
    assert pitch(heard, start + 5 * S) == pytest.approx(400, abs=25)


async def test_programme_kept_from_beginning_starts_at_its_beginning(box: OnAir) -> None:
    order = await box.emergency(parts=(await box.recording(600, 1.0),))
    await box.sounding("Lũ trên sông")
    box.programme("tin", soon(1), await box.tone(400, 2), await box.tone(900, 1))
    record = await box.record("tin", limit_s=40)
    emergency = await box.record(order)
    assert record.segments[0].from_ms == 0
    assert record.segments[0].started > (emergency.segments[-1].ended or datetime.max.replace(tzinfo=UTC))
    assert record.verdict is Verdict.HEARD


async def test_airing_whose_window_has_passed_is_dropped_and_told(box: OnAir) -> None:
    await box.emergency(parts=(await box.recording(600, 2.0),))
    await box.sounding("Lũ trên sông")
    box.programme("tin", soon(0.5), await box.tone(400, 2), window=timedelta(0))
    record = await box.record("tin", limit_s=40)
    assert (record.verdict, record.missed) == (Verdict.MISSED, MissedReason.PREEMPTED)


async def test_programme_that_is_to_be_dropped_does_not_come_back(box: OnAir) -> None:
    start = box.programme("nhac", soon(1.5), await box.tone(400, 20), resume=Resume.DROP)
    await sleep_until(start + S)
    await box.emergency(parts=(await box.recording(600, 0.5),))
    record = await box.record("nhac", limit_s=15)
    assert [one.cut for one in record.segments] == [CutReason.PREEMPTED]
    assert record.verdict is Verdict.PARTIAL


async def test_programme_by_the_clock_comes_back_where_the_clock_is(box: OnAir) -> None:
    start = box.programme(
        "tiep-am", soon(1.5), await box.tone(400, 4), await box.tone(900, 10), resume=Resume.CLOCK
    )
    await sleep_until(start + S)
    await box.emergency(parts=(await box.recording(600, 0.5),))
    cut, again = (await box.record("tiep-am", limit_s=40)).segments
    assert cut.cut is CutReason.PREEMPTED
    elapsed_ms = (again.started - start) / timedelta(milliseconds=1)
    assert again.from_ms == pytest.approx(elapsed_ms, abs=50)
    assert pitch(box.heard(), again.started + 0.5 * S) == pytest.approx(900, abs=25)


async def test_province_goes_before_the_commune_and_the_communes_emergency_begins_anew(box: OnAir) -> None:
    commune = await box.emergency(parts=(await box.recording(600, 3.0),))
    await box.sounding("Lũ trên sông")
    await asyncio.sleep(1)
    province = await box.emergency(by=PROVINCIAL, parts=(await box.recording(1500, 1.0, "Xả lũ"),))
    first = await box.record(province, limit_s=30)
    second = await box.record(commune, limit_s=30)
    assert second.segments[0].cut is CutReason.PREEMPTED
    assert second.segments[1].from_ms == 0  # with its attention signal
    assert first.segments[0].ended is not None
    assert second.segments[1].started >= first.segments[0].ended


async def test_of_two_emergencies_of_one_level_the_newest_goes_first(box: OnAir) -> None:
    old = await box.emergency(parts=(await box.recording(600, 3.0),))
    await box.sounding("Lũ trên sông")
    new = await box.emergency(parts=(await box.recording(1500, 1.0, "Cháy"),))
    newest, oldest = await box.record(new, limit_s=30), await box.record(old, limit_s=40)
    assert newest.segments[0].cut is CutReason.NONE
    assert oldest.segments[0].cut is CutReason.PREEMPTED
    assert oldest.verdict in (Verdict.HEARD, Verdict.PARTIAL)


async def test_emergency_for_one_zone_leaves_the_other_alone(two_zones: OnAir) -> None:
    box = two_zones
    start = box.programme("nhac", soon(2), await box.tone(400, 9))
    await sleep_until(start + S)
    await box.emergency(parts=(await box.recording(600, 1.0),), zones=("market",))
    record = await box.record("nhac", "main")
    assert len(record.segments) == 1
    assert pitches(box.heard("main"), start + 0.1 * S, start + 8.9 * S).count(400) >= 85
    assert pitch(box.heard("market"), start + 3 * S) != pytest.approx(400, abs=25)


async def test_emergency_sounds_in_every_zone_at_once(two_zones: OnAir) -> None:
    order = await two_zones.emergency(parts=(await two_zones.recording(600, 1.0),))
    one, other = await two_zones.record(order, "main"), await two_zones.record(order, "market")
    assert one.verdict is other.verdict is Verdict.HEARD
    assert one.first_sound is not None
    assert other.first_sound is not None
    assert abs(one.first_sound - other.first_sound) < timedelta(milliseconds=300)


async def test_normal_bulletin_never_plays_by_itself(box: OnAir) -> None:
    began = datetime.now(UTC)
    order = await box.bulletin("normal")
    await box.event("order_accepted")
    await asyncio.sleep(4)
    assert box.heard().first_sound(began) is None
    assert [one.id for one in box.box.orders.bulletins] == [order]


async def test_priority_bulletin_is_spoken_once_and_the_programme_goes_on(box: OnAir) -> None:
    start = box.programme("nhac", soon(1.5), await box.tone(400, 6))
    await sleep_until(start + S)
    order = await box.bulletin()
    told = await box.record(order, limit_s=30)
    assert told.verdict is Verdict.HEARD
    record = await box.record("nhac", limit_s=30)
    assert [one.cut for one in record.segments] == [CutReason.PREEMPTED, CutReason.NONE]
    await asyncio.sleep(1)
    assert len(await box.records(order, 1)) == 1


async def test_of_two_priority_items_the_higher_level_goes_first(box: OnAir) -> None:
    start = soon(2)
    box.programme("cua-xa", start, await box.tone(400, 2), normal=False)
    box.programme("cua-tinh", start, await box.tone(900, 2), normal=False, level=SourceLevel.PROVINCE)
    await box.record("cua-xa")
    heard = box.heard()
    assert pitch(heard, start + S) == pytest.approx(900, abs=25)
    assert pitch(heard, start + 3.5 * S) == pytest.approx(400, abs=25)


async def test_a_person_at_the_commune_decides_the_order_of_priority_items(box: OnAir) -> None:
    start = soon(2)
    box.programme("cua-xa", start, await box.tone(400, 2), normal=False)
    box.programme("cua-tinh", start, await box.tone(900, 2), normal=False, level=SourceLevel.PROVINCE)
    await box.box.controls.set_priority_order(("cua-xa", "cua-tinh"), "local:xa")
    await box.record("cua-tinh")
    heard = box.heard()
    assert pitch(heard, start + S) == pytest.approx(400, abs=25)
    assert pitch(heard, start + 3.5 * S) == pytest.approx(900, abs=25)


async def test_the_order_a_person_set_on_the_server_comes_signed(box: OnAir) -> None:
    start = soon(3)
    box.programme("cua-xa", start, await box.tone(400, 2), normal=False)
    box.programme("cua-tinh", start, await box.tone(900, 2), normal=False, level=SourceLevel.PROVINCE)
    await box.desired(priority_order=("cua-xa", "cua-tinh"))
    await box.record("cua-tinh")
    assert pitch(box.heard(), start + S) == pytest.approx(400, abs=25)


async def test_fallback_sounds_where_nothing_else_does_and_gives_way(box: OnAir) -> None:
    start = soon(2)
    box.programme("du-phong", start, await box.tone(400, 6), fallback=True, resume=Resume.CLOCK)
    box.programme("tin", start + 2 * S, await box.tone(900, 2))
    await box.record("tin")
    await sleep_until(start + 6.5 * S)
    heard = box.heard()
    assert pitch(heard, start + S) == pytest.approx(400, abs=25)
    assert pitch(heard, start + 3 * S) == pytest.approx(900, abs=25)
    assert pitch(heard, start + 5 * S) == pytest.approx(400, abs=25)


async def test_what_lacks_its_file_does_not_silence_what_is_below_it(box: OnAir) -> None:
    start = soon(2)
    gone = await box.tone(1500, 3)
    await box.box.media.delete(gone.sha256)
    box.programme("tin", start, await box.tone(400, 3))
    box.programme("thieu", start, gone, normal=False, window=timedelta(0))
    record = await box.record("tin")
    assert record.verdict is Verdict.HEARD
    assert pitch(box.heard(), start + S) == pytest.approx(400, abs=25)
    assert (await box.record("thieu")).missed is MissedReason.MEDIA
