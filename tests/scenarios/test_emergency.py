"""Emergencies: at once, without waiting for anything, until their end or cancel."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from agent.errors import StoreError
from agent.model.report import CutReason, Verdict
from agent.wire.orders import BulletinPart, EmergencyEvent
from tests.support.onair import COMMUNE, MAIN, PROVINCIAL, STRANGER, OnAir, pitch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]
S = timedelta(seconds=1)


async def test_rounds_follow_each_other_as_often_as_ordered(box: OnAir) -> None:
    order = await box.emergency(parts=(await box.recording(600, 0.5),), repeats=2)
    first, second = await box.records(order, 2)
    assert first.verdict is second.verdict is Verdict.HEARD
    assert second.first_sound is not None
    assert first.segments[0].ended is not None
    assert second.first_sound - first.segments[0].ended < S
    await asyncio.sleep(2)
    assert len(await box.records(order, 2)) == 2
    assert pitch(box.heard(), second.first_sound + 0.1 * S) == pytest.approx(900, abs=120)  # attention again


async def test_recording_that_is_not_there_is_not_waited_for(box: OnAir) -> None:
    await box.messages(700, 1.0)
    asked = datetime.now(UTC)
    recorded = await box.lost_recording(600, 1.0, "Nước đang lên.")
    order = await box.emergency(parts=(recorded,))
    first = await box.record(order)
    assert first.first_sound is not None
    assert first.first_sound - asked < timedelta(seconds=1)
    assert pitch(box.heard(), first.first_sound + 4.3 * S) == pytest.approx(700, abs=25)  # the stored message
    await box.until("the text was said", lambda: box.box.orders.rounds_said(order, MAIN) == 1)
    last = (await box.records(order, 1))[-1]  # the same round, or the next if speech took its time
    assert last.first_sound is not None
    spoken = last.first_sound + 5.1 * S
    assert box.heard().sounding_ms(spoken, spoken + 2 * S) > 300


async def test_recording_is_used_in_the_round_after_it_arrived(box: OnAir) -> None:
    await box.messages(700, 1.0)
    recorded = await box.lost_recording(600, 1.0)
    order = await box.emergency(parts=(recorded,), repeats=2)
    await box.sounding("Lũ trên sông")
    await box.recording(600, 1.0)  # the same file arrives
    first, second = await box.records(order, 2)
    assert first.first_sound is not None
    assert second.first_sound is not None
    assert pitch(box.heard(), first.first_sound + 4.3 * S) == pytest.approx(700, abs=25)
    assert pitch(box.heard(), second.first_sound + 4.3 * S) == pytest.approx(600, abs=25)


async def test_a_card_that_takes_nothing_keeps_no_emergency_from_sounding(box: OnAir) -> None:
    part = await box.recording(600, 30)
    await box.store._db.read(lambda db: db.execute("PRAGMA query_only = ON"))  # as a card that wore out
    with pytest.raises(StoreError):  # so it is not acknowledged, and comes again
        await box.emergency(parts=(part,))
    await box.sounding("Lũ trên sông")
    await box.store._db.read(lambda db: db.execute("PRAGMA query_only = OFF"))
    (order,) = box.box.orders._stands
    await box.cancel(order)
    await box.quiet()


async def test_text_alone_is_spoken_by_the_box(box: OnAir) -> None:
    box.box.library.set_languages(())  # a box without stored messages
    order = await box.emergency(
        parts=(BulletinPart(title="Lũ", text="Lũ đang lên nhanh, bà con lên chỗ cao."),)
    )
    record = await box.record(order)
    assert record.first_sound is not None
    speech = record.first_sound + 4 * S
    assert box.heard().sounding_ms(speech, speech + 4 * S) > 1000
    assert record.verdict is Verdict.HEARD


async def test_emergency_of_an_unknown_kind_is_spoken_all_the_same(box: OnAir) -> None:
    await box.messages(700, 1.0)
    record = await box.record(await box.emergency(event="nui_lua", parts=(await box.recording(600, 1.0),)))
    assert record.verdict is Verdict.HEARD


async def test_stored_message_sounds_when_an_order_has_neither_text_nor_recording(box: OnAir) -> None:
    await box.messages(700, 1.0)
    record = await box.record(await box.emergency(parts=(BulletinPart(title="Sạt lở"),)))
    assert record.first_sound is not None
    assert pitch(box.heard(), record.first_sound + 4.3 * S) == pytest.approx(700, abs=25)


async def test_emergency_is_not_forgotten_at_a_restart(box: OnAir) -> None:
    order = await box.emergency(parts=(await box.recording(600, 1.0),), repeats=3)
    await box.sounding("Lũ trên sông")
    await box.restart()
    await box.sounding("Lũ trên sông", limit_s=15)
    records = await box.records(order, 3, limit_s=60)
    assert records[0].segments[0].cut is CutReason.RESTART
    assert len(records) == 3


async def test_cancel_silences_at_once_and_for_good(box: OnAir) -> None:
    order = await box.emergency(parts=(await box.recording(600, 5.0),), repeats=5)
    await box.sounding("Lũ trên sông")
    asked = datetime.now(UTC)
    await box.cancel(order)
    record = await box.record(order, limit_s=5)
    assert record.segments[-1].cut is CutReason.CANCELLED
    await asyncio.sleep(3)
    assert box.heard().sounding_ms(asked + 0.5 * S, asked + 3 * S) == 0
    await box.restart()
    await asyncio.sleep(2)
    assert box.heard().sounding_ms(asked + 0.5 * S, datetime.now(UTC)) == 0


async def test_cancel_that_comes_before_its_emergency_keeps_it_silent(box: OnAir) -> None:
    began = datetime.now(UTC)
    fields = box.order(COMMUNE)
    await box.cancel(fields["id"])
    await asyncio.sleep(0.5)
    await box.give(box.an_emergency(fields, parts=(await box.recording(600, 1.0),)))
    await box.event("emergency_ended")
    await asyncio.sleep(2)
    assert box.heard().first_sound(began) is None


async def test_all_clear_is_told_after_the_cancel(box: OnAir) -> None:
    order = await box.emergency(parts=(await box.recording(600, 5.0),))
    await box.sounding("Lũ trên sông")
    clear = await box.cancel(
        order, all_clear=BulletinPart(title="Báo yên", text="Lũ đã rút, bà con yên tâm.")
    )
    record = await box.record(clear)
    assert record.verdict is Verdict.HEARD
    await asyncio.sleep(1)
    assert len(await box.records(clear, 1)) == 1


async def test_the_same_emergency_by_three_ways_sounds_once(box: OnAir) -> None:
    order = box.an_emergency(box.order(COMMUNE), parts=(await box.recording(600, 0.5),))
    for way in ("mqtt", "https", "usb"):
        await box.give(order, transport=way)
    await box.record(order.id)
    await asyncio.sleep(3)
    assert len(await box.records(order.id, 1)) == 1
    assert len(await box.events("emergency_begun")) == 1


async def test_strangers_emergency_is_refused_and_nothing_sounds(box: OnAir) -> None:
    began = datetime.now(UTC)
    await box.emergency(by=STRANGER, parts=(BulletinPart(title="Giả", text="Chạy đi."),))
    assert (await box.event("order_refused"))["code"] == "unknown_key"
    await asyncio.sleep(2)
    assert box.heard().first_sound(began) is None


async def test_commune_may_not_cancel_the_provinces_emergency(box: OnAir) -> None:
    order = await box.emergency(by=PROVINCIAL, parts=(await box.recording(600, 3.0),))
    await box.sounding("Lũ trên sông")
    await box.cancel(order)
    record = await box.record(order)
    assert record.segments[-1].cut is CutReason.NONE
    assert record.verdict is Verdict.HEARD


async def test_province_may_cancel_the_communes_emergency(box: OnAir) -> None:
    order = await box.emergency(parts=(await box.recording(600, 5.0),))
    await box.sounding("Lũ trên sông")
    await box.cancel(order, by=PROVINCIAL)
    assert (await box.record(order, limit_s=5)).segments[-1].cut is CutReason.CANCELLED


async def test_emergency_needs_no_clock(box: OnAir) -> None:
    box.break_(clock_unknown=True)
    await asyncio.sleep(1.5)
    record = await box.record(await box.emergency(parts=(await box.recording(600, 1.0),)))
    assert record.verdict is Verdict.HEARD


async def test_language_versions_sound_in_the_order_of_the_box(box: OnAir) -> None:
    vietnamese, khmer = await box.recording(600, 1.0), await box.recording(1500, 1.0, language="km")
    await box.desired(languages=("km", "vi"))
    await box.event("order_accepted")
    record = await box.record(await box.emergency(parts=(vietnamese, khmer)))
    assert record.first_sound is not None
    heard = box.heard()
    assert pitch(heard, record.first_sound + 4.3 * S) == pytest.approx(1500, abs=40)
    assert pitch(heard, record.first_sound + 5.4 * S) == pytest.approx(600, abs=25)


async def test_emergency_with_hostile_text_is_refused_by_name(box: OnAir) -> None:
    order = box.an_emergency(box.order(COMMUNE), parts=(BulletinPart(title="Lũ", text="x"),))
    bad = order.encode().replace(b'"text":"x"', b'"text":"x\\u0007\\u001b[2J"')
    long = order.encode().replace(b'"text":"x"', b'"text":"' + b"x" * 100_000 + b'"')
    for payload in (bad, long):
        await box.give_bytes("emergency", payload)
    refused = [one["code"] for one in await box.refusals(2)]
    assert refused == ["malformed", "malformed"]


async def test_test_alarm_ends_after_its_round(box: OnAir) -> None:
    order = await box.emergency(
        event=EmergencyEvent.TEST, parts=(await box.recording(600, 0.5),), minutes=0.25
    )
    assert (await box.record(order)).verdict is Verdict.HEARD
    assert (await box.event("emergency_ended", 25))["code"] == "ended"
