"""Orders that stand beside the schedule: emergencies, their ends, bulletins, live sessions, on-site tests.

Holds what was accepted, says what each wants of each zone now (`standings`), counts the rounds of
emergencies over restarts, and ends every order: by its lease, by a cancel, or when it is done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container, Mapping
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
from agent.playout.notices import Notice, notice_of, notices
from agent.playout.order_speech import OrderSpeech, Speech
from agent.playout.rounds import (
    all_clear_programme,
    bulletin_programme,
    chosen_parts,
    emergency_programme,
    grant_programme,
    may_cancel,
    next_round_s,
)
from agent.playout.stand import Stand, stand_of
from agent.wire.orders import AnyOrder, Bulletin, BulletinPart, Cancel, Emergency, Grant
from agent.wire.schedule import file_of, media_of

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
MAX_CANCELS_OF_ONE = 8
RETRY_S = 30.0
"""How often speech that failed is tried again."""


class Library(Protocol):
    """Messages kept on the box for emergencies."""

    def staged(self, event: str, language: str) -> Media | None: ...


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
        is_finished: Callable[[str, ZoneId], bool],
        proved: Callable[[], datetime | None] = lambda: None,
        live: Callable[[], Mapping[str, LiveStatus]],
        languages: tuple[str, ...] = ("vi",),
        on_board: Callable[[tuple[str, ...]], bool] = lambda _zones: False,
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
            is_finished: whether it has its final record there.
            proved: newest moment ever known for certain.
            live: how live sources stand.
            languages: of this box.
            on_board: whether a board of this box shows what is for these zones (none: for all).
        """
        self._on_board = on_board
        self.languages = languages
        self.changed: Latest[int] = Latest(0)
        self._zones = zones
        self._clock = clock
        self._library = library
        self._held = held
        self._shelf = shelf
        self._level_of = level_of
        self._tell = tell
        self._wake = wake
        self._is_begun = is_begun
        self._is_finished = is_finished
        self._proved = proved
        self._live = live
        self._stands: dict[str, Stand] = {}
        self._kept: dict[str, Bulletin] = {}
        self._cancels: dict[str, list[Cancel]] = {}
        self._closed: dict[str, bool] = {}  # orders that are gone, and whether they were cancelled
        self._unclosed: dict[str, bool] = {}  # of those, what the store does not know yet
        self._progress: Mapping[str, Mapping[str, object]] = {}
        self._tests: dict[str, tuple[Standing, asyncio.Future[AsRun]]] = {}
        self._moments: dict[tuple[str, ZoneId, int], tuple[float, float, datetime]] = {}
        self._numbers = 0
        self._unsaved = False
        self._voice = OrderSpeech(
            speech, held, self._stands, lambda: self.languages, self._count, sounds=bool(zones)
        )
        self._look = asyncio.Event()

    # --- orders come in ------------------------------------------------------------------------------

    async def restore(self) -> None:
        """Read what an earlier run knew of its orders; call before any of them is handed over again."""
        self._progress = await self._shelf.load()

    async def accept(self, order: AnyOrder) -> None:
        """Take an order that was accepted and is durable; also at each start, and more than once."""
        if order.id in self._stands or order.id in self._closed:
            return
        if isinstance(order, Cancel):
            self._cancel(order)
        elif any(self._may_cancel(one, order) for one in self._cancels.get(order.id, ())):
            logger.info("order %s was cancelled before it came", order.id)
            self._end(order.id, _rung_of(order), cancelled=True, detail="cancelled before it came")
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
        if not stand.zones_of(self._zones) and not self._on_board(tuple(order.zones)):
            logger.warning("order %s is for zones this box does not have", order.id)
            here = f"no zone of {', '.join(order.zones)} here"
            self._end(order.id, Rung.EMERGENCY, cancelled=False, detail=here)
            return
        self._add(stand)
        try:
            async with asyncio.timeout(SPEECH_PATIENCE_S):
                await self._voice.speak(stand)
        except TimeoutError:  # a long text: what is stored sounds first, and the text in the next round
            self._voice.later(stand)
        self._wake()
        self._tell("emergency_begun", order.id, order.event, order.parts[0].title)

    def _accept_bulletin(self, order: Bulletin) -> None:
        if order.bulletin_class is BulletinClass.NORMAL:
            self._kept[order.id] = order  # a person at the commune chooses it, or nobody hears it
            self._count()
            return
        stand = self._stand(order, Rung.PRIORITY, None)
        if stand is not None:
            stand.parts, stand.level = order.parts, order.level
            self._add(stand)
            self._voice.later(stand)
            self._wake()

    def _accept_grant(self, order: Grant) -> None:
        stand = self._stand(order, Rung.LIVE, order.max_minutes)
        if stand is not None:
            stand.level = order.level
            self._add(stand)
            self._wake()

    def _stand(self, order: AnyOrder, rung: Rung, minutes: int | None) -> Stand | None:
        """A new entry; None for an order whose time is over, or for which there is no room."""
        room = MAX_STANDING if rung < Rung.EMERGENCY else 2 * MAX_STANDING
        if len(self._stands) >= room:
            logger.error("order %s is not taken: %d orders stand", order.id, len(self._stands))
            self._tell("order_refused", order.id, "too_many", f"{len(self._stands)} orders stand")
            return None
        self._numbers += 1
        stand = stand_of(
            order,
            rung,
            minutes=minutes,
            known=self._progress.get(order.id, {}),
            now=self._clock.now(),
            now_s=self._clock.monotonic(),
            trust=self._clock.trust,
            proved=self._proved(),
            number=self._numbers,
            zones=self._zones,
        )
        if stand is None:
            logger.info("order %s is over", order.id)
            self._over(order.id, cancelled=False)
            return None
        for zone in self._zones:  # a crash may lie between the record of a round and its count
            while self._is_finished(stand.key(zone, stand.rounds.get(zone, 0)), zone):
                stand.round_is_over(zone, self._clock.now(), self._clock.monotonic(), whole=True)
        return stand

    def _add(self, stand: Stand) -> None:
        self._stands[stand.order.id] = stand
        self._unsaved = True
        self._look.set()
        self._count()

    def _count(self) -> None:
        self.changed.set(self.changed.value + 1)

    def _cancel(self, cancel: Cancel) -> None:
        known = self._cancels.setdefault(cancel.cancels, [])
        if all(one.id != cancel.id for one in known):
            known.append(cancel)
            del known[:-MAX_CANCELS_OF_ONE]
        while len(self._cancels) > MAX_CANCELS:
            self._cancels.pop(next(iter(self._cancels)))
        stand = self._stands.get(cancel.cancels)
        order = stand.order if stand is not None else self._kept.get(cancel.cancels)
        if order is None:
            self._go_on_with_all_clear(cancel)
            return
        if not self._may_cancel(cancel, order):
            logger.warning("order %s may not cancel %s", cancel.id, cancel.cancels)
            self._tell("order_refused", cancel.id, "wrong_role", f"may not cancel {cancel.cancels}")
            return
        self._kept.pop(cancel.cancels, None)
        self._stands.pop(cancel.cancels, None)
        self._end(cancel.cancels, _rung_of(order), cancelled=True, detail=f"by {cancel.id}")
        if cancel.all_clear is not None and stand is not None and isinstance(order, Emergency):
            self._say_all_clear(cancel, cancel.all_clear, stand)

    def _say_all_clear(self, cancel: Cancel, part: BulletinPart, ended: Stand) -> None:
        clear = self._all_clear(cancel, part, ended.level)
        if clear is None:
            return
        if isinstance(ended.order, Emergency) and ended.order.zones:
            clear.done |= {zone for zone in self._zones if zone not in ended.order.zones}
        self._add(clear)
        self._voice.later(clear)

    def _go_on_with_all_clear(self, cancel: Cancel) -> None:
        """After a restart the emergency is closed already; its all-clear may not have been said yet."""
        level = self._progress.get(cancel.id, {}).get("all_clear")
        if cancel.all_clear is None or not isinstance(level, str):
            return
        clear = self._all_clear(cancel, cancel.all_clear, SourceLevel(level))
        if clear is not None:
            self._add(clear)
            self._voice.later(clear)

    def _all_clear(self, cancel: Cancel, part: BulletinPart, level: SourceLevel) -> Stand | None:
        clear = self._stand(cancel, Rung.EMERGENCY, 60)
        if clear is not None:
            clear.parts, clear.level, clear.all_clear = (part,), level, True
        return clear

    def _may_cancel(self, cancel: Cancel, order: AnyOrder) -> bool:
        return may_cancel(cancel.issuer, order.issuer, self._level_of)

    # --- what they want ------------------------------------------------------------------------------

    def standings(self) -> tuple[Standing, ...]:
        """What every order wants of every zone, as the wall clock stands now."""
        found = [standing for standing, _ in self._tests.values()]
        for stand in self._stands.values():
            for zone in stand.zones_of(self._zones):
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
        return self._closed.get(order_id, False)

    def notices(self) -> tuple[Notice, ...]:
        """What boards show of orders that stand, whether or not it sounds just now."""
        return notices(
            self._stands.values(),
            self.languages,
            sounded=bool(self._zones),
            now_s=self._clock.monotonic(),
        )

    def notice(self, order_id: str) -> Notice | None:
        """The notice of one order, None if it does not stand or there is nothing to read in it."""
        stand = self._stands.get(order_id)
        return notice_of(stand, self.languages) if stand is not None else None

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
                if part.media is not None and self._zones:
                    found[part.media.sha256] = media_of(part.media), urgent
                if part.picture is not None:
                    found.setdefault(part.picture.sha256, (file_of(part.picture), urgent))
        for order in self._kept.values():
            for part in order.parts:
                if part.media is not None:
                    found.setdefault(part.media.sha256, (media_of(part.media), False))
        return tuple(found.values())

    def live_inputs(self) -> tuple[tuple[str, LiveInput, tuple[ZoneId, ...]], ...]:
        """Live sessions that are open: id, source, zones."""
        now_s = self._clock.monotonic()
        return tuple(
            (one.order.id, live, one.zones_of(self._zones))
            for one in self._stands.values()
            if isinstance(one.order, Grant) and one.begun_s - 2.0 <= now_s < one.ends_s
            for live in (
                LiveInput(
                    one.order.source, one.order.address, one.order.silence_limit_s, one.order.stall_limit_s
                ),
            )
        )

    def _standing(self, stand: Stand, zone: ZoneId) -> Standing | None:
        order, number = stand.order, stand.rounds.get(zone, 0)
        programme = stand.programmes.get((zone, number))
        key = stand.key(zone, number)
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
        ends_s = stand.ends_s
        if isinstance(order, Bulletin) and self._is_begun(key, zone):
            longest_s = self._clock.monotonic() + order.max_minutes * 60
            ends_s = min(ends_s, stand.limit_s.setdefault(zone, longest_s))
        until = self._at((order.id, zone, -1), ends_s)
        airing = Airing(programme, start, key, order.id)
        return Standing(airing, stand.rung, (zone,), until, stand.number, fixed)

    def _programme(self, stand: Stand) -> Programme | None:
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
        sounded = stand.programmes.get((record.zone, number))
        uncounted = number - stand.whole.get(record.zone, 0)
        whole = self._said_all(stand, sounded) or uncounted >= MAX_LEAD_ROUNDS
        stand.round_is_over(record.zone, self._clock.now(), self._clock.monotonic(), whole=whole)
        self._unsaved = True
        self._look.set()

    def _said_all(self, stand: Stand, sounded: Programme | None) -> bool:
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
            group.create_task(self._voice.run(self._wake), name="speak orders")
            group.create_task(self._keep(), name="keep orders")

    async def _keep(self) -> None:
        tried_s = 0.0
        while True:
            self._look.clear()
            self._end_over()
            if self._unsaved:
                await self._save()
            now_s = self._clock.monotonic()
            if now_s - tried_s >= RETRY_S:
                tried_s = now_s
                self._voice.again()
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._look.wait()
            except TimeoutError:
                continue

    async def _save(self) -> None:
        """Write down how far orders have come, and close those that are over; again later if it fails."""
        self._unsaved = False
        now, now_s, trust = self._clock.now(), self._clock.monotonic(), self._clock.trust
        try:
            await self._shelf.save(
                {key: stand.progress(now, now_s, trust) for key, stand in self._stands.items()}
            )
            while self._unclosed:
                order_id, cancelled = next(iter(self._unclosed.items()))
                await self._shelf.close(order_id, cancelled=cancelled)
                self._unclosed.pop(order_id, None)
        except AgentError as error:
            logger.warning("progress of orders is not kept yet: %s", error)
            self._unsaved = True

    def _end_over(self) -> None:
        now, now_s, trust = self._clock.now(), self._clock.monotonic(), self._clock.trust
        for order_id, stand in list(self._stands.items()):
            live = self._live().get(order_id)
            if stand.is_over(now, now_s, trust):
                detail = "its time is over"
            elif live is not None and live.state is LiveState.ENDED:
                detail = live.detail or "the source ended"
            elif self._is_done(stand, now_s):
                detail = "done"
            else:
                continue
            del self._stands[order_id]
            self._end(order_id, stand.rung, cancelled=False, detail=detail)
        for order_id, order in list(self._kept.items()):
            if trust >= ClockTrust.RTC and now >= order.expires:
                del self._kept[order_id]
                self._end(order_id, Rung.PRIORITY, cancelled=False, detail="its time is over")

    def _is_done(self, stand: Stand, now_s: float) -> bool:
        """Whether all was sounded; where only a board can tell it, whether it was shown long enough."""
        order = stand.order
        if isinstance(order, Emergency) or stand.zones_of(self._zones):
            return False
        if isinstance(order, Bulletin) and not self._zones and self._on_board(tuple(order.zones)):
            return now_s >= stand.begun_s + order.max_minutes * 60
        return True

    def _end(self, order_id: str, rung: Rung, *, cancelled: bool, detail: str) -> None:
        """An order is gone: silence first, then everybody is told."""
        self._over(order_id, cancelled=cancelled)
        self._wake()
        kind = {Rung.EMERGENCY: "emergency_ended", Rung.LIVE: "live_ended"}.get(rung, "order_ended")
        self._tell(kind, order_id, "cancelled" if cancelled else "ended", detail)
        self._count()

    def _over(self, order_id: str, *, cancelled: bool) -> None:
        self._closed[order_id] = cancelled
        while len(self._closed) > MAX_CANCELS:
            self._closed.pop(next(iter(self._closed)))
        self._unclosed[order_id] = cancelled
        self._moments = {key: value for key, value in self._moments.items() if key[0] != order_id}
        self._unsaved = True
        self._look.set()


def _rung_of(order: AnyOrder) -> Rung:
    if isinstance(order, Emergency | Cancel):
        return Rung.EMERGENCY
    return Rung.LIVE if isinstance(order, Grant) else Rung.PRIORITY
