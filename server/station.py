"""What the station sets for all its boxes: hours, order of priority, recordings, languages."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from agent.wire.base import Text
from agent.wire.envelope import MAX_ENVELOPE_BYTES
from agent.wire.orders import (
    BoardPage,
    EmergencyEvent,
    FileRef,
    HoursWindow,
    LanguageCode,
    MediaRef,
    StagedMessage,
)
from agent.wire.ulid import new_ulid
from server.board_drafts import BoardPagesDraft
from server.clock import utc_now
from server.drafts import Draft, MediaKey
from server.problems import Problem, RefusedError
from server.store import content, pictures, settings
from server.store.content import media_ref
from server.store.database import Database
from server.store.pictures import PICTURE, VIDEO
from server.store.settings import Setting

logger = logging.getLogger(__name__)

HOURS, PRIORITY, MESSAGES, LANGUAGES, STAGED = "hours", "priority_order", "messages", "languages", "staged"
PAGES = "board_pages"
MOST_MESSAGES = 200
REST_OF_DESIRED_BYTES = 8 * 1024
"""What a `desired` says beside the settings of the station: schedule, groups, names, and the signature."""

MOST_MESSAGE_BYTES = 120 * 1024
"""Texts and names of all recordings together: they travel inside each `desired`, which has an end."""

Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class WindowDraft(Draft):
    """Civil hours in which sound is allowed; an end before the start is on the next day."""

    weekdays: tuple[Annotated[int, Field(ge=1, le=7)], ...] = Field(
        default=(1, 2, 3, 4, 5, 6, 7), min_length=1, max_length=7
    )
    start: Clock
    end: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]
    max_minutes: int | None = Field(default=None, ge=1, le=1440)
    max_dbfs: float | None = Field(default=None, ge=-40, le=0)

    @model_validator(mode="after")
    def _some_time(self) -> WindowDraft:
        if self.start == self.end:
            raise PydanticCustomError("no_time", "start and end are the same")
        return self


class HoursDraft(Draft):
    """All windows; none means at any time."""

    windows: tuple[WindowDraft, ...] = Field(max_length=64)


class PriorityDraft(Draft):
    """Ids of priority programmes and bulletins, the first one first."""

    order: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(max_length=200)

    @field_validator("order")
    @classmethod
    def _once(cls, order: tuple[str, ...]) -> tuple[str, ...]:
        return _unique(order)


class LanguagesDraft(Draft):
    """Languages the boxes play, in this order; none leaves it to each box."""

    languages: tuple[LanguageCode, ...] = Field(max_length=16)

    @field_validator("languages")
    @classmethod
    def _once(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        return _unique(languages)


class MessageDraft(Draft):
    """A recording for emergencies of one event, in one language; `media` is the id or hash of a kept file."""

    event: EmergencyEvent
    language: LanguageCode = "vi"
    text: Text = ""
    media: MediaKey


class MessagesDraft(Draft):
    """All recordings kept on the boxes."""

    messages: tuple[MessageDraft, ...] = Field(max_length=MOST_MESSAGES)

    @field_validator("messages")
    @classmethod
    def _once(cls, messages: tuple[MessageDraft, ...]) -> tuple[MessageDraft, ...]:
        _unique(tuple(f"{one.event.value} {one.language}" for one in messages))
        return messages


@dataclass(frozen=True, slots=True)
class StationState:
    """Everything that goes into a `desired` beside its schedule."""

    revision: int = 0
    hours: tuple[HoursWindow, ...] = ()
    hours_version: int = 0
    priority_order: tuple[str, ...] = ()
    messages: tuple[StagedMessage, ...] = ()
    languages: tuple[str, ...] = ()
    pages: tuple[BoardPage, ...] = ()

    @property
    def page_files(self) -> frozenset[str]:
        """Pictures and videos of the boards' pages."""
        return frozenset(
            file.sha256 for page in self.pages for file in (page.picture, page.video) if file is not None
        )

    def message(self, event: EmergencyEvent, language: str) -> StagedMessage | None:
        """The recording for an event in a language."""
        found = (one for one in self.messages if (one.event, one.language) == (event, language))
        return next(found, None)


