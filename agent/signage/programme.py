"""What one board shows now, and why: a pure rule over what is due, what stands and what the box knows.

Who may have the board, highest first: emergency (by level, then the newest), all clear, technician's
pattern, live announcement, priority bulletin, bulletin, urgent page, page, idle. An emergency also lights a
board that is dark by the hour; a commercial board is left alone unless a signed order takes it over or an
emergency is in force.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from agent.model.board import Look, Page, PageKind, PageRank, Pattern
from agent.model.bulletin import SourceLevel
from agent.model.hours import Hours

MAX_PAGES = 64
"""Pages of emergencies in one look; the highest and newest come first."""

_LEVELS = {level: number for number, level in enumerate(SourceLevel)}


@dataclass(frozen=True, slots=True)
class Warned:
    """An emergency that stands, whether or not it sounds just now.

    Attributes:
        number: order of arrival; of one level the newest is shown first.
        pages: one for each language version, already in the order of the box's languages.
    """

    order_id: str
    level: SourceLevel
    number: int
    pages: tuple[Page, ...]


@dataclass(frozen=True, slots=True)
class Cleared:
    """A danger that is over, and until when the board says so.

    Attributes:
        until: UTC.
    """

    pages: tuple[Page, ...]
    until: datetime


@dataclass(frozen=True, slots=True)
class OnAir:
    """What sounds in a zone of the board, below an emergency.

    Attributes:
        rank: BULLETIN, PRIORITY or LIVE.
    """

    airing: str
    rank: PageRank
    pages: tuple[Page, ...]


@dataclass(frozen=True, slots=True)
class OwnPage:
    """A page of the board's own playlist and when it is due.

    Attributes:
        hours: dayparts in civil time; None or without windows: at all times.
        valid_from: UTC; None: since ever.
        valid_until: UTC, not included; None: as long as the playlist holds.
        urgent: it alone is shown while it is due, before the ordinary pages.
    """

    page: Page
    hours: Hours | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    urgent: bool = False

    @property
    def timed(self) -> bool:
        """Whether the clock decides about it."""
        windows = self.hours is not None and bool(self.hours.windows)
        return windows or self.valid_from is not None or self.valid_until is not None

    def due(self, now: datetime) -> bool:
        """Whether it may be shown at `now`."""
        if self.valid_from is not None and now < self.valid_from:
            return False
        if self.valid_until is not None and now >= self.valid_until:
            return False
        return self.hours is None or not self.hours.windows or _hold(self.hours, now)[0]

    def changes(self, now: datetime) -> tuple[datetime, ...]:
        """Moments at which `due` may change."""
        found = [one for one in (self.valid_from, self.valid_until) if one is not None]
        if self.hours is not None and self.hours.windows:
            found.append(_hold(self.hours, now)[1])
        return tuple(one for one in found if one > now)


@dataclass(slots=True)
class _Span:
    """What some hours said last: from when to when they hold, or do not."""

    begins: datetime | None = None
    ends: datetime | None = None
    holds: bool = False


@lru_cache(maxsize=1024)
def _span(_hours: Hours) -> _Span:
    return _Span()


def _hold(hours: Hours, now: datetime) -> tuple[bool, datetime]:
    """Whether hours hold, and until when that stays so.

    Worked out once for each span: 64 pages of 32 windows each would cost a small box a tenth of a second,
    every second.
    """
    span = _span(hours)
    if span.begins is None or span.ends is None or not span.begins <= now < span.ends:
        span.begins, span.ends = now, hours.change_after(now)
        span.holds = hours.session(now) is not None
    return span.holds, span.ends


@dataclass(frozen=True, slots=True)
class Lease:
    """A technician's test picture; it ends by itself at `until` (UTC)."""

    pattern: Pattern
    until: datetime


@dataclass(frozen=True, slots=True)
class BoardState:
    """All that decides what one board shows, apart from the clock.

    Attributes:
        idle: page for when nothing is due.
        safe: page for faults, expiry and a lost link.
        dark_when_idle: nothing due leaves the board dark instead of showing `idle`.
        commercial: the board belongs to somebody else.
        emergency_takes: an emergency takes a commercial board.
        taken_until: a signed order takes the commercial board over until then; None: none does.
        emergencies: those that stand for the zones of this board.
        cleared: dangers that are over.
        on_air: what sounds in the zones of this board.
        playlist: pages for this board, in their order.
        playlist_until: the signed playlist holds until then; None: there is none.
        fault: the playlist cannot be trusted, such as when the box lost whom it belongs to.
        link_limit: the moment at which the link has been lost for too long; None: it never is.
        clock_known: whether the wall clock may be believed.
        at_least: newest moment ever known for certain; what ended before it is over whatever the clock says.
        off: hours in which the board is dark; None: never.
        started_until: end of the power-on screen; None: it is over.
        lease: a technician's pattern.
    """

    idle: Page
    safe: Page
    dark_when_idle: bool = False
    commercial: bool = False
    emergency_takes: bool = True
    taken_until: datetime | None = None
    emergencies: tuple[Warned, ...] = ()
    cleared: tuple[Cleared, ...] = ()
    on_air: tuple[OnAir, ...] = ()
    playlist: tuple[OwnPage, ...] = ()
    playlist_until: datetime | None = None
    fault: bool = False
    link_limit: datetime | None = None
    clock_known: bool = True
    at_least: datetime | None = None
    off: Hours | None = None
    started_until: datetime | None = None
    lease: Lease | None = None


