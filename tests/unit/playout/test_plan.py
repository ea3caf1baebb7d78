"""What is on air, told as a table of situations."""

# ruff: noqa: DTZ001 - civil times carry no offset

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.model.bulletin import BulletinClass, ClockTrust, SourceLevel, ZoneId
from agent.model.report import MissedReason
from agent.model.schedule import Airing, Programme, Recurrence
from agent.model.timetable import Timetable
from agent.playout.ladder import Candidate, Reason, Rung, StationState, order, rung_of
from agent.playout.plan import MAX_MISSED, Plan, plan
from tests.unit.model.schedules import a_programme, a_schedule

SQUARE, MARKET = ZoneId("square"), ZoneId("market")
FIVE = datetime(2026, 1, 4, 22, tzinfo=UTC)  # 05:00 on Monday 5 January in Vietnam
DAILY = Recurrence(datetime(2026, 1, 1, 5), "FREQ=DAILY")
MINUTE = timedelta(minutes=1)
PRIORITY = BulletinClass.PRIORITY


class Everything:
    def __contains__(self, item: object) -> bool:
        return True


def a_state(*programmes: Programme, **changes: Any) -> StationState:
    state = StationState(
        zones=(SQUARE, MARKET),
        timetable=Timetable(a_schedule(*programmes)),
        schedule_version=1,
        in_force_since=FIVE - timedelta(days=3),
        running_since=FIVE - timedelta(days=3),
        planned_until=FIVE,
        held=Everything(),
    )
    return replace(state, **changes)


def at(state: StationState, moment: datetime, trust: ClockTrust = ClockTrust.SYNCHRONISED) -> Plan:
    return plan(state, moment, trust)


def on_air(told: Plan, zone: ZoneId = SQUARE) -> str | None:
    due = told.zones[zone].on_air
    return due.airing.programme.id if due else None


def five_minutes(name: str, **more: Any) -> Programme:
    return a_programme(name, DAILY, durations_ms=(60_000,) * 5, **more)


def test_no_schedule_is_said_so() -> None:
    told = at(StationState(zones=(SQUARE,)), FIVE)
    assert told.zones[SQUARE].reason is Reason.NO_SCHEDULE
    assert told.look_again == FIVE + timedelta(hours=1)


def test_nothing_due_names_what_comes() -> None:
    told = at(a_state(five_minutes("a")), FIVE - MINUTE)
    assert told.zones[SQUARE].reason is Reason.NOTHING_DUE
    coming = told.zones[SQUARE].next
    assert coming is not None
    assert coming.start == FIVE
    assert told.look_again == FIVE


def test_a_late_start_joins_at_the_position_of_the_clock() -> None:
    due = at(a_state(five_minutes("a")), FIVE + timedelta(minutes=2, milliseconds=1500)).zones[SQUARE].on_air
    assert due is not None
    assert (due.item_index, due.offset_ms, due.rung) == (2, 1500, Rung.PROGRAMME)


def test_start_is_included_and_end_is_not() -> None:
    state = a_state(five_minutes("a"))
    tick = timedelta(microseconds=1)
    assert on_air(at(state, FIVE - tick)) is None
    assert on_air(at(state, FIVE)) == "a"
    assert on_air(at(state, FIVE + 5 * MINUTE - tick)) == "a"
    assert on_air(at(state, FIVE + 5 * MINUTE)) is None


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        (
            five_minutes("z", bulletin_class=PRIORITY, level=SourceLevel.HAMLET),
            five_minutes("a", level=SourceLevel.CENTRAL),
        ),
        (five_minutes("z", level=SourceLevel.CENTRAL), five_minutes("a", level=SourceLevel.PROVINCE)),
        (five_minutes("z", level=SourceLevel.COMMUNE), five_minutes("a", level=SourceLevel.HAMLET)),
        (
            a_programme("z", Recurrence(datetime(2026, 1, 1, 4, 59), "FREQ=DAILY"), durations_ms=(300_000,)),
            five_minutes("a"),
        ),
        (five_minutes("a"), five_minutes("z")),
    ],
)
def test_the_ladder(winner: Programme, loser: Programme) -> None:
    told = at(a_state(loser, winner), FIVE + MINUTE).zones[SQUARE]
    assert told.on_air is not None
    assert told.on_air.airing.programme is winner
    assert [(one.airing.programme, one.reason) for one in told.waiting] == [(loser, Reason.PREEMPTED)]
    airings = [Airing(loser, FIVE), told.on_air.airing]
    assert min(airings, key=lambda one: order(Candidate(one, rung_of(one), 0))).programme is winner


