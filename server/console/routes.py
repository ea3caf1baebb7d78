"""Doors of the console: the one-time link, the page, its tables and its files."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from agent.model.text import Language
from server.access import SESSION_VALIDITY, Access, csrf_token
from server.api.boundary import COOKIE, address_of
from server.api.route import Parameter, Route, Who
from server.clock import utc_now
from server.console import page
from server.console.words import Words
from server.fleet import Fleet
from server.order_book import OrderAnswerRow, OrderBook
from server.problems import STATUS, Problem, RefusedError

_STATIC = Path(__file__).parent / "static"
_FILES = {
    "boards.css": "text/css",
    "boards.js": "text/javascript",
    "console.css": "text/css",
    "console.js": "text/javascript",
    "orders.css": "text/css",
    "orders.js": "text/javascript",
}
_AIRINGS_SHOWN = 30
_EMERGENCIES_SHOWN = 10
_LANGUAGE = (Parameter("lang", "vi or en"),)
_HTML = "text/html"


class Console:
    """Handlers of the console."""

    def __init__(
        self, access: Access, fleet: Fleet, station: str, *, secure: bool, book: OrderBook | None = None
    ) -> None:
        self._access = access
        self._fleet = fleet
        self._book = book
        self._station = station
        self._secure = secure

    def routes(self) -> list[Route]:
        """Every route of the console."""
        return [
            Route("GET", "/", "To the console", self.home, Who.ANYONE, status=303),
            Route(
                "GET",
                "/console/enter",
                "Use a one-time link",
                self.enter,
                Who.ANYONE,
                status=303,
                parameters=(Parameter("ticket", "from the link", required=True),),
                errors=(Problem.TICKET_REFUSED, Problem.TOO_MANY),
            ),
            Route(
                "GET",
                "/console",
                "The page",
                self.console,
                Who.ANYONE,
                response_type=_HTML,
                parameters=_LANGUAGE,
            ),
            Route(
                "GET",
                "/console/tables",
                "What changes on the page",
                self.tables,
                Who.SESSION,
                response_type=_HTML,
                parameters=_LANGUAGE,
            ),
            Route(
                "GET",
                "/console/static/{name}",
                "Style and script",
                self.static,
                Who.ANYONE,
                response_type="text/css",
                errors=(Problem.NOT_FOUND,),
            ),
        ]

    async def home(self, _: web.Request) -> web.StreamResponse:
        return _to_console()

    async def enter(self, request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":  # a chat program looking for a preview must not use up the link
            return web.Response()
        try:
            session = await self._access.enter(request.query.get("ticket", "")[:512], address_of(request))
        except RefusedError as error:
            words = Words(language_of(request), utc_now())
            return html(page.door(words, error.message[words.language]), STATUS[error.problem])
        answer = _to_console()
        answer.set_cookie(
            COOKIE,
            session,
            max_age=int(SESSION_VALIDITY.total_seconds()),
            httponly=True,
            samesite="Strict",
            secure=self._secure,
            path="/",
        )
        return answer

    async def console(self, request: web.Request) -> web.StreamResponse:
        words = Words(language_of(request), utc_now())
        session = request.cookies.get(COOKIE, "")
        if not session or not await self._access.session_good(session):
            return html(page.door(words, words("not_entered")), 401)
        return html(page.whole(words, self._station, await self._tables(words), csrf_token(session)))

    async def tables(self, request: web.Request) -> web.StreamResponse:
        return html(await self._tables(Words(language_of(request), utc_now())))

    async def static(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in _FILES:
            raise RefusedError(Problem.NOT_FOUND)
        body = (_STATIC / name).read_bytes()
        return web.Response(
            body=body, content_type=_FILES[name], charset="utf-8", headers={"Cache-Control": "no-cache"}
        )

    async def _tables(self, words: Words) -> str:
        boxes = await self._fleet.boxes()
        emergencies: list[OrderAnswerRow] = []
        if self._book is not None:
            emergencies = await self._book.recent(("emergency",), _EMERGENCIES_SHOWN, in_force=True)
        return page.tables(words, boxes, await self._fleet.airings(None, _AIRINGS_SHOWN), emergencies)


def language_of(request: web.Request) -> Language:
    """The language asked for; Vietnamese unless it is English."""
    return "en" if request.query.get("lang") == "en" else "vi"


def html(text: str, status: int = 200) -> web.Response:
    """A page."""
    return web.Response(text=text, status=status, content_type=_HTML, charset="utf-8")


def _to_console() -> web.Response:
    # 200 with a refresh would keep the ticket in the history; the browser forgets a redirected address.
    return web.Response(status=303, headers={"Location": "/console"})
