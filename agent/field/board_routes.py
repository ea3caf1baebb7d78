"""The part of the local API about boards."""

from __future__ import annotations

import base64

from aiohttp import web

from agent.field.boards import BoardHands
from agent.field.peer import local_user
from agent.field.requests import board_of, board_request, read_body
from agent.field.views import to_json


class BoardRoutes:
    """Handlers; what changes something says in the audit who asked."""

    def __init__(self, boards: BoardHands, timezone: str) -> None:
        self._boards = boards
        self._timezone = timezone

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/boards", self._info)
        app.router.add_post("/board", self._change)
        app.router.add_get("/board/screenshot", self._screenshot)

    async def _info(self, _request: web.Request) -> web.Response:
        return web.json_response({"timezone": self._timezone, "boards": to_json(self._boards.info())})

    async def _change(self, request: web.Request) -> web.Response:
        asked = board_request(read_body(await request.read()), self._boards.names)
        by = await local_user(request.transport)
        answer: dict[str, object] = {
            "action": asked.action,
            "board": asked.board,
            "timezone": self._timezone,
        }
        if asked.action == "pattern":
            until = await self._boards.pattern(asked.board, asked.pattern, asked.minutes, by)
            answer |= {"pattern": asked.pattern, "until": to_json(until)}
        elif asked.action == "module":
            dead = await self._boards.module(asked.board, asked.row, asked.column, dead=asked.dead, by=by)
            answer |= {
                "row": asked.row,
                "column": asked.column,
                "dead": asked.dead,
                "dead_modules": list(dead),
            }
        else:
            await self._boards.end_pattern(asked.board, by)
        return web.json_response(answer)

    async def _screenshot(self, request: web.Request) -> web.Response:
        board = board_of(request.query.get("board", ""), self._boards.names)
        shot = await self._boards.screenshot(board)
        return web.json_response(
            {
                "board": board,
                "page": shot.page,
                "sha256": shot.sha256,
                "width_px": shot.width_px,
                "height_px": shot.height_px,
                "png": base64.b64encode(shot.png).decode(),
            }
        )
