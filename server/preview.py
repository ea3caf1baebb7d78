"""Previews of pages, drawn by the boards' own code, `agent.signage.preview`, in a child process."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
import logging
import sys
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from server.board_drafts import PreviewDraft
from server.clock import utc_now
from server.leash import command
from server.media.gallery import Gallery
from server.problems import Problem, RefusedError
from server.reasons import Phrase
from server.store.pictures import PICTURE, VIDEO

logger = logging.getLogger(__name__)

LIMIT_S = 40.0
CPU_S = 35
WAITING = 8
MOST_PICTURE_BYTES = 16 * 1024 * 1024
REMEMBERED_BYTES = 48 * 1024 * 1024
"""Pictures a page may still ask for, all together."""

CHILD = ("-P", "-m", "agent.signage.preview")
_REFUSED = 2


@dataclass(frozen=True, slots=True)
class Drawn:
    """A preview.

    Attributes:
        screens: how many the page has.
        problems: what the board cannot show as wished, as `code detail`.
        reduced: smaller than the board, or not all of it.
    """

    data: bytes
    content_type: str
    sha256: str
    screens: int
    problems: tuple[str, ...]
    reduced: bool


class Previewer:
    """Draws one preview after the other.

    Args:
        gallery: where pictures of pages are.
        station: name of the commune, for clocks and headings.
        themes: folder of themes a commune made itself.
    """

    def __init__(self, gallery: Gallery, station: str, themes: Path) -> None:
        self._gallery = gallery
        self._station = station
        self._themes = themes
        self._one = asyncio.Semaphore(1)
        self._under_way = 0
        self._kept: OrderedDict[str, Drawn] = OrderedDict()

    async def draw(self, draft: PreviewDraft) -> Drawn:
        """Draw a page.

        Raises:
            RefusedError: a picture that is not kept, an unknown theme, a page that cannot be drawn or takes
                too long, or too many previews at once.
        """
        if self._under_way >= WAITING:
            raise RefusedError(Problem.BUSY, retry_after_s=10)
        self._under_way += 1
        try:
            asked = await self._request(draft, utc_now())
            async with self._one:
                status, out, log = await _child(json.dumps(asked, ensure_ascii=False).encode())
        finally:
            self._under_way -= 1
        drawn = _read(status, out, log, "image/gif" if draft.form == "gif" else "image/png")
        self._keep(drawn)
        return drawn

    def kept(self, sha256: str) -> Drawn:
        """A preview drawn a moment ago, by its hash.

        Raises:
            RefusedError: it is no longer known.
        """
        drawn = self._kept.get(sha256)
        if drawn is None:
            raise RefusedError(Problem.NOT_FOUND)
        return drawn

    def _keep(self, drawn: Drawn) -> None:
        self._kept[drawn.sha256] = drawn
        self._kept.move_to_end(drawn.sha256)
        while len(self._kept) > 1 and sum(len(one.data) for one in self._kept.values()) > REMEMBERED_BYTES:
            self._kept.popitem(last=False)

    async def _request(self, draft: PreviewDraft, now: datetime) -> dict[str, Any]:
        page = draft.page
        assets: dict[str, str] = {}
        if page.picture is not None:
            try:
                row = await self._gallery.find(page.picture, PICTURE)
            except RefusedError as error:
                raise RefusedError(Problem.PICTURE_UNKNOWN, "page.picture", detail=page.picture) from error
            assets[row.sha256] = str(self._gallery.path(row))
        shown = next(iter(assets), "")
        if page.video is not None:
            try:
                row = await self._gallery.find(page.video, VIDEO)
            except RefusedError as error:
                raise RefusedError(Problem.PICTURE_UNKNOWN, "page.video", detail=page.video) from error
            assets[row.sha256] = str(self._gallery.path(row))
        said: dict[str, Any] = {
            "id": page.id or "trang",
            "kind": draft.kind.value,
            "title": page.title,
            "text": page.text,
            "ticker": page.ticker,
            "language": page.language,
            "event": draft.event,
            "picture": shown,
            "video": page.video or page.stream,
            "qr": page.qr,
            "weather": page.weather,
            "dwell_s": page.dwell_s,
            "template": page.template,
        }
        return {
            "document": {
                "board": draft.board.model_dump(),
                "facts": {"station": self._station},
                "page": [said],
            },
            "form": draft.form,
            "now": (draft.now or now).isoformat(),
            "theme": await asyncio.to_thread(self._theme, draft.theme),
            "assets": assets,
        }

    def _theme(self, name: str) -> str:
        if not name:
            return ""
        for folder in (self._themes, _built_in_themes()):
            if folder is not None and (path := folder / f"{name}.toml").is_file():
                return str(path)
        raise RefusedError(Problem.INVALID, "theme", detail=Phrase("wrong.theme", {"field": "theme"}))


def _built_in_themes() -> Path | None:
    spec = importlib.util.find_spec("agent")
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places))) / "signage" / "themes" if places else None


async def _child(asked: bytes) -> tuple[int, bytes, bytes]:
    """Status, output and words of the child; killed when it takes too long or gives too much."""
    child = await asyncio.create_subprocess_exec(
        *command(sys.executable, *CHILD, cpu_s=CPU_S),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    if child.stdin is None or child.stdout is None or child.stderr is None:
        raise RuntimeError("started without pipes")
    try:
        async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as group:
            group.create_task(_feed(child.stdin, asked))
            out = group.create_task(_read_all(child.stdout, MOST_PICTURE_BYTES))
            log = group.create_task(_read_all(child.stderr, 64 * 1024))
            status = await child.wait()
    except TimeoutError:
        return -9, b"", b""
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return status, out.result(), log.result()


async def _feed(stream: asyncio.StreamWriter, data: bytes) -> None:
    try:
        stream.write(data)
        await stream.drain()
        stream.close()
    except (BrokenPipeError, ConnectionResetError):  # its status says why it left
        return


async def _read_all(stream: asyncio.StreamReader, most: int) -> bytes:
    """What a stream gives, cut at `most` bytes; read to its end, so that the child is not stopped by it."""
    kept = bytearray()
    while part := await stream.read(65536):
        kept += part[: most + 1 - len(kept)]
    return bytes(kept)


def _read(status: int, out: bytes, log: bytes, content_type: str) -> Drawn:
    try:
        said = json.loads(log.decode(errors="replace").strip().splitlines()[-1])
        problems = tuple(str(one)[:300] for one in said["problems"])[:20]
        screens, reduced = int(said.get("screens", 0)), bool(said.get("reduced"))
    except (ValueError, KeyError, TypeError, IndexError):
        problems, screens, reduced = (), 0, False
    if status == _REFUSED:
        raise RefusedError(Problem.PREVIEW_FAILED, "page", detail="; ".join(problems)[:500])
    if status != 0 or not out or len(out) > MOST_PICTURE_BYTES:
        logger.warning("preview ended with status %d: %s", status, log[-500:].decode(errors="replace"))
        raise RefusedError(Problem.PREVIEW_FAILED, "page", detail=Phrase("boards.preview_slow"))
    return Drawn(out, content_type, hashlib.sha256(out).hexdigest(), screens, problems, reduced)
