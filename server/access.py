"""Who may use the console and the API: operators by token, people by one-time link and session."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from server.clock import utc_now
from server.limits import Tries
from server.problems import Problem, RefusedError
from server.secret import digest, new_secret, write_private
from server.store import devices
from server.store.database import Database

logger = logging.getLogger(__name__)

TICKET_VALIDITY = timedelta(minutes=10)
SESSION_VALIDITY = timedelta(hours=12)
OPERATOR = "operator"
TRIES = 20
TRIES_WINDOW_S = 15 * 60.0


class Access:
    """Checks tokens, tickets and sessions; keeps only their hashes."""

    def __init__(self, database: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._tries = Tries(TRIES, TRIES_WINDOW_S, monotonic)

    async def prepare(self, token_file: Path) -> None:
        """Make the operator's token at the first start, or again if its file was removed."""
        token = await asyncio.to_thread(_token, token_file)
        now = utc_now()
        await self._database.write(lambda conn: devices.set_operator(conn, OPERATOR, digest(token), now))

    async def operator(self, token: str, address: str) -> str | None:
        """Name of the operator of this token, None if there is none.

        Raises:
            RefusedError: too many wrong tokens from this address.
        """
        self._refuse_guessing(address)
        name = await self._database.read(lambda conn: devices.operator_of(conn, digest(token)), first=True)
        if name is None:
            self._tries.count(address)
        return name

    async def feed(self, token: str, feed: str, address: str) -> str | None:
        """Who hands something in by a feed: an operator, or the feed itself by its own token; else None.

        Raises:
            RefusedError: too many wrong tokens from this address.
        """
        self._refuse_guessing(address)
        kept = await self._database.read(devices.operator_digests, first=True)
        sent = token.encode()
        if any(hmac.compare_digest(_feed_token(one, feed).encode(), sent) for one in kept):
            return f"cap:{feed}"
        return await self.operator(token, address)

    async def feed_token(self, feed: str) -> str:
        """What opens one feed and nothing else; new whenever the operator's token is."""
        kept = await self._database.read(devices.operator_digests)
        return _feed_token(kept[0], feed)

    async def make_ticket(self) -> tuple[str, datetime]:
        """A one-time ticket to the console and when it ends."""
        ticket, expires = new_secret(), utc_now() + TICKET_VALIDITY
        await self._database.write(lambda conn: devices.insert_ticket(conn, digest(ticket), expires))
        return ticket, expires

    async def enter(self, ticket: str, address: str) -> str:
        """Use up a ticket for a session.

        Raises:
            RefusedError: unknown, used or expired.
        """
        self._refuse_guessing(address)
        now = utc_now()
        if not await self._database.write(lambda conn: devices.take_ticket(conn, digest(ticket), now)):
            self._tries.count(address)
            raise RefusedError(Problem.TICKET_REFUSED)
        session = new_secret()
        until = now + SESSION_VALIDITY
        await self._database.write(lambda conn: devices.insert_session(conn, digest(session), until))
        return session

    async def session_good(self, session: str) -> bool:
        """Whether a console session holds."""
        now = utc_now()
        return await self._database.read(
            lambda conn: devices.session_good(conn, digest(session), now), first=True
        )

    def _refuse_guessing(self, address: str) -> None:
        wait_s = self._tries.wait_s(address)
        if wait_s:
            raise RefusedError(Problem.TOO_MANY, retry_after_s=wait_s)


def _token(path: Path) -> str:
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        token = new_secret()
        write_private(path, f"{token}\n".encode())
        logger.info("operator token written to %s", path)
        return token


def _feed_token(operator_digest: str, feed: str) -> str:
    return hmac.new(operator_digest.encode(), f"cap-feed:{feed}".encode(), "sha256").hexdigest()


def csrf_token(session: str) -> str:
    """What a page of this session sends with everything that changes something."""
    return digest(f"csrf:{session}")


def csrf_good(session: str, sent: str) -> bool:
    """Whether `sent` belongs to the session, in constant time."""
    return hmac.compare_digest(csrf_token(session), sent)
