import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.live.api import LiveLostError
from agent.live.hls import HlsStream
from agent.live.playlist import MediaPlaylist, media_playlist
from agent.live.web import Web
from tests.support.clock import FakeClock


def listed(first: int, count: int, more: str = "") -> str:
    head = f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:{first}\n{more}"
    return head + "".join(f"#EXTINF:4,\ns{first + n}\n" for n in range(count))


@asynccontextmanager
async def nobody(path: str) -> AsyncIterator[AsyncIterator[bytes]]:
    raise LiveLostError(path)
    yield  # type: ignore[unreachable]  # makes it a generator


def follower() -> HlsStream:
    return HlsStream(Web(nobody), "/list", "", FakeClock())


def numbers(stream: HlsStream, playlist: MediaPlaylist) -> list[int]:
    return [one.number for one in stream._new(playlist)]


def test_live_stream_is_joined_three_targets_from_its_edge_and_followed() -> None:
    stream = follower()
    assert numbers(stream, media_playlist(listed(10, 6))) == [13, 14, 15]
    assert numbers(stream, media_playlist(listed(10, 6))) == []
    assert numbers(stream, media_playlist(listed(11, 7))) == [16, 17]


def test_finished_stream_is_played_from_its_beginning() -> None:
    assert numbers(follower(), media_playlist(listed(0, 5, "#EXT-X-ENDLIST\n"))) == [0, 1, 2, 3, 4]


def test_gap_and_new_beginning_are_jumped_over() -> None:
    stream = follower()
    numbers(stream, media_playlist(listed(10, 6)))
    assert numbers(stream, media_playlist(listed(90, 6))) == [93, 94, 95], "the box was away for long"
    assert numbers(stream, media_playlist(listed(0, 4))) == [1, 2, 3], "the server began anew"


def test_empty_list_is_waited_for() -> None:
    stream = follower()
    assert numbers(stream, media_playlist(listed(10, 0))) == []
    assert numbers(stream, media_playlist(listed(10, 1))) == [10]


class Ear:
    """Takes sound and keeps how much came when."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.came: list[tuple[float, int]] = []

    def opened(self) -> None: ...

    async def take(self, data: bytes) -> None:
        self.came.append((self._clock.monotonic(), len(data)))


async def test_segments_are_given_on_at_the_pace_of_time() -> None:
    clock = FakeClock()

    @asynccontextmanager
    async def fetch(path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"x" * 40_000

        assert path.startswith("/a/s")
        yield chunks()

    ear = Ear(clock)
    stream = HlsStream(Web(fetch), "/a/list", listed(0, 3, "#EXT-X-ENDLIST\n"), clock)
    running = asyncio.create_task(stream.run(ear))
    began = clock.monotonic()
    await clock.pass_(14.0)
    await running
    assert sum(size for _, size in ear.came) == 120_000
    for at_s, _ in ear.came:
        so_far = sum(size for moment, size in ear.came if moment <= at_s)
        assert abs(so_far / 10_000 - (at_s - began)) < 1.3


async def test_list_that_stands_still_is_a_loss() -> None:
    clock = FakeClock()
    text = listed(0, 3)

    @asynccontextmanager
    async def fetch(path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        async def chunks() -> AsyncIterator[bytes]:
            yield text.encode() if path.endswith("list") else b"x" * 400

        yield chunks()

    running = asyncio.create_task(HlsStream(Web(fetch), "/a/list", text, clock).run(Ear(clock)))
    await clock.pass_(40.0)
    with pytest.raises(LiveLostError, match="not advanced"):
        await running


async def test_big_segment_is_given_in_small_bites() -> None:
    clock = FakeClock()

    @asynccontextmanager
    async def fetch(path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        async def chunks() -> AsyncIterator[bytes]:
            assert path
            yield b"x" * 4_000_000

        yield chunks()

    ear = Ear(clock)
    stream = HlsStream(Web(fetch), "/a/list", listed(0, 1, "#EXT-X-ENDLIST\n"), clock)
    running = asyncio.create_task(stream.run(ear))
    await clock.pass_(6.0)
    await running
    assert sum(size for _, size in ear.came) == 4_000_000
    assert max(size for _, size in ear.came) <= 16 * 1024
