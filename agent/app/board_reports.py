"""What is said of boards: to the worker that draws one, to people, and upstream. Pure."""

from __future__ import annotations

import base64
from datetime import datetime, time
from pathlib import Path

from agent.config import BoardSection
from agent.field.boards import BoardInfo
from agent.signage.brightness import Plan, Step, light_table
from agent.signage.client import Setup
from agent.signage.engine import BoardView
from agent.signage.programme import Lease
from agent.signage.proof import Stay
from agent.signage.screen import Face
from agent.wire.reports import BoardHealth, ScreenReport
from drivers.api import Colours


def board_setup(section: BoardSection, theme: Path | None, keep: Path | None) -> Setup:
    """What the worker of a board is started with; `keep` is the folder of a driver that remembers."""
    own: dict[str, object] = {} if keep is None else {"keep_dir": str(keep)}
    size = {"width_px": section.width_px, "height_px": section.height_px}
    return Setup(
        kind=section.kind,
        options={**own, **section.options, **size},
        face=Face(
            section.width_px,
            section.height_px,
            Colours(section.colours),
            section.pitch_mm,
            section.viewing_m,
        ),
        theme=theme,
        gamma=section.gamma,
        colour_order=section.colour_order,
        brightness=brightness_plan(section),
        video_player=section.video_player,
    )


def brightness_plan(section: BoardSection) -> Plan:
    """How bright, when, as configured."""
    given = section.brightness
    return Plan(
        given.level,
        tuple(Step(time.fromisoformat(one.start), one.level) for one in given.steps),
        light_table(given.least) if given.light_sensor else (),
        given.night_cap,
    )


def board_info(
    section: BoardSection,
    view: BoardView,
    lease: Lease | None,
    taken_until: datetime | None,
    dead: tuple[str, ...],
) -> BoardInfo:
    """All that is known of a board."""
    look, status, abilities = view.look, view.status, view.abilities
    return BoardInfo(
        board=section.id,
        kind=section.kind,
        width_px=view.geometry.width_px if view.geometry else section.width_px,
        height_px=view.geometry.height_px if view.geometry else section.height_px,
        pitch_mm=section.pitch_mm,
        viewing_m=section.viewing_m,
        shown=(view.title or view.page) if view.answers else None,
        page=view.page,
        reason=look.reason if look else "",
        rank=look.rank.name.lower() if look else "",
        since=view.since,
        sha256=view.sha256,
        mine=look.mine if look else True,
        taken_until=taken_until if section.owner == "commercial" else None,
        pattern=lease.pattern.value if lease else "",
        pattern_until=lease.until if lease else None,
        colours=abilities.colours.value if abilities else section.colours,
        ticker=abilities.ticker.value if abilities else "",
        refresh_hz=abilities.refresh_hz if abilities else 0,
        model=status.model if status else "",
        firmware=status.firmware if status else "",
        on=status.on if status else None,
        brightness=status.brightness if status else None,
        lost=status.lost if status else None,
        foreign=status.foreign if status else None,
        temperature_c=status.temperature_c if status else None,
        light=status.light if status else None,
        detail=status.detail if status else "",
        dead_modules=dead,
    )


def screen_report(report_id: str, stay: Stay) -> ScreenReport:
    """The wire form of a stay."""
    thumbnail = base64.b64encode(stay.thumbnail).decode() if stay.thumbnail else None
    return ScreenReport(
        id=report_id,
        board=stay.board,
        page=stay.page.id[:100],
        title=_line(stay.page.title),
        order_id=stay.page.order_id[:100],
        reason=stay.reason,
        sha256=stay.sha256 or None,
        screens=max(1, stay.screens),
        first_shown=stay.first_shown,
        last_shown=stay.last_shown,
        times=stay.times,
        shown_s=round(stay.shown_s, 1),
        complaints=tuple(_line(one) for one in stay.complaints),
        thumbnail=thumbnail,
        ended=stay.ended,
    )


def board_health(info: BoardInfo) -> BoardHealth:
    """The wire form of what is known of a board."""
    return BoardHealth(
        board=info.board,
        width_px=info.width_px,
        height_px=info.height_px,
        pitch_mm=info.pitch_mm,
        viewing_m=info.viewing_m,
        colours=Colours(info.colours).value,
        page=info.page[:100] or None,
        title=_line(info.shown) if info.shown else None,
        sha256=info.sha256 or None,
        reason=info.reason or None,
        rank=info.rank or None,
        since=info.since,
        mine=info.mine,
        on=info.on,
        lost=info.lost,
        foreign=info.foreign,
        brightness=info.brightness,
        temperature_c=info.temperature_c,
        model=info.model[:100] or None,
        dead_modules=info.dead_modules,
    )


def _line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)[:300]
