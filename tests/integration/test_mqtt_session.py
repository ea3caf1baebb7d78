"""What the session promises over aiomqtt and paho, held against a real Mosquitto."""

import asyncio
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest

from agent.errors import LinkDownError, LinkRefusedError
from agent.source.errors import PublishRefusedError, SourceDownError, SourceRefusedError
from agent.source.mqtt import MAX_PACKET_BYTES, RECEIVE_MAXIMUM, MqttAddress, MqttSession, MqttTimes, Will
from agent.wire import topics
from tests.support.broker import Broker, free_port, running_broker, write_passwords

DEVICE = "hop-loa-0001"
SECRET = "s" * 43
DOWN = topics.down(DEVICE, "bulletin")
STATE = topics.up(DEVICE, "state")
WILL = Will(STATE, b"offline")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    acl = tmp_path / "acl"
    acl.write_text(
        "user admin\ntopic readwrite tl/v1/#\n"
        "pattern read tl/v1/%u/down/#\npattern read tl/v1/g/#\n"
        "pattern write tl/v1/%u/up/state\npattern write tl/v1/%u/up/event\n",
        encoding="utf-8",
    )
    passwords = write_passwords(tmp_path / "passwords", {DEVICE: SECRET, "admin": "a"})
    with running_broker(tmp_path / "broker", password_file=passwords, acl_file=acl) as running:
        yield running


def session(port: int, *, secret: str = SECRET, times: MqttTimes | None = None) -> MqttSession:
    return MqttSession(MqttAddress("127.0.0.1", port, DEVICE, secret), WILL, times or MqttTimes(answer_s=5))


def admin(broker: Broker) -> aiomqtt.Client:
    return aiomqtt.Client(
        "127.0.0.1", broker.port, username="admin", password="a", protocol=aiomqtt.ProtocolVersion.V5
    )


async def subscribed_once(broker: Broker) -> None:
    async with session(broker.port) as box:
        await box.subscribe(topics.subscriptions(DEVICE, ()))


async def retained(broker: Broker, topic: str) -> bytes:
    async with admin(broker) as client:
        await client.subscribe(topic)
        async with asyncio.timeout(5):
            message = await anext(aiter(client.messages))
        assert isinstance(message.payload, bytes)
        return message.payload


async def test_message_not_acknowledged_comes_again_after_the_box_died(broker: Broker) -> None:
    await subscribed_once(broker)
    async with admin(broker) as client:
        await client.publish(DOWN, b"order", qos=1)
    async with session(broker.port) as box:
        first = await asyncio.wait_for(box.receive(), 5)
        # leaving without acknowledge is what a kill between receive and insert looks like to the broker
    async with session(broker.port) as box:
        again = await asyncio.wait_for(box.receive(), 5)
        box.acknowledge(again)
    async with session(broker.port) as box:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(box.receive(), 0.3)
    assert first.payload == again.payload == b"order"


async def test_messages_sent_while_away_all_come_although_the_broker_restarted(broker: Broker) -> None:
    await subscribed_once(broker)
    async with admin(broker) as client:
        for number in range(50):
            await client.publish(DOWN, b"%d" % number, qos=1)
    broker.stop()
    broker.start()
    got: list[int] = []
    async with session(broker.port) as box:
        while len(got) < 50:
            message = await asyncio.wait_for(box.receive(), 5)
            box.acknowledge(message)
            got.append(int(message.payload))
    assert got == list(range(50))


async def test_broker_sends_no_more_than_the_receive_maximum_unacknowledged(broker: Broker) -> None:
    await subscribed_once(broker)
    async with admin(broker) as client:
        for number in range(RECEIVE_MAXIMUM + 5):
            await client.publish(DOWN, b"%d" % number, qos=1)
    async with session(broker.port) as box:
        for _ in range(RECEIVE_MAXIMUM):
            await asyncio.wait_for(box.receive(), 5)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(box.receive(), 0.3)


async def test_packet_over_the_maximum_is_kept_back_and_does_not_block_the_next(broker: Broker) -> None:
    async with session(broker.port) as box, admin(broker) as client:
        await box.subscribe(topics.subscriptions(DEVICE, ()))
        await client.publish(DOWN, b"x" * (MAX_PACKET_BYTES + 1), qos=1)
        await client.publish(DOWN, b"small", qos=1)
        assert (await asyncio.wait_for(box.receive(), 5)).payload == b"small"


