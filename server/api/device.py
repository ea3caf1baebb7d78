"""The side of the API that boxes use; paths and messages are those of `agent.wire.device_api`."""

from __future__ import annotations

import sqlite3

from aiohttp import web

from agent.wire.device_api import (
    DOCUMENTS,
    ENROL,
    HEARTBEAT,
    MEDIA,
    SCHEDULES,
    BrokerAddress,
    EnrolAnswer,
    EnrolRequest,
    HeartbeatAnswer,
    HeartbeatRequest,
)
from server.api.boundary import CALLER, address_of
from server.api.files import send_bytes, send_file
from server.api.route import Parameter, Route, Who, read_body
from server.clock import utc_now
from server.enrolment import Enrolment
from server.intake import Intake
from server.media.gallery import Gallery
from server.media.library import Library
from server.order_book import OrderBook
from server.problems import Problem, RefusedError
from server.store import content, orders
from server.store.database import Database

_EVERY_ADDRESS = {"0.0.0.0", "::", ""}  # noqa: S104 - a comparison
_RANGE = (Parameter("Range", "one range of bytes", "header"),)


class DeviceApi:
    """Handlers of boxes' requests."""

    def __init__(
        self,
        *,
        enrolment: Enrolment,
        intake: Intake,
        library: Library,
        gallery: Gallery,
        book: OrderBook,
        database: Database,
        broker: BrokerAddress,
        public_host: str,
    ) -> None:
        self._enrolment = enrolment
        self._intake = intake
        self._library = library
        self._gallery = gallery
        self._book = book
        self._database = database
        self._broker = broker
        self._public_host = public_host

    def routes(self) -> list[Route]:
        """Every route of boxes."""
        return [
            Route(
                "POST",
                ENROL,
                "Join with a code",
                self.enrol,
                Who.ANYONE,
                request=EnrolRequest,
                response=EnrolAnswer,
                errors=(Problem.CODE_REFUSED, Problem.TOO_MANY),
            ),
            Route(
                "POST",
                HEARTBEAT,
                "Tell health, learn what to hold",
                self.heartbeat,
                Who.DEVICE,
                request=HeartbeatRequest,
                response=HeartbeatAnswer,
            ),
            Route(
                "GET",
                DOCUMENTS + "{id}",
                "A signed order for this box",
                self.document,
                Who.DEVICE,
                response_type="application/json",
                errors=(Problem.NOT_FOUND,),
            ),
            Route(
                "GET",
                SCHEDULES + "{sha256}",
                "A schedule given to this box",
                self.schedule,
                Who.DEVICE,
                response_type="application/json",
                errors=(Problem.NOT_FOUND,),
            ),
            Route(
                "GET",
                MEDIA + "{sha256}",
                "A sound, picture or video given to this box",
                self.media,
                Who.DEVICE,
                response_type="audio/flac",
                parameters=_RANGE,
                errors=(Problem.NOT_FOUND, Problem.RANGE),
            ),
        ]

    async def enrol(self, request: web.Request) -> EnrolAnswer:
        asked = await read_body(request, EnrolRequest)
        return await self._enrolment.enrol(asked, address_of(request), self._broker_for(request))

    async def heartbeat(self, request: web.Request) -> HeartbeatAnswer:
        asked = await read_body(request, HeartbeatRequest)
        device = CALLER.get()
        received = await self._intake.heartbeat(device.id, asked)
        return HeartbeatAnswer(at=utc_now(), hold=await self._book.held(device), received=received)

    async def document(self, request: web.Request) -> web.StreamResponse:
        device, name = CALLER.get(), request.match_info["id"]
        envelope = await self._book.document(device, name)
        if envelope is None:
            raise RefusedError(Problem.NOT_FOUND)
        return await send_bytes(request, envelope, name, "application/json")

    async def schedule(self, request: web.Request) -> web.StreamResponse:
        sha256 = await self._given(request, "schedule")
        row = await self._database.read(lambda conn: content.schedule_by_hash(conn, sha256))
        if row is None:
            raise RefusedError(Problem.NOT_FOUND)
        return await send_bytes(request, row.document, sha256, "application/json")

    async def media(self, request: web.Request) -> web.StreamResponse:
        sha256 = await self._given(request, "media")
        path, content_type = self._library.path(sha256), "audio/flac"
        if not path.is_file():
            row = await self._gallery.find(sha256)
            path, content_type = self._gallery.path(row), row.content_type
        return await send_file(request, path, sha256, content_type)

    async def _given(self, request: web.Request, kind: str) -> str:
        """The hash asked for, if this box may have it; otherwise it does not exist for it."""
        device, sha256, now = CALLER.get(), request.match_info["sha256"], utc_now()

        def may(conn: sqlite3.Connection) -> bool:
            return content.was_given(conn, device.id, kind, sha256, now) or (
                kind == "media" and orders.media_in_order(conn, device, sha256, now)
            )

        if not await self._database.read(may):
            raise RefusedError(Problem.NOT_FOUND)
        return sha256

    def _broker_for(self, request: web.Request) -> BrokerAddress:
        """The broker under a name the box can reach: it asked us under one."""
        if self._broker.host not in _EVERY_ADDRESS:
            return self._broker
        return self._broker.model_copy(update={"host": self._public_host or request.url.host or "127.0.0.1"})