def test_the_preempted_programme_comes_back_where_the_clock_is() -> None:
    cut = a_programme("cut", Recurrence(datetime(2026, 1, 5, 5, 1)), bulletin_class=PRIORITY)
    state = a_state(five_minutes("a"), cut)
    assert on_air(at(state, FIVE + MINUTE)) == "cut"
    due = at(state, FIVE + 2 * MINUTE).zones[SQUARE].on_air
    assert due is not None
    assert (due.airing.programme.id, due.item_index, due.offset_ms) == ("a", 2, 0)


def test_zones_are_planned_apart() -> None:
    told = at(
        a_state(five_minutes("a", zones=("square",)), five_minutes("b", zones=("market", "elsewhere"))), FIVE
    )
    assert (on_air(told, SQUARE), on_air(told, MARKET)) == ("a", "b")


def test_the_next_of_a_zone_is_its_own() -> None:
    later = a_programme("m", Recurrence(datetime(2026, 1, 5, 6)), zones=("market",))
    told = at(a_state(five_minutes("a", zones=("square",)), later), FIVE - MINUTE)
    coming = {zone: one.next.programme.id if one.next else None for zone, one in told.zones.items()}
    assert coming == {SQUARE: "a", MARKET: "m"}


@pytest.mark.parametrize("needed", list(ClockTrust))
@pytest.mark.parametrize("trust", list(ClockTrust))
def test_an_airing_starts_only_with_the_clock_it_needs(needed: ClockTrust, trust: ClockTrust) -> None:
    told = at(a_state(five_minutes("a", clock_needed=needed)), FIVE, trust)
    if trust >= needed:
        assert on_air(told) == "a"
    else:
        assert told.zones[SQUARE].reason is Reason.CLOCK_NOT_TRUSTED
        assert told.look_again == FIVE + timedelta(seconds=1)


def test_a_begun_airing_goes_on_when_the_clock_loses_trust() -> None:
    state = a_state(five_minutes("a"), begun=frozenset({(Airing(five_minutes("a"), FIVE).id, SQUARE)}))
    told = at(state, FIVE + MINUTE, ClockTrust.RESTORED)
    assert (on_air(told, SQUARE), on_air(told, MARKET)) == ("a", None)


def test_what_cannot_sound_silences_nothing_below_it() -> None:
    blocked = a_programme("p", DAILY, bulletin_class=PRIORITY, clock_needed=ClockTrust.SYNCHRONISED)
    told = at(a_state(blocked, five_minutes("a")), FIVE, ClockTrust.RTC)
    assert on_air(told) == "a"
    assert [(one.airing.programme.id, one.reason) for one in told.zones[SQUARE].waiting] == [
        ("p", Reason.CLOCK_NOT_TRUSTED)
    ]


def test_a_missing_item_is_silent_but_the_position_holds() -> None:
    programme = five_minutes("a")
    held = frozenset({programme.items[3].media.sha256})
    due = at(a_state(programme, held=held), FIVE + MINUTE).zones[SQUARE].on_air
    assert due is not None
    assert (due.item_index, due.offset_ms, due.missing) == (1, 0, (1, 2, 4))


def test_nothing_left_to_play_is_media_missing() -> None:
    programme = five_minutes("a")
    state = a_state(programme, held=frozenset({programme.items[0].media.sha256}))
    assert on_air(at(state, FIVE + timedelta(seconds=59))) == "a"
    assert at(state, FIVE + MINUTE).zones[SQUARE].reason is Reason.MEDIA_MISSING