async def test_publish_denied_by_the_broker_is_an_error_with_its_reason(broker: Broker) -> None:
    async with session(broker.port) as box:
        with pytest.raises(PublishRefusedError, match="Not authorized"):
            await box.publish(topics.up(DEVICE, "asrun"), b"{}")
        await box.publish(topics.up(DEVICE, "event"), b"{}")


async def test_wrong_password_is_refused_not_down(broker: Broker) -> None:
    with pytest.raises(SourceRefusedError) as caught:
        async with session(broker.port, secret="wrong" * 9):
            pass
    assert caught.value.code == "credentials"


async def test_no_broker_is_down_not_refused() -> None:
    with pytest.raises(SourceDownError) as caught:
        async with session(free_port()):
            pass
    assert caught.value.code == "unreachable"


async def test_broker_that_accepts_and_says_nothing_is_given_up_in_time_and_its_socket_closed() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(SourceDownError) as caught:
            async with session(mute.getsockname()[1], times=MqttTimes(answer_s=0.2)):
                pass
        assert caught.value.code == "timeout"
        peer, _ = mute.accept()
        with peer:
            peer.settimeout(5)
            while peer.recv(4096):
                pass  # ends only when the box has closed its side


async def test_cancelled_connect_leaves_no_socket_behind() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), session(mute.getsockname()[1]):
                pass
        peer, _ = mute.accept()
        with peer:
            peer.settimeout(5)
            while peer.recv(4096):
                pass


async def test_leaving_on_purpose_publishes_the_will(broker: Broker) -> None:
    async with session(broker.port) as box:
        await box.publish(STATE, b"online", retain=True)
        assert await retained(broker, STATE) == b"online"
    async with asyncio.timeout(5):
        while await retained(broker, STATE) != b"offline":
            await asyncio.sleep(0.02)


async def test_lost_broker_ends_receive_and_publish_as_down(broker: Broker) -> None:
    async with session(broker.port) as box:
        waiting = asyncio.ensure_future(box.receive())
        await asyncio.sleep(0.05)
        broker.kill()
        with pytest.raises(LinkDownError):
            await asyncio.wait_for(waiting, 5)
        with pytest.raises(LinkDownError):
            await box.publish(topics.up(DEVICE, "event"), b"{}")


async def test_frozen_broker_makes_publish_time_out(broker: Broker) -> None:
    async with session(broker.port, times=MqttTimes(answer_s=0.3)) as box:
        broker.freeze()
        with pytest.raises(SourceDownError) as caught:
            await box.publish(topics.up(DEVICE, "event"), b"{}")
        broker.thaw()
    assert caught.value.code == "timeout"


@pytest.mark.parametrize("after_s", [0.0, 0.1])
async def test_another_box_with_the_same_identity_is_named(after_s: float) -> None:
    # Mosquitto 2.0.11 closes without a word; later versions and other brokers send DISCONNECT 0x8E.
    async def take_over(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(bytes.fromhex("2003000000"))
        if after_s:
            await asyncio.sleep(after_s)
        writer.write(bytes.fromhex("e0028e00"))
        await reader.read()
        writer.close()

    server = await asyncio.start_server(take_over, "127.0.0.1", 0)
    async with server:
        with pytest.raises(LinkRefusedError, match="identity"):
            async with session(server.sockets[0].getsockname()[1]) as box:
                await asyncio.wait_for(box.receive(), 5)


async def test_many_publishes_side_by_side_are_all_confirmed(broker: Broker) -> None:
    async with admin(broker) as client, session(broker.port) as box:
        await client.subscribe(topics.up(DEVICE, "event"), qos=1)
        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(box.publish(topics.up(DEVICE, "event"), b"%d" % number))
        got: set[int] = set()
        while len(got) < 40:
            message = await asyncio.wait_for(anext(aiter(client.messages)), 5)
            assert isinstance(message.payload, bytes)
            got.add(int(message.payload))


async def test_session_cancelled_at_any_moment_ends(broker: Broker) -> None:
    draw = random.Random(1)

    async def use() -> None:
        async with session(broker.port) as box:
            await box.subscribe(topics.subscriptions(DEVICE, ()))
            await box.receive()

    for _ in range(150):
        task = asyncio.create_task(use())
        await asyncio.sleep(draw.uniform(0, 0.006))
        task.cancel()
        done, _ = await asyncio.wait((task,), timeout=5)
        assert done, "the cancellation was lost"
        assert task.cancelled()
