"""Which of a theme's shapes a board has."""

from __future__ import annotations

from typing import Final

from agent.signage.screen import Face

NARROW_EMS: Final = 6
"""Fewer font sizes of width hold no date with its year."""


def shape_of(face: Face, line_px: int, em_px: int) -> str:
    """Which of the theme's shapes a board has: one of `theme.SHAPES`."""
    if face.width_px < NARROW_EMS * em_px:
        return "tiny"
    if face.height_px < 3 * line_px:
        return "tiny" if face.width_px < 10 * em_px else "strip"
    if face.height_px > 1.2 * face.width_px:
        return "portrait"
    return "wide" if face.width_px >= 2.5 * face.height_px else "landscape"