def test_a_dead_output_silences_its_zone_only() -> None:
    told = at(a_state(five_minutes("a"), audio_ok={SQUARE: False}), FIVE)
    assert told.zones[SQUARE].reason is Reason.AUDIO_UNAVAILABLE
    assert on_air(told, MARKET) == "a"


@pytest.mark.parametrize(
    ("changes", "trust", "reason"),
    [
        ({"held": frozenset()}, ClockTrust.RTC, Reason.MEDIA_MISSING),
        ({}, ClockTrust.RESTORED, Reason.CLOCK_NOT_TRUSTED),
        ({"audio_ok": {SQUARE: False}}, ClockTrust.RTC, Reason.AUDIO_UNAVAILABLE),
        ({}, ClockTrust.RTC, None),
    ],
)
def test_what_would_block_the_next_is_known_before(
    changes: dict[str, Any], trust: ClockTrust, reason: Reason | None
) -> None:
    told = at(a_state(five_minutes("a"), **changes), FIVE - 30 * MINUTE, trust)
    assert told.zones[SQUARE].next_blocked is reason
    assert told.look_again == (FIVE if reason is None else FIVE - 29 * MINUTE)


def test_a_finished_airing_does_not_sound_again() -> None:
    programme = five_minutes("a")
    told = at(a_state(programme, finished=frozenset({(Airing(programme, FIVE).id, SQUARE)})), FIVE)
    assert (on_air(told, SQUARE), on_air(told, MARKET)) == (None, "a")
    assert told.zones[SQUARE].reason is Reason.NOTHING_DUE


# --- missed ------------------------------------------------------------------------------------------

END = FIVE + 5 * MINUTE


def reasons(told: Plan) -> dict[tuple[str, str], MissedReason]:
    return {(one.airing.programme.id, one.zone): one.reason for one in told.missed}


@pytest.mark.parametrize(
    ("changes", "trust", "reason"),
    [
        ({"running_since": END}, ClockTrust.RTC, MissedReason.BOX_OFF),
        ({"running_since": END - MINUTE}, ClockTrust.RTC, MissedReason.BOX_OFF),
        ({}, ClockTrust.RESTORED, MissedReason.CLOCK),
        ({}, ClockTrust.RTC, MissedReason.CLOCK),  # nobody looked meanwhile: the clock was set forward
        ({"held": frozenset()}, ClockTrust.RTC, MissedReason.MEDIA),
        ({"audio_ok": {SQUARE: False, MARKET: False}}, ClockTrust.RTC, MissedReason.AUDIO),
    ],
)
def test_an_airing_over_without_a_record_is_missed(
    changes: dict[str, Any], trust: ClockTrust, reason: MissedReason
) -> None:
    state = a_state(five_minutes("a"), **changes)
    assert at(state, END - timedelta(microseconds=1), trust).missed == ()
    assert reasons(at(state, END, trust)) == {("a", SQUARE): reason, ("a", MARKET): reason}


@pytest.mark.parametrize("kind", ["begun", "finished", "missed"])
def test_an_airing_with_a_record_is_not_missed(kind: str) -> None:
    programme = five_minutes("a")
    state = a_state(programme, **{kind: frozenset({(Airing(programme, FIVE).id, SQUARE)})})
    assert set(reasons(at(state, END))) == {("a", MARKET)}


def test_the_reason_seen_while_it_was_due_counts() -> None:
    state = a_state(five_minutes("a"), held=frozenset())
    first = at(state, END - MINUTE)
    state = replace(state, planned_until=first.planned_until, waited=first.waited, held=Everything())
    assert reasons(at(state, END))[("a", SQUARE)] is MissedReason.MEDIA


def test_a_lower_airing_under_a_higher_one_all_its_time_is_preempted() -> None:
    state = a_state(five_minutes("a"), five_minutes("p", bulletin_class=PRIORITY))
    begun = frozenset((Airing(five_minutes("p"), FIVE).id, zone) for zone in state.zones)
    assert set(reasons(at(replace(state, begun=begun), END)).values()) == {MissedReason.PREEMPTED}


