"""What the operator's API says of boards, their pages, pictures and videos."""

from __future__ import annotations

from typing import Literal

from agent.wire.base import Moment, Sha256, Ulid
from agent.wire.orders import BoardPage
from agent.wire.reports import BoardHealth, IssueReport, ScreenReport
from server.api.models import Given
from server.api.order_models import Changed


class PictureAnswer(Given):
    """A kept picture or video, as boxes get it.

    Attributes:
        file: path under which an operator sees it.
    """

    id: Ulid
    sha256: Sha256
    title: str
    content_type: Literal["image/png", "image/jpeg", "video/mp4"]
    size_bytes: int
    width_px: int
    height_px: int
    duration_ms: int
    created: Moment
    file: str


class PictureList(Given):
    """Newest first."""

    pictures: list[PictureAnswer]


class BoardPagesAnswer(Changed):
    """What boards show in turn when nothing more urgent is due."""

    pages: list[BoardPage]


class BoardAnswer(Given):
    """One board as known now.

    Attributes:
        at: when the box said so.
        issues: open faults of this board.
        takeover: the order that takes a commercial board over now.
        picture: path of the newest picture that is kept of its page; absent if none is.
        pictured: when that was on the board.
    """

    box: str
    box_name: str
    online: bool
    at: Moment | None
    board: BoardHealth
    issues: list[IssueReport]
    takeover: Ulid | None = None
    picture: str | None = None
    pictured: Moment | None = None


class BoardList(Given):
    """Every board of every box."""

    boards: list[BoardAnswer]


class ScreenAnswer(Given):
    """Proof that a page was shown.

    Attributes:
        picture: path of the thumbnail; absent if none is kept.
    """

    report: ScreenReport
    picture: str | None = None


class ScreenList(Given):
    """Newest first; `next` is the `before` of the page that follows, absent at the end."""

    screens: list[ScreenAnswer]
    next: Ulid | None = None
