"""The facts behind the plan: stops and pauses by their own clock, cuts, schedules, used minutes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from agent.model.hours import Hours, Window
from agent.model.schedule import Airing, Programme, Recurrence, Schedule
from agent.model.timetable import Timetable
from agent.playout.ladder import Held, Rung, Standing
from agent.playout.station import KEEP, Station
from tests.support.clock import FakeClock
from tests.unit.playout.ladder_world import BEGIN, FILES, ZONES, Clock, file_item, scheduled, seconds

ZONE, OTHER = ZONES
LONG = (file_item("i", FILES[0], 60),)


def a_station(*programmes: Programme, clock: FakeClock | None = None) -> tuple[Station, Clock]:
    moved = clock if isinstance(clock, Clock) else Clock(BEGIN)
    station = Station(ZONES, moved, begun=set(), finished=set(), planned_until=BEGIN, held=set())
    publish(station, *programmes)
    return station, moved


def publish(station: Station, *programmes: Programme, version: int = 1) -> None:
    station.set_schedule(
        Timetable(Schedule("s", version, "Đài", "UTC", programmes)), version, f"order-{version}", BEGIN
    )


def bulletin(name: str = "p", length_s: int = 60) -> Programme:
    return scheduled(name, 0, (file_item("i", FILES[0], length_s),))


STEPS = [timedelta(seconds=1), timedelta(hours=-1), timedelta(days=3650), BEGIN.replace(year=1970) - BEGIN]


@pytest.mark.parametrize("step", STEPS)
def test_a_clock_step_neither_ends_nor_prolongs_a_safety_stop(step: timedelta) -> None:
    station, clock = a_station()
    station.safety_stop((ZONE,), 600)
    clock.move(seconds(100))
    clock.step(step)
    assert station.state.safety == {ZONE: clock.now() + seconds(500)}
    assert station.safety_left_s(ZONE) == pytest.approx(500)
    clock.move(seconds(500))
    assert station.state.safety == {}
    assert station.safety_left_s(ZONE) == 0


@pytest.mark.parametrize("step", STEPS)
def test_a_clock_step_neither_ends_nor_prolongs_a_pause(step: timedelta) -> None:
    station, clock = a_station()
    station.pause(OTHER, 60)
    clock.step(step)
    clock.move(seconds(59))
    assert station.state.pauses == {OTHER: clock.now() + seconds(1)}
    clock.move(seconds(1))
    assert station.state.pauses == {}
    assert station.paused_left_s(OTHER) == 0


def test_a_safety_stop_is_of_its_zones_and_can_be_released() -> None:
    station, _ = a_station()
    station.safety_stop(ZONES, 60)
    station.safety_release((ZONE,))
    assert set(station.state.safety) == {OTHER}
    station.safety_release(ZONES)
    station.safety_release(ZONES)
    assert station.state.safety == {}


def test_resuming_ends_a_pause_at_once() -> None:
    station, _ = a_station()
    station.pause(ZONE, 600)
    station.pause(ZONE, 0)
    assert station.state.pauses == {}


def test_every_verb_of_a_person_wakes_the_zones() -> None:
    station, _ = a_station()
    verbs: tuple[Callable[[], None], ...] = (
        lambda: station.safety_stop((ZONE,), 1),
        lambda: station.safety_release((ZONE,)),
        lambda: station.pause(ZONE, 1),
        lambda: station.set_volume(ZONE, -3),
        lambda: station.set_preference(("a",)),
        lambda: station.set_hours(Hours(1, "UTC", ())),
        lambda: station.set_audio(ZONE, ok=False),
    )
    for verb in verbs:
        before = station.changed.value
        verb()
        assert station.changed.value > before


def test_what_did_not_change_wakes_nobody() -> None:
    station, _ = a_station()
    airing = Airing(bulletin(), BEGIN)
    station.hold(airing, ZONE, 5)
    before = station.changed.value
    station.hold(airing, ZONE, 5)
    station.set_preference(())
    station.set_hours(None)
    station.set_audio(ZONE, ok=True)
    assert station.changed.value == before


def test_what_is_held_is_of_its_zone_until_it_is_finished() -> None:
    station, clock = a_station(bulletin())
    airing = Airing(bulletin(), BEGIN)
    station.begin(airing.id, ZONE)
    station.hold(airing, ZONE, 7_000)
    assert station.state.cut == {(airing.id, ZONE): Held(airing, 7_000)}
    assert station.is_open(airing.id, ZONE, clock.now())
    assert not station.is_open(airing.id, OTHER, clock.now())
    station.finish(airing.id, ZONE)
    assert station.state.cut == {}
    assert not station.is_begun(airing.id, ZONE)
    assert (airing.id, ZONE) in station.state.finished
    station.hold(airing, ZONE, 9_000)
    assert station.state.cut == {}


def test_what_was_cut_is_open_until_its_window_has_passed_or_while_it_runs() -> None:
    station, _ = a_station(bulletin())
    airing = Airing(bulletin(), BEGIN)
    station.hold(airing, ZONE, 7_000)
    last = airing.end + airing.programme.window
    assert station.is_open(airing.id, ZONE, last - seconds(1))
    assert not station.is_open(airing.id, ZONE, last)
    station.set_running(ZONE, airing.id, 0, 1_000)
    assert station.is_open(airing.id, ZONE, last)
    station.set_running(ZONE, None)
    assert not station.is_open(airing.id, ZONE, last)


def test_an_airing_of_an_order_is_open_as_long_as_the_order_stands() -> None:
    station, clock = a_station()
    airing = Airing(bulletin(), BEGIN, "o@20261122T050000Z", "o")
    standings = [Standing(airing, Rung.PRIORITY)]
    station.orders = lambda: tuple(standings)
    station.hold(airing, ZONE, 1_000)
    assert station.is_open(airing.id, ZONE, clock.now() + timedelta(days=1))
    standings.clear()
    assert not station.is_open(airing.id, ZONE, clock.now())


def test_after_a_restart_a_cut_airing_is_found_by_its_id() -> None:
    station, _ = a_station(bulletin())
    airing = Airing(bulletin(), BEGIN)
    station.hold_again(airing.id, ZONE, 7_000)
    assert station.state.cut[airing.id, ZONE].position_ms == 7_000
    station.hold_again(Airing(bulletin("unknown"), BEGIN).id, ZONE, 7_000)
    assert len(station.state.cut) == 1


def test_a_position_beyond_a_shortened_programme_is_its_last_moment() -> None:
    station, _ = a_station(bulletin(length_s=5))
    station.hold_again(Airing(bulletin(), BEGIN).id, ZONE, 40_000)
    assert [held.position_ms for held in station.state.cut.values()] == [4_999]


@pytest.mark.parametrize("rung", [Rung.EMERGENCY, Rung.LIVE, Rung.TEST])
def test_an_emergency_a_live_session_and_a_test_begin_anew(rung: Rung) -> None:
    station, _ = a_station()
    airing = Airing(bulletin(), BEGIN, "o@20261122T050000Z", "o")
    station.orders = lambda: (Standing(airing, rung),)
    station.hold_again(airing.id, ZONE, 3_000)
    assert station.state.cut == {}


def test_a_new_schedule_keeps_what_it_still_promises_with_its_new_items_and_drops_the_rest() -> None:
    station, _ = a_station(bulletin("stays"), bulletin("goes"))
    for name in ("stays", "goes"):
        station.hold(Airing(bulletin(name), BEGIN), ZONE, 7_000)
    publish(station, bulletin("stays", 30), version=2)
    ((key, held),) = station.state.cut.items()
    assert key[0].startswith("stays@")
    assert (held.position_ms, held.airing.programme.duration_ms) == (7_000, 30_000)
    assert (station.schedule_version, station.order_id) == (2, "order-2")


def test_a_new_schedule_leaves_orders_alone() -> None:
    station, _ = a_station()
    airing = Airing(bulletin(), BEGIN, "o@20261122T050000Z", "o")
    station.hold(airing, ZONE, 3_000)
    publish(station, version=2)
    assert station.state.cut == {(airing.id, ZONE): Held(airing, 3_000)}


def test_used_minutes_are_of_a_zone_and_a_session_and_the_old_are_forgotten() -> None:
    station, clock = a_station()
    window = Window(frozenset(range(1, 8)), 5 * 3600, 6 * 3600, 10)
    station.set_hours(Hours(1, "UTC", (window,)))
    for zone in (ZONE, ZONE, OTHER):
        station.add_used(zone, "2026-11-22/0", 1_500)
    assert station.state.used == {
        (ZONE, "2026-11-22/0"): seconds(3), (OTHER, "2026-11-22/0"): seconds(1.5),
    }  # fmt: skip
    station.forget_old()
    assert station.state.used[ZONE, "2026-11-22/0"] == seconds(3)
    clock.move(timedelta(days=1))
    station.forget_old()
    assert station.state.used == {}


def test_running_is_told_with_the_times_of_its_item() -> None:
    station, clock = a_station()
    airing = Airing(bulletin(), BEGIN)
    station.set_running(ZONE, airing.id, 2_000, 8_000)
    running = station.state.running[airing.id, ZONE]
    assert (running.item_from, running.item_until) == (clock.now() - seconds(2), clock.now() + seconds(8))
    station.set_running(ZONE, None)
    assert station.state.running == {}


def test_what_was_settled_long_ago_is_forgotten() -> None:
    station, clock = a_station(bulletin())
    old, held = Airing(bulletin("old"), BEGIN), Airing(bulletin(), BEGIN)
    station.finish(old.id, ZONE)
    station.hold(held, ZONE, 1_000)
    clock.move(KEEP - seconds(1))
    station.forget_old()
    assert (old.id, ZONE) in station.state.finished
    assert station.state.cut == {}  # its window is long over
    clock.move(seconds(2))
    station.forget_old()
    assert station.state.finished == frozenset()


def test_time_since_the_start_is_not_moved_by_a_clock_step() -> None:
    station, clock = a_station()
    clock.move(seconds(100))
    clock.step(timedelta(days=365))
    assert station.uptime_s == pytest.approx(100)
    assert station.state.running_since == clock.now() - seconds(100)


def test_an_airing_is_found_by_its_id_among_many_at_the_same_second() -> None:
    station, _ = a_station(bulletin("a"), bulletin("b"))
    airing = Airing(bulletin("b"), BEGIN)
    found = station.find(airing.id)
    assert found is not None
    assert (found.programme.id, found.start) == ("b", BEGIN)
    assert Recurrence(BEGIN.replace(tzinfo=None)) in found.programme.recurrences
