"""What officers send about electronic boards: pages, takeovers, previews."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from agent.model.board import PageKind
from agent.wire.base import Line, Moment, Name, Text
from agent.wire.orders import LanguageCode, PageWindow
from server.drafts import Draft, MediaKey
from server.order_drafts import AudienceDraft

MOST_PAGES = 64
MOST_WINDOWS = 32

Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Template = Annotated[str, Field(max_length=64, pattern=r"^([a-z0-9][a-z0-9._-]*)?$")]
Stream = Annotated[str, Field(max_length=500, pattern=r"^(https?://\S+)?$")]


class PageWindowDraft(Draft):
    """Civil hours in which a page is shown; an end that is not after the start is on the next day."""

    weekdays: tuple[Annotated[int, Field(ge=1, le=7)], ...] = Field(
        default=(1, 2, 3, 4, 5, 6, 7), min_length=1, max_length=7
    )
    start: Clock
    end: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]

    def window(self) -> PageWindow:
        """As orders say it."""
        return PageWindow(weekdays=self.weekdays, start=self.start, end=self.end)


class BoardPageDraft(Draft):
    """One page of the boards; `picture` and `video` are the id or hash of a kept file.

    Attributes:
        id: chosen by the server if left out.
        dwell_s: how long each of its screens stays; 0: as long as reading takes.
        windows: when it is shown; empty: at all times.
        urgent: while it is due, only urgent pages are shown.
        boards: which boards of a box show it; empty: all.
    """

    id: Name | None = None
    title: Line = ""
    text: Text = ""
    ticker: Annotated[Text, Field(max_length=4_000)] = ""
    language: LanguageCode = "vi"
    picture: MediaKey | None = None
    video: MediaKey | None = None
    stream: Stream = ""
    qr: Annotated[Line, Field(max_length=300)] = ""
    weather: Line = ""
    template: Template = ""
    dwell_s: int = Field(default=10, ge=0, le=3600)
    windows: tuple[PageWindowDraft, ...] = Field(default=(), max_length=MOST_WINDOWS)
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    urgent: bool = False
    boards: tuple[Name, ...] = Field(default=(), max_length=16)

    @model_validator(mode="after")
    def _usable(self) -> BoardPageDraft:
        if self.valid_from and self.valid_until and self.valid_until <= self.valid_from:
            raise ValueError("valid_until must be after valid_from")
        if self.video is not None and self.stream:
            raise PydanticCustomError("video_and_stream", "must not have both video and stream")
        if not any((self.title.strip(), self.text.strip(), self.ticker.strip())) and not (
            self.picture or self.video or self.stream or self.qr
        ):
            raise PydanticCustomError("empty_page", "shows nothing")
        return self


class BoardPagesDraft(Draft):
    """All pages, in the order in which they take turns.

    Attributes:
        if_version: refuse if somebody saved another version meanwhile; left out: replace whatever is there.
    """

    pages: tuple[BoardPageDraft, ...] = Field(max_length=MOST_PAGES)
    if_version: int | None = Field(default=None, ge=0, le=2**53)

    @field_validator("pages")
    @classmethod
    def _ids_differ(cls, pages: tuple[BoardPageDraft, ...]) -> tuple[BoardPageDraft, ...]:
        ids = [one.id for one in pages if one.id is not None]
        if len(set(ids)) < len(ids):
            raise PydanticCustomError("repeated", "names a page twice")
        return pages


class TakeoverDraft(AudienceDraft):
    """Commercial boards show the commune's programme until a moment, then are handed back as they were."""

    boards: tuple[Name, ...] = Field(default=(), max_length=16)
    reason: Annotated[Line, Field(min_length=1)]
    until: Moment


class PreviewBoard(Draft):
    """The board on which a page is tried."""

    width_px: int = Field(default=192, ge=16, le=3840)
    height_px: int = Field(default=96, ge=8, le=2160)
    colours: Literal["mono", "dual", "full"] = "full"
    pitch_mm: float = Field(default=10.0, gt=0, le=100)
    viewing_m: float = Field(default=15.0, gt=0, le=500)
    moves: bool = True


class PreviewDraft(Draft):
    """One page as a board would show it.

    Attributes:
        form: `png` the first screen, `sheet` all screens side by side, `gif` as they take turns.
        kind: another template than that of a page, such as `emergency`.
        event: emergency event, for its symbol.
        theme: name of a theme; empty: the built-in one.
        now: moment shown by clocks; the present one if left out.
    """

    page: BoardPageDraft
    board: PreviewBoard = PreviewBoard()
    form: Literal["png", "sheet", "gif"] = "png"
    kind: PageKind = PageKind.PAGE
    event: Annotated[str, Field(max_length=64)] = ""
    theme: Template = ""
    now: Moment | None = None
