"""What orders want people to read, beside what they want them to hear: pure values for the boards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.playout.rounds import chosen_parts
from agent.playout.stand import Stand
from agent.wire.orders import Bulletin, BulletinPart, Emergency


@dataclass(frozen=True, slots=True)
class Notice:
    """An emergency, or a bulletin that no zone of this box can sound.

    Attributes:
        parts: its language versions for this box, in order.
        zones: as the order names them; empty: everywhere.
        number: order of arrival.
    """

    order: Emergency | Bulletin
    parts: tuple[BulletinPart, ...]
    zones: tuple[str, ...]
    number: int


def notice_of(stand: Stand, languages: Sequence[str]) -> Notice | None:
    """The notice of an order that stands; None if there is nothing to read in it."""
    order = stand.order
    if not isinstance(order, Emergency | Bulletin):
        return None
    parts = tuple(order.parts[number] for number in chosen_parts(order.parts, languages))
    return Notice(order, parts, tuple(order.zones), stand.number)


def notices(
    stands: Iterable[Stand], languages: Sequence[str], *, sounded: bool, now_s: float
) -> tuple[Notice, ...]:
    """What is to be read now.

    Args:
        stands: orders that stand.
        languages: of the box.
        sounded: whether this box has zones: then a bulletin is read while it sounds, and is none of these.
        now_s: monotonic; an order whose time has passed is not read any more.
    """
    found = []
    for stand in stands:
        if not stand.begun_s <= now_s < stand.ends_s:
            continue
        if isinstance(stand.order, Bulletin) and sounded:
            continue
        notice = notice_of(stand, languages)
        if notice is not None:
            found.append(notice)
    return tuple(found)