def test_what_was_not_promised_is_not_missed() -> None:
    state = a_state(five_minutes("a"), planned_until=None)
    assert at(replace(state, in_force_since=None), END).missed == ()
    assert at(replace(state, in_force_since=END), END).missed == ()
    assert at(replace(state, in_force_since=FIVE + MINUTE), END).missed == ()
    assert len(at(replace(state, in_force_since=FIVE), END).missed) == 2


def test_a_schedule_that_came_while_an_airing_was_due_promised_the_rest() -> None:
    state = a_state(five_minutes("a"), in_force_since=FIVE + MINUTE, planned_until=FIVE, held=frozenset())
    assert set(reasons(at(state, END)).values()) == {MissedReason.MEDIA}
    assert at(replace(state, in_force_since=END), END).missed == ()


def test_airings_of_more_than_36_hours_ago_are_not_told() -> None:
    state = a_state(
        five_minutes("a"), planned_until=FIVE - timedelta(days=20), in_force_since=FIVE - timedelta(days=20)
    )
    told = at(state, FIVE - MINUTE)
    assert {one.airing.start for one in told.missed} == {FIVE - timedelta(days=1)}


def test_many_missed_airings_are_told_in_portions_each_once() -> None:
    many = [a_programme(f"p{n}", Recurrence(datetime(2026, 1, 5, 5, n % 60, n // 60))) for n in range(700)]
    state = a_state(*many, running_since=FIVE + timedelta(hours=2))
    now, told = FIVE + timedelta(hours=2), []
    for _ in range(5):
        part = at(state, now)
        assert len(part.missed) <= MAX_MISSED
        told += [(one.airing.id, one.zone) for one in part.missed]
        if len(told) < 1400:
            assert part.look_again <= now + timedelta(seconds=1)
        state = replace(state, missed=frozenset(told), planned_until=part.planned_until)
        now = part.look_again
    assert len(told) == len(set(told)) == 1400
    assert state.planned_until is not None
    assert state.planned_until > FIVE + timedelta(hours=2)


def test_planned_until_waits_for_an_airing_that_may_yet_be_missed() -> None:
    state = a_state(five_minutes("a"), held=frozenset())
    assert at(state, FIVE + MINUTE).planned_until == FIVE
    assert at(a_state(five_minutes("a")), FIVE - MINUTE).planned_until == FIVE - MINUTE
    begun = frozenset((Airing(five_minutes("a"), FIVE).id, zone) for zone in state.zones)
    assert at(replace(state, begun=begun), FIVE + MINUTE).planned_until == FIVE + MINUTE


# --- clock steps -----------------------------------------------------------------------------------------


def test_after_a_step_forward_the_plan_is_that_of_the_new_time() -> None:
    state = a_state(five_minutes("a"))
    told = at(state, FIVE + timedelta(days=1))
    assert on_air(told) == "a"
    assert reasons(told) == {("a", SQUARE): MissedReason.CLOCK, ("a", MARKET): MissedReason.CLOCK}


def test_after_a_step_back_what_was_called_missed_can_air() -> None:
    state = a_state(five_minutes("a"))
    ahead = at(state, FIVE + timedelta(hours=3))
    missed = frozenset((one.airing.id, one.zone) for one in ahead.missed)
    assert len(missed) == 2
    back = at(replace(state, missed=missed, planned_until=ahead.planned_until), FIVE + MINUTE)
    assert on_air(back) == "a"
    assert back.missed == ()
    assert back.planned_until == FIVE


def test_a_box_that_wakes_in_the_past_forgets_nothing() -> None:
    state = a_state(five_minutes("a"), planned_until=END)
    told = at(state, datetime(1970, 1, 1, tzinfo=UTC), ClockTrust.UNKNOWN)
    assert told.missed == ()
    assert told.planned_until == END


def test_look_again_counts_item_boundaries_ends_and_starts() -> None:
    state = a_state(five_minutes("a"), a_programme("b", Recurrence(datetime(2026, 1, 5, 5, 1, 30))))
    moments = [FIVE - 30 * MINUTE]
    while moments[-1] < END:
        moments.append(at(state, moments[-1]).look_again)
    seconds = [(one - FIVE).total_seconds() for one in moments[1:]]
    assert seconds == [0, 60, 90, 120, 150, 180, 240, 300]
