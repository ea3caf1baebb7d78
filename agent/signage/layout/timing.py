"""How long screens stay, and where a video has its place among them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from agent.model.board import Page, PageKind
from agent.signage.layout.alarm import alarms
from agent.signage.layout.flow import Type
from agent.signage.legibility import BRISK_DWELL_S, LONGEST_DWELL_S, dwell_s
from agent.signage.screen import Screen, TextLine

VIDEO_DWELL_S: Final = 60.0
"""A video whose length nobody told is given so long."""
GRAPHIC_DWELL_S: Final = 6.0
_QUICKEST_S: Final = 0.4
"""Screens that follow each other faster would flash more than the three times a second that are safe."""
_LONGEST_PASS_S: Final = 180.0
"""A page does not wait longer for its ticker."""


def wished_s(page: Page) -> float:
    """How long the page asks each screen to stay; 0 when it does not, or not for a possible time."""
    wished = page.dwell_s
    return min(LONGEST_DWELL_S, max(_QUICKEST_S, wished)) if math.isfinite(wished) and wished > 0 else 0


def stay_s(page: Page, lines: Sequence[TextLine], *, brisk: bool) -> float:
    """How long a screen of a page stays.

    Args:
        page: may say it itself.
        lines: its text; none on a screen of graphics.
        brisk: the next screen has to come soon.
    """
    if wished_s(page):
        return wished_s(page)
    if not lines:
        return BRISK_DWELL_S if brisk else GRAPHIC_DWELL_S
    return dwell_s((line.text for line in lines), brisk=brisk)


def with_whole_ticker(screens: list[Screen], page: Page, type_: Type) -> list[Screen]:
    """Screens that stay, together, until the ticker has passed once; an emergency does not wait."""
    band = screens[0].ticker
    if band is None or wished_s(page) or page.kind is PageKind.EMERGENCY:
        return screens
    away_px = type_.width(band.text, band.size_px, band.bold) + screens[0].width_px
    passing_s = min(_LONGEST_PASS_S, away_px / band.speed_px_s)
    share = passing_s / sum(screen.dwell_s for screen in screens)
    return [replace(one, dwell_s=one.dwell_s * share) for one in screens] if share > 1 else screens


def with_video(screens: list[Screen], page: Page, has: Callable[[str], bool]) -> list[Screen]:
    """A video comes before the texts, of an emergency after them; without it, they are what is shown."""
    video = page.video
    if not video:
        return screens
    if "://" not in video and not has(video):
        complaint = f"missing_video {video[:64]}"
        return [replace(one, complaints=(*one.complaints, complaint)) for one in screens]
    shown = replace(screens[0], video=video, dwell_s=wished_s(page) or VIDEO_DWELL_S)
    said_more = bool(page.text or page.picture or page.qr)
    screens = [*screens, shown] if alarms(page.kind) else [shown, *(screens if said_more else ())]
    return [replace(one, number=n, count=len(screens)) for n, one in enumerate(screens, 1)]
