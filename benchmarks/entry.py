"""One line of `build/bench.json`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypedDict


class Reference(TypedDict):
    """What a value is held against: a limit or a peer, in the same unit."""

    name: str
    value: float


class Entry(TypedDict):
    """One measured figure; `ratio` is value over reference value."""

    name: str
    value: float
    unit: str
    better: Literal["lower", "higher"]
    reference: Reference
    ratio: float


def lower(name: str, value: float, unit: str, reference: str, reference_value: float) -> Entry:
    """A figure of which less is better."""
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "better": "lower",
        "reference": {"name": reference, "value": round(reference_value, 3)},
        "ratio": round(value / reference_value, 4),
    }


def at_least(name: str, value: float, unit: str, limit: float) -> Entry:
    """A figure that must not fall below a limit."""
    return {
        "name": name,
        "value": round(value, 3),
        "unit": unit,
        "better": "higher",
        "reference": {"name": "limit", "value": round(limit, 3)},
        "ratio": round(value / limit, 4),
    }


def missed(entry: Entry) -> bool:
    """Whether a figure is on the wrong side of its limit; one that is held against a peer never is."""
    if not entry["reference"]["name"].startswith("limit"):
        return False
    return entry["ratio"] < 1 if entry["better"] == "higher" else entry["ratio"] > 1


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie, the nearest rank above."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, math.ceil(share * len(ranked)) - 1)]
