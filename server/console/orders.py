"""Doors of the page of orders; what it changes goes through the operator's API."""

from __future__ import annotations

import asyncio
import json
import sqlite3

from aiohttp import web

from server.access import Access, csrf_token
from server.api.boundary import COOKIE
from server.api.route import Parameter, Route, Who
from server.clock import utc_now
from server.console import orders_page
from server.console.orders_page import Desk
from server.console.page import door
from server.console.routes import html, language_of
from server.console.words import Words
from server.fleet import Fleet
from server.order_book import OrderAnswerRow, OrderBook
from server.station import HOURS, PRIORITY, StationRules
from server.store import content
from server.store.database import Database

_LANGUAGE = (Parameter("lang", "vi or en"),)
_HTML = "text/html"
_MOST_IN_FORCE = 50
_BULLETINS_SHOWN = 10


class OrdersPage:
    """Handlers of the page."""

    def __init__(
        self,
        *,
        access: Access,
        fleet: Fleet,
        book: OrderBook,
        rules: StationRules,
        database: Database,
        station: str,
    ) -> None:
        self._access = access
        self._fleet = fleet
        self._book = book
        self._rules = rules
        self._database = database
        self._station = station

    def routes(self) -> list[Route]:
        """Every route of the page."""
        return [
            Route(
                "GET",
                "/console/orders",
                "The page of orders",
                self.page,
                Who.ANYONE,
                response_type=_HTML,
                parameters=_LANGUAGE,
            ),
            Route(
                "GET",
                "/console/orders/in-force",
                "Emergencies in force, for the page",
                self.in_force,
                Who.SESSION,
                response_type=_HTML,
                parameters=_LANGUAGE,
            ),
            Route(
                "GET",
                "/console/orders/bulletins",
                "Recent bulletins, for the page",
                self.bulletins,
                Who.SESSION,
                response_type=_HTML,
                parameters=_LANGUAGE,
            ),
        ]

    async def page(self, request: web.Request) -> web.StreamResponse:
        now = utc_now()
        words = Words(language_of(request), now)
        session = request.cookies.get(COOKIE, "")
        if not session or not await self._access.session_good(session):
            return html(door(words, words("not_entered")), 401)
        emergencies, bulletins = await self._emergencies(), await self._bulletins()
        desk = Desk(
            boxes=await self._fleet.boxes(),
            emergencies=emergencies,
            bulletins=bulletins,
            priority=await self._priority(bulletins),
            hours=await self._rules.get(HOURS),
        )
        return html(orders_page.whole(words, self._station, desk, csrf_token(session), now))

    async def in_force(self, request: web.Request) -> web.StreamResponse:
        words = Words(language_of(request), utc_now())
        return html(orders_page.in_force(words, await self._emergencies()))

    async def bulletins(self, request: web.Request) -> web.StreamResponse:
        now = utc_now()
        words = Words(language_of(request), now)
        return html(orders_page.bulletins(words, await self._bulletins(), now))

    async def _emergencies(self) -> list[OrderAnswerRow]:
        return await self._book.recent(("emergency",), _MOST_IN_FORCE, in_force=True)

    async def _bulletins(self) -> list[OrderAnswerRow]:
        return await self._book.recent(("bulletin",), _BULLETINS_SHOWN)

    async def _priority(self, bulletins: list[OrderAnswerRow]) -> list[tuple[tuple[str, ...], str]]:
        """Priority programmes of the schedules in force and priority bulletins, in the order set."""

        def read(conn: sqlite3.Connection) -> list[bytes]:
            wanted = {one.schedule_sha256 for one in content.all_current_desired(conn)}
            rows = (content.schedule_by_hash(conn, sha256) for sha256 in sorted(filter(None, wanted)))
            return [row.document for row in rows if row is not None]

        documents = await self._database.read(read)
        found = await asyncio.to_thread(priority_programmes, documents)
        now = utc_now()
        for one in bulletins:
            if one.body["class"] == "priority" and one.state(now) == "in_force":
                found.append((tuple(row.document.id for row in one.orders), one.body["parts"][0]["title"]))
        setting = await self._rules.get(PRIORITY)
        place = {name: n for n, name in enumerate(setting.value if setting else ())}
        return sorted(found, key=lambda item: min(place.get(name, len(place)) for name in item[0]))


def priority_programmes(documents: list[bytes]) -> list[tuple[tuple[str, ...], str]]:
    """Id and title of each priority programme, each id once."""
    found: dict[str, str] = {}
    for document in documents:
        for programme in json.loads(document)["programmes"]:
            if programme.get("class") == "priority":
                found.setdefault(programme["id"], programme["title"])
    return [((name,), title) for name, title in found.items()]
