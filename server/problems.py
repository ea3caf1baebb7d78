"""What the server refuses to do, by stable code; the words stand in the message catalogues.

Noun modules raise `RefusedError` and know nothing of HTTP; `STATUS` is used at the one boundary
that turns a refusal into an answer.
"""

from __future__ import annotations

from enum import StrEnum

from agent.model.text import Language, say
from server.reasons import BODY, spoken


class Problem(StrEnum):
    """Stable error codes of the API; texts under `console.error.<code>`."""

    NOT_AUTHORISED = "not_authorised"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD = "method_not_allowed"
    TOO_MANY = "too_many_requests"
    TOO_LARGE = "too_large"
    INVALID = "invalid"
    INTERNAL = "internal"
    BUSY = "busy"
    STORAGE_FULL = "storage_full"
    CODE_REFUSED = "code_refused"
    MEDIA_EMPTY = "media_empty"
    MEDIA_NOT_AUDIO = "media_not_audio"
    MEDIA_CORRUPT = "media_corrupt"
    MEDIA_TRUNCATED = "media_truncated"
    MEDIA_TOO_LONG = "media_too_long"
    MEDIA_TOO_SHORT = "media_too_short"
    MEDIA_UNKNOWN = "media_unknown"
    SPEECH_EMPTY = "speech_empty"
    SPEECH_LANGUAGE = "speech_language"
    SCHEDULE_INVALID = "schedule_invalid"
    SCHEDULE_TOO_LARGE = "schedule_too_large"
    NO_TARGET = "no_target"
    NOTHING_TO_SAY = "nothing_to_say"
    REQUEST_REUSED = "request_reused"
    LEVEL_TOO_HIGH = "level_too_high"
    TIME_UNUSABLE = "time_unusable"
    TICKET_REFUSED = "ticket_refused"
    RANGE = "range_not_satisfiable"
    CAP_REFUSED = "cap_refused"
    PICTURE_UNUSABLE = "picture_unusable"
    PICTURE_UNKNOWN = "picture_unknown"
    VIDEO_UNUSABLE = "video_unusable"
    IN_USE = "in_use"
    CHANGED_MEANWHILE = "changed_meanwhile"
    PREVIEW_FAILED = "preview_failed"


STATUS: dict[Problem, int] = {
    Problem.NOT_AUTHORISED: 401,
    Problem.FORBIDDEN: 403,
    Problem.NOT_FOUND: 404,
    Problem.METHOD: 405,
    Problem.TOO_MANY: 429,
    Problem.TOO_LARGE: 413,
    Problem.INVALID: 422,
    Problem.INTERNAL: 500,
    Problem.BUSY: 503,
    Problem.STORAGE_FULL: 507,
    Problem.CODE_REFUSED: 403,
    Problem.MEDIA_EMPTY: 422,
    Problem.MEDIA_NOT_AUDIO: 422,
    Problem.MEDIA_CORRUPT: 422,
    Problem.MEDIA_TRUNCATED: 422,
    Problem.MEDIA_TOO_LONG: 422,
    Problem.MEDIA_TOO_SHORT: 422,
    Problem.MEDIA_UNKNOWN: 422,
    Problem.SPEECH_EMPTY: 422,
    Problem.SPEECH_LANGUAGE: 422,
    Problem.SCHEDULE_INVALID: 422,
    Problem.SCHEDULE_TOO_LARGE: 422,
    Problem.NO_TARGET: 422,
    Problem.NOTHING_TO_SAY: 422,
    Problem.REQUEST_REUSED: 409,
    Problem.LEVEL_TOO_HIGH: 422,
    Problem.TIME_UNUSABLE: 422,
    Problem.TICKET_REFUSED: 403,
    Problem.RANGE: 416,
    Problem.CAP_REFUSED: 422,
    Problem.PICTURE_UNUSABLE: 422,
    Problem.PICTURE_UNKNOWN: 422,
    Problem.VIDEO_UNUSABLE: 422,
    Problem.IN_USE: 409,
    Problem.CHANGED_MEANWHILE: 409,
    Problem.PREVIEW_FAILED: 422,
}


_ABOUT_DATA = {Problem.INVALID, Problem.TOO_LARGE, Problem.SCHEDULE_INVALID, Problem.SCHEDULE_TOO_LARGE}


class RefusedError(Exception):
    """A request that is understood and declined.

    Attributes:
        problem: stable code.
        field: path of the offending field such as `programmes[0].items[1].media`; `body` if all
            of what was sent is to blame, empty if none of it is.
        values: what the sentence of the catalogue names; phrases are said in its language.
        retry_after_s: when trying again can help, None if time does not help.
    """

    def __init__(
        self, problem: Problem, field: str = "", *, retry_after_s: int | None = None, **values: object
    ) -> None:
        self.problem = problem
        self.field = field or (BODY if problem in _ABOUT_DATA else "")
        self.values = {"detail": "", **values}
        self.retry_after_s = retry_after_s
        super().__init__(f"{problem}: {self.field or '-'} {values.get('detail', '')}".rstrip())

    @property
    def message(self) -> dict[str, str]:
        """The sentence for people, in both languages."""
        key = f"console.error.{self.problem.value}"
        languages: tuple[Language, ...] = ("vi", "en")
        return {language: say(key, language, **spoken(self.values, language)) for language in languages}


class StartError(Exception):
    """The server cannot start. Exit status 78.

    Attributes:
        code: stable; what is wrong and the remedy stand under `console.start.<code>`.
        message: that text in both languages.
    """

    def __init__(self, code: str, **values: object) -> None:
        self.code = code
        self.message = {
            "vi": say(f"console.start.{code}", "vi", **values),
            "en": say(f"console.start.{code}", "en", **values),
        }
        super().__init__(self.message["en"])


class StoreFailedError(Exception):
    """The database could not be read or written: disk full, disk failing, file locked by another program."""
