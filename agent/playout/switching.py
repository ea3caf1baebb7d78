"""When a zone's amplifiers are on and unmuted: pure rules, one decision for main and spare together.

on → settle → unmute → mute → hold → off. A fault means mute and off at once, a pause, few retries, and
then nothing until a human has looked. Order and times: hardware.md §8.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum

MS = 1_000_000
DEBOUNCE_NS = 20 * MS
"""A fault pin must say so for as long, in at least two readings."""

COOL_DOWN_NS = 60_000 * MS
RETRIES = 3
FORGET_NS = 600_000 * MS
"""An amplifier that ran so long without a fault has its retries back."""

LOST_NS = 3_000 * MS
"""An amplifier that does not answer for so long is out, and the spare takes over."""

HANDOVER_NS = 20 * MS
"""How soon to look again whether the other amplifier is off."""


@dataclass(frozen=True, slots=True)
class AmplifierTimes:
    """How an amplifier must be treated; calibrated per box.

    Attributes:
        settle_ms: from power to the moment it may be unmuted.
        unmute_ms: from unmute to the first sound.
        hold_s: how long it stays powered, muted, after the last sound.
    """

    settle_ms: int = 500
    unmute_ms: int = 50
    hold_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Target:
    """What the pins should say now, and when to look again (CLOCK_MONOTONIC ns, None: only on a change)."""

    powered: bool
    unmuted: bool
    look_again_ns: int | None


OFF = Target(powered=False, unmuted=False, look_again_ns=None)


def target(
    needs: Mapping[int, int], times: AmplifierTimes, now_ns: int, powered_ns: int | None, idle_ns: int | None
) -> Target:
    """Decide power and mute of an amplifier in order.

    Args:
        needs: for each user, the moment at which it will sound first.
        times: treatment of this amplifier.
        now_ns: now.
        powered_ns: since when it has been powered, None while off.
        idle_ns: when the last user left, None if there never was one.
    """
    settle_ns, unmute_ns = times.settle_ms * MS, times.unmute_ms * MS
    if needs:
        first_ns = min(needs.values())
        power_at = first_ns - settle_ns - unmute_ns
        if now_ns < power_at and not (idle_ns is not None and now_ns < idle_ns + times.hold_s * 1e9):
            return Target(powered=False, unmuted=False, look_again_ns=power_at)
        since = now_ns if powered_ns is None else powered_ns
        unmute_at = max(first_ns - unmute_ns, since + settle_ns)
        if now_ns < unmute_at:
            return Target(powered=True, unmuted=False, look_again_ns=unmute_at)
        return Target(powered=True, unmuted=True, look_again_ns=None)
    if idle_ns is not None and powered_ns is not None:
        off_at = idle_ns + int(times.hold_s * 1e9)
        if now_ns < off_at:
            return Target(powered=True, unmuted=False, look_again_ns=off_at)
    return OFF


class Place(StrEnum):
    """Which of a zone's amplifiers."""

    MAIN = "main"
    SPARE = "spare"

    @property
    def other(self) -> Place:
        return Place.SPARE if self is Place.MAIN else Place.MAIN


class Verb(Enum):
    """One thing done to an amplifier."""

    MUTE = "mute"
    PAUSE = "pause"
    POWER_OFF = "power_off"
    POWER_ON = "power_on"
    UNMUTE = "unmute"


def verbs(*, powered: bool, unmuted: bool, wish: Target) -> tuple[Verb, ...]:
    """The way from what was commanded to what is wished: mute first, unmute last."""
    steps: list[Verb] = []
    if unmuted and not wish.unmuted:
        steps.append(Verb.MUTE)
    if powered and not wish.powered:
        steps += [Verb.PAUSE, Verb.POWER_OFF]
    if wish.powered and not powered:
        steps.append(Verb.POWER_ON)
    if wish.powered and wish.unmuted and not unmuted:
        steps.append(Verb.UNMUTE)
    return tuple(steps)


@dataclass(frozen=True, slots=True)
class Guard:
    """What is remembered of the faults of one amplifier.

    Attributes:
        trips: times it was switched off for a fault, since it last ran long without one.
        tripped_ns: when it was, while it cools down.
        latched: it stays off until a human has looked.
        cause: of the last trip, in English.
        fault_since_ns: first reading of the fault pin that says so, while it goes on saying so.
        fine_since_ns: since when it has run without a fault.
    """

    trips: int = 0
    tripped_ns: int | None = None
    latched: bool = False
    cause: str = ""
    fault_since_ns: int | None = None
    fine_since_ns: int | None = None

    @property
    def barred(self) -> bool:
        """It must be off."""
        return self.latched or self.tripped_ns is not None


