"""Whether an alert's area touches a place; pure.

Polygons are taken as flat, which is exact enough within some hundred kilometres; one across the 180th
meridian is not understood.
"""

from __future__ import annotations

from itertools import pairwise
from math import asin, cos, hypot, radians, sin, sqrt

from server.cap.alert import Area, Circle, Point

EARTH_RADIUS_KM = 6371.0
KM_PER_DEGREE = 111.2


def touches(area: Area, place: Point, radius_km: float) -> bool:
    """Whether any part of the area lies within `radius_km` of the place."""
    return any(_circle_touches(one, place, radius_km) for one in area.circles) or any(
        _polygon_touches(one, place, radius_km) for one in area.polygons
    )


def _circle_touches(circle: Circle, place: Point, radius_km: float) -> bool:
    return distance_km(circle.centre, place) <= circle.radius_km + radius_km


def _polygon_touches(polygon: tuple[Point, ...], place: Point, radius_km: float) -> bool:
    flat = [_flat(one, place) for one in polygon]
    inside = False
    for (x1, y1), (x2, y2) in pairwise(flat):
        if (y1 > 0) != (y2 > 0) and x1 + (x2 - x1) * -y1 / (y2 - y1) > 0:
            inside = not inside
    return inside or any(_edge_km(a, b) <= radius_km for a, b in pairwise(flat))


def distance_km(a: Point, b: Point) -> float:
    """Along the ground, by the haversine formula."""
    (lat1, lon1), (lat2, lon2) = ((radians(x), radians(y)) for x, y in (a, b))
    half = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(half)))


def _flat(point: Point, origin: Point) -> Point:
    """Kilometres east and north of the origin."""
    east, north = point[1] - origin[1], point[0] - origin[0]
    return east * KM_PER_DEGREE * cos(radians(origin[0])), north * KM_PER_DEGREE


def _edge_km(a: Point, b: Point) -> float:
    """From the origin to the nearest point of an edge."""
    east, north = b[0] - a[0], b[1] - a[1]
    length = east * east + north * north
    along = 0.0 if length == 0 else max(0.0, min(1.0, -(a[0] * east + a[1] * north) / length))
    return hypot(a[0] + along * east, a[1] + along * north)
