"""The operator's routes of orders: emergencies, bulletins, live sessions, takeovers, jobs."""

from __future__ import annotations

from aiohttp import web

from agent.wire.reports import Event, JobReport
from agent.wire.ulid import is_ulid
from server.api import order_models as models
from server.api.boundary import AUTHOR
from server.api.route import Parameter, Route, number, read_body
from server.board_drafts import TakeoverDraft
from server.clock import utc_now
from server.fleet import Fleet
from server.order_book import OrderAnswerRow, OrderBook
from server.order_drafts import (
    BulletinDraft,
    CancelDraft,
    ControlDraft,
    EmergencyDraft,
    JobDraft,
    SourceGrantDraft,
)
from server.orders import Orders
from server.problems import Problem, RefusedError
from server.store import devices, orders, reports
from server.store.database import Database
from server.store.orders import OrderRow

API = "/api/v1"
_FINAL = ("succeeded", "failed", "rejected", "timed_out")
_LIST = (
    Parameter("limit", "how many at most, 1 to 1000; 50 unless told"),
    Parameter("state", "in_force: only what is neither cancelled nor over"),
)
_KINDS = ("emergency", "cancel", "bulletin", "grant", "takeover", "job")
_GIVING = (
    Problem.NO_TARGET,
    Problem.MEDIA_UNKNOWN,
    Problem.PICTURE_UNKNOWN,
    Problem.NOTHING_TO_SAY,
    Problem.LEVEL_TOO_HIGH,
    Problem.REQUEST_REUSED,
)


