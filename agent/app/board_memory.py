"""What boards must know again after a power cut: dead modules, all clears, when the link last stood."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import datetime, timedelta

from agent.clock import Clock
from agent.errors import StoreError
from agent.model.board import Page, PageKind
from agent.model.bulletin import ClockTrust
from agent.store.state import Json
from agent.store.store import Store

logger = logging.getLogger(__name__)

KEY = "boards"
CLEAR_SHOWN = timedelta(minutes=15)
"""How long a board says that a danger is over."""

SAVE_EVERY_S = 900.0
MAX_DEAD = 200
MAX_CLEARED = 20

ClearedPage = tuple[Page, datetime, tuple[str, ...]]
"""Page, until when it is shown (UTC), zones it is for (none: all)."""


class BoardMemory:
    """Kept in the store; a store that refuses costs only the memory."""

    def __init__(self, store: Store, clock: Clock, boards: tuple[str, ...]) -> None:
        self._store = store
        self._clock = clock
        self._dead: dict[str, list[str]] = {board: [] for board in boards}
        self._cleared: list[tuple[Page, float, tuple[str, ...]]] = []  # until a monotonic moment
        self._seen: datetime | None = None
        self._seen_s: float | None = None  # monotonic, of this run
        self._began_s = self._saved_s = clock.monotonic()

    async def restore(self) -> None:
        """Read what an earlier run kept; what cannot be understood is left out."""
        try:
            kept = await self._store.get_state(KEY)
        except StoreError as error:
            logger.warning("what is known of boards was not read: %s", error)
            return
        if not isinstance(kept, dict):
            return
        dead = kept.get("dead")
        for board in self._dead:
            found = dead.get(board) if isinstance(dead, dict) else None
            self._dead[board] = (
                [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
            )
        try:
            self._seen = _moment(kept.get("seen"))
            cleared = kept.get("cleared")
            for page, until, zones in [_cleared(one) for one in cleared] if isinstance(cleared, list) else ():
                self.clear(page, min(until, self._clock.now() + CLEAR_SHOWN), zones)
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("what is known of boards is not whole: %r", error)

    async def look(self, *, reachable: bool) -> None:
        """Once a second: whether the source system is reached; what is over is forgotten."""
        now = self._clock.now()
        known = self._clock.trust >= ClockTrust.RTC
        if known and (reachable or self._seen is None or self._seen > now):
            self._seen = now
        now_s = self._clock.monotonic()
        if reachable:
            self._seen_s = now_s
        over = [one for one in self._cleared if one[1] <= now_s]
        if over:
            self._cleared = [one for one in self._cleared if one[1] > now_s]
        if over or now_s - self._saved_s >= SAVE_EVERY_S:
            await self.save()

    async def save(self) -> None:
        """Write it down."""
        self._saved_s = self._clock.monotonic()
        kept: dict[str, Json] = {
            "dead": {board: list(found) for board, found in self._dead.items()},
            "seen": self._seen.isoformat() if self._seen is not None else None,
            "cleared": [
                {
                    "page": {
                        name: value.isoformat() if isinstance(value, datetime) else value
                        for name, value in asdict(page).items()
                    },
                    "until": until.isoformat(),
                    "zones": list(zones),
                }
                for page, until, zones in self.cleared
            ],
        }
        try:
            await self._store.put_state({KEY: kept})
        except StoreError as error:
            logger.warning("what is known of boards is not kept: %s", error)

    @property
    def cleared(self) -> tuple[ClearedPage, ...]:
        """Dangers that are over and still told so; the ends by the wall clock as it stands now."""
        now, now_s = self._clock.now(), self._clock.monotonic()
        return tuple(
            (page, now + timedelta(seconds=ends_s - now_s), zones)
            for page, ends_s, zones in self._cleared
            if ends_s > now_s
        )

    def clear(self, page: Page, until: datetime, zones: tuple[str, ...]) -> None:
        """A danger is over; setting the wall clock changes nothing about how long that is told."""
        left_s = (until - self._clock.now()).total_seconds()
        if left_s > 0 and all(one[0].id != page.id for one in self._cleared):
            ends_s = self._clock.monotonic() + left_s
            self._cleared = [*self._cleared, (page, ends_s, zones)][-MAX_CLEARED:]

    def link_limit(self, minutes: int) -> datetime | None:
        """When the link will have been lost for `minutes`; None: it does not matter.

        Counted from when it last stood in this run; if it never did, from an earlier run, as far as the
        clock tells, else from the start of this one.
        """
        if minutes == 0:
            return None
        if self._seen_s is None and self._seen is not None and self._clock.trust >= ClockTrust.RTC:
            return self._seen + timedelta(minutes=minutes)
        since_s = self._began_s if self._seen_s is None else self._seen_s
        left_s = minutes * 60 - (self._clock.monotonic() - since_s)
        return self._clock.now() + timedelta(seconds=left_s)

    def dead(self, board: str) -> tuple[str, ...]:
        """Dead modules of a board, `row/column`."""
        return tuple(self._dead.get(board, ()))

    def module(self, board: str, place: str, *, dead: bool) -> None:
        """A module is dead, or works again."""
        others = [one for one in self._dead[board] if one != place]
        found = [*others, place] if dead else others
        self._dead[board] = sorted(found, key=_numbers)[:MAX_DEAD]


def _numbers(place: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in place.split("/"))


def _moment(value: object) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else None


def _cleared(value: object) -> ClearedPage:
    if not isinstance(value, dict):
        raise TypeError("not a table")
    page, until, zones = value["page"], _moment(value["until"]), value["zones"]
    if until is None:
        raise ValueError("no end")
    fields = {**page, "kind": PageKind(page["kind"]), "issued": _moment(page.get("issued"))}
    return Page(**fields), until, tuple(str(zone) for zone in zones)
