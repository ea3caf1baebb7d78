"""The page of electronic boards as HTML: what they show, takeovers, pages, preview; every text escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape

from agent.wire.reports import BoardHealth
from server.api.boards import picture_path
from server.boards import BoardState
from server.console.page import menu
from server.console.words import Words
from server.order_book import OrderAnswerRow
from server.store.pictures import PictureRow
from server.store.settings import Setting

SIZES = (
    ("96x48", 96, 48, 10.0, 12.0, "full"),
    ("128x64", 128, 64, 10.0, 15.0, "full"),
    ("192x96", 192, 96, 10.0, 20.0, "full"),
    ("320x32", 320, 32, 10.0, 20.0, "full"),
    ("64x32m", 64, 32, 10.0, 10.0, "mono"),
    ("128x32d", 128, 32, 10.0, 15.0, "dual"),
    ("256x512", 256, 512, 5.0, 10.0, "full"),
    ("1920x1080", 1920, 1080, 0.6, 6.0, "full"),
)
"""Typical boards of communes: key, width and height in px, pitch in mm, viewing distance in m, colours."""

_USUAL_SIZE = "192x96"
_PATTERNS = ("grid", "white", "red", "green", "blue", "border", "numbers")
_SAID = (
    *("sending", "sent", "failed", "waiting", "sure", "no_title", "shown_always", "no_pages", "unsaved"),
    *("drawing", "uploading", "uploaded", "edit", "remove", "up", "down", "urgent_mark", "until_past"),
    *(
        "preview_screens",
        "preview_reduced",
        "video_mark",
        "ticker_mark",
        "shot_large",
        "days_all",
        "from_day",
    ),
    *("to_day", "only_boards", "seconds", "as_reading", "saved", "taken", "no_boards_chosen"),
)
"""Said by the script; it fills what stands in square brackets."""

_JOB_STATES = ("queued", "running", "succeeded", "failed", "rejected", "timed_out", "silent")
_COMPLAINTS = (
    *("missing_glyph", "video_not_drawn", "missing_video", "missing_picture", "cut", "control"),
    *("too_small_for_distance", "too_low_for_text", "qr_too_small", "qr_too_long", "other"),
)


@dataclass(frozen=True, slots=True)
class Wall:
    """What the page shows."""

    boards: list[BoardState] = field(default_factory=list)
    takeovers: list[OrderAnswerRow] = field(default_factory=list)
    pages: Setting | None = None
    pictures: tuple[PictureRow, ...] = ()
    videos: tuple[PictureRow, ...] = ()


def whole(words: Words, station: str, wall: Wall, csrf: str) -> str:
    """The page."""
    other = "en" if words.language == "vi" else "vi"
    title = escape(_say(words, "title"))
    return (
        f'<!doctype html><html lang="{words.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="csrf-token" content="{escape(csrf)}">'
        f"<title>{title} – {escape(station)}</title>"
        '<link rel="stylesheet" href="/console/static/console.css">'
        '<link rel="stylesheet" href="/console/static/orders.css">'
        '<link rel="stylesheet" href="/console/static/boards.css">'
        '<script src="/console/static/boards.js" defer></script></head>'
        f'<body data-words="{escape(json.dumps(_said(words), ensure_ascii=False))}" '
        f'data-pages="{escape(_pages_json(wall.pages))}">'
        f'<header><h1>{escape(station)}</h1><p>{title} · <a href="/console/boards?lang={other}" '
        f'lang="{other}">{escape(words("other_language"))}</a></p>{menu(words, "boards")}</header><main>'
        f'<section id="now">{now(words, wall.boards, wall.takeovers)}</section>'
        f"{_pages(words, wall)}{_page_form(words, wall)}{_takeover_form(words, wall)}</main></body></html>"
    )


def now(words: Words, boards: list[BoardState], takeovers: Iterable[OrderAnswerRow]) -> str:
    """What every board shows, and which commercial ones are taken over; refreshed in place."""
    head = f"<h2>{escape(_say(words, 'now'))}</h2>"
    if not boards:
        return f"{head}<p>{escape(_say(words, 'no_boards'))}</p>"
    taken = "".join(_one_takeover(words, one) for one in takeovers)
    taken = f'<ul class="taken">{taken}</ul>' if taken else ""
    cards = "".join(_card(words, one) for one in boards)
    return f'{head}{taken}<ul class="boards">{cards}</ul>'


def _card(words: Words, one: BoardState) -> str:
    board, device = one.board, one.box.device
    name = device.name or device.id
    why = words.known("cli.board.reason", board.reason)
    shown = board.title or board.page or (why if board.mine else "")
    state = (
        _mark("good", "●", words("state.online"))
        if one.box.online
        else _mark("bad", "○", words("state.offline"))
    )
    notes = []
    if board.since is not None:
        notes.append(words("since", at=words.moment(board.since)))
    if why and why != shown and board.mine:
        notes.append(why)
    if board.brightness is not None:
        notes.append(words("boards.brightness", percent=round(board.brightness * 100)))
    if board.temperature_c is not None:
        notes.append(f"{words.decimal(board.temperature_c)} °C")
    if not one.box.online:
        notes.append(words("heard_of", ago=words.ago(one.at)))
    return (
        f'<li data-box="{escape(device.id)}" data-board="{escape(board.board)}">'
        f'<div class="screen">{_thumbnail(words, one, shown)}</div><div class="about">'
        f"<strong>{escape(words('boards.board', name=board.board))}</strong> "
        f"<small>{escape(name)}</small>{state}"
        f'<p class="shown">{escape(shown or (_say(words, "nothing_known") if board.mine else ""))}</p>'
        f"<small>{escape(' · '.join(notes))}</small>{_flags(words, one)}{_faults(words, one)}"
        f"{_buttons(words, one)}</div></li>"
    )


def _thumbnail(words: Words, one: BoardState, shown: str) -> str:
    path = picture_path(one)
    if path is None:
        return f'<span class="dim">{escape(_say(words, "no_picture"))}</span>'
    at = words("boards.pictured", at=words.moment(one.picture))
    return (
        f'<img src="{escape(path)}" alt="{escape(words("boards.shows", what=shown))}" loading="lazy">'
        f"<small>{escape(at)}</small>"
    )


def _flags(words: Words, one: BoardState) -> str:
    board = one.board
    flags = []
    if not board.mine:
        flags.append(_mark("dim", "–", _say(words, "owners")))
    if one.takeover is not None:
        flags.append(_mark("warn", "⚑", _say(words, "taken_over")))
    if board.on is False:
        flags.append(_mark("dim", "○", _say(words, "dark")))
    if board.lost:
        flags.append(_mark("warn", "⚠", _say(words, "lost_picture")))
    if board.foreign:
        flags.append(_mark("bad", "⚠", _say(words, "foreign")))
    if board.dead_modules:
        flags.append(_mark("warn", "▦", words("boards.dead", places=", ".join(board.dead_modules))))
    return "".join(f"<div>{one}</div>" for one in flags)


def _faults(words: Words, one: BoardState) -> str:
    if not one.issues:
        return f"<div>{_mark('good', '✔', words('no_faults'))}</div>" if one.box.online else ""
    return "".join(
        f"<div>{_mark('bad', '⚠', words.fault(issue.code, issue.subject))}"
        f"<small>{escape(issue.code)} · {escape(issue.subject)} · "
        f"{escape(words('since', at=words.moment(issue.since)))}</small></div>"
        for issue in one.issues
    )


def _buttons(words: Words, one: BoardState) -> str:
    patterns = "".join(
        f'<option value="{name}">{escape(_say(words, f"pattern.{name}"))}</option>' for name in _PATTERNS
    )
    take = ""
    if one.takeover is not None:
        take = (
            f'<button type="button" data-end="{escape(one.takeover)}">'
            f"{escape(_say(words, 'hand_back'))}</button> "
        )
    elif not one.board.mine:
        take = f'<button type="button" data-take>{escape(_say(words, "take"))}</button> '
    return (
        f'<div class="actions"><button type="button" data-shot>{escape(_say(words, "screenshot"))}</button> '
        f"{take}<details><summary>{escape(_say(words, 'test'))}</summary>"
        f'<label>{escape(_say(words, "test_picture"))} <select name="pattern">{patterns}</select></label> '
        f'<button type="button" data-pattern="1">{escape(_say(words, "test_show"))}</button> '
        f'<button type="button" data-pattern="">{escape(_say(words, "test_end"))}</button></details>'
        '<output role="status"></output></div>'
    )


def _one_takeover(words: Words, row: OrderAnswerRow) -> str:
    boards = ", ".join(row.body.get("boards") or ()) or _say(words, "all_commercial")
    notes = (
        boards,
        words("orders.until", at=words.moment(row.batch.expires)),
        words("orders.by", author=row.batch.author, at=words.moment(row.batch.created)),
    )
    return (
        f'<li class="taken">{_mark("warn", "⚑", _say(words, "takeover_in_force"))} '
        f"<span>{escape(row.body.get('reason', ''))}</span><small>{escape(' · '.join(notes))}</small>"
        f'<button type="button" data-end="{escape(row.id)}">{escape(_say(words, "hand_back"))}</button>'
        '<output role="status"></output></li>'
    )


def _pages(words: Words, wall: Wall) -> str:
    setting = wall.pages
    if setting is None:
        version = words("orders.never_set")
    else:
        version = words(
            "orders.version", n=setting.version, author=setting.author, at=words.moment(setting.changed)
        )
    return (
        f'<section id="pages"><h2>{escape(_say(words, "pages"))}</h2>'
        f"<p>{escape(_say(words, 'pages_hint'))}</p><small>{escape(version)}</small><ol></ol>"
        f'<p class="actions"><button type="button" data-add>{escape(_say(words, "add"))}</button> '
        f'<button type="button" class="go" data-save>{escape(_say(words, "save"))}</button></p>'
        '<output role="status"></output></section>'
    )


def _page_form(words: Words, wall: Wall) -> str:
    boards = sorted({one.board.board for one in wall.boards})
    places = "".join(
        f'<label><input type="checkbox" name="board" value="{escape(one)}"> {escape(one)}</label>'
        for one in boards
    )
    only = (
        f"<fieldset><legend>{escape(_say(words, 'which_boards'))}</legend>{places}"
        f"<small>{escape(_say(words, 'which_boards_hint'))}</small></fieldset>"
        if len(boards) > 1
        else ""
    )
    main = (
        _label(words, "page_title", '<input name="title" maxlength="300">'),
        _label(words, "page_text", '<textarea name="text" rows="5" maxlength="20000"></textarea>'),
        _label(words, "ticker", '<input name="ticker" maxlength="4000">', "ticker_hint"),
        _picture_field(words, wall),
        _label(
            words, "dwell", '<input type="number" name="dwell" min="0" max="3600" value="10">', "dwell_hint"
        ),
    )
    when = (
        f'<div class="rows"></div><template>{_window(words)}</template>'
        f'<button type="button" data-add-window>{escape(_say(words, "add_window"))}</button>'
        + _label(words, "valid_from", '<input type="datetime-local" name="valid_from">')
        + _label(words, "valid_until", '<input type="datetime-local" name="valid_until">')
        + f'<label class="check"><input type="checkbox" name="urgent"> {escape(_say(words, "urgent"))}'
        f"<small>{escape(_say(words, 'urgent_hint'))}</small></label>"
    )
    more = (
        _label(words, "qr", '<input name="qr" maxlength="300">', "qr_hint"),
        _label(words, "weather", '<input name="weather" maxlength="300">'),
        _video_field(words, wall),
        only,
    )
    return (
        f'<section id="editor" hidden><h2 tabindex="-1">{escape(_say(words, "editor"))}</h2>'
        f'<div class="beside"><form autocomplete="off">{"".join(main)}'
        f"<details><summary>{escape(_say(words, 'when'))}</summary>{when}</details>"
        f"<details><summary>{escape(_say(words, 'more'))}</summary>{''.join(more)}</details>"
        f'<p class="actions"><button type="submit" class="go">{escape(_say(words, "keep"))}</button> '
        f'<button type="button" data-back>{escape(_say(words, "back"))}</button></p>'
        f'<output role="status"></output></form>{_preview(words, wall)}</div></section>'
    )


def _picture_field(words: Words, wall: Wall) -> str:
    options = "".join(_file_option(words, one) for one in wall.pictures)
    return (
        f'<fieldset class="picture"><legend>{escape(_say(words, "picture"))}</legend>'
        f'<label>{escape(_say(words, "picture_kept"))} <select name="picture">'
        f'<option value="">{escape(_say(words, "picture_none"))}</option>{options}</select></label>'
        f'<label>{escape(_say(words, "picture_new"))} <input type="file" name="picture_file" '
        'accept="image/jpeg,image/png,image/webp,image/gif"></label>'
        '<output role="status"></output></fieldset>'
    )


def _video_field(words: Words, wall: Wall) -> str:
    options = "".join(_file_option(words, one) for one in wall.videos)
    return (
        f'<fieldset class="video"><legend>{escape(_say(words, "video"))}</legend>'
        f'<label>{escape(_say(words, "video_kept"))} <select name="video">'
        f'<option value="">{escape(_say(words, "video_none"))}</option>{options}</select></label>'
        f'<label>{escape(_say(words, "video_new"))} <input type="file" name="video_file" '
        f'accept="video/mp4"></label><small>{escape(_say(words, "video_hint"))}</small>'
        '<output role="status"></output></fieldset>'
    )


def _file_option(words: Words, row: PictureRow) -> str:
    name = row.title or words("boards.untitled", at=words.moment(row.created))
    size = f"{row.width_px} × {row.height_px}"
    return f'<option value="{row.sha256}">{escape(name)} ({size})</option>'


def _preview(words: Words, wall: Wall) -> str:
    own = [(_own_name(one), shape) for one in wall.boards if (shape := _shape(one.board)) is not None]
    typical = [(_say(words, f"size.{size[0]}"), _board(size)) for size in SIZES]
    usual = 0 if own else [size[0] for size in SIZES].index(_USUAL_SIZE)
    options = "".join(
        f'<option data-board="{escape(json.dumps(shape))}"{" selected" * (number == usual)}>'
        f"{escape(name)}</option>"
        for number, (name, shape) in enumerate([*own, *typical])
    )
    return (
        f'<div class="preview"><label>{escape(_say(words, "preview_on"))} '
        f'<select name="size">{options}</select></label> '
        f'<label class="check"><input type="checkbox" name="moving"> {escape(_say(words, "preview_moving"))}'
        f'</label><div class="screen"><img alt="{escape(_say(words, "preview_alt"))}" hidden></div>'
        '<output role="status" aria-live="polite"></output><ul class="notes"></ul></div>'
    )


def _own_name(one: BoardState) -> str:
    board = one.board
    size = f"{board.width_px} × {board.height_px}"
    return f"{board.board} – {one.box.device.name or one.box.device.id} ({size})"


def _shape(board: BoardHealth) -> dict[str, object] | None:
    """Of a board of the station, None if its box did not say."""
    shape: dict[str, object] = board.model_dump(
        include={"width_px", "height_px", "pitch_mm", "viewing_m", "colours"}, exclude_none=True
    )
    return shape if {"width_px", "height_px"} <= shape.keys() else None


def _board(size: tuple[str, int, int, float, float, str]) -> dict[str, object]:
    _, width_px, height_px, pitch_mm, viewing_m, colours = size
    return {
        "width_px": width_px,
        "height_px": height_px,
        "pitch_mm": pitch_mm,
        "viewing_m": viewing_m,
        "colours": colours,
    }


def _takeover_form(words: Words, wall: Wall) -> str:
    commercial = [one for one in wall.boards if not one.board.mine]
    if not commercial:
        return ""
    choices = "".join(
        f'<label><input type="checkbox" name="where" data-box="{escape(one.box.device.id)}" '
        f'value="{escape(one.board.board)}"> '
        f"{escape(one.board.board)} – {escape(one.box.device.name or one.box.device.id)}</label>"
        for one in commercial
    )
    return (
        f'<section id="take"><h2>{escape(_say(words, "take_title"))}</h2>'
        f'<p>{escape(_say(words, "take_hint"))}</p><form autocomplete="off"><fieldset class="areas">'
        f"<legend>{escape(_say(words, 'take_which'))}</legend>{choices}</fieldset>"
        + _label(words, "take_reason", '<input name="reason" maxlength="300" required>')
        + _label(words, "take_until", '<input type="datetime-local" name="until" required>')
        + f'<button type="submit" class="danger">{escape(_say(words, "take"))}</button>'
        '<output role="status"></output></form></section>'
    )


def _window(words: Words) -> str:
    days = "".join(
        f'<label><input type="checkbox" name="day" value="{day}" checked> '
        f"{escape(words(f'orders.day.d{day}'))}</label>"
        for day in range(1, 8)
    )
    return (
        f"<fieldset><legend>{escape(words('orders.weekdays'))}</legend>{days}<br>"
        f"<label>{escape(words('orders.from'))} "
        '<input type="time" name="start" required value="06:00"></label>'
        f"<label>{escape(words('orders.to'))} "
        '<input type="time" name="end" required value="21:00"></label>'
        f'<button type="button" data-remove-window>{escape(words("orders.remove"))}</button></fieldset>'
    )


def _said(words: Words) -> dict[str, str]:
    said = {name: _say(words, f"said.{name}") for name in _SAID}
    said |= {f"job_{name}": words(f"orders.job.{name}") for name in _JOB_STATES}
    said |= {f"complaint_{name}": _say(words, f"complaint.{name}") for name in _COMPLAINTS}
    return said | {f"day_{day}": words(f"orders.day.d{day}") for day in range(1, 8)}


def _pages_json(setting: Setting | None) -> str:
    said = {"version": setting.version if setting else 0, "pages": setting.value if setting else []}
    return json.dumps(said, ensure_ascii=False)


def _label(words: Words, name: str, control: str, hint: str = "") -> str:
    note = f"<small>{escape(_say(words, hint))}</small>" if hint else ""
    return f"<label>{escape(_say(words, name))}{control}{note}</label>"


def _mark(kind: str, symbol: str, text: str) -> str:
    """Colour, symbol and words together, so that none of them is needed alone."""
    return f'<span class="mark {kind}"><span aria-hidden="true">{escape(symbol)}</span> {escape(text)}</span>'


def _say(words: Words, name: str) -> str:
    return words(f"boards.{name}")
