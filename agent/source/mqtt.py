"""One MQTT 5 session: the only module that knows aiomqtt and, where that hides what matters, paho.

aiomqtt 2.x acknowledges a message when it has put it into a list in memory, throws away the reason
code of a PUBACK, and leaves sockets behind when connecting fails or is cancelled. `_Client` mends
these; `tests/integration/test_mqtt_session.py` holds it to that against a real broker. aiomqtt 3 has
manual acknowledgement of its own and would replace this module.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Self

import aiomqtt
from paho.mqtt.client import Client as Paho
from paho.mqtt.client import DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.source.errors import PublishRefusedError, SourceDownError, SourceRefusedError, raise_if_cancelled
from agent.wire.envelope import MAX_ENVELOPE_BYTES

MAX_PACKET_BYTES = 4 * MAX_ENVELOPE_BYTES
"""The broker keeps larger packets to itself (MQTT 5, 3.1.2.11.4); the box never holds them in memory."""

RECEIVE_MAXIMUM = 16
"""Messages a broker may send before it needs an acknowledgement; so at most this many are in memory."""

MAX_QUEUED = 64
FAILURE = 0x80
"""Reason codes from here on are failures (MQTT 5, 2.4)."""

_TAKEN_OVER = 0x8E
_CONNECT_REFUSED = {
    0x84: "protocol",
    0x85: "credentials",
    0x86: "credentials",
    0x87: "credentials",
    0x8A: "banned",
    0x8C: "credentials",
}

# aiomqtt logs every lost connection; the owner of the link says it once, with the cause and duration.
_SILENT = logging.getLogger(f"{__name__}.library")
_SILENT.setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class MqttAddress:
    """Broker and login; `device` is client id and user name at once."""

    host: str
    port: int
    device: str
    secret: str = field(repr=False)
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class MqttTimes:
    """Seconds: between signs of life, that the broker keeps the session, and for one answer."""

    keepalive_s: int = 25
    session_expiry_s: int = 7 * 86_400
    answer_s: float = 20.0
    connect_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Will:
    """Retained message the broker publishes when the session ends, however it ends."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message not yet acknowledged."""

    topic: str
    payload: bytes
    qos: int
    mid: int


