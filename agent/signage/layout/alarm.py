"""What an emergency and its all clear need besides a layout: a headline that nobody misses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from agent.model.board import PageKind
from agent.signage.layout.flow import Block, Flowed, Placed
from agent.signage.screen import Element
from agent.signage.theme_parts import Text

HEADLINE_EVERY_S: Final = 30.0
"""A headline is away no longer than this, unless a single screen or saying the headline itself takes long."""
_SHARE: Final = 3
"""It is away at least so many times as long as it takes to be read."""

_ALARMS: Final = frozenset({PageKind.EMERGENCY, PageKind.ALL_CLEAR})

Body = tuple[tuple[Element, ...], Placed]
"""Graphics and text of one screen."""


def alarms(kind: PageKind) -> bool:
    """Whether the title has to be seen as a whole at the first glance."""
    return kind in _ALARMS


def headline(blocks: Sequence[Block]) -> Block | None:
    """The block that holds the title."""
    return next((block for block in blocks if _has_title(block.tag)), None)


def is_whole(flowed: Flowed, block: Block | None) -> bool:
    """Whether a block is on one screen only."""
    return block is None or sum(block.tag in placed.tags for placed in flowed.screens) <= 1


def with_headline(
    bodies: Sequence[Body], again: Sequence[Body], dwell_s: Callable[[Body], float]
) -> list[Body]:
    """Screens with the headline between them so often that who passes by reads it too.

    Args:
        bodies: screens of the page.
        again: screens of the headline alone.
        dwell_s: how long one stays.
    """
    every_s = max(HEADLINE_EVERY_S, _SHARE * sum(map(dwell_s, again)))
    result: list[Body] = []
    away_s = 0.0
    for body in bodies:
        if any(map(_has_title, body[1].tags)):
            away_s = 0.0
        elif away_s > 0 and away_s + dwell_s(body) > every_s:
            result.extend(again)
            away_s = dwell_s(body)
        else:
            away_s += dwell_s(body)
        result.append(body)
    return result


def _has_title(tag: str) -> bool:
    return Text.TITLE in tag.split(",")
