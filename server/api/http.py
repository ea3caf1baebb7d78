"""The HTTP application: routes of the table behind the one boundary."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from aiohttp import web

from server.api.boundary import DeviceGate, Gate, add_headers, boundary, guarded
from server.api.openapi import document
from server.api.route import Route, Who
from server.problems import StartError
from server.version import version

OPENAPI = "/api/v1/openapi.json"
STOP_LIMIT_S = 1.0
BACKLOG = 512


def application(routes: Iterable[Route], gate: Gate, device_gate: DeviceGate) -> web.Application:
    """Everything that answers."""
    app = web.Application(middlewares=[boundary], client_max_size=0)
    app.on_response_prepare.append(add_headers)

    async def describe(_: web.Request) -> web.StreamResponse:
        return web.json_response(described)

    table = [
        *routes,
        Route("GET", OPENAPI, "This document", describe, Who.ANYONE, response_type="application/json"),
    ]
    described = document(table, version())
    for route in table:
        handler = guarded(route, gate, device_gate)
        if route.method == "GET":
            app.router.add_get(route.path, handler, allow_head=True)
        else:
            app.router.add_route(route.method, route.path, handler)
    return app


def listen(host: str, port: int) -> socket.socket:
    """Take the port before anything else starts.

    Raises:
        StartError: it is taken, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
        taken.listen(BACKLOG)
    except OSError as error:
        taken.close()
        raise StartError("http_port", port=port, host=host, detail=error.strerror) from error
    taken.setblocking(False)
    return taken


async def serve(app: web.Application, taken: socket.socket) -> web.AppRunner:
    """Start answering; the caller cleans the runner up."""
    runner = web.AppRunner(
        app, access_log=None, handle_signals=False, shutdown_timeout=STOP_LIMIT_S, keepalive_timeout=75
    )
    await runner.setup()
    await web.SockSite(runner, taken, backlog=BACKLOG).start()
    return runner