def state_of(conn: sqlite3.Connection) -> StationState:
    """What is set now."""
    hours = settings.get_setting(conn, HOURS)
    return StationState(
        revision=settings.revision(conn),
        hours=tuple(HoursWindow.model_validate(one) for one in (hours.value if hours else ())),
        hours_version=hours.version if hours else 0,
        priority_order=tuple(_value(conn, PRIORITY)),
        messages=tuple(StagedMessage.model_validate(one) for one in _value(conn, MESSAGES)),
        languages=tuple(_value(conn, LANGUAGES)),
        pages=tuple(BoardPage.model_validate(one) for one in _value(conn, PAGES)),
    )


class StationRules:
    """Sets and tells; every change goes to all boxes.

    Args:
        database: where settings are kept with their former versions.
        spread: signs a new `desired` for every box that does not have the newest settings, and pushes it.

    Attributes:
        languages_changed: set when recordings in another language may be wanted.
    """

    def __init__(self, database: Database, spread: Callable[[], Awaitable[None]]) -> None:
        self._database = database
        self._spread = spread
        self.languages_changed = asyncio.Event()

    async def get(self, name: str) -> Setting | None:
        """The newest version of a setting, None if it was never set."""
        return await self._database.read(lambda conn: settings.get_setting(conn, name))

    async def set_hours(self, draft: HoursDraft, author: str) -> Setting:
        """Replace the hours; their version rises."""
        value = [one.model_dump(mode="json", exclude_none=True) for one in draft.windows]
        return await self._set(HOURS, lambda _: value, author)

    async def set_priority_order(self, draft: PriorityDraft, author: str) -> Setting:
        """Replace the order in which a person wants priority items."""
        return await self._set(PRIORITY, lambda _: list(draft.order), author)

    async def set_languages(self, draft: LanguagesDraft, author: str) -> Setting:
        """Replace the languages."""
        kept = await self._set(LANGUAGES, lambda _: list(draft.languages), author)
        self.languages_changed.set()
        return kept

    async def set_messages(self, draft: MessagesDraft, author: str) -> Setting:
        """Replace the recordings.

        Raises:
            RefusedError: a file that is not kept, or more than a `desired` can carry; nothing is changed.
        """
        return await self._set(MESSAGES, lambda conn: _resolved(conn, draft), author)

    async def set_pages(self, draft: BoardPagesDraft, author: str) -> Setting:
        """Replace the boards' pages.

        Raises:
            RefusedError: a file that is not kept, more than a `desired` can carry, or somebody else saved
                them meanwhile; nothing is changed.
        """
        return await self._set(PAGES, lambda conn: _resolved_pages(conn, draft), author)

    async def add_messages(self, language: str, found: list[StagedMessage], author: str) -> None:
        """Add recordings for events that have none in a language; done once per language.

        What a `desired` cannot carry any more is left out: boxes speak it themselves.
        """

        def value(conn: sqlite3.Connection) -> list[dict[str, Any]]:
            kept = state_of(conn)
            settings.put_setting(conn, STAGED, [*_value(conn, STAGED), language], author, utc_now())
            fresh = [one for one in found if kept.message(one.event, one.language) is None]
            fitting = _fitting(kept.messages, fresh)
            return [one.model_dump(mode="json", exclude_none=True) for one in fitting]

        await self._set(MESSAGES, value, author)

    async def _set(self, name: str, value: Callable[[sqlite3.Connection], list[Any]], author: str) -> Setting:
        def keep(conn: sqlite3.Connection) -> Setting:
            kept = settings.put_setting(conn, name, value(conn), author, utc_now())
            _check_size(state_of(conn), name)
            return kept

        kept = await self._database.write(keep)
        logger.info("station: %s version %d set by %s", name, kept.version, author)
        await self._spread()
        return kept


