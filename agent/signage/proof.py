"""As-run of a board: one record for each stay of a page, however often it took its turn.

Bulletins, live sound and emergencies are told as soon as they come up too, and so is a picture that was
never told before: a power cut must not take the proof along. A stay is told at the latest after an hour, and
ordinary pages at most `MAX_PER_DAY` times a day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from agent.model.board import Look, Page, PageRank
from agent.signage.link import THUMBNAIL_BYTES

STAY = timedelta(hours=1)
"""A stay that lasts longer is told in several records."""

MAX_PER_DAY = 2_000
"""Records of ordinary pages in one day; those of bulletins and emergencies are never left out."""

PICTURES_PER_DAY = 500
"""New pictures of ordinary pages that are told as soon as they come up."""

_SENT = 256
_COMPLAINTS = 20
_EARLY = 64


@dataclass(frozen=True, slots=True)
class Shown:
    """One screen came up on the board.

    Attributes:
        look: number under which its look was given.
        number: 1 to `count`, which screen of its page.
        sha256: of the picture as the board got it.
        at: wall clock, UTC.
        thumbnail: PNG, at most 160 pixels wide; empty if there is none.
        at_s: the same moment on the monotonic clock, by which durations are counted; None: by `at`.
    """

    look: int
    page_id: str
    number: int
    count: int
    sha256: str
    at: datetime
    thumbnail: bytes = b""
    at_s: float | None = None

    @property
    def moment(self) -> _Moment:
        """When it was, on both clocks."""
        return _Moment(self.at, self.at.timestamp() if self.at_s is None else self.at_s)


@dataclass(frozen=True, slots=True)
class _Moment:
    """A moment by the wall clock, which may be set meanwhile, and by one that only counts seconds."""

    at: datetime
    at_s: float


@dataclass(frozen=True, slots=True)
class Stay:
    """A page is or was on a board; see `agent.wire.reports.ScreenReport`."""

    board: str
    page: Page
    reason: str
    rank: PageRank
    sha256: str
    screens: int
    first_shown: datetime
    last_shown: datetime
    times: int = 1
    shown_s: float = 0.0
    complaints: tuple[str, ...] = ()
    thumbnail: bytes = field(default=b"", repr=False)
    ended: bool = True


@dataclass(frozen=True, slots=True)
class _Given:
    look: Look
    pages: dict[str, Page]


class _Daily:
    """So many a day."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._day: date | None = None
        self._count = 0

    def allows(self, at: datetime) -> bool:
        """Count one more; False when the day has had its share."""
        if at.date() != self._day:
            self._day, self._count = at.date(), 0
        self._count += 1
        return self._count <= self._most


class ScreenLog:
    """Counts what came up on one board, and tells each stay when it is over."""

    def __init__(self, board: str, tell: Callable[[Stay], None]) -> None:
        self._board = board
        self._tell = tell
        self._given: dict[int, _Given] = {}
        self._open: dict[str, Stay] = {}
        self._began_s: dict[str, float] = {}  # of those
        self._early: dict[str, tuple[str, ...]] = {}  # complaints about pages that are not up yet
        self._now: tuple[str, float] | None = None  # page on the board, and since when
        self._sent: dict[tuple[str, str], None] = {}
        self._stays, self._pictures = _Daily(MAX_PER_DAY), _Daily(PICTURES_PER_DAY)
        self.dropped = 0

    def given(self, number: int, look: Look) -> None:
        """A look was handed to the board under this number."""
        self._given[number] = _Given(look, {page.id: page for page in look.pages})
        for old in sorted(self._given)[:-4]:
            del self._given[old]

    def shown(self, event: Shown) -> None:
        """A screen came up."""
        given = self._given.get(event.look)
        page = given.pages.get(event.page_id) if given is not None else None
        if given is None or page is None:
            return
        moment = event.moment
        self._count(moment.at_s)
        look = given.look
        self._close((key for key, one in self._open.items() if not _goes_on(one, given)), event.at)
        known = self._open.get(page.id)
        if known is None:
            thumbnail = event.thumbnail if self._is_news(page.id, event) else b""
            known = Stay(
                self._board, page, look.reason, look.rank, event.sha256, event.count, event.at, event.at,
                complaints=self._early.pop(page.id, ()), thumbnail=thumbnail,
            )  # fmt: skip
            self._began_s[page.id] = moment.at_s
            if known.rank >= PageRank.BULLETIN or (thumbnail and self._pictures.allows(event.at)):
                self._tell(replace(known, ended=False))
                known = replace(known, thumbnail=b"")  # it has gone out
        else:
            times = known.times + (event.number == 1)
            last = max(known.first_shown, event.at)  # the clock may have been set back
            known = replace(known, last_shown=last, times=times, screens=max(known.screens, event.count))
        self._open[page.id] = known
        self._now = page.id, moment.at_s
        long_s = moment.at_s - STAY.total_seconds()
        self._close((key for key in self._open if self._began_s[key] <= long_s), event.at)

    def complained(self, page_id: str, complaint: str) -> None:
        """Something of a page cannot be shown as wished; that may be found before its screen comes up."""
        known = self._open.get(page_id)
        before = known.complaints if known is not None else self._early.get(page_id, ())
        if complaint in before or len(before) >= _COMPLAINTS:
            return
        if known is not None:
            self._open[page_id] = replace(known, complaints=(*before, complaint))
            return
        self._early[page_id] = (*before, complaint)
        while len(self._early) > _EARLY:
            self._early.pop(next(iter(self._early)))

    def dark(self, at: datetime, at_s: float | None = None) -> None:
        """Nothing is on the board any more, as far as anybody knows; the moment as in `Shown`."""
        self._count(at.timestamp() if at_s is None else at_s)
        self._now = None
        self._close(list(self._open), at)

    def _count(self, at_s: float) -> None:
        """Add the time since the last change to the page that was on the board."""
        if self._now is None:
            return
        page_id, since_s = self._now
        known = self._open.get(page_id)
        if known is not None:
            lasted_s = max(0.0, min(at_s - since_s, 24 * 3600.0))
            self._open[page_id] = replace(known, shown_s=known.shown_s + lasted_s)
        self._now = page_id, at_s

    def _close(self, keys: Iterable[str], at: datetime) -> None:
        for key in list(keys):
            stay = self._open.pop(key)
            self._began_s.pop(key, None)
            if stay.rank >= PageRank.BULLETIN or self._stays.allows(at):
                self._tell(stay)
            else:
                self.dropped += 1

    def _is_news(self, page_id: str, event: Shown) -> bool:
        key = page_id, event.sha256
        if key in self._sent or not 0 < len(event.thumbnail) <= THUMBNAIL_BYTES:
            return False
        self._sent[key] = None
        while len(self._sent) > _SENT:
            self._sent.pop(next(iter(self._sent)))
        return True


def _goes_on(stay: Stay, given: _Given) -> bool:
    return given.pages.get(stay.page.id) == stay.page and given.look.reason == stay.reason