@dataclass(frozen=True, slots=True)
class Unit:
    """What is known of one amplifier now.

    Attributes:
        times: its treatment.
        powered_ns: since when it has been powered, None while off.
        may_sound: it is unmuted, or may be.
        fault: its fault pin at `read_ns`, None without one.
        alarm: a measurement says that it must stop, and why; empty if none does.
        hot: it must not be switched on before it has cooled.
        dead: it was switched on and has no supply.
        lost_ns: since when it does not answer, None while it does.
        maybe_on: it was switched on, and no switching off has succeeded since; while it does not answer,
            nobody knows.
    """

    times: AmplifierTimes = AmplifierTimes()
    powered_ns: int | None = None
    may_sound: bool = False
    fault: bool | None = None
    read_ns: int = 0
    alarm: str = ""
    hot: bool = False
    dead: bool = False
    lost_ns: int | None = None
    maybe_on: bool = False

    def settled(self, now_ns: int) -> bool:
        """Powered, and for longer than its settling time."""
        return self.powered_ns is not None and now_ns >= self.powered_ns + self.times.settle_ms * MS


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything a decision depends on; `spare` is None where there is none."""

    main: Unit
    spare: Unit | None = None
    needs: Mapping[int, int] = field(default_factory=dict)
    idle_ns: int | None = None
    hold_off: bool = False

    def unit(self, place: Place) -> Unit | None:
        return self.main if place is Place.MAIN else self.spare


@dataclass(frozen=True, slots=True)
class Bank:
    """What is remembered between decisions: which amplifier is used, and their faults."""

    active: Place = Place.MAIN
    main: Guard = Guard()
    spare: Guard = Guard()

    def guard(self, place: Place) -> Guard:
        return self.main if place is Place.MAIN else self.spare


@dataclass(frozen=True, slots=True)
class Orders:
    """What the pins of both amplifiers should say now."""

    main: Target
    spare: Target = OFF

    def of(self, place: Place) -> Target:
        return self.main if place is Place.MAIN else self.spare


def watch(guard: Guard, unit: Unit, now_ns: int) -> Guard:
    """Bring the memory of one amplifier's faults up to date."""
    if guard.latched:
        return guard
    if guard.tripped_ns is not None:
        if now_ns < guard.tripped_ns + COOL_DOWN_NS:
            return guard
        guard = replace(guard, tripped_ns=None)
    if not unit.settled(now_ns):
        return replace(guard, fault_since_ns=None, fine_since_ns=None)
    cause = unit.alarm
    pin = unit.fault is True and unit.settled(unit.read_ns)
    since_ns = None
    if pin:
        since_ns = unit.read_ns if guard.fault_since_ns is None else guard.fault_since_ns
        if unit.read_ns - since_ns >= DEBOUNCE_NS:
            cause = cause or "fault pin"
    if cause:
        trips = guard.trips + 1
        return Guard(trips=trips, tripped_ns=now_ns, latched=trips > RETRIES, cause=cause)
    if pin:
        return replace(guard, fault_since_ns=since_ns, fine_since_ns=None)
    fine_ns = now_ns if guard.fine_since_ns is None else guard.fine_since_ns
    trips = 0 if now_ns - fine_ns >= FORGET_NS else guard.trips
    return replace(guard, fault_since_ns=None, fine_since_ns=fine_ns, trips=trips)


def pick(active: Place, *, main_out: bool, spare_out: bool | None) -> Place:
    """Which amplifier is used: a change only to one that works; `spare_out` is None where there is none."""
    if spare_out is None:
        return Place.MAIN
    out, other_out = (main_out, spare_out) if active is Place.MAIN else (spare_out, main_out)
    return active.other if out and not other_out else active


def decide(bank: Bank, inputs: Inputs, now_ns: int) -> tuple[Bank, Orders]:
    """Decide for main and spare together.

    The one in use must find the other off before it is switched on: both may feed the same line. Only one
    that does not answer is not waited for, although it may be on: silence in an emergency would be worse.
    """
    main = watch(bank.main, inputs.main, now_ns)
    spare = bank.spare if inputs.spare is None else watch(bank.spare, inputs.spare, now_ns)
    active = pick(
        bank.active,
        main_out=_out(main, inputs.main, now_ns),
        spare_out=None if inputs.spare is None else _out(spare, inputs.spare, now_ns),
    )
    bank = Bank(active, main, spare)
    unit = inputs.unit(active) or inputs.main
    wish = _wish(bank.guard(active), unit, inputs, now_ns)
    other = inputs.unit(active.other)
    if wish.powered and other is not None and (other.powered_ns is not None or other.may_sound):
        wish = Target(powered=False, unmuted=False, look_again_ns=now_ns + HANDOVER_NS)
    if bank.guard(active).fault_since_ns is not None:
        soon_ns = now_ns + DEBOUNCE_NS
        wish = replace(wish, look_again_ns=min(wish.look_again_ns or soon_ns, soon_ns))
    return bank, Orders(main=wish) if active is Place.MAIN else Orders(main=OFF, spare=wish)


def _out(guard: Guard, unit: Unit, now_ns: int) -> bool:
    lost = unit.lost_ns is not None and now_ns - unit.lost_ns >= LOST_NS
    return guard.barred or unit.hot or unit.dead or lost


def _wish(guard: Guard, unit: Unit, inputs: Inputs, now_ns: int) -> Target:
    if guard.tripped_ns is not None and not guard.latched:
        return Target(powered=False, unmuted=False, look_again_ns=guard.tripped_ns + COOL_DOWN_NS)
    if inputs.hold_off or guard.latched or unit.hot:
        return OFF
    return target(inputs.needs, unit.times, now_ns, unit.powered_ns, inputs.idle_ns)
