"""The native source against a real Mosquitto and a real HTTP server, both of which break."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.errors import LinkDownError, LinkRefusedError, MediaCorruptError, MediaGoneError, StoreError
from agent.latest import Latest
from agent.model.issue import Fault
from agent.source.api import LinkState, SourceStatus
from agent.source.heartbeat import BeatTimes
from agent.source.http import HttpTimes
from agent.source.identity import Identity, enrol
from agent.source.mqtt import MqttTimes
from agent.source.native import NativeSource, NativeTimes
from agent.source.push import PushTimes
from agent.wire import topics
from agent.wire.device_api import DOCUMENTS, SCHEDULES, BrokerAddress
from agent.wire.envelope import MAX_ENVELOPE_BYTES
from agent.wire.reports import Birth, EventType, State
from tests.support.broker import Broker, free_port, running_broker, write_passwords
from tests.support.fake_server import CODE, DEVICE, SECRET, FakeServer, running_server
from tests.support.source_doubles import (
    EventList,
    IssueList,
    MemoryInbox,
    MemoryOutbox,
    RealClock,
    Row,
    a_birth,
    a_health,
)

DOWN = topics.down(DEVICE, "bulletin")
ULID = "01JABCDEFGHJKMNPQRSTVWXY{:02d}"

QUICK = NativeTimes(
    push=PushTimes(mqtt=MqttTimes(answer_s=5, keepalive_s=5), gate_poll_s=0.02, refused_retry_s=0.3),
    beat=BeatTimes(every_s=0.2, least_gap_s=0.02, resend_after_s=0.4),
    http=HttpTimes(connect_s=2, silence_s=1, exchange_s=2),
    reconnect_max_s=0.3,
    reconnect_base_s=0.05,
)


@dataclass
class Box:
    """A native source with everything it is handed."""

    source: NativeSource
    identity: Latest[Identity | None]
    inbox: MemoryInbox = field(default_factory=MemoryInbox)
    outbox: MemoryOutbox = field(default_factory=MemoryOutbox)
    groups: Latest[tuple[str, ...]] = field(default_factory=lambda: Latest(()))
    issues: IssueList = field(default_factory=IssueList)
    events: EventList = field(default_factory=EventList)

    @property
    def status(self) -> SourceStatus:
        return self.source.status.value


async def until(true: Callable[[], bool], limit_s: float = 10.0) -> None:
    async with asyncio.timeout(limit_s):
        while not true():
            await asyncio.sleep(0.01)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    acl = tmp_path / "acl"
    acl.write_text(
        "user admin\ntopic readwrite tl/v1/#\npattern read tl/v1/%u/down/#\npattern read tl/v1/g/#\n"
        + "".join(f"pattern write tl/v1/%u/up/{kind}\n" for kind in ("birth", "state", "event", "reported")),
        encoding="utf-8",
    )
    passwords = write_passwords(tmp_path / "passwords", {DEVICE: SECRET, "admin": "a"})
    with running_broker(tmp_path / "broker", password_file=passwords, acl_file=acl) as running:
        yield running


@pytest.fixture
async def server(broker: Broker) -> AsyncIterator[FakeServer]:
    async with running_server() as running:
        running.broker = BrokerAddress(host="127.0.0.1", port=broker.port)
        yield running


@asynccontextmanager
async def a_box(
    server: FakeServer,
    *,
    times: NativeTimes = QUICK,
    uplink: Callable[[], bool] = lambda: True,
    paired: bool = True,
    inbox: MemoryInbox | None = None,
) -> AsyncIterator[Box]:
    answer = await enrol(server.base_url, CODE)
    me = Identity(url=server.base_url, enrolled=answer)
    identity: Latest[Identity | None] = Latest(me if paired else None)
    kept, outbox, issues, events = inbox or MemoryInbox(), MemoryOutbox(), IssueList(), EventList()
    groups: Latest[tuple[str, ...]] = Latest(())
    source = NativeSource(
        identity=identity,
        url="",
        inbox=kept,
        outbox=outbox,
        groups=groups,
        birth=a_birth,
        health=a_health,
        issues=issues,
        tell_event=events,
        clock=RealClock(),
        times=times,
        uplink_allows=uplink,
    )
    box = Box(source, identity, kept, outbox, groups, issues, events)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(source.run())
        try:
            yield box
        finally:
            running.cancel()


async def connected(box: Box) -> None:
    await until(lambda: box.status.mqtt is LinkState.CONNECTED)


def admin(broker: Broker, *, persistent: str = "") -> aiomqtt.Client:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 3600
    return aiomqtt.Client(
        "127.0.0.1",
        broker.port,
        username="admin",
        password="a",
        identifier=persistent or None,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=not persistent,
        properties=properties if persistent else None,
        timeout=5,
    )


async def say(broker: Broker, topic: str, payload: bytes, *, retain: bool = False) -> None:
    async with admin(broker) as client:
        await client.publish(topic, payload, qos=1, retain=retain)


async def retained(broker: Broker, kind: str) -> bytes:
    async with admin(broker) as client, asyncio.timeout(5):
        await client.subscribe(topics.up(DEVICE, kind))
        payload = (await anext(aiter(client.messages))).payload
        assert isinstance(payload, bytes)
        return payload


async def until_state(broker: Broker, state: str) -> State:
    async with asyncio.timeout(10):
        while (said := State.read(await retained(broker, "state"))).state != state:
            await asyncio.sleep(0.02)
    return said


# orders


async def test_order_pushed_is_kept_and_told_of_birth_and_state(broker: Broker, server: FakeServer) -> None:
    async with a_box(server) as box:
        await connected(box)
        await say(broker, DOWN, b"envelope")
        await until(lambda: box.inbox.kept == [(b"envelope", "mqtt")])
        assert Birth.read(await retained(broker, "birth")) == a_birth()
        await until_state(broker, "online")
    assert (await until_state(broker, "offline")).boot_id == "boot-1"


async def test_order_whose_insert_was_cut_off_comes_again(broker: Broker, server: FakeServer) -> None:
    dying = MemoryInbox()
    dying.gate = asyncio.Event()
    async with a_box(server, inbox=dying) as box:
        await connected(box)
        await say(broker, DOWN, b"flood warning")
        await until(lambda: dying.inserts == 1)
    assert dying.kept == []
    async with a_box(server) as box:
        await until(lambda: box.inbox.envelopes == [b"flood warning"])


async def test_order_is_not_acknowledged_while_the_store_fails(broker: Broker, server: FakeServer) -> None:
    async with a_box(server) as box:
        await connected(box)
        box.inbox.failure = StoreError("disk full")
        await say(broker, DOWN, b"order")
        await until(lambda: box.inbox.inserts >= 2)
        box.inbox.failure = None
        await until(lambda: box.inbox.envelopes == [b"order"])


async def test_order_delivered_twice_is_kept_once_and_acknowledged_twice(
    broker: Broker, server: FakeServer
) -> None:
    async with a_box(server) as box:
        await connected(box)
        await say(broker, DOWN, b"order")
        await say(broker, DOWN, b"order")
        await until(lambda: box.inbox.inserts == 2)
    assert box.inbox.envelopes == [b"order"]
    async with a_box(server) as box:
        await connected(box)
        await asyncio.sleep(0.1)
        assert box.inbox.inserts == 0


async def test_orders_sent_while_the_box_was_away_come_when_it_is_back(
    broker: Broker, server: FakeServer
) -> None:
    async with a_box(server) as box:
        await connected(box)
    for number in range(30):
        await say(broker, DOWN, b"order %d" % number)
    async with a_box(server) as box:
        await until(lambda: len(box.inbox.kept) == 30)
    assert box.inbox.envelopes == [b"order %d" % number for number in range(30)]


async def test_rubbish_is_kept_for_judgement_and_blocks_nothing(broker: Broker, server: FakeServer) -> None:
    rubbish = [b"\xff\xfe\x00 not utf-8 %d" % number for number in range(30)]
    async with a_box(server) as box:
        await connected(box)
        for one in rubbish:
            await say(broker, DOWN, one)
        await say(broker, DOWN, b"good")
        await until(lambda: box.inbox.envelopes == [*rubbish, b"good"])


async def test_oversized_order_is_refused_by_name_without_being_kept(
    broker: Broker, server: FakeServer
) -> None:
    async with a_box(server) as box:
        await connected(box)
        await say(broker, DOWN, b"x" * (MAX_ENVELOPE_BYTES + 1))
        await say(broker, DOWN, b"y" * MAX_ENVELOPE_BYTES)
        await until(lambda: len(box.inbox.kept) == 1)
        assert box.inbox.envelopes == [b"y" * MAX_ENVELOPE_BYTES]
        assert box.events.told == [(EventType.ORDER_REFUSED, DOWN, "too_large")]
        assert box.status.oversized == 1
    async with a_box(server) as box:
        await connected(box)
        await asyncio.sleep(0.1)
        assert box.events.told == [], "the oversized order was not acknowledged"


async def test_withdrawn_retained_order_is_no_order(broker: Broker, server: FakeServer) -> None:
    async with a_box(server) as box:
        await connected(box)
        await say(broker, topics.down(DEVICE, "desired"), b"", retain=True)
        await say(broker, DOWN, b"after")
        await until(lambda: box.inbox.envelopes == [b"after"])


async def test_group_joined_while_connected_is_heard_and_left_again(
    broker: Broker, server: FakeServer
) -> None:
    topic = topics.group_down("xa-mau", "emergency")
    async with a_box(server) as box:
        await connected(box)
        box.groups.set(("xa-mau",))
        await until_heard(broker, box, topic, heard=True)
        box.groups.set(())
        await until_heard(broker, box, topic, heard=False)
        assert box.status.mqtt is LinkState.CONNECTED


async def until_heard(broker: Broker, box: Box, topic: str, *, heard: bool) -> None:
    """Say something to a group until the box hears it, or hears it no more."""
    for number in range(100):
        siren, after = b"siren %d %d" % (heard, number), b"after %d %d" % (heard, number)
        await say(broker, topic, siren)
        await say(broker, DOWN, after)
        await until(partial(box.inbox.has, after))
        if (siren in box.inbox.envelopes) is heard:
            return
    pytest.fail(f"group still {'not ' if heard else ''}heard")


# reports


async def test_no_report_is_lost_while_the_broker_is_killed_ten_times(
    broker: Broker, server: FakeServer
) -> None:
    total = 200
    arrived: set[str] = set()

    async def collect() -> None:
        while True:
            try:
                async with admin(broker, persistent="collector") as client:
                    await client.subscribe(topics.up(DEVICE, "event"), qos=1)
                    async for message in client.messages:
                        assert isinstance(message.payload, bytes)
                        arrived.add(message.payload.decode())
                        server.stored.add(message.payload.decode())
            except aiomqtt.MqttError:
                await asyncio.sleep(0.02)

    ids = [f"01JABCDEFGHJKMNPQRSTVW{number:04d}" for number in range(total)]
    async with a_box(server) as box, asyncio.TaskGroup() as group:
        collector = group.create_task(collect())
        for number, report_id in enumerate(ids):
            box.outbox.put(Row(report_id, "event", report_id.encode(), receipt=True))
            await asyncio.sleep(0.01)
            if number % 20 == 10:
                broker.kill()
                await asyncio.sleep(random.uniform(0, 0.1))
                broker.start()
        await until(lambda: not box.outbox.rows, limit_s=40)
        assert arrived == set(ids)
        collector.cancel()


async def test_report_without_receipt_leaves_the_outbox_when_the_broker_has_it(
    broker: Broker, server: FakeServer
) -> None:
    async with a_box(server) as box:
        box.outbox.put(*[Row(f"r{number}", "event", b"%d" % number) for number in range(50)])
        await until(lambda: not box.outbox.rows)


async def test_report_without_receipt_in_time_is_sent_again(broker: Broker, server: FakeServer) -> None:
    report_id = ULID.format(1)
    async with a_box(server) as box, admin(broker) as client:
        await client.subscribe(topics.up(DEVICE, "event"), qos=1)
        box.outbox.put(Row(report_id, "event", b"once", receipt=True))
        async with asyncio.timeout(10):
            messages = aiter(client.messages)
            assert (await anext(messages)).payload == (await anext(messages)).payload == b"once"
        server.stored.add(report_id)
        await until(lambda: not box.outbox.rows)


async def test_report_the_broker_declines_stays_and_the_others_pass(
    broker: Broker, server: FakeServer
) -> None:
    async with a_box(server) as box:
        box.outbox.put(*[Row(f"asrun{number}", "asrun", b"{}") for number in range(40)])
        box.outbox.put(Row("event1", "event", b"{}"), Row("bad kind", "../x", b"{}"))
        await until(lambda: "event1" not in box.outbox.rows)
        assert len(box.outbox.rows) == 41
        assert (Fault.SERVER_REFUSED, topics.up(DEVICE, "asrun")) in box.issues.open
        box.outbox.put(Row("event2", "event", b"{}"))
        await until(lambda: "event2" not in box.outbox.rows)
        assert box.status.mqtt is LinkState.CONNECTED


async def test_reported_state_is_retained(broker: Broker, server: FakeServer) -> None:
    async with a_box(server) as box:
        box.outbox.put(Row("r1", "reported", b"what the box holds"))
        await until(lambda: not box.outbox.rows)
    assert await retained(broker, "reported") == b"what the box holds"


# the second way


async def test_order_the_push_missed_is_fetched_by_heartbeat_although_the_broker_is_dead(
    broker: Broker, server: FakeServer
) -> None:
    broker.kill()
    server.add_order("bulletin", ULID.format(2), b"bulletin")
    server.add_order("emergency", ULID.format(3), b"emergency")
    async with a_box(server) as box:
        await until(lambda: len(box.inbox.kept) == 2)
        assert box.inbox.kept == [(b"emergency", "https"), (b"bulletin", "https")]
        await until(lambda: box.status.http_up is True and box.status.mqtt_error is not None)
        assert box.status.reachable
        assert box.status.mqtt is not LinkState.CONNECTED


async def test_order_held_already_is_not_fetched_again(broker: Broker, server: FakeServer) -> None:
    server.add_order("bulletin", ULID.format(4), b"known")
    server.add_order("bulletin", ULID.format(5), b"new")
    async with a_box(server) as box:
        box.inbox.known.add(("bulletin", ULID.format(4)))
        await until(lambda: len(server.beats) >= 4)
        assert box.inbox.envelopes == [b"new"]
        assert len(server.paths(DOCUMENTS)) == 1


async def test_document_that_is_gone_or_too_long_does_not_keep_the_next_from_coming(
    broker: Broker, server: FakeServer
) -> None:
    server.add_order("emergency", ULID.format(6), b"x" * (MAX_ENVELOPE_BYTES + 1))
    server.add_order("emergency", ULID.format(7), b"gone")
    del server.documents[ULID.format(7)]
    server.add_order("bulletin", ULID.format(8), b"good")
    async with a_box(server) as box:
        await until(lambda: box.inbox.envelopes == [b"good"])
        await until(lambda: len(server.beats) >= 3)
        assert len(server.paths(DOCUMENTS)) == 3


async def test_heartbeat_follows_at_once_after_the_push_link_is_up(
    broker: Broker, server: FakeServer
) -> None:
    slow = replace(QUICK, beat=BeatTimes(every_s=600, least_gap_s=0.01))
    async with a_box(server, times=slow) as box:
        await connected(box)
        await until(lambda: len(server.beats) >= 2)


@pytest.mark.parametrize(
    ("attribute", "value", "code"),
    [
        ("status", 503, "http_503"),
        ("redirect", "http://127.0.0.1:1/login", "redirected"),
        ("html", True, "not_our_server"),
        ("delay_s", 3.0, "timeout"),
    ],
)
async def test_server_that_does_not_answer_properly_is_down_with_its_cause(
    broker: Broker, server: FakeServer, attribute: str, value: object, code: str
) -> None:
    async with a_box(server) as box:
        await until(lambda: box.status.http_up is True)
        setattr(server.faults, attribute, value)
        await until(lambda: box.status.http_up is False)
        assert box.status.http_error is not None
        assert box.status.http_error.code == code
        assert box.status.mqtt is LinkState.CONNECTED
        setattr(server.faults, attribute, 0.0 if attribute == "delay_s" else None)
        server.faults.html = False
        await until(lambda: box.status.http_up is True)


# connecting


async def test_wrong_password_is_a_refusal_on_both_ways(broker: Broker, server: FakeServer) -> None:
    server.secret = "w" * 43
    async with a_box(server) as box:
        server.secret = SECRET
        await until(lambda: box.status.mqtt is LinkState.REFUSED and box.status.http_error is not None)
        assert box.status.mqtt_error is not None
        assert box.status.mqtt_error.code == "credentials"
        assert box.status.http_error is not None
        assert box.status.http_error.code == "credentials"
        assert not box.status.reachable


async def test_nobody_there_is_told_once_and_the_return_with_its_duration(
    broker: Broker, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    broker.kill()
    with caplog.at_level("INFO"):
        async with a_box(server) as box:
            await until(lambda: box.status.mqtt is LinkState.WAITING)
            await asyncio.sleep(0.8)
            broker.start()
            await connected(box)
            await asyncio.sleep(0.1)
    said = [record.message for record in caplog.records if "push link" in record.message]
    assert [line.split(" (")[0].split(" after")[0] for line in said] == ["push link lost", "push link back"]


async def test_library_noise_does_not_reach_the_log(
    broker: Broker, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_box(server) as box:
        for _ in range(5):
            await connected(box)
            box.outbox.put(*[Row(f"r{number}", "event", b"x" * 5000) for number in range(60)])
            broker.kill()
            await until(lambda: box.status.mqtt is not LinkState.CONNECTED)
            broker.start()
        await connected(box)
    assert [record.message for record in caplog.records if record.name in ("asyncio", "mqtt")] == []


async def test_frozen_broker_is_noticed_and_left(broker: Broker, server: FakeServer) -> None:
    impatient = replace(QUICK, push=replace(QUICK.push, mqtt=MqttTimes(answer_s=0.5, keepalive_s=1)))
    async with a_box(server, times=impatient) as box:
        await connected(box)
        broker.freeze()
        await until(lambda: box.status.mqtt is not LinkState.CONNECTED)
        broker.thaw()
        await connected(box)


async def test_sim_without_data_closes_the_session_and_is_named(broker: Broker, server: FakeServer) -> None:
    data = [True]
    async with a_box(server, uplink=lambda: data[0]) as box:
        await connected(box)
        data[0] = False
        await until(lambda: box.status.mqtt is LinkState.NO_UPLINK and box.status.http_up is False)
        asked = len(server.requests)
        await asyncio.sleep(0.5)
        assert len(server.requests) == asked
        await until_state(broker, "offline")
        with pytest.raises(LinkDownError):
            await box.source.fetch("/device/v1/media/x", 10)
        data[0] = True
        await connected(box)
        await until(lambda: box.status.http_up is True)


async def test_network_change_ends_a_long_wait(broker: Broker, server: FakeServer) -> None:
    broker.kill()
    patient = replace(QUICK, reconnect_max_s=600, reconnect_base_s=600)
    async with a_box(server, times=patient) as box:
        await until(lambda: box.status.mqtt is LinkState.WAITING)
        broker.start()
        for _ in range(3):
            box.source.network_changed()
            await asyncio.sleep(0.05)
        await connected(box)


async def test_box_paired_while_running_connects(broker: Broker, server: FakeServer) -> None:
    async with a_box(server, paired=False) as box:
        await until(lambda: box.status.mqtt is LinkState.NOT_ENROLLED)
        with pytest.raises(LinkRefusedError):
            await box.source.fetch("/x", 10)
        box.identity.set(Identity(url=server.base_url, enrolled=await enrol(server.base_url, CODE)))
        await connected(box)
        box.identity.set(None)
        await until(lambda: box.status.mqtt is LinkState.NOT_ENROLLED)


async def test_source_stopped_at_any_moment_stops(broker: Broker, server: FakeServer) -> None:
    draw = random.Random(1)
    failing = MemoryInbox()
    failing.failure = StoreError("disk full")
    await say(broker, topics.down(DEVICE, "desired"), b"order", retain=True)
    for _ in range(40):
        async with asyncio.timeout(10), a_box(server, inbox=failing) as box:
            await asyncio.sleep(draw.uniform(0, 0.15))
            box.outbox.put(Row("r", "event", b"{}"))


# fetching and enrolment


async def test_fetch_returns_whole_documents_within_their_limit(broker: Broker, server: FakeServer) -> None:
    server.schedules["a" * 64] = b"[]" * 1000
    async with a_box(server) as box:
        await connected(box)
        assert await box.source.fetch(SCHEDULES + "a" * 64, 2000) == b"[]" * 1000
        with pytest.raises(MediaCorruptError):
            await box.source.fetch(SCHEDULES + "a" * 64, 1999)
        with pytest.raises(MediaGoneError):
            await box.source.fetch(SCHEDULES + "b" * 64, 1999)


async def test_wrong_code_is_refused_in_the_words_of_the_server(server: FakeServer) -> None:
    with pytest.raises(LinkRefusedError, match="the code has expired"):
        await enrol(server.base_url, "WRONG-CODE")
    with pytest.raises(LinkRefusedError, match="code"):
        await enrol(server.base_url, "short")


async def test_enrolment_without_a_server_is_down() -> None:
    with pytest.raises(LinkDownError):
        await enrol(f"http://127.0.0.1:{free_port()}", CODE)
