"""The pushing link: stays connected to the broker, takes orders in durably, drains the outbox."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from agent.clock import Clock
from agent.errors import AgentError
from agent.latest import Latest
from agent.model.issue import Fault, Refusal
from agent.source.api import Inbox, Issues, LinkState, Outbox, OutboxRow, TellEvent
from agent.source.errors import (
    NoUplinkError,
    PublishRefusedError,
    SourceRefusedError,
    failure_of,
    raise_if_cancelled,
)
from agent.source.mqtt import Incoming, MqttAddress, MqttSession, MqttTimes, Will
from agent.source.reconnect import Reconnect
from agent.source.status import StatusBoard
from agent.wire import topics
from agent.wire.envelope import MAX_ENVELOPE_BYTES
from agent.wire.reports import Birth, EventType, Online, State

logger = logging.getLogger(__name__)

RETAINED = frozenset({"birth", "state", "reported"})
MAX_REFUSED = 200


@dataclass(frozen=True, slots=True)
class PushTimes:
    """Waits in seconds.

    Attributes:
        gate_poll_s: how often the uplink gate is asked.
        refused_retry_s: how long a report the broker declined is set aside.
        in_flight: reports under way at once.
    """

    mqtt: MqttTimes = field(default_factory=MqttTimes)
    gate_poll_s: float = 1.0
    refused_retry_s: float = 60.0
    in_flight: int = 16


class PushLink:
    """One box at one broker.

    A failure of the store ends the session without acknowledgement, so that the broker keeps the order.
    """

    def __init__(
        self,
        address: MqttAddress,
        *,
        inbox: Inbox,
        outbox: Outbox,
        groups: Latest[tuple[str, ...]],
        birth: Callable[[], Birth],
        status: StatusBoard,
        reconnect: Reconnect,
        issues: Issues,
        tell_event: TellEvent,
        clock: Clock,
        uplink_allows: Callable[[], bool],
        on_connected: Callable[[], None],
        times: PushTimes,
    ) -> None:
        self._address = address
        self._inbox = inbox
        self._outbox = outbox
        self._groups = groups
        self._birth = birth
        self._status = status
        self._reconnect = reconnect
        self._issues = issues
        self._tell_event = tell_event
        self._clock = clock
        self._uplink_allows = uplink_allows
        self._on_connected = on_connected
        self._times = times
        self._network_changed = asyncio.Event()
        self._connected_s: float | None = None

    def network_changed(self) -> None:
        """Try at once."""
        self._network_changed.set()

    async def run(self) -> None:
        """Connect again and again until cancelled."""
        while True:
            self._connected_s = None
            # Its own task, because of what `raise_if_cancelled` says about groups.
            error = await asyncio.create_task(self._until_it_ends(), name="MQTT session")
            raise_if_cancelled()
            lived_s = 0.0 if self._connected_s is None else self._clock.monotonic() - self._connected_s
            delay_s = self._reconnect.delay_s(lived_s, error.retry)
            state = LinkState.WAITING
            if isinstance(error, NoUplinkError):
                state = LinkState.NO_UPLINK
            elif isinstance(error, SourceRefusedError):
                state = LinkState.REFUSED
            self._status.mqtt(state, failure_of(error))
            await self._stay_away(delay_s)

    async def _stay_away(self, delay_s: float) -> None:
        """The only place that sleeps between sessions."""
        while not self._uplink_allows():
            await self._clock.sleep(self._times.gate_poll_s)
        try:
            async with asyncio.timeout(delay_s):
                await self._network_changed.wait()
        except TimeoutError:
            return
        self._network_changed.clear()
        self._reconnect.reset()

    async def _until_it_ends(self) -> AgentError:
        """Hold one session; returns why it ended."""
        found: list[AgentError] = []
        try:
            await self._session()
        except* AgentError as errors:
            found.extend(_leaves(errors))
        # A refusal explains more than the broken connection that goes with it.
        return max(found, key=lambda one: isinstance(one, SourceRefusedError))

    async def _session(self) -> None:
        if not self._uplink_allows():
            raise NoUplinkError
        self._status.mqtt(LinkState.CONNECTING)
        device = self._address.device
        birth = self._birth()
        will = Will(topics.up(device, "state"), State(state=Online.OFFLINE, boot_id=birth.boot_id).encode())
        async with (
            MqttSession(self._address, will, self._times.mqtt) as session,
            asyncio.TaskGroup() as group,
        ):
            self._connected_s = self._clock.monotonic()
            # Orders first: an emergency waits for no greeting.
            group.create_task(self._receive(session), name="receive orders")
            group.create_task(self._watch_gate(), name="watch uplink gate")
            group.create_task(self._follow_groups(session), name="subscribe")
            group.create_task(self._tell(session, birth), name="send reports")

    async def _receive(self, session: MqttSession) -> None:
        while True:
            message = await session.receive()
            await self._keep(message)
            session.acknowledge(message)

    async def _keep(self, message: Incoming) -> None:
        if not message.payload:
            return  # a retained order was withdrawn
        if len(message.payload) > MAX_ENVELOPE_BYTES:
            self._status.oversized()
            detail = f"{len(message.payload)} bytes; at most {MAX_ENVELOPE_BYTES} are read"
            logger.warning("order on %r refused: %s", message.topic[:200], detail)
            await self._tell_event(EventType.ORDER_REFUSED, message.topic[:200], Refusal.TOO_LARGE, detail)
            return
        fresh = await self._inbox.inbox_insert(message.payload, "mqtt")
        logger.log(
            logging.INFO if fresh else logging.DEBUG,
            "order of %d bytes on %r %s",
            len(message.payload),
            message.topic[:200],
            "kept" if fresh else "was known",
        )

    async def _watch_gate(self) -> None:
        while self._uplink_allows():
            await self._clock.sleep(self._times.gate_poll_s)
        raise NoUplinkError

    async def _follow_groups(self, session: MqttSession) -> None:
        subscribed: frozenset[str] = frozenset()
        async for groups in self._groups.follow():
            wanted = topics.subscriptions(self._address.device, groups)
            new = tuple(topic for topic in wanted if topic not in subscribed)
            if new:
                self._mind_declined(wanted[0], await session.subscribe(new))
            gone = tuple(subscribed - frozenset(wanted))
            if gone:
                await session.unsubscribe(gone)
            if not subscribed:
                self._status.mqtt(LinkState.CONNECTED)
                self._on_connected()
            subscribed = frozenset(wanted)

    def _mind_declined(self, own: str, declined: dict[str, str]) -> None:
        if own in declined:
            raise SourceRefusedError("subscribe", f"{own}: {declined[own]}")
        for topic, reason in declined.items():
            logger.warning("broker declines subscription to %s: %s", topic, reason)
            self._issues.raise_(Fault.SERVER_REFUSED, topic, reason)

    async def _tell(self, session: MqttSession, birth: Birth) -> None:
        state = State(state=Online.ONLINE, boot_id=birth.boot_id)
        for kind, payload in (("birth", birth.encode()), ("state", state.encode())):
            await self._publish(session, kind, payload)
        await self._drain(session)

    async def _drain(self, session: MqttSession) -> None:
        aside: dict[str, float] = {}
        async for _ in self._outbox.outbox_changes.follow():
            while True:
                now, seen = self._clock.monotonic(), self._outbox.outbox_changes.value
                aside = {report_id: until for report_id, until in aside.items() if until > now}
                rows = await self._outbox.outbox_next(self._times.in_flight + len(aside))
                ready = [row for row in rows if row.report_id not in aside][: self._times.in_flight]
                if ready:
                    declined = await self._send(session, ready)
                    aside.update(dict.fromkeys(declined, now + self._times.refused_retry_s))
                if not aside and not ready:
                    break
                if len(aside) >= MAX_REFUSED or not ready:
                    await self._other_than(seen, within_s=min(aside.values()) - now)

    async def _other_than(self, seen: int, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                async for number in self._outbox.outbox_changes.follow():
                    if number != seen:
                        return
        except TimeoutError:
            return

    async def _send(self, session: MqttSession, rows: Sequence[OutboxRow]) -> list[str]:
        """Publish rows side by side and mark what arrived; returns the ids the broker declined."""
        arrived: list[str] = []
        declined: list[str] = []

        async def one(row: OutboxRow) -> None:
            taken = await self._publish(session, row.topic_kind, row.payload)
            (arrived if taken else declined).append(row.report_id)

        try:
            async with asyncio.TaskGroup() as group:
                for row in rows:
                    group.create_task(one(row), name=f"report {row.report_id}")
        finally:
            if arrived:  # also when the session broke half-way: what was confirmed is not sent again
                await self._outbox.outbox_sent(arrived)
        return declined

    async def _publish(self, session: MqttSession, kind: str, payload: bytes) -> bool:
        """Publish a report; False if it cannot be sent as it is, which a person must see."""
        try:
            topic = topics.up(self._address.device, kind)
        except ValueError:
            logger.error("report of unknown kind %r stays in the outbox", kind[:100])  # noqa: TRY400
            return False
        try:
            await session.publish(topic, payload, retain=kind in RETAINED)
        except PublishRefusedError as error:
            logger.warning("broker declines a report: %s", error)
            self._issues.raise_(Fault.SERVER_REFUSED, topic, str(error))
            return False
        self._issues.clear(Fault.SERVER_REFUSED, topic)
        return True


def _leaves(group: BaseExceptionGroup[AgentError]) -> list[AgentError]:
    found: list[AgentError] = []
    for error in group.exceptions:
        found.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return found