def decide(state: BoardState, now: datetime) -> Look:
    """What the board shows at `now` (aware).

    The answer holds until `Look.until`, as long as the state stays as it is.
    """
    chosen = _emergency(state, now) or _left_alone(state, now) or _called_for(state, now) or _own(state, now)
    return Look(chosen.pages, chosen.rank, chosen.reason, _until(state, now), chosen.mine)


def is_mine(state: BoardState, now: datetime) -> bool:
    """Whether the board may be used at all, emergencies apart."""
    return not state.commercial or (state.taken_until is not None and now < state.taken_until)


def _emergency(state: BoardState, now: datetime) -> Look | None:
    if not state.emergencies or not (state.emergency_takes or is_mine(state, now)):
        return None
    ordered = sorted(state.emergencies, key=lambda one: (_LEVELS[one.level], -one.number, one.order_id))
    pages = tuple(page for one in ordered for page in one.pages)
    return Look(pages[:MAX_PAGES], PageRank.EMERGENCY, "emergency")


def _left_alone(state: BoardState, now: datetime) -> Look | None:
    return None if is_mine(state, now) else Look((), reason="handed_back", mine=False)


def _called_for(state: BoardState, now: datetime) -> Look | None:
    """What people have just asked for: all clear, pattern, what sounds."""
    clear = tuple(page for one in state.cleared if now < one.until for page in one.pages)
    if clear:
        return Look(clear, PageRank.LIVE, "all_clear")
    lease = state.lease
    if lease is not None and now < lease.until:
        page = Page(lease.pattern.value, PageKind.PATTERN)
        return Look((page,), PageRank.PATTERN, "pattern")
    if _dark(state, now):
        return Look((), reason="off_hours")
    if state.on_air:
        rank = max(one.rank for one in state.on_air)
        pages = {page.id: page for one in state.on_air if one.rank is rank for page in one.pages}
        if pages:
            return Look(tuple(pages.values()), rank, "live" if rank is PageRank.LIVE else "bulletin")
    return None


def _own(state: BoardState, now: datetime) -> Look:
    """The board's own programme: power-on screen, playlist, idle."""
    if state.started_until is not None and now < state.started_until:
        return Look((state.safe,), reason="power_on")
    if state.fault or (state.link_limit is not None and now >= state.link_limit):
        return Look((state.safe,), reason="safe")
    if state.playlist:
        if _is_over(state, now):
            return Look((state.safe,), reason="safe")
        due = [one for one in state.playlist if (one.due(now) if state.clock_known else not one.timed)]
        urgent = tuple(one.page for one in due if one.urgent)
        if urgent:
            return Look(urgent, PageRank.URGENT_PAGE, "playlist")
        if due:
            return Look(tuple(one.page for one in due), PageRank.PAGE, "playlist")
    return Look((), reason="idle") if state.dark_when_idle else Look((state.idle,), reason="idle")


def _is_over(state: BoardState, now: datetime) -> bool:
    """Whether the signed playlist surely holds no more."""
    if state.playlist_until is None:
        return False
    if state.at_least is not None and state.at_least >= state.playlist_until:
        return True
    return state.clock_known and now >= state.playlist_until


def _dark(state: BoardState, now: datetime) -> bool:
    """Whether the hour says dark; without a clock to believe nobody knows the hour."""
    return state.clock_known and state.off is not None and _hold(state.off, now)[0]


def _until(state: BoardState, now: datetime) -> datetime | None:
    """The next moment at which the answer may be another although nothing else has changed."""
    moments = [state.taken_until, state.playlist_until, state.link_limit, state.started_until]
    moments += [one.until for one in state.cleared]
    if state.lease is not None:
        moments.append(state.lease.until)
    if state.off is not None and state.off.windows:
        moments.append(_hold(state.off, now)[1])
    for one in state.playlist:
        moments.extend(one.changes(now))
    return min((one for one in moments if one is not None and one > now), default=None)
