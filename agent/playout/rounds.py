"""What an order sounds like and when: pure rules that turn orders and the sound at hand into programmes.

An emergency never waits for a download. A round of it is the attention signal and then, in each language
of the box, the recording if it is on the box; if not, the stored message for its event and the text of the
order spoken by the box. Rounds follow each other `repeats` times, then come every `repeat_every_s`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from datetime import datetime, timedelta

from agent.model.bulletin import (
    BulletinClass,
    ClockTrust,
    Item,
    ItemKind,
    LiveInput,
    Media,
    Signal,
    SourceLevel,
    ZoneId,
    live_media,
    signal_media,
)
from agent.model.schedule import Programme, Resume
from agent.model.text import say
from agent.wire.orders import Bulletin, BulletinPart, Emergency, Grant
from agent.wire.schedule import file_of, media_of

PAUSE_MS = 1500
"""Silence after a round, so that the next attention signal stands out."""

CHIME_MS = 700
LONGEST_ROUND = timedelta(hours=4)

Stored = Callable[[str, str], Media | None]
"""The message kept on the box for (event, language)."""

Spoken = Callable[[int], Media | None]
"""The text of part number n, once it has been turned into speech."""


def chosen_parts(parts: Sequence[BulletinPart], languages: Sequence[str]) -> list[int]:
    """Numbers of the language versions a box plays, in the order of its languages; all if it has none."""
    found = [
        number
        for language in languages
        for number, part in enumerate(parts)
        if part.language.partition("-")[0] == language.partition("-")[0]
    ]
    return list(dict.fromkeys(found)) or list(range(len(parts)))


def emergency_programme(
    order: Emergency, languages: Sequence[str], held: Container[str], stored: Stored, spoken: Spoken
) -> Programme:
    """One round of an emergency, of what is on the box now; at the very least the attention signal."""
    items = [_signal("attention", Signal.ATTENTION, order.attention_s * 1000)]
    for number in chosen_parts(order.parts, languages):
        part = order.parts[number]
        if part.media is not None and part.media.sha256 in held:
            items.append(_speech(f"part-{number}", part, media_of(part.media)))
            continue
        kept = stored(order.event, part.language)
        if kept is not None and kept.sha256 in held:
            items.append(_speech(f"stored-{number}", part, kept))
        told = spoken(number)
        if told is not None and told.sha256 in held:
            items.append(_speech(f"text-{number}", part, told))
    items.append(_signal("pause", Signal.SILENCE, PAUSE_MS))
    title = order.parts[0].title
    return _programme(order.id, title, BulletinClass.EMERGENCY, order.level, items, zones=order.zones)


def all_clear_programme(
    name: str, part: BulletinPart, level: SourceLevel, held: Container[str], spoken: Media | None
) -> Programme | None:
    """The message that a danger is over; None until there is something to sound."""
    recorded = media_of(part.media) if part.media is not None else None
    sound = recorded if recorded is not None and recorded.sha256 in held else spoken
    if sound is None:
        return None
    items = [_chime(), _speech("all-clear", part, sound), _signal("pause", Signal.SILENCE, PAUSE_MS)]
    return _programme(name, part.title, BulletinClass.EMERGENCY, level, items)


def bulletin_programme(order: Bulletin, languages: Sequence[str], spoken: Spoken) -> Programme | None:
    """A bulletin's language versions in order; None while a text is not yet spoken."""
    items = [_chime()]
    for number in chosen_parts(order.parts, languages):
        part = order.parts[number]
        sound = media_of(part.media) if part.media is not None else spoken(number)
        if sound is None:
            return None
        items.append(_speech(f"part-{number}", part, sound, order.author, order.approver))
    return _programme(
        order.id, order.parts[0].title, order.bulletin_class, order.level, items, zones=order.zones
    )


def grant_programme(order: Grant, title: str, lease_ms: int) -> Programme:
    """A live session for at most `lease_ms`."""
    live = LiveInput(order.source, order.address, order.silence_limit_s, order.stall_limit_s)
    items = [_chime()] if order.chime else []
    items.append(Item("live", title, ItemKind.LIVE, live_media(order.id, lease_ms), live=live))
    return _programme(order.id, title, BulletinClass.PRIORITY, order.level, items, zones=order.zones)


def next_round_s(done: int, repeats: int, every_s: float, begun_s: float, last_end_s: float | None) -> float:
    """When the next round may begin.

    Args:
        done: rounds that were sounded to their end.
        repeats: rounds that follow each other.
        every_s: from the end of a later round to the next.
        begun_s: when the order was accepted, or the box came up with it.
        last_end_s: when the last round ended; None if that is not known on this clock.
    """
    if last_end_s is None:
        return begun_s
    return last_end_s if done < repeats else last_end_s + every_s


def lease_s(minutes: int, expires: datetime, accepted: datetime, trust: ClockTrust) -> float:
    """How long an order may go on after it was accepted, in seconds.

    Without a trusted clock nobody knows when it expires: it has its minutes. A warning given twice harms
    less than one not given.
    """
    longest = minutes * 60.0
    if trust < ClockTrust.RTC:
        return longest
    return max(0.0, min(longest, (expires - accepted).total_seconds()))


def may_cancel(canceller: str, ordered_by: str, level_of: Callable[[str], SourceLevel | None]) -> bool:
    """Whether an issuer may end another's order: its own, and those of lower levels."""
    if canceller == ordered_by:
        return True
    mine, theirs = level_of(canceller), level_of(ordered_by)
    if mine is None or theirs is None:
        return False
    levels = list(SourceLevel)
    return levels.index(mine) < levels.index(theirs)


def _programme(
    name: str,
    title: str,
    bulletin_class: BulletinClass,
    level: SourceLevel,
    items: Sequence[Item],
    *,
    zones: Sequence[str] = (),
) -> Programme:
    return Programme(
        id=name,
        title=title,
        bulletin_class=bulletin_class,
        level=level,
        items=tuple(items),
        recurrences=(),
        zones=tuple(ZoneId(zone) for zone in zones),
        clock_needed=ClockTrust.UNKNOWN,
        resume=Resume.STOPPED,
    )


def _signal(name: str, signal: Signal, duration_ms: int) -> Item:
    return Item(name, say(f"item.{name}"), ItemKind.SIGNAL, signal_media(signal, duration_ms))


def _chime() -> Item:
    return Item("chime", say("item.chime"), ItemKind.CHIME, signal_media(Signal.TONE, CHIME_MS, gain_db=-6.0))


def _speech(name: str, part: BulletinPart, media: Media, author: str = "", approver: str = "") -> Item:
    picture = file_of(part.picture) if part.picture is not None else None
    return Item(
        name, part.title, ItemKind.SPEECH, media, part.text, part.language, author, approver, picture=picture
    )
