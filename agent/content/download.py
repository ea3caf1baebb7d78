"""Brings one file onto the box: goes on where it stopped, and keeps it only if it is the signed one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from agent.content.store import MediaStore, Partial
from agent.content.threads import in_thread
from agent.errors import LinkDownError, LinkError, MediaCorruptError, StorageFullError
from agent.model.bulletin import Media

WRITE_BYTES = 256 * 1024


class Fetcher(Protocol):
    """Where files come from."""

    def fetch_range(
        self, url: str, offset: int
    ) -> AbstractAsyncContextManager[tuple[int | None, int, AsyncIterator[bytes]]]:
        """Total size if known, offset of the first byte that comes, and the bytes.

        Raises, on entering and while the bytes are read:
            LinkError: not reached, cut, or declined.
            ContentError: not there, or shorter than `offset`.
        """
        ...


async def download(
    store: MediaStore, fetcher: Fetcher, media: Media, *, grace_s: float, least_bytes_per_s: float
) -> None:
    """Obtain `media` whole; what came in before a cut is kept for the next attempt.

    Args:
        store: where it is put.
        fetcher: where it comes from.
        media: what is signed: hash, length and address.
        grace_s: time allowed besides that for the bytes, in seconds.
        least_bytes_per_s: a slower sender is given up, so that it does not hold its place for ever.

    Raises:
        LinkError: not reached, cut, too slow, or declined; try again.
        MediaCorruptError: other bytes than were signed; they have been deleted.
        MediaGoneError: the source system does not have it.
        StorageFullError: no room; what had come has been deleted, the database needs the room more.
        MediaDiskError: the disk would not.
    """
    partial = await store.open_partial(media.sha256, media.size_bytes)
    limit_s = grace_s + (media.size_bytes - partial.length) / least_bytes_per_s
    try:
        if partial.length < media.size_bytes:
            async with asyncio.timeout(limit_s):
                await _receive(fetcher, media, partial)
        await store.adopt(partial)
    except TimeoutError as error:
        raise LinkDownError(f"{media.url}: slower than {least_bytes_per_s:.0f} bytes/s") from error
    except (MediaCorruptError, StorageFullError):
        await store.delete_partial(media.sha256)
        raise
    finally:
        partial.close()


async def _receive(fetcher: Fetcher, media: Media, partial: Partial) -> None:
    async with fetcher.fetch_range(media.url, partial.length) as (total, start, chunks):
        if total is not None and total != media.size_bytes:
            raise MediaCorruptError(f"{media.url}: {total} bytes offered, {media.size_bytes} signed")
        if start != partial.length:
            if start != 0:
                raise MediaCorruptError(f"{media.url}: asked for byte {partial.length}, got {start}")
            await in_thread(partial.restart)
        waiting = bytearray()
        try:
            async for chunk in chunks:
                if partial.length + len(waiting) + len(chunk) > media.size_bytes:
                    raise MediaCorruptError(f"{media.url}: longer than the {media.size_bytes} bytes signed")
                waiting += chunk
                if len(waiting) >= WRITE_BYTES:
                    data = bytes(waiting)
                    waiting.clear()
                    await in_thread(partial.write, data)
        except LinkError:
            await in_thread(partial.write, bytes(waiting))
            raise
        await in_thread(partial.write, bytes(waiting))
    if partial.length < media.size_bytes:
        raise LinkDownError(f"{media.url}: ended after {partial.length} of {media.size_bytes} bytes")
