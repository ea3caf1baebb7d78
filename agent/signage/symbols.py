"""Symbols of boards, drawn by us as vectors: one colour, legible from 24 pixels up.

Each symbol is a list of shapes in a square of 100 x 100 units; a shape paints or cuts. Names are the event
types of emergencies, besides `speaker`, `live` and `emblem` (a communal house, until there is a real one).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw

Point = tuple[float, float]

_UNITS = 100
_SMOOTH_PX = 1_024
_STEPS = 24


@dataclass(frozen=True, slots=True)
class _Area:
    points: tuple[Point, ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class _Stroke:
    """A line with round ends and corners."""

    points: tuple[Point, ...]
    width: float
    cut: bool = False


_Shape = _Area | _Stroke


@lru_cache(maxsize=32)
def draw_symbol(name: str, size_px: int, *, sharp: bool = False) -> Image.Image:
    """Draw a symbol as a mask to paint a colour through.

    Args:
        name: one of `NAMES`.
        size_px: width and height, 1 or more.
        sharp: whether each pixel is wholly painted or not at all, for boards without shades.

    Returns:
        Grey image of that size, 255 where it is painted. It is shared: do not draw on it.

    Raises:
        KeyError: no such symbol.
    """
    shapes = _SYMBOLS[name]
    factor = max(2, min(8, _SMOOTH_PX // size_px))
    large = Image.new("L", (size_px * factor, size_px * factor))
    pen = ImageDraw.Draw(large)
    scale = size_px * factor / _UNITS
    for shape in shapes:
        _draw(pen, shape, scale)
    mask = large.reduce(factor)
    return mask.point([255 if value >= 128 else 0 for value in range(256)]) if sharp else mask  # noqa: PLR2004 - half


def _draw(pen: ImageDraw.ImageDraw, shape: _Shape, scale: float) -> None:
    points = [(x * scale, y * scale) for x, y in shape.points]
    value = 0 if shape.cut else 255
    if isinstance(shape, _Area):
        pen.polygon(points, fill=value)
        return
    width = shape.width * scale
    pen.line(points, fill=value, width=round(width))
    for x, y in points:
        pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=value)


def _area(*points: Point, cut: bool = False) -> _Area:
    return _Area(points, cut)


def _line(width: float, *points: Point, cut: bool = False) -> _Stroke:
    return _Stroke(points, width, cut)


def _disc(x: float, y: float, radius: float, *, cut: bool = False) -> _Area:
    return _Area(tuple(_around(x, y, radius, 0, 360, steps=48)), cut)


def _box(left: float, top: float, right: float, bottom: float, *, cut: bool = False) -> _Area:
    return _Area(((left, top), (right, top), (right, bottom), (left, bottom)), cut)


def _around(
    x: float, y: float, radius: float, start_deg: float, end_deg: float, *, steps: int = _STEPS
) -> list[Point]:
    """Points on a circle; 0 degrees is to the right, 90 down."""
    angles = (math.radians(start_deg + (end_deg - start_deg) * step / steps) for step in range(steps + 1))
    return [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]


def _bend(start: Point, pull: Point, push: Point, end: Point) -> list[Point]:
    """Points on a cubic curve."""
    found = []
    for step in range(_STEPS + 1):
        t = step / _STEPS
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        corners = (start, pull, push, end)
        found.append(
            (
                sum(weight * corner[0] for weight, corner in zip(weights, corners, strict=True)),
                sum(weight * corner[1] for weight, corner in zip(weights, corners, strict=True)),
            )
        )
    return found


def _wave(
    y: float, width: float = 9, left: float = 5, right: float = 95, *, humps: float = 1.5, swing: float = 5
) -> _Stroke:
    steps = 60
    points = tuple(
        (
            left + (right - left) * step / steps,
            y - swing * math.sin(2 * math.pi * humps * step / steps),
        )
        for step in range(steps + 1)
    )
    return _Stroke(points, width)


def _arm(start_deg: float) -> _Area:
    """One arm of a cyclone north of the equator: leaves the eye's wall and thins out against the wind."""
    outer, inner = [], []
    for step in range(_STEPS + 1):
        part = step / _STEPS
        angle = math.radians(start_deg + 150 * part)
        far = 26 + 23 * math.sin(math.pi / 2 * part)
        near = far - 25 * (1 - part) - 2
        outer.append((50 + far * math.cos(angle), 50 + far * math.sin(angle)))
        inner.append((50 + near * math.cos(angle), 50 + near * math.sin(angle)))
    return _Area(tuple(outer + inner[::-1]))


def _house(x: float, y: float, size: float) -> tuple[_Shape, ...]:
    """A house whose roof's tip is at (x, y - size / 2)."""
    half = size / 2
    return (
        _area((x, y - half), (x + half, y), (x - half, y)),
        _box(x - half * 0.7, y - 1, x + half * 0.7, y + half),
    )


def _rock(x: float, y: float, size: float) -> _Area:
    corners = ((-0.5, -0.1), (-0.15, -0.5), (0.35, -0.4), (0.5, 0.1), (0.2, 0.5), (-0.3, 0.42))
    return _Area(tuple((x + dx * size, y + dy * size) for dx, dy in corners))


