"""Amplifiers are only ever on, unmuted and in use as they may be: rules, and properties over all histories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.playout.switching import (
    COOL_DOWN_NS,
    FORGET_NS,
    LOST_NS,
    MS,
    OFF,
    RETRIES,
    AmplifierTimes,
    Bank,
    Guard,
    Inputs,
    Place,
    Target,
    Unit,
    Verb,
    decide,
    pick,
    target,
    verbs,
    watch,
)

TIMES = AmplifierTimes(settle_ms=500, unmute_ms=50, hold_s=30)
S = 1000 * MS


@pytest.mark.parametrize(
    ("needs", "now", "powered", "idle", "expected"),
    [
        ({}, 0, None, None, Target(powered=False, unmuted=False, look_again_ns=None)),
        (
            {1: 10 * S},
            9 * S,
            None,
            None,
            Target(powered=False, unmuted=False, look_again_ns=10 * S - 550 * MS),
        ),
        (
            {1: 10 * S},
            10 * S - 550 * MS,
            None,
            None,
            Target(powered=True, unmuted=False, look_again_ns=10 * S - 50 * MS),
        ),
        (
            {1: 10 * S},
            10 * S - 50 * MS,
            10 * S - 550 * MS,
            None,
            Target(powered=True, unmuted=True, look_again_ns=None),
        ),
        # powered late: settling is never skipped
        (
            {1: 10 * S},
            10 * S,
            10 * S - 100 * MS,
            None,
            Target(powered=True, unmuted=False, look_again_ns=10 * S + 400 * MS),
        ),
        # just left: muted, still powered until the hold is over
        ({}, 20 * S, 9 * S, 20 * S, Target(powered=True, unmuted=False, look_again_ns=50 * S)),
        ({}, 50 * S, 9 * S, 20 * S, Target(powered=False, unmuted=False, look_again_ns=None)),
        # needed again within the hold: it stays powered, muted, until shortly before the sound
        (
            {2: 40 * S},
            30 * S,
            9 * S,
            20 * S,
            Target(powered=True, unmuted=False, look_again_ns=40 * S - 50 * MS),
        ),
        # of two users the earlier counts
        ({1: 90 * S, 2: 10 * S}, 11 * S, 9 * S, None, Target(powered=True, unmuted=True, look_again_ns=None)),
    ],
)
def test_rule(
    needs: dict[int, int], now: int, powered: int | None, idle: int | None, expected: Target
) -> None:
    assert target(needs, TIMES, now, powered, idle) == expected


ON = Target(powered=True, unmuted=True, look_again_ns=None)
QUIET = Target(powered=True, unmuted=False, look_again_ns=None)


@pytest.mark.parametrize(
    ("powered", "unmuted", "wish", "expected"),
    [
        (False, False, ON, (Verb.POWER_ON, Verb.UNMUTE)),
        (False, False, QUIET, (Verb.POWER_ON,)),
        (True, False, ON, (Verb.UNMUTE,)),
        (True, True, QUIET, (Verb.MUTE,)),
        (True, True, OFF, (Verb.MUTE, Verb.PAUSE, Verb.POWER_OFF)),
        (True, False, OFF, (Verb.PAUSE, Verb.POWER_OFF)),
        (False, True, OFF, (Verb.MUTE,)),
        (True, True, ON, ()),
    ],
)
def test_mute_comes_first_and_unmute_last(
    powered: bool, unmuted: bool, wish: Target, expected: tuple[Verb, ...]
) -> None:
    assert verbs(powered=powered, unmuted=unmuted, wish=wish) == expected


# --- faults of one amplifier -------------------------------------------------------------------------

RUNNING = Unit(TIMES, powered_ns=0, may_sound=True, fault=False)


def pin(at_ns: int, *, fault: bool = True) -> Unit:
    return replace(RUNNING, fault=fault, read_ns=at_ns)


def test_a_fault_pin_counts_after_20_ms_and_two_readings() -> None:
    guard = watch(Guard(), pin(10 * S), 10 * S)
    assert not guard.barred
    assert not watch(guard, pin(10 * S), 11 * S).barred  # the same reading, looked at later
    assert not watch(guard, pin(10 * S + 19 * MS), 10 * S + 19 * MS).barred
    tripped = watch(guard, pin(10 * S + 20 * MS), 10 * S + 20 * MS)
    assert (tripped.barred, tripped.trips, tripped.cause) == (True, 1, "fault pin")


def test_a_fault_pin_is_read_again_as_soon_as_it_may_count() -> None:
    _, orders = decide(Bank(), Inputs(pin(10 * S), needs={1: 0}), 10 * S)
    assert orders.main == Target(powered=True, unmuted=True, look_again_ns=10 * S + 20 * MS)


def test_a_blip_of_the_fault_pin_is_forgotten() -> None:
    guard = watch(Guard(), pin(10 * S), 10 * S)
    guard = watch(guard, pin(10 * S + 10 * MS, fault=False), 10 * S + 10 * MS)
    assert not watch(guard, pin(10 * S + 25 * MS), 10 * S + 25 * MS).barred


def test_a_fault_pin_means_nothing_while_the_supply_settles() -> None:
    guard = watch(Guard(), pin(100 * MS), 100 * MS)
    guard = watch(guard, pin(400 * MS), 400 * MS)
    assert guard == Guard()


def test_a_fault_means_a_minute_off_three_retries_and_then_nothing() -> None:
    bank, now_ns = Bank(), 10 * S
    for trip in range(1, RETRIES + 2):
        unit = replace(RUNNING, powered_ns=now_ns - 5 * S, alarm="line short: 9.00 A")
        bank, orders = decide(bank, Inputs(unit, needs={1: 0}), now_ns)
        assert (bank.main.trips, orders.main.powered) == (trip, False)
        off = replace(RUNNING, powered_ns=None, may_sound=False)
        bank, orders = decide(bank, Inputs(off, needs={1: 0}), now_ns + COOL_DOWN_NS - 1)
        assert not orders.main.powered
        bank, orders = decide(bank, Inputs(off, needs={1: 0}), now_ns + COOL_DOWN_NS)
        assert orders.main.powered is (trip <= RETRIES)
        now_ns += COOL_DOWN_NS + 10 * S
    assert bank.main.latched
    assert bank.main.cause == "line short: 9.00 A"


def test_cool_down_ends_by_itself() -> None:
    bank = Bank(main=Guard(trips=1, tripped_ns=5 * S))
    _, orders = decide(bank, Inputs(Unit(TIMES), needs={1: 0}), 6 * S)
    assert orders.main == Target(powered=False, unmuted=False, look_again_ns=5 * S + COOL_DOWN_NS)


def test_retries_come_back_after_ten_minutes_without_a_fault() -> None:
    guard = watch(Guard(trips=3), pin(10 * S, fault=False), 10 * S)
    guard = watch(guard, pin(10 * S, fault=False), 10 * S + FORGET_NS - 1)
    assert guard.trips == 3
    assert watch(guard, pin(10 * S, fault=False), 10 * S + FORGET_NS).trips == 0


def test_hot_bars_and_no_power_does_not() -> None:
    now_ns = 10 * S
    hot = Inputs(Unit(TIMES, hot=True), needs={1: 0})
    dead = Inputs(replace(RUNNING, dead=True), needs={1: 0})
    assert not decide(Bank(), hot, now_ns)[1].main.powered
    assert decide(Bank(), dead, now_ns)[1].main.unmuted  # without a spare, it sounds the moment power is back


# --- the spare amplifier -------------------------------------------------------------------------------

SPARE = Unit(TIMES)


@pytest.mark.parametrize(
    "main",
    [
        Unit(TIMES, lost_ns=10 * S - LOST_NS),
        replace(RUNNING, dead=True),
        replace(RUNNING, alarm="hot"),
        Unit(TIMES, hot=True),
    ],
)
def test_the_spare_takes_over_once_the_main_one_is_off(main: Unit) -> None:
    now_ns = 10 * S
    bank, orders = decide(Bank(), Inputs(main, SPARE, needs={1: 0}), now_ns)
    assert bank.active is Place.SPARE
    assert not orders.main.powered
    assert orders.spare.powered is (main.powered_ns is None)
    off = replace(main, powered_ns=None, may_sound=False)
    assert decide(bank, Inputs(off, SPARE, needs={1: 0}), now_ns)[1].spare.powered


def test_a_short_loss_of_the_main_one_is_sat_out() -> None:
    main = Unit(TIMES, lost_ns=10 * S - LOST_NS + 1)
    assert decide(Bank(), Inputs(main, SPARE), 10 * S)[0].active is Place.MAIN


def test_the_zone_stays_on_the_spare_when_the_main_one_works_again() -> None:
    bank, orders = decide(Bank(active=Place.SPARE), Inputs(Unit(TIMES), SPARE, needs={1: 0}), 10 * S)
    assert bank.active is Place.SPARE
    assert (orders.main, orders.spare.powered) == (OFF, True)


@pytest.mark.parametrize(
    ("active", "main_out", "spare_out", "expected"),
    [
        (Place.MAIN, False, None, Place.MAIN),
        (Place.MAIN, True, None, Place.MAIN),
        (Place.MAIN, True, True, Place.MAIN),
        (Place.MAIN, True, False, Place.SPARE),
        (Place.SPARE, False, False, Place.SPARE),
        (Place.SPARE, False, True, Place.MAIN),  # rather the main one than silence
        (Place.SPARE, True, True, Place.SPARE),
    ],
)
def test_pick(active: Place, main_out: bool, spare_out: bool | None, expected: Place) -> None:
    assert pick(active, main_out=main_out, spare_out=spare_out) is expected


# --- properties ------------------------------------------------------------------------------------------


class World:
    """Carries orders out verb by verb on two amplifiers, as the runners do, and checks every moment."""

    def __init__(self, *, spare: bool) -> None:
        self.now_ns = 10 * S
        self.units = {Place.MAIN: Unit(TIMES), **({Place.SPARE: Unit(TIMES)} if spare else {})}
        self.muted_ns = dict.fromkeys(self.units, 0)
        self.bank = Bank()
        self.needs: dict[int, int] = {}
        self.idle_ns: int | None = None
        self.hold_off = False

    def change(self, place: Place, **changes: object) -> None:
        if place in self.units:
            self.units[place] = replace(self.units[place], **changes)  # type: ignore[arg-type]

    def look(self, place: Place) -> None:
        """One turn of the runner of `place`."""
        if place not in self.units:
            return
        unit = self.units[place]
        if unit.lost_ns is not None:
            self.change(place, powered_ns=None, may_sound=False)
            return
        if unit.powered_ns is not None:
            self.change(place, read_ns=self.now_ns)
        inputs = Inputs(
            self.units[Place.MAIN],
            self.units.get(Place.SPARE),
            needs=self.needs,
            idle_ns=self.idle_ns,
            hold_off=self.hold_off,
        )
        asked_ns = self.now_ns  # switching takes its time
        self.bank, orders = decide(self.bank, inputs, asked_ns)
        unit = self.units[place]
        wish = orders.of(place)
        for verb in verbs(powered=unit.powered_ns is not None, unmuted=unit.may_sound, wish=wish):
            self.do(verb, place)
            self.check()
        assert wish.look_again_ns is None or wish.look_again_ns > asked_ns
        self.check_settled(place)

    def do(self, verb: Verb, place: Place) -> None:
        match verb:
            case Verb.MUTE:
                self.change(place, may_sound=False)
                self.muted_ns[place] = self.now_ns
            case Verb.PAUSE:
                self.now_ns += 50 * MS
            case Verb.POWER_OFF:
                assert not self.units[place].may_sound, "power off while unmuted"
                assert (
                    self.now_ns - self.muted_ns[place] >= 50 * MS or self.units[place].powered_ns is not None
                )
                self.change(place, powered_ns=None)
            case Verb.POWER_ON:
                assert all(one.powered_ns is None for one in self.units.values()), "two powered"
                self.change(place, powered_ns=self.now_ns)
            case Verb.UNMUTE:
                unit = self.units[place]
                assert unit.settled(self.now_ns), "unmuted before it settled"
                self.change(place, may_sound=True)

    def check(self) -> None:
        assert sum(one.may_sound for one in self.units.values()) <= 1, "both may sound"

    def check_settled(self, place: Place) -> None:
        """After a look, what was looked at obeys everything that forbids sound."""
        unit, guard = self.units[place], self.bank.guard(place)
        if unit.may_sound:
            assert unit.powered_ns is not None
            assert not guard.barred
            assert not self.hold_off
            assert not unit.hot
            assert not (unit.alarm and unit.settled(self.now_ns))
            assert self.needs
            assert self.bank.active is place
        if guard.barred or self.hold_off or unit.hot:
            assert unit.powered_ns is None
        assert guard.trips <= RETRIES + 1


Step = Callable[[World], None]


def _step(function: Callable[..., None], *arguments: object) -> Step:
    return lambda world: function(world, *arguments)


def _wait(world: World, lasts_ms: int) -> None:
    world.now_ns += lasts_ms * MS


def _need(world: World, user: int, ahead_ms: int) -> None:
    world.needs[user] = world.now_ns + ahead_ms * MS


def _release(world: World, user: int) -> None:
    if world.needs.pop(user, None) is not None:
        world.idle_ns = world.now_ns


def _hold(world: World, on: bool) -> None:
    world.hold_off = on


def _reset(world: World) -> None:
    world.bank = Bank()


def _lose(world: World, place: Place, lost: bool) -> None:
    world.change(place, lost_ns=world.now_ns if lost else None, powered_ns=None, may_sound=False)


def _set(world: World, place: Place, key: str, value: object) -> None:
    world.change(place, **{key: value})


places = st.sampled_from(list(Place))
steps = st.one_of(
    st.builds(_step, st.just(World.look), places),
    st.builds(_step, st.just(World.look), places),
    st.builds(_step, st.just(_wait), st.sampled_from([1, 20, 60, 500, 3000, 30_000, 60_000, 700_000])),
    st.builds(_step, st.just(_need), st.integers(1, 3), st.sampled_from([-1000, 0, 400, 5000])),
    st.builds(_step, st.just(_release), st.integers(1, 3)),
    st.builds(_step, st.just(_hold), st.booleans()),
    st.builds(_step, st.just(_lose), places, st.booleans()),
    st.builds(_step, st.just(_set), places, st.just("fault"), st.sampled_from([None, False, True])),
    st.builds(_step, st.just(_set), places, st.just("alarm"), st.sampled_from(["", "short"])),
    st.builds(_step, st.just(_set), places, st.sampled_from(["hot", "dead"]), st.booleans()),
    st.builds(_step, st.just(_reset)),
)


@settings(max_examples=200, deadline=None)
@given(spare=st.booleans(), history=st.lists(steps, max_size=80))
def test_no_history_sounds_when_it_must_not(spare: bool, history: list[Step]) -> None:
    world = World(spare=spare)
    for step in history:
        step(world)
        world.check()
    for place in (*Place, *Place):
        world.look(place)
    world.check()


@settings(max_examples=100, deadline=None)
@given(spare=st.booleans(), history=st.lists(steps, max_size=40))
def test_whatever_happened_a_repaired_zone_sounds_again(spare: bool, history: list[Step]) -> None:
    world = World(spare=spare)
    for step in history:
        step(world)
    world.hold_off = False
    _reset(world)
    world.needs = {1: world.now_ns}
    for place in Place:
        world.change(place, lost_ns=None, fault=False, alarm="", hot=False, dead=False)
    for _ in range(4):
        for place in (*Place, *Place):
            world.look(place)
        _wait(world, 600)
    assert world.units[Place.MAIN].may_sound
