"""A small source system over real HTTP that breaks on demand, for tests of the box's side."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

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
    Held,
    Place,
)

DEVICE = "hop-loa-0001"
SECRET = "s" * 43
CODE = "ABCD-EFGH"
PIECE = 16 * 1024


@dataclass
class Faults:
    """What to break; consulted at each request.

    Attributes:
        status: answer every request with this status.
        redirect: answer every request with a redirect to this address.
        html: answer every request with a login page, as a hotel or a SIM without credit does.
        delay_s: wait before answering.
        cut_at: break each media transfer after this many bytes of the answer; one entry per request.
        wrong_bytes: send other bytes of the right length.
        longer: append this many bytes to each file (and say so in the length).
        endless: never stop sending.
        drip_s: wait between pieces.
        ignore_range: answer 200 with the whole file to a range request.
        gone: media that is answered with 404.
        hang_after: stop sending after this many bytes, keeping the connection.
    """

    status: int | None = None
    redirect: str | None = None
    html: bool = False
    delay_s: float = 0.0
    cut_at: list[int] = field(default_factory=list)
    wrong_bytes: bool = False
    longer: int = 0
    endless: bool = False
    drip_s: float = 0.0
    ignore_range: bool = False
    gone: set[str] = field(default_factory=set)
    hang_after: int | None = None


@dataclass
class FakeServer:
    """State of the source system and a record of what it was asked.

    Attributes:
        media: files by SHA-256.
        documents: signed envelopes by order id, offered to the box as listed in `hold`.
        stored: report ids for which the next heartbeat gets a receipt.
        requests: `METHOD path` with the range if one was asked for.
    """

    base_url: str = ""
    faults: Faults = field(default_factory=Faults)
    media: dict[str, bytes] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    schedules: dict[str, bytes] = field(default_factory=dict)
    hold: list[Held] = field(default_factory=list)
    stored: set[str] = field(default_factory=set)
    broker: BrokerAddress = field(default_factory=lambda: BrokerAddress(host="127.0.0.1", port=1))
    secret: str = SECRET
    requests: list[str] = field(default_factory=list)
    beats: list[HeartbeatRequest] = field(default_factory=list)
    most_at_once: int = 0
    _at_once: int = 0

    def add_media(self, content: bytes) -> str:
        """Offer a file; returns its SHA-256."""
        digest = hashlib.sha256(content).hexdigest()
        self.media[digest] = content
        return digest

    def add_order(self, kind: str, order_id: str, envelope: bytes, *, seq: int = 1) -> None:
        """List an order the box should hold, and offer its envelope."""
        self.documents[order_id] = envelope
        self.hold.append(Held(kind=kind, id=order_id, issuer="xa", seq=seq, url=DOCUMENTS + order_id))

    def paths(self, prefix: str) -> list[str]:
        """Requests so far whose path starts with `prefix`."""
        return [one for one in self.requests if one.split(" ", 1)[1].startswith(prefix)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, broken as `faults` says."""
        asked = request.headers.get("Range", "")
        self.requests.append(f"{request.method} {request.path}" + (f" {asked}" if asked else ""))
        faults = self.faults
        if faults.delay_s:
            await asyncio.sleep(faults.delay_s)
        if faults.redirect is not None:
            return web.Response(status=302, headers={"Location": faults.redirect})
        if faults.html:
            return web.Response(text="<html>Vui lòng nạp tiền</html>", content_type="text/html")
        if faults.status is not None:
            return web.json_response({"code": "fault", "message": "cố ý"}, status=faults.status)
        if request.path == ENROL:
            return await self._enrol(request)
        wanted = "Basic " + base64.b64encode(f"{DEVICE}:{self.secret}".encode()).decode()
        if request.headers.get("Authorization") != wanted:
            return web.json_response({"code": "credentials", "message": "unknown device"}, status=401)
        if request.path == HEARTBEAT:
            return await self._heartbeat(request)
        for prefix, shelf in ((DOCUMENTS, self.documents), (SCHEDULES, self.schedules)):
            if request.path.startswith(prefix):
                body = shelf.get(request.path.removeprefix(prefix))
                return web.Response(body=body) if body is not None else web.Response(status=404)
        if request.path.startswith(MEDIA):
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            try:
                return await self._file(request, request.path.removeprefix(MEDIA))
            finally:
                self._at_once -= 1
        return web.Response(status=404)

    async def _enrol(self, request: web.Request) -> web.Response:
        asked = EnrolRequest.read(await request.read())
        if asked.code != CODE:
            return web.json_response({"code": "code", "message": "the code has expired"}, status=403)
        answer = EnrolAnswer(
            device=DEVICE,
            secret=self.secret,
            broker=self.broker,
            place=Place(station="xa-mau", province="tinh-mau"),
            root="{}",
        )
        return web.Response(body=answer.encode(), content_type="application/json")

    async def _heartbeat(self, request: web.Request) -> web.Response:
        beat = HeartbeatRequest.read(await request.read())
        self.beats.append(beat)
        answer = HeartbeatAnswer(
            at=datetime.now(UTC),
            hold=tuple(self.hold),
            received=tuple(one for one in beat.awaiting_receipt if one in self.stored),
        )
        return web.Response(body=answer.encode(), content_type="application/json")

    async def _file(self, request: web.Request, digest: str) -> web.StreamResponse:
        faults = self.faults
        body = self.media.get(digest)
        if body is None or digest in faults.gone:
            return web.Response(status=404)
        if faults.wrong_bytes:
            body = bytes(byte ^ 0xFF for byte in body)
        body += b"x" * faults.longer
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        answer = web.StreamResponse()
        if asked and not faults.ignore_range:
            first = int(asked[1])
            if first >= len(body):
                return web.Response(status=416, headers={"Content-Range": f"bytes */{len(body)}"})
            answer.set_status(206)
            answer.headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
            body = body[first:]
        if faults.endless:
            answer.enable_chunked_encoding()
        else:
            answer.content_length = len(body)
        await answer.prepare(request)
        cut_at = faults.cut_at.pop(0) if faults.cut_at else None
        await self._send(request, answer, body, cut_at)
        return answer

    async def _send(
        self, request: web.Request, answer: web.StreamResponse, body: bytes, cut_at: int | None
    ) -> None:
        faults = self.faults
        end = len(body) if cut_at is None else min(cut_at, len(body))
        sent = 0
        while sent < end or faults.endless:
            piece = body[sent : min(sent + PIECE, end)] if sent < end else b"\0" * PIECE
            if faults.hang_after is not None and sent + len(piece) > faults.hang_after:
                await asyncio.sleep(3600)
            await answer.write(piece)
            sent += len(piece)
            if faults.drip_s:
                await asyncio.sleep(faults.drip_s)
        if cut_at is not None and request.transport is not None:
            request.transport.close()


@asynccontextmanager
async def running_server() -> AsyncIterator[FakeServer]:
    """A server on a free loopback port for the time of a test."""
    server = FakeServer()
    runner = web.ServerRunner(web.Server(server.handle), shutdown_timeout=0.1)  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.base_url = f"http://{host}:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()