def _spikes() -> Iterable[_Shape]:
    for number in range(8):
        angle = math.radians(45 * number)
        dx, dy = math.cos(angle), math.sin(angle)
        yield _line(7, (50 + 24 * dx, 50 + 24 * dy), (50 + 41 * dx, 50 + 41 * dy))
        yield _disc(50 + 41 * dx, 50 + 41 * dy, 7)


_FLAME = (
    *_bend((50, 97), (22, 97), (12, 76), (18, 58)),
    *_bend((18, 58), (22, 48), (29, 44), (30, 30)),
    *_bend((30, 30), (38, 36), (41, 42), (41, 48)),
    *_bend((41, 48), (52, 36), (52, 18), (44, 3)),
    *_bend((44, 3), (70, 14), (86, 42), (85, 64)),
    *_bend((85, 64), (84, 84), (72, 97), (50, 97)),
)
_FLAME_HEART = (
    *_bend((51, 90), (37, 90), (34, 76), (42, 67)),
    *_bend((42, 67), (48, 61), (53, 55), (52, 46)),
    *_bend((52, 46), (66, 58), (72, 76), (62, 86)),
    *_bend((62, 86), (59, 89), (55, 90), (51, 90)),
)

_BREAKER = (
    (2, 97),
    *_bend((2, 64), (2, 22), (30, 4), (58, 6)),
    *_bend((58, 6), (78, 8), (92, 22), (92, 42)),
    *_bend((84, 40), (78, 30), (66, 26), (58, 32)),
    *_bend((58, 32), (44, 42), (42, 72), (60, 97)),
)
"""A wall of water about to fall."""

_SYMBOLS: dict[str, Sequence[_Shape]] = {
    "flood": (
        *_house(50, 36, 66),
        _box(43, 44, 57, 60, cut=True),
        _box(0, 61, 100, 100, cut=True),
        _wave(71, 9, swing=4),
        _wave(91, 9, swing=4),
    ),
    "storm": (_arm(0), _arm(180), _disc(50, 50, 26), _disc(50, 50, 11, cut=True)),
    "flash_flood": (_area(*_BREAKER), *_house(77, 72, 42), _box(72, 80, 82, 93, cut=True)),
    "dam_release": (
        _wave(22, 8, 6, 33, humps=1, swing=3),
        _wave(42, 8, 6, 33, humps=1, swing=3),
        _wave(62, 8, 6, 33, humps=1, swing=3),
        _area((42, 6), (54, 6), (66, 78), (42, 78)),
        _line(9, *_bend((58, 34), (78, 34), (91, 50), (93, 76))),
        _line(9, *_bend((64, 56), (72, 57), (76, 64), (77, 76))),
        _wave(91, 9, swing=3),
    ),
    "landslide": (
        _area((2, 14), (14, 14), (98, 86), (98, 97), (2, 97)),
        _rock(44, 20, 24),
        _rock(72, 42, 22),
        _rock(90, 66, 14),
    ),
    "fire": (_area(*_FLAME), _area(*_FLAME_HEART, cut=True)),
    "epidemic": (
        *_spikes(),
        _disc(50, 50, 29),
        _disc(42, 44, 7, cut=True),
        _disc(60, 52, 5.5, cut=True),
        _disc(46, 62, 4.5, cut=True),
    ),
    "evacuation": (
        _disc(55, 12, 10),
        _line(13, (50, 32), (42, 56)),
        _line(9, (50, 30), (64, 44), (78, 42)),
        _line(9, (48, 30), (30, 32), (22, 46)),
        _line(10, (43, 56), (60, 68), (58, 92)),
        _line(10, (42, 58), (34, 76), (12, 80)),
    ),
    "all_clear": (_disc(50, 50, 48), _line(13, (26, 52), (44, 70), (75, 33), cut=True)),
    "test": (
        _disc(50, 50, 48),
        _disc(50, 50, 38, cut=True),
        _box(27, 27, 73, 40),
        _box(43, 27, 57, 77),
    ),
    "other": (
        _area((50, 4), (98, 92), (2, 92)),
        _line(12, (50, 38), (50, 62), cut=True),
        _disc(50, 79, 6.5, cut=True),
    ),
    "speaker": (
        _box(4, 36, 22, 64),
        _area((26, 36), (58, 10), (58, 90), (26, 64)),
        _line(9, *_around(52, 50, 24, -40, 40)),
        _line(9, *_around(52, 50, 42, -42, 42)),
    ),
    "live": (
        _line(30, (50, 20), (50, 46)),
        _line(9, *_around(50, 46, 29, 0, 180)),
        _line(9, (50, 76), (50, 92)),
        _line(9, (30, 93), (70, 93)),
    ),
    "emblem": (
        _area(
            (50, 6),
            *_bend((58, 26), (74, 34), (98, 34), (98, 34)),
            (86, 50),
            (14, 50),
            (2, 34),
            *_bend((2, 34), (26, 34), (42, 26), (50, 6)),
        ),
        _box(20, 54, 30, 82),
        _box(45, 54, 55, 82),
        _box(70, 54, 80, 82),
        _box(8, 84, 92, 95),
    ),
}

NAMES = tuple(_SYMBOLS)
"""Every symbol there is."""
