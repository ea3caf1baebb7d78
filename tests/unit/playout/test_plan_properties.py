"""What must hold of every plan, whatever the schedule and the moment."""

# ruff: noqa: DTZ001 - civil times carry no offset

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.bulletin import BulletinClass, ClockTrust, Item, SourceLevel, ZoneId
from agent.model.schedule import Airing, Programme, Recurrence
from agent.model.timetable import Timetable
from agent.playout.ladder import AiringInZone, Candidate, Reason, StationState, order, rung_of
from agent.playout.plan import LONGEST_LOOK, Plan, plan
from tests.unit.model.schedules import a_programme, a_schedule

ZONES = (ZoneId("square"), ZoneId("market"))
TICK = timedelta(microseconds=1)
TIMEZONE = "Asia/Ho_Chi_Minh"

# Midnight in Vietnam, a leap day and the ends of months lie in here.
civil = st.sampled_from(
    [
        datetime(2028, 2, 28, 23, 50),
        datetime(2028, 2, 29),
        datetime(2028, 2, 29, 23, 59),
        datetime(2028, 3, 1),
    ]
) | st.datetimes(datetime(2028, 2, 28), datetime(2028, 3, 2)).map(lambda one: one.replace(microsecond=0))
moments = st.datetimes(datetime(2028, 2, 27), datetime(2028, 3, 3), timezones=st.just(UTC))
rules = st.sampled_from(
    [None, "FREQ=DAILY", "FREQ=HOURLY;INTERVAL=2", "FREQ=MONTHLY;BYMONTHDAY=-1", "FREQ=HOURLY;INTERVAL=5"]
)


@st.composite
def programmes(draw: st.DrawFn, name: str) -> Programme:
    return a_programme(
        name,
        Recurrence(draw(civil), draw(rules)),
        durations_ms=draw(
            st.lists(st.sampled_from([1, 999, 60_000, 1_800_000, 7_200_001]), min_size=1, max_size=4)
        ),
        bulletin_class=draw(st.sampled_from([BulletinClass.NORMAL, BulletinClass.PRIORITY])),
        level=draw(st.sampled_from(list(SourceLevel))),
        zones=draw(st.sampled_from([(), ("square",), ("market",), ("square", "market"), ("other",)])),
        valid_until=draw(st.none() | moments),
        clock_needed=draw(st.sampled_from(list(ClockTrust))),
    )


@st.composite
def states(draw: st.DrawFn) -> StationState:
    listed = [draw(programmes(f"p{number}")) for number in range(draw(st.integers(0, 5)))]
    hashes = [item.media.sha256 for one in listed for item in one.items]
    return StationState(
        zones=ZONES,
        timetable=Timetable(a_schedule(*listed, timezone=TIMEZONE)),
        in_force_since=draw(st.none() | moments),
        running_since=draw(st.none() | moments),
        planned_until=draw(st.none() | moments),
        held=frozenset(draw(st.lists(st.sampled_from(hashes), unique=True))) if hashes else frozenset(),
        audio_ok={zone: draw(st.integers(0, 4)) > 0 for zone in ZONES},
    )


def key(airing: Airing) -> tuple[int, int, int, int, float, str]:
    return order(Candidate(airing, rung_of(airing), 0))


def heard(told: Plan) -> dict[ZoneId, tuple[str, int] | None]:
    return {
        zone: (one.on_air.airing.id, one.on_air.item_index) if one.on_air else None
        for zone, one in told.zones.items()
    }


def can_sound(state: StationState, airing: Airing, zone: ZoneId, now: datetime, trust: ClockTrust) -> bool:
    left = [
        item
        for number, item in enumerate(airing.programme.items)
        if airing.start + sum((length(one) for one in airing.programme.items[: number + 1]), timedelta())
        > now
    ]
    audible = any(item.media.sha256 in state.held for item in left)
    return audible and airing.programme.clock_needed <= trust and state.audio_ok[zone]


def length(item: Item) -> timedelta:
    return timedelta(milliseconds=item.media.duration_ms)


