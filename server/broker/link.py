"""The server's own connection to the broker: every report is stored before it is acknowledged."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Protocol

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.wire.topics import ROOT
from server.broker.config import SERVER_USER, Listener
from server.problems import StoreFailedError

logger = logging.getLogger(__name__)

SESSION_S = 60 * 24 * 3600
BATCH = 64
WAITING = 512
PUSH_LIMIT_S = 3.0
PUSHES = 8
FIRST_PUSHES = 8
"""Documents under way at once; together below the 20 that paho leaves unanswered at the broker."""

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0


@dataclass(frozen=True, slots=True)
class Message:
    """One report as it came."""

    topic: str
    payload: bytes


class Identity(Protocol):
    """Who the server is to the broker, and where that is."""

    listener: Listener
    password: str


class Link:
    """Receives reports and pushes signed documents.

    Args:
        identity: address and password of the broker.
        keep: stores a batch durably; only then are its messages acknowledged.
        on_connected: called after each connection, to push what could not be pushed before.
    """

    def __init__(
        self,
        identity: Identity,
        keep: Callable[[list[Message]], Coroutine[None, None, None]],
        on_connected: Callable[[], Coroutine[None, None, None]],
    ) -> None:
        self._identity = identity
        self._keep = keep
        self._on_connected = on_connected
        self._client: aiomqtt.Client | None = None
        self._pushes = asyncio.Semaphore(PUSHES)
        self._first_pushes = asyncio.Semaphore(FIRST_PUSHES)
        self.connected = asyncio.Event()

    async def push(self, topic: str, payload: bytes, *, retain: bool = True, first: bool = False) -> bool:
        """Publish with QoS 1; False if the broker did not confirm in time.

        Args:
            topic: where to.
            payload: a signed document.
            retain: the broker keeps it for whoever subscribes later.
            first: goes through places of its own, so that it waits for no other document.
        """
        async with self._first_pushes if first else self._pushes:
            client = self._client
            if client is None:
                return False
            try:
                await client.publish(topic, payload, qos=1, retain=retain, timeout=PUSH_LIMIT_S)
            except aiomqtt.MqttError as error:
                logger.warning("broker did not confirm %s: %s", topic, error)
                return False
            return True

    async def run(self) -> None:
        """Stay connected until cancelled."""
        delay_s = FIRST_DELAY_S
        lost = False
        while True:
            try:
                async with self._open() as client:
                    await client.subscribe(f"{ROOT}/+/up/#", qos=1)
                    self._client = client
                    self.connected.set()
                    logger.info("broker connected%s", " again" if lost else "")
                    delay_s, lost = FIRST_DELAY_S, False
                    await self._serve(client)
            except* (aiomqtt.MqttError, StoreFailedError) as error:
                if not lost:
                    logger.warning("broker left: %s", error.exceptions[0])
                lost = True
            finally:
                self._client = None
                self.connected.clear()
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, LONGEST_DELAY_S)

    def _open(self) -> aiomqtt.Client:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_S
        host = self._identity.listener.host
        client = aiomqtt.Client(
            {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host),  # noqa: S104 - a comparison
            self._identity.listener.port,
            username=SERVER_USER,
            password=self._identity.password,
            identifier=SERVER_USER,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=False,
            properties=properties,
            keepalive=20,
            timeout=10,
            # Without it each order waits up to 40 ms for the broker's delayed acknowledgement.
            socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
        )
        # aiomqtt 2 acknowledges on receipt and so loses what a crash leaves unstored; paho below it
        # can wait. To be replaced by aiomqtt 3, which has manual acknowledgement.
        client._client.manual_ack_set(True)  # noqa: SLF001
        client.pending_calls_threshold = PUSHES + FIRST_PUSHES + 2  # it complains above
        return client

    async def _serve(self, client: aiomqtt.Client) -> None:
        waiting: asyncio.Queue[aiomqtt.Message] = asyncio.Queue(WAITING)
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(self._keep_all(client, waiting), name="link-keep")
            group.create_task(self._on_connected(), name="link-push")
            try:
                async for message in client.messages:
                    await waiting.put(message)
            finally:
                keeper.cancel()

    async def _keep_all(self, client: aiomqtt.Client, waiting: asyncio.Queue[aiomqtt.Message]) -> None:
        while True:
            batch = [await waiting.get()]
            while len(batch) < BATCH and not waiting.empty():
                batch.append(waiting.get_nowait())
            await self._keep(
                [Message(str(one.topic), one.payload) for one in batch if isinstance(one.payload, bytes)]
            )
            for one in batch:
                client._client.ack(one.mid, one.qos)  # noqa: SLF001


async def accepts_credentials(listener: Listener, user: str, password: str, limit_s: float) -> bool:
    """Whether the broker lets this user in, tried until `limit_s` is over."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.host, listener.host)  # noqa: S104 - a comparison
    try:
        async with asyncio.timeout(limit_s):
            while True:
                try:
                    async with aiomqtt.Client(
                        host,
                        listener.port,
                        username=user,
                        password=password,
                        identifier=user,
                        protocol=aiomqtt.ProtocolVersion.V5,
                        timeout=2,
                    ):
                        return True
                except aiomqtt.MqttError:
                    await asyncio.sleep(0.05)
    except TimeoutError:
        return False
