"""The operator's routes of what the station sets for all its boxes."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from agent.wire.orders import EmergencyEvent
from server.api import order_models as models
from server.api.boundary import AUTHOR
from server.api.route import Route, read_body
from server.builtin import built_in, built_in_languages
from server.problems import Problem
from server.station import (
    HOURS,
    LANGUAGES,
    MESSAGES,
    PRIORITY,
    HoursDraft,
    LanguagesDraft,
    MessagesDraft,
    PriorityDraft,
    StationRules,
)
from server.store.settings import Setting

API = "/api/v1"


class StationApi:
    """Handlers of requests about the station's settings."""

    def __init__(self, rules: StationRules) -> None:
        self._rules = rules

    def routes(self) -> list[Route]:
        """Every route about settings."""
        return [
            Route("GET", f"{API}/hours", "Permitted hours", self.hours, response=models.HoursAnswer),
            Route(
                "PUT",
                f"{API}/hours",
                "Replace the permitted hours",
                self.set_hours,
                request=HoursDraft,
                response=models.HoursAnswer,
            ),
            Route(
                "GET",
                f"{API}/priority-order",
                "Order of priority items",
                self.priority,
                response=models.PriorityAnswer,
            ),
            Route(
                "PUT",
                f"{API}/priority-order",
                "Replace the order of priority items",
                self.set_priority,
                request=PriorityDraft,
                response=models.PriorityAnswer,
            ),
            Route(
                "GET",
                f"{API}/messages",
                "Recordings for emergencies",
                self.messages,
                response=models.MessagesAnswer,
            ),
            Route(
                "PUT",
                f"{API}/messages",
                "Replace the recordings for emergencies",
                self.set_messages,
                request=MessagesDraft,
                response=models.MessagesAnswer,
                errors=(Problem.MEDIA_UNKNOWN,),
            ),
            Route(
                "GET",
                f"{API}/languages",
                "Languages the boxes play",
                self.languages,
                response=models.LanguagesAnswer,
            ),
            Route(
                "PUT",
                f"{API}/languages",
                "Replace the languages the boxes play",
                self.set_languages,
                request=LanguagesDraft,
                response=models.LanguagesAnswer,
            ),
        ]

    async def hours(self, _: web.Request) -> models.HoursAnswer:
        return _hours(await self._rules.get(HOURS))

    async def set_hours(self, request: web.Request) -> models.HoursAnswer:
        return _hours(await self._rules.set_hours(await read_body(request, HoursDraft), AUTHOR.get()))

    async def priority(self, _: web.Request) -> models.PriorityAnswer:
        return _priority(await self._rules.get(PRIORITY))

    async def set_priority(self, request: web.Request) -> models.PriorityAnswer:
        draft = await read_body(request, PriorityDraft)
        return _priority(await self._rules.set_priority_order(draft, AUTHOR.get()))

    async def languages(self, _: web.Request) -> models.LanguagesAnswer:
        return _languages(await self._rules.get(LANGUAGES))

    async def set_languages(self, request: web.Request) -> models.LanguagesAnswer:
        draft = await read_body(request, LanguagesDraft)
        return _languages(await self._rules.set_languages(draft, AUTHOR.get()))

    async def messages(self, _: web.Request) -> models.MessagesAnswer:
        return _messages(await self._rules.get(MESSAGES))

    async def set_messages(self, request: web.Request) -> models.MessagesAnswer:
        draft = await read_body(request, MessagesDraft)
        return _messages(await self._rules.set_messages(draft, AUTHOR.get()))


def _changed(setting: Setting | None) -> dict[str, Any]:
    if setting is None:
        return {"version": 0, "author": "", "changed": None}
    return {"version": setting.version, "author": setting.author, "changed": setting.changed}


def _hours(setting: Setting | None) -> models.HoursAnswer:
    return models.HoursAnswer(windows=setting.value if setting else [], **_changed(setting))


def _priority(setting: Setting | None) -> models.PriorityAnswer:
    return models.PriorityAnswer(order=setting.value if setting else [], **_changed(setting))


def _languages(setting: Setting | None) -> models.LanguagesAnswer:
    return models.LanguagesAnswer(languages=setting.value if setting else [], **_changed(setting))


def _messages(setting: Setting | None) -> models.MessagesAnswer:
    known = [
        models.BuiltInAnswer(event=event, language=language, title=one.title, text=one.text)
        for event in EmergencyEvent
        for language in built_in_languages()
        if (one := built_in(event, language))
    ]
    messages = setting.value if setting else []
    return models.MessagesAnswer(messages=messages, built_in=known, **_changed(setting))
