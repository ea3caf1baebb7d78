"""How long the question "what airs next?" takes, and how that grows with the schedule.

Three ways of asking are timed together: forward, as the engine does; at random moments of one day; and at
random moments of a year. The caches start cold, as after a restart. Run: `python -m benchmarks.next_airing`.
"""

# ruff: noqa: DTZ001 - civil times carry no offset

from __future__ import annotations

import gc
import json
import math
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from dateutil.rrule import rrule, rrulestr

from agent.model.bulletin import BulletinClass, Item, ItemKind, Media, SourceLevel
from agent.model.schedule import Airing, Programme, Recurrence, Schedule
from agent.model.timetable import Timetable
from benchmarks.entry import Entry, lower

LIMIT_US = 1000.0
BUILD_LIMIT_S = 3.0
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
QUERIES = 2000
NAIVE_ENTRIES = 100
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def a_schedule(entries: int, seed: int = 1) -> Schedule:
    """A mixed schedule: daily, weekly, monthly and single programmes at any minute of the day."""
    pick = random.Random(seed)
    programmes = []
    for number in range(entries):
        start = datetime(
            2025, pick.randint(1, 12), pick.randint(1, 28), pick.randrange(24), pick.randrange(60)
        )
        days = ",".join(pick.sample(_WEEKDAYS, pick.randint(1, 6)))
        rule = pick.choice(
            [
                "FREQ=DAILY",
                f"FREQ=DAILY;BYHOUR=5,17;BYMINUTE={pick.randrange(60)}",
                f"FREQ=DAILY;INTERVAL={pick.randint(2, 5)}",
                f"FREQ=WEEKLY;BYDAY={days}",
                f"FREQ=WEEKLY;INTERVAL=2;BYDAY={days};WKST=SU",
                f"FREQ=MONTHLY;BYMONTHDAY={pick.choice([1, 15, 28, 31, -1])}",
                f"FREQ=MONTHLY;BYDAY={pick.choice(['1', '2', '-1'])}{pick.choice(_WEEKDAYS)}",
                None,
            ]
        )
        if rule is None:
            start = start.replace(year=2026)
        media = Media("0" * 64, 1, pick.randint(60_000, 3_600_000), 0.0, "/m")
        programmes.append(
            Programme(
                f"p{number}",
                "",
                pick.choice([BulletinClass.NORMAL, BulletinClass.PRIORITY]),
                SourceLevel.COMMUNE,
                (Item("i", "", ItemKind.SPEECH, media),),
                (Recurrence(start, rule),),
            )
        )
    return Schedule("bench", 1, "", "Asia/Ho_Chi_Minh", tuple(programmes))


def _timed(ask: Callable[[datetime], object], moments: list[datetime]) -> list[float]:
    clock = time.perf_counter_ns
    found = []
    for moment in moments:
        begin = clock()
        ask(moment)
        found.append((clock() - begin) / 1000)
    return found


def next_times_us(timetable: Timetable, queries: int = QUERIES) -> dict[str, list[float]]:
    """Microseconds of each query, by way of asking."""
    pick = random.Random(2)
    day = BEGIN + timedelta(days=150)
    forward = []
    moment = day
    for _ in range(queries):
        begin = time.perf_counter_ns()
        airing: Airing | None = timetable.next(moment)
        forward.append((time.perf_counter_ns() - begin) / 1000)
        if airing is None:
            break
        moment = airing.start
    seconds_a_day = 86_400
    in_day = [day + timedelta(seconds=pick.randrange(seconds_a_day)) for _ in range(queries)]
    in_year = [BEGIN + timedelta(seconds=pick.randrange(365 * seconds_a_day)) for _ in range(queries)]
    return {
        "forward": forward,
        "day": _timed(timetable.next, in_day),
        "year": _timed(timetable.next, in_year),
    }


def naive_us(schedule: Schedule, queries: int = 20) -> float:
    """Median of `min(rule.after(now))` over all entries with plain dateutil rules, in microseconds."""
    rules: list[rrule] = []
    for programme in schedule.programmes:
        for when in programme.recurrences:
            rule = rrulestr(when.rrule or "FREQ=DAILY;COUNT=1", dtstart=when.start)
            assert isinstance(rule, rrule)
            rules.append(rule)

    def ask(moment: datetime) -> object:
        civil = (moment + timedelta(hours=7)).replace(tzinfo=None)
        return min((one for rule in rules if (one := rule.after(civil)) is not None), default=None)

    pick = random.Random(3)
    moments = [BEGIN + timedelta(seconds=pick.randrange(365 * 86_400)) for _ in range(queries)]
    return _share(_timed(ask, moments), 0.5)


def _share(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(len(ordered) * share) - 1)]


def measure() -> list[Entry]:
    """All entries of this benchmark."""
    p99: dict[int, float] = {}
    median: dict[int, float] = {}
    worst: dict[int, float] = {}
    for entries in (100, 10_000, 100_000):
        timetable = Timetable(a_schedule(entries))
        gc.collect()
        times = [one for way in next_times_us(timetable).values() for one in way]
        p99[entries], median[entries], worst[entries] = _share(times, 0.99), _share(times, 0.5), max(times)
        del timetable
    schedule = a_schedule(10_000)
    begin = time.perf_counter()
    Timetable(schedule)
    build_s = time.perf_counter() - begin
    # Plain dateutil is linear in the number of rules, so 100 of them scaled by 100 stand for 10,000.
    naive = naive_us(a_schedule(NAIVE_ENTRIES)) * (10_000 / NAIVE_ENTRIES)
    growth = median[100_000] / median[100]  # of medians: the 99th of 100 is noise
    log_growth = math.log(100_000) / math.log(100)
    plain = "min(rrule.after()) of 100 rules, x 100"
    growing = "limit: log n, medians"
    return [
        lower("next_airing_us_p99", p99[10_000], "us", "limit", LIMIT_US),
        lower("next_airing_us_p99_vs_dateutil", p99[10_000], "us", plain, naive),
        lower("next_airing_us_worst", worst[10_000], "us", plain, naive),
        lower("next_airing_growth_100_to_100k", growth, "x", growing, log_growth),
        lower("timetable_build_10k_s", build_s, "s", "limit", BUILD_LIMIT_S),
    ]


if __name__ == "__main__":
    for entry in measure():
        print(json.dumps(entry))
