"""The native source system: MQTT 5 pushes orders, HTTPS carries heartbeats, documents and media.

Either way alone is enough for orders to arrive: what a lost push leaves out, the next heartbeat finds.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from agent.clock import Clock
from agent.config import SourceSection
from agent.errors import AgentError
from agent.latest import Latest
from agent.source.api import Inbox, Issues, LinkState, Outbox, ReadHealth, SourceStatus, TellEvent, Transfer
from agent.source.errors import SourceRefusedError, raise_if_cancelled
from agent.source.heartbeat import BeatTimes, Heartbeat
from agent.source.http import HttpLink, HttpTimes
from agent.source.identity import Identity
from agent.source.mqtt import MqttAddress, MqttTimes
from agent.source.push import PushLink, PushTimes
from agent.source.reconnect import Reconnect
from agent.source.status import StatusBoard
from agent.wire.reports import Birth

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NativeTimes:
    """Every wait of the native source, in seconds inside; `from_config` sets what the operator may set."""

    push: PushTimes = field(default_factory=PushTimes)
    beat: BeatTimes = field(default_factory=BeatTimes)
    http: HttpTimes = field(default_factory=HttpTimes)
    reconnect_max_s: float = 60.0
    reconnect_base_s: float = 0.5
    healthy_after_s: float = 30.0

    @classmethod
    def from_config(cls, source: SourceSection) -> NativeTimes:
        """Times as configured."""
        return cls(
            push=PushTimes(
                mqtt=MqttTimes(keepalive_s=source.keepalive_s, session_expiry_s=source.session_expiry_s)
            ),
            beat=BeatTimes(every_s=source.heartbeat_s, least_gap_s=min(5.0, source.heartbeat_s / 4)),
            reconnect_max_s=source.reconnect_max_s,
        )


class _IdentityChangedError(AgentError):
    """The box was paired anew."""


class NativeSource:
    """Service: one box, one source system, two ways.

    Args:
        identity: who the box is; None until it is paired, and it may change while this runs.
        url: configured base address; empty takes the one the box was paired at.
        inbox: durable place of orders; what it has taken is acknowledged.
        outbox: durable queue of reports; drained over MQTT, receipts come by heartbeat.
        groups: groups the box belongs to at present.
        birth: what the box says of itself at each connection.
        health: what the box measured, for the heartbeat.
        issues: book of issues.
        tell_event: puts an event into the outbox.
        uplink_allows: False while there is no data connection (e.g. a simulated SIM without credit);
            open connections are closed and none is tried.
        tls: context for both ways; None takes the system's certificate authorities.
    """

    name = "source"

    def __init__(
        self,
        *,
        identity: Latest[Identity | None],
        url: str,
        inbox: Inbox,
        outbox: Outbox,
        groups: Latest[tuple[str, ...]],
        birth: Callable[[], Birth],
        health: ReadHealth,
        issues: Issues,
        tell_event: TellEvent,
        clock: Clock,
        times: NativeTimes,
        uplink_allows: Callable[[], bool] = lambda: True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._identity = identity
        self._url = url
        self._inbox = inbox
        self._outbox = outbox
        self._groups = groups
        self._birth = birth
        self._health = health
        self._issues = issues
        self._tell_event = tell_event
        self._clock = clock
        self._times = times
        self._uplink_allows = uplink_allows
        self._tls = tls
        self._board = StatusBoard(clock)
        self._http: HttpLink | None = None
        self._push: PushLink | None = None
        self._beat: Heartbeat | None = None

    @property
    def status(self) -> Latest[SourceStatus]:
        """How the box stands with its source system."""
        return self._board.latest

    def network_changed(self) -> None:
        """Try again at once: the box got another address or bearer."""
        if self._push is not None:
            self._push.network_changed()
        if self._beat is not None:
            self._beat.beat_now()

    async def run(self) -> None:
        """Serve the identity at hand until cancelled; start anew when it changes."""
        while True:
            identity = await self._paired()
            # Its own task, because of what `raise_if_cancelled` says about groups.
            await asyncio.create_task(self._serve_until_paired_anew(identity), name="source of one identity")
            raise_if_cancelled()

    async def fetch(self, url: str, max_bytes: int) -> bytes:
        """Get a whole document of at most `max_bytes`.

        Raises:
            LinkDownError: no usable answer.
            LinkRefusedError: not paired, or declined.
            MediaGoneError: the server does not have it.
            MediaCorruptError: it is longer.
        """
        return await self._link().get(url, max_bytes)

    @asynccontextmanager
    async def fetch_range(self, url: str, offset: int) -> AsyncIterator[Transfer]:
        """Get a file from `offset` on; raises as `fetch` does, also while it is read."""
        async with self._link().get_range(url, offset) as transfer:
            yield transfer

    @asynccontextmanager
    async def fetch_live(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Listen to a live announcement; raises as `fetch` does, also while it is read."""
        async with self._link().get_live(path) as pieces:
            yield pieces

    async def _paired(self) -> Identity:
        async for identity in self._identity.follow():
            if identity is not None:
                return identity
            self._board.mqtt(LinkState.NOT_ENROLLED)
        raise AssertionError("follow never ends")

    async def _serve_until_paired_anew(self, identity: Identity) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._until_other_than(identity), name="watch identity")
                group.create_task(self._serve(identity), name="serve source system")
        except* _IdentityChangedError:
            logger.info("the box was paired anew")

    async def _until_other_than(self, served: Identity) -> None:
        async for identity in self._identity.follow():
            if identity != served:
                raise _IdentityChangedError

    async def _serve(self, identity: Identity) -> None:
        times = self._times
        http = HttpLink(
            identity.account(self._url), times=times.http, uplink_allows=self._uplink_allows, tls=self._tls
        )
        beat = Heartbeat(
            http,
            health=self._health,
            inbox=self._inbox,
            outbox=self._outbox,
            status=self._board,
            clock=self._clock,
            times=replace(times.beat, refused_s=max(times.reconnect_max_s, times.beat.every_s)),
        )
        push = PushLink(
            await self._broker(identity),
            inbox=self._inbox,
            outbox=self._outbox,
            groups=self._groups,
            birth=self._birth,
            status=self._board,
            reconnect=Reconnect(
                times.reconnect_max_s,
                base_s=times.reconnect_base_s,
                healthy_after_s=times.healthy_after_s,
            ),
            issues=self._issues,
            tell_event=self._tell_event,
            clock=self._clock,
            uplink_allows=self._uplink_allows,
            on_connected=beat.beat_now,
            times=times.push,
        )
        self._http, self._push, self._beat = http, push, beat
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(push.run(), name="push link")
                group.create_task(beat.run(), name="heartbeat")
        finally:
            self._http = self._push = self._beat = None
            await http.close()

    async def _broker(self, identity: Identity) -> MqttAddress:
        broker = identity.broker
        tls = self._tls
        if broker.tls and tls is None:
            tls = await asyncio.to_thread(ssl.create_default_context)  # reads certificates from disk
        return MqttAddress(
            broker.host, broker.port, identity.device, identity.enrolled.secret, tls if broker.tls else None
        )

    def _link(self) -> HttpLink:
        if self._http is None:
            raise SourceRefusedError("not_enrolled", "the box is not paired with a source system")
        return self._http
