"""The server's clock: the only place of the server that reads the wall clock."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Now, aware, UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """A moment as the database keeps it: UTC, fixed width, so that texts sort as moments do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime:
    """The moment of a database text."""
    return datetime.fromisoformat(text)