class MqttSession:
    """From CONNECT to the end of the connection; used once, as an async context manager.

    Leaving it on purpose makes the broker publish the will too (DISCONNECT with reason 0x04), so that
    `offline` is told by one message, whichever way the box went.
    """

    def __init__(self, address: MqttAddress, will: Will, times: MqttTimes) -> None:
        self._address = address
        self._will = will
        self._times = times
        self._client: _Client | None = None

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            LinkDownError: no broker there, or no answer in time.
            LinkRefusedError: the broker does not take this device.
        """
        address, times = self._address, self._times
        client = _Client(
            address.host,
            address.port,
            protocol=aiomqtt.ProtocolVersion.V5,
            identifier=address.device,
            username=address.device,
            password=address.secret,
            logger=_SILENT,
            will=aiomqtt.Will(self._will.topic, self._will.payload, qos=1, retain=True),
            timeout=times.answer_s,
            keepalive=times.keepalive_s,
            clean_start=False,
            properties=_connect_properties(times.session_expiry_s),
            tls_context=address.tls,
            # Without it each report waits up to 40 ms for the peer's delayed acknowledgement.
            socket_options=((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
        )
        client.prepare(times.connect_s)
        try:
            await client.__aenter__()
            raise_if_cancelled()
        except aiomqtt.MqttError as error:
            client.abandon()
            raise _connect_error(error, f"{address.host}:{address.port}") from error
        except BaseException:
            client.abandon()
            raise
        if client.gone:
            client.abandon()
            raise client.why_down(aiomqtt.MqttError("the broker closed the connection at once"))
        self._client = client
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.say_goodbye()
            client.abandon()

    async def subscribe(self, topics: tuple[str, ...]) -> dict[str, str]:
        """Subscribe with QoS 1.

        Returns:
            The topics the broker declined, with its reason.

        Raises:
            LinkDownError: the connection broke or did not answer.
        """
        client = self._connected()
        try:
            codes = await client.subscribe([(topic, 1) for topic in topics])
        except aiomqtt.MqttError as error:
            raise client.why_down(error) from error
        raise_if_cancelled()
        return {
            topic: str(code)
            for topic, code in zip(topics, codes, strict=True)
            if isinstance(code, ReasonCode) and code.value >= FAILURE
        }

    async def unsubscribe(self, topics: tuple[str, ...]) -> None:
        """Give up topics; raises LinkDownError."""
        client = self._connected()
        try:
            await client.unsubscribe(list(topics))
        except aiomqtt.MqttError as error:
            raise client.why_down(error) from error
        raise_if_cancelled()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1 and wait until the broker has it.

        Raises:
            LinkDownError: whether the broker has it is unknown; send it again.
            PublishRefusedError: the broker has declined it.
        """
        await self._connected().publish_confirmed(topic, payload, retain, self._times.answer_s)

    async def receive(self) -> Incoming:
        """The next message; it stays the broker's until `acknowledge`.

        Raises:
            LinkDownError: the connection broke.
            LinkRefusedError: another device took the session over.
        """
        client = self._connected()
        try:
            message = await anext(aiter(client.messages))
        except aiomqtt.MqttError as error:
            raise client.why_down(error) from error
        payload = message.payload
        return Incoming(
            message.topic.value,
            payload if isinstance(payload, bytes) else bytes(payload or b""),
            message.qos,
            message.mid,
        )

    def acknowledge(self, message: Incoming) -> None:
        """Tell the broker that the message is safe here; until then it comes again after a reconnect."""
        self._connected().acknowledge(message)

    def _connected(self) -> _Client:
        if self._client is None:
            raise SourceDownError("closed", "the MQTT session is closed")
        return self._client


