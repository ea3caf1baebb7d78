from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.live.api import LiveTimes, LiveUnavailableError, WantedLive
from agent.live.feeds import LiveFeeds
from agent.live.inlet import Inlet
from agent.live.pipes import Fan
from agent.model.bulletin import LiveInput, LiveSource
from agent.model.issue import Fault
from tests.support.clock import NS, FakeClock

MP3_FRAME = b"\xff\xfb\x54\xc0" + bytes(188)  # 24 ms


class Nowhere:
    """Takes issues and keeps none."""

    def raise_(self, fault: Fault, subject: str = "", detail: str = "") -> None: ...

    def clear(self, fault: Fault, subject: str = "") -> None: ...


@asynccontextmanager
async def nobody(path: str) -> AsyncIterator[AsyncIterator[bytes]]:
    raise AssertionError(path)
    yield  # type: ignore[unreachable]  # makes it a generator


def feeds(folder: Path, place: str) -> LiveFeeds:
    return LiveFeeds(
        fetch=nobody,
        inputs={"line": place},
        open_tuner=None,
        tuner_input="",
        folder=folder,
        clock=FakeClock(),
        issues=Nowhere(),
        times=LiveTimes(),
    )


def line_in(*zones: str, live_id: str = "a") -> WantedLive:
    return WantedLive(live_id, LiveInput(LiveSource.LINE_IN, "line", 30, 10), zones, final=False)


async def test_input_that_only_one_can_open_is_given_to_one_zone_at_a_time(tmp_path: Path) -> None:
    live = feeds(tmp_path, "plughw:CARD=Device,DEV=0")
    live.want((line_in("hill", "dike"),))
    live.feed("a", "hill")
    live.feed("a", "hill")
    with pytest.raises(LiveUnavailableError, match=r"zone 'hill' reads.*dsnoop"):
        live.feed("a", "dike")
    live.release("a", "dike")
    with pytest.raises(LiveUnavailableError):
        live.feed("a", "dike")
    live.release("a", "hill")
    live.feed("a", "dike")
    live.want((line_in("hill", live_id="b"),))
    assert live.feed("b", "hill").place.startswith("plughw")


@pytest.mark.parametrize("place", ["plug:'dsnoop:CARD=Device,DEV=0'", "simulated:/tmp/line.wav"])
async def test_shared_input_is_given_to_all(tmp_path: Path, place: str) -> None:
    live = feeds(tmp_path, place)
    live.want((line_in("hill", "dike"),))
    assert live.feed("a", "hill").place == live.feed("a", "dike").place == place


class Passing(FakeClock):
    """Whoever sleeps is woken at once, at the time that he wanted."""

    async def sleep(self, delay_s: float) -> None:
        self._mono_ns += int(max(0.0, delay_s) * NS)


async def test_source_that_is_faster_than_time_is_held_back_in_small_slices(tmp_path: Path) -> None:
    clock, sizes = Passing(), []

    class Ear(Fan):
        crowded = False

        def __init__(self) -> None: ...

        def begin(self, kind: str) -> None: ...

        def push(self, pieces, header, now_s, rate) -> None:  # type: ignore[no-untyped-def]
            sizes.append((clock.monotonic(), sum(len(one.data) for one in pieces)))

    began = clock.monotonic()
    inlet = Inlet(Ear(), clock)
    chunk = MP3_FRAME * 80
    for _ in range(40):
        await inlet.take(chunk)  # 1.92 s of sound, at once
    passed = clock.monotonic() - began
    assert 64 <= passed <= 68, "76.8 s of sound, at most ten ahead"
    assert inlet.newest_s == pytest.approx(clock.monotonic(), abs=0.2), "it does not count as standing still"
    late = [size for at, size in sizes if at > began + 5]
    assert max(late) <= 3 * 192 * 5, "no burst bigger than a reader holds"
    assert sum(size for _, size in sizes) >= 39 * len(chunk)
