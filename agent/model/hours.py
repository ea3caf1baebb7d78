"""When a station may sound, how loud and for how long: pure rules over civil windows.

Only an emergency overrides them. Windows are civil times of the station's zone; one whose end is not
after its start runs past midnight and belongs to the weekday on which it starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)
_LOOK_DAYS = 8
ALWAYS = timedelta(days=_LOOK_DAYS)
"""How far ahead the answer is said to hold when nothing limits it."""


@dataclass(frozen=True, slots=True)
class Window:
    """Civil hours in which sound is allowed.

    Attributes:
        weekdays: 1 = Monday to 7 = Sunday.
        start: seconds after civil midnight, 0 to 86399.
        end: seconds after civil midnight, 0 to 86400.
        max_minutes: sound allowed in one session of this window; None for all of it.
        max_dbfs: level cap inside the window; None for the box's own limit.
    """

    weekdays: frozenset[int]
    start: int
    end: int
    max_minutes: int | None = None
    max_dbfs: float | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One occurrence of a window.

    Attributes:
        key: stable name, `<date>/<number of the window>`; what has sounded is counted under it.
    """

    key: str
    window: Window
    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Permission:
    """What the hours say at one moment.

    Attributes:
        allowed: sound below an emergency may be made.
        until: the answer may change then, without anything else changing.
        session: the window in force, None outside of all.
        cap_dbfs: level cap, None without one.
        left: sound still allowed in this session, None without a limit.
    """

    allowed: bool
    until: datetime
    session: Session | None = None
    cap_dbfs: float | None = None
    left: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Hours:
    """The windows of a station. Without any, sound is allowed at all times.

    Attributes:
        version: as signed; for reports.
        windows: the first one that holds is in force where several do.
    """

    version: int
    timezone: str
    windows: tuple[Window, ...]

    def session(self, now: datetime) -> Session | None:
        """The occurrence of a window that holds at `now`."""
        today = now.astimezone(ZoneInfo(self.timezone)).date()
        found = [one for one in self._around(today, -1, 0) if one.begins <= now < one.ends]
        return min(found, key=lambda one: int(one.key.rpartition("/")[2]), default=None)

    def change_after(self, now: datetime) -> datetime:
        """The next moment at which a window begins or ends, at most `ALWAYS` ahead."""
        today = now.astimezone(ZoneInfo(self.timezone)).date()
        edges = (
            edge
            for one in self._around(today, -1, _LOOK_DAYS)
            for edge in (one.begins, one.ends)
            if edge > now
        )
        return min(edges, default=now + ALWAYS)

    def _around(self, today: date, first: int, last: int) -> Iterator[Session]:
        zone = ZoneInfo(self.timezone)
        for offset in range(first, last + 1):
            day = today + offset * _DAY
            for number, window in enumerate(self.windows):
                if day.isoweekday() not in window.weekdays:
                    continue
                begins = _moment(day, window.start, zone)
                later = window.end <= window.start
                ends = _moment(day + _DAY if later else day, window.end, zone)
                yield Session(f"{day.isoformat()}/{number}", window, begins, ends)


def permission(hours: Hours | None, now: datetime, used: timedelta = timedelta(0)) -> Permission:
    """What may be done at `now` (aware).

    Args:
        hours: rules in force; None or without windows allows everything.
        now: wall clock.
        used: what has sounded in the session of `now` already.
    """
    if hours is None or not hours.windows:
        return Permission(allowed=True, until=now + ALWAYS)
    session = hours.session(now)
    until = hours.change_after(now)
    if session is None:
        return Permission(allowed=False, until=until)
    window = session.window
    if window.max_minutes is None:
        return Permission(True, until, session, window.max_dbfs)
    left = max(timedelta(0), timedelta(minutes=window.max_minutes) - used)
    if not left:
        return Permission(False, until, session, window.max_dbfs, left)
    return Permission(True, min(until, now + left), session, window.max_dbfs, left)


def _moment(day: date, second: int, zone: ZoneInfo) -> datetime:
    civil = datetime.combine(day, time()) + timedelta(seconds=second)
    return civil.replace(tzinfo=zone).astimezone(UTC)
