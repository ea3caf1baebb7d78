"""Civil days of one time zone as numbers, fast enough for thousands of airings.

Civil seconds are `ordinal of the day * 86,400 + second of the day`; moments are whole seconds since
1970 in UTC. A civil time that does not exist is shifted forward by the length of the gap, one that
exists twice is its first occurrence (PEP 495, fold=0).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

DAY_S = 86_400
EPOCH_DAY = datetime(1970, 1, 1, tzinfo=UTC).toordinal()

_CACHED_DAYS = 4096


def civil_seconds(moment: datetime) -> int:
    """A naive civil time as civil seconds; fractions of a second are dropped."""
    return moment.toordinal() * DAY_S + moment.hour * 3600 + moment.minute * 60 + moment.second


def epoch_seconds(moment: datetime) -> int:
    """An aware moment as whole seconds since 1970, rounded down."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)


def from_epoch(seconds: int) -> datetime:
    """Seconds since 1970 as an aware moment in UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


class CivilZone:
    """Civil days of one IANA time zone.

    Raises:
        KeyError, ValueError, OSError: there is no such zone.
    """

    def __init__(self, name: str) -> None:
        self._zone = ZoneInfo(name)
        self._starts: dict[int, int] = {}
        self._even: dict[int, bool] = {}

    def to_utc(self, civil: int) -> int:
        """The moment of civil seconds."""
        day, second = divmod(civil, DAY_S)
        local = datetime.fromordinal(day).replace(tzinfo=self._zone) + timedelta(seconds=second)
        offset = local.utcoffset() or timedelta()
        return (day - EPOCH_DAY) * DAY_S + second - round(offset.total_seconds())

    def start_of(self, day: int) -> int:
        """The moment at which the civil day `day` begins; never decreases from day to day."""
        known = self._starts.get(day)
        if known is None:
            if len(self._starts) >= _CACHED_DAYS:
                self._starts.clear()
            known = self._starts[day] = self.to_utc(day * DAY_S)
        return known

    def is_even(self, day: int) -> bool:
        """Whether the clocks stand unchanged from the day before `day` to the day after it.

        On such days a second of the day is that many seconds after `start_of(day)`, and no civil time
        of a neighbouring day falls into this one.
        """
        known = self._even.get(day)
        if known is None:
            if len(self._even) >= _CACHED_DAYS:
                self._even.clear()
            starts = [self.start_of(one) for one in range(day - 1, day + 3)]
            known = all(later - earlier == DAY_S for earlier, later in pairwise(starts))
            self._even[day] = known
        return known

    def day_of(self, moment: int) -> int:
        """The day for which `start_of(day) <= moment < start_of(day + 1)`."""
        day = datetime.fromtimestamp(moment, self._zone).toordinal()
        while moment >= self.start_of(day + 1):
            day += 1
        while moment < self.start_of(day):
            day -= 1
        return day
