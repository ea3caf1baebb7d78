"""A whole station on loopback: real server with its broker, real agent on simulated hardware."""

from __future__ import annotations

import json
import math
import os
import signal
import struct
import time
import wave
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from agent.cli.simulate import write_config
from tests.support.broker import free_port
from tools.api import Api
from tools.listen import Recording, processes, recording
from tools.rig import BIN, Rig, start_box, start_server

T = TypeVar("T")
CIVIL = ZoneInfo("Asia/Ho_Chi_Minh")
TONES_HZ = (400, 600, 800, 1000, 1200, 1400)
TONE_MS = 1000


class Station:
    """One server and its boxes; every file a test may look at lies below `folder`."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.folder = rig.folder
        self._listen = f"127.0.0.1:{free_port()}"
        self._broker_listen = f"127.0.0.1:{free_port()}"
        self.api: Api = start_server(rig, self._listen, self._broker_listen, messages=False)
        self.boxes: dict[str, str] = {}
        self._tones: list[str] = []

    # --- programs ------------------------------------------------------------------------------------

    def add_box(self, name: str = "box", **amplifier: int) -> str:
        """Pair and start one more box; returns its device id."""
        code = self.api.post("/api/v1/enrolment-codes", {})["code"]
        known = {box["id"] for box in self.api.get("/api/v1/boxes")["boxes"]}
        config = write_config(self.folder / name, self.api.url, None)
        times = {"settle_ms": 0, "unmute_ms": 0, "hold_s": 1, **amplifier}
        given = "".join(f"{key} = {value}, " for key, value in times.items())
        plain = 'amplifier = { kind = "simulated", '
        text = config.read_text(encoding="utf-8").replace(plain, plain + given)
        text = text.replace("[sensors]", "heartbeat_s = 1\nreconnect_max_s = 2\n\n[sensors]", 1)
        config.write_text(text, encoding="utf-8")
        start_box(self.rig, self.api.url, code, listen=False, name=name)

        def joined() -> str | None:
            fresh = [box for box in self.api.get("/api/v1/boxes")["boxes"] if box["id"] not in known]
            return next((str(box["id"]) for box in fresh if box["state"] == "online"), None)

        self.boxes[name] = self.rig.wait(f"{name} online", 30, joined)
        return self.boxes[name]

    def start_box(self, name: str = "box") -> None:
        """Start a paired box again."""
        start_box(self.rig, self.api.url, None, listen=False, name=name)

    def start_server(self) -> None:
        """Start the server again on the same ports."""
        self.api = start_server(self.rig, self._listen, self._broker_listen, messages=False)

    def kill(self, program: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Signal a program and wait for its end; returns its exit status."""
        return self.rig.end(program, number)

    def broker_pid(self) -> int:
        """Process id of the server's Mosquitto."""
        for process in processes(self.rig.pid("server")):
            if b"mosquitto" in Path(f"/proc/{process}/cmdline").read_bytes():
                return process
        raise AssertionError("the server has no broker")

    def break_(self, name: str = "box", **faults: bool) -> None:
        """Set the faults of a box's simulated hardware."""
        lines = "".join(f"{key} = {str(value).lower()}\n" for key, value in faults.items())
        path = self.folder / name / "faults.toml"
        fresh = path.with_suffix(".new")
        fresh.write_text(lines, encoding="utf-8")
        fresh.replace(path)

    # --- orders --------------------------------------------------------------------------------------

    def tones(self) -> list[str]:
        """One second each of six pitches, uploaded once; their hashes in order."""
        if not self._tones:
            self._tones = [self.tone(hertz) for hertz in TONES_HZ]
        return self._tones

    def air(self, ahead_s: float = 6, media: list[str] | None = None, name: str = "box") -> datetime:
        """Publish one airing and wait until the box holds everything it needs; returns its start."""
        media = media or self.tones()  # before the moment is chosen: transcoding takes its time
        start = soon(ahead_s)
        self.all_held(self.publish(media, start), name)
        return start

    def tone(self, hertz: int) -> str:
        """Upload one second of a pitch; returns its hash."""
        path = self.folder / f"tone-{hertz}.wav"
        count = 48 * TONE_MS
        samples = (round(10_000 * math.sin(2 * math.pi * hertz * n / 48_000)) for n in range(count))
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 48_000, 0, "NONE", ""))
            file.writeframes(struct.pack(f"<{count}h", *samples))
        return str(self.api.upload("/api/v1/media", path, title=f"{hertz} Hz")["sha256"])

    def publish(self, media: list[str], *starts: datetime) -> int:
        """One programme per start, made of these files; returns the version."""
        programmes = [
            {
                "id": f"p-{start:%H%M%S}",
                "title": f"Chương trình {start:%H:%M:%S}",
                "items": [
                    {"id": f"i-{n}", "title": f"Mục {n}", "kind": "speech", "media": sha256}
                    for n, sha256 in enumerate(media)
                ],
                "recurrences": [{"start": start.replace(tzinfo=None).isoformat()}],
            }
            for start in starts
        ]
        self.api.post("/api/v1/schedules", {"id": "thu", "programmes": programmes})
        return int(self.api.post("/api/v1/schedules/thu/publish", {"all": True})["version"])

    # --- what is known -------------------------------------------------------------------------------

    def wait(self, stage: str, limit_s: float, look: Callable[[], T | None]) -> T:
        """See `Rig.wait`."""
        return self.rig.wait(stage, limit_s, look)

    def box(self, name: str = "box") -> dict[str, Any]:
        """What the server knows of a box."""
        found: dict[str, Any] = self.api.get(f"/api/v1/boxes/{self.boxes[name]}")
        return found

    def airings(self, name: str = "box") -> dict[str, list[dict[str, Any]]]:
        """As-run records on the server, by planned start in ISO form."""
        found: dict[str, list[dict[str, Any]]] = {}
        for answer in self.api.get(f"/api/v1/boxes/{self.boxes[name]}/airings?limit=500")["airings"]:
            record = answer["report"]
            found.setdefault(record["planned_start"], []).append(record)
        return found

    def record(self, start: datetime, name: str = "box", limit_s: float = 30) -> dict[str, Any]:
        """The as-run record of the airing that was planned for `start`, once the server has it."""
        key = start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

        def look() -> dict[str, Any] | None:
            records = self.airings(name).get(key)
            return records[0] if records else None

        return self.wait(f"record of {start:%H:%M:%S}", limit_s, look)

    def all_held(self, version: int, name: str = "box", limit_s: float = 20) -> None:
        """Wait until the box reports the schedule in force and every file on disk."""

        def look() -> bool | None:
            local = self.local_status(name)
            if local is None or local["schedule"] is None:
                return None
            held = local["media"]
            return (local["schedule"]["version"] == version and held["held"] == held["wanted"] > 0) or None

        self.wait(f"schedule {version} and its media on the box", limit_s, look)

    def local_status(self, name: str = "box") -> dict[str, Any] | None:
        """What the box says on its own socket, None while it does not answer."""
        command = f"{BIN / 'loa'} status --json --socket {self.folder / name / 'run' / 'loa.sock'}"
        with os.popen(f"{command} 2>/dev/null") as pipe:
            text = pipe.read()
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError:
            return None
        return found if "zones" in found else None

    def issue_codes(self, name: str = "box") -> set[str]:
        """Numbers of the issues open on the box."""
        local = self.local_status(name)
        return {issue["code"] for issue in local["issues"]} if local else set()

    def speaker(self, name: str = "box", last_s: float = 600) -> Recording:
        """What the horn of a box played."""
        return recording(self.folder / name, last_s=last_s)

    def pins(self, name: str = "box") -> list[dict[str, Any]]:
        """Edges of the amplifier's pins, oldest first."""
        lines = (self.folder / name / "amplifier.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


@contextmanager
def a_station(folder: Path, deadline_s: float = 300) -> Iterator[Station]:
    """A running server without boxes."""
    with Rig(folder, deadline_s) as rig:
        try:
            yield Station(rig)
        except BaseException:
            print(rig.log_tails())
            raise


def soon(ahead_s: float) -> datetime:
    """A whole civil second at least `ahead_s` from now."""
    moment = datetime.now(CIVIL) + timedelta(seconds=ahead_s)
    return moment.replace(microsecond=0) + timedelta(seconds=1)


def sleep_until(moment: datetime) -> None:
    """Wait for a moment on the wall clock."""
    time.sleep(max(0.0, (moment - datetime.now(CIVIL)).total_seconds()))


def wrong_places(heard: Recording, start: datetime, media: int = len(TONES_HZ)) -> list[str]:
    """Where, during an airing of tones, something else sounded than the wall clock says.

    Every 50 ms of sound is judged by its pitch (zero crossings); silence is never wrong here. A record
    played twice, or from a wrong position, has the wrong pitch somewhere.
    """
    wrong = []
    block = heard.rate // 20
    first = round((start - heard.began).total_seconds() * heard.rate)
    for number in range(media * TONE_MS // 50):
        at = first + number * block
        part = heard.samples[max(0, at) : max(0, at + block)]
        if len(part) < block or max(abs(one) for one in part) < 2_000 or min_level(part) < 1_000:
            continue  # silence, or an edge of sound
        crossings = sum((a < 0) != (b < 0) for a, b in pairwise(part))
        pitch = crossings * 10
        offset_ms = number * 50
        near = {TONES_HZ[min(media - 1, max(0, (offset_ms + d) // TONE_MS))] for d in (-60, 0, 110)}
        nearest = min(TONES_HZ, key=lambda hertz: abs(hertz - pitch))
        # A pitch between two tones is a hole of some milliseconds or a joint, not another place.
        if nearest not in near and abs(nearest - pitch) <= 40:
            wrong.append(f"{offset_ms} ms: {pitch} Hz instead of {sorted(near)}")
    return wrong


def min_level(part: array[int]) -> int:
    """Smallest peak among the sixteen parts of a block: low if sound does not fill it."""
    size = len(part) // 16
    return min(max(abs(one) for one in part[n * size : (n + 1) * size]) for n in range(16))
