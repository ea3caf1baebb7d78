"""Live announcements over HTTP: officers bring the microphone, boxes fetch the sound."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from aiohttp import WebSocketError, WSCloseCode, WSMsgType, hdrs, web
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from agent.wire.base import DeviceId, Line, Moment, Ulid
from agent.wire.device_api import LIVE
from server.api.boundary import AUTHOR, CALLER, COOKIE
from server.api.models import Given, Group, Request
from server.api.operator import API
from server.api.route import Parameter, Route, Who, read_body
from server.live.announcements import Announcement, Announcements, LiveDraft
from server.live.encoder import Container
from server.live.limits import MESSAGE_BYTES
from server.live.session import EndReason, LiveSession, LiveState, Over
from server.problems import Problem, RefusedError, StoreFailedError
from server.reasons import Phrase
from server.secret import digest

logger = logging.getLogger(__name__)

STOP = "stop"
"""Text a browser sends after its last piece of sound."""

CLOSE_AGAIN = 4000
CLOSE_OVER = 4001
CLOSE_REPLACED = 4002
"""Close codes of the microphone: begin a new recording; it is over; another window has taken over."""

TELL_EVERY_S = 1.0
HEARTBEAT_S = 4.0
WRITE_LIMIT_S = 10.0
UNSENT_BYTES = 4096
"""Half a second: what waits beyond it waits with us, where the oldest can be left out."""


class LiveRequest(Request):
    """Who will speak, to whom, and for how long at most."""

    speaker: Annotated[Line, Field(min_length=1)]
    devices: tuple[DeviceId, ...] = Field(default=(), max_length=10_000)
    groups: tuple[Group, ...] = Field(default=(), max_length=1000)
    all: bool = False
    max_minutes: int = Field(default=10, ge=1, le=120)

    @model_validator(mode="after")
    def _somebody(self) -> LiveRequest:
        if not (self.devices or self.groups or self.all):
            raise PydanticCustomError("nobody", "names nobody: give devices, groups or all")
        return self


class LiveAnswer(Given):
    """One live announcement.

    Attributes:
        reason: why it is over, null while it is not.
        microphone: path of the WebSocket that takes the recording.
        grant: id of the signed order that told the boxes, null before.
        boxes: how many are meant.
        listening: how many are being sent the sound.
        sounding: how many measured themselves that it sounds.
    """

    id: Ulid
    speaker: Line
    state: Literal["waiting", "speaking", "lost", "ended"]
    reason: str | None
    expires: Moment
    left_s: float
    microphone: str
    grant: Ulid | None
    boxes: int
    listening: int
    sounding: int


class LiveList(Given):
    """Announcements under way."""

    live: list[LiveAnswer]


class LiveApi:
    """Handlers of live announcements.

    Args:
        announcements: keeps them.
        public_host: host (and port) under which a proxy shows the server, empty if there is none.
    """

    def __init__(self, announcements: Announcements, public_host: str = "") -> None:
        self._announcements = announcements
        self._public_host = public_host

    def routes(self) -> list[Route]:
        """Every route of live announcements."""
        return [
            Route(
                "POST",
                f"{API}/live",
                "Open a live announcement",
                self.start,
                request=LiveRequest,
                response=LiveAnswer,
                status=201,
                errors=(Problem.NO_TARGET, Problem.BUSY),
            ),
            Route("GET", f"{API}/live", "Live announcements under way", self.listing, response=LiveList),
            Route(
                "POST",
                f"{API}/live/{{id}}/stop",
                "End a live announcement",
                self.stop,
                response=LiveAnswer,
                errors=(Problem.NOT_FOUND,),
            ),
            Route(
                "GET",
                f"{API}/live/{{id}}/microphone",
                "WebSocket: the recording in pieces, from the browser that opened the announcement",
                self.microphone,
                status=101,
                parameters=(Parameter("type", "webm or mp4: what is recorded", required=True),),
                errors=(Problem.NOT_FOUND, Problem.FORBIDDEN, Problem.INVALID),
            ),
            Route(
                "GET",
                LIVE + "{id}",
                "The sound of a live announcement as it is spoken",
                self.sound,
                Who.DEVICE,
                response_type="audio/mpeg",
                errors=(Problem.NOT_FOUND,),
            ),
        ]

    async def start(self, request: web.Request) -> LiveAnswer:
        asked = await read_body(request, LiveRequest)
        draft = LiveDraft(asked.speaker, asked.devices, asked.groups, asked.all, asked.max_minutes)
        one = await self._announcements.start(draft, owner_of(request), AUTHOR.get())
        return await self._answer(one)

    async def listing(self, _: web.Request) -> LiveList:
        return LiveList(live=[await self._answer(one) for one in self._announcements.listing()])

    async def stop(self, request: web.Request) -> LiveAnswer:
        one = self._announcements.get(request.match_info["id"])
        one.session.end(EndReason.STOPPED)
        return await self._answer(one)

    async def microphone(self, request: web.Request) -> web.StreamResponse:
        self._refuse_foreign(request)
        one = self._announcements.get(request.match_info["id"])
        if one.owner != owner_of(request):
            raise RefusedError(Problem.FORBIDDEN)
        container = _container(request.query.get("type", ""))
        socket_ = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S, compress=False, max_msg_size=MESSAGE_BYTES, timeout=1.0
        )
        await socket_.prepare(request)
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(self._tell(socket_, one), name="live-tell")
            over = await one.session.speak(container, _pieces(socket_, one.session))
            telling.cancel()
        await self._say(socket_, one)
        code = {Over.REPLACED: CLOSE_REPLACED, Over.ENDED: CLOSE_OVER}.get(over, CLOSE_AGAIN)
        await socket_.close(code=CLOSE_OVER if one.session.reason else code)
        return socket_

    async def sound(self, request: web.Request) -> web.StreamResponse:
        device = CALLER.get()
        session = await self._announcements.for_box(request.match_info["id"], device)
        answer = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "audio/mpeg"})
        if request.method == hdrs.METH_HEAD:
            await answer.prepare(request)
            return answer
        with session.listen(device.id) as listener:
            _send_promptly(request)
            await answer.prepare(request)
            while (frames := await listener.get()) is not None:
                try:
                    async with asyncio.timeout(WRITE_LIMIT_S):
                        await answer.write(frames)
                except TimeoutError as error:
                    raise ConnectionError("box does not read") from error
            await answer.write_eof()
        return answer

    async def _answer(self, one: Announcement) -> LiveAnswer:
        audience, session = await self._announcements.audience(one), one.session
        return LiveAnswer(
            id=one.id,
            speaker=one.draft.speaker,
            state=session.state.value,
            reason=session.reason.value if session.reason else None,
            expires=one.expires,
            left_s=round(session.left_s, 1),
            microphone=f"{API}/live/{one.id}/microphone",
            grant=one.grant,
            boxes=audience.boxes,
            listening=audience.listening,
            sounding=audience.sounding,
        )

    async def _tell(self, socket_: web.WebSocketResponse, one: Announcement) -> None:
        while one.session.state is not LiveState.ENDED:
            await self._say(socket_, one)
            await asyncio.sleep(TELL_EVERY_S)

    async def _say(self, socket_: web.WebSocketResponse, one: Announcement) -> None:
        try:
            said = (await self._answer(one)).model_dump_json()
            async with asyncio.timeout(TELL_EVERY_S):
                await socket_.send_str(said)
        except (RefusedError, StoreFailedError) as error:
            logger.warning("live %s: how many listen is not known now: %s", one.id, error)
        except (ConnectionError, TimeoutError):
            logger.debug("live %s: the browser does not read", one.id)

    def _refuse_foreign(self, request: web.Request) -> None:
        """Browsers send cookies along with WebSockets of any page; only pages of ours may speak."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None and hdrs.AUTHORIZATION in request.headers:
            return
        if origin is None or urlsplit(origin).netloc.lower() not in {request.host.lower(), self._public_host}:
            raise RefusedError(Problem.FORBIDDEN)


