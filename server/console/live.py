"""The page on which an officer speaks: one big button, a level, who hears it, and what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Protocol

from aiohttp import web

from agent.model.text import Language, catalogue
from server.access import csrf_token
from server.api.boundary import COOKIE, SECURITY_HEADERS
from server.api.route import Parameter, Route, Who
from server.clock import utc_now
from server.console.page import door
from server.console.words import Words
from server.live.session import EndReason
from server.problems import Problem, RefusedError
from server.store.devices import Device

PATH = "/console/live"
_STATIC = Path(__file__).parent / "static"
_FILES = {"live.css": "text/css", "live.js": "text/javascript"}
_MINUTES = (5, 10, 20, 30, 60)
_USUAL_MINUTES = 10
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,253}")
_HTML = "text/html"
_SAID_BY_SCRIPT = (
    *("start", "stop", "idle", "no_speaker", "insecure", "unsupported", "denied", "no_microphone", "opening"),
    *(
        "calling",
        "speak",
        "lost",
        "slow",
        "quiet",
        "hears",
        "left",
        "other",
        "failed",
        "unreachable",
        "leave",
    ),
)


class Sessions(Protocol):
    """Whether a console session holds."""

    async def session_good(self, session: str) -> bool: ...


class Directory(Protocol):
    """The boxes that can be spoken to."""

    async def all(self) -> tuple[Device, ...]: ...


class LivePage:
    """Handlers of the page."""

    def __init__(self, sessions: Sessions, boxes: Directory, station: str) -> None:
        self._sessions = sessions
        self._boxes = boxes
        self._station = station

    def routes(self) -> list[Route]:
        """Every route of the page."""
        return [
            Route(
                "GET",
                PATH,
                "The page for live announcements",
                self.page,
                Who.ANYONE,
                response_type=_HTML,
                parameters=(Parameter("lang", "vi or en"),),
            ),
            Route(
                "GET",
                PATH + "/{name}",
                "Style and script of the page for live announcements",
                self.static,
                Who.ANYONE,
                response_type="text/css",
                errors=(Problem.NOT_FOUND,),
            ),
        ]

    async def page(self, request: web.Request) -> web.StreamResponse:
        language: Language = "en" if request.query.get("lang") == "en" else "vi"
        words = Words(language, utc_now())
        session = request.cookies.get(COOKIE, "")
        if not session or not await self._sessions.session_good(session):
            return web.Response(
                text=door(words, words("not_entered")), status=401, content_type=_HTML, charset="utf-8"
            )
        text = whole(words, self._station, await self._boxes.all(), csrf_token(session))
        return web.Response(text=text, content_type=_HTML, charset="utf-8", headers=_headers(request.host))

    async def static(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in _FILES:
            raise RefusedError(Problem.NOT_FOUND)
        return web.Response(
            body=(_STATIC / name).read_bytes(),
            content_type=_FILES[name],
            charset="utf-8",
            headers={"Cache-Control": "no-cache"},
        )


def whole(words: Words, station: str, boxes: Iterable[Device], csrf: str) -> str:
    """The page as HTML; every text is escaped here."""
    other = "en" if words.language == "vi" else "vi"
    title = escape(words("announce.title"))
    texts = catalogue(words.language)  # with their holes: the script fills them
    said = {key: texts[f"console.announce.{key}"] for key in _SAID_BY_SCRIPT}
    said |= {f"ended.{one}": words(f"announce.ended.{one}") for one in (*EndReason, "replaced")}
    links = (
        f'<a href="/console">{escape(words("announce.back"))}</a> · '
        f'<a href="{PATH}?lang={other}" lang="{other}">{escape(words("other_language"))}</a>'
    )
    boxes = tuple(boxes)
    body = _form(words, boxes) if boxes else f"<p>{escape(words('announce.no_boxes'))}</p>"
    return (
        f'<!doctype html><html lang="{words.language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="csrf-token" content="{escape(csrf)}">'
        f"<title>{title} – {escape(station)}</title>"
        '<link rel="stylesheet" href="/console/static/console.css">'
        f'<link rel="stylesheet" href="{PATH}/live.css"><script src="{PATH}/live.js" defer></script>'
        "</head><body>"
        f"<header><h1>{title}</h1><p>{escape(station)} · {links}</p></header>"
        f'<main id="live" data-words="{escape(json.dumps(said, ensure_ascii=False))}">'
        f"{body}</main></body></html>"
    )


def _form(words: Words, boxes: tuple[Device, ...]) -> str:
    groups = sorted({group for box in boxes for group in box.groups})
    whom = [("all", words("announce.everyone"))]
    whom += [(f"group:{one}", words("announce.group", name=one)) for one in groups]
    whom += [(f"box:{one.id}", one.name or one.id) for one in boxes]
    minutes = [(str(one), words("announce.minutes", n=one)) for one in _MINUTES]
    return (
        '<p id="warning" class="warning" role="alert" hidden></p><fieldset id="choices">'
        f'<label>{escape(words("announce.speaker"))}<input id="speaker" maxlength="200" autocomplete="name">'
        f"</label>{_select('whom', words('announce.whom'), whom, 'all')}"
        f"{_select('minutes', words('announce.longest'), minutes, str(_USUAL_MINUTES))}</fieldset>"
        f'<button id="talk" type="button" aria-pressed="false">{escape(words("announce.start"))}</button>'
        '<p id="state" class="state" role="status"></p>'
        f'<label class="level">{escape(words("announce.level"))}'
        '<meter id="level" min="0" max="1" low="0.15" high="0.9" optimum="0.5" value="0"></meter></label>'
        '<p id="hears" class="hears"></p><p id="left" class="left"></p>'
        f'<section id="others" hidden><h2>{escape(words("announce.others"))}</h2><ul></ul></section>'
    )


def _select(name: str, label: str, options: list[tuple[str, str]], chosen: str) -> str:
    body = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(text)}</option>'
        for value, text in options
    )
    return f'<label>{escape(label)}<select id="{name}">{body}</select></label>'


def _headers(host: str) -> dict[str, str]:
    """The page may use the microphone and, for browsers to whom 'self' is no WebSocket, its own address."""
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    policy = f"{SECURITY_HEADERS['Content-Security-Policy']}; connect-src 'self'{sockets}"
    return {
        "Permissions-Policy": "camera=(), microphone=(self), geolocation=()",
        "Content-Security-Policy": policy,
    }
