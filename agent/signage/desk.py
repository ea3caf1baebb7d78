"""Lays out looks for the stage: pages in, screens out, with the clock they show."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from agent.model.board import Facts, Look, Page
from agent.signage import video
from agent.signage.link import Problem
from agent.signage.reel import Reel
from agent.signage.screen import Screen
from agent.signage.studio import Studio
from drivers.api import Frame

logger = logging.getLogger(__name__)

_MOVED_NS = 500_000_000
_GRACE_S = 5.0  # the agent's own next look comes first


@dataclass(slots=True)
class Bill:
    """What is to be shown: a look with its screens, as far as they are laid out.

    Attributes:
        reel: None: dark, or handed back.
        complete: all pages are in the reel.
        stale_s: when its clocks have to be laid out again, CLOCK_MONOTONIC; infinity: never.
        shown: done when the first frame is on the board, or something newer has taken its place.
    """

    number: int
    look: Look
    facts: Facts
    assets: Mapping[str, Path]
    reel: Reel | None
    complete: bool
    shown: asyncio.Future[None]
    stale_s: float = math.inf

    def done(self) -> None:
        if not self.shown.done():
            self.shown.set_result(None)


class Desk:
    """Lays out the pages of looks; may be called from any thread."""

    def __init__(self, studio: Studio, complain: Callable[[Problem], object]) -> None:
        """Lay out with a studio; `complain` is called from whatever thread found the problem."""
        self.clock_known = True
        self._studio = studio
        self._complain = complain
        self._offset_ns = time.time_ns() - time.monotonic_ns()
        self._lengths: dict[str, float | None] = {}

    def set_clock(self, offset_ns: int, known: bool) -> bool:
        """Take the wall clock: nanoseconds since 1970 minus CLOCK_MONOTONIC; tells whether it moved."""
        moved = known != self.clock_known or abs(offset_ns - self._offset_ns) > _MOVED_NS
        self._offset_ns, self.clock_known = offset_ns, known
        return moved

    def now(self) -> datetime:
        """Wall clock, UTC."""
        return datetime.fromtimestamp((time.monotonic_ns() + self._offset_ns) / 1e9, UTC)

    def over_s(self, bill: Bill) -> float:
        """When the safe screen takes over because the agent said nothing new, CLOCK_MONOTONIC."""
        until = bill.look.until
        if until is None or not self.clock_known or not bill.look.mine:
            return math.inf
        return (int(until.timestamp() * 1e9) - self._offset_ns) / 1e9 + _GRACE_S

    def all(self, bill: Bill) -> tuple[Screen, ...]:
        """Screens of all pages."""
        return tuple(screen for page in bill.look.pages for screen in self.page(bill, page))

    def page(self, bill: Bill, page: Page) -> tuple[Screen, ...]:
        """Lay out a page, in a thread; one that cannot be laid out is told and left out."""
        facts = replace(bill.facts, clock_known=bill.facts.clock_known and self.clock_known)
        began_s = time.monotonic()
        try:
            screens = self._studio.compose(page, facts, self.now(), bill.assets)
        except Exception as error:
            logger.exception("page %r cannot be laid out", page.id)
            problem = Problem(page.id, "layout", f"{type(error).__name__}: {error}"[:300])
            self._complain(problem)
            screens = self._plainly(page, facts)
        if not screens:
            return ()
        left_s = min((one.refresh_s for one in screens if one.refresh_s > 0), default=math.inf)
        bill.stale_s = min(bill.stale_s, began_s + max(0.5, left_s))
        return tuple(self._settled(one, page, bill) for one in screens)

    def safe(self, facts: Facts) -> Frame | None:
        """What is left on the board when the worker ends, in a thread; None, dark, when nothing can be."""
        try:
            return self._studio.safe(facts, self.now())
        except Exception as error:
            logger.exception("the safe screen cannot be laid out")
            self._complain(Problem("", "layout", f"safe screen: {type(error).__name__}: {error}"[:300]))
            return None

    def _plainly(self, page: Page, facts: Facts) -> tuple[Screen, ...]:
        """Text alone in the built-in theme: what has to be said is said, whatever else went wrong."""
        try:
            return self._studio.plain(page, facts, self.now())
        except Exception:
            logger.exception("page %r cannot be laid out even plainly", page.id)
            return ()

    def _settled(self, screen: Screen, page: Page, bill: Bill) -> Screen:
        """A screen that compares equal to what looks equal, and stays as long as its video."""
        path = bill.assets.get(screen.video) if screen.video and not page.dwell_s else None
        if path is None:
            return replace(screen, refresh_s=0)
        if screen.video not in self._lengths:
            self._lengths[screen.video] = video.length_s(path)
        length_s = self._lengths[screen.video]
        return replace(screen, refresh_s=0, dwell_s=length_s or screen.dwell_s)
