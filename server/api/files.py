"""Content-addressed bytes over HTTP: ETag, If-None-Match, one Range, If-Range. Source: RFC 9110 §13, §14."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from aiohttp import hdrs, web

from server.problems import Problem, RefusedError

PART_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


async def send_bytes(request: web.Request, data: bytes, etag: str, content_type: str) -> web.StreamResponse:
    """Answer with a document that never changes under its name."""
    headers = _headers(etag)
    if _known(request, etag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=data, headers=headers, content_type=content_type)


async def send_file(request: web.Request, path: Path, etag: str, content_type: str) -> web.StreamResponse:
    """Answer with a file or the asked-for part of it.

    Raises:
        RefusedError: the range begins beyond the end.
    """
    headers = _headers(etag) | {hdrs.ACCEPT_RANGES: "bytes"}
    if _known(request, etag):
        return web.Response(status=304, headers=headers)
    size = await asyncio.to_thread(lambda: path.stat().st_size)
    part = wanted_part(request.headers.get(hdrs.RANGE, ""), size)
    if part is not None and request.headers.get(hdrs.IF_RANGE, f'"{etag}"') != f'"{etag}"':
        part = None
    first, after = part or (0, size)
    answer = web.StreamResponse(status=206 if part else 200, headers=headers)
    answer.content_type = content_type
    answer.content_length = after - first
    if part:
        answer.headers[hdrs.CONTENT_RANGE] = f"bytes {first}-{after - 1}/{size}"
    await answer.prepare(request)
    if request.method == "HEAD":
        return answer
    with path.open("rb") as file:
        file.seek(first)
        left = after - first
        while left > 0:
            chunk = await asyncio.to_thread(file.read, min(PART_BYTES, left))
            if not chunk:
                break
            left -= len(chunk)
            await answer.write(chunk)
    await answer.write_eof()
    return answer


def wanted_part(header: str, size: int) -> tuple[int, int] | None:
    """First byte and the one after the last, None for the whole; headers we do not read mean the whole.

    Raises:
        RefusedError: the range begins beyond the end.
    """
    found = _RANGE.fullmatch(header.strip())
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:
        length = int(found[2])
        if length == 0:
            raise RefusedError(Problem.RANGE, detail=f"{size}")
        return max(0, size - length), size
    first = int(found[1])
    if first >= size:
        raise RefusedError(Problem.RANGE, detail=f"{size}")
    last = min(int(found[2]), size - 1) if found[2] else size - 1
    return (first, last + 1) if last >= first else None


def _headers(etag: str) -> dict[str, str]:
    return {hdrs.ETAG: f'"{etag}"', hdrs.CACHE_CONTROL: "private, max-age=31536000, immutable"}


def _known(request: web.Request, etag: str) -> bool:
    held = request.headers.get(hdrs.IF_NONE_MATCH, "")
    return held.strip() == "*" or f'"{etag}"' in [one.strip().removeprefix("W/") for one in held.split(",")]
