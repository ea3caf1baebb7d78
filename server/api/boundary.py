"""The one boundary between requests and the server: authority, errors, headers, the access log."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Protocol

from aiohttp import hdrs, web
from pydantic import BaseModel

from server.access import csrf_good
from server.api.route import Route, Who
from server.problems import STATUS, Problem, RefusedError, StoreFailedError
from server.reasons import BODY, Phrase
from server.store.devices import Device

logger = logging.getLogger(__name__)

COOKIE = "tl_session"
CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
LONGEST_CREDENTIAL = 512
CALLER_LEFT = 499
"""Nobody is there to read it; for the log."""

CALLER: ContextVar[Device] = ContextVar("caller")
"""The box that makes the request under way; set on device routes only."""

AUTHOR: ContextVar[str] = ContextVar("author")
"""Who makes the request under way: an operator's name, or `console`; set on operators' routes only."""

CONSOLE = "console"

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Gate(Protocol):
    """Who somebody is."""

    async def operator(self, token: str, address: str) -> str | None: ...
    async def session_good(self, session: str) -> bool: ...
    async def feed(self, token: str, feed: str, address: str) -> str | None: ...


class DeviceGate(Protocol):
    """Which box somebody is."""

    async def authenticate(self, device: str, secret: str) -> Device | None: ...


RawHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def address_of(request: web.Request) -> str:
    """Where a request comes from, as the socket says; headers of proxies are not believed."""
    return request.remote or "unknown"


def guarded(route: Route, gate: Gate, device_gate: DeviceGate) -> RawHandler:
    """A route's handler with its authority checked and its answer turned into HTTP."""

    async def handle(request: web.Request) -> web.StreamResponse:
        match route.who:
            case Who.OPERATOR:
                await _require_operator(request, gate)
            case Who.SESSION:
                await _require_session(request, gate)
            case Who.DEVICE:
                CALLER.set(await _require_device(request, device_gate))
            case Who.FEED:
                await _require_feed(request, gate)
            case Who.ANYONE:
                pass
        answer = await route.handler(request)
        if isinstance(answer, BaseModel):
            return json_answer(answer, route.status)
        return answer

    return handle


def json_answer(model: BaseModel, status: int = 200) -> web.Response:
    """A model as JSON, with wire names."""
    text = model.model_dump_json(by_alias=True)
    return web.Response(text=text, status=status, content_type="application/json")


def problem_answer(error: RefusedError) -> web.Response:
    """A refusal as JSON: stable code, sentence in both languages, field."""
    body: dict[str, object] = {"error": error.problem.value, "message": error.message}
    if error.field:
        body["field"] = error.field
    answer = web.json_response(
        body, status=STATUS[error.problem], dumps=lambda value: json.dumps(value, ensure_ascii=False)
    )
    if error.retry_after_s is not None:
        answer.headers["Retry-After"] = str(error.retry_after_s)
    return answer


@web.middleware
async def boundary(request: web.Request, handler: RawHandler) -> web.StreamResponse:
    """Turn every outcome of a request into an answer; nothing beyond it sees an exception of ours."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    try:
        answer = await handler(request)
    except RefusedError as error:
        answer = problem_answer(error)
        if error.problem is Problem.NOT_AUTHORISED and request.path.startswith("/device/"):
            answer.headers[hdrs.WWW_AUTHENTICATE] = 'Basic realm="tieng-lang"'
    except web.HTTPException as error:
        answer = problem_answer(_of_http(error))
    except StoreFailedError as error:
        logger.error("%s %s put off: %s", request.method, request.path, error)  # noqa: TRY400 - expected
        answer = problem_answer(RefusedError(Problem.BUSY, retry_after_s=30))
    except ConnectionError:
        answer = web.Response(status=CALLER_LEFT)
    except Exception:  # the server's request boundary: a bug ends one request, not the service
        logger.exception("%s %s failed", request.method, request.path)
        answer = problem_answer(RefusedError(Problem.INTERNAL))
    logger.debug(
        "%s %s: %d in %.0f ms", request.method, request.path, answer.status, (loop.time() - began_s) * 1000
    )
    return answer


async def add_headers(_: web.Request, answer: web.StreamResponse) -> None:
    """Headers of every answer, streams included."""
    for name, value in SECURITY_HEADERS.items():
        answer.headers.setdefault(name, value)
    answer.headers.setdefault("Cache-Control", "no-store")
    answer.headers["Server"] = "tieng-lang"


def _of_http(error: web.HTTPException) -> RefusedError:
    match error.status:
        case 404:
            return RefusedError(Problem.NOT_FOUND)
        case 405:
            return RefusedError(Problem.METHOD)
        case 413:
            return RefusedError(Problem.TOO_LARGE)
        case _:
            why = Phrase("wrong.other", {"field": BODY, "detail": error.reason})
            return RefusedError(Problem.INVALID, detail=why)


async def _require_feed(request: web.Request, gate: Gate) -> None:
    token, feed = _bearer(request), request.match_info["feed"]
    name = await gate.feed(token, feed, address_of(request)) if token else None
    if name is None:
        raise RefusedError(Problem.NOT_AUTHORISED)
    AUTHOR.set(name)


def _bearer(request: web.Request) -> str:
    """The token a request carries, empty if it carries none that could be one."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    usable = scheme.lower() == "bearer" and len(token) <= LONGEST_CREDENTIAL and token.isascii()
    return token.strip() if usable else ""


async def _require_operator(request: web.Request, gate: Gate) -> None:
    token = _bearer(request)
    if token:
        name = await gate.operator(token, address_of(request))
        if name is None:
            raise RefusedError(Problem.NOT_AUTHORISED)
        AUTHOR.set(name)
        return
    await _require_session(request, gate)


async def _require_session(request: web.Request, gate: Gate) -> None:
    session = request.cookies.get(COOKIE, "")
    if not 0 < len(session) <= LONGEST_CREDENTIAL or not await gate.session_good(session):
        raise RefusedError(Problem.NOT_AUTHORISED)
    if request.method not in SAFE_METHODS and not csrf_good(session, request.headers.get(CSRF_HEADER, "")):
        raise RefusedError(Problem.FORBIDDEN)
    AUTHOR.set(CONSOLE)


async def _require_device(request: web.Request, gate: DeviceGate) -> Device:
    scheme, _, encoded = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "basic" or len(encoded) > LONGEST_CREDENTIAL:
        raise RefusedError(Problem.NOT_AUTHORISED)
    try:
        user, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise RefusedError(Problem.NOT_AUTHORISED) from error
    device = await gate.authenticate(user, secret) if colon else None
    if device is None:
        raise RefusedError(Problem.NOT_AUTHORISED)
    return device
