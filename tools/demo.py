"""`make demo`: a bulletin from text or file to a simulated horn, through the real server, broker and agent.

Prints what happens as the box reports it, and ends with the proof. With ONCE=1 it exits 0 only if the
verdict is `heard`. Everything runs on loopback and is gone at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import shutil
import struct
import sys
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from agent.model.text import say
from tools.api import Api, ApiError, Watch
from tools.rig import (
    TOP,
    Rig,
    RigError,
    console_link,
    fresh_folder,
    start_box,
    start_server,
    stop_on_signals,
)

Report = dict[str, Any]

TEXT = (
    "Kính thưa bà con. Sáng thứ Năm, từ bảy giờ ba mươi, trạm y tế xã tổ chức tiêm chủng cho trẻ em tại nhà "
    "văn hoá thôn Một. Đề nghị các gia đình đưa cháu đến đúng giờ và mang theo sổ tiêm chủng. Xin cảm ơn."
)
TITLE = "Lịch tiêm chủng"
CIVIL = ZoneInfo("Asia/Ho_Chi_Minh")
SCHEDULE = "demo"
BOX_NAME = "Nhà văn hoá thôn Một"
NOTHING = "—"
PICTURE = "board-on-air.png"
OVERALL_S = 180.0  # beside the wait for the airing and its own length
ENGLISH = os.environ.get("DEMO_LANG") == "en"
DIM, PLAIN = ("\033[2m", "\033[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ else ("", "")


@dataclass(frozen=True)
class Wish:
    """What the person at the keyboard asked for."""

    file: Path | None
    text: str
    once: bool
    sound: bool
    in_s: int
    keep: bool


def tell(key: str, **values: object) -> None:
    """One line in Vietnamese, and in English below it when asked."""
    clock = datetime.now(CIVIL).strftime("%H:%M:%S")
    print(f"{clock}  {say(f'demo.{key}', 'vi', **values)}", flush=True)
    if ENGLISH:
        print(f"          {DIM}{say(f'demo.{key}', 'en', **values)}{PLAIN}", flush=True)


def chime(path: Path) -> Path:
    """Two tones, each 0.6 s and fading: what people expect before a bulletin."""
    rate = 48_000
    samples = [
        round(9000 * math.exp(-4 * n / rate) * math.sin(2 * math.pi * hertz * n / rate) * min(1.0, n / 240))
        for hertz in (659.26, 523.25)
        for n in range(round(0.6 * rate))
    ]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return path


class Demo:
    """One run, from nothing to the as-run record."""

    def __init__(self, rig: Rig, wish: Wish) -> None:
        self._rig = rig
        self._wish = wish
        self._seen: dict[str, Report] = {}
        self._length_s = 0.0

    def run(self) -> tuple[Api, Report]:
        """The server's API, and the as-run record it holds."""
        api = start_server(self._rig, "127.0.0.1:0", "127.0.0.1:0")
        tell("server_up", url=api.url)
        watch = api.watch("/api/v1/watch")
        code = str(api.post("/api/v1/enrolment-codes", {"name": BOX_NAME})["code"])
        start_box(self._rig, api.url, code, listen=self._wish.sound)
        items = self._items(api)
        tell("bulletin_made", title=items[-1]["title"])
        tell("enrolled", device=self._rig.wait("enrolment of the box", 30, lambda: _online(api)))
        start = self._publish(api, items)
        return api, self._follow(watch, start, str(items[-1]["title"]))

    def _items(self, api: Api) -> list[dict[str, Any]]:
        wish = self._wish
        bell = api.upload("/api/v1/media", chime(self._rig.folder / "chime.wav"), title="Nhạc hiệu")
        if wish.file is not None:
            title = wish.file.stem[:60]
            said = api.upload("/api/v1/media", wish.file, title=title)
        else:
            title = TITLE if wish.text == TEXT else wish.text[:60]
            said = api.post("/api/v1/speech", {"text": wish.text, "title": title})
        self._length_s = (bell["duration_ms"] + said["duration_ms"]) / 1000
        self._rig.allow(self._length_s)
        return [
            {"id": "nhac-hieu", "title": "Nhạc hiệu", "kind": "chime", "media": bell["sha256"]},
            {
                "id": "noi-dung",
                "title": title,
                "kind": "speech",
                "media": said["sha256"],
                "text": wish.text if wish.file is None else "",
            },
        ]

    def _publish(self, api: Api, items: list[dict[str, Any]]) -> datetime:
        soon = datetime.now(CIVIL) + timedelta(seconds=self._wish.in_s)
        start = soon.replace(microsecond=0) + timedelta(seconds=1)
        programme = {
            "id": "ban-tin",
            "title": items[-1]["title"],
            "items": items,
            "recurrences": [{"start": start.replace(tzinfo=None).isoformat()}],
        }
        api.post("/api/v1/schedules", {"id": SCHEDULE, "programmes": [programme]})
        api.post(f"/api/v1/schedules/{SCHEDULE}/publish", {"all": True})
        tell("scheduled_in", seconds=_seconds_until(start), time=start.strftime("%H:%M:%S"))
        return start

    def _follow(self, watch: Watch, start: datetime, title: str) -> Report:
        """Tell what the box reports, step by step; each step has its own limit."""

        def step(stage: str, limit_s: float, look: Callable[[dict[str, Report]], Report | None]) -> Report:
            def newest() -> Report | None:
                if (found := look(self._seen)) is None:
                    self._take(watch)
                return found

            return self._rig.wait(stage, limit_s, newest)

        step("signed order accepted by the box", 20, lambda seen: seen.get("order_accepted"))
        held = step("sound files on the box", 30, _all_held)
        tell("order_accepted", version=held["schedule_version"])
        tell("media_held", held=held["media_held"], wanted=held["media_wanted"])
        step(
            "first sound at the planned moment",
            _seconds_until(start) + 10,
            lambda seen: seen.get("on_air") or seen.get("asrun"),
        )
        if "on_air" in self._seen:
            tell("on_air", title=title)

        def record_or_picture(seen: dict[str, Report]) -> Report | None:
            keep_picture(self._rig.folder)
            return seen.get("asrun")

        record = step("as-run record on the server", self._length_s + 30, record_or_picture)
        tell("finished")
        return record

    def _take(self, watch: Watch) -> None:
        news = watch.take()
        if news is None:
            return
        kind, report = news
        if kind == "event":
            kind = str(report.get("type"))
            if kind in {"order_refused", "schedule_refused"}:
                raise RigError(f"the box reports {kind}: {report.get('code')} {report.get('detail')}")
        self._seen[kind] = report


