"""What is said of an airing follows what was measured; what is broken is named, and mended where it can be."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.app import weekly
from agent.model.report import CutReason, Verdict
from tests.support.onair import RATE, OnAir, on_air, pitch, sleep_until, soon, tone

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]
S = timedelta(seconds=1)


def words(count: int) -> array[int]:
    """Sound with pauses, as speech has them: 0.4 s of a pitch and 0.35 s of silence, `count` times."""
    return array("h", (*tone(400, 0.4), *([0] * round(RATE * 0.35)))) * count


@pytest.fixture
async def metered(tmp_path: Path) -> AsyncIterator[OnAir]:
    """A box whose zone has a meter, a microphone and a spare amplifier."""
    where = str(tmp_path / "box")
    zone = f"""
meter = {{ kind = "simulated", idle_amps = 0.25, full_amps = 4.25, low_volts = 20, options = {{ dir = "{where}" }} }}
microphone = {{ kind = "simulated", options = {{ dir = "{where}" }} }}
spare_amplifier = {{ kind = "simulated", settle_ms = 0, unmute_ms = 0, options = {{ dir = "{where}", spare = true }} }}
"""
    async with on_air(tmp_path / "box", zone=zone) as found:
        yield found


async def test_horn_cut_in_mid_airing_is_told_within_four_seconds(box: OnAir) -> None:
    start = box.programme("tin", soon(1.5), await box.tone(400, 9))
    await sleep_until(start + 2 * S)
    box.break_(horn_open=True)
    await box.until("TL-513", lambda: "TL-513" in box.issues, 5)
    assert datetime.now(UTC) - start < 6.5 * S
    assert (await box.record("tin")).verdict is Verdict.PARTIAL


async def test_horn_that_is_open_all_the_time_makes_a_silent_airing(box: OnAir) -> None:
    box.break_(horn_open=True)
    box.programme("tin", soon(1.5), await box.tone(400, 3))
    record = await box.record("tin")
    assert record.verdict is Verdict.SILENT
    assert record.evidence.sensed_ms == 0


async def test_without_any_sensor_nobody_says_that_it_was_heard(tmp_path: Path) -> None:
    class Deaf(OnAir):
        def toml(self) -> str:
            return "\n".join(line for line in super().toml().splitlines() if "line_sense" not in line)

    deaf = Deaf(tmp_path / "box")
    await deaf.start()
    try:
        deaf.programme("tin", soon(1.5), await deaf.tone(400, 2))
        assert (await deaf.record("tin")).verdict is Verdict.UNKNOWN
    finally:
        await deaf.stop()


async def test_hung_decoder_is_replaced_and_sound_is_back(box: OnAir) -> None:
    start = box.programme("tin", soon(1.5), await box.tone(400, 10))
    await sleep_until(start + 2 * S)
    box.break_(decoder_hang=True)
    await box.until("hang told", lambda: any(fault == "TL-502" for fault in box.issues), 6)
    box.break_()
    record = await box.record("tin", limit_s=20)
    assert [one.cut for one in record.segments[:1]] == [CutReason.AUDIO]
    assert record.segments[-1].cut is CutReason.NONE
    assert pitch(box.heard(), start + 9 * S) == pytest.approx(400, abs=25)


async def test_card_that_goes_away_is_told_and_comes_back(box: OnAir) -> None:
    box.break_(card_missing=True)
    await box.until("TL-501", lambda: "TL-501" in box.issues, 15)
    box.break_()
    await box.until("card back", lambda: "TL-501" not in box.issues, 15)
    box.programme("tin", soon(2), await box.tone(400, 1))
    assert (await box.record("tin")).verdict is Verdict.HEARD


async def test_silent_file_is_told_and_the_next_item_is_reached(box: OnAir) -> None:
    silence = await box.file(array("h", bytes(2 * RATE * 30)), 30)
    start = box.programme("tin", soon(1.5), silence, await box.tone(900, 3))
    await box.until("TL-503", lambda: "TL-503" in box.issues, 12)
    assert datetime.now(UTC) - start < 5 * S
    record = await box.record("tin", limit_s=40)
    assert record.first_sound is not None
    last = record.segments[-1]
    assert last.from_ms == 30_000
    assert last.started - start < 15 * S
    assert pitch(box.heard(), last.started + S) == pytest.approx(900, abs=25)


async def test_worker_is_replaced_by_hand_without_losing_the_airing(box: OnAir) -> None:
    start = box.programme("tin", soon(1.5), await box.tone(400, 6))
    await sleep_until(start + 2 * S)
    await box.box.controls.restart_worker("main", "local:tho")
    record = await box.record("tin")
    assert [one.cut for one in record.segments] == [CutReason.AUDIO, CutReason.NONE]
    assert record.segments[1].started - (record.segments[0].ended or start) < 2 * S


async def test_airing_is_proved_by_line_microphone_and_current(metered: OnAir) -> None:
    metered.programme("tin", soon(1.5), await metered.file(words(12), 9.0))
    evidence = (await metered.record("tin")).evidence
    assert evidence.sensed_ms is not None
    assert evidence.sensed_ms >= 0.9 * evidence.sounding_ms
    assert evidence.microphone_ms is not None
    assert evidence.supply_amps is not None
    assert evidence.supply_amps > 0.25


async def test_dead_amplifier_gives_way_to_the_spare_one(metered: OnAir) -> None:
    metered.break_(amplifier_fault=True)
    start = metered.programme("tin", soon(1.5), await metered.tone(400, 14))
    await metered.until("spare", lambda: "TL-518" in metered.issues, 14)
    taken = datetime.now(UTC)
    await metered.record("tin", limit_s=30)
    assert taken - start < 12 * S
    assert metered.heard().sounding_ms(taken + S, start + 13.5 * S) > 500


async def test_short_line_switches_the_amplifier_off(metered: OnAir) -> None:
    start = metered.programme("tin", soon(1.5), await metered.tone(400, 35))
    await sleep_until(start + 2 * S)
    metered.break_(line_short=True)
    await metered.until("TL-516", lambda: "TL-516" in metered.issues, 30)


async def test_low_supply_is_told(metered: OnAir) -> None:
    metered.break_(dc_low=True)
    metered.programme("tin", soon(1.5), await metered.tone(400, 8))
    await metered.until("TL-102", lambda: "TL-102" in metered.issues, 15)


async def test_microphone_that_hears_nothing_while_the_line_sounds_makes_it_partial(metered: OnAir) -> None:
    metered.break_(microphone_deaf=True)
    metered.programme("tin", soon(1.5), await metered.file(words(12), 9.0))
    assert (await metered.record("tin")).verdict is Verdict.PARTIAL


async def test_two_airings_follow_each_other_without_a_hole(box: OnAir) -> None:
    start = box.programme("mot", soon(1.5), await box.tone(400, 2))
    box.programme("hai", start + 2 * S, await box.tone(900, 2))
    await box.record("hai")
    await asyncio.sleep(0)
    assert box.heard().longest_pause_ms(start + 0.1 * S, start + 3.9 * S) < 60


async def test_what_is_too_loud_is_limited(box: OnAir) -> None:
    loud = await box.file(tone(400, 2, peak=1.0), 2)
    box.programme("tin", soon(1.5), loud)
    evidence = (await box.record("tin")).evidence
    assert evidence.output_peak_dbfs is not None
    assert evidence.output_peak_dbfs <= -0.99


async def test_the_weekly_silent_test_runs_by_itself_and_makes_no_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weekly, "LOOK_EVERY_S", 1.0)
    async with on_air(tmp_path / "box") as box:
        told = await box.event("control", 20)
        assert (told["subject"], told["code"], told["detail"]) == ("main", "silent_test", "ok")
        edges = [(pin["pin"], pin["level"]) for pin in box.pins()]
        assert ("mute", "off") in edges
        assert box.heard().sounding_ms(box.began, datetime.now(UTC)) == 0
        await asyncio.sleep(3)
        assert len(await box.events("control")) == 1  # once a week is enough
