"""The console page as HTML: one table of boxes, one of airings; every text escaped here, and only here."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from agent.model.report import Verdict
from agent.wire.reports import AsRunReport, ZoneHealth
from server.console.words import Words
from server.fleet import Box
from server.order_book import OrderAnswerRow

_VERDICTS = {
    Verdict.HEARD: ("good", "✔"),
    Verdict.PARTIAL: ("warn", "◐"),
    Verdict.SILENT: ("bad", "✖"),
    Verdict.MISSED: ("bad", "⊘"),
    Verdict.UNKNOWN: ("dim", "?"),
}

_PAGES = (
    ("boxes", "/console"),
    ("orders", "/console/orders"),
    ("boards", "/console/boards"),
    ("live", "/console/live"),
)


def whole(words: Words, station: str, tables: str, csrf: str) -> str:
    """The page."""
    other = "en" if words.language == "vi" else "vi"
    title = escape(words("title"))
    return (
        f'<!doctype html><html lang="{words.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="csrf-token" content="{escape(csrf)}">'
        f"<title>{title} – {escape(station)}</title>"
        '<link rel="stylesheet" href="/console/static/console.css">'
        '<script src="/console/static/console.js" defer></script></head><body>'
        f'<header><h1>{escape(station)}</h1><p>{title} · <span id="link" role="status" '
        f'data-live="{escape(words("live"))}" data-lost="{escape(words("lost"))}"></span> '
        f'<a href="/console?lang={other}" lang="{other}">{escape(words("other_language"))}</a></p>'
        f"{menu(words, 'boxes')}</header>"
        f'<main id="tables">{tables}</main></body></html>'
    )


def menu(words: Words, here: str) -> str:
    """Links between the pages of the console."""
    links = []
    for name, path in _PAGES:
        current = ' aria-current="page"' if name == here else ""
        links.append(f'<a href="{path}?lang={words.language}"{current}>{escape(words(f"menu.{name}"))}</a>')
    return f"<nav>{''.join(links)}</nav>"


def door(words: Words, message: str) -> str:
    """What somebody without a session sees."""
    return (
        f'<!doctype html><html lang="{words.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(words('title'))}</title>"
        '<link rel="stylesheet" href="/console/static/console.css"></head><body>'
        f"<header><h1>{escape(words('title'))}</h1></header><main><p>{escape(message)}</p>"
        f"<p>{escape(words('how_to_enter'))}</p><pre>loa-server console-link --data …</pre>"
        "</main></body></html>"
    )


def tables(
    words: Words,
    boxes: list[Box],
    airings: list[tuple[str, AsRunReport]],
    emergencies: Iterable[OrderAnswerRow] = (),
) -> str:
    """What changes: refreshed in place by the script."""
    names = {box.device.id: box.device.name or box.device.id for box in boxes}
    above = f"{_alarms(words, emergencies)}{_summary(words, boxes)}"
    return f"{above}{_boxes(words, boxes)}{_airings(words, names, airings)}"


def _alarms(words: Words, emergencies: Iterable[OrderAnswerRow]) -> str:
    lines = []
    for one in emergencies:
        event = words(f"event.{one.body['event']}")
        text = words("alarm", event=event, until=words.moment(one.batch.expires))
        lines.append(_mark("bad", "⚠", text))
    return f'<p class="summary">{"<br>".join(lines)}</p>' if lines else ""


def _summary(words: Words, boxes: list[Box]) -> str:
    if not boxes:
        return ""
    trouble = sum(bool(box.health and box.health.issues) or not box.online for box in boxes)
    unscheduled = sum(box.wanted is None or box.wanted.schedule_id is None for box in boxes)
    marks = []
    if trouble:
        marks.append(_mark("bad", "✖", words("some_trouble", n=trouble, of=len(boxes))))
    if unscheduled:
        marks.append(_mark("warn", "–", words("unscheduled", n=unscheduled)))
    if not marks:
        marks.append(_mark("good", "✔", words("all_well", n=len(boxes))))
    return f'<p class="summary">{"<br>".join(marks)}</p>'


def _boxes(words: Words, boxes: list[Box]) -> str:
    if not boxes:
        return f"<section><h2>{escape(words('boxes'))}</h2><p>{escape(words('no_boxes'))}</p></section>"
    heads = ("box", "state", "schedule", "on_air", "next", "last", "faults")
    rows = "".join(_box(words, box) for box in boxes)
    return f"<section><h2>{escape(words('boxes'))}</h2>{_table(words, heads, rows)}</section>"


def _box(words: Words, box: Box) -> str:
    zones = box.health.zones if box.health and box.online else ()
    cells = (
        (
            "box",
            f"<strong>{escape(box.device.name or box.device.id)}</strong>{_small(box.device.id)}",
        ),
        ("state", _state(words, box)),
        ("schedule", _schedule(words, box)),
        ("on_air", "".join(_on_air(words, box, zone) for zone in zones) or "–"),
        ("next", _next(words, box, zones)),
        ("last", _last(words, box.last_airing)),
        ("faults", _faults(words, box)),
    )
    return _row(words, cells)


def _state(words: Words, box: Box) -> str:
    mark = (
        _mark("good", "●", words("state.online")) if box.online else _mark("bad", "○", words("state.offline"))
    )
    return f"{mark}<small>{escape(words('heard_of', ago=words.ago(box.contact)))}</small>"


def _schedule(words: Words, box: Box) -> str:
    if box.wanted is None or box.wanted.schedule_id is None:
        return _mark("dim", "–", words("schedule_state.none"))
    version = words(
        "schedule_state.version", id=box.wanted.schedule_id or "", n=box.wanted.schedule_version or 0
    )
    if box.confirmed:
        mark = _mark("good", "✔", words("schedule_state.confirmed"))
    else:
        mark = _mark("warn", "…", words("schedule_state.waiting"))
    held, wanted = (box.reported.media_held, box.reported.media_wanted) if box.reported else (0, 0)
    files = words("files", held=held, wanted=wanted) if box.reported else ""
    return f"{mark}<small>{escape(version)}</small><small>{escape(files)}</small>"


def _on_air(words: Words, box: Box, zone: ZoneHealth) -> str:
    if not zone.on_air:
        why = words.known("reason", zone.reason) or words("quiet")
        return f"<div>{escape(why)}{_zone_notes(words, zone)}</div>"
    sound = (
        _mark("good", "♪", words("sounding", level=words.level(zone.output_rms_dbfs)))
        if zone.sounding
        else _mark("bad", "✖", words("not_sounding"))
    )
    rung = words.known("rung", zone.rung)
    title = zone.title or _programme(box, zone.on_air)
    what = f"{rung}: {title}" if rung else title
    return f"<div>{escape(what)}<br>{sound}{_zone_notes(words, zone)}</div>"


def _zone_notes(words: Words, zone: ZoneHealth) -> str:
    """What else a zone measures; absent sensors are absent."""
    notes = [zone.zone]
    if zone.volume_db is not None:
        notes.append(words("volume", db=words.decimal(zone.volume_db, sign=True)))
    if zone.supply_volts is not None:
        notes.append(f"{words.decimal(zone.supply_volts)} V")
    if zone.supply_amps is not None:
        notes.append(f"{words.decimal(zone.supply_amps)} A")
    if zone.amplifier_temperature_c is not None:
        notes.append(f"{words.decimal(zone.amplifier_temperature_c)} °C")
    text = _small(" · ".join(notes))
    if zone.safety_until is None:
        return text
    return text + "<br>" + _mark("warn", "⚠", words("safety", until=words.moment(zone.safety_until)))


def _next(words: Words, box: Box, zones: Iterable[ZoneHealth]) -> str:
    coming = sorted((one.next_start, one.next_airing or "") for one in zones if one.next_start)
    if not coming:
        return "–"
    start, airing = coming[0]
    return f"{escape(words.moment(start))}<small>{escape(_programme(box, airing))}</small>"


def _last(words: Words, report: AsRunReport | None) -> str:
    if report is None:
        return "–"
    return (
        f"{_verdict(words, report)}<small>{escape(report.title)}</small>"
        f"<small>{escape(words('planned'))} {escape(words.moment(report.planned_start))}</small>"
        f"<small>{escape(words('first_sound'))} "
        f"{escape(words.first_sound(report.first_sound, report.planned_start))}</small>"
        f"<small>{escape(words.level(report.output_rms_dbfs))}</small>"
    )


def _faults(words: Words, box: Box) -> str:
    issues = box.health.issues if box.health else ()
    if not issues:
        return _mark("good", "✔", words("no_faults")) if box.online else "–"
    return "".join(
        f"<div>{_mark('bad', '⚠', words.fault(one.code, one.subject))}"
        f"<small>{escape(one.code)} · {escape(one.subject)} · "
        f"{escape(words('since', at=words.moment(one.since)))}</small></div>"
        for one in issues
    )


def _airings(words: Words, names: dict[str, str], airings: list[tuple[str, AsRunReport]]) -> str:
    if not airings:
        return f"<section><h2>{escape(words('airings'))}</h2><p>{escape(words('no_airings'))}</p></section>"
    heads = ("verdict_head", "planned", "first_sound", "programme", "box", "played", "level")
    rows = "".join(
        _row(
            words,
            (
                ("verdict_head", _verdict(words, report)),
                ("planned", escape(words.moment(report.planned_start))),
                ("first_sound", escape(words.first_sound(report.first_sound, report.planned_start))),
                ("programme", escape(report.title)),
                ("box", f"{escape(names.get(device, device))}<small>{escape(report.zone)}</small>"),
                ("played", escape(words.seconds(report.played_ms))),
                ("level", escape(words.level(report.output_rms_dbfs))),
            ),
        )
        for device, report in airings
    )
    return f"<section><h2>{escape(words('airings'))}</h2>{_table(words, heads, rows)}</section>"


def _verdict(words: Words, report: AsRunReport) -> str:
    kind, symbol = _VERDICTS[report.verdict]
    text = words.shared(f"verdict.{report.verdict.value}")
    if report.missed is not None:
        text = f"{text}: {words.shared(f'missed.{report.missed.value}')}"
    return _mark(kind, symbol, text)


def _mark(kind: str, symbol: str, text: str) -> str:
    """Colour, symbol and words together, so that none of them is needed alone."""
    return f'<span class="mark {kind}"><span aria-hidden="true">{escape(symbol)}</span> {escape(text)}</span>'


def _small(text: str) -> str:
    return f"<small>{escape(text)}</small>"


def _table(words: Words, heads: Iterable[str], rows: str) -> str:
    head = "".join(f'<th scope="col">{escape(words(f"column.{one}"))}</th>' for one in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(words: Words, cells: Iterable[tuple[str, str]]) -> str:
    """One row; on a phone each cell carries its heading itself."""
    body = "".join(
        f'<td class="{head}" data-head="{escape(words(f"column.{head}"))}"><div>{content}</div></td>'
        for head, content in cells
    )
    return f"<tr>{body}</tr>"


def _programme(box: Box, airing: str) -> str:
    """Title of an airing's programme, its id if the wanted schedule does not know it."""
    programme = airing.partition("@")[0]
    return box.titles.get(programme, programme)
