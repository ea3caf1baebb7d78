"""Doors of the page of boards; what it changes goes through the operator's API."""

from __future__ import annotations

from aiohttp import web

from server.access import Access, csrf_token
from server.api.boundary import COOKIE
from server.api.route import Parameter, Route, Who
from server.boards import Boards
from server.clock import utc_now
from server.console import boards_page
from server.console.boards_page import Wall
from server.console.page import door
from server.console.routes import html, language_of
from server.console.words import Words
from server.media.gallery import Gallery
from server.station import PAGES, StationRules
from server.store.pictures import PICTURE, VIDEO

_LANGUAGE = (Parameter("lang", "vi or en"),)
_HTML = "text/html"
_PICTURES_SHOWN = 60


class BoardsPage:
    """Handlers of the page."""

    def __init__(
        self,
        *,
        access: Access,
        boards: Boards,
        gallery: Gallery,
        rules: StationRules,
        station: str,
    ) -> None:
        self._access = access
        self._boards = boards
        self._gallery = gallery
        self._rules = rules
        self._station = station

    def routes(self) -> list[Route]:
        """Every route of the page."""
        return [
            Route(
                "GET",
                "/console/boards",
                "The page of electronic boards",
                self.page,
                Who.ANYONE,
                response_type=_HTML,
                parameters=_LANGUAGE,
            ),
            Route(
                "GET",
                "/console/boards/now",
                "What boards show now, for the page",
                self.now,
                Who.SESSION,
                response_type=_HTML,
                parameters=_LANGUAGE,
            ),
        ]

    async def page(self, request: web.Request) -> web.StreamResponse:
        words = Words(language_of(request), utc_now())
        session = request.cookies.get(COOKIE, "")
        if not session or not await self._access.session_good(session):
            return html(door(words, words("not_entered")), 401)
        wall = Wall(
            boards=await self._boards.all(),
            takeovers=await self._boards.takeovers(),
            pages=await self._rules.get(PAGES),
            pictures=await self._gallery.recent(PICTURE, _PICTURES_SHOWN),
            videos=await self._gallery.recent(VIDEO, _PICTURES_SHOWN),
        )
        return html(boards_page.whole(words, self._station, wall, csrf_token(session)))

    async def now(self, request: web.Request) -> web.StreamResponse:
        words = Words(language_of(request), utc_now())
        return html(boards_page.now(words, await self._boards.all(), await self._boards.takeovers()))
