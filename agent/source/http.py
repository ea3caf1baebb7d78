"""Requests to the source system: every wait and every size bounded, no redirect followed.

A village router or a SIM without credit answers any request with its own page; so a redirect and an
answer that does not parse count as 'nobody there', never as an answer.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar

import aiohttp

from agent.errors import AgentError, MediaCorruptError, MediaGoneError
from agent.model.text import Language
from agent.source.api import Transfer
from agent.source.errors import NoUplinkError, SourceDownError, SourceRefusedError
from agent.wire.base import Document
from agent.wire.errors import WireError

MAX_ANSWER_BYTES = 256 * 1024
MAX_ERROR_BYTES = 4096
MAX_MESSAGE_CHARS = 300
CHUNK_BYTES = 64 * 1024

T = TypeVar("T", bound=Document)


@dataclass(frozen=True, slots=True)
class HttpTimes:
    """Time limits in seconds: to be connected, without a byte, and for a whole small exchange."""

    connect_s: float = 10.0
    silence_s: float = 20.0
    exchange_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Account:
    """Base address of the source system, e.g. `https://nguon.example.vn`, and who the box is there."""

    base_url: str
    device: str = ""
    secret: str = field(default="", repr=False)
    language: Language = "vi"  # of the server's own sentences in errors

    def headers(self) -> dict[str, str]:
        """Basic credentials; none for a box that is not enrolled yet."""
        plain = {"Accept-Encoding": "identity"}  # sizes and ranges must count the bytes that are stored
        if not self.device:
            return plain
        token = base64.b64encode(f"{self.device}:{self.secret}".encode()).decode()
        return {**plain, "Authorization": f"Basic {token}"}


class HttpLink:
    """One pooled client session to one account.

    Args:
        account: where to and who; a relative address is appended to its base, never joined, because
            `//other.host/x` would lead elsewhere.
        uplink_allows: False while the box must not or cannot use its network.
    """

    def __init__(
        self,
        account: Account,
        *,
        times: HttpTimes | None = None,
        uplink_allows: Callable[[], bool] = lambda: True,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._account = account
        self._times = times or HttpTimes()
        self._uplink_allows = uplink_allows
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close pooled connections; a later request opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def post(self, url: str, document: Document, answer_type: type[T]) -> T:
        """Send a document and read the answer.

        Raises:
            LinkDownError: no usable answer.
            LinkRefusedError: declined, with what the server says about it.
        """
        return _parsed(await self._whole("POST", url, MAX_ANSWER_BYTES, document.encode()), answer_type)

    async def get(self, url: str, max_bytes: int) -> bytes:
        """Fetch a whole document of at most `max_bytes`.

        Raises:
            LinkDownError: no usable answer.
            LinkRefusedError: declined.
            MediaGoneError: the server does not have it.
            MediaCorruptError: it is longer than `max_bytes`.
        """
        return await self._whole("GET", url, max_bytes, None)

    @asynccontextmanager
    async def get_range(self, url: str, offset: int) -> AsyncIterator[Transfer]:
        """Fetch a file from `offset` on; the caller bounds the length and the whole time.

        Raises:
            LinkDownError: no usable answer, or cut while reading.
            LinkRefusedError: declined.
            MediaGoneError: the server does not have it.
            MediaCorruptError: the server's file ends before `offset`.
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        limits = aiohttp.ClientTimeout(
            total=None, sock_connect=self._times.connect_s, sock_read=self._times.silence_s
        )
        async with self._answer("GET", url, limits, headers=headers) as answer:
            if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise MediaCorruptError(f"{url}: the server's file is shorter than the {offset} bytes held")
            await _refuse_errors(answer, url, self._account.language)
            if answer.status == HTTPStatus.PARTIAL_CONTENT:
                start, total = _content_range(answer, url)
            else:
                start, total = 0, answer.content_length
            yield total, start, self._chunks(answer, url)

    @asynccontextmanager
    async def get_live(self, url: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Listen to a stream that ends when its source does; the caller bounds what it keeps.

        Raises:
            LinkDownError: no usable answer, or cut or silent while reading.
            LinkRefusedError: declined.
            MediaGoneError: the server does not have it.
        """
        limits = aiohttp.ClientTimeout(
            total=None, sock_connect=self._times.connect_s, sock_read=self._times.silence_s
        )
        async with self._answer("GET", url, limits, headers={}) as answer:
            await _refuse_errors(answer, url, self._account.language)
            yield self._pieces(answer, url)

    async def _pieces(self, answer: aiohttp.ClientResponse, url: str) -> AsyncIterator[bytes]:
        try:
            async for piece in answer.content.iter_any():
                if not self._uplink_allows():
                    raise NoUplinkError
                yield piece
        except (aiohttp.ClientError, OSError) as error:
            raise down(error, url) from error

    async def _whole(self, method: str, url: str, max_bytes: int, body: bytes | None) -> bytes:
        limits = aiohttp.ClientTimeout(
            total=self._times.exchange_s,
            sock_connect=self._times.connect_s,
            sock_read=self._times.silence_s,
        )
        headers = {} if body is None else {"Content-Type": "application/json"}
        async with self._answer(method, url, limits, headers=headers, body=body) as answer:
            await _refuse_errors(answer, url, self._account.language)
            if (answer.content_length or 0) > max_bytes:
                raise MediaCorruptError(f"{url}: {answer.content_length} bytes; at most {max_bytes} are read")
            data = bytearray()
            async for chunk in self._chunks(answer, url):
                data += chunk
                if len(data) > max_bytes:
                    raise MediaCorruptError(f"{url}: longer than the {max_bytes} bytes that are read")
            return bytes(data)

    async def _chunks(self, answer: aiohttp.ClientResponse, url: str) -> AsyncIterator[bytes]:
        try:
            async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                if not self._uplink_allows():
                    raise NoUplinkError
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise down(error, url) from error

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        url: str,
        limits: aiohttp.ClientTimeout,
        *,
        headers: dict[str, str],
        body: bytes | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if not self._uplink_allows():
            raise NoUplinkError
        if self._session is None:
            self._session = aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar())
        try:
            async with self._session.request(
                method,
                self._account.base_url + url,
                data=body,
                headers={**self._account.headers(), **headers},
                timeout=limits,
                allow_redirects=False,
                ssl=self._tls or True,
            ) as answer:
                yield answer
        except AgentError:
            raise
        except (aiohttp.ClientError, OSError) as error:
            raise down(error, url) from error


def down(error: aiohttp.ClientError | OSError, url: str) -> SourceDownError:
    """Translate what went wrong on the way into a code and a sentence."""
    said = f"{url}: {type(error).__name__} {error}"[:MAX_MESSAGE_CHARS]
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return SourceDownError("tls", f"{said} (is the clock of the box right?)")
    if isinstance(error, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return SourceDownError("dns", said)
    if isinstance(error, TimeoutError):
        return SourceDownError("timeout", said)
    if isinstance(error, aiohttp.ClientConnectorError):
        return SourceDownError("unreachable", said)
    return SourceDownError("cut", said)


def _parsed(data: bytes, answer_type: type[T]) -> T:
    try:
        return answer_type.read(data)
    except WireError as error:
        raise SourceDownError("not_our_server", f"the answer cannot be used: {error}") from error


async def _refuse_errors(answer: aiohttp.ClientResponse, url: str, language: Language) -> None:
    status = answer.status
    if status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        return
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        raise SourceDownError("redirected", f"{url}: redirected ({status}); is a login page in between?")
    said = _message(await answer.content.read(MAX_ERROR_BYTES), language) or answer.reason or ""
    if status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE) and answer.method == "GET":
        raise MediaGoneError(f"{url}: the server does not have it ({status})")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise SourceRefusedError("too_many", f"{said} ({status})")
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise SourceRefusedError("credentials", f"{said} ({status})")
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise SourceRefusedError("declined", f"{said} ({status})")
    raise SourceDownError(f"http_{status}", f"{url}: {said} ({status})")


def _message(body: bytes, language: Language) -> str:
    """What an error answer says to a person: the `message` of a JSON answer, bounded, on one line."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    text = said.get("message") if isinstance(said, dict) else None
    if isinstance(text, dict):  # the server says it in several languages
        text = text.get(language) or text.get("vi") or text.get("en")
    return " ".join(text.split())[:MAX_MESSAGE_CHARS] if isinstance(text, str) else ""


def _content_range(answer: aiohttp.ClientResponse, url: str) -> tuple[int, int | None]:
    # RFC 9110 section 14.4: `bytes 500-999/8000` or `bytes 500-999/*`
    unit, _, rest = answer.headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    first = span.partition("-")[0]
    if unit != "bytes" or not first.isdecimal():
        raise SourceDownError("not_our_server", f"{url}: part of a file without a usable Content-Range")
    return int(first), int(total) if total.isdecimal() else None
