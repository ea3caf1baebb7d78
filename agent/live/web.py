"""Opens web addresses, on the open network or on the source system: every wait and every text bounded."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp
from yarl import URL

from agent.errors import AgentError, MediaGoneError, Retry
from agent.live.api import Fetch, LiveError, LiveLostError, LiveRefusedError

MAX_REDIRECTS = 5
MAX_PLAYLIST_BYTES = 1024 * 1024
_CHUNK_BYTES = 16 * 1024
_REFUSALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.GONE})


@dataclass(frozen=True, slots=True)
class Answer:
    """What answered: its address after redirects, its media type in lower case, and the bytes."""

    address: str
    kind: str
    chunks: AsyncIterator[bytes] = field(repr=False)


class Web:
    """Opens addresses. A path belongs to the source system, and is asked for there as the box.

    Args:
        fetch: opens a path on the source system.
        connect_s: longest wait for a connection.
        silence_s: longest wait for bytes; the caller's own limit is usually shorter.
    """

    def __init__(self, fetch: Fetch, *, connect_s: float = 10.0, silence_s: float = 120.0) -> None:
        self._fetch = fetch
        self._limits = aiohttp.ClientTimeout(total=None, sock_connect=connect_s, sock_read=silence_s)

    def open(self, address: str) -> AbstractAsyncContextManager[Answer]:
        """Ask for an address.

        Raises:
            LiveLostError: nobody answers, or the connection breaks, also while reading.
            LiveRefusedError: declined, or an address that cannot be used.
        """
        return self._own(address) if is_own(address) else self._open_network(address)

    async def text(self, address: str) -> tuple[str, str]:
        """Read a playlist; returns its address after redirects and its text.

        Raises:
            LiveLostError: nobody answers.
            LiveRefusedError: declined, or longer than a playlist may be.
        """
        async with self.open(address) as answer:
            data = await whole(answer.chunks, MAX_PLAYLIST_BYTES, "the playlist")
            return answer.address, data.decode("utf-8", "replace")

    async def data(self, address: str, most_bytes: int) -> bytes:
        """Read a file of at most `most_bytes`."""
        async with self.open(address) as answer:
            return await whole(answer.chunks, most_bytes, "a segment")

    @asynccontextmanager
    async def _own(self, path: str) -> AsyncIterator[Answer]:
        try:
            async with self._fetch(path) as chunks:
                yield Answer(path, "", chunks)
        except LiveError:
            raise
        except AgentError as error:
            # what the source system does not have may only not have begun yet; a refusal is one
            refused = error.retry is not Retry.SOON and not isinstance(error, MediaGoneError)
            raise (LiveRefusedError if refused else LiveLostError)(_said(path, error)) from error
        except OSError as error:
            raise LiveLostError(_said(path, error)) from error

    @asynccontextmanager
    async def _open_network(self, address: str) -> AsyncIterator[Answer]:
        url = _checked(address)
        jar = aiohttp.DummyCookieJar()
        try:
            async with contextlib.AsyncExitStack() as stack:
                session = await stack.enter_async_context(
                    aiohttp.ClientSession(auto_decompress=False, cookie_jar=jar, timeout=self._limits)
                )
                answer, url = await _followed(stack, session, url)
                yield Answer(str(url), answer.content_type.lower(), _chunks(answer, str(url)))
        except LiveError:
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise LiveLostError(_said(address, error)) from error


def is_own(address: str) -> bool:
    """Whether an address is a path on the source system itself."""
    return address.startswith("/") and not address.startswith("//")


def joined(base: str, address: str) -> str:
    """The address that a playlist at `base` means.

    Raises:
        LiveRefusedError: it cannot be used.
    """
    try:
        if is_own(base):
            # a host of no meaning, to take it away again: `..` must not lead out, and `//host/x` is elsewhere
            made = URL("https://own.invalid" + base).join(URL(address))
            return made.raw_path_qs if made.host == "own.invalid" else str(_checked(str(made)))
        return str(_checked(str(URL(base).join(URL(address)))))
    except ValueError as error:
        raise LiveRefusedError(f"an address that cannot be read: {address[:80]!r}") from error


async def whole(chunks: AsyncIterator[bytes], most_bytes: int, what: str) -> bytes:
    """Read to the end.

    Raises:
        LiveRefusedError: it is longer than `most_bytes`.
    """
    data = bytearray()
    async for chunk in chunks:
        data += chunk
        if len(data) > most_bytes:
            raise LiveRefusedError(f"{what} is longer than {most_bytes} bytes")
    return bytes(data)


async def _followed(
    stack: contextlib.AsyncExitStack, session: aiohttp.ClientSession, url: URL
) -> tuple[aiohttp.ClientResponse, URL]:
    headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "tieng-lang"}
    for _ in range(MAX_REDIRECTS + 1):
        answer = await stack.enter_async_context(session.get(url, headers=headers, allow_redirects=False))
        if answer.status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            return answer, url
        if not HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
            error = LiveRefusedError if answer.status in _REFUSALS else LiveLostError
            raise error(f"{_short(url)}: {answer.status} {answer.reason or ''}"[:200])
        url = _checked(str(url.join(URL(answer.headers.get("Location", "")))))
        answer.close()
    raise LiveRefusedError(f"{_short(url)}: more than {MAX_REDIRECTS} redirects")


async def _chunks(answer: aiohttp.ClientResponse, address: str) -> AsyncIterator[bytes]:
    try:
        while chunk := await answer.content.read(_CHUNK_BYTES):
            yield chunk
    except (aiohttp.ClientError, OSError) as error:
        raise LiveLostError(_said(address, error)) from error


def _checked(address: str) -> URL:
    try:
        url = URL(address)
    except ValueError as error:
        raise LiveRefusedError(f"an address that cannot be read: {address[:80]!r}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise LiveRefusedError(f"the address must begin with http:// or https://, not {address[:80]!r}")
    return url


def _short(address: URL | str) -> str:
    """An address for the log: without credentials and without the query, which often is a key."""
    url = URL(str(address))
    return str(url.with_user(None).with_query(None))[:120] if url.host else url.path[:120]


def _said(address: str, error: Exception) -> str:
    return f"{_short(address)}: {type(error).__name__} {error}"[:200]
