"""Errors of the agent: what happened, on what, and whether trying again can help."""

from __future__ import annotations

from enum import StrEnum


class Retry(StrEnum):
    """Whether trying again can help."""

    SOON = "soon"
    LATER = "later"
    NEVER = "never"


class AgentError(Exception):
    """Base of every expected error of the agent."""

    retry: Retry = Retry.SOON


class ConfigError(AgentError):
    """The configuration cannot be used; `problems` are lines of `key: problem`."""

    retry = Retry.NEVER

    def __init__(self, path: str, problems: list[str]) -> None:
        self.path = path
        self.problems = problems
        super().__init__(f"{path}: " + "; ".join(problems))


class LinkError(AgentError):
    """The source system could not be used."""


class LinkDownError(LinkError):
    """Nobody answered, or the connection broke."""

    retry = Retry.SOON


class LinkRefusedError(LinkError):
    """The source system declined: wrong credentials, or not enrolled."""

    retry = Retry.LATER


class ContentError(AgentError):
    """Media could not be obtained or kept."""


class MediaCorruptError(ContentError):
    """The bytes do not match the hash or length that was signed."""

    retry = Retry.SOON


class StorageFullError(ContentError):
    """No room, even after evicting what is not needed."""

    retry = Retry.LATER


class MediaGoneError(ContentError):
    """The source system does not have the file."""

    retry = Retry.LATER


class StoreError(AgentError):
    """The box's database cannot be used."""

    retry = Retry.LATER


class StoreFullError(StoreError):
    """No room to write; nothing was changed and what is held can still be read."""
