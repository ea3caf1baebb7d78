"""The operator's routes of electronic boards: pages, what is shown, the proof of it, previews."""

from __future__ import annotations

import hashlib
import json
from urllib.parse import quote

from aiohttp import web

from agent.wire.ulid import is_ulid
from server.api import board_models as models
from server.api.boundary import AUTHOR
from server.api.files import send_bytes
from server.api.route import Parameter, Route, number, read_body
from server.board_drafts import BoardPagesDraft, PreviewDraft
from server.boards import Boards, BoardState, ScreenRow
from server.preview import Drawn, Previewer
from server.problems import Problem, RefusedError
from server.reasons import Phrase
from server.station import PAGES, StationRules
from server.store.settings import Setting

API = "/api/v1"
_HASH_LENGTH = 64
_PNG = "image/png"


class BoardsApi:
    """Handlers of requests about boards."""

    def __init__(self, boards: Boards, rules: StationRules, previewer: Previewer) -> None:
        self._boards = boards
        self._rules = rules
        self._previewer = previewer

    def routes(self) -> list[Route]:
        """Every route about boards; takeovers are orders like others."""
        return [
            Route(
                "GET",
                f"{API}/board-pages",
                "Pages of the boards",
                self.pages,
                response=models.BoardPagesAnswer,
            ),
            Route(
                "PUT",
                f"{API}/board-pages",
                "Replace the pages of the boards",
                self.set_pages,
                request=BoardPagesDraft,
                response=models.BoardPagesAnswer,
                errors=(Problem.PICTURE_UNKNOWN, Problem.CHANGED_MEANWHILE),
            ),
            Route("GET", f"{API}/boards", "What every board shows", self.all, response=models.BoardList),
            Route(
                "GET",
                f"{API}/boxes/{{id}}/boards/{{board}}/picture",
                "The newest picture that is kept of what a board shows: thumbnail or screenshot",
                self.picture,
                response_type=_PNG,
                parameters=(Parameter("at", "not read; makes the address another one for another picture"),),
                errors=(Problem.NOT_FOUND,),
            ),
            Route(
                "GET",
                f"{API}/boxes/{{id}}/screens",
                "What the boards of one box showed, newest first",
                self.screens,
                response=models.ScreenList,
                parameters=(
                    Parameter("limit", "how many at most, 1 to 500; 50 unless told"),
                    Parameter("board", "only this board"),
                    Parameter("before", "only what is older than the report of this id"),
                ),
                errors=(Problem.NOT_FOUND, Problem.INVALID),
            ),
            Route(
                "GET",
                f"{API}/boxes/{{id}}/screens/{{report}}/picture",
                "Thumbnail of one screen report",
                self.screen_picture,
                response_type=_PNG,
                errors=(Problem.NOT_FOUND,),
            ),
            Route(
                "GET",
                f"{API}/jobs/{{id}}/boxes/{{box}}/picture",
                "What a screenshot job brought from one box",
                self.screenshot,
                response_type=_PNG,
                errors=(Problem.NOT_FOUND,),
            ),
            Route(
                "POST",
                f"{API}/board-preview",
                "Draw a page as a board would show it; X-Preview says what it could not show",
                self.preview,
                request=PreviewDraft,
                response_type="image/*",
                errors=(Problem.PICTURE_UNKNOWN, Problem.PREVIEW_FAILED, Problem.BUSY),
            ),
            Route(
                "GET",
                f"{API}/board-previews/{{sha256}}",
                "A preview drawn a moment ago",
                self.kept_preview,
                response_type="image/*",
                errors=(Problem.NOT_FOUND,),
            ),
        ]

    async def pages(self, _: web.Request) -> models.BoardPagesAnswer:
        return _pages(await self._rules.get(PAGES))

    async def set_pages(self, request: web.Request) -> models.BoardPagesAnswer:
        draft = await read_body(request, BoardPagesDraft)
        return _pages(await self._rules.set_pages(draft, AUTHOR.get()))

    async def all(self, _: web.Request) -> models.BoardList:
        return models.BoardList(boards=[_board(one) for one in await self._boards.all()])

    async def picture(self, request: web.Request) -> web.StreamResponse:
        data = await self._boards.picture(request.match_info["id"], request.match_info["board"])
        return await send_bytes(request, data, hashlib.sha256(data).hexdigest(), _PNG)

    async def screens(self, request: web.Request) -> models.ScreenList:
        device, limit = request.match_info["id"], number(request, "limit", 50, 1, 500)
        before = request.query.get("before")
        if before is not None and not is_ulid(before):
            raise RefusedError(
                Problem.INVALID,
                "before",
                detail=Phrase("wrong.pattern", {"field": "before", "pattern": "ULID"}),
            )
        rows = await self._boards.screens(device, limit + 1, board=request.query.get("board"), before=before)
        more = len(rows) > limit
        rows = rows[:limit]
        return models.ScreenList(
            screens=[_screen(device, one) for one in rows], next=rows[-1].report.id if more else None
        )

    async def screen_picture(self, request: web.Request) -> web.StreamResponse:
        device, report = request.match_info["id"], request.match_info["report"]
        return await send_bytes(request, await self._boards.screen_picture(device, report), report, _PNG)

    async def screenshot(self, request: web.Request) -> web.StreamResponse:
        job, device = request.match_info["id"], request.match_info["box"]
        if not is_ulid(job):
            raise RefusedError(Problem.NOT_FOUND)
        data = await self._boards.screenshot(job, device)
        return web.Response(body=data, content_type=_PNG)

    async def preview(self, request: web.Request) -> web.StreamResponse:
        return _drawn(await self._previewer.draw(await read_body(request, PreviewDraft)))

    async def kept_preview(self, request: web.Request) -> web.StreamResponse:
        return _drawn(self._previewer.kept(request.match_info["sha256"][:_HASH_LENGTH]))


def _drawn(drawn: Drawn) -> web.Response:
    said = {"problems": drawn.problems, "screens": drawn.screens, "reduced": drawn.reduced}
    headers = {
        "Content-Location": f"{API}/board-previews/{drawn.sha256}",
        "X-Preview": json.dumps(said),
    }
    return web.Response(body=drawn.data, content_type=drawn.content_type, headers=headers)


def _pages(setting: Setting | None) -> models.BoardPagesAnswer:
    if setting is None:
        return models.BoardPagesAnswer(pages=[], version=0, author="", changed=None)
    return models.BoardPagesAnswer(
        pages=setting.value, version=setting.version, author=setting.author, changed=setting.changed
    )


def _board(one: BoardState) -> models.BoardAnswer:
    device = one.box.device
    return models.BoardAnswer(
        box=device.id,
        box_name=device.name,
        online=one.box.online,
        at=one.at,
        board=one.board,
        issues=list(one.issues),
        takeover=one.takeover,
        picture=picture_path(one),
        pictured=one.picture,
    )


def picture_path(one: BoardState) -> str | None:
    """Where a picture of what a board shows is, None if none is kept."""
    if one.picture is None:
        return None
    place = f"{API}/boxes/{one.box.device.id}/boards/{quote(one.board.board, safe='')}/picture"
    return f"{place}?at={one.picture.timestamp():.0f}"


def _screen(device: str, row: ScreenRow) -> models.ScreenAnswer:
    path = f"{API}/boxes/{device}/screens/{row.report.id}/picture"
    return models.ScreenAnswer(report=row.report, picture=path if row.thumbnail else None)
