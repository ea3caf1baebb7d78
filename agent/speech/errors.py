"""Why a text could not be spoken."""

from __future__ import annotations

from enum import StrEnum

from agent.errors import AgentError, Retry


class SpeechFailure(StrEnum):
    """Closed list of reasons."""

    EMPTY = "empty"
    UNSUPPORTED = "unsupported"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"
    STORAGE = "storage"


class SpeechError(AgentError):
    """A text could not be turned into sound."""

    def __init__(self, failure: SpeechFailure, detail: str) -> None:
        self.failure = failure
        self.retry = (
            Retry.NEVER if failure in (SpeechFailure.EMPTY, SpeechFailure.UNSUPPORTED) else Retry.LATER
        )
        super().__init__(detail)
