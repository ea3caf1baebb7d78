"""A whole box with simulated hardware in this process: orders go in signed, sound comes out of `speaker.wav`.

Everything but the last centimetre is real: signatures, store, plan, worker process with libvlc, drivers.
There is no server; orders are put into the inbox as a source adapter would, and schedules in force as the
schedule keeper would.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import struct
import wave
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.app.box import Box, build_box
from agent.app.bridges import SourceShelf
from agent.config import parse_config
from agent.lifecycle import run_until
from agent.model.bulletin import (
    BulletinClass,
    Item,
    ItemKind,
    LiveInput,
    Media,
    SourceLevel,
    ZoneId,
    live_media,
)
from agent.model.report import AsRun
from agent.model.schedule import Programme, Recurrence, Resume, Schedule
from agent.model.timetable import Timetable
from agent.playout.zone import ZonePlayer
from agent.source.identity import Identity, save_identity
from agent.store.store import Store
from agent.systemd import Notifier
from agent.wire.device_api import BrokerAddress, EnrolAnswer, Place
from agent.wire.envelope import key_id, sign
from agent.wire.orders import (
    ORDER_KINDS,
    AnyOrder,
    Bulletin,
    BulletinPart,
    Cancel,
    Desired,
    Emergency,
    EmergencyEvent,
    Grant,
    Job,
    MediaRef,
    Scope,
    ScopeKind,
)
from agent.wire.root import Issuer, Key, Role, Root
from agent.wire.ulid import new_ulid
from tools.listen import Recording, recording

T = TypeVar("T")
DEVICE, STATION, PROVINCE = "box-onair-1", "tan-loc", "tinh-thu"
MAIN = ZoneId("main")
RATE = 48_000
SILENT = 600
_KINDS = tuple(ORDER_KINDS)


class Authority:
    """Somebody who may give orders: a commune, its province, or a stranger."""

    def __init__(self, name: str, level: SourceLevel) -> None:
        self.name = name
        self.level = level
        self.key = Ed25519PrivateKey.generate()
        self.seq = 0

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    def issuer(self) -> Issuer:
        return Issuer(
            name=self.name,
            title=self.name,
            keys=(key_id(self.public),),
            threshold=1,
            level=self.level,
            kinds=_KINDS,
            scopes=(Scope(kind=ScopeKind.STATION, id=STATION),),
            classes=tuple(BulletinClass),
        )

    def next(self) -> int:
        self.seq += 1
        return self.seq


COMMUNE = Authority("xa-tan-loc", SourceLevel.COMMUNE)
PROVINCIAL = Authority("tinh-thu", SourceLevel.PROVINCE)
STRANGER = Authority("xa-la", SourceLevel.COMMUNE)
_ROOT_KEY = Ed25519PrivateKey.generate()


def _root() -> bytes:
    now = datetime.now(UTC)
    root_id = key_id(_ROOT_KEY.public_key().public_bytes_raw())
    keys = {key_id(one.public): Key(public=one.public.hex()) for one in (COMMUNE, PROVINCIAL)}
    keys[root_id] = Key(public=_ROOT_KEY.public_key().public_bytes_raw().hex())
    root = Root(
        version=1,
        issued=now - timedelta(days=1),
        expires=now + timedelta(days=365),
        keys=keys,
        root=Role(keys=(root_id,), threshold=1),
        issuers=(COMMUNE.issuer(), PROVINCIAL.issuer()),
    )
    return sign("root", root.encode(), _ROOT_KEY).encode()


ROOT = _root()


class OnAir:
    """A running box and everything a test may ask of it."""

    def __init__(
        self, folder: Path, zones: tuple[str, ...] = ("main",), extra: str = "", zone: str = ""
    ) -> None:
        """Prepare a box.

        Args:
            folder: for its files.
            zones: names of its zones; the first is "main".
            extra: more TOML for its configuration.
            zone: more TOML inside each zone.
        """
        self.folder = folder
        self._zones = zones
        self._extra = extra
        self._zone = zone
        self._version = 0
        self._programmes: list[Programme] = []
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self.box: Box
        self.store: Store
        self.began = datetime.now(UTC)

    # --- life ----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the agent and wait until its zones can sound."""
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stop = asyncio.Event()
        self._running = asyncio.create_task(self._run(ready))
        await asyncio.wait({ready, self._running}, return_when=asyncio.FIRST_COMPLETED)
        if self._running.done():
            await self._running
        await self.until("worker ready", lambda: all(
            player.armed for player in self.box.players.values()
        ), 20)  # fmt: skip
        self.box.station.set_schedule(self._timetable(), self._version, "", self.began)

    async def stop(self) -> None:
        """Stop it in order."""
        self._stop.set()
        if self._running is not None:
            await self._running

    async def restart(self) -> None:
        """Stop and start it again."""
        await self.stop()
        await self.start()

    async def _run(self, ready: asyncio.Future[None]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        identity = Identity(
            url="http://127.0.0.1:9",
            enrolled=EnrolAnswer(
                device=DEVICE,
                secret="s" * 43,
                broker=BrokerAddress(host="127.0.0.1", port=9),
                place=Place(station=STATION, province=PROVINCE, groups=("cum-1",)),
                root=ROOT.decode(),
            ),
        )
        save_identity(self.folder / "data" / "identity.json", identity)
        config = parse_config(self.toml())
        (self.folder / "run").mkdir(exist_ok=True)
        async with Store.open(self.folder / "data" / "loa.db") as store:
            self.store = store
            self.box = await build_box(config, store, Notifier(), None)
            ready.set_result(None)
            try:
                await run_until(self._stop, self.box.services(), self.box.clock, self.box.service_failed)
            finally:
                await self.box.close()

    def toml(self) -> str:
        """The box's configuration."""
        where = json.dumps(str(self.folder))
        text = f"""
[box]
name = "Cụm loa thử"
data_dir = {json.dumps(str(self.folder / "data"))}
runtime_dir = {json.dumps(str(self.folder / "run"))}
{self._extra}
[sensors]
uplink = {{ kind = "simulated", options = {{ dir = {where} }} }}
clock = {{ kind = "simulated", options = {{ dir = {where} }} }}
power = {{ kind = "simulated", options = {{ dir = {where} }} }}
storage = {{ kind = "simulated", options = {{ dir = {where} }} }}
"""
        for zone in self._zones:
            options = f"{{ dir = {where}, zone = {json.dumps(zone)} }}"
            text += f"""
[[zones]]
id = "{zone}"
audio = {{ kind = "simulated", options = {options} }}
amplifier = {{ kind = "simulated", settle_ms = 0, unmute_ms = 0, hold_s = 1, options = {options} }}
line_sense = {{ kind = "simulated", options = {options} }}
{self._zone}
"""
        return text

    def break_(self, **faults: bool) -> None:
        """Set the faults of the simulated hardware; those not named are mended."""
        fresh = self.folder / "faults.new"
        fresh.write_text("".join(f"{key} = {str(value).lower()}\n" for key, value in faults.items()))
        fresh.replace(self.folder / "faults.toml")

    # --- orders --------------------------------------------------------------------------------------

    async def give(self, order: AnyOrder, by: Authority = COMMUNE, transport: str = "mqtt") -> str:
        """Sign an order and put it into the inbox; returns its id."""
        shelf = SourceShelf(self.store, self.box.clock, self.box.desk.rescue)
        await shelf.inbox_insert(sign(order.kind, order.encode(), by.key).encode(), transport)
        return order.id

    def order(self, by: Authority, minutes: float = 60, ahead_s: float = 0) -> dict[str, Any]:
        """What every order carries."""
        now = datetime.now(UTC)
        return {
            "id": new_ulid(now),
            "issuer": by.name,
            "seq": by.next(),
            "scope": Scope(kind=ScopeKind.STATION, id=STATION),
            "not_before": now + timedelta(seconds=ahead_s) - timedelta(seconds=1),
            "expires": now + timedelta(minutes=minutes),
        }

    async def emergency(self, *, by: Authority = COMMUNE, minutes: float = 60, **fields: Any) -> str:
        """Order an emergency: one short round unless the fields say otherwise."""
        given = {
            "event": EmergencyEvent.FLOOD,
            "level": by.level,
            "parts": (BulletinPart(title="Lũ trên sông", text="Lũ đang lên nhanh."),),
            "repeats": 1,
            "attention_s": 4,
        }
        return await self.give(Emergency.model_validate(self.order(by, minutes) | given | fields), by)

    def an_emergency(self, carried: dict[str, Any], **fields: Any) -> Emergency:
        """An emergency that is not given yet."""
        given = {"event": "flood", "level": "commune", "repeats": 1, "attention_s": 4}
        return Emergency.model_validate(carried | given | fields)

    async def give_bytes(self, kind: str, payload: bytes, by: Authority = COMMUNE) -> None:
        """Sign whatever bytes and put them into the inbox."""
        await self.store.inbox_add(sign(kind, payload, by.key).encode(), "mqtt", datetime.now(UTC))

    async def recording(
        self, hertz: int, seconds: float, title: str = "Lũ trên sông", language: str = "vi"
    ) -> BulletinPart:
        """A language version whose recording, a pitch, is on the box."""
        media = await self.tone(hertz, seconds)
        ref = MediaRef(
            sha256=media.sha256,
            size_bytes=media.size_bytes,
            duration_ms=media.duration_ms,
            url="/device/v1/media/x",
        )
        return BulletinPart(language=language, title=title, media=ref)

    async def lost_recording(self, hertz: int, seconds: float, text: str = "") -> BulletinPart:
        """A language version whose recording has not come yet; `recording` of the same brings it."""
        part = await self.recording(hertz, seconds)
        assert part.media is not None
        await self.box.media.delete(part.media.sha256)
        return part.model_copy(update={"text": text})

    async def messages(self, hertz: int, seconds: float) -> None:
        """Let the stored message of every event be a pitch."""
        media = await self.tone(hertz, seconds)
        self.box.library.set_recordings(tuple((event.value, "vi", media) for event in EmergencyEvent))

    async def cancel(self, order_id: str, *, by: Authority = COMMUNE, **fields: Any) -> str:
        return await self.give(Cancel(**self.order(by), cancels=order_id, **fields), by)

    async def bulletin(self, bulletin_class: str = "priority", **fields: Any) -> str:
        """Order a bulletin that is spoken."""
        by = COMMUNE
        given: dict[str, Any] = {
            "level": by.level,
            "parts": (BulletinPart(title="Tin ưu tiên", text="Họp thôn tối nay."),),
        }
        given["class"] = bulletin_class
        return await self.give(Bulletin.model_validate(self.order(by) | given | fields), by)

    async def grant_of(self, carried: dict[str, Any], **fields: Any) -> str:
        """Order a live session of these times and id."""
        given = {"speaker": "Chủ tịch xã", "level": "commune"}
        return await self.give(Grant.model_validate(carried | given | fields))

    async def job(self, action: str, minutes: float = 5, **arguments: Any) -> str:
        return await self.give(
            Job.model_validate(self.order(COMMUNE, minutes) | {"action": action, "arguments": arguments})
        )

    async def desired(self, **fields: Any) -> str:
        """Order hours, the order of priority items and the like."""
        return await self.give(Desired(**self.order(COMMUNE), **fields))

    # --- schedule ------------------------------------------------------------------------------------

    async def tone(self, hertz: int, seconds: float) -> Media:
        """A file of one pitch on the box."""
        return await self.file(tone(hertz, seconds), seconds)

    async def file(self, samples: array[int], seconds: float) -> Media:
        """A file with these samples on the box."""
        path = self.folder / "data" / "fresh.wav"
        write_wav(path, samples)
        sha256, size_bytes = await self.box.media.take_in(path)
        return Media(sha256, size_bytes, round(seconds * 1000), 0.0, "/device/v1/media/x")

    def programme(
        self, name: str, start: datetime, *media: Media, normal: bool = True, **fields: Any
    ) -> datetime:
        """Add an airing to the schedule and put it in force; returns its start."""
        items = tuple(Item(f"i{n}", f"{name} {n}", ItemKind.SPEECH, one) for n, one in enumerate(media))
        return self.schedule(name, start, items, normal=normal, **fields)

    def relay(self, name: str, start: datetime, live: LiveInput, seconds: float, **fields: Any) -> datetime:
        """Add a relay to the schedule; returns its start."""
        digest = hashlib.sha256(repr(live).encode()).hexdigest()[:16]
        item = Item("relay", name, ItemKind.LIVE, live_media(digest, round(seconds * 1000)), live=live)
        return self.schedule(name, start, (item,), resume=Resume.CLOCK, **fields)

    def schedule(
        self, name: str, start: datetime, items: tuple[Item, ...], *, normal: bool = True, **fields: Any
    ) -> datetime:
        """Add a programme of these items."""
        civil = start.astimezone(UTC).replace(tzinfo=None)
        chosen = BulletinClass.NORMAL if normal else BulletinClass.PRIORITY
        level = fields.pop("level", SourceLevel.COMMUNE)
        self._programmes.append(Programme(name, name, chosen, level, items, (Recurrence(civil),), **fields))
        self._version += 1
        self.box.station.set_schedule(self._timetable(), self._version, "", self.began)
        return start

    def withdraw(self, name: str) -> None:
        """Take a programme out of the schedule."""
        self._programmes = [one for one in self._programmes if one.id != name]
        self._version += 1
        self.box.station.set_schedule(self._timetable(), self._version, "", self.began)

    def _timetable(self) -> Timetable:
        return Timetable(Schedule("thu", max(1, self._version), "Đài thử", "UTC", tuple(self._programmes)))

    # --- what is known -------------------------------------------------------------------------------

    async def until(self, what: str, look: Callable[[], T], limit_s: float = 30) -> T:
        """Wait until `look` answers something true."""
        deadline = asyncio.get_running_loop().time() + limit_s
        while True:
            found = look()
            if found:
                return found
            assert asyncio.get_running_loop().time() < deadline, f"{what}: not within {limit_s:.0f} s"
            await asyncio.sleep(0.02)

    async def sounding(self, title: str, zone: str = "main", limit_s: float = 20) -> None:
        """Wait until a programme or order of this title is measured to sound."""
        player = self.box.players[ZoneId(zone)]

        def look() -> bool:
            view = player.view
            return view.sounding and view.on_air is not None and view.on_air.programme.title == title

        await self.until(f"{title} sounds in {zone}", look, limit_s)

    async def quiet(self, zone: str = "main", limit_s: float = 20) -> None:
        """Wait until nothing is on air."""
        player = self.box.players[ZoneId(zone)]
        await self.until(f"nothing on air in {zone}", lambda: player.view.on_air is None, limit_s)

    async def record(self, name: str, zone: str = "main", limit_s: float = 30) -> AsRun:
        """The final record whose title or order or programme is `name`."""
        return (await self.records(name, 1, zone, limit_s))[0]

    async def records(self, name: str, count: int, zone: str = "main", limit_s: float = 30) -> list[AsRun]:
        """The first `count` final records of `name`, oldest first."""
        deadline = asyncio.get_running_loop().time() + limit_s
        while True:
            found = [
                one
                for one in reversed(await self.store.play_log(200))
                if one.final and one.zone == zone and name in (one.title, one.programme, one.order_id)
            ]
            if len(found) >= count:
                return sorted(found, key=lambda one: one.first_sound or one.planned_start)
            assert asyncio.get_running_loop().time() < deadline, f"{len(found)} of {count} records of {name}"
            await asyncio.sleep(0.05)

    async def events(self, kind: str) -> list[dict[str, Any]]:
        """Events of a type that were told upstream, oldest first."""
        await asyncio.sleep(0.1)
        waiting = [json.loads(one.payload) for one in await self.store.outbox_next(1000)]
        return [one for one in waiting if one.get("type") == kind]

    async def event(self, kind: str, limit_s: float = 10) -> dict[str, Any]:
        """The first event of a type."""
        deadline = asyncio.get_running_loop().time() + limit_s
        while not (found := await self.events(kind)):
            assert asyncio.get_running_loop().time() < deadline, f"no event {kind}"
        return found[0]

    async def refusals(self, count: int, limit_s: float = 10) -> list[dict[str, Any]]:
        """The first refusals that were told."""
        deadline = asyncio.get_running_loop().time() + limit_s
        while len(found := await self.events("order_refused")) < count:
            assert asyncio.get_running_loop().time() < deadline, f"{len(found)} of {count} refusals"
        return found

    async def job_state(self, *states: str, limit_s: float = 15) -> dict[str, Any]:
        """The first report of a job in one of these states."""
        deadline = asyncio.get_running_loop().time() + limit_s
        while True:
            waiting = [json.loads(one.payload) for one in await self.store.outbox_next(1000)]
            for one in waiting:
                if one.get("kind") == "job" and one.get("state") in states:
                    return dict(one)
            assert asyncio.get_running_loop().time() < deadline, f"no job is {states}"
            await asyncio.sleep(0.05)

    @property
    def player(self) -> ZonePlayer:
        """The main zone."""
        return self.box.players[MAIN]

    @property
    def issues(self) -> set[str]:
        """Numbers of open issues."""
        return {issue.fault.value for issue in self.box.issues.open}

    def heard(self, zone: str = "main", last_s: float = 120) -> Recording:
        """What the horn of a zone played."""
        return recording(self.folder, zone, last_s)

    def pins(self) -> list[dict[str, Any]]:
        """Edges of the amplifier's pins."""
        lines = (self.folder / "amplifier.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


@asynccontextmanager
async def on_air(folder: Path, **options: Any) -> AsyncIterator[OnAir]:
    """A running box."""
    found = OnAir(folder, **options)
    await found.start()
    try:
        yield found
    finally:
        await found.stop()


def soon(seconds: float) -> datetime:
    """A whole second at least so far ahead."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.replace(microsecond=0) + timedelta(seconds=1)


async def sleep_until(moment: datetime) -> None:
    await asyncio.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


def tone(hertz: float, seconds: float, peak: float = 0.3) -> array[int]:
    """Samples of a sine."""
    step = 2 * math.pi * hertz / RATE
    return array("h", (round(32767 * peak * math.sin(step * n)) for n in range(round(seconds * RATE))))


def write_wav(path: Path, samples: array[int]) -> Path:
    """Keep samples as mono 48 kHz WAV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return path


def pitch(heard: Recording, start: datetime, seconds: float = 0.2) -> float | None:
    """Pitch in Hz from `start` on by zero crossings; None where it is not steadily sounding."""
    first = round((start - heard.began).total_seconds() * heard.rate)
    part = heard.samples[max(0, first) : max(0, first + round(seconds * heard.rate))]
    if len(part) < heard.rate * seconds * 0.9 or max(map(abs, part), default=0) < SILENT:
        return None
    crossings = sum((a < 0) != (b < 0) for a, b in pairwise(part))
    return crossings / 2 / (len(part) / heard.rate)


def pitches(heard: Recording, start: datetime, end: datetime, step_s: float = 0.1) -> list[int | None]:
    """Pitch every `step_s`, to the nearest 50 Hz."""
    found = []
    moment = start
    while moment < end:
        hertz = pitch(heard, moment, step_s)
        found.append(None if hertz is None else 50 * round(hertz / 50))
        moment += timedelta(seconds=step_s)
    return found
