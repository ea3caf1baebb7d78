"""One way to say what is wrong with a document: the field, and the problem in words."""

from __future__ import annotations

from pydantic import ValidationError


class WireError(ValueError):
    """A document cannot be used; trying the same bytes again never helps.

    Attributes:
        field: path of the offending field such as `programmes[2].items[0].media.sha256`.
        problem: what is wrong with it.
    """

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"{field}: {problem}")


def explain(error: ValidationError, limit: int = 5) -> list[str]:
    """Turn a pydantic error into lines of `field: problem`, at most `limit` of them."""
    lines = []
    for detail in error.errors(include_url=False)[:limit]:
        path = ""
        for part in detail["loc"]:
            path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
        lines.append(f"{path or 'document'}: {detail['msg']}")
    left = error.error_count() - limit
    if left > 0:
        lines.append(f"... and {left} more")
    return lines


def wire_error(error: ValidationError) -> WireError:
    """The first complaint of a pydantic error as a WireError."""
    field, _, problem = explain(error, 1)[0].partition(": ")
    return WireError(field, problem)
