"""One order that stands beside the schedule: its times on this run's clock, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agent.model.bulletin import ClockTrust, Media, SourceLevel, ZoneId
from agent.model.schedule import Programme
from agent.playout.ladder import Rung
from agent.playout.rounds import LONGEST_ROUND, lease_s
from agent.wire.orders import AnyOrder, BulletinPart, Emergency

Progress = Mapping[str, object]
"""What is kept of an order over restarts."""


@dataclass(slots=True)
class Stand:
    """One order that stands.

    Attributes:
        accepted: wall clock when it was accepted, as it was believed then; part of the names of its rounds.
        accepted_s: the same moment on the monotonic clock of this run.
        begun_s, ends_s: monotonic moments between which it is wanted.
        unsure: the clock was not trusted when those were set, so its expiry is looked at again.
        number: order of arrival.
        rounds: number of the round at hand in each zone.
        whole: rounds done in each zone in which everything was said that the box could say.
        round_end_s, round_end: end of the last round in each zone, on either clock.
        programmes: what the round at hand is made of, by zone and number; kept once it has begun.
        spoken: speech made of its parts.
        mute: parts that can never be spoken.
        limit_s: monotonic moment at which a bulletin that began is cut off in a zone: its longest time.
        done: zones in which nothing more is to be sounded.
        all_clear: it is the message after a cancel.
    """

    order: AnyOrder
    rung: Rung
    accepted: datetime
    accepted_s: float
    begun_s: float
    ends_s: float
    unsure: bool
    number: int
    rounds: dict[ZoneId, int] = field(default_factory=dict)
    whole: dict[ZoneId, int] = field(default_factory=dict)
    mute: set[int] = field(default_factory=set)
    round_end_s: dict[ZoneId, float] = field(default_factory=dict)
    round_end: dict[ZoneId, datetime] = field(default_factory=dict)
    programmes: dict[tuple[ZoneId, int], Programme] = field(default_factory=dict)
    spoken: dict[int, Media] = field(default_factory=dict)
    limit_s: dict[ZoneId, float] = field(default_factory=dict)
    done: set[ZoneId] = field(default_factory=set)
    parts: tuple[BulletinPart, ...] = ()
    level: SourceLevel = SourceLevel.COMMUNE
    all_clear: bool = False

    def key(self, zone: ZoneId, number: int) -> str:
        """Name of a round, the same over restarts."""
        return f"{self.order.id}.{zone}.{number}@{self.accepted:%Y%m%dT%H%M%SZ}"

    def zones_of(self, zones: tuple[ZoneId, ...]) -> tuple[ZoneId, ...]:
        """Where it is still wanted, of the zones of a box."""
        named = getattr(self.order, "zones", ())
        return tuple(zone for zone in zones if (not named or zone in named) and zone not in self.done)

    def is_over(self, now: datetime, now_s: float, trust: ClockTrust) -> bool:
        """Whether its time has passed.

        An order taken up under a clock nobody could trust is over as soon as a trusted one says so.
        """
        if now_s >= self.ends_s:
            return True
        return self.unsure and trust >= ClockTrust.RTC and now >= self.order.expires and not self.all_clear

    def round_is_over(self, zone: ZoneId, now: datetime, now_s: float, *, whole: bool) -> None:
        """The round at hand has its record."""
        self.programmes.pop((zone, self.rounds.get(zone, 0)), None)
        self.rounds[zone] = self.rounds.get(zone, 0) + 1
        if whole:
            self.whole[zone] = self.whole.get(zone, 0) + 1
        self.round_end_s[zone], self.round_end[zone] = now_s, now
        if not isinstance(self.order, Emergency):
            self.done.add(zone)

    def progress(self, now: datetime, now_s: float, trust: ClockTrust) -> dict[str, object]:
        """What the next run must know; `since` is when it was accepted by the clock as it stands now."""
        return {
            "accepted": self.accepted.isoformat(),
            "since": (now - timedelta(seconds=now_s - self.accepted_s)).isoformat(),
            "trusted": trust >= ClockTrust.RTC,
            "rounds": dict(self.rounds),
            "whole": dict(self.whole),
            "ends": {zone: moment.isoformat() for zone, moment in self.round_end.items()},
            "done": sorted(self.done),
            "all_clear": self.level.value if self.all_clear else None,
        }


def stand_of(
    order: AnyOrder,
    rung: Rung,
    *,
    minutes: int | None,
    known: Progress,
    now: datetime,
    now_s: float,
    trust: ClockTrust,
    proved: datetime | None,
    number: int,
    zones: tuple[ZoneId, ...],
) -> Stand | None:
    """Take up an order, new or again after a restart; None if its time is over.

    Args:
        order: accepted and durable.
        rung: where it stands.
        minutes: longest time it may stand; None for until it expires.
        known: its progress in earlier runs, empty for a new one.
        now: wall clock.
        now_s: monotonic clock.
        trust: how far `now` may be believed.
        proved: newest moment ever known for certain, None if there is none.
        number: order of arrival.
        zones: of this box.
    """
    if proved is not None and order.expires <= proved:
        return None
    trusted = trust >= ClockTrust.RTC
    # Since when it has stood, as far as one trusted clock then and now can tell; else its time begins anew.
    since = (_moment(known.get("since")) if known.get("trusted") and trusted else None) or now
    since = min(since, now)
    opens = max(since, order.not_before) if rung is Rung.LIVE and trusted else since
    limit = minutes if minutes is not None else int(LONGEST_ROUND.total_seconds() * 100)
    ends_in_s = (opens - now).total_seconds() + lease_s(limit, order.expires, opens, trust)
    if ends_in_s <= 0:
        return None
    stand = Stand(
        order,
        rung,
        accepted=_moment(known.get("accepted")) or now,
        accepted_s=now_s - (now - since).total_seconds(),
        begun_s=now_s + max(0.0, (opens - now).total_seconds()),
        ends_s=now_s + ends_in_s,
        unsure=not trusted,
        number=number,
    )
    _recall(stand, known, now, now_s, zones, trusted=trusted)
    return stand


def _recall(
    stand: Stand, known: Progress, now: datetime, now_s: float, zones: tuple[ZoneId, ...], *, trusted: bool
) -> None:
    rounds, whole, ends, done = (known.get(name) for name in ("rounds", "whole", "ends", "done"))
    for zone in zones:
        stand.rounds[zone] = _count(rounds, zone)
        stand.whole[zone] = _count(whole, zone)
        ended = _moment(ends.get(zone)) if isinstance(ends, dict) else None
        if ended is not None and ended <= now and trusted:
            stand.round_end[zone] = ended
            stand.round_end_s[zone] = now_s - (now - ended).total_seconds()
    stand.done = {zone for zone in zones if isinstance(done, list) and zone in done}


def _count(table: object, zone: ZoneId) -> int:
    found = table.get(zone, 0) if isinstance(table, dict) else 0
    return found if isinstance(found, int) else 0


def _moment(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
