"""The media of the station: uploads in, content-addressed canonical files out."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from collections.abc import AsyncIterable
from dataclasses import asdict
from pathlib import Path

from agent.wire.ulid import new_ulid
from server.clock import utc_now
from server.media.ingest import Canonical, make_canonical, workspace_in
from server.media.receiving import check_room, move_into_place, receive
from server.media.speech import speak
from server.problems import Problem, RefusedError
from server.store import content
from server.store.content import MediaRow
from server.store.database import Database

logger = logging.getLogger(__name__)

LARGEST_UPLOAD = 512 * 1024 * 1024
AT_ONCE = 2
WAITING = 8


class Library:
    """Keeps canonical files below `folder` by SHA-256, and what is known of them in the database."""

    def __init__(self, folder: Path, work: Path, database: Database) -> None:
        self._folder = folder
        self._work = work
        self._database = database
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._under_way = 0

    def prepare(self) -> None:
        """Make the folders and drop what an interrupted upload left."""
        self._folder.mkdir(exist_ok=True)
        shutil.rmtree(self._work, ignore_errors=True)
        self._work.mkdir()

    def path(self, sha256: str) -> Path:
        """Where a file of this hash stands."""
        return self._folder / sha256[:2] / f"{sha256}.flac"

    async def upload(self, chunks: AsyncIterable[bytes], title: str) -> MediaRow:
        """Take in a file of any format.

        Raises:
            RefusedError: too large, no sound, damaged, no room, or too many at once.
        """
        self._admit()
        self._under_way += 1
        try:
            with workspace_in(self._work) as name:
                received = Path(name) / "received"
                await receive(chunks, received, LARGEST_UPLOAD)
                return await self._take_in(received, Path(name), title)
        finally:
            self._under_way -= 1

    async def speech(self, text: str, language: str, title: str) -> MediaRow:
        """Take in a text as speech.

        Raises:
            RefusedError: nothing to say, no such voice, no room, or too many at once.
        """
        self._admit()
        self._under_way += 1
        try:
            with workspace_in(self._work) as name:
                spoken = Path(name) / "received"
                await speak(text, language, spoken)
                return await self._take_in(spoken, Path(name), title)
        finally:
            self._under_way -= 1

    def _admit(self) -> None:
        if self._under_way >= AT_ONCE + WAITING:
            raise RefusedError(Problem.BUSY, retry_after_s=30)
        check_room(self._work)

    async def _take_in(self, received: Path, workspace: Path, title: str) -> MediaRow:
        now = utc_now()
        media_id = new_ulid(now)
        async with self._slots:
            made = await make_canonical(received, workspace, f"media {media_id}")
        await asyncio.to_thread(move_into_place, made.path, self.path(made.sha256))
        row = MediaRow(
            made.sha256, media_id, title, made.size_bytes, made.duration_ms, now, json.dumps(_measured(made))
        )
        return await self._database.write(lambda conn: content.insert_media(conn, row))


def _measured(made: Canonical) -> dict[str, object]:
    return {
        "source": asdict(made.source),
        "result": asdict(made.result),
        "gain_db": made.gain_db,
        "limited": made.limited,
    }