class OrdersApi:
    """Handlers of requests about orders."""

    def __init__(self, orders: Orders, book: OrderBook, fleet: Fleet, database: Database) -> None:
        self._orders = orders
        self._book = book
        self._fleet = fleet
        self._database = database

    def routes(self) -> list[Route]:
        """Every route about orders."""
        return [
            Route(
                "POST",
                f"{API}/emergencies",
                "Sound an emergency at once",
                self.emergency,
                request=EmergencyDraft,
                response=models.OrderAnswer,
                status=201,
                errors=_GIVING,
            ),
            Route(
                "GET",
                f"{API}/emergencies",
                "Emergencies, newest first",
                self.emergencies,
                response=models.OrderList,
                parameters=_LIST,
            ),
            Route(
                "GET",
                f"{API}/emergencies/{{id}}",
                "One emergency",
                self.one_emergency,
                response=models.OrderAnswer,
                errors=(Problem.NOT_FOUND,),
            ),
            Route(
                "POST",
                f"{API}/emergencies/{{id}}/cancel",
                "End an emergency, with an all-clear if wanted",
                self.cancel_emergency,
                request=CancelDraft,
                response=models.OrderAnswer,
                errors=(Problem.NOT_FOUND, Problem.MEDIA_UNKNOWN, Problem.NOTHING_TO_SAY),
            ),
            Route(
                "GET",
                f"{API}/orders",
                "Everything that was ordered, by whom and when, newest first",
                self.all_orders,
                response=models.OrderList,
                parameters=(*_LIST, Parameter("kind", "only one of: " + ", ".join(_KINDS))),
            ),
            Route(
                "POST",
                f"{API}/bulletins",
                "Air a bulletin beside the schedule, or keep one",
                self.bulletin,
                request=BulletinDraft,
                response=models.OrderAnswer,
                status=201,
                errors=(*_GIVING, Problem.TIME_UNUSABLE),
            ),
            Route(
                "GET",
                f"{API}/bulletins",
                "Bulletins, newest first",
                self.bulletins,
                response=models.OrderList,
                parameters=_LIST,
            ),
            Route(
                "GET",
                f"{API}/bulletins/{{id}}",
                "One bulletin",
                self.one_bulletin,
                response=models.OrderAnswer,
                errors=(Problem.NOT_FOUND,),
            ),
            Route(
                "POST",
                f"{API}/bulletins/{{id}}/cancel",
                "Take a bulletin back",
                self.cancel_bulletin,
                request=CancelDraft,
                response=models.OrderAnswer,
                errors=(Problem.NOT_FOUND,),
            ),
            Route(
                "POST",
                f"{API}/grants",
                "Open a live session from a radio, an input of the box, multicast or a stream",
                self.grant,
                request=SourceGrantDraft,
                response=models.OrderAnswer,
                status=201,
                errors=(Problem.NO_TARGET, Problem.LEVEL_TOO_HIGH, Problem.REQUEST_REUSED),
            ),
            Route(
                "GET",
                f"{API}/grants",
                "Live sessions, announcements included, newest first",
                self.grants,
                response=models.OrderList,
                parameters=_LIST,
            ),
            Route(
                "GET",
                f"{API}/grants/{{id}}",
                "One live session",
                self.one_grant,
                response=models.OrderAnswer,
                errors=(Problem.NOT_FOUND,),
            ),
            Route(
                "POST",
                f"{API}/grants/{{id}}/cancel",
                "Close a live session",
                self.cancel_grant,
                request=CancelDraft,
                response=models.OrderAnswer,
                errors=(Problem.NOT_FOUND, Problem.MEDIA_UNKNOWN, Problem.NOTHING_TO_SAY),
            ),
            Route(
                "POST",
                f"{API}/takeovers",
                "Take commercial boards over for the commune's programme",
                self.takeover,
                request=TakeoverDraft,
                response=models.OrderAnswer,
                status=201,
                errors=(Problem.NO_TARGET, Problem.REQUEST_REUSED, Problem.TIME_UNUSABLE),
            ),
            Route(
                "GET",
                f"{API}/takeovers",
                "Takeovers of commercial boards, newest first",
                self.takeovers,
                response=models.OrderList,
                parameters=_LIST,
            ),
            Route(
                "GET",
                f"{API}/takeovers/{{id}}",
                "One takeover",
                self.one_takeover,
                response=models.OrderAnswer,
                errors=(Problem.NOT_FOUND,),
            ),
            Route(
                "POST",
                f"{API}/takeovers/{{id}}/cancel",
                "Hand commercial boards back",
                self.cancel_takeover,
                request=CancelDraft,
                response=models.OrderAnswer,
                errors=(Problem.NOT_FOUND,),
            ),
            Route(
                "POST",
                f"{API}/boxes/{{id}}/jobs",
                "Ask one box for an action",
                self.box_job,
                request=ControlDraft,
                response=models.JobAnswer,
                status=201,
                errors=(Problem.NO_TARGET, Problem.REQUEST_REUSED),
            ),
            Route(
                "POST",
                f"{API}/jobs",
                "Ask boxes for an action",
                self.job,
                request=JobDraft,
                response=models.JobAnswer,
                status=201,
                errors=(Problem.NO_TARGET, Problem.REQUEST_REUSED),
            ),
            Route(
                "GET",
                f"{API}/jobs/{{id}}",
                "What came of a job",
                self.one_job,
                response=models.JobAnswer,
                errors=(Problem.NOT_FOUND,),
            ),
        ]

    async def emergency(self, request: web.Request) -> models.OrderAnswer:
        draft = await read_body(request, EmergencyDraft)
        return _answer(await self._orders.emergency(draft, AUTHOR.get()))

    async def all_orders(self, request: web.Request) -> models.OrderList:
        kind = request.query.get("kind")
        return await self._list(request, *_KINDS if kind is None else (kind,))

    async def emergencies(self, request: web.Request) -> models.OrderList:
        return await self._list(request, "emergency")

    async def one_emergency(self, request: web.Request) -> models.OrderAnswer:
        return await self._one(request, "emergency")

    async def cancel_emergency(self, request: web.Request) -> models.OrderAnswer:
        return await self._cancel(request, "emergency")

    async def bulletin(self, request: web.Request) -> models.OrderAnswer:
        draft = await read_body(request, BulletinDraft)
        return _answer(await self._orders.bulletin(draft, AUTHOR.get()))

    async def bulletins(self, request: web.Request) -> models.OrderList:
        return await self._list(request, "bulletin")

    async def one_bulletin(self, request: web.Request) -> models.OrderAnswer:
        return await self._one(request, "bulletin")

    async def cancel_bulletin(self, request: web.Request) -> models.OrderAnswer:
        return await self._cancel(request, "bulletin")

    async def grant(self, request: web.Request) -> models.OrderAnswer:
        draft = await read_body(request, SourceGrantDraft)
        return _answer(await self._orders.grant(draft, AUTHOR.get()))

    async def grants(self, request: web.Request) -> models.OrderList:
        return await self._list(request, "grant")

    async def one_grant(self, request: web.Request) -> models.OrderAnswer:
        return await self._one(request, "grant")

    async def cancel_grant(self, request: web.Request) -> models.OrderAnswer:
        return await self._cancel(request, "grant")

    async def takeover(self, request: web.Request) -> models.OrderAnswer:
        draft = await read_body(request, TakeoverDraft)
        return _answer(await self._orders.takeover(draft, AUTHOR.get()))

    async def takeovers(self, request: web.Request) -> models.OrderList:
        return await self._list(request, "takeover")

    async def one_takeover(self, request: web.Request) -> models.OrderAnswer:
        return await self._one(request, "takeover")

    async def cancel_takeover(self, request: web.Request) -> models.OrderAnswer:
        return await self._cancel(request, "takeover")

    async def box_job(self, request: web.Request) -> models.JobAnswer:
        asked = await read_body(request, ControlDraft)
        box = await self._fleet.box(request.match_info["id"])
        return await self._job(JobDraft(devices=(box.device.id,), **dict(asked)))

    async def job(self, request: web.Request) -> models.JobAnswer:
        return await self._job(await read_body(request, JobDraft))

    async def one_job(self, request: web.Request) -> models.JobAnswer:
        return await self._job_answer(await self._book.get(_id(request), ("job",)))

    async def _job(self, draft: JobDraft) -> models.JobAnswer:
        return await self._job_answer(await self._orders.job(draft, AUTHOR.get()))

    async def _list(self, request: web.Request, *kinds: str) -> models.OrderList:
        limit = number(request, "limit", 50, 1, 1000)
        in_force = request.query.get("state") == "in_force"
        rows = await self._book.recent(kinds, limit, in_force=in_force)
        return models.OrderList(orders=[_answer(one) for one in rows])

    async def _one(self, request: web.Request, kind: str) -> models.OrderAnswer:
        row = await self._book.get(_id(request), (kind,))
        ids = [one.document.id for one in row.orders]
        found = await self._database.read(lambda conn: reports.list_order_events(conn, ids))
        answers: dict[str, list[str]] = {}
        for report in found:
            answers.setdefault(report.device, []).append(Event.read(report.body).type.value)
        return _answer(row, answers)

    async def _cancel(self, request: web.Request, kind: str) -> models.OrderAnswer:
        draft = await read_body(request, CancelDraft)
        return _answer(await self._orders.cancel(_id(request), draft, AUTHOR.get(), (kind,)))

    async def _job_answer(self, row: OrderAnswerRow) -> models.JobAnswer:
        now, ids = utc_now(), [one.document.id for one in row.orders]
        meant = {(one.scope.kind, one.scope.id) for one in row.orders}
        found = await self._database.read(lambda conn: reports.list_job_reports(conn, ids))
        known = await self._database.read(devices.all_devices)
        boxes: dict[str, models.BoxJobAnswer] = {
            one.id: models.BoxJobAnswer(device=one.id)
            for one in known
            if any((scope.kind, scope.id) in meant for scope in orders.scopes_of(one))
        }
        for report in found:
            said = JobReport.read(report.body)
            former = boxes.get(report.device)
            # Reports may overtake each other: what is final stays.
            if former is not None and former.state not in _FINAL:
                boxes[report.device] = models.BoxJobAnswer(
                    device=report.device, state=said.state, at=said.at, result=said.result
                )
        open_ones = any(one.state not in _FINAL for one in boxes.values())
        return models.JobAnswer(
            id=row.id,
            action=row.body["action"],
            arguments=row.body["arguments"],
            author=row.batch.author,
            created=row.batch.created,
            deadline=row.batch.expires,
            overdue=open_ones and row.batch.expires <= now,
            orders=[_signed(one) for one in row.orders],
            boxes=list(boxes.values()),
        )


def _id(request: web.Request) -> str:
    name = request.match_info["id"]
    if not is_ulid(name):
        raise RefusedError(Problem.NOT_FOUND)
    return name


def _answer(row: OrderAnswerRow, answers: dict[str, list[str]] | None = None) -> models.OrderAnswer:
    batch, ended = row.batch, row.ended
    return models.OrderAnswer(
        id=row.id,
        kind=batch.kind,
        state=row.state(utc_now()),
        created=batch.created,
        expires=batch.expires,
        author=batch.author,
        targets=models.TargetsAnswer.model_validate(row.targets),
        body=row.body,
        orders=[_signed(one) for one in row.orders],
        cancels=batch.cancels,
        ended=models.EndAnswer(id=ended.id, at=ended.created, author=ended.author) if ended else None,
        answers=answers or {},
    )


def _signed(row: OrderRow) -> models.SignedAnswer:
    document = row.document
    return models.SignedAnswer(
        id=document.id,
        scope=row.scope.kind.value,
        name=row.scope.id,
        seq=document.seq,
        pushed=document.pushed is not None,
    )
