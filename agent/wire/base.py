"""Shared shapes of documents: lenient on unknown fields, strict on known ones."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from agent.wire.errors import WireError, wire_error
from agent.wire.ulid import PATTERN as ULID_PATTERN


def _clean(text: str) -> str:
    """NFC, and nothing a screen or a log line could be broken with."""
    text = unicodedata.normalize("NFC", text)
    if any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t" for char in text):
        raise ValueError("contains control characters; only line breaks and tabs are allowed")
    return text


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is outside the years 1 to 9999 in UTC") from error


Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
"""A moment with offset on the wire, UTC once read."""

Ulid = Annotated[str, Field(pattern=ULID_PATTERN)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
DeviceId = Annotated[str, Field(pattern=r"^[a-z0-9-]{8,40}$")]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*$")]
Line = Annotated[str, Field(max_length=300), AfterValidator(_clean)]
Text = Annotated[str, Field(max_length=20_000), AfterValidator(_clean)]
RelativeUrl = Annotated[str, Field(max_length=500, pattern=r"^/[A-Za-z0-9/._-]*$")]


class Document(BaseModel):
    """Base of everything read from the wire: frozen, unknown fields ignored, no type guessing."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    @classmethod
    def read(cls, data: bytes | str) -> Self:
        """Parse JSON bytes.

        Raises:
            WireError: naming the first field that is wrong.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise wire_error(error) from error
        except RecursionError as error:
            raise WireError("document", "is nested too deeply") from error

    def encode(self) -> bytes:
        """Compact JSON; absent optional fields are left out."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()
