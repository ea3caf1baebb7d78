"""Turns orders, programmes and configuration into what a board's programme decides by. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from agent.config import BoardSection
from agent.model.board import Page, PageKind, PageRank
from agent.model.bulletin import BulletinClass, Item, ItemKind, Media
from agent.model.hours import Hours, Window
from agent.model.schedule import Airing
from agent.playout.ladder import Rung
from agent.playout.notices import Notice
from agent.signage.programme import OnAir, OwnPage, Warned
from agent.wire.orders import BoardPage, BulletinPart, Desired, Emergency, EmergencyEvent, PageWindow
from agent.wire.schedule import file_of

_RANKS = {
    Rung.PROGRAMME: PageRank.BULLETIN,
    Rung.PRIORITY: PageRank.PRIORITY,
    Rung.LIVE: PageRank.LIVE,
}
_SILENT = frozenset({ItemKind.CHIME, ItemKind.SIGNAL})


def concerns(zones: Sequence[str], board: Sequence[str], box: Sequence[str]) -> bool:
    """Whether what is meant for `zones` (none: for all) is for a board.

    Args:
        zones: as an order or a programme names them.
        board: zones the board follows; none: those of its box.
        box: zones of the box; none: the board serves the whole station.
    """
    mine = set(board or box)
    return not zones or not mine or bool(mine & set(zones))


def own_pages(order: Desired, board: str, timezone: str) -> tuple[OwnPage, ...]:
    """The playlist of one board; pages that came with the same id get one of their own."""
    found: dict[str, OwnPage] = {}
    for number, one in enumerate(order.pages):
        if one.boards and board not in one.boards:
            continue
        name = one.id if one.id not in found else f"{one.id}#{number}"
        found[name] = OwnPage(
            _own_page(one, name, order.id),
            _hours(one.windows, timezone),
            one.valid_from,
            one.valid_until,
            one.urgent,
        )
    return tuple(found.values())


def _own_page(one: BoardPage, name: str, order_id: str) -> Page:
    return Page(
        id=name,
        kind=PageKind.PAGE,
        title=one.title,
        text=one.text,
        ticker=one.ticker,
        language=one.language,
        picture=one.picture.sha256 if one.picture is not None else "",
        video=one.video.sha256 if one.video is not None else one.stream,
        qr=one.qr,
        weather=one.weather,
        dwell_s=one.dwell_s,
        template=one.template,
        order_id=order_id,
    )


def page_files(order: Desired | None, boards: Sequence[str]) -> tuple[Media, ...]:
    """Pictures and videos of the pages that any of these boards shows."""
    found: dict[str, Media] = {}
    for page in order.pages if order is not None else ():
        if page.boards and not set(page.boards) & set(boards):
            continue
        for file in (page.picture, page.video):
            if file is not None:
                found[file.sha256] = file_of(file)
    return tuple(found.values())


def warned(
    notices: Iterable[Notice], board: Sequence[str], box: Sequence[str], title_of: Callable[[str], str]
) -> tuple[Warned, ...]:
    """Emergencies that stand for a board; `title_of` names an issuer for people."""
    return tuple(
        Warned(
            one.order.id,
            one.order.level,
            one.number,
            tuple(
                _emergency_page(one.order, part, number, title_of(one.order.issuer))
                for number, part in enumerate(one.parts)
            ),
        )
        for one in notices
        if isinstance(one.order, Emergency) and concerns(one.zones, board, box)
    )


def _emergency_page(order: Emergency, part: BulletinPart, number: int, source: str) -> Page:
    clear = order.event is EmergencyEvent.ALL_CLEAR
    return Page(
        id=f"{order.id}.{number}",
        kind=PageKind.ALL_CLEAR if clear else PageKind.EMERGENCY,
        title=part.title,
        text=part.text,
        language=part.language,
        source=source,
        event=order.event.value,
        picture=part.picture.sha256 if part.picture is not None else "",
        order_id=order.id,
        issued=order.not_before,
    )


def clear_page(order_id: str, part: BulletinPart, issued: datetime, source: str) -> Page:
    """The page of an all clear."""
    return Page(
        id=order_id,
        kind=PageKind.ALL_CLEAR,
        title=part.title,
        text=part.text,
        language=part.language,
        source=source,
        event=EmergencyEvent.ALL_CLEAR.value,
        picture=part.picture.sha256 if part.picture is not None else "",
        order_id=order_id,
        issued=issued,
    )


def read_only(
    notices: Iterable[Notice], board: Sequence[str], box: Sequence[str], now: datetime
) -> tuple[OnAir, ...]:
    """Bulletins that only a board tells, because this box has no horn."""
    return tuple(
        OnAir(
            one.order.id,
            PageRank.PRIORITY,
            tuple(
                Page(
                    id=f"{one.order.id}.{number}",
                    kind=PageKind.BULLETIN,
                    title=part.title,
                    text=part.text,
                    language=part.language,
                    picture=part.picture.sha256 if part.picture is not None else "",
                    order_id=one.order.id,
                )
                for number, part in enumerate(one.parts)
            ),
        )
        for one in notices
        if not isinstance(one.order, Emergency)
        and concerns(one.zones, board, box)
        and (one.order.start is None or one.order.start <= now)
    )


def sounding(airing: Airing, rung: Rung | None, item: int) -> OnAir | None:
    """What a board shows of what a zone sounds; None for tests, fallback music and emergencies.

    An emergency is not shown because it sounds but because it stands.
    """
    rank = _RANKS.get(rung) if rung is not None else None
    if rank is None or airing.programme.bulletin_class is BulletinClass.EMERGENCY:
        return None
    page = item_page(airing, item, live=rank is PageRank.LIVE)
    return OnAir(airing.id, rank, (page,))


def due(airing: Airing, now: datetime) -> OnAir | None:
    """What a board without a horn shows of a scheduled airing at `now`."""
    found = airing.programme.locate((now - airing.start) // timedelta(milliseconds=1))
    if found is None or airing.programme.fallback:
        return None
    rank = PageRank.PRIORITY
    if airing.programme.bulletin_class is BulletinClass.NORMAL:
        rank = PageRank.BULLETIN
    return OnAir(airing.id, rank, (item_page(airing, found[0]),))


def item_page(airing: Airing, index: int, *, live: bool = False) -> Page:
    """The page of the item that sounds; a chime already shows what it announces."""
    programme = airing.programme
    item = _told(programme.items, index)
    same = item.title == programme.title
    return Page(
        id=f"{airing.id}/{item.id}",
        kind=PageKind.LIVE if live else PageKind.BULLETIN,
        title=item.title or programme.title,
        text=item.text,
        language=item.language,
        source="" if same else programme.title,
        picture=item.picture.sha256 if item.picture is not None else "",
        order_id=airing.order_id,
    )


def _told(items: Sequence[Item], index: int) -> Item:
    index = min(max(index, 0), len(items) - 1)
    ahead = [one for one in items[index:] if one.kind not in _SILENT]
    behind = [one for one in items[:index] if one.kind not in _SILENT]
    return ahead[0] if ahead else behind[-1] if behind else items[index]


def off_hours(section: BoardSection, timezone: str) -> Hours | None:
    """When a board is dark, None for never."""
    if not section.off_hours:
        return None
    windows = tuple(
        Window(frozenset(one.weekdays), _second(one.start), _second(one.end)) for one in section.off_hours
    )
    return Hours(0, timezone, windows)


def _hours(windows: Sequence[PageWindow], timezone: str) -> Hours | None:
    if not windows:
        return None
    return Hours(
        0,
        timezone,
        tuple(Window(frozenset(one.weekdays), _second(one.start), _second(one.end)) for one in windows),
    )


def _second(text: str) -> int:
    hour, minute = text.split(":")
    return int(hour) * 3600 + int(minute) * 60
