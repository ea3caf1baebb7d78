"""Files of looks: checked beside the deciding, left out when they kill one worker after the other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from agent.model.board import Look, PageRank

logger = logging.getLogger(__name__)

PATIENCE_S = 1.0
URGENT_PATIENCE_S = 0.1
"""How long a look waits for the check of its files; then it is shown without those that are not checked."""

LEFT_OUT_S = 600.0
SUSPECT_S = 60.0
"""Two workers lost within this with the same files: those are left out for `LEFT_OUT_S`."""

Assets = Mapping[str, Path]


def names_of(look: Look) -> frozenset[str]:
    """Names of the pictures and videos of a look."""
    return frozenset(one for page in look.pages for one in (page.picture, page.video) if one)


class LookFiles:
    """What files a look may have now; asking never waits.

    Args:
        check: finds those that are on the box and whole; reading a large one takes its time.
        changed: called when there is something new to ask for.
        monotonic: seconds.
    """

    def __init__(
        self,
        check: Callable[[Look], Awaitable[Assets]],
        changed: Callable[[], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._check = check
        self._changed = changed
        self._monotonic = monotonic
        self._names: frozenset[str] = frozenset()
        self._found: Assets = {}
        self._task: asyncio.Task[None] | None = None
        self._whole = False
        self._since_s = 0.0
        self._suspects: tuple[frozenset[str], float] = frozenset(), float("-inf")
        self._left_out: dict[str, float] = {}

    def of(self, look: Look) -> Assets | None:
        """Files of a look, by SHA-256; None while they are being checked and it should wait for them."""
        names = names_of(look)
        if names != self._names:
            self.stop()
            self._names, self._found, self._whole = names, {}, False
            self._since_s = self._monotonic()
        if not names:
            return {}
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look_for(look), name="files of a look")
        patience_s = URGENT_PATIENCE_S if look.rank is PageRank.EMERGENCY else PATIENCE_S
        if not self._whole and self._monotonic() - self._since_s < patience_s:
            return None
        now_s = self._monotonic()
        self._left_out = {name: until_s for name, until_s in self._left_out.items() if until_s > now_s}
        return {name: path for name, path in self._found.items() if name not in self._left_out}

    async def _look_for(self, look: Look) -> None:
        found = dict(await self._check(look))
        if found != self._found or not self._whole:
            self._found, self._whole = found, True
            self._changed()

    def lost_with(self, assets: Assets) -> frozenset[str]:
        """A worker was lost that had been given these; the files that are left out from now on."""
        now_s = self._monotonic()
        names, since_s = self._suspects
        both = names & assets.keys() if now_s - since_s < SUSPECT_S else frozenset()
        self._suspects = frozenset(assets), now_s
        self._left_out |= dict.fromkeys(both, now_s + LEFT_OUT_S)
        return frozenset(both)

    def stop(self) -> None:
        """Give up a check that goes on."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
