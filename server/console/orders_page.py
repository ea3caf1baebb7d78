"""The page of orders as HTML: emergencies, bulletins, controls, priority, hours; every text escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from html import escape

from agent.wire.orders import EmergencyEvent, HoursWindow
from server.builtin import built_in
from server.console.page import menu
from server.console.words import Words
from server.fleet import Box
from server.order_book import OrderAnswerRow
from server.store.settings import Setting

_LEVELS = ("commune", "hamlet")
_FINAL = ("done", "sent", "sending", "failed", "waiting", "cancel_sure", "own_message", "up", "down")
_JOB_STATES = ("queued", "running", "succeeded", "failed", "rejected", "timed_out", "silent")
_TEXT = '<textarea name="text" rows="5" maxlength="20000"></textarea>'
_AUTHOR = '<input name="author" maxlength="300">'
_ACTIONS = ("stop", "next", "pause", "resume")


@dataclass(frozen=True, slots=True)
class Desk:
    """What the page shows.

    Attributes:
        priority: ids (several where one item became several orders) and title, in the order set.
    """

    boxes: list[Box]
    emergencies: list[OrderAnswerRow] = field(default_factory=list)
    bulletins: list[OrderAnswerRow] = field(default_factory=list)
    priority: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    hours: Setting | None = None


def whole(words: Words, station: str, desk: Desk, csrf: str, now: datetime) -> str:
    """The page."""
    other = "en" if words.language == "vi" else "vi"
    title = escape(_say(words, "title"))
    said = {name: _say(words, name) for name in _FINAL}
    said |= {f"job_{name}": _say(words, f"job.{name}") for name in _JOB_STATES}
    return (
        f'<!doctype html><html lang="{words.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="csrf-token" content="{escape(csrf)}">'
        f"<title>{title} – {escape(station)}</title>"
        '<link rel="stylesheet" href="/console/static/console.css">'
        '<link rel="stylesheet" href="/console/static/orders.css">'
        '<script src="/console/static/orders.js" defer></script></head>'
        f'<body data-words="{escape(json.dumps(said, ensure_ascii=False))}">'
        f'<header><h1>{escape(station)}</h1><p>{title} · <a href="/console/orders?lang={other}" '
        f'lang="{other}">{escape(words("other_language"))}</a></p>{menu(words, "orders")}</header><main>'
        f'<section id="in-force" aria-live="polite">{in_force(words, desk.emergencies)}</section>'
        f"{_emergency(words, desk)}{_controls(words, desk)}{_bulletin(words, desk)}"
        f'<section id="bulletins">{bulletins(words, desk.bulletins, now)}</section>'
        f"{_priority(words, desk)}{_hours(words, desk.hours)}</main></body></html>"
    )


def in_force(words: Words, emergencies: Iterable[OrderAnswerRow]) -> str:
    """Emergencies that sound or may sound, each with its way to end it."""
    rows = "".join(_one_in_force(words, one) for one in emergencies)
    body = f"<ul>{rows}</ul>" if rows else f"<p>{escape(_say(words, 'none_in_force'))}</p>"
    return f"<h2>{escape(_say(words, 'in_force'))}</h2>{body}"


def bulletins(words: Words, rows: list[OrderAnswerRow], now: datetime) -> str:
    """Recent bulletins and what became of them."""
    head = f"<h2>{escape(_say(words, 'bulletins'))}</h2>"
    if not rows:
        return f"{head}<p>{escape(_say(words, 'no_bulletins'))}</p>"
    return f"{head}<ul>{''.join(_one_bulletin(words, one, now) for one in rows)}</ul>"


def _one_in_force(words: Words, row: OrderAnswerRow) -> str:
    event, text = words(f"event.{row.body['event']}"), row.body["parts"][0]["text"]
    pushed = sum(one.document.pushed is not None for one in row.orders)
    notes = (
        _areas_of(words, row),
        words("orders.until", at=words.moment(row.batch.expires)),
        words("orders.by", author=row.batch.author, at=words.moment(row.batch.created)),
        words("orders.pushed", n=pushed, of=len(row.orders)),
    )
    return (
        f'<li class="alarm"><strong>{escape(event)}</strong> '
        f"<span>{escape(text)}</span><small>{escape(' · '.join(notes))}</small>"
        f'<button type="button" class="danger" data-cancel="{escape(row.id)}">'
        f"{escape(_say(words, 'cancel'))}</button> "
        f'<button type="button" data-cancel="{escape(row.id)}" data-clear="1">'
        f"{escape(_say(words, 'cancel_clear'))}</button><output></output></li>"
    )


def _one_bulletin(words: Words, row: OrderAnswerRow, now: datetime) -> str:
    state = row.state(now)
    withdraw = (
        f'<button type="button" data-withdraw="{escape(row.id)}">{escape(_say(words, "withdraw"))}</button>'
        if state in ("in_force", "kept")
        else ""
    )
    notes = (
        words.shared(f"class.{row.body['class']}"),
        _say(words, f"state.{state}"),
        _areas_of(words, row),
        words("orders.by", author=row.batch.author, at=words.moment(row.batch.created)),
    )
    return (
        f"<li><strong>{escape(row.body['parts'][0]['title'])}</strong>"
        f"<small>{escape(' · '.join(notes))}</small>{withdraw}<output></output></li>"
    )


def _emergency(words: Words, desk: Desk) -> str:
    options = "".join(_event(words, event) for event in EmergencyEvent)
    levels = "".join(_option(one, words.shared(f"level.{one}")) for one in _LEVELS)
    fields = (
        _label(words, "event", f'<select name="event" required>{options}</select>'),
        _areas(words, desk),
        _label(words, "text", _TEXT, "text_hint"),
        _label(words, "level", f'<select name="level">{levels}</select>'),
        _label(words, "minutes", _number("minutes", 60, 1, 1440)),
        _label(words, "repeats", _number("repeats", 3, 1, 100)),
        _label(words, "author", _AUTHOR),
    )
    return (
        f'<section class="alarm"><h2>{escape(_say(words, "emergency"))}</h2>'
        f"<p>{escape(_say(words, 'emergency_hint'))}</p>"
        f'<form id="emergency" autocomplete="off"><div class="edit">{"".join(fields)}'
        f'<button type="submit">{escape(_say(words, "review"))}</button></div>'
        f'<div class="confirm" hidden><h3>{escape(_say(words, "sure"))}</h3><dl></dl>'
        f'<button type="button" class="danger" data-go>{escape(_say(words, "go"))}</button> '
        f'<button type="button" data-back>{escape(_say(words, "back"))}</button></div>'
        '<output role="status"></output></form></section>'
    )


def _event(words: Words, event: EmergencyEvent) -> str:
    known = built_in(event, "vi") if event is not EmergencyEvent.OTHER else None
    text = escape(known.text if known else "")
    name = escape(words(f"event.{event.value}"))
    return f'<option value="{event.value}" data-text="{text}">{name}</option>'


def _bulletin(words: Words, desk: Desk) -> str:
    classes = "".join(_option(one, words.shared(f"class.{one}")) for one in ("priority", "normal"))
    fields = (
        _label(words, "bulletin_title", '<input name="title" maxlength="300" required>'),
        _label(words, "bulletin_text", _TEXT),
        _label(words, "bulletin_file", '<input type="file" name="file" accept="audio/*,video/mp4">'),
        _label(words, "bulletin_picture", '<input type="file" name="picture" accept="image/*">'),
        _label(words, "class", f'<select name="class">{classes}</select>'),
        _label(words, "start", '<input type="datetime-local" name="start">'),
        _label(words, "author", _AUTHOR),
        _areas(words, desk),
    )
    return (
        f"<section><h2>{escape(_say(words, 'bulletin'))}</h2><p>{escape(_say(words, 'bulletin_hint'))}</p>"
        f'<form id="bulletin" autocomplete="off">{"".join(fields)}'
        f'<button type="submit">{escape(_say(words, "send"))}</button>'
        '<output role="status"></output></form></section>'
    )


def _controls(words: Words, desk: Desk) -> str:
    head = f"<section><h2>{escape(_say(words, 'controls'))}</h2>"
    if not desk.boxes:
        return f"{head}<p>{escape(_say(words, 'no_boxes'))}</p></section>"
    return f"{head}<ul>{''.join(_control(words, box) for box in desk.boxes)}</ul></section>"


def _control(words: Words, box: Box) -> str:
    zones = box.health.zones if box.health else ()
    volume_db = next((one.volume_db for one in zones if one.volume_db is not None), None)
    percent = "" if volume_db is None else round(100 * 10 ** (min(volume_db, 0.0) / 20))
    state = words("state.online") if box.online else words("state.offline")
    buttons = " ".join(
        f'<button type="button" data-action="{one}">{escape(_say(words, one))}</button>' for one in _ACTIONS
    )
    return (
        f'<li data-box="{escape(box.device.id)}"><strong>{escape(box.device.name or box.device.id)}</strong>'
        f"<small>{escape(state)}</small>"
        f'<label>{escape(_say(words, "set_volume"))} <input type="number" name="volume" min="0" max="100" '
        f'value="{percent}"></label> '
        f'<button type="button" data-action="set_volume">{escape(_say(words, "save"))}</button> '
        f'{buttons}<output role="status"></output></li>'
    )


def _priority(words: Words, desk: Desk) -> str:
    head = f"<section><h2>{escape(_say(words, 'priority'))}</h2><p>{escape(_say(words, 'priority_hint'))}</p>"
    if not desk.priority:
        return f"{head}<p>{escape(_say(words, 'no_priority'))}</p></section>"
    rows = "".join(
        f'<li data-ids="{escape(json.dumps(ids))}"><span>{escape(title)}</span> '
        f'<button type="button" data-move="up">▲ {escape(_say(words, "up"))}</button> '
        f'<button type="button" data-move="down">▼ {escape(_say(words, "down"))}</button></li>'
        for ids, title in desk.priority
    )
    save = escape(_say(words, "save"))
    return (
        f'{head}<form id="priority"><ol>{rows}</ol><button type="submit">{save}</button>'
        '<output role="status"></output></form></section>'
    )


def _hours(words: Words, setting: Setting | None) -> str:
    windows = [HoursWindow.model_validate(one) for one in setting.value] if setting else []
    if setting is None:
        version = _say(words, "never_set")
    else:
        at = words.moment(setting.changed)
        version = words("orders.version", n=setting.version, author=setting.author, at=at)
    rows = "".join(_window(words, one) for one in windows)
    empty = _window(words, HoursWindow(start="05:00", end="21:00"))
    return (
        f"<section><h2>{escape(_say(words, 'hours'))}</h2><p>{escape(_say(words, 'hours_hint'))}</p>"
        f'<small>{escape(version)}</small><form id="hours"><div class="rows">{rows}</div>'
        f'<template>{empty}</template><button type="button" data-add>{escape(_say(words, "add"))}</button> '
        f'<button type="submit">{escape(_say(words, "save"))}</button>'
        '<output role="status"></output></form></section>'
    )


def _window(words: Words, window: HoursWindow) -> str:
    days = "".join(
        f'<label><input type="checkbox" name="day" value="{day}"{" checked" * (day in window.weekdays)}>'
        f" {escape(_say(words, f'day.d{day}'))}</label>"
        for day in range(1, 8)
    )
    end = window.end if window.end != "24:00" else "00:00"
    minutes = "" if window.max_minutes is None else str(window.max_minutes)
    level = "" if window.max_dbfs is None else f"{window.max_dbfs:g}"
    return (
        f"<fieldset><legend>{escape(_say(words, 'weekdays'))}</legend>{days}"
        f'<label>{escape(_say(words, "from"))} <input type="time" name="start" required '
        f'value="{window.start}"></label>'
        f'<label>{escape(_say(words, "to"))} <input type="time" name="end" required value="{end}"></label>'
        f'<label>{escape(_say(words, "max_minutes"))} <input type="number" name="max_minutes" min="1" '
        f'max="1440" value="{minutes}"></label>'
        f'<label>{escape(_say(words, "max_dbfs"))} <input type="number" name="max_dbfs" min="-40" max="0" '
        f'step="0.5" value="{level}"></label>'
        f'<button type="button" data-remove>{escape(_say(words, "remove"))}</button></fieldset>'
    )


def _areas(words: Words, desk: Desk) -> str:
    groups: dict[str, int] = {}
    for box in desk.boxes:
        for group in box.device.groups:
            groups[group] = groups.get(group, 0) + 1
    choices = [("all", "", words("orders.everywhere", n=len(desk.boxes)))]
    choices += [("group", name, words("orders.group", name=name, n=n)) for name, n in sorted(groups.items())]
    choices += [("device", one.device.id, one.device.name or one.device.id) for one in desk.boxes]
    boxes = "".join(
        f'<label><input type="checkbox" data-area="{kind}" value="{escape(value)}"> {escape(text)}</label>'
        for kind, value, text in choices
    )
    return f'<fieldset class="areas"><legend>{escape(_say(words, "areas"))}</legend>{boxes}</fieldset>'


def _areas_of(words: Words, row: OrderAnswerRow) -> str:
    said = row.targets
    if said["all"]:
        return _say(words, "whole")
    return ", ".join([*said["groups"], *said["devices"]])


def _label(words: Words, name: str, control: str, hint: str = "") -> str:
    note = f"<small>{escape(_say(words, hint))}</small>" if hint else ""
    return f"<label>{escape(_say(words, name))}{control}{note}</label>"


def _option(value: str, text: str) -> str:
    return f'<option value="{value}">{escape(text)}</option>'


def _number(name: str, value: int, low: int, high: int) -> str:
    return f'<input type="number" name="{name}" value="{value}" min="{low}" max="{high}" required>'


def _say(words: Words, name: str) -> str:
    return words(f"orders.{name}")