class _Client(aiomqtt.Client):
    """aiomqtt with manual acknowledgement, reason codes, and no socket or callback left behind."""

    def prepare(self, connect_s: float) -> None:
        """Set what aiomqtt's constructor does not offer."""
        self._client.manual_ack_set(True)
        self._client.connect_timeout = connect_s
        self._confirmations: dict[int, asyncio.Future[ReasonCode]] = {}
        self._parting: ReasonCode | None = None

    @property
    def gone(self) -> bool:
        """No connection; aiomqtt forgets one that ended in the moment in which it came up."""
        return self._client.socket() is None

    def acknowledge(self, message: Incoming) -> None:
        self._client.ack(message.mid, message.qos)

    async def publish_confirmed(self, topic: str, payload: bytes, retain: bool, answer_s: float) -> None:
        self._raise_if_down()
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        if info.rc not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_QUEUE_SIZE):
            raise SourceDownError("cut", f"not connected ({info.rc.name})")
        answer: asyncio.Future[ReasonCode] = self._loop.create_future()
        self._confirmations[info.mid] = answer
        try:
            await asyncio.wait(
                (answer, self._disconnected), timeout=answer_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            del self._confirmations[info.mid]
        if not answer.done():
            self._raise_if_down()
            raise SourceDownError("timeout", f"no acknowledgement within {answer_s:.0f} s")
        reason = answer.result()
        if reason.value >= FAILURE:
            raise PublishRefusedError("publish", f"{topic}: {reason}")

    def say_goodbye(self) -> None:
        """Leave so that the broker publishes the will; at once, whatever the state of the socket."""
        self._client.disconnect(ReasonCode(PacketTypes.DISCONNECT, "Disconnect with will message"))
        with suppress(OSError):
            self._client.loop_write()

    def abandon(self) -> None:
        """Close the socket now and make sure that a connect still under way in its thread closes too."""
        paho = self._client
        paho.on_socket_open = _close_late_socket
        paho.on_socket_register_write = None
        # paho offers no public way to close the socket without waiting for the broker
        paho._sock_close()  # noqa: SLF001
        if self._misc_task is not None:
            self._misc_task.cancel()
        for future in (self._connected, self._disconnected):
            if future.done() and not future.cancelled():
                future.exception()  # seen; else asyncio complains that nobody looked

    def why_down(self, error: aiomqtt.MqttError) -> SourceDownError | SourceRefusedError:
        """The error for a broken connection, with the broker's own reason if it gave one."""
        cause: BaseException = error
        if self._disconnected.done() and not self._disconnected.cancelled():
            cause = self._disconnected.exception() or error
        if self._parting is not None and self._parting.value == _TAKEN_OVER:
            return SourceRefusedError("taken_over", "another box connected with the identity of this one")
        return SourceDownError("timeout" if "timed out" in str(cause) else "cut", str(cause)[:300])

    def _raise_if_down(self) -> None:
        if self._disconnected.done():
            raise self.why_down(aiomqtt.MqttError("disconnected"))

    def _on_message(self, client: Paho, userdata: Any, message: MQTTMessage) -> None:
        if message.qos == 0 and self._queue.qsize() >= MAX_QUEUED:
            return  # orders come with QoS 1, which RECEIVE_MAXIMUM bounds; a flood of others may be lost
        super()._on_message(client, userdata, message)

    def _on_disconnect(
        self,
        client: Paho,
        userdata: Any,
        flags: DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        self._parting = reason_code
        super()._on_disconnect(client, userdata, flags, reason_code, properties)
        if self._disconnected.done():
            self._disconnected.exception()  # seen, for aiomqtt may throw this future away

    def _on_publish(
        self, client: Paho, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        answer = self._confirmations.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(reason_code)
        super()._on_publish(client, userdata, mid, reason_code, properties)

    # aiomqtt looks a descriptor up in the connecting thread and uses it later in the loop, when it may
    # be closed or, worse, be another connection's. These look it up when they use it.

    def _on_socket_open(self, client: Paho, _userdata: Any, sock: Any) -> None:
        def watch() -> None:
            descriptor = sock.fileno()
            if descriptor >= 0 and client.socket() is sock:
                self._loop.add_reader(descriptor, self._guarded, partial(_read_all, client))
                self._misc_task = self._loop.create_task(self._misc_loop())

        self._loop.call_soon_threadsafe(watch)

    def _on_socket_register_write(self, client: Paho, _userdata: Any, sock: Any) -> None:
        def watch() -> None:
            descriptor = sock.fileno()
            if descriptor >= 0 and client.socket() is sock:
                self._loop.add_writer(descriptor, self._guarded, client.loop_write)

        self._loop.call_soon_threadsafe(watch)

    def _on_socket_unregister_write(self, _client: Paho, _userdata: Any, sock: Any) -> None:
        if sock.fileno() >= 0:
            self._loop.remove_writer(sock.fileno())

    def _guarded(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever a packet provokes in paho ends this connection
            if not self._disconnected.done():
                self._disconnected.set_exception(error)


def _read_all(client: Paho) -> None:
    while True:
        client.loop_read()
        # What TLS has decrypted already makes no descriptor readable (paho.mqtt.python issue 131).
        sock = client.socket()
        if not isinstance(sock, ssl.SSLSocket) or sock.pending() == 0:
            return


def _close_late_socket(_client: Paho, _userdata: Any, sock: Any) -> None:
    if sock is not None:
        sock.close()


def _connect_properties(session_expiry_s: int) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = session_expiry_s
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    properties.MaximumPacketSize = MAX_PACKET_BYTES
    return properties


def _connect_error(error: aiomqtt.MqttError, where: str) -> SourceDownError | SourceRefusedError:
    reason = getattr(error, "rc", None)
    if isinstance(reason, ReasonCode):
        code = _CONNECT_REFUSED.get(reason.value)
        if code is not None:
            return SourceRefusedError(code, f"{where}: {reason}")
        return SourceDownError("busy", f"{where}: {reason}")
    said = f"{where}: {error}"[:300]
    if "timed out" in said:
        return SourceDownError("timeout", said)
    return SourceDownError("unreachable", said)
