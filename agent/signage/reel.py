"""When which screen is on: a pure timeline of screens that follow each other, over and over."""

from __future__ import annotations

import math
from dataclasses import dataclass

from agent.signage.screen import Screen

_DWELL_MIN_S = 0.5  # screens that take turns flash once a second, never three times


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a reel stands.

    Attributes:
        index: of the screen.
        ends_s: when the next one follows; infinity if there is only one.
    """

    index: int
    ends_s: float


@dataclass(frozen=True, slots=True)
class Reel:
    """Screens and the moment (CLOCK_MONOTONIC, s) at which the first one began; at least one screen."""

    screens: tuple[Screen, ...]
    began_s: float

    def at(self, now_s: float) -> Spot:
        """Where the reel stands at a moment; before its beginning it stands at the first screen."""
        if len(self.screens) == 1:
            return Spot(0, math.inf)
        dwells = [max(_DWELL_MIN_S, screen.dwell_s) for screen in self.screens]
        round_s = sum(dwells)
        rounds = math.floor(max(0.0, now_s - self.began_s) / round_s)
        end_s = self.began_s + rounds * round_s
        for index, dwell_s in enumerate(dwells):
            end_s += dwell_s
            if now_s < end_s:
                return Spot(index, end_s)
        return Spot(0, end_s + dwells[0])

    def after(self, index: int) -> tuple[Screen, ...]:
        """All screens in the order in which they follow the one at `index`, itself last."""
        return self.screens[index + 1 :] + self.screens[: index + 1]

    def continues(self, other: Reel) -> bool:
        """Whether it has the same pages with as many screens each, so that it may go on where `other` is."""
        return _shape(self) == _shape(other)


def _shape(reel: Reel) -> list[tuple[str, int, float]]:
    return [(screen.page_id, screen.number, screen.dwell_s) for screen in reel.screens]
