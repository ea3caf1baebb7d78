"""The routes of CAP 1.2: documents of other warning systems come in, and the filter that judges them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from aiohttp import web
from pydantic import Field

from agent.wire.base import Moment, Ulid
from server.access import Access
from server.api.boundary import AUTHOR
from server.api.models import Given
from server.api.order_models import Changed
from server.api.route import Parameter, Route, Who, number, read_body, read_bytes
from server.cap.desk import CapDesk
from server.cap.rules import FilterDraft
from server.cap.xml import MAX_BYTES
from server.problems import Problem, RefusedError
from server.reasons import Phrase
from server.store.cap import CapRow, FilterRow

API = "/api/v1"
TYPES = ("application/cap+xml", "application/xml", "text/xml")
LONGEST_FEED = 64
_MOST = 500
_LARGEST = 2**53


class CapAnswer(Given):
    """A document and what became of it.

    Attributes:
        times: how often it came and led to the same.
        identifier: empty, as what follows, if it was no alert.
        signed: whether an XML signature is present; it is not verified.
        reason: stable code; `message` says it in words.
        emergency: id of the emergency it became.
        cancelled: ids of the emergencies it ended.
        filter_version: by which it was judged; 0 is none.
    """

    id: int
    feed: str
    received: Moment
    times: int
    size_bytes: int
    sha256: str
    identifier: str
    sender: str
    sent: Moment | None
    status: str
    msg_type: str
    event: str
    signed: bool
    outcome: Literal["emergency", "update", "cancel", "ignored", "refused"]
    reason: str
    field: str
    message: dict[str, str]
    emergency: Ulid | None
    cancelled: list[Ulid]
    filter_version: int


class CapList(Given):
    """Newest first."""

    documents: list[CapAnswer]


class CapFilterAnswer(Changed):
    """The filter; absent as long as none was set."""

    filter: FilterDraft | None = Field(default=None)


class FeedTokenAnswer(Given):
    """What a forwarder of one feed sends as bearer token; it opens nothing else."""

    feed: str
    token: str


class CapApi:
    """Handlers of requests about CAP."""

    def __init__(self, desk: CapDesk, access: Access) -> None:
        self._desk = desk
        self._access = access

    def routes(self) -> list[Route]:
        """Every route about CAP."""
        return [
            Route(
                "POST",
                f"{API}/cap/{{feed}}",
                "Hand in a CAP 1.2 document",
                self.receive,
                Who.FEED,
                request_type=TYPES[0],
                response=CapAnswer,
                errors=(
                    Problem.CAP_REFUSED,
                    Problem.TOO_LARGE,
                    Problem.TOO_MANY,
                    Problem.NO_TARGET,
                    Problem.NOTHING_TO_SAY,
                    Problem.BUSY,
                ),
            ),
            Route(
                "GET",
                f"{API}/cap",
                "CAP documents received, with decisions",
                self.received,
                response=CapList,
                parameters=(Parameter("limit", "how many at most, 1 to 500; 50 unless told"),),
            ),
            Route(
                "GET",
                f"{API}/cap/{{id}}/document",
                "A CAP document as it came",
                self.document,
                response_type="text/plain",
                errors=(Problem.NOT_FOUND,),
            ),
            Route(
                "POST",
                f"{API}/cap/{{feed}}/token",
                "Tell the token of one feed",
                self.token,
                response=FeedTokenAnswer,
                errors=(Problem.NOT_FOUND,),
            ),
            Route("GET", f"{API}/cap-filter", "The CAP filter", self.rules, response=CapFilterAnswer),
            Route(
                "PUT",
                f"{API}/cap-filter",
                "Replace the CAP filter",
                self.set_rules,
                request=FilterDraft,
                response=CapFilterAnswer,
            ),
        ]

    async def receive(self, request: web.Request) -> CapAnswer:
        if request.content_type not in TYPES or (request.charset or "utf-8").lower() != "utf-8":
            why = Phrase("cap.content_type", {"choices": ", ".join(TYPES)})
            raise RefusedError(Problem.CAP_REFUSED, "Content-Type", detail=why)
        feed = request.match_info["feed"]
        if len(feed) > LONGEST_FEED:
            raise RefusedError(Problem.NOT_FOUND)
        return _answer(await self._desk.receive(feed, await read_bytes(request, MAX_BYTES)))

    async def received(self, request: web.Request) -> CapList:
        limit = number(request, "limit", 50, 1, _MOST)
        return CapList(documents=[_answer(one) for one in await self._desk.recent(limit)])

    async def document(self, request: web.Request) -> web.StreamResponse:
        text = request.match_info["id"]
        if not (text.isascii() and text.isdigit() and len(text) < len(str(_LARGEST))):
            raise RefusedError(Problem.NOT_FOUND)
        # As plain text: a browser must not read markup of unknown origin.
        return web.Response(body=await self._desk.document(int(text)), content_type="text/plain")

    async def token(self, request: web.Request) -> FeedTokenAnswer:
        feed = request.match_info["feed"]
        kept = await self._desk.rules()
        if kept is None or FilterDraft.model_validate_json(kept.value).feed(feed) is None:
            raise RefusedError(Problem.NOT_FOUND)
        return FeedTokenAnswer(feed=feed, token=await self._access.feed_token(feed))

    async def rules(self, _: web.Request) -> CapFilterAnswer:
        return _filter(await self._desk.rules())

    async def set_rules(self, request: web.Request) -> CapFilterAnswer:
        draft = await read_body(request, FilterDraft)
        return _filter(await self._desk.set_rules(draft, AUTHOR.get()))


def _filter(row: FilterRow | None) -> CapFilterAnswer:
    if row is None:
        return CapFilterAnswer(version=0, author="", changed=None)
    return CapFilterAnswer(
        version=row.version,
        author=row.author,
        changed=row.changed,
        filter=FilterDraft.model_validate_json(row.value),
    )


def _answer(row: CapRow) -> CapAnswer:
    said: dict[str, Any] = {
        name: getattr(row, name) for name in CapAnswer.model_fields if name not in {"sent", "cancelled"}
    }
    sent = datetime.fromisoformat(row.sent) if row.sent else None
    return CapAnswer(sent=sent, cancelled=list(row.cancelled), **said)
