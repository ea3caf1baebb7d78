"""Composition root of the server: settings in, a running server out; the only module that knows everyone."""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from agent.wire.device_api import BrokerAddress
from server.access import Access
from server.api.boards import BoardsApi
from server.api.cap import CapApi
from server.api.device import DeviceApi
from server.api.http import application, listen, serve
from server.api.live import LiveApi
from server.api.operator import OperatorApi
from server.api.orders import OrdersApi
from server.api.pictures import PicturesApi
from server.api.route import Route
from server.api.station import StationApi
from server.boards import Boards
from server.broker.config import Listener, Member
from server.broker.link import Link, accepts_credentials
from server.broker.process import Broker, check_startable
from server.cap.desk import CapDesk
from server.clock import stamp, utc_now
from server.console.boards import BoardsPage
from server.console.live import LivePage
from server.console.orders import OrdersPage
from server.console.routes import Console
from server.enrolment import Enrolment
from server.fleet import Fleet
from server.hub import Hub
from server.intake import Intake
from server.issuing import Issuer
from server.live.announcements import Announcements
from server.live.boxes import KnownBoxes
from server.live.grants import OrderGrants
from server.media.gallery import Gallery
from server.media.library import Library
from server.order_book import OrderBook
from server.orders import Orders
from server.preview import Previewer
from server.problems import RefusedError, StartError, StoreFailedError
from server.pushing import Pusher
from server.schedules import Schedules
from server.secret import write_whole
from server.signing import Signer, Station, open_signer
from server.staging import keep_staged
from server.station import StationRules, picture_in_use
from server.store import content, devices, orders, reports
from server.store.database import Database

logger = logging.getLogger(__name__)

HOUSEKEEPING_S = 3600.0
HOUSEKEEPING_AGAIN_S = 60.0
ADMIT_LIMIT_S = 3.0
FIRST_CONNECT_LIMIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says.

    Attributes:
        public_url: base address under which boxes and people reach the server; empty: the one it listens on.
        stage_messages: record the built-in messages for emergencies, half a minute after the start.
    """

    data: Path
    station: Station
    host: str = "127.0.0.1"
    port: int = 8080
    broker_host: str = "127.0.0.1"
    broker_port: int = 1883
    public_url: str = ""
    stage_messages: bool = True


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        StartError: with one sentence for the operator.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings) as url:
        _notify("READY=1")
        logger.info("serving %s for %s", url, settings.station.title)
        await stop.wait()
        _notify("STOPPING=1")
        logger.info("stopping")


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[str]:
    """A running server; yields its address, stops it on exit.

    Raises:
        StartError: with one sentence for the operator.
    """
    data = settings.data
    async with AsyncExitStack() as stack:
        known = check_folder(data)
        if known:  # so that a second server on this folder hears of the first, not of its ports
            _lock(data, stack)
        taken = stack.enter_context(listen(settings.host, settings.port))
        local_url = _url(settings.host, taken.getsockname()[1])
        url = settings.public_url or local_url
        listener = check_startable(Listener(settings.broker_host, settings.broker_port))
        if not known:
            _lock(data, stack)
        signer = open_signer(data, settings.station, utc_now())
        database = Database(data / "server.sqlite3")
        await database.open()
        stack.push_async_callback(database.close)

        broker = Broker(data / "broker", listener)
        hub, fleet, access = Hub(), Fleet(database), Access(database)
        intake = Intake(database, hub)
        library = Library(data / "media", data / "work", database)
        await asyncio.to_thread(library.prepare)
        gallery = Gallery(data / "media", data / "work", database, picture_in_use)
        await access.prepare(data / "operator.token")

        link = Link(broker, intake.keep, lambda: rooms.pusher.send_waiting())  # noqa: PLW0108 - made below
        rooms = _order_rooms(database, signer, link)
        enrolment = Enrolment(database, signer, _admitting(broker), rooms.schedules.renew)
        await broker.start(await enrolment.members())
        stack.push_async_callback(broker.stop)

        group = await stack.enter_async_context(_background())
        for name, work in (("broker", broker.run()), ("link", link.run()), ("live", rooms.live.run())):
            group.start(work, name)
        group.start(_housekeeping(database, rooms), "housekeeping")
        try:
            async with asyncio.timeout(FIRST_CONNECT_LIMIT_S):
                await link.connected.wait()
        except TimeoutError as error:
            raise StartError(
                "mosquitto_refuses", host=listener.host, port=listener.port, path=data / "broker"
            ) from error

        device_api = DeviceApi(
            enrolment=enrolment,
            intake=intake,
            library=library,
            gallery=gallery,
            book=rooms.book,
            database=database,
            broker=BrokerAddress(host=listener.host, port=listener.port),
            public_host=(urlsplit(settings.public_url).hostname or "") if settings.public_url else "",
        )
        operator_api = OperatorApi(
            access=access,
            enrolment=enrolment,
            library=library,
            schedules=rooms.schedules,
            fleet=fleet,
            hub=hub,
            database=database,
            broker_up=link.connected.is_set,
        )
        routes = [
            *operator_api.routes(),
            *OrdersApi(rooms.orders, rooms.book, fleet, database).routes(),
            *StationApi(rooms.rules).routes(),
            *PicturesApi(gallery).routes(),
            *_boards(settings, gallery, access, Boards(database, fleet, rooms.book), rooms),
            *CapApi(CapDesk(database, rooms.orders), access).routes(),
            *LiveApi(rooms.live, urlsplit(settings.public_url).netloc.lower()).routes(),
            *device_api.routes(),
            *_pages(settings, access, fleet, rooms, database),
        ]
        runner = await serve(application(routes, access, enrolment), taken)
        stack.push_async_callback(runner.cleanup)
        stack.callback(hub.close)
        stack.callback(rooms.live.close)

        if settings.stage_messages:
            group.start(keep_staged(rooms.rules, library), "messages")

        where = data / "server.json"
        write_whole(where, _description(url, local_url, listener))
        stack.callback(where.unlink, missing_ok=True)
        yield url


class Background:
    """Tasks that run as long as the server; the first to fail stops it."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._group = tasks
        self.tasks: list[asyncio.Task[None]] = []

    def start(self, work: Awaitable[None], name: str) -> None:
        """Run `work` beside the rest."""

        async def named() -> None:
            await work

        self.tasks.append(self._group.create_task(named(), name=name))


