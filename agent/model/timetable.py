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
        zones: leave out programmes that sound in none of these, once checked; None keeps all.
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

    def next(self, after: datetime) -> Airing | None:
        """The earliest airing with start > after; of several at once, by class, then programme id."""
        low = epoch_seconds(after) + 1
        best = self._first(low)
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

    def _first(self, low: int) -> Hit | None:
        return min((hit for layer in self._layers if (hit := layer.first(low)) is not None), default=None)

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
        self._layers = [Layer(zone, longest) for longest in _LAYERS_US]
        self._elsewhere = Layer(zone, _LAYERS_US[-1])
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
            layer = next(one for one in self._layers if duration_us <= one.longest_us)
            if zones is not None and programme.zones and not any(one in zones for one in programme.zones):
                layer = self._elsewhere
            for number, recurrence in enumerate(programme.recurrences):
                self._add(layer, index, programme, recurrence, f"{field}.recurrences[{number}]")
        for layer in self._layers:
            layer.freeze()
        return [layer for layer in self._layers if not layer.empty]

    def _add(self, layer: Layer, index: int, programme: Programme, when: Recurrence, field: str) -> None:
        try:
            start = start_seconds(when.start)
        except ValueError as error:
            raise ScheduleError(f"{field}.start", str(error)) from error
        rule = self._rule(when, field) if when.rrule is not None else None
        low = epoch_seconds_up(programme.valid_from) if programme.valid_from else -FAR
        high = epoch_seconds_up(programme.valid_until) if programme.valid_until else FAR
        exceptions = frozenset(civil_seconds(one) for one in when.exdates)
        rank = _RANKS[programme.bulletin_class]

        def entry(first: int, last: int, high: int, pattern: int = -1) -> Entry:
            return Entry(rank, programme.id, index, first, last, low, high, exceptions, pattern)

        for number, extra in enumerate(sorted(when.rdates)):
            try:
                layer.add_fixed(entry(-FAR, FAR, high), start_seconds(extra))
            except ValueError as error:
                raise ScheduleError(f"{field}.rdates[{number}]", str(error)) from error
        if rule is None:
            layer.add_fixed(entry(-FAR, FAR, high), start)
            return
        if rule.until_utc is not None:
            high = min(high, epoch_seconds(rule.until_utc) + 1)
        if rule.times is None:
            layer.add_irregular(rule, entry(rule.start, rule.last, high))
            self._irregular += 1
        else:
            pattern = layer.pattern(rule.pattern)
            layer.add_daily(entry(rule.start, rule.last, high, pattern), rule.times)
            self._daily += len(rule.times)
        if self._irregular > MAX_IRREGULAR:
            raise ScheduleError(f"{field}.rrule", f"more than {MAX_IRREGULAR} rules change times daily")
        if self._daily > MAX_DAILY_STARTS:
            raise ScheduleError(f"{field}.rrule", f"more than {MAX_DAILY_STARTS} starts on one day")

    def _rule(self, when: Recurrence, field: str) -> Rule:
        try:
            return parse_rule(when.rrule or "", when.start)
        except ValueError as error:
            raise ScheduleError(f"{field}.rrule", str(error)) from error