def keep_picture(folder: Path) -> None:
    """Copy the board's picture while it shows the bulletin; at the end the board is safe, as it should be."""
    kept = folder / PICTURE
    if kept.exists():
        return
    with contextlib.suppress(OSError, ValueError, IndexError):  # nothing shown yet, or half a line
        last = (folder / "box" / "board.jsonl").read_text(encoding="utf-8").splitlines()[-1]
        if "@" in json.loads(last)["label"]:  # a page of an airing is named after it
            shutil.copyfile(folder / "box" / "board.png", kept)


def _online(api: Api) -> str | None:
    for box in api.get("/api/v1/boxes")["boxes"]:
        if box["state"] == "online":
            return str(box["id"])
    return None


def _all_held(seen: dict[str, Report]) -> Report | None:
    held = seen.get("reported")
    if held and held.get("schedule_version") and 0 < held["media_wanted"] == held["media_held"]:
        return held
    return None


def _seconds_until(moment: datetime) -> int:
    return max(0, round((moment - datetime.now(CIVIL)).total_seconds()))


def proof(record: Report) -> list[tuple[str, str]]:
    """What was measured, as lines of (name, value); what nothing measured is a dash."""
    planned = datetime.fromisoformat(record["planned_start"])
    first = datetime.fromisoformat(record["first_sound"]) if record.get("first_sound") else None

    def clock(moment: datetime | None) -> str:
        if moment is None:
            return NOTHING
        rounded = moment.astimezone(CIVIL) + timedelta(microseconds=500)
        return rounded.strftime("%H:%M:%S.%f")[:-3]

    def level(key: str) -> str:
        return NOTHING if record.get(key) is None else f"{record[key]:.1f} dBFS"

    error_ms = NOTHING if first is None else f"{(first - planned) / timedelta(milliseconds=1):+.2f} ms"
    verdict = say(f"verdict.{record['verdict']}")
    reason = f" ({say('missed.' + record['missed'])})" if record.get("missed") else ""
    return [
        ("planned", clock(planned)),
        ("first_sound", clock(first)),
        ("start_error", error_ms),
        ("level", level("output_rms_dbfs")),
        ("line_level", level("line_rms_dbfs")),
        ("verdict", f"{verdict}{reason}"),
    ]


