"""Live announcements without a browser or an encoder: frames, limits, listeners, leases, who may hear."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from agent.model.bulletin import LiveSource
from agent.wire.reports import Health, ZoneHealth
from agent.wire.ulid import new_ulid
from server.api.live import LiveApi
from server.live.announcements import MOST_AT_ONCE, Announcement, Announcements, LiveDraft
from server.live.boxes import sounds_live
from server.live.encoder import Container, arguments
from server.live.frames import FRAME_BYTES, FRAME_S, Framer, Freshness, NotFramesError
from server.live.grants import OrderGrants
from server.live.limits import Budget, Limits
from server.live.session import MOST_PER_BOX, EndReason, Listener, LiveSession, LiveState
from server.order_drafts import GrantDraft
from server.orders import Orders
from server.problems import Problem, RefusedError, StoreFailedError
from tests.support.live_bench import FakeBoxes, FakeGrants

FRAME = b"\xff\xfb\x54\xc4" + bytes(FRAME_BYTES - 4)


def test_frames_are_cut_at_their_headers_however_the_bytes_come() -> None:
    framer = Framer()
    stream = FRAME * 5
    pieces = [framer.cut(stream[at : at + 100]) for at in range(0, len(stream), 100)]
    assert b"".join(pieces) == stream
    assert {len(one) % FRAME_BYTES for one in pieces} == {0}


@pytest.mark.parametrize("data", [b"ID3" + bytes(FRAME_BYTES), FRAME + b"<html>" + bytes(FRAME_BYTES)])
def test_what_is_no_frame_is_never_passed_on(data: bytes) -> None:
    with pytest.raises(NotFramesError):
        Framer().cut(data)


def test_speech_after_a_pause_of_the_network_is_live_again_once_it_has_caught_up() -> None:
    freshness = Freshness(most_late_s=2.0)
    now_s = 100.0
    for _ in range(100):
        now_s += FRAME_S
        assert not freshness.is_late(FRAME, now_s)
    now_s += 4.0  # the network stood still, then four seconds of speech come at once
    late = [freshness.is_late(FRAME, now_s) for _ in range(round(4.0 / FRAME_S))]
    assert late[0] is True
    assert late[-1] is False
    assert sum(late) * FRAME_S == pytest.approx(2.0, abs=0.05)


def test_a_sound_card_that_runs_slow_does_not_make_speech_late() -> None:
    freshness = Freshness(most_late_s=0.5)
    assert not any(freshness.is_late(FRAME, n * FRAME_S * 1.0005) for n in range(100_000))


def test_a_microphone_may_catch_up_but_not_send_too_much_for_long() -> None:
    limits = Limits(rate=1000.0, burst_bytes=5000.0)
    budget = Budget(limits, 0.0)
    assert budget.spend(5000, 0.0)
    assert not budget.spend(1, 0.0)
    patient = Budget(limits, 0.0)
    assert all(patient.spend(1000, float(second)) for second in range(1, 100))


def test_the_encoder_reads_pipes_only_and_guesses_no_format() -> None:
    for container in Container:
        line = " ".join(arguments(container))
        assert "-protocol_whitelist pipe " in line
        assert f" -f {'matroska' if container is Container.WEBM else 'mov'} " in line
        assert "-codec_whitelist opus,libopus,aac " in line
        assert " -reservoir 0 " in line


async def test_a_slow_box_gets_the_newest_and_loses_the_oldest() -> None:
    listener = Listener("box-aaaaaaaaaa", 3 * FRAME_BYTES)
    for number in range(10):
        listener.put(bytes([number]) * FRAME_BYTES)
    waiting = await listener.get()
    assert waiting is not None
    assert [waiting[n * FRAME_BYTES] for n in range(3)] == [7, 8, 9]
    assert listener.left_out == 7 * FRAME_BYTES
    listener.put(FRAME)
    listener.end()
    assert await listener.get() == FRAME
    assert await listener.get() is None


async def test_the_lease_ends_a_session_whatever_happens() -> None:
    session = LiveSession("s", lease_s=0.05)
    with session.listen("box-aaaaaaaaaa") as listener:
        async with asyncio.timeout(2):
            await session.run()
            assert await listener.get() is None
    assert (session.reason, session.state, session.left_s) == (EndReason.LEASE, LiveState.ENDED, 0.0)
    with pytest.raises(RefusedError), session.listen("box-aaaaaaaaaa"):
        pass


async def test_a_session_to_which_no_microphone_comes_ends() -> None:
    session = LiveSession("s", lease_s=60, limits=Limits(first_s=0.05))
    assert session.state is LiveState.WAITING
    async with asyncio.timeout(2):
        await session.run()
    assert session.reason is EndReason.MICROPHONE


async def test_an_end_is_noticed_at_once_by_who_watches() -> None:
    session = LiveSession("s", lease_s=60, limits=Limits(first_s=60))
    watching = asyncio.create_task(session.run())
    await asyncio.sleep(0)
    session.end(EndReason.STOPPED)
    async with asyncio.timeout(1):
        await watching


async def test_the_first_reason_of_an_end_stays() -> None:
    session = LiveSession("s", lease_s=60)
    session.end(EndReason.STOPPED)
    session.end(EndReason.SERVER)
    assert session.reason is EndReason.STOPPED
    assert session.begun.is_set()


async def test_one_box_cannot_fill_the_server_with_listeners() -> None:
    session = LiveSession("s", lease_s=60)
    with ExitStack() as stack:
        other = stack.enter_context(session.listen("box-bbbbbbbbbb"))
        many = [stack.enter_context(session.listen("box-aaaaaaaaaa")) for _ in range(MOST_PER_BOX + 2)]
        assert [one.over for one in many] == [True, True, *[False] * MOST_PER_BOX]
        assert await many[0].get() is None
        other.put(FRAME)
        assert await other.get() == FRAME
        assert session.listening == {"box-aaaaaaaaaa", "box-bbbbbbbbbb"}
    assert session.listening == frozenset()


async def running(announcements: Announcements) -> asyncio.Task[None]:
    task = asyncio.create_task(announcements.run())
    await asyncio.sleep(0)
    return task


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_only_so_many_announcements_at_once_and_none_before_the_server_runs() -> None:
    announcements = Announcements(FakeBoxes(), FakeGrants())
    everyone = LiveDraft("An", everyone=True)
    with pytest.raises(RefusedError):
        await announcements.start(everyone, "owner", "operator")
    task = await running(announcements)
    opened = [await announcements.start(everyone, "owner", "operator") for _ in range(MOST_AT_ONCE)]
    with pytest.raises(RefusedError) as refused:
        await announcements.start(everyone, "owner", "operator")
    assert refused.value.problem is Problem.BUSY
    opened[0].session.end(EndReason.STOPPED)
    async with asyncio.timeout(2):
        while len(announcements.listing()) == MOST_AT_ONCE:
            await asyncio.sleep(0)
    await announcements.start(everyone, "owner", "operator")
    await stopped(task)
    assert opened[1].session.reason is EndReason.SERVER


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        (LiveDraft("An", devices=("box-zzzzzzzzzz",)), "devices"),
        (LiveDraft("An", groups=("ap-9",)), "groups"),
    ],
)
async def test_an_announcement_to_nobody_is_refused(draft: LiveDraft, field: str) -> None:
    announcements = Announcements(FakeBoxes(), FakeGrants())
    task = await running(announcements)
    with pytest.raises(RefusedError) as refused:
        await announcements.start(draft, "owner", "operator")
    assert (refused.value.problem, refused.value.field) == (Problem.NO_TARGET, field)
    await stopped(task)


async def test_a_bug_in_giving_grants_ends_one_announcement_and_nothing_else() -> None:
    class Broken(FakeGrants):
        async def give(self, announcement: Announcement) -> str:
            raise ZeroDivisionError

    announcements = Announcements(FakeBoxes(), Broken())
    task = await running(announcements)
    one = await announcements.start(LiveDraft("An", everyone=True), "owner", "operator")
    one.session.begun.set()
    async with asyncio.timeout(2):
        await one.session.ended.wait()
        while announcements.listing():
            await asyncio.sleep(0)
    assert one.session.reason is EndReason.SERVER
    assert not task.done()
    await stopped(task)


def test_groups_and_single_boxes_add_up() -> None:
    first, second = FakeBoxes.known
    assert LiveDraft("An", everyone=True).is_for(first)
    assert LiveDraft("An", groups=("ap-2",)).is_for(second)
    assert not LiveDraft("An", groups=("ap-2",)).is_for(first)
    assert LiveDraft("An", devices=(first.id,), groups=("ap-2",)).is_for(first)


@pytest.mark.parametrize(
    ("rung", "sounding", "said"),
    [("live", True, True), ("live", False, False), ("programme", True, False), (None, True, False)],
)
def test_a_box_counts_as_sounding_only_by_its_own_measurement(
    rung: str | None, sounding: bool, said: bool
) -> None:
    zones = (ZoneHealth(zone="a"), ZoneHealth(zone="b", on_air="x", sounding=sounding, rung=rung))
    health = Health(boot_id="b", at=datetime.now(UTC), uptime_s=1, clock="rtc", zones=zones)
    assert sounds_live(health) is said


async def test_the_order_for_the_boxes_names_speaker_lease_and_our_own_stream() -> None:
    asked: list[tuple[Any, ...]] = []

    class Row:
        id = "01HZZZZZZZZZZZZZZZZZZZZZZZ"

    class FakeOrders:
        async def grant(self, draft: GrantDraft, author: str) -> Row:
            asked.append((draft, author))
            return Row()

        async def end_grant(self, order_id: str, author: str) -> None:
            asked.append((order_id, author))

    grants = OrderGrants(cast(Orders, FakeOrders()))
    draft = LiveDraft("Nguyễn Văn An", groups=("ap-2",), max_minutes=20)
    one = Announcement("a", draft, "owner", "console", datetime.now(UTC), LiveSession("a", 60))
    assert await grants.give(one) == Row.id
    await grants.withdraw(Row.id, "console")
    order, author = asked[0]
    assert (order.speaker, order.minutes, order.groups, author) == (
        "Nguyễn Văn An",
        20,
        ("ap-2",),
        "console",
    )
    assert (order.source, order.address) == (LiveSource.STREAM, "")
    assert asked[1] == (Row.id, "console")


@pytest.mark.parametrize("hiccup", [StoreFailedError("disk I/O error"), RefusedError(Problem.BUSY)])
async def test_a_database_that_fails_for_a_moment_does_not_cut_an_announcement(
    monkeypatch: pytest.MonkeyPatch, hiccup: Exception
) -> None:
    told: list[str] = []

    class Browser:
        async def send_str(self, text: str) -> None:
            told.append(text)

    async def fails(_: FakeBoxes) -> Any:
        raise hiccup

    api = LiveApi(Announcements(FakeBoxes(), FakeGrants()))
    one = Announcement(
        new_ulid(datetime.now(UTC)),
        LiveDraft("Lan", everyone=True),
        "owner",
        "lan",
        datetime.now(UTC),
        LiveSession("s", lease_s=60),
    )
    with monkeypatch.context() as broken:
        broken.setattr(FakeBoxes, "all", fails)
        await api._say(cast(Any, Browser()), one)
    assert told == []
    await api._say(cast(Any, Browser()), one)
    assert len(told) == 1