def owner_of(request: web.Request) -> str:
    """Who makes a request, so that nobody else can bring the microphone; authority was checked before."""
    credential = request.headers.get(hdrs.AUTHORIZATION, "") or request.cookies.get(COOKIE, "")
    return digest(f"live:{credential}")


def _container(text: str) -> Container:
    try:
        return Container(text)
    except ValueError as error:
        why = Phrase("wrong.choice", {"field": "type", "choices": ", ".join(Container)})
        raise RefusedError(Problem.INVALID, "type", detail=why) from error


async def _pieces(socket_: web.WebSocketResponse, session: LiveSession) -> AsyncIterator[bytes]:
    """Binary messages as they come, until the browser stops, hangs up or sends too large a message."""
    async for message in socket_:
        if message.type is WSMsgType.BINARY:
            yield message.data
        elif message.type is WSMsgType.TEXT and message.data == STOP:
            session.end(EndReason.STOPPED)
        elif message.type is WSMsgType.ERROR and _too_big(message.data):
            session.end(EndReason.TOO_MUCH)


def _too_big(error: object) -> bool:
    return isinstance(error, WebSocketError) and error.code == WSCloseCode.MESSAGE_TOO_BIG


def _send_promptly(request: web.Request) -> None:
    """Let little wait in buffers below us, where old sound could not be left out."""
    transport = request.transport
    if transport is None:
        return
    transport.set_write_buffer_limits(high=UNSENT_BYTES)
    tcp = transport.get_extra_info("socket")
    if tcp is not None:
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
