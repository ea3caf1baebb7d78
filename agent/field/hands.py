"""The part of the local API that changes something: safety stop, controls, priority order, on-site tests."""

from __future__ import annotations

import asyncio
import json
import logging

from aiohttp import web

from agent.errors import AgentError
from agent.field.controls import Controls
from agent.field.peer import local_user
from agent.field.requests import (
    ControlRequest,
    control_request,
    priority_request,
    read_body,
    safety_request,
    self_test_request,
)
from agent.field.selftest import Progress, SelfTest
from agent.field.views import to_json

logger = logging.getLogger(__name__)

TEST_TIMEOUT_S = 90.0
BODY_TIMEOUT_S = 10.0


class Hands:
    """Handlers of everything that changes something; each says in the audit who asked."""

    def __init__(self, controls: Controls, self_test: SelfTest, timezone: str) -> None:
        self._controls = controls
        self._self_test = self_test
        self._timezone = timezone

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_post("/safety", self._safety)
        app.router.add_post("/control", self._control)
        app.router.add_get("/priorities", self._priorities)
        app.router.add_put("/priorities", self._order)
        app.router.add_post("/test", self._test)

    async def _safety(self, request: web.Request) -> web.Response:
        asked = safety_request(read_body(await request.read()), self._controls.zones)
        by = await local_user(request.transport)
        answer: dict[str, object] = {"action": asked.action, "zones": list(asked.zones)}
        if asked.action == "stop":
            until = await self._controls.safety_stop(asked.zones, asked.minutes, by)
            answer["until"] = to_json(until)
        else:
            await self._controls.safety_release(asked.zones, by)
        return web.json_response(answer | {"timezone": self._timezone})

    async def _control(self, request: web.Request) -> web.Response:
        asked = control_request(read_body(await request.read()), self._controls.zones)
        by = await local_user(request.transport)
        if asked.action == "reboot":
            await self._controls.reboot(by)
        titles = {zone: await self._do(asked, zone, by) for zone in asked.zones}
        return web.json_response({"action": asked.action, "zones": titles})

    async def _do(self, asked: ControlRequest, zone: str, by: str) -> str:
        """One action in one zone; the title it was about, if any."""
        match asked.action:
            case "stop":
                return await self._controls.stop(zone, by)
            case "next":
                return await self._controls.next(zone, by)
            case "volume":
                await self._controls.set_volume(zone, asked.volume_db, by)
            case "pause":
                await self._controls.pause(zone, asked.minutes, by)
            case "resume":
                await self._controls.resume(zone, by)
            case "restart_worker":
                await self._controls.restart_worker(zone, by)
            case "reset_amplifier":
                await self._controls.reset_amplifier(zone, by)
            case _:
                raise AssertionError(asked.action)
        return ""

    async def _priorities(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {"timezone": self._timezone, "priorities": to_json(self._controls.priorities())}
        )

    async def _order(self, request: web.Request) -> web.Response:
        known = tuple(one.id for one in self._controls.priorities())
        ids = priority_request(read_body(await request.read()), known)
        await self._controls.set_priority_order(ids, await local_user(request.transport))
        return await self._priorities(request)

    async def _test(self, request: web.Request) -> web.StreamResponse:
        """Progress lines while it runs, then one line with the result or the error."""
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = await request.read()
        asked = self_test_request(read_body(body), self._controls.zones)
        by = await local_user(request.transport)
        logger.info("field: test %s %s by %s", asked.kind, asked.zone, by)
        answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await answer.prepare(request)

        async def line(name: str, value: object) -> None:
            await answer.write(json.dumps({name: value}, ensure_ascii=False).encode() + b"\n")

        async def tell(progress: Progress) -> None:
            await line("progress", to_json(progress))

        try:
            try:
                async with asyncio.timeout(TEST_TIMEOUT_S):
                    finding = await self._self_test.run(asked.kind, asked.zone, tell)
                await line("result", to_json(finding))
            except AgentError as error:
                await line("error", str(error))
            except TimeoutError:
                await line("error", f"the test did not end within {TEST_TIMEOUT_S:.0f} s")
            await answer.write_eof()
        except ConnectionResetError:
            logger.info("field: test %s given up: %s went away", asked.kind, by)
        return answer
