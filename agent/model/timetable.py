"""When programmes air: the schedule's recurrences as an index of moments in UTC.

Every answer is a function of the schedule and the moment asked about; what was asked before changes
only the speed. Fractions of a second in starts are dropped, as in airing ids.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from agent.model.bulletin import BulletinClass, ZoneId
from agent.model.civil import CivilZone, civil_seconds, epoch_seconds, from_epoch
from agent.model.layer import FAR, Entry, Hit, Layer
from agent.model.recurrence import Rule, start_seconds
from agent.model.rrule import parse_rule
from agent.model.schedule import Airing, Programme, Recurrence, Schedule

MAX_PROGRAMME = timedelta(hours=24)
MAX_DAILY_STARTS = 1_000_000
"""Starts on one day, all programmes together; each costs about 100 bytes."""

MAX_IRREGULAR = 1_000
"""Rules whose times differ from day to day, such as `FREQ=HOURLY;INTERVAL=5`; each is expanded by month."""

_RANKS = {BulletinClass.EMERGENCY: 0, BulletinClass.PRIORITY: 1, BulletinClass.NORMAL: 2}
_SECOND_US = 1_000_000
_LAYERS_US = tuple(_SECOND_US * seconds for seconds in (15 * 60, 60 * 60, 4 * 3600, 24 * 3600))
_WINDOWS_S = (60, 6 * 3600)
"""`between` looks so far at once, first and at most, so that a short look costs little."""


class ScheduleError(ValueError):
    """A schedule cannot be obeyed; the box keeps the one it has.

    Attributes:
        field: path of the offending field such as `programmes[3].recurrences[0].rrule`.
        problem: what is wrong with it.
    """

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"{field}: {problem}")


class Timetable:
    """All airings of a schedule.

    Args:
        schedule: as read from the wire.
        zones: the zones of this box; programmes that sound in none of these are checked and left out.
            None keeps all; every zone named then costs a little in each question.
        checked_at: a moment (aware) near which questions are expected; its month is prepared at once.

    Raises:
        ScheduleError: a rule is impossible or not supported, or a limit of this module is passed.
    """

    def __init__(
        self,
        schedule: Schedule,
        *,
        checked_at: datetime | None = None,
        zones: Collection[ZoneId] | None = None,
    ) -> None:
        self.schedule = schedule
        self._programmes = schedule.programmes
        self._durations_us = [one.duration // timedelta(microseconds=1) for one in schedule.programmes]
        try:
            zone = CivilZone(schedule.timezone)
        except (KeyError, ValueError, OSError) as error:
            raise ScheduleError("timezone", "is not an IANA time zone such as Asia/Ho_Chi_Minh") from error
        self._layers = _Builder(schedule, zone, self._durations_us).build(zones)
        if checked_at is not None:
            self.next(checked_at)
            self.active(checked_at)

    def active(self, now: datetime) -> tuple[Airing, ...]:
        """Airings with start <= now < end, by class (priority first), start, programme id."""
        at = epoch_seconds(now)
        at_us = (now - from_epoch(0)) // timedelta(microseconds=1)
        hits: set[Hit] = set()
        for layer in self._layers:
            reach = -(-layer.longest_us // _SECOND_US)
            hits.update(
                hit
                for hit in layer.within(at - reach, at + 1)
                if hit[0] * _SECOND_US + self._durations_us[hit[3]] > at_us
            )
        return tuple(self._airing(hit) for hit in sorted(hits, key=lambda hit: (hit[1], hit[0], hit[2])))

    def next(self, after: datetime, zone: ZoneId | None = None) -> Airing | None:
        """The earliest airing with start > after; of several at once, by class, then programme id.

        Args:
            after: aware moment.
            zone: only programmes that sound there; None for any.
        """
        best = self._first(epoch_seconds(after) + 1, zone)
        return None if best is None else self._airing(best)

    def between(self, start: datetime, end: datetime, limit: int | None = None) -> Iterator[Airing]:
        """Airings with start <= their start < end in order of `next`, at most `limit` of them."""
        low, high = epoch_seconds_up(start), epoch_seconds_up(end)
        left, window = limit, _WINDOWS_S[0]
        while low < high and (left is None or left > 0):
            step, window = min(high, low + window), min(window * 4, _WINDOWS_S[1])
            previous: Hit | None = None
            for hit in heapq.merge(*(layer.within(low, step) for layer in self._layers)):
                if hit == previous:
                    continue  # two recurrences of a programme may name the same start
                previous = hit
                if left is not None:
                    if left == 0:
                        return
                    left -= 1
                yield self._airing(hit)
            low = step
            if previous is None:
                ahead = self._first(low)
                if ahead is None:
                    return
                low = ahead[0]

    def _first(self, low: int, zone: ZoneId | None = None) -> Hit | None:
        best: Hit | None = None
        for layer in self._layers:
            if zone is None or layer.where is None or layer.where == zone:
                hit = layer.first(low)
                if hit is not None and (best is None or hit < best):
                    best = hit
        return best

    def _airing(self, hit: Hit) -> Airing:
        return Airing(self._programmes[hit[3]], from_epoch(hit[0]))


def epoch_seconds_up(moment: datetime) -> int:
    """An aware moment as whole seconds since 1970, rounded up."""
    return epoch_seconds(moment) + (1 if moment.microsecond else 0)


class _Builder:
    """Sorts the recurrences of a schedule into layers, checking each."""

    def __init__(self, schedule: Schedule, zone: CivilZone, durations_us: list[int]) -> None:
        self._schedule = schedule
        self._durations_us = durations_us
        self._zone = zone
        self._layers: dict[tuple[int, ZoneId | None], Layer] = {}
        self._daily = 0
        self._irregular = 0

    def build(self, zones: Collection[ZoneId] | None) -> list[Layer]:
        seen: set[str] = set()
        for index, programme in enumerate(self._schedule.programmes):
            field = f"programmes[{index}]"
            if programme.id in seen:
                raise ScheduleError(f"{field}.id", f"{programme.id!r} is used twice")
            seen.add(programme.id)
            duration_us = self._durations_us[index]
            if duration_us > _LAYERS_US[-1]:
                raise ScheduleError(f"{field}.items", f"last longer than {MAX_PROGRAMME}")
            longest_us = next(one for one in _LAYERS_US if duration_us <= one)
            places = [one for one in dict.fromkeys(programme.zones) if zones is None or one in zones]
            layers = [self._layer(longest_us, one) for one in (places if programme.zones else [None])]
            for number, recurrence in enumerate(programme.recurrences):
                self._add(layers, index, programme, recurrence, f"{field}.recurrences[{number}]")
        kept = [layer for layer in self._layers.values() if not layer.empty]
        for layer in kept:
            layer.freeze()
        return kept

    def _layer(self, longest_us: int, where: ZoneId | None) -> Layer:
        key = (longest_us, where)
        if key not in self._layers:
            self._layers[key] = Layer(self._zone, longest_us, where)
        return self._layers[key]

    def _add(
        self, layers: list[Layer], index: int, programme: Programme, when: Recurrence, field: str
    ) -> None:
        """Check a recurrence, then put it into each of `layers`."""
        try:
            start = start_seconds(when.start)
        except ValueError as error:
            raise ScheduleError(f"{field}.start", str(error)) from error
        rule = self._rule(when, field) if when.rrule is not None else None
        low = epoch_seconds_up(programme.valid_from) if programme.valid_from else -FAR
        high = epoch_seconds_up(programme.valid_until) if programme.valid_until else FAR
        exceptions = frozenset(civil_seconds(one) for one in when.exdates)
        rank = _RANKS[programme.bulletin_class]
        fixed = [start] if rule is None else []
        for number, extra in enumerate(sorted(when.rdates)):
            try:
                fixed.append(start_seconds(extra))
            except ValueError as error:
                raise ScheduleError(f"{field}.rdates[{number}]", str(error)) from error
        if rule is not None:
            self._count(rule, max(1, len(layers)), field)
        for layer in layers:
            once = Entry(rank, programme.id, index, -FAR, FAR, low, high, exceptions)
            for civil in fixed:
                layer.add_fixed(once, civil)
            if rule is None:
                continue
            stop = high if rule.until_utc is None else min(high, epoch_seconds(rule.until_utc) + 1)
            bounds = (rule.start, rule.last, low, stop, exceptions)
            if rule.times is None:
                layer.add_irregular(rule, Entry(rank, programme.id, index, *bounds))
            else:
                pattern = layer.pattern(rule.pattern)
                layer.add_daily(Entry(rank, programme.id, index, *bounds, pattern), rule.times)

    def _count(self, rule: Rule, places: int, field: str) -> None:
        if rule.times is None:
            self._irregular += places
        else:
            self._daily += places * len(rule.times)
        if self._irregular > MAX_IRREGULAR:
            raise ScheduleError(f"{field}.rrule", f"more than {MAX_IRREGULAR} rules change times daily")
        if self._daily > MAX_DAILY_STARTS:
            raise ScheduleError(f"{field}.rrule", f"more than {MAX_DAILY_STARTS} starts on one day")

    def _rule(self, when: Recurrence, field: str) -> Rule:
        try:
            return parse_rule(when.rrule or "", when.start)
        except ValueError as error:
            raise ScheduleError(f"{field}.rrule", str(error)) from error
