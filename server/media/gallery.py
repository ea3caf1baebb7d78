"""Pictures and videos for boards: uploads in, content-addressed canonical files out, unused ones removed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterable, Callable
from pathlib import Path

from agent.wire.ulid import new_ulid
from server.clock import utc_now
from server.media.ingest import workspace_in
from server.media.pictures import CanonicalPicture, make_picture
from server.media.receiving import check_room, move_into_place, receive
from server.media.videos import make_video
from server.problems import Problem, RefusedError
from server.store import pictures
from server.store.database import Database
from server.store.pictures import PICTURE, VIDEO, PictureRow

logger = logging.getLogger(__name__)

LARGEST_PICTURE = 40 * 1024 * 1024
LARGEST_VIDEO = 256 * 1024 * 1024
WAITING = 6

InUse = Callable[[sqlite3.Connection, str], bool]


class Gallery:
    """Keeps files below `folder` by SHA-256, and what is known of them in the database.

    Args:
        folder: where canonical files stand, shared with the sounds; made by the library, as `work` is.
        work: where uploads are worked on.
        database: what is known of them.
        in_use: whether something the station set or ordered still names a file.
    """

    def __init__(self, folder: Path, work: Path, database: Database, in_use: InUse) -> None:
        self._folder = folder
        self._work = work
        self._database = database
        self._in_use = in_use
        self._one = asyncio.Semaphore(1)
        self._placing = asyncio.Lock()
        self._under_way = 0

    def path(self, row: PictureRow) -> Path:
        """Where a file stands."""
        return self._folder / row.sha256[:2] / row.name

    async def upload(self, kind: str, chunks: AsyncIterable[bytes], title: str) -> PictureRow:
        """Take in a picture or a video.

        Raises:
            RefusedError: too large, not usable, damaged, no room, or too many at once.
        """
        if self._under_way > WAITING:
            raise RefusedError(Problem.BUSY, retry_after_s=30)
        check_room(self._work)
        self._under_way += 1
        try:
            with workspace_in(self._work) as name:
                received = Path(name) / "received"
                await receive(chunks, received, LARGEST_VIDEO if kind == VIDEO else LARGEST_PICTURE)
                return await self._take_in(kind, received, Path(name), title)
        finally:
            self._under_way -= 1

    async def find(self, key: str, kind: str | None = None) -> PictureRow:
        """By SHA-256 or by id.

        Raises:
            RefusedError: there is none of this kind.
        """
        row = await self._database.read(lambda conn: pictures.find_picture(conn, key, kind))
        if row is None:
            raise RefusedError(Problem.NOT_FOUND)
        return row

    async def recent(self, kind: str, limit: int) -> tuple[PictureRow, ...]:
        """Newest first."""
        return await self._database.read(lambda conn: pictures.list_pictures(conn, kind, limit))

    async def delete(self, key: str, kind: str) -> None:
        """Remove a file that nothing names any more.

        Raises:
            RefusedError: there is none, or it is in use; nothing is changed.
        """

        def drop(conn: sqlite3.Connection) -> PictureRow:
            row = pictures.find_picture(conn, key, kind)
            if row is None:
                raise RefusedError(Problem.NOT_FOUND)
            if self._in_use(conn, row.sha256):
                raise RefusedError(Problem.IN_USE, "id")
            pictures.delete_picture(conn, row.sha256)
            return row

        # An upload of the same content must not lose its file to this.
        async with self._placing:
            row = await self._database.write(drop)
            with contextlib.suppress(FileNotFoundError):
                await asyncio.to_thread(self.path(row).unlink)
        logger.info("%s %s removed", row.kind, row.id)

    async def _take_in(self, kind: str, received: Path, workspace: Path, title: str) -> PictureRow:
        now = utc_now()
        name = new_ulid(now)
        make = make_video if kind == VIDEO else make_picture
        async with self._one:
            made: CanonicalPicture = await make(received, workspace, f"{kind} {name}")
        row = PictureRow(
            made.sha256,
            name,
            VIDEO if kind == VIDEO else PICTURE,
            title,
            made.content_type,
            made.size_bytes,
            made.width_px,
            made.height_px,
            made.duration_ms,
            now,
        )
        async with self._placing:
            await asyncio.to_thread(move_into_place, made.path, self.path(row))
            return await self._database.write(lambda conn: pictures.insert_picture(conn, row))
