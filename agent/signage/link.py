"""What the agent and the board worker send each other: one JSON object a line."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.model.board import Facts, Look, Page, PageKind, PageRank
from agent.signage.brightness import Plan, plan_of_row, row_of_plan
from agent.signage.screen import Face
from drivers.api import BoardAbilities, BoardGeometry, BoardStatus, Colours, TickerKind

Row = dict[str, Any]
"""A JSON object as it travels; both ends are ours and of the same version."""

THUMBNAIL_BYTES = 6 * 1024
"""Largest thumbnail: base64 makes 8 KB of it, which a report may carry."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a board worker is started with.

    Attributes:
        kind: of the driver, such as `drm`.
        options: of the driver, `width_px` and `height_px` included.
        face: what the layout needs; its size counts only until the board has told its own.
        theme: file of the commune's theme; None: the built-in one.
        gamma: of the board's LEDs, 1 to 4; 1 leaves colours as they are.
        colour_order: in which its modules are wired, such as `GRB`.
        brightness: how bright, when.
        fonts: more font files, tried before the bundled ones.
        video_player: `ffmpeg` into the frame memory, or `mpv` on the display itself where allowed.
    """

    kind: str
    options: Mapping[str, object]
    face: Face
    theme: Path | None = None
    gamma: float = 1.0
    colour_order: str = "RGB"
    brightness: Plan = field(default_factory=Plan)
    fonts: tuple[Path, ...] = ()
    video_player: str = "ffmpeg"


@dataclass(frozen=True, slots=True)
class Shown:
    """A screen is on the board.

    Attributes:
        look: number of the look it belongs to.
        page_id: empty while the board is dark or handed back.
        number: 1 to `count`, which screen of the page; 0 while dark or handed back.
        sha256: of the RGB bytes given to the board; empty after handing back.
        at_ns: CLOCK_MONOTONIC nanoseconds.
        thumbnail: PNG, at most 160 px wide and high; empty while dark, handed back or playing video.
    """

    look: int
    page_id: str
    number: int
    count: int
    sha256: str
    at_ns: int
    thumbnail: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something could not be shown as wished, or had to be shown again.

    Attributes:
        page_id: empty when it concerns the board itself.
        code: `missing_glyph`, `picture`, `video`, `no_player`, `layout`, `theme`, `power_lost`, `foreign` ...
        detail: English, one line.
    """

    page_id: str
    code: str
    detail: str = ""


BoardEvent = Shown | Problem


def row_of_setup(setup: Setup) -> Row:
    """As it travels."""
    face = asdict(setup.face)
    return {
        "kind": setup.kind,
        "options": {
            key: str(value) if isinstance(value, Path) else value for key, value in setup.options.items()
        },
        "face": face,
        "theme": None if setup.theme is None else str(setup.theme),
        "gamma": setup.gamma,
        "colour_order": setup.colour_order,
        "brightness": row_of_plan(setup.brightness),
        "video_player": setup.video_player,
        "fonts": [str(path) for path in setup.fonts],
    }


def setup_of_row(row: Row) -> Setup:
    """Undo `row_of_setup`; raises KeyError, TypeError, ValueError."""
    return Setup(
        kind=row["kind"],
        options=row["options"],
        face=Face(**{**row["face"], "colours": Colours(row["face"]["colours"])}),
        theme=None if row["theme"] is None else Path(row["theme"]),
        gamma=row["gamma"],
        colour_order=row["colour_order"],
        brightness=plan_of_row(row["brightness"]),
        video_player=row["video_player"],
        fonts=tuple(Path(path) for path in row["fonts"]),
    )


def row_of_look(look: Look) -> Row:
    """As it travels."""
    return {
        "pages": [_row_of_page(page) for page in look.pages],
        "rank": int(look.rank),
        "reason": look.reason,
        "until": _moment(look.until),
        "mine": look.mine,
    }


def look_of_row(row: Row) -> Look:
    """Undo `row_of_look`; raises KeyError, TypeError, ValueError."""
    return Look(
        pages=tuple(_page_of_row(page) for page in row["pages"]),
        rank=PageRank(row["rank"]),
        reason=row["reason"],
        until=_moment_of(row["until"]),
        mine=row["mine"],
    )


def _row_of_page(page: Page) -> Row:
    return {
        one.name: _moment(value) if isinstance(value, datetime) else value
        for one in fields(page)
        for value in [getattr(page, one.name)]
    }


def _page_of_row(row: Row) -> Page:
    return Page(**{**row, "kind": PageKind(row["kind"]), "issued": _moment_of(row["issued"])})


def row_of_facts(facts: Facts) -> Row:
    """As it travels."""
    return {**asdict(facts), "next_start": _moment(facts.next_start)}


def facts_of_row(row: Row) -> Facts:
    """Undo `row_of_facts`; raises KeyError, TypeError, ValueError."""
    return Facts(**{**row, "next_start": _moment_of(row["next_start"])})


def row_of_event(event: BoardEvent) -> Row:
    """As it travels."""
    if isinstance(event, Problem):
        return {"ev": "problem", **asdict(event)}
    return {"ev": "shown", **asdict(event), "thumbnail": base64.b64encode(event.thumbnail).decode()}


def event_of_row(row: Row) -> BoardEvent:
    """Undo `row_of_event`; raises KeyError, TypeError, ValueError."""
    values = {key: value for key, value in row.items() if key != "ev"}
    match row["ev"]:
        case "problem":
            event: BoardEvent = Problem(**values)
        case "shown":
            event = Shown(**{**values, "thumbnail": base64.b64decode(values["thumbnail"])})
        case other:
            raise ValueError(f"unknown event {other!r}")
    for one in fields(event):
        value = getattr(event, one.name)
        if type(value).__name__ != one.type:
            raise TypeError(f"{one.name} is {type(value).__name__}")
    return event


def row_of_board(geometry: BoardGeometry, abilities: BoardAbilities) -> Row:
    """As it travels."""
    return {"geometry": asdict(geometry), "abilities": asdict(abilities)}


def board_of_row(row: Row) -> tuple[BoardGeometry, BoardAbilities]:
    """Undo `row_of_board`; raises KeyError, TypeError, ValueError."""
    abilities = row["abilities"]
    return BoardGeometry(**row["geometry"]), BoardAbilities(
        **{**abilities, "colours": Colours(abilities["colours"]), "ticker": TickerKind(abilities["ticker"])}
    )


def status_of_row(row: Row) -> BoardStatus:
    """Undo `asdict`; raises TypeError."""
    return BoardStatus(**row)


def _moment(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()


def _moment_of(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)
