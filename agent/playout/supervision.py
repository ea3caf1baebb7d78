"""What the supply current says of amplifier and horns: a pure judge of meter readings.

Expected current at a known level is idle + (full - idle) * 10^(rms/20). Thresholds: hardware.md §8.2.
No single reading decides anything: current against level is judged over a window, from which every
reading in turn is left out, and everything else needs several readings in a row.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from agent.model import supply
from agent.model.bulletin import ClockTrust
from drivers.api import MeterReading

OPEN_BELOW, OPEN_OVER = 0.40, 0.60
"""Part of the expected sound current below which the line is open, and above which it is whole again."""

SHORT_ABOVE, SHORT_OVER = 1.70, 1.50
"""The same for a short."""

IDLE_SHORT, IDLE_FINE = 3.0, 2.0
"""Multiples of the idle current, without sound, that mean a short, and that end it."""

DEAD_BELOW, ALIVE_ABOVE = 0.30, 0.50
"""Parts of the idle current below which a powered amplifier has no supply, and above which it has one."""

QUIET_DBFS = -60.0
"""Up to this level nothing but the idle current is expected."""

WINDOW, JUDGED_FROM = 12, 8
"""Readings with enough level to be judged by: in the window, and at least. Simulated speech whose metered
moments scatter by 5 dB about the level told raised no false alarm in 12 h, and a dead horn took 11 readings.
"""

WINDOW_NS = 60_000_000_000
IN_A_ROW = 3
"""So many readings in a row raise or end what is not judged over the window."""

HOT_IN_A_ROW = 2
COOLER_C = 5.0
COOLED_C = 10.0
VOLTS_BACK = 1.02

TEST_EVERY = timedelta(days=7)
TEST_ROOM = timedelta(minutes=10)


class Kind(StrEnum):
    """What a reading or a silent test shows, gravest last; the judge never says `stopped`."""

    OK = "ok"
    WARM = "warm"
    DC_LOW = "dc_low"
    LINE_OPEN = "line_open"
    NO_POWER = "no_power"
    STOPPED = "stopped"
    DC_HIGH = "dc_high"
    LINE_SHORT = "line_short"
    HOT = "hot"


_GRAVEST_FIRST = tuple(reversed(Kind))
STOPPING = frozenset({Kind.DC_HIGH, Kind.LINE_SHORT, Kind.HOT})
"""Conditions in which the amplifier must not go on."""


@dataclass(frozen=True, slots=True)
class MeterLimits:
    """What is normal for one amplifier; the fields of `[zones.meter]`.

    Attributes:
        idle_amps: current with power and without sound, None: currents are not judged.
        full_amps: current at 0 dBFS RMS, None: currents under sound are not judged.
        low_volts: lowest supply that is normal, 0: not judged.
        high_volts: highest.
        warm_c: temperature from which it is told.
        hot_c: temperature at which the amplifier is switched off.
    """

    idle_amps: float | None = None
    full_amps: float | None = None
    low_volts: float = 0.0
    high_volts: float = 400.0
    warm_c: float = 70.0
    hot_c: float = 85.0

    def expected_amps(self, rms_dbfs: float) -> float | None:
        """Current at a level; None where it was not learnt."""
        if self.idle_amps is None or self.full_amps is None:
            return self.idle_amps if rms_dbfs <= QUIET_DBFS else None
        return supply.expected_amps(self.idle_amps, self.full_amps, rms_dbfs)

    def tells(self, rms_dbfs: float) -> bool:
        """Whether this level draws so much that neither resolution nor drift of the idle current matter."""
        expected = self.expected_amps(rms_dbfs)
        if expected is None or self.idle_amps is None or self.full_amps is None:
            return False
        return expected - self.idle_amps >= max(0.02 * self.full_amps, 0.5 * self.idle_amps)


@dataclass(frozen=True, slots=True)
class Load:
    """What the measured amplifier is made to do.

    Attributes:
        settled: powered, and for longer than its settling time.
        unmuted: its input reaches the line.
        rms_dbfs: mean level of what the card consumed around the reading; None while nobody knows.
    """

    settled: bool
    unmuted: bool = False
    rms_dbfs: float | None = None

    @property
    def level_dbfs(self) -> float | None:
        """Level that reaches the line: -120 while muted, None when unknown."""
        return self.rms_dbfs if self.unmuted else -120.0


@dataclass(frozen=True, slots=True)
class Pair:
    """Current beyond idle: expected by the level, and measured, in amperes."""

    at_ns: int
    expected: float
    measured: float


@dataclass(frozen=True, slots=True)
class Watch:
    """What the judge remembers between readings.

    Attributes:
        pairs: the newest readings under sound, at most `WINDOW`.
        rows: for each condition, readings in a row that speak for (positive) or against (negative) it.
        standing: conditions found and not yet seen to have ended; they outlast power-off.
    """

    pairs: tuple[Pair, ...] = ()
    rows: tuple[tuple[Kind, int], ...] = ()
    standing: frozenset[Kind] = frozenset()


@dataclass(frozen=True, slots=True)
class Finding:
    """What one reading and those before it show.

    Attributes:
        kind: the gravest condition that stands.
        kinds: every condition that stands; empty when all is well, or when nothing could be judged.
        confirmed: those among them for which this very reading speaks.
        drawing: the current is what the sound needs; None when it was too quiet to tell, or not measured.
        expected_amps: by level, None if unknown.
        rms_dbfs: the level, None if unknown or without power.
        volts: measured; so are `amps` and `temperature_c`.
    """

    kind: Kind = Kind.OK
    kinds: frozenset[Kind] = frozenset()
    confirmed: frozenset[Kind] = frozenset()
    drawing: bool | None = None
    volts: float | None = None
    amps: float | None = None
    temperature_c: float | None = None
    expected_amps: float | None = None
    rms_dbfs: float | None = None
    at_ns: int = 0

    def detail(self, limits: MeterLimits) -> str:
        """The measured values and what they were compared with, in English, for technicians."""
        parts = []
        if self.amps is not None:
            expected = f" of {self.expected_amps:.2f} A expected" if self.expected_amps is not None else ""
            level = f" at {self.rms_dbfs:.0f} dBFS" if expected and self.rms_dbfs is not None else ""
            parts.append(f"{self.amps:.2f} A{expected}{level}")
        if self.volts is not None:
            parts.append(f"{self.volts:.1f} V (normal {limits.low_volts:g} to {limits.high_volts:g})")
        if self.temperature_c is not None:
            parts.append(f"{self.temperature_c:.0f} C (warm {limits.warm_c:g}, hot {limits.hot_c:g})")
        return ", ".join(parts)


def judge(watch: Watch, reading: MeterReading, load: Load, limits: MeterLimits) -> tuple[Watch, Finding]:
    """Judge one reading.

    Args:
        watch: what the last call returned; `Watch()` for the first.
        reading: newest measurement.
        load: what the amplifier was made to do meanwhile.
        limits: what is normal.

    Returns:
        What to hand in next time, and the finding.
    """
    watch = _with_pair(watch, reading, load, limits)
    rows, standing, confirmed = dict(watch.rows), set(watch.standing), set[Kind]()
    for kind, sign in _signs(watch, reading, load, limits).items():
        if sign is None:
            if not load.settled:
                rows.pop(kind, None)
            continue
        row = rows.get(kind, 0)
        rows[kind] = row = max(row, 0) + 1 if sign else min(row, 0) - 1
        if row >= _needed(kind):
            standing.add(kind)
            confirmed.add(kind)
        elif row <= -_needed(kind):
            standing.discard(kind)
    kinds = frozenset(standing)
    level = load.level_dbfs if load.settled else None
    finding = Finding(
        kind=next((kind for kind in _GRAVEST_FIRST if kind in kinds), Kind.OK),
        kinds=kinds,
        confirmed=frozenset(confirmed),
        drawing=_drawing(watch, reading, load, limits),
        volts=reading.volts,
        amps=reading.amps,
        temperature_c=reading.temperature_c,
        expected_amps=limits.expected_amps(level) if level is not None else None,
        rms_dbfs=level,
        at_ns=reading.at_ns,
    )
    return replace(watch, rows=tuple(rows.items()), standing=kinds), finding


def _needed(kind: Kind) -> int:
    if kind is Kind.LINE_OPEN:
        return 1  # the window already holds several readings
    return HOT_IN_A_ROW if kind in {Kind.HOT, Kind.LINE_SHORT} else IN_A_ROW


def _signs(watch: Watch, reading: MeterReading, load: Load, limits: MeterLimits) -> dict[Kind, bool | None]:
    """For each condition: this reading speaks for it, against it, or (None) not at all."""
    dead = _dead(reading, load, limits)
    volts = reading.volts if load.settled and not dead else None
    celsius = reading.temperature_c
    standing = watch.standing
    return {
        Kind.NO_POWER: dead,
        Kind.DC_LOW: None
        if volts is None or limits.low_volts <= 0
        else volts < limits.low_volts * (VOLTS_BACK if Kind.DC_LOW in standing else 1.0),
        Kind.DC_HIGH: None if reading.volts is None else reading.volts > limits.high_volts,
        Kind.WARM: _beyond(celsius, limits.warm_c - (COOLER_C if Kind.WARM in standing else 0.0)),
        Kind.HOT: _beyond(celsius, limits.hot_c - (COOLED_C if Kind.HOT in standing else 0.0)),
        Kind.LINE_OPEN: None if dead else _open(watch),
        Kind.LINE_SHORT: None if dead else _short(watch, reading, load, limits),
    }


def _beyond(value: float | None, limit: float) -> bool | None:
    return None if value is None else value >= limit


def _dead(reading: MeterReading, load: Load, limits: MeterLimits) -> bool | None:
    """Powered by command, and neither voltage nor current arrive."""
    if not load.settled:
        return None
    if reading.volts is not None and limits.low_volts > 0 and reading.volts < limits.low_volts / 2:
        return True
    if reading.amps is not None and limits.idle_amps:
        if reading.amps < DEAD_BELOW * limits.idle_amps:
            return True
        return False if reading.amps > ALIVE_ABOVE * limits.idle_amps else None
    return False if reading.volts is not None and limits.low_volts > 0 else None


def _with_pair(watch: Watch, reading: MeterReading, load: Load, limits: MeterLimits) -> Watch:
    """Add this reading to the window if the level is high enough; without power the window is emptied."""
    if not load.settled:
        return replace(watch, pairs=()) if watch.pairs else watch
    level = load.level_dbfs
    pairs = tuple(one for one in watch.pairs if reading.at_ns - one.at_ns <= WINDOW_NS)
    if reading.amps is not None and level is not None and limits.tells(level):
        idle = limits.idle_amps or 0.0
        expected = (limits.expected_amps(level) or 0.0) - idle
        pairs = (*pairs, Pair(reading.at_ns, expected, max(0.0, reading.amps - idle)))[-WINDOW:]
    return replace(watch, pairs=pairs)


def _open(watch: Watch) -> bool | None:
    parts = _parts_without_one(watch.pairs)
    if len(watch.pairs) < JUDGED_FROM:
        return None
    if max(parts) < OPEN_BELOW and _most(one.measured < OPEN_BELOW * one.expected for one in watch.pairs):
        return True
    return False if min(parts) > OPEN_OVER else None


def _short(watch: Watch, reading: MeterReading, load: Load, limits: MeterLimits) -> bool | None:
    level = load.level_dbfs
    if not load.settled or reading.amps is None or level is None:
        return None
    if level <= QUIET_DBFS:
        idle = limits.idle_amps
        if not idle:
            return None
        # An idle current near nothing has multiples near nothing: they must also be worth speaking of.
        floor = 0.05 * limits.full_amps if limits.full_amps is not None else 0.0
        if reading.amps > max(IDLE_SHORT * idle, idle + floor):
            return True
        return False if reading.amps < max(IDLE_FINE * idle, idle + floor / 2) else None
    if not limits.tells(level) or len(watch.pairs) < JUDGED_FROM:
        return None
    parts = _parts_without_one(watch.pairs)
    if min(parts) > SHORT_ABOVE and _most(one.measured > SHORT_ABOVE * one.expected for one in watch.pairs):
        return True
    return False if max(parts) < SHORT_OVER else None


def _drawing(watch: Watch, reading: MeterReading, load: Load, limits: MeterLimits) -> bool | None:
    level = load.level_dbfs
    if not load.settled or reading.amps is None or level is None or not limits.tells(level):
        return None
    return _part(watch.pairs[-5:]) >= OPEN_BELOW


def _parts_without_one(pairs: tuple[Pair, ...]) -> list[float]:
    """Measured part of what was expected, leaving out each reading in turn."""
    if len(pairs) < JUDGED_FROM:
        return []
    expected = sum(one.expected for one in pairs)
    measured = sum(one.measured for one in pairs)
    return [(measured - one.measured) / (expected - one.expected) for one in pairs]


def _most(signs: Iterable[bool]) -> bool:
    """Three quarters: what the level tells and what the meter catches differ for a moment of speech."""
    each = list(signs)
    return 4 * sum(each) >= 3 * len(each)


def _part(pairs: Iterable[Pair]) -> float:
    expected = measured = 0.0
    for one in pairs:
        expected += one.expected
        measured += one.measured
    return measured / expected


def silent_test_due(
    last: datetime | None, now: datetime, trust: ClockTrust, quiet_for: timedelta | None
) -> bool:
    """Whether the weekly silent test should run now.

    Args:
        last: when it last ran, None if never.
        now: wall clock.
        trust: how far `now` may be believed. An unknown clock proves no week; a restored one is never early.
        quiet_for: time until something is due, None if nothing is.
    """
    if quiet_for is not None and quiet_for < TEST_ROOM:
        return False
    if last is None:
        return True
    if trust is ClockTrust.SYNCHRONISED and last > now + TEST_ROOM:
        return True  # it was written down by a clock that ran ahead
    return trust is not ClockTrust.UNKNOWN and now - last >= TEST_EVERY
