"""The table of routes: each is declared once; the server and its OpenAPI document are made from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from server.problems import Problem, RefusedError
from server.reasons import Phrase, mistake

Model = TypeVar("Model", bound=BaseModel)

MAX_BODY_BYTES = 1024 * 1024
MAX_DIGITS = 12
MAX_SCHEDULE_DRAFT_BYTES = 16 * 1024 * 1024


class Who(StrEnum):
    """Who may call a route."""

    ANYONE = "anyone"
    OPERATOR = "operator"
    SESSION = "session"
    DEVICE = "device"
    FEED = "feed"
    """An operator, or whoever has the token of the feed in the path."""


Answer = BaseModel | web.StreamResponse
Handler = Callable[[web.Request], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter or a header."""

    name: str
    description: str
    where: str = "query"
    required: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """One operation.

    Attributes:
        request: model of the JSON body, None if there is none.
        request_type: content type of a body that is not JSON.
        response: model of the JSON answer, None for other content.
        response_type: content type of an answer that is not JSON.
        status: of success.
        errors: problems this route in particular can answer with.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    who: Who = Who.OPERATOR
    request: type[BaseModel] | None = None
    request_type: str = ""
    response: type[BaseModel] | None = None
    response_type: str = ""
    status: int = 200
    parameters: tuple[Parameter, ...] = ()
    errors: tuple[Problem, ...] = ()


async def read_body(request: web.Request, model: type[Model], limit: int = MAX_BODY_BYTES) -> Model:
    """The JSON body as `model`.

    Raises:
        RefusedError: too large, or wrong in the field that is named.
    """
    return check(model, await read_bytes(request, limit))


async def read_bytes(request: web.Request, limit: int) -> bytes:
    """The body as it came.

    Raises:
        RefusedError: too large.
    """
    if request.content_length is not None and request.content_length > limit:
        raise RefusedError(Problem.TOO_LARGE, detail=f"{limit // 1024} kB")
    data = bytearray()
    async for chunk in request.content.iter_chunked(65536):
        data += chunk
        if len(data) > limit:
            raise RefusedError(Problem.TOO_LARGE, detail=f"{limit // 1024} kB")
    return bytes(data)


def check(model: type[Model], data: bytes) -> Model:
    """Parse JSON bytes.

    Raises:
        RefusedError: naming the first field that is wrong.
    """
    try:
        return model.model_validate_json(data.decode())
    except UnicodeDecodeError as error:
        raise RefusedError(
            Problem.INVALID, detail=Phrase("wrong.not_utf8", {"byte": error.start + 1})
        ) from error
    except ValidationError as error:
        field, why = mistake(error)
        raise RefusedError(Problem.INVALID, field, detail=why) from error
    except RecursionError as error:
        raise RefusedError(Problem.INVALID, detail=Phrase("wrong.deep")) from error


def number(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """A whole number from the query.

    Raises:
        RefusedError: no number, or out of range.
    """
    text = request.query.get(name, str(default))
    # The length is looked at first because `int` raises on thousands of digits.
    if len(text) > MAX_DIGITS or not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
        why = Phrase("wrong.range", {"field": name, "low": low, "high": high})
        raise RefusedError(Problem.INVALID, name, detail=why)
    return int(text)
