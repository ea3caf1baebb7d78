"""The side of the API that operators and the console use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta

from aiohttp import web

from agent.wire.schedule import ScheduleDocument
from server.access import Access
from server.api import models, views
from server.api.boundary import AUTHOR
from server.api.files import send_file
from server.api.route import MAX_SCHEDULE_DRAFT_BYTES, Parameter, Route, Who, number, read_body
from server.drafts import ScheduleDraft
from server.enrolment import Enrolment
from server.fleet import Fleet
from server.hub import Hub, News
from server.media.library import Library
from server.problems import Problem, RefusedError
from server.schedules import Schedules, Targets
from server.store import content
from server.store.database import Database
from server.version import version

API = "/api/v1"
KEEP_ALIVE_S = 15.0
LONGEST_TITLE = 300
_LIMIT = (Parameter("limit", "how many at most, 1 to 1000; 50 unless told"),)
_MEDIA_PROBLEMS = (
    Problem.MEDIA_EMPTY,
    Problem.MEDIA_NOT_AUDIO,
    Problem.MEDIA_CORRUPT,
    Problem.MEDIA_TRUNCATED,
    Problem.MEDIA_TOO_LONG,
    Problem.MEDIA_TOO_SHORT,
    Problem.TOO_LARGE,
    Problem.STORAGE_FULL,
    Problem.BUSY,
)


class OperatorApi:
    """Handlers of operators' requests."""

    def __init__(
        self,
        *,
        access: Access,
        enrolment: Enrolment,
        library: Library,
        schedules: Schedules,
        fleet: Fleet,
        hub: Hub,
        database: Database,
        broker_up: Callable[[], bool],
    ) -> None:
        self._access = access
        self._enrolment = enrolment
        self._library = library
        self._schedules = schedules
        self._fleet = fleet
        self._hub = hub
        self._database = database
        self._broker_up = broker_up

    def routes(self) -> list[Route]:
        """Every route of operators."""
        return [
            Route(
                "GET",
                "/healthz",
                "Whether the server works",
                self.healthz,
                Who.ANYONE,
                response=models.HealthAnswer,
            ),
            Route(
                "POST",
                f"{API}/enrolment-codes",
                "Make a code with which one box may join",
                self.make_code,
                request=models.CodeRequest,
                response=models.CodeAnswer,
                status=201,
            ),
            Route(
                "POST",
                f"{API}/console-tickets",
                "Make a link that opens the console once",
                self.make_ticket,
                response=models.TicketAnswer,
                status=201,
            ),
            Route(
                "POST",
                f"{API}/media",
                "Upload sound of any format",
                self.upload,
                request_type="application/octet-stream",
                response=models.MediaAnswer,
                status=201,
                parameters=(Parameter("title", "what people read"),),
                errors=(Problem.INVALID, *_MEDIA_PROBLEMS),
            ),
            Route(
                "GET", f"{API}/media", "Kept files", self.media, response=models.MediaList, parameters=_LIMIT
            ),
            Route(
                "GET",
                f"{API}/media/{{id}}",
                "One file, by id or SHA-256",
                self.one_media,
                response=models.MediaAnswer,
                errors=(Problem.NOT_FOUND,),
            ),
            Route(
                "GET",
                f"{API}/media/{{id}}/sound",
                "The finished sound",
                self.sound,
                response_type="audio/flac",
                errors=(Problem.NOT_FOUND, Problem.RANGE),
            ),
            Route(
                "POST",
                f"{API}/speech",
                "Make speech out of a text",
                self.speech,
                request=models.SpeechRequest,
                response=models.MediaAnswer,
                status=201,
                errors=(Problem.SPEECH_EMPTY, Problem.SPEECH_LANGUAGE, *_MEDIA_PROBLEMS),
            ),
            Route(
                "POST",
                f"{API}/schedules",
                "Keep a schedule as a new version",
                self.add_schedule,
                request=ScheduleDraft,
                response=models.ScheduleAnswer,
                status=201,
                errors=(Problem.SCHEDULE_INVALID, Problem.SCHEDULE_TOO_LARGE, Problem.MEDIA_UNKNOWN),
            ),
            Route(
                "GET",
                f"{API}/schedules/{{id}}",
                "A schedule as boxes get it",
                self.schedule,
                response=ScheduleDocument,
                errors=(Problem.NOT_FOUND,),
                parameters=(Parameter("version", "the newest unless told"),),
            ),
            Route(
                "POST",
                f"{API}/schedules/{{id}}/publish",
                "Sign a schedule for boxes and send it",
                self.publish,
                request=models.PublishRequest,
                response=models.PublishAnswer,
                errors=(Problem.NOT_FOUND, Problem.NO_TARGET),
            ),
            Route("GET", f"{API}/boxes", "Every box as known now", self.boxes, response=models.BoxList),
            Route(
                "GET",
                f"{API}/boxes/{{id}}",
                "One box as known now",
                self.box,
                response=models.BoxAnswer,
                errors=(Problem.NOT_FOUND,),
            ),
            Route(
                "GET",
                f"{API}/boxes/{{id}}/airings",
                "What one box played",
                self.box_airings,
                response=models.AiringList,
                parameters=_LIMIT,
                errors=(Problem.NOT_FOUND,),
            ),
            Route(
                "GET",
                f"{API}/boxes/{{id}}/events",
                "What happened at one box",
                self.box_events,
                response=models.EventList,
                parameters=_LIMIT,
                errors=(Problem.NOT_FOUND,),
            ),
            Route(
                "GET",
                f"{API}/boxes/{{id}}/watch",
                "Reports of one box as they arrive",
                self.watch_box,
                response_type="text/event-stream",
                errors=(Problem.NOT_FOUND, Problem.BUSY),
            ),
            Route(
                "GET",
                f"{API}/watch",
                "Reports of all boxes as they arrive",
                self.watch,
                response_type="text/event-stream",
                errors=(Problem.BUSY,),
            ),
            Route(
                "GET",
                f"{API}/airings",
                "What was played",
                self.airings,
                response=models.AiringList,
                parameters=_LIMIT,
            ),
        ]

    async def healthz(self, _: web.Request) -> models.HealthAnswer:
        await self._database.read(lambda conn: conn.execute("SELECT 1").fetchone())
        up = self._broker_up()
        return models.HealthAnswer(status="ok" if up else "degraded", broker=up, version=version())

    async def make_code(self, request: web.Request) -> models.CodeAnswer:
        asked = await read_body(request, models.CodeRequest)
        text, code = await self._enrolment.make_code(
            asked.name, asked.groups, timedelta(minutes=asked.minutes)
        )
        return models.CodeAnswer(code=text, expires=code.expires)

    async def make_ticket(self, _: web.Request) -> models.TicketAnswer:
        ticket, expires = await self._access.make_ticket()
        return models.TicketAnswer(path=f"/console/enter?ticket={ticket}", expires=expires)

    async def upload(self, request: web.Request) -> models.MediaAnswer:
        title = views.clean_line(request.query.get("title", ""), "title")
        row = await self._library.upload(request.content.iter_chunked(256 * 1024), title)
        return views.media(row)

    async def speech(self, request: web.Request) -> models.MediaAnswer:
        asked = await read_body(request, models.SpeechRequest)
        return views.media(
            await self._library.speech(asked.text, asked.language, asked.title or asked.text[:80])
        )

    async def media(self, request: web.Request) -> models.MediaList:
        limit = number(request, "limit", 50, 1, 1000)
        rows = await self._database.read(lambda conn: content.list_media(conn, limit))
        return models.MediaList(media=[views.media(row) for row in rows])

    async def one_media(self, request: web.Request) -> models.MediaAnswer:
        return views.media(await self._media_row(request))

    async def sound(self, request: web.Request) -> web.StreamResponse:
        row = await self._media_row(request)
        return await send_file(request, self._library.path(row.sha256), row.sha256, "audio/flac")

    async def add_schedule(self, request: web.Request) -> models.ScheduleAnswer:
        draft = await read_body(request, ScheduleDraft, MAX_SCHEDULE_DRAFT_BYTES)
        return views.schedule(await self._schedules.add(draft))

    async def schedule(self, request: web.Request) -> web.StreamResponse:
        row = await self._schedules.get(request.match_info["id"], _version(request))
        return web.Response(
            body=row.document, content_type="application/json", headers={"ETag": f'"{row.sha256}"'}
        )

    async def publish(self, request: web.Request) -> models.PublishAnswer:
        asked = await read_body(request, models.PublishRequest)
        name = request.match_info["id"]
        issued = await self._schedules.publish(
            name, asked.version, Targets(asked.devices, asked.groups, asked.all), AUTHOR.get()
        )
        first = issued[0].document
        return models.PublishAnswer(
            version=first.schedule_version or 0,
            sha256=first.schedule_sha256 or "",
            documents=[
                models.DocumentAnswer(
                    device=one.device, id=one.document.id, seq=one.document.seq, pushed=one.pushed
                )
                for one in issued
            ],
        )

    async def boxes(self, _: web.Request) -> models.BoxList:
        return models.BoxList(boxes=[views.box(one) for one in await self._fleet.boxes()])

    async def box(self, request: web.Request) -> models.BoxAnswer:
        return views.box(await self._fleet.box(request.match_info["id"]))

    async def box_airings(self, request: web.Request) -> models.AiringList:
        return await self._airings(request, request.match_info["id"])

    async def airings(self, request: web.Request) -> models.AiringList:
        return await self._airings(request, None)

    async def box_events(self, request: web.Request) -> models.EventList:
        limit = number(request, "limit", 50, 1, 1000)
        return models.EventList(events=await self._fleet.events(request.match_info["id"], limit))

    async def watch_box(self, request: web.Request) -> web.StreamResponse:
        box = await self._fleet.box(request.match_info["id"])
        return await self._stream(request, box.device.id)

    async def watch(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, None)

    async def _airings(self, request: web.Request, device: str | None) -> models.AiringList:
        limit = number(request, "limit", 50, 1, 1000)
        names = {one.device.id: one.device.name for one in await self._fleet.boxes()}
        found = await self._fleet.airings(device, limit)
        return models.AiringList(
            airings=[
                models.AiringAnswer(device=one, name=names.get(one, ""), report=report)
                for one, report in found
            ]
        )

    async def _stream(self, request: web.Request, device: str | None) -> web.StreamResponse:
        with self._hub.watch() as queue:
            answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await answer.prepare(request)
            await answer.write(b": watching\n\n")
            while True:
                try:
                    async with asyncio.timeout(KEEP_ALIVE_S):
                        news = await queue.get()
                except TimeoutError:
                    await answer.write(b": still here\n\n")
                    continue
                if news is None:
                    return answer
                if device in (None, news.device) or news.kind == "missed":
                    await answer.write(_event(news))

    async def _media_row(self, request: web.Request) -> content.MediaRow:
        key = request.match_info["id"]
        row = await self._database.read(lambda conn: content.find_media(conn, key))
        if row is None:
            raise RefusedError(Problem.NOT_FOUND)
        return row


def _event(news: News) -> bytes:
    data = f'{{"device": {json.dumps(news.device)}, "report": {news.body}}}'
    return f"event: {news.kind}\ndata: {data}\n\n".encode()


def _version(request: web.Request) -> int | None:
    return number(request, "version", 1, 1, 2**31) if "version" in request.query else None