@asynccontextmanager
async def _background() -> AsyncIterator[Background]:
    try:
        async with asyncio.TaskGroup() as tasks:
            background = Background(tasks)
            try:
                yield background
            finally:
                for task in background.tasks:
                    task.cancel()
    except ExceptionGroup as failed:
        if len(failed.exceptions) == 1:  # so that a StartError reaches the operator as what it is
            raise failed.exceptions[0] from failed
        raise


def _admitting(broker: Broker) -> Callable[[tuple[Member, ...], str, str], Awaitable[None]]:
    async def admit(members: tuple[Member, ...], user: str, secret: str) -> None:
        broker.set_members(members)
        if not await accepts_credentials(broker.listener, user, secret, ADMIT_LIMIT_S):
            logger.warning("box %s: the broker does not let it in yet", user)

    return admit


@dataclass(frozen=True, slots=True)
class _OrderRooms:
    """What gives orders and tells of them."""

    pusher: Pusher
    schedules: Schedules
    orders: Orders
    book: OrderBook
    rules: StationRules
    live: Announcements


def _order_rooms(database: Database, signer: Signer, link: Link) -> _OrderRooms:
    issuer = Issuer(signer)
    pusher = Pusher(database, issuer, link.push)
    schedules = Schedules(database, issuer, pusher)
    orders = Orders(database, issuer, pusher)
    return _OrderRooms(
        pusher=pusher,
        schedules=schedules,
        orders=orders,
        book=OrderBook(database),
        rules=StationRules(database, schedules.renew),
        live=Announcements(KnownBoxes(database), OrderGrants(orders)),
    )


def _boards(
    settings: Settings, gallery: Gallery, access: Access, boards: Boards, rooms: _OrderRooms
) -> list[Route]:
    title = settings.station.title
    previewer = Previewer(gallery, title, settings.data / "themes")
    page = BoardsPage(access=access, boards=boards, gallery=gallery, rules=rooms.rules, station=title)
    return [*BoardsApi(boards, rooms.rules, previewer).routes(), *page.routes()]


def _pages(
    settings: Settings, access: Access, fleet: Fleet, rooms: _OrderRooms, database: Database
) -> list[Route]:
    title = settings.station.title
    orders_page = OrdersPage(
        access=access, fleet=fleet, book=rooms.book, rules=rooms.rules, database=database, station=title
    )
    secure = settings.public_url.startswith("https:")
    console = Console(access, fleet, title, secure=secure, book=rooms.book)
    return [
        *console.routes(),
        *LivePage(access, KnownBoxes(database), title).routes(),
        *orders_page.routes(),
    ]


async def _housekeeping(database: Database, rooms: _OrderRooms) -> None:
    while True:
        try:
            more = True
            while more:
                more = await database.write(_tidy, urgent=True)
            await rooms.schedules.renew()
            await rooms.pusher.send_waiting()
        except (RefusedError, StoreFailedError) as error:
            logger.error("housekeeping put off: %s", error)  # noqa: TRY400 - expected, no traceback wanted
            await asyncio.sleep(HOUSEKEEPING_AGAIN_S)
        else:
            await asyncio.sleep(HOUSEKEEPING_S)


def _tidy(conn: sqlite3.Connection) -> bool:
    """Forget some of what is old; whether there is more. In slices, because orders wait meanwhile."""
    now = utc_now()
    devices.forget_expired(conn, now)
    content.forget_given(conn, now)
    more_orders = orders.forget_some_orders(conn, now)
    return reports.forget_some(conn, now) or more_orders


def check_folder(data: Path) -> bool:
    """Whether a server has used the data folder before.

    Raises:
        StartError: it is a file, lies below one, or cannot be looked into.
    """
    try:
        there = next(path for path in (data, *data.parents) if path.exists())
        if not there.is_dir():
            raise StartError("not_folder", path=there)
        return (data / "lock").exists()
    except OSError as error:
        raise StartError("folder", path=data, detail=error.strerror) from error


def _lock(data: Path, stack: AsyncExitStack) -> None:
    try:
        data.mkdir(parents=True, mode=0o700, exist_ok=True)
        handle = stack.enter_context((data / "lock").open("w"))
    except OSError as error:
        raise StartError("folder", path=data, detail=error.strerror) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise StartError("shared", path=data) from error


def _url(host: str, port: int) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - a comparison
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _description(url: str, local_url: str, listener: Listener) -> bytes:
    said = {
        "url": url,
        "local_url": local_url,
        "broker": {"host": listener.host, "port": listener.port},
        "pid": os.getpid(),
        "started": stamp(utc_now()),
    }
    return json.dumps(said, indent=2).encode() + b"\n"


def _notify(state: str) -> None:
    """Tell the service manager, if there is one. Source: sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        try:
            channel.sendto(state.encode(), f"\0{address[1:]}" if address.startswith("@") else address)
        except OSError as error:
            logger.debug("service manager not reached: %s", error)
