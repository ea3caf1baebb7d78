"""Builders of schedules for tests of the model and of the plan."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from agent.model.bulletin import BulletinClass, ClockTrust, Item, ItemKind, Media, SourceLevel, ZoneId
from agent.model.schedule import Programme, Recurrence, Schedule


def an_item(name: str = "a", duration_ms: int = 60_000) -> Item:
    return Item(name, name, ItemKind.SPEECH, Media(name.ljust(64, "0"), 1, duration_ms, 0.0, "/m"))


def a_programme(
    name: str,
    *when: Recurrence,
    durations_ms: Iterable[int] = (60_000,),
    bulletin_class: BulletinClass = BulletinClass.NORMAL,
    level: SourceLevel = SourceLevel.COMMUNE,
    zones: tuple[str, ...] = (),
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
    clock_needed: ClockTrust = ClockTrust.RTC,
) -> Programme:
    items = tuple(an_item(f"{name}{number}", length) for number, length in enumerate(durations_ms))
    return Programme(
        name,
        name,
        bulletin_class,
        level,
        items,
        when,
        tuple(ZoneId(zone) for zone in zones),
        valid_from,
        valid_until,
        clock_needed,
    )


def a_schedule(*programmes: Programme, timezone: str = "Asia/Ho_Chi_Minh", version: int = 1) -> Schedule:
    return Schedule("s", version, "Xã Thử", timezone, programmes)