def _value(conn: sqlite3.Connection, name: str) -> list[Any]:
    found = settings.get_setting(conn, name)
    return list(found.value) if found else []


def _resolved(conn: sqlite3.Connection, draft: MessagesDraft) -> list[dict[str, Any]]:
    resolved = [
        StagedMessage(
            event=one.event,
            language=one.language,
            text=one.text,
            media=_media(conn, one.media, f"messages[{n}].media"),
        )
        for n, one in enumerate(draft.messages)
    ]
    if sum(len(one.encode()) for one in resolved) > MOST_MESSAGE_BYTES:
        raise RefusedError(Problem.TOO_LARGE, "messages", detail=f"{MOST_MESSAGE_BYTES // 1024} kB")
    return [one.model_dump(mode="json", exclude_none=True) for one in resolved]


def _resolved_pages(conn: sqlite3.Connection, draft: BoardPagesDraft) -> list[dict[str, Any]]:
    held = settings.get_setting(conn, PAGES)
    if draft.if_version is not None and draft.if_version != (held.version if held else 0):
        raise RefusedError(Problem.CHANGED_MEANWHILE, "if_version")
    return [
        BoardPage(
            **one.model_dump(exclude={"id", "picture", "video", "windows"}),
            id=one.id or f"trang-{new_ulid(utc_now()).lower()}",
            picture=_file(conn, one.picture, PICTURE, f"pages[{n}].picture"),
            video=_file(conn, one.video, VIDEO, f"pages[{n}].video"),
            windows=tuple(window.window() for window in one.windows),
        ).model_dump(mode="json", exclude_none=True)
        for n, one in enumerate(draft.pages)
    ]


def _file(conn: sqlite3.Connection, key: str | None, kind: str, field: str) -> FileRef | None:
    if key is None:
        return None
    row = pictures.find_picture(conn, key, kind)
    if row is None:
        raise RefusedError(Problem.PICTURE_UNKNOWN, field, detail=key)
    return pictures.file_ref(row)


def picture_in_use(conn: sqlite3.Connection, sha256: str) -> bool:
    """Whether a page, or an order that is not over, names a picture or video."""
    return sha256 in state_of(conn).page_files or pictures.picture_in_order(conn, sha256, utc_now())


def _media(conn: sqlite3.Connection, key: str, field: str) -> MediaRef:
    row = content.find_media(conn, key)
    if row is None:
        raise RefusedError(Problem.MEDIA_UNKNOWN, field, detail=key)
    return media_ref(row)


def _fitting(kept: tuple[StagedMessage, ...], fresh: list[StagedMessage]) -> list[StagedMessage]:
    messages, size = list(kept), sum(len(one.encode()) for one in kept)
    for one in fresh:
        size += len(one.encode())
        if size > MOST_MESSAGE_BYTES or len(messages) >= MOST_MESSAGES:
            break
        messages.append(one)
    return messages


def _check_size(state: StationState, name: str) -> None:
    """Refuse what no `desired` could carry beside its schedule, before it is kept."""
    size = sum(len(one.encode()) for one in (*state.hours, *state.messages, *state.pages))
    size += len(json.dumps([state.priority_order, state.languages], ensure_ascii=False).encode())
    size += len(state.hours) + len(state.messages) + len(state.pages)  # commas
    if (size + REST_OF_DESIRED_BYTES) * 4 // 3 > MAX_ENVELOPE_BYTES:  # base64
        raise RefusedError(Problem.TOO_LARGE, name, detail=f"{MAX_ENVELOPE_BYTES // 1024} kB")


def _unique(names: tuple[str, ...]) -> tuple[str, ...]:
    seen: set[str] = set()
    for one in names:
        if one in seen:
            raise PydanticCustomError("repeated", "names something twice")
        seen.add(one)
    return names
