"""The local API: HTTP over a Unix socket, for `loa` and the technician beside the box. Never TCP.

- `GET /status`              BoxStatus
- `GET /plan?hours=24`       PlanView, 0 < hours <= 336
- `GET /play-log?limit=50`   `{"timezone": ..., "entries": [PlayLogEntry, ...]}`, newest first;
  1 <= limit <= 500
- `GET /why`                 WhyView
- `GET /version`             `{"version": ..., "api": 1}`
- `POST /safety`             `{"action": "stop"|"release", "zones": [...], "minutes": 1..240}`; no zones: all
- `POST /control`            `{"action": ..., "zone": ...}` with `volume_db` (volume) or `minutes` (pause);
  actions: volume stop next pause resume restart_worker reset_amplifier reboot; no zone: all
- `GET /priorities`          `{"timezone": ..., "priorities": [PriorityEntry, ...]}`
- `PUT /priorities`          `{"ids": [...]}`; answers as GET
- `GET /boards`              `{"timezone": ..., "boards": [BoardInfo, ...]}`
- `POST /board`              `{"action": "pattern", "board": ..., "pattern": ..., "minutes": 1..60}`,
  `{"action": "end_pattern", ...}`, `{"action": "module", ..., "row": 1, "column": 1, "state": "dead"|"ok"}`;
  the board may be left out if there is only one
- `GET /board/screenshot?board=`  `{"board": ..., "page": ..., "sha256": ..., "png": <base64>, ...}`
- `POST /test`               `{"kind": ..., "zone": ...}`; answers with lines of JSON:
  `{"progress": Progress}` while it runs, at the end `{"result": Finding}` or `{"error": "..."}`

Errors answer `{"error": "..."}` with status 400 (a wrong query, or a body with `code`, `field` and
`allowed`), 404, 409 (the box declines, with `code`), 413, 503 (a part of the box does not answer). Who may
talk is decided by the file mode: owner and group; who did is known from the socket and kept for the audit.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, TypeVar

from aiohttp import web

from agent.errors import AgentError, Retry
from agent.field.board_routes import BoardRoutes
from agent.field.boards import BoardHands
from agent.field.controls import ControlRefusedError, Controls
from agent.field.hands import Hands
from agent.field.requests import MAX_BODY_BYTES, RequestError
from agent.field.selftest import SelfTest
from agent.field.views import BoxStatus, PlanView, PlayLogEntry, WhyView, to_json

logger = logging.getLogger(__name__)
T = TypeVar("T")

SOCKET_NAME = "loa.sock"
API_VERSION = 1
MAX_HOURS = 336.0
MAX_LIMIT = 500
ANSWER_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 1.0
_BACKLOG = 16


class Box(Protocol):
    """What the field API asks of the box."""

    def status(self) -> BoxStatus:
        """The box as it is now, from memory."""
        ...

    def why(self) -> WhyView:
        """Why each zone sounds or does not, from memory."""
        ...

    async def plan(self, hours: float) -> PlanView:
        """What each zone plays in the next `hours`, and what it missed lately."""
        ...

    async def play_log(self, limit: int) -> tuple[PlayLogEntry, ...]:
        """The last `limit` airings, newest first."""
        ...


class FieldSocketError(AgentError):
    """The local socket cannot be opened."""

    retry = Retry.LATER

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path}: {problem}")


class FieldServer:
    """Supporting service: answers on `<runtime_dir>/loa.sock`, mode 0660.

    Args:
        box: what is read.
        runtime_dir: where the socket is.
        controls: what can be done by hand; with None the box can only be read.
        self_test: the on-site tests; needed together with `controls`.
        boards: the boards of the box; with None nothing about them is answered.
    """

    name = "field"

    def __init__(
        self,
        box: Box,
        runtime_dir: Path,
        controls: Controls | None = None,
        self_test: SelfTest | None = None,
        boards: BoardHands | None = None,
    ) -> None:
        self._box = box
        self._controls = controls
        self._self_test = self_test
        self._boards = boards
        self.path = runtime_dir / SOCKET_NAME

    async def run(self) -> None:
        """Answer until cancelled, then remove the socket.

        Raises:
            FieldSocketError: another agent answers there, or the path cannot be used.
        """
        listener = await asyncio.to_thread(claim_socket, self.path)
        runner = web.AppRunner(self._app(), access_log=None, handle_signals=False, shutdown_timeout=1.0)
        try:
            await runner.setup()
            await web.SockSite(runner, listener, backlog=_BACKLOG).start()
            logger.info("field: answering on %s", self.path)
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()
            listener.close()
            self.path.unlink(missing_ok=True)

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[_errors_as_json], client_max_size=MAX_BODY_BYTES)
        app.router.add_get("/status", self._status)
        app.router.add_get("/plan", self._plan)
        app.router.add_get("/play-log", self._play_log)
        app.router.add_get("/why", self._why)
        app.router.add_get("/version", self._version)
        if self._controls is not None and self._self_test is not None:
            Hands(self._controls, self._self_test, self._box.status().timezone).add_to(app)
        if self._boards is not None:
            BoardRoutes(self._boards, self._box.status().timezone).add_to(app)
        return app

    async def _why(self, _request: web.Request) -> web.Response:
        return web.json_response(to_json(self._box.why()))

    async def _status(self, _request: web.Request) -> web.Response:
        return web.json_response(to_json(self._box.status()))

    async def _version(self, _request: web.Request) -> web.Response:
        return web.json_response({"version": self._box.status().version, "api": API_VERSION})

    async def _plan(self, request: web.Request) -> web.Response:
        hours = _number(request, "hours", 24.0, float)
        if not (math.isfinite(hours) and 0 < hours <= MAX_HOURS):
            raise web.HTTPBadRequest(text=f"hours must be above 0 and at most {MAX_HOURS:.0f}")
        return web.json_response(to_json(await self._box.plan(hours)))

    async def _play_log(self, request: web.Request) -> web.Response:
        limit = _number(request, "limit", 50, int)
        if not 1 <= limit <= MAX_LIMIT:
            raise web.HTTPBadRequest(text=f"limit must be from 1 to {MAX_LIMIT}")
        entries = await self._box.play_log(limit)
        return web.json_response({"timezone": self._box.status().timezone, "entries": to_json(entries)})


def claim_socket(path: Path) -> socket.socket:
    """Bind the Unix socket, taking the place of one whose owner is dead.

    The mode is set before anybody can connect: between `bind` and `listen`.

    Raises:
        FieldSocketError: somebody answers there, or the path cannot be used.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        listener.bind(str(path))
        path.chmod(0o660)
    except OSError as error:  # a path over 107 bytes comes as OSError too, without strerror
        listener.close()
        raise FieldSocketError(path, error.strerror or str(error)) from error
    except FieldSocketError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _remove_stale(path: Path) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FieldSocketError(path, "is a file that is not a socket; remove it by hand")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(_CONNECT_TIMEOUT_S)
        try:
            caller.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            logger.info("field: removing the socket a dead agent left at %s", path)
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            return
    raise FieldSocketError(path, "another agent is running and answers on this socket; stop it first")


def _number(request: web.Request, name: str, default: T, parse: Callable[[str], T]) -> T:
    text = request.query.get(name)
    if text is None:
        return default
    try:
        return parse(text)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"{name} must be a number") from error


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        if request.path == "/test":  # answers line by line, with a deadline of its own
            return await handler(request)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return await handler(request)
    except RequestError as error:
        told = {"error": str(error), "code": error.code, "field": error.field, "allowed": error.allowed}
        return web.json_response(told, status=400)
    except ControlRefusedError as error:
        return web.json_response({"error": str(error), "code": error.code}, status=409)
    except web.HTTPError as error:
        return web.json_response({"error": error.text}, status=error.status)
    except TimeoutError:
        return web.json_response({"error": f"no answer within {ANSWER_TIMEOUT_S:.0f} s"}, status=503)
    except AgentError as error:
        return web.json_response({"error": str(error)}, status=503)