@settings(max_examples=100, deadline=None)
@given(states(), moments, st.sampled_from(list(ClockTrust)))
def test_a_zone_has_one_source_and_it_is_the_highest_that_can_sound(
    state: StationState, now: datetime, trust: ClockTrust
) -> None:
    told = plan(state, now, trust)
    assert set(told.zones) == set(ZONES)
    assert state.timetable is not None
    for zone, one in told.zones.items():
        due = [
            air
            for air in state.timetable.active(now)
            if not air.programme.zones or zone in air.programme.zones
        ]
        able = [air for air in due if can_sound(state, air, zone, now, trust)]
        if one.on_air is None:
            assert not able
            continue
        airing = one.on_air.airing
        assert airing == min(able, key=key)
        assert airing.start <= now < airing.end
        assert not airing.programme.zones or zone in airing.programme.zones
        assert airing.programme.clock_needed <= trust
        assert state.audio_ok[zone]
        for waiting in one.waiting:
            if waiting.reason is Reason.PREEMPTED:
                assert key(airing) < key(waiting.airing)
            else:
                assert not can_sound(state, waiting.airing, zone, now, trust)


@settings(max_examples=100, deadline=None)
@given(states(), moments, st.sampled_from(list(ClockTrust)), st.floats(0, 1))
def test_nothing_changes_before_look_again(
    state: StationState, now: datetime, trust: ClockTrust, share: float
) -> None:
    told = plan(state, now, trust)
    assert now < told.look_again <= now + LONGEST_LOOK
    between = now + (told.look_again - TICK - now) * share
    for moment in (between, told.look_again - TICK):
        assert heard(plan(state, moment, trust)) == heard(told)


@settings(max_examples=100, deadline=None)
@given(states(), moments, st.sampled_from(list(ClockTrust)))
def test_the_same_question_gets_the_same_answer(
    state: StationState, now: datetime, trust: ClockTrust
) -> None:
    first = plan(state, now, trust)
    plan(state, now + timedelta(days=40), trust)
    plan(state, now - timedelta(days=40), trust)
    assert plan(state, now, trust) == first


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(st.lists(civil, min_size=1, max_size=4), st.lists(rules, min_size=4, max_size=4), st.integers(1, 3))
def test_stepping_by_look_again_hears_or_misses_every_airing_once(
    starts: list[datetime], chosen: list[str | None], minutes: int
) -> None:
    listed = [
        a_programme(
            f"p{n}", Recurrence(start, chosen[n]), durations_ms=(minutes * 60_000,), zones=("square",)
        )
        for n, start in enumerate(starts)
    ]
    timetable = Timetable(a_schedule(*listed, timezone=TIMEZONE))
    begin, end = datetime(2028, 2, 27, 12, tzinfo=UTC), datetime(2028, 3, 2, 18, tzinfo=UTC)
    held = frozenset(item.media.sha256 for one in listed[1:] for item in one.items)  # p0 can never sound
    now = begin
    begun: set[AiringInZone] = set()
    missed: set[AiringInZone] = set()
    planned_until: datetime | None = begin
    waited: Mapping[AiringInZone, Reason] = {}
    while now < end:
        told = plan(
            StationState(
                zones=ZONES,
                timetable=timetable,
                in_force_since=begin,
                running_since=begin,
                begun=frozenset(begun),
                missed=frozenset(missed),
                planned_until=planned_until,
                waited=waited,
                held=held,
            ),
            now,
            ClockTrust.RTC,
        )
        for one in told.missed:
            key = (one.airing.id, one.zone)
            assert key not in missed
            missed.add(key)
        due = told.zones[ZONES[0]].on_air
        if due is not None:
            begun.add((due.airing.id, ZONES[0]))
        planned_until, waited, now = told.planned_until, told.waited, told.look_again
    promised = {(one.id, ZONES[0]) for one in timetable.between(begin, end) if one.end <= end}
    assert not begun & missed
    assert promised <= begun | missed
    assert {key for key in promised if key[0].startswith("p0@")} <= missed
