"""The live side of a server with fake boxes and orders, for tests of microphones and listeners."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from server.api.http import application, listen, serve
from server.api.live import LiveApi
from server.api.route import Route
from server.live.announcements import Announcement, Announcements
from server.live.limits import Limits
from server.problems import Problem, RefusedError
from server.store.devices import Device
from tests.support.recorder import Slice, in_real_time

QUICK = Limits(first_s=8.0, lost_s=2.5, deaf_s=2.5)
"""Shorter than life, and still patient with a busy machine."""


def a_device(name: str, *groups: str) -> Device:
    return Device(name, name, "", "", "tan-loc", "ca-mau", groups, "", "", datetime(2026, 1, 1, tzinfo=UTC))


def grant_of(live: str) -> str:
    """The id `FakeGrants` gives to the grant of an announcement."""
    return live[:-1] + ("0" if live[-1] != "0" else "1")


class FakeBoxes:
    """Two boxes; the second belongs to a group."""

    known = (a_device("box-aaaaaaaaaa"), a_device("box-bbbbbbbbbb", "ap-2"))

    def __init__(self) -> None:
        self.sounding: frozenset[str] = frozenset()

    async def all(self) -> tuple[Device, ...]:
        return self.known

    async def sounding_live(self, since: datetime) -> frozenset[str]:
        assert since.tzinfo is not None
        return self.sounding


@dataclass
class FakeGrants:
    """Writes down what is signed and withdrawn."""

    given: list[Announcement] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    authors: list[str] = field(default_factory=list)
    refuse: bool = False
    known: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.known.set()

    async def give(self, announcement: Announcement) -> str:
        if self.refuse:
            raise RefusedError(Problem.NO_TARGET)
        self.given.append(announcement)
        await self.known.wait()
        return grant_of(announcement.id)

    async def withdraw(self, order: str, author: str) -> None:
        self.withdrawn.append(order)
        self.authors.append(author)


class OpenGate:
    """Token `officer`, console sessions that begin with `good`, and boxes whose secret is `secret`."""

    async def operator(self, token: str, address: str) -> str | None:
        return "operator" if token.startswith("officer") else None

    async def session_good(self, session: str) -> bool:
        return session.startswith("good")

    async def feed(self, token: str, feed: str, address: str) -> str | None:
        return await self.operator(token, address)

    async def authenticate(self, device: str, secret: str) -> Device | None:
        return next((one for one in FakeBoxes.known if one.id == device and secret == "secret"), None)


@dataclass
class Bench:
    """The live side of a server as its users see it."""

    url: str
    http: aiohttp.ClientSession
    boxes: FakeBoxes
    grants: FakeGrants
    announcements: Announcements

    async def open(self, token: str = "officer", **asked: Any) -> dict[str, Any]:
        asked = {"speaker": "Nguyễn Văn An", **(asked or {"all": True})}
        headers = {"Authorization": f"Bearer {token}"}
        async with self.http.post(f"{self.url}/api/v1/live", json=asked, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            return dict(await answer.json())

    @asynccontextmanager
    async def microphone(
        self, live: dict[str, Any], kind: str = "webm", token: str = "officer"
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{self.url}{live['microphone']}?type={kind}"
        async with self.http.ws_connect(url, headers=headers) as ws:
            yield ws

    async def status(self) -> list[dict[str, Any]]:
        async with self.http.get(
            f"{self.url}/api/v1/live", headers={"Authorization": "Bearer officer"}
        ) as answer:
            return list((await answer.json())["live"])

    def sound(self, live: dict[str, Any], box: str = "box-aaaaaaaaaa") -> Any:
        headers = {"Authorization": aiohttp.encode_basic_auth(box, "secret")}
        return self.http.get(f"{self.url}/device/v1/live/{live['id']}", headers=headers)


@asynccontextmanager
async def a_bench(limits: Limits = QUICK, more: Iterable[Route] = ()) -> AsyncIterator[Bench]:
    """A running bench; `more` routes are served beside those of live announcements."""
    boxes, grants = FakeBoxes(), FakeGrants()
    announcements = Announcements(boxes, grants, limits, tail_s=0.1)
    gate = OpenGate()
    taken = listen("127.0.0.1", 0)
    runner = await serve(application([*LiveApi(announcements).routes(), *more], gate, gate), taken)
    try:
        async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:
            running = group.create_task(announcements.run())
            await asyncio.sleep(0)
            yield Bench(f"http://127.0.0.1:{taken.getsockname()[1]}", http, boxes, grants, announcements)
            running.cancel()
    finally:
        await runner.cleanup()


@dataclass
class Heard:
    """What one box received: bytes and when they came (loop time)."""

    data: bytearray = field(default_factory=bytearray)
    came: list[tuple[float, int]] = field(default_factory=list)

    def when_s(self, position: int) -> float:
        """When the byte at `position` had come."""
        return next(at for at, size in self.came if size > position)


async def hear(bench: Bench, live: dict[str, Any], box: str = "box-aaaaaaaaaa", limit: int = 10**9) -> Heard:
    """Listen as a box until the sound ends or `limit` bytes have come."""
    heard = Heard()
    async with bench.sound(live, box) as answer:
        assert answer.status == 200
        assert answer.content_type == "audio/mpeg"
        async for data in answer.content.iter_any():
            heard.data += data
            heard.came.append((asyncio.get_running_loop().time(), len(heard.data)))
            if len(heard.data) >= limit:
                break
    return heard


async def speak(ws: aiohttp.ClientWebSocketResponse, slices: list[Slice], began_s: float) -> None:
    """Send slices as a recorder that started at `began_s` (loop time) would."""
    async for data in in_real_time(slices, began_s):
        await ws.send_bytes(data)
