"""Language versions of what is said: files resolved, empty ones filled with the station's own message."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from agent.model.messages import BuiltIn
from agent.model.text import say
from agent.wire.orders import EmergencyEvent, FileRef, MediaRef
from server.builtin import built_in
from server.order_drafts import PartDraft
from server.problems import Problem, RefusedError
from server.station import StationState, state_of
from server.store import content
from server.store.content import media_ref
from server.store.pictures import PICTURE, file_ref, find_picture

LONGEST_TITLE = 300
DEFAULT_LANGUAGE = "vi"


def emergency_parts(
    conn: sqlite3.Connection, event: EmergencyEvent, drafts: Sequence[PartDraft], field: str
) -> list[dict[str, Any]]:
    """The parts of an emergency; without any, one for each language of the station that has a message.

    Raises:
        RefusedError: a file that is not kept, or nothing to say.
    """
    state = state_of(conn)
    if drafts:
        return [_filled(conn, state, event, one, f"{field}[{n}]") for n, one in enumerate(drafts)]
    languages = state.languages or (DEFAULT_LANGUAGE,)
    known = [one for one in languages if state.message(event, one) or built_in(event, one)]
    wanted = [PartDraft(language=one) for one in known or (DEFAULT_LANGUAGE,)]
    return [_filled(conn, state, event, one, f"{field}[{n}]") for n, one in enumerate(wanted)]


def one_part(conn: sqlite3.Connection, event: EmergencyEvent, draft: PartDraft, field: str) -> dict[str, Any]:
    """One part, filled with the station's message for the event if it says nothing."""
    return _filled(conn, state_of(conn), event, draft, field)


def bulletin_parts(conn: sqlite3.Connection, drafts: Sequence[PartDraft], field: str) -> list[dict[str, Any]]:
    """The parts of a bulletin; each says something itself.

    Raises:
        RefusedError: a file that is not kept, or nothing to say.
    """
    return [_said(conn, one, f"{field}[{n}]") for n, one in enumerate(drafts)]


def _filled(
    conn: sqlite3.Connection, state: StationState, event: EmergencyEvent, draft: PartDraft, field: str
) -> dict[str, Any]:
    known = built_in(event, draft.language)
    shown = _picture(conn, draft.picture, field)
    if draft.text.strip() or draft.media:
        return _said(conn, draft.model_copy(update={"title": draft.title or _title(event, known)}), field)
    if event is EmergencyEvent.OTHER:  # nobody would know what happened
        raise RefusedError(Problem.NOTHING_TO_SAY, f"{field}.text")
    recorded = state.message(event, draft.language)
    text = (recorded.text if recorded else "") or (known.text if known else "")
    if not text and recorded is None:
        raise RefusedError(Problem.NOTHING_TO_SAY, f"{field}.text")
    title = draft.title or _title(event, known)
    return _part(draft.language, title, text, recorded.media if recorded else None, shown)


def _title(event: EmergencyEvent, known: BuiltIn | None) -> str:
    return (
        known.title
        if known is not None and event is not EmergencyEvent.OTHER
        else say(f"console.event.{event}")
    )


def _picture(conn: sqlite3.Connection, key: str | None, field: str) -> FileRef | None:
    if key is None:
        return None
    row = find_picture(conn, key, PICTURE)
    if row is None:
        raise RefusedError(Problem.PICTURE_UNKNOWN, f"{field}.picture", detail=key)
    return file_ref(row)


def _said(conn: sqlite3.Connection, draft: PartDraft, field: str) -> dict[str, Any]:
    shown = _picture(conn, draft.picture, field)
    title = draft.title or " ".join(draft.text.split())[:LONGEST_TITLE]
    if draft.media is None:
        if not any(char.isalnum() for char in draft.text):
            raise RefusedError(Problem.NOTHING_TO_SAY, f"{field}.text")
        return _part(draft.language, title, draft.text, None, shown)
    row = content.find_media(conn, draft.media)
    if row is None:
        raise RefusedError(Problem.MEDIA_UNKNOWN, f"{field}.media", detail=draft.media)
    return _part(draft.language, title or row.title, draft.text, media_ref(row), shown)


def _part(
    language: str, title: str, text: str, media: MediaRef | None, picture: FileRef | None
) -> dict[str, Any]:
    said: dict[str, Any] = {"language": language, "title": title, "text": text}
    if media is not None:
        said["media"] = media.model_dump(mode="json")
    if picture is not None:
        said["picture"] = picture.model_dump(mode="json")
    return said
