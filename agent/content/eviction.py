"""Which files give way to another; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

NEVER = datetime.max.replace(tzinfo=UTC)
"""Stands for 'no known need', later than any other."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that could go.

    Attributes:
        wanted: the plan names it.
        next_need: when it is needed next, NEVER if no moment is known.
        used_s: when it was last used; only the order counts.
    """

    size_bytes: int
    used_s: float
    wanted: bool = False
    next_need: datetime = NEVER


def choose_evictions(
    files: Mapping[str, Candidate], room_bytes: int, newcomer_need: datetime | None
) -> list[str] | None:
    """Files to delete, in order, so that at least `room_bytes` become free.

    First go those no plan names, least recently used first; then those needed latest. None that is
    needed sooner than, or at the same time as, the newcomer goes for it.

    Args:
        files: what is held, by name.
        room_bytes: bytes to be freed; nothing is chosen if this is not positive.
        newcomer_need: when the file to make room for is needed; None makes room for no file at all (the
            quota shrank), and then every file may go.

    Returns:
        The names, or None if even all that may go would not free enough.
    """

    def order(item: tuple[str, Candidate]) -> tuple[bool, float, float, str]:
        name, file = item
        latest_first = (
            -file.next_need.timestamp() if file.wanted and file.next_need != NEVER else float("-inf")
        )
        return (file.wanted, latest_first if file.wanted else 0.0, file.used_s, name)

    chosen: list[str] = []
    for name, file in sorted(files.items(), key=order):
        if room_bytes <= 0:
            break
        if file.wanted and newcomer_need is not None and file.next_need <= newcomer_need:
            continue
        chosen.append(name)
        room_bytes -= file.size_bytes
    return chosen if room_bytes <= 0 else None
