"""Orders that stand beside the schedule: emergencies, their ends, bulletins, live sessions, on-site tests.

Holds what was accepted, says what each wants of each zone now (`standings`), counts the rounds of
emergencies over restarts, and ends every order: by its lease, by a cancel, or when it is done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from agent.clock import Clock
from agent.errors import AgentError
from agent.latest import Latest
from agent.model.bulletin import BulletinClass, ClockTrust, Item, LiveInput, Media, SourceLevel, ZoneId
from agent.model.live import LiveState, LiveStatus
from agent.model.report import AsRun
from agent.model.schedule import Airing, Programme
from agent.playout.ladder import Rung, Standing
from agent.playout.rounds import (
    LONGEST_ROUND,
    all_clear_programme,
    bulletin_programme,
    chosen_parts,
    emergency_programme,
    grant_programme,
    lease_s,
    left_s,
    may_cancel,
    next_round_s,
)
from agent.wire.orders import AnyOrder, Bulletin, BulletinPart, Cancel, Emergency, Grant
from agent.wire.schedule import media_of

logger = logging.getLogger(__name__)

SPEECH_PATIENCE_S = 0.25
"""How long the first round of an emergency waits for its text to be spoken; that takes about 0.1 s."""

MAX_LEAD_ROUNDS = 2
"""Rounds that do not count because the text was not spoken in them yet."""

STEP_TOLERANCE_S = 0.02
LOOK_EVERY_S = 1.0
MAX_STANDING = 100
"""Orders below an emergency that may stand; emergencies have as many places of their own."""

MAX_CANCELS = 1_000
_STATE = "standing_orders"


class Library(Protocol):
    """Messages kept on the box for emergencies."""

    def staged(self, event: str, language: str) -> Media | None: ...


class Speech(Protocol):
    """Turns text into a file in the media store."""

    async def render(self, text: str, language: str) -> Media: ...


class OrderShelf(Protocol):
    """What must be known again after a power cut."""

    async def load(self) -> Mapping[str, Mapping[str, object]]:
        """Progress by order id."""
        ...

    async def save(self, progress: Mapping[str, Mapping[str, object]]) -> None: ...

    async def close(self, order_id: str, *, cancelled: bool) -> None: ...


class Tell(Protocol):
    """Where events are told: kind, order id, code, detail."""

    def __call__(self, event: str, subject: str, code: str = "", detail: str = "") -> None: ...


@dataclass(slots=True)
class _Stand:
    """One order that stands.

    Attributes:
        accepted: wall clock when it was accepted.
        begun_s, ends_s: monotonic moments between which it is wanted.
        number: order of arrival.
        rounds: number of the round at hand in each zone.
        whole: rounds done in each zone in which everything was said that the box could say.
        mute: parts that cannot be spoken.
        round_end_s: monotonic end of the last round in each zone.
        programmes: what the round at hand is made of, by zone and number; kept once it has begun.
        spoken: speech made of its parts.
        done: zones in which nothing more is to be sounded.
    """

    order: AnyOrder
    rung: Rung
    accepted: datetime
    begun_s: float
    ends_s: float
    number: int
    rounds: dict[ZoneId, int] = field(default_factory=dict)
    whole: dict[ZoneId, int] = field(default_factory=dict)
    mute: set[int] = field(default_factory=set)
    round_end_s: dict[ZoneId, float] = field(default_factory=dict)
    round_end: dict[ZoneId, datetime] = field(default_factory=dict)
    programmes: dict[tuple[ZoneId, int], Programme] = field(default_factory=dict)
    spoken: dict[int, Media] = field(default_factory=dict)
    done: set[ZoneId] = field(default_factory=set)
    parts: tuple[BulletinPart, ...] = ()
    level: SourceLevel = SourceLevel.COMMUNE
    all_clear: bool = False


class StandingOrders:
    """Service: keeps what orders want true, second by second.

    Attributes:
        languages: language versions this box plays, in order.
        changed: counts up when the media or live sources it wants change.
    """

    name = "standing orders"

    def __init__(
        self,
        zones: tuple[ZoneId, ...],
        clock: Clock,
        *,
        library: Library,
        speech: Speech,
        held: Container[str],
        shelf: OrderShelf,
        level_of: Callable[[str], SourceLevel | None],
        tell: Tell,
        wake: Callable[[], None],
        is_begun: Callable[[str, ZoneId], bool],
        live: Callable[[], Mapping[str, LiveStatus]],
        languages: tuple[str, ...] = ("vi",),
    ) -> None:
        """Wire the engine.

        Args:
            zones: zones of this box.
            clock: time.
            library: stored messages.
            speech: text to speech.
            held: media on disk, by SHA-256.
            shelf: what survives a power cut.
            level_of: level of an issuer in the trust root, None if it is not known there.
            tell: events.
            wake: lets the zones plan again.
            is_begun: whether an airing has an open record in a zone.
            live: how live sources stand.
            languages: of this box.
        """
        self.languages = languages
        self.changed: Latest[int] = Latest(0)
        self._zones = zones
        self._clock = clock
        self._library = library
        self._speech = speech
        self._held = held
        self._shelf = shelf
        self._level_of = level_of
        self._tell = tell
        self._wake = wake
        self._is_begun = is_begun
        self._live = live
        self._stands: dict[str, _Stand] = {}
        self._kept: dict[str, Bulletin] = {}
        self._cancels: dict[str, Cancel] = {}
        self._cancelled: dict[str, None] = {}
        self._progress: Mapping[str, Mapping[str, object]] = {}
        self._tests: dict[str, tuple[Standing, asyncio.Future[AsRun]]] = {}
        self._moments: dict[tuple[str, ZoneId, int], tuple[float, float, datetime]] = {}
        self._numbers = 0
        self._unsaved = False
        self._to_speak: asyncio.Queue[_Stand] = asyncio.Queue()
        self._look = asyncio.Event()

    # --- orders come in ------------------------------------------------------------------------------

    async def restore(self) -> None:
        """Read what an earlier run knew of its orders; call before any of them is handed over again."""
        self._progress = await self._shelf.load()

    async def accept(self, order: AnyOrder) -> None:
        """Take an order that was accepted and is durable; also at each start, and more than once."""
        if order.id in self._stands or order.id in self._cancelled:
            return
        if isinstance(order, Cancel):
            await self._cancel(order)
        elif (cancel := self._cancels.get(order.id)) is not None and self._may_cancel(cancel, order):
            logger.info("order %s was cancelled before it came", order.id)
            await self._end(order.id, cancelled=True, detail="cancelled before it came")
        elif isinstance(order, Emergency):
            await self._accept_emergency(order)
        elif isinstance(order, Bulletin):
            self._accept_bulletin(order)
        elif isinstance(order, Grant):
            self._accept_grant(order)

    async def _accept_emergency(self, order: Emergency) -> None:
        stand = self._stand(order, Rung.EMERGENCY, order.max_minutes)
        if stand is None:
            return
        stand.parts, stand.level = order.parts, order.level
        self._add(stand)
        try:
            async with asyncio.timeout(SPEECH_PATIENCE_S):
                await self._speak(stand)
        except TimeoutError:  # a long text: what is stored sounds first, and the text in the next round
            self._to_speak.put_nowait(stand)
        self._wake()
        self._tell("emergency_begun", order.id, order.event, order.parts[0].title)

    def _accept_bulletin(self, order: Bulletin) -> None:
        if order.bulletin_class is BulletinClass.NORMAL:
            self._kept[order.id] = order  # a person at the commune chooses it, or nobody hears it
            self.changed.set(self.changed.value + 1)
            return
        stand = self._stand(order, Rung.PRIORITY, None)
        if stand is not None:
            stand.parts, stand.level = order.parts, order.level
            self._add(stand)
            self._to_speak.put_nowait(stand)
            self._wake()

    def _accept_grant(self, order: Grant) -> None:
        stand = self._stand(order, Rung.LIVE, order.max_minutes)
        if stand is not None:
            stand.level = order.level
            self._add(stand)
            self._wake()

    def _stand(self, order: AnyOrder, rung: Rung, minutes: int | None) -> _Stand | None:
        """A new entry; None for an order whose time is over."""
        known = self._progress.get(order.id, {})
        room = MAX_STANDING if rung < Rung.EMERGENCY else 2 * MAX_STANDING
        if len(self._stands) >= room:
            logger.error("order %s is not taken: %d orders stand", order.id, len(self._stands))
            self._tell("order_refused", order.id, "too_many", f"{len(self._stands)} orders stand")
            return None
        now, now_s, trust = self._clock.now(), self._clock.monotonic(), self._clock.trust
        accepted = _moment(known.get("accepted")) or now
        opens = max(accepted, order.not_before) if rung is Rung.LIVE and trust >= ClockTrust.RTC else accepted
        limit = minutes if minutes is not None else int(LONGEST_ROUND.total_seconds() * 100)
        left = left_s(lease_s(limit, order.expires, opens, trust), opens, now, trust)
        if left <= 0:
            logger.info("order %s is over", order.id)
            return None
        self._numbers += 1
        begun_s = now_s + max(0.0, (opens - now).total_seconds() if trust >= ClockTrust.RTC else 0.0)
        stand = _Stand(order, rung, accepted, begun_s, now_s + left, self._numbers)
        rounds, whole, ends = known.get("rounds"), known.get("whole"), known.get("ends")
        for zone in self._zones if isinstance(rounds, dict) else ():
            stand.rounds[zone] = int(rounds.get(zone, 0)) if isinstance(rounds, dict) else 0
            stand.whole[zone] = int(whole.get(zone, 0)) if isinstance(whole, dict) else 0
            ended = _moment(ends.get(zone)) if isinstance(ends, dict) else None
            if ended is not None and ended <= now and trust >= ClockTrust.RTC:
                stand.round_end[zone] = ended
                stand.round_end_s[zone] = now_s - (now - ended).total_seconds()
        done = known.get("done")
        stand.done = {zone for zone in self._zones if isinstance(done, list) and zone in done}
        return stand

    def _add(self, stand: _Stand) -> None:
        self._stands[stand.order.id] = stand
        self._unsaved = True
        self._look.set()
        self.changed.set(self.changed.value + 1)

    async def _cancel(self, cancel: Cancel) -> None:
        self._cancels[cancel.cancels] = cancel
        while len(self._cancels) > MAX_CANCELS:
            self._cancels.pop(next(iter(self._cancels)))
        self._kept.pop(cancel.cancels, None)
        stand = self._stands.get(cancel.cancels)
        if stand is None:
            return
        if not self._may_cancel(cancel, stand.order):
            logger.warning("order %s may not cancel %s", cancel.id, cancel.cancels)
            self._tell("order_refused", cancel.id, "wrong_role", f"may not cancel {cancel.cancels}")
            return
        self._cancelled[cancel.cancels] = None
        del self._stands[cancel.cancels]
        self._wake()  # silence first
        await self._end(cancel.cancels, cancelled=True, detail=f"by {cancel.id}")
        if cancel.all_clear is not None and isinstance(stand.order, Emergency):
            self._say_all_clear(cancel, cancel.all_clear, stand)

    def _say_all_clear(self, cancel: Cancel, part: BulletinPart, ended: _Stand) -> None:
        clear = self._stand(cancel, Rung.EMERGENCY, 60)
        if clear is None:
            return
        clear.parts, clear.level, clear.all_clear = (part,), ended.level, True
        if isinstance(ended.order, Emergency) and ended.order.zones:
            clear.done |= {zone for zone in self._zones if zone not in ended.order.zones}
        self._add(clear)
        self._to_speak.put_nowait(clear)

    def _may_cancel(self, cancel: Cancel, order: AnyOrder) -> bool:
        return may_cancel(cancel.issuer, order.issuer, self._level_of)

    # --- what they want ------------------------------------------------------------------------------

    def standings(self) -> tuple[Standing, ...]:
        """What every order wants of every zone, as the wall clock stands now."""
        found = [standing for standing, _ in self._tests.values()]
        for stand in self._stands.values():
            for zone in self._zones_of(stand):
                standing = self._standing(stand, zone)
                if standing is not None:
                    found.append(standing)
        return tuple(found)

    def rounds_said(self, order_id: str, zone: ZoneId) -> int:
        """Rounds of an emergency in which everything was said that the box could say."""
        stand = self._stands.get(order_id)
        return stand.whole.get(zone, 0) if stand is not None else 0

    def was_cancelled(self, order_id: str) -> bool:
        """Whether an order that is gone was cancelled; otherwise it ran out."""
        return order_id in self._cancelled

    @property
    def emergency(self) -> bool:
        """Whether an emergency stands."""
        return any(one.rung is Rung.EMERGENCY and not one.all_clear for one in self._stands.values())

    @property
    def bulletins(self) -> tuple[Bulletin, ...]:
        """Priority bulletins that stand, and normal ones that a person may choose."""
        standing = (one.order for one in self._stands.values())
        return (*(one for one in standing if isinstance(one, Bulletin)), *self._kept.values())

    def media(self) -> tuple[tuple[Media, bool], ...]:
        """Files that orders need, and whether they are needed at once."""
        found: dict[str, tuple[Media, bool]] = {}
        for stand in self._stands.values():
            urgent = stand.rung >= Rung.PRIORITY
            for media in stand.spoken.values():
                found[media.sha256] = media, urgent
            for part in stand.parts:
                if part.media is not None:
                    found[part.media.sha256] = media_of(part.media), urgent
        for order in self._kept.values():
            for part in order.parts:
                if part.media is not None:
                    found.setdefault(part.media.sha256, (media_of(part.media), False))
        return tuple(found.values())

    def live_inputs(self) -> tuple[tuple[str, LiveInput, tuple[ZoneId, ...]], ...]:
        """Live sessions that are open: id, source, zones."""
        now_s = self._clock.monotonic()
        return tuple(
            (one.order.id, live, self._zones_of(one))
            for one in self._stands.values()
            if isinstance(one.order, Grant) and one.begun_s - 2.0 <= now_s < one.ends_s
            for live in (
                LiveInput(
                    one.order.source, one.order.address, one.order.silence_limit_s, one.order.stall_limit_s
                ),
            )
        )

    def _zones_of(self, stand: _Stand) -> tuple[ZoneId, ...]:
        named = getattr(stand.order, "zones", ())
        return tuple(zone for zone in self._zones if (not named or zone in named) and zone not in stand.done)

    def _standing(self, stand: _Stand, zone: ZoneId) -> Standing | None:
        order, number = stand.order, stand.rounds.get(zone, 0)
        programme = stand.programmes.get((zone, number))
        key = f"{order.id}.{zone}.{number}@{stand.accepted:%Y%m%dT%H%M%SZ}"
        if programme is None or not self._is_begun(key, zone):
            made = self._programme(stand)
            if made is None:
                return None
            if programme is None or made.items != programme.items:
                programme = stand.programmes[zone, number] = made
        fixed = isinstance(order, Bulletin) and order.start is not None
        start_s = stand.begun_s
        if isinstance(order, Emergency):
            start_s = next_round_s(
                stand.whole.get(zone, 0),
                order.repeats,
                order.repeat_every_s,
                stand.begun_s,
                stand.round_end_s.get(zone) if number else None,
            )
        start = order.start if isinstance(order, Bulletin) and order.start is not None else None
        if start is None:
            start = self._at((order.id, zone, number), start_s)
        until = self._at((order.id, zone, -1), stand.ends_s)
        airing = Airing(programme, start, key, order.id)
        return Standing(airing, stand.rung, (zone,), until, stand.number, fixed)

    def _programme(self, stand: _Stand) -> Programme | None:
        order = stand.order
        if isinstance(order, Emergency):
            return emergency_programme(
                order, self.languages, self._held, self._library.staged, stand.spoken.get
            )
        if isinstance(order, Bulletin):
            return bulletin_programme(order, self.languages, stand.spoken.get)
        if isinstance(order, Grant):
            lease_ms = round((stand.ends_s - stand.begun_s) * 1000)
            return grant_programme(order, order.speaker or order.source.value, max(1000, lease_ms))
        return all_clear_programme(order.id, stand.parts[0], stand.level, self._held, stand.spoken.get(0))

    def _at(self, key: tuple[str, ZoneId, int], moment_s: float) -> datetime:
        """A monotonic moment on the wall clock: the same value as long as nobody steps that clock."""
        now, now_s = self._clock.now(), self._clock.monotonic()
        offset_s = now.timestamp() - now_s
        known = self._moments.get(key)
        if known is not None and known[0] == moment_s and abs(known[1] - offset_s) < STEP_TOLERANCE_S:
            return known[2]
        found = now + timedelta(seconds=moment_s - now_s)
        self._moments[key] = moment_s, offset_s, found
        return found

    # --- what has become of them ---------------------------------------------------------------------

    def final(self, record: AsRun) -> None:
        """An airing has its final record."""
        test = self._tests.pop(record.programme, None)
        if test is not None and not test[1].done():
            test[1].set_result(record)
        stand = self._stands.get(record.order_id)
        if stand is None or record.programme != record.order_id:
            return
        number = stand.rounds.get(record.zone, 0)
        if not record.airing.startswith(f"{record.order_id}.{record.zone}.{number}@"):
            return  # an earlier round, closed after a restart
        sounded = stand.programmes.pop((record.zone, number), None)
        whole = stand.whole.get(record.zone, 0)
        stand.rounds[record.zone] = number + 1
        if self._said_all(stand, sounded) or number - whole >= MAX_LEAD_ROUNDS:
            stand.whole[record.zone] = whole + 1
        stand.round_end_s[record.zone] = self._clock.monotonic()
        stand.round_end[record.zone] = self._clock.now()
        if not isinstance(stand.order, Emergency):
            stand.done.add(record.zone)
        self._unsaved = True
        self._look.set()

    def _said_all(self, stand: _Stand, sounded: Programme | None) -> bool:
        """Whether a round had the recording or the spoken text of every part, as far as there can be one."""
        said = {item.id for item in sounded.items} if sounded is not None else set()
        return all(
            number in stand.mute
            or not stand.parts[number].text
            or {f"part-{number}", f"text-{number}"} & said
            for number in chosen_parts(stand.parts, self.languages)
        )

    async def play_test(self, zone: ZoneId, items: tuple[Item, ...], title: str, limit_s: float) -> AsRun:
        """Sound an on-site test in a zone; returns its final record.

        Raises:
            TimeoutError: it did not get the zone, or did not end, within `limit_s`.
        """
        self._numbers += 1
        now = self._clock.now()
        name = f"test-{self._numbers}-{now:%Y%m%d%H%M%S}"
        programme = Programme(
            name, title, BulletinClass.NORMAL, SourceLevel.HAMLET, items, (), (zone,),
            clock_needed=ClockTrust.UNKNOWN,
        )  # fmt: skip
        airing = Airing(programme, now, f"{name}@{now:%Y%m%dT%H%M%SZ}", name)
        future: asyncio.Future[AsRun] = asyncio.get_running_loop().create_future()
        self._tests[name] = Standing(airing, Rung.TEST, (zone,)), future
        self._wake()
        try:
            async with asyncio.timeout(limit_s):
                return await future
        finally:
            self._tests.pop(name, None)
            self._wake()

    def media_arrived(self) -> None:
        """Files have arrived: rounds that have not begun are made anew of them."""
        self._look.set()
        self._wake()

    async def run(self) -> None:
        """Speak, save and end orders until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._speak_all(), name="speak orders")
            group.create_task(self._keep(), name="keep orders")

    async def _speak_all(self) -> None:
        while True:
            stand = await self._to_speak.get()
            await self._speak(stand)
            self._wake()

    async def _speak(self, stand: _Stand) -> None:
        """Turn the texts of an order into speech; what cannot be spoken is left to its other forms."""
        languages = self.languages if not stand.all_clear else ()
        for number in chosen_parts(stand.parts, languages):
            part = stand.parts[number]
            if not part.text or number in stand.spoken or (part.media and part.media.sha256 in self._held):
                continue
            try:
                stand.spoken[number] = await self._speech.render(part.text, part.language)
            except AgentError as error:
                stand.mute.add(number)
                logger.warning("order %s: %s", stand.order.id, error)
        self.changed.set(self.changed.value + 1)

    async def _keep(self) -> None:
        while True:
            self._look.clear()
            await self._end_over()
            if self._unsaved:
                self._unsaved = False
                await self._shelf.save(self._as_progress())
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._look.wait()
            except TimeoutError:
                continue

    async def _end_over(self) -> None:
        now_s = self._clock.monotonic()
        for order_id, stand in list(self._stands.items()):
            live = self._live().get(order_id)
            if now_s >= stand.ends_s:
                detail = "its time is over"
            elif live is not None and live.state is LiveState.ENDED:
                detail = live.detail or "the source ended"
            elif not self._zones_of(stand) and not isinstance(stand.order, Emergency):
                detail = "done"
            else:
                continue
            del self._stands[order_id]
            self._moments = {key: value for key, value in self._moments.items() if key[0] != order_id}
            self._unsaved = True
            self._wake()
            self.changed.set(self.changed.value + 1)
            await self._end(order_id, cancelled=False, detail=detail, rung=stand.rung)

    async def _end(self, order_id: str, *, cancelled: bool, detail: str, rung: Rung = Rung.EMERGENCY) -> None:
        kind = {Rung.EMERGENCY: "emergency_ended", Rung.LIVE: "live_ended"}.get(rung, "order_ended")
        self._tell(kind, order_id, "cancelled" if cancelled else "ended", detail)
        self._unsaved = True
        self._look.set()
        try:
            await self._shelf.close(order_id, cancelled=cancelled)
        except AgentError as error:
            logger.warning("order %s: its end is not kept yet: %s", order_id, error)

    def _as_progress(self) -> dict[str, dict[str, object]]:
        return {
            order_id: {
                "accepted": stand.accepted.isoformat(),
                "rounds": dict(stand.rounds),
                "whole": dict(stand.whole),
                "ends": {zone: moment.isoformat() for zone, moment in stand.round_end.items()},
                "done": sorted(stand.done),
            }
            for order_id, stand in self._stands.items()
        }


def _moment(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
