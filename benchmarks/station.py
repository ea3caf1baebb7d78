"""Measures a whole station: real server, broker, agent, libvlc; only the last centimetre is simulated.

Reads what the simulated speaker really played, not what anybody said about it.
"""

from __future__ import annotations

import math
import struct
import tempfile
import time
import wave
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from agent.cli.simulate import write_config
from benchmarks.entry import Entry, lower, percentile
from tools.api import Api
from tools.listen import cpu_s, memory_mb, recording
from tools.rig import Rig, start_box, start_server

CIVIL = ZoneInfo("Asia/Ho_Chi_Minh")
AIRINGS = 32
EVERY_S = 4
PUBLICATIONS = 40
IDLE_S = 30.0
ITEM_MS = 500

Say = Callable[[str], None]


def measure(say: Say) -> list[Entry]:
    """Run one station and take every figure from it; about four minutes."""
    with tempfile.TemporaryDirectory(prefix="tieng-lang-bench-") as folder, Rig(Path(folder), 900) as rig:
        api = start_server(rig, "127.0.0.1:0", "127.0.0.1:0", messages=False)
        code = api.post("/api/v1/enrolment-codes", {})["code"]
        config = write_config(rig.folder / "box", api.url, None)
        text = config.read_text(encoding="utf-8")
        plain = 'amplifier = { kind = "simulated", '
        config.write_text(text.replace(plain, plain + "settle_ms = 0, unmute_ms = 0, "), encoding="utf-8")
        box = start_box(rig, api.url, code, listen=False)
        rig.wait("box online", 30, lambda: True if _online(api) else None)
        pid = rig.pid("box")
        tones = [_tone(api, rig.folder, hertz) for hertz in (440, 660, 880)]
        return [
            *_publish(api, rig, tones, say),
            *_idle(pid, say),
            *_airings(api, rig, box, tones, say),
        ]


def _online(api: Api) -> bool:
    return any(box["state"] == "online" for box in api.get("/api/v1/boxes")["boxes"])


def _tone(api: Api, folder: Path, hertz: int) -> str:
    """Upload half a second of a sine that is loud from its first sample to its last."""
    path = folder / f"tone-{hertz}.wav"
    count = 48 * ITEM_MS
    samples = (round(12_000 * math.sin(2 * math.pi * hertz * n / 48_000 + 1.0)) for n in range(count))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(struct.pack(f"<{count}h", *samples))
    return str(api.upload("/api/v1/media", path, title=f"{hertz} Hz")["sha256"])


def _items(tones: list[str]) -> list[dict[str, Any]]:
    return [
        {"id": f"tone-{n}", "title": f"Tone {n}", "kind": "speech", "media": sha256}
        for n, sha256 in enumerate(tones)
    ]


def _put(api: Api, tones: list[str], starts: list[datetime]) -> int:
    """Make and publish a schedule with one programme per start; returns its version."""
    programmes = [
        {
            "id": f"airing-{start:%Y%m%d%H%M%S}",
            "title": f"Airing {n}",
            "items": _items(tones),
            "recurrences": [{"start": start.replace(tzinfo=None).isoformat()}],
        }
        for n, start in enumerate(starts)
    ]
    api.post("/api/v1/schedules", {"id": "bench", "programmes": programmes})
    return int(api.post("/api/v1/schedules/bench/publish", {"all": True})["version"])


def _whole_second(ahead_s: float) -> datetime:
    return (datetime.now(CIVIL) + timedelta(seconds=ahead_s)).replace(microsecond=0)


def _publish(api: Api, rig: Rig, tones: list[str], say: Say) -> list[Entry]:
    """From the answer of the publishing request to the box's report that the schedule is in force."""
    watch = api.watch("/api/v1/watch")
    took_ms = []
    for n in range(PUBLICATIONS):
        say(f"publishing {n + 1}/{PUBLICATIONS}")
        version = _put(api, tones, [_whole_second(86_400 + n)])
        answered = time.monotonic()

        def in_force(version: int = version) -> bool | None:
            while (news := watch.take(1.0)) is not None:  # `wait` pauses between looks: take all there is
                if news[0] == "reported" and news[1].get("schedule_version") == version:
                    return True
            return None

        rig.wait(f"version {version} in force", 10, in_force)
        took_ms.append((time.monotonic() - answered) * 1000)
    return [lower("publish_to_scheduled_ms_p99", percentile(took_ms, 0.99), "ms", "limit", 300)]


def _idle(pid: int, say: Say) -> list[Entry]:
    say(f"idle for {IDLE_S:.0f} s")
    time.sleep(5)
    before_s, began = cpu_s(pid), time.monotonic()
    time.sleep(IDLE_S)
    percent = (cpu_s(pid) - before_s) / (time.monotonic() - began) * 100
    return [
        lower("agent_memory_mb_idle", memory_mb(pid), "MB", "limit", 100),
        lower("agent_cpu_percent_idle", percent, "% of one core", "limit", 1),
    ]


def _airings(api: Api, rig: Rig, box: Path, tones: list[str], say: Say) -> list[Entry]:
    pid = rig.pid("box")
    first = _whole_second(8)
    starts = [first + timedelta(seconds=EVERY_S * n) for n in range(AIRINGS)]
    length = timedelta(milliseconds=ITEM_MS * len(tones))
    version = _put(api, tones, starts)
    memory = []
    end = starts[-1] + length + timedelta(seconds=2)
    while (now := datetime.now(CIVIL)) < end:
        say(f"airing {sum(start <= now for start in starts)}/{AIRINGS} (version {version})")
        if any(start <= now < start + length for start in starts):
            memory.append(memory_mb(pid))
        rig.check()
        time.sleep(0.5)
    heard = recording(box, last_s=(end - first).total_seconds() + 30)
    errors_ms, gaps_ms = [], []
    for start in starts:
        moment = start.astimezone(UTC)
        sound = heard.first_sound(moment - timedelta(seconds=1))
        if sound is None or abs(sound - moment) > timedelta(seconds=2):
            raise RuntimeError(f"the airing at {start:%H:%M:%S} was not heard")
        errors_ms.append(abs((sound - moment).total_seconds()) * 1000)
        for item in range(1, len(tones)):
            joint = sound + timedelta(milliseconds=ITEM_MS * item)
            around = timedelta(milliseconds=200)
            gaps_ms.append(heard.longest_pause_ms(joint - around, joint + around))
    return [
        lower("schedule_start_error_ms_p99", percentile(errors_ms, 0.99), "ms", "limit", 30),
        lower("gap_between_items_ms_p99", percentile(gaps_ms, 0.99), "ms", "limit", 60),
        lower("agent_memory_mb_playing", max(memory), "MB", "limit", 130),
    ]
