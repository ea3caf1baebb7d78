from __future__ import annotations

import asyncio
import dataclasses
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.model.bulletin import AiringId, BulletinClass, SourceLevel, ZoneId
from agent.model.report import AsRun, CutReason, Evidence, MissedReason, Segment, Verdict
from agent.store import Store, asrun

NOW = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)


def record(n: int = 0, **changes: Any) -> AsRun:
    values: dict[str, Any] = {
        "airing": AiringId(f"sang@{n}"),
        "zone": ZoneId("truoc"),
        "programme": "sang",
        "title": "Bản tin sáng",
        "bulletin_class": BulletinClass.NORMAL,
        "level": SourceLevel.COMMUNE,
        "schedule_version": 3,
        "order_id": "01",
        "planned_start": NOW + timedelta(hours=n),
        "planned_ms": 1_800_000,
    }
    return AsRun(**values | changes)


_moments = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=7))]))
_levels = st.none() | st.floats(allow_nan=False)
_segments = st.builds(
    Segment,
    started=_moments,
    ended=st.none() | _moments,
    from_ms=st.integers(),
    played_ms=st.integers(),
    cut=st.sampled_from(CutReason),
)
_evidence = st.builds(
    Evidence,
    output_rms_dbfs=_levels,
    output_peak_dbfs=_levels,
    sounding_ms=st.integers(),
    sensed_ms=st.none() | st.integers(),
    line_rms_dbfs=_levels,
    amplifier_on=st.booleans(),
    amplifier_fault=st.none() | st.booleans(),
    failed_items=st.lists(st.text()).map(tuple),
)
_records = st.builds(
    AsRun,
    airing=st.text().map(AiringId),
    zone=st.text().map(ZoneId),
    programme=st.text(),
    title=st.text(),
    bulletin_class=st.sampled_from(BulletinClass),
    level=st.sampled_from(SourceLevel),
    schedule_version=st.integers(),
    order_id=st.text(),
    planned_start=_moments,
    planned_ms=st.integers(),
    segments=st.lists(_segments, max_size=4).map(tuple),
    evidence=_evidence,
    verdict=st.sampled_from(Verdict),
    missed=st.none() | st.sampled_from(MissedReason),
    final=st.booleans(),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_records)
def test_a_record_is_read_back_exactly_as_it_was_written(record: AsRun) -> None:
    read = asrun.decode(asrun.encode(record))
    assert read == record
    assert type(read.verdict) is Verdict
    assert all(type(one.cut) is CutReason for one in read.segments)


def test_a_record_of_a_newer_agent_is_read_without_what_it_added() -> None:
    raw = json.loads(asrun.encode(record()))
    raw["added"] = 1
    raw["evidence"]["added"] = 1
    raw["segments"] = [
        {"started": NOW.isoformat(), "ended": None, "from_ms": 0, "played_ms": 5, "cut": "none", "added": 1}
    ]
    assert asrun.decode(json.dumps(raw)) == record(segments=(Segment(NOW, None, 0, 5),))


async def test_an_airing_is_open_from_its_beginning_to_its_end(store: Store) -> None:
    assert await store.airing_begin(record())
    played = record(segments=(Segment(NOW, None, 0, 5000),))
    await store.airing_update(played)
    assert await store.open_airings() == [played]
    assert await store.finished_airings(NOW) == set()
    assert await store.airing_finish(played, "report-1", b"proof")
    assert await store.open_airings() == []
    assert await store.finished_airings(NOW) == {("sang@0", "truoc")}
    assert await store.play_log(10) == [dataclasses.replace(played, final=True)]
    (row,) = await store.outbox_next(10)
    assert (row.id, row.topic, row.payload, row.receipt) == ("report-1", "asrun", b"proof", True)


async def test_an_airing_finished_twice_has_one_proof(store: Store) -> None:
    assert await store.airing_finish(record(verdict=Verdict.HEARD), "report-1", b"first")
    assert not await store.airing_finish(record(verdict=Verdict.SILENT), "report-2", b"second")
    assert not await store.airing_begin(record())
    await store.airing_update(record(verdict=Verdict.MISSED))
    assert [one.verdict for one in await store.play_log(10)] == [Verdict.HEARD]
    assert [one.id for one in await store.outbox_next(10)] == ["report-1"]


async def test_an_airing_begun_again_after_a_restart_stays_one_record(store: Store) -> None:
    assert await store.airing_begin(record())
    resumed = record(segments=(Segment(NOW, NOW, 0, 9, CutReason.RESTART),))
    assert await store.airing_begin(resumed)
    assert await store.open_airings() == [resumed]


async def test_an_update_without_a_beginning_is_not_a_record(store: Store) -> None:
    await store.airing_update(record())
    assert await store.play_log(10) == []


async def test_the_zones_of_an_airing_have_records_of_their_own(store: Store) -> None:
    await store.airing_finish(record(), "report-1", b"")
    await store.airing_begin(record(zone=ZoneId("sau")))
    assert await store.finished_airings(NOW) == {("sang@0", "truoc")}
    assert [one.zone for one in await store.open_airings()] == ["sau"]


async def test_finished_airings_are_asked_for_from_a_planned_start_on(store: Store) -> None:
    for n in range(4):
        await store.airing_finish(record(n), f"report-{n}", b"")
    assert await store.finished_airings(NOW + timedelta(hours=2)) == {
        ("sang@2", "truoc"),
        ("sang@3", "truoc"),
    }


async def test_the_play_log_is_read_page_by_page_newest_first(store: Store) -> None:
    for n in (3, 0, 4, 1, 2):
        await store.airing_finish(record(n), f"a-{n}", b"")
        await store.airing_begin(record(n, zone=ZoneId("sau")))
    seen: list[tuple[str, str]] = []
    before = None
    while page := await store.play_log(3, before):
        assert len(page) == 4
        seen += [(one.airing, one.zone) for one in page]
        before = page[-1].planned_start
        if len(seen) == 8:
            break
    assert seen == [(f"sang@{n}", zone) for n in (4, 3, 2, 1) for zone in ("sau", "truoc")]
    assert [one.airing for one in await store.play_log(3, before)] == ["sang@0", "sang@0"]


async def test_the_log_is_bounded_and_open_airings_are_never_trimmed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asrun, "KEPT", 10)
    await store.airing_begin(record(1000))
    for n in range(63):
        await store.airing_finish(record(n), f"report-{n}", b"")
    log = await store.play_log(100)
    assert [one.airing for one in log] == ["sang@1000", *(f"sang@{n}" for n in range(62, 52, -1))]


async def test_concurrent_finishes_of_one_airing_make_one_proof(store: Store) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(store.airing_finish(record(), f"report-{n}", b"")) for n in range(5)]
    assert sorted(task.result() for task in tasks) == [False] * 4 + [True]
    assert len(await store.outbox_next(10)) == 1