def show(record: Report, folder: Path) -> None:
    print(f"\n{say('demo.proof')}")
    for key, value in proof(record):
        english = f"  {DIM}{say(f'demo.{key}', 'en')}{PLAIN}" if ENGLISH else ""
        print(f"  {say(f'demo.{key}'):<26}{value}{english}")
    print(f"\n{say('demo.files')}")
    box = folder / "box"
    for path in (box / "speaker.wav", box / "board.png", folder / PICTURE, box / "amplifier.jsonl"):
        if path.exists():
            print(f"  {path}")
    print(flush=True)


def stay(rig: Rig) -> None:
    """Until Ctrl-C, or until a program ends by itself."""
    while True:
        rig.check()
        time.sleep(0.5)


def run(wish: Wish) -> int:
    name = f"demo-{datetime.now(CIVIL):%H%M%S}" if wish.keep else "demo"
    folder = fresh_folder(TOP / "build" / name)
    with Rig(folder, wish.in_s + OVERALL_S) as rig:
        try:
            api, record = Demo(rig, wish).run()
            show(record, folder)
            print(say("demo.console", url=console_link(api)), flush=True)
            if wish.once:
                if record["verdict"] != "heard":
                    print(say("demo.failed", problem=f"{record['verdict']}: {record}"), file=sys.stderr)
                    print(rig.log_tails(), file=sys.stderr)
                if not (folder / PICTURE).exists():
                    print(say("demo.failed", problem=f"{PICTURE}: no text on the board"), file=sys.stderr)
                    return 1
                return 0 if record["verdict"] == "heard" else 1
            print(say("demo.stop_hint"), flush=True)
            stay(rig)
        except (ApiError, RigError, OSError) as error:
            print(say("demo.failed", problem=error), file=sys.stderr)
            print(rig.log_tails(), file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print()
            return 0 if not wish.once else 130
    return 0


def wish_of(arguments: list[str] | None = None) -> Wish:
    """Options, or the variables `make` hands over: FILE, TEXT, ONCE, SOUND, IN."""
    given = os.environ
    parser = argparse.ArgumentParser(prog="tools.demo", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--file", type=Path, default=given.get("FILE") or None, help="sound to air")
    parser.add_argument("--text", default=given.get("TEXT") or TEXT, help="Vietnamese text to be spoken")
    parser.add_argument("--once", action="store_true", default=_yes("ONCE"), help="end after the airing")
    parser.add_argument(
        "--sound", action="store_true", default=_yes("SOUND"), help="also on this machine's sound card"
    )
    parser.add_argument(
        "--in", dest="in_s", type=int, default=given.get("IN") or "8", help="seconds until it airs"
    )
    parser.add_argument("--keep-dir", action="store_true", help="leave the folder of the former run alone")
    found = parser.parse_args(arguments)
    if not 3 <= found.in_s <= 3600:
        parser.error("--in must be 3 to 3600 seconds")
    if found.file is not None and not found.file.is_file():
        parser.error(f"there is no file {found.file}")
    return Wish(found.file, found.text.strip() or TEXT, found.once, found.sound, found.in_s, found.keep_dir)


def _yes(name: str) -> bool:
    return os.environ.get(name, "") not in {"", "0", "no"}


if __name__ == "__main__":
    chosen = wish_of()
    stop_on_signals()
    sys.exit(run(chosen))
