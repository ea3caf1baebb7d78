"""What the agent may ask of the audio worker, checked before it is sent."""

from __future__ import annotations

from typing import Any

from drivers.api import CueItem, FeedKind

_FADE_IN_MS_MAX = 1000
_DUCK_MS_MAX = 10_000


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} {value} is out of range: {low} to {high}")


def check_levels(volume_db: float, max_dbfs: float) -> None:
    """Raise ValueError unless both are within the bounds of `drivers.api.Audio`."""
    _within("volume_db", volume_db, -60, 12)
    _within("max_dbfs", max_dbfs, -40, 0)


def check_cue(items: tuple[CueItem, ...], *, fade_in_ms: int, duck_ms: int, duck_db: float) -> None:
    """Raise ValueError unless the items and times are within the bounds of `drivers.api.Audio`."""
    if not items:
        raise ValueError("a cue needs at least one item")
    _within("fade_in_ms", fade_in_ms, 0, _FADE_IN_MS_MAX)
    _within("duck_ms", duck_ms, 0, _DUCK_MS_MAX)
    _within("duck_db", duck_db, -60, 0)
    for index, item in enumerate(items):
        _check_item(f"item {index}: ", item)


def _check_item(where: str, item: CueItem) -> None:
    kinds = [item.path is not None, item.signal is not None, item.feed is not None]
    if sum(kinds) != 1:
        raise ValueError(f"{where}give exactly one of path, signal and feed")
    if item.start_ms < 0 or item.duration_ms < 0:
        raise ValueError(f"{where}start_ms and duration_ms must not be negative")
    if item.signal is not None:
        _within(f"{where}hertz", item.hertz, 20, 20_000)
        if not item.duration_ms:
            raise ValueError(f"{where}a signal needs a duration_ms")
    if item.feed is not None:
        _within(f"{where}buffer_ms", item.feed.buffer_ms, 50, 5000)
        if item.start_ms:
            raise ValueError(f"{where}a live feed has no start_ms")
        if not item.feed.place:
            raise ValueError(f"{where}a live feed needs a place")


def row_of(item: CueItem) -> dict[str, Any]:
    """The item as it goes to the worker."""
    feed = item.feed
    return {
        "path": None if item.path is None else str(item.path),
        "start_ms": item.start_ms,
        "duration_ms": item.duration_ms,
        "gain_db": max(-40.0, min(20.0, item.gain_db)),  # a wrong loudness is better than no sound
        "signal": None if item.signal is None else item.signal.value,
        "hertz": item.hertz,
        "feed": None if feed is None else [FeedKind(feed.kind).value, feed.place, feed.buffer_ms],
    }
