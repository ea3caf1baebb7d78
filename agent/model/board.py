"""What boards show: pages, who may put them there, and what was shown; values only, nothing drawn yet."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum


class PageKind(StrEnum):
    """Why a page is on the board; each kind has a template of the same name."""

    IDLE = "idle"
    """Nothing is due: commune name, date, clock."""

    PAGE = "page"
    """A page of the board's own playlist."""

    BULLETIN = "bulletin"
    """The text of what sounds now."""

    LIVE = "live"
    """Somebody speaks live."""

    EMERGENCY = "emergency"

    ALL_CLEAR = "all_clear"

    SAFE = "safe"
    """Fault, lost link, or an agent that stops: commune name and clock."""

    PATTERN = "pattern"
    """Test picture of a technician; `Page.id` names it."""


class Pattern(StrEnum):
    """Test pictures a technician can ask for."""

    GRID = "grid"
    RED = "red"
    GREEN = "green"
    BLUE = "blue"
    WHITE = "white"
    BLACK = "black"
    CHECKER = "checker"
    CHECKER_INVERSE = "checker_inverse"
    BORDER = "border"
    GRADIENT = "gradient"
    NUMBERS = "numbers"


class PageRank(IntEnum):
    """Who may push whom from a board; pages of the highest rank present share it."""

    IDLE = 0
    PAGE = 1
    URGENT_PAGE = 2
    BULLETIN = 3
    PRIORITY = 4
    LIVE = 5
    PATTERN = 6
    EMERGENCY = 7


@dataclass(frozen=True, slots=True)
class Page:
    """One thing to show; as many screens as its text needs.

    Attributes:
        id: of the page, airing or order; unique within a look.
        kind: chooses the template unless `template` names one.
        title: headline.
        text: body; any length, any script.
        ticker: text that runs through a band; empty for none.
        language: BCP 47 tag of title and text.
        source: who speaks, such as `UBND xã Mường Lống`.
        event: emergency event type, chooses the symbol.
        picture: SHA-256 of an image on the box; empty for none.
        video: SHA-256 of a video on the box, or the URL of a live HLS stream; empty for none.
        qr: text of a QR code; empty for none.
        weather: one line, from data given.
        dwell_s: how long each of its screens stays; 0: as long as reading takes.
        template: name of a template of the theme; empty: the one of its kind.
        order_id: the order that caused it.
        issued: when it was issued, shown with an emergency.
    """

    id: str
    kind: PageKind
    title: str = ""
    text: str = ""
    ticker: str = ""
    language: str = "vi"
    source: str = ""
    event: str = ""
    picture: str = ""
    video: str = ""
    qr: str = ""
    weather: str = ""
    dwell_s: float = 0
    template: str = ""
    order_id: str = ""
    issued: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What templates may show besides the page.

    Attributes:
        station: name of the station or commune.
        next_title: of the next programme; empty: none is known.
        next_start: its start, UTC.
        clock_known: False when the wall clock may be wrong; then neither clock nor date is shown.
        weather: one line; empty: not known.
        timezone: IANA zone for clock and date.
    """

    station: str = ""
    next_title: str = ""
    next_start: datetime | None = None
    clock_known: bool = True
    weather: str = ""
    timezone: str = "Asia/Ho_Chi_Minh"


@dataclass(frozen=True, slots=True)
class Look:
    """What one board should show from now on.

    Attributes:
        pages: shown one after the other, over and over; empty: dark.
        rank: of the pages; a look of EMERGENCY is shown within half a second.
        reason: why, for people who ask: `emergency`, `all_clear`, `live`, `bulletin`, `playlist`, `idle`,
            `off_hours`, `power_on`, `safe`, `pattern`, `handed_back`.
        until: when this look is over at the latest, UTC; None: until something changes.
        mine: False hands the board back to its owner.
    """

    pages: tuple[Page, ...]
    rank: PageRank = PageRank.IDLE
    reason: str = "idle"
    until: datetime | None = None
    mine: bool = True
