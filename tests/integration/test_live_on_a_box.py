"""A live announcement from the recorder to the horn: real server, real broker, real agent, real decoding."""

from __future__ import annotations

import asyncio
import math
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from server.api.live import STOP
from tests.support.live_bench import speak
from tests.support.recorder import Slice, record
from tests.support.station import Station, a_station
from tools.listen import Recording

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PULSES = "sine=f=1500:r=48000,volume='if(lt(mod(t,2),1),0,4)':eval=frame"
"""A second of silence and a second of 1500 Hz, over and over."""

SPOKEN_S = 12.0


async def announce(station: Station, slices: list[Slice]) -> tuple[datetime, list[dict[str, Any]]]:
    """Speak for as long as the slices last; when the first word was spoken, and what the page was told."""
    told: list[dict[str, Any]] = []
    headers = {"Authorization": f"Bearer {station.api._token}"}
    async with aiohttp.ClientSession(station.api.url, headers=headers) as http:
        asked = {"speaker": "Nguyễn Văn An", "all": True, "max_minutes": 2}
        async with http.post("/api/v1/live", json=asked) as answer:
            live = await answer.json()
        async with (
            http.ws_connect(f"{live['microphone']}?type=webm") as ws,
            asyncio.TaskGroup() as group,
        ):

            async def listen() -> None:
                told.extend([message.json() async for message in ws])

            group.create_task(listen())
            began = datetime.now(UTC)
            await speak(ws, slices, asyncio.get_running_loop().time())
            await ws.send_str(STOP)
    return began, told


def pulses(heard: Recording, hertz: float = 1500) -> list[datetime]:
    """When each stretch of the spoken pitch began, in blocks of 20 ms."""
    size, found, quiet = heard.rate // 50, [], 100
    for at in range(0, len(heard.samples) - size, size):
        part = heard.samples[at : at + size]
        pitch = sum(a < 0 <= b for a, b in pairwise(part)) * 50
        if max(part) > 1000 and abs(pitch - hertz) <= 60:
            if quiet > 20:
                found.append(heard.at(at))
            quiet = 0
        else:
            quiet += 1
    return found


def test_what_is_spoken_sounds_at_the_horn_within_two_seconds_and_ends_with_the_officer(
    tmp_path: Path,
) -> None:
    slices = record(tmp_path, PULSES, SPOKEN_S)
    with a_station(tmp_path) as station:
        station.add_box()
        time.sleep(1)
        began, told = asyncio.run(announce(station, slices))
        ended = datetime.now(UTC)
        time.sleep(3)
        heard = station.speaker()
        words = pulses(heard)
        first = heard.first_sound(began)
        assert first is not None
        print(f"first word to first sound: {(first - began).total_seconds() * 1000:.0f} ms")
        spoken = [began + timedelta(seconds=n) for n in range(1, math.floor(SPOKEN_S), 2)]
        delays = [min(((w - s).total_seconds() for w in words if w > s), default=9.9) for s in spoken]
        print("spoken to sounded:", [f"{one * 1000:.0f} ms" for one in delays])
        print("told:", [(one["state"], one["listening"], one["sounding"]) for one in told])
        assert (first - began).total_seconds() < 2.0
        assert max(delays[2:]) < 2.0
        assert max(one["listening"] for one in told) == 1
        assert told[-1]["reason"] == "stopped"
        late = [heard.at(n) for n in range(len(heard.samples)) if abs(heard.samples[n]) > 300]
        assert late[-1] - ended < timedelta(seconds=3)
