"""What people do to the box: safety stop, stop, next, pause, volume; and signed jobs that do the same."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from agent.model.report import CutReason, Verdict
from tests.support.onair import MAIN, OnAir, pitch, sleep_until, soon

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]
S = timedelta(seconds=1)


async def test_safety_stop_silences_an_emergency_at_once_and_switches_the_amplifier_off(box: OnAir) -> None:
    await box.emergency(parts=(await box.recording(600, 5.0),))
    await box.sounding("Lũ trên sông")
    stopped = datetime.now(UTC)
    await box.box.controls.safety_stop((), 5, "local:tho")
    await asyncio.sleep(2)
    assert box.heard().sounding_ms(stopped + 0.3 * S, stopped + 2 * S) == 0
    assert not box.player.amplifier.powered
    assert "TL-802" in box.issues
    told = await box.event("safety_stopped")
    assert "local:tho" in str(told)


async def test_safety_stop_ends_by_itself_and_the_emergency_sounds_again(box: OnAir) -> None:
    order = await box.emergency(parts=(await box.recording(600, 1.0),))
    await box.sounding("Lũ trên sông")
    box.box.station.safety_stop((MAIN,), 2.5)
    await box.until("quiet", lambda: not box.player.view.sounding)
    record = await box.record(order, limit_s=30)
    assert record.segments[0].cut is CutReason.SAFETY_STOP
    assert record.segments[1].from_ms == 0
    assert record.verdict in (Verdict.HEARD, Verdict.PARTIAL)
    assert await box.event("safety_released")
    assert "TL-802" not in box.issues


async def test_safety_stop_survives_a_restart(box: OnAir) -> None:
    await box.box.controls.safety_stop((), 5, "local:tho")
    await box.restart()
    began = datetime.now(UTC)
    await box.emergency(parts=(await box.recording(600, 1.0),))
    await asyncio.sleep(3)
    assert box.heard().first_sound(began) is None
    await box.box.controls.safety_release((), "local:tho")
    await box.sounding("Lũ trên sông")


async def test_airing_under_a_safety_stop_comes_after_its_release(box: OnAir) -> None:
    start = box.programme("tin", soon(1.5), await box.tone(400, 3))
    await sleep_until(start + S)
    await box.box.controls.safety_stop((), 5, "local:tho")
    await asyncio.sleep(3)
    await box.box.controls.safety_release((), "local:tho")
    cut, again = (await box.record("tin")).segments
    assert cut.cut is CutReason.SAFETY_STOP
    assert again.from_ms == pytest.approx(cut.played_ms, abs=50)


async def test_stop_job_ends_the_airing_for_good(box: OnAir) -> None:
    start = box.programme("tin", soon(1.5), await box.tone(400, 20))
    await sleep_until(start + S)
    asked = datetime.now(UTC)
    await box.job("stop", zone="main")
    record = await box.record("tin", limit_s=10)
    assert record.segments[-1].cut is CutReason.STOPPED
    await asyncio.sleep(2)
    assert box.heard().sounding_ms(asked + S, asked + 2.5 * S) == 0
    assert await box.job_state("succeeded")


async def test_next_job_goes_on_with_the_next_item(box: OnAir) -> None:
    start = box.programme("tin", soon(1.5), await box.tone(400, 20), await box.tone(900, 3))
    await sleep_until(start + S)
    await box.job("next", zone="main")
    record = await box.record("tin", limit_s=20)
    assert [one.from_ms for one in record.segments] == [0, 20_000]
    assert pitch(box.heard(), record.segments[1].started + S) == pytest.approx(900, abs=25)


async def test_paused_airing_goes_on_where_it_stopped(box: OnAir) -> None:
    start = box.programme("tin", soon(1.5), await box.tone(400, 4))
    await sleep_until(start + S)
    await box.job("pause", zone="main", minutes=5)
    await box.quiet()
    await asyncio.sleep(1)
    await box.job("resume", zone="main")
    cut, again = (await box.record("tin")).segments
    assert cut.cut is CutReason.PAUSED
    assert again.from_ms == pytest.approx(cut.played_ms, abs=50)


async def test_emergency_sounds_in_a_paused_zone(box: OnAir) -> None:
    await box.box.controls.pause("main", 5, "local:tho")
    record = await box.record(await box.emergency(parts=(await box.recording(600, 1.0),)))
    assert record.verdict is Verdict.HEARD


async def test_volume_job_lowers_what_sounds_along_a_ramp(box: OnAir) -> None:
    start = box.programme("tin", soon(1.5), await box.tone(400, 5))
    await sleep_until(start + 2 * S)
    await box.job("set_volume", zone="main", volume_db=-12.0)
    await box.record("tin")
    heard = box.heard()
    before = heard.rms_dbfs(start + S, start + 1.8 * S)
    after = heard.rms_dbfs(start + 4 * S, start + 4.8 * S)
    assert after - before == pytest.approx(-12, abs=0.7)


async def test_volume_survives_a_restart_and_never_softens_an_emergency(box: OnAir) -> None:
    await box.box.controls.set_volume("main", -20.0, "local:tho")
    await box.restart()
    soft = box.programme("tin", soon(1.5), await box.tone(400, 2))
    await box.record("tin")
    record = await box.record(await box.emergency(parts=(await box.recording(600, 2.0),)))
    assert record.first_sound is not None
    loud = record.first_sound + 4.5 * S
    heard = box.heard()
    assert heard.rms_dbfs(loud, loud + S) - heard.rms_dbfs(soft + 0.5 * S, soft + 1.5 * S) > 15


async def test_job_that_expired_on_the_way_is_not_carried_out(box: OnAir) -> None:
    start = box.programme("tin", soon(1.5), await box.tone(400, 3))
    await sleep_until(start + 0.5 * S)
    await box.job("stop", minutes=-0.008, zone="main")
    assert (await box.record("tin")).verdict is Verdict.HEARD


async def test_job_with_a_wrong_zone_is_rejected_by_name(box: OnAir) -> None:
    await box.job("set_volume", zone="khong-co", volume_db=-3.0)
    report = await box.job_state("rejected", "failed")
    assert "zone" in str(report["result"])


async def test_on_site_test_gives_way_to_what_is_due(box: OnAir) -> None:
    from agent.model.bulletin import Item, ItemKind, Signal, signal_media

    item = Item("tone", "tone", ItemKind.SIGNAL, signal_media(Signal.TONE, 10_000))
    test = asyncio.create_task(box.box.orders.play_test(MAIN, (item,), "Thử loa", 30))
    await box.sounding("Thử loa")
    start = box.programme("tin", soon(1.5), await box.tone(400, 2))
    record = await box.record("tin")
    assert record.first_sound is not None
    assert abs(record.first_sound - start) < timedelta(milliseconds=40)
    assert (await test).segments[0].cut is CutReason.PREEMPTED
