"""A piece of an encoded stream."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that begin where a decoder can go on after a hole.

    Attributes:
        sound_s: how much sound it is; 0 where the format does not tell without decoding.
        starts: it is a header with which a new stream begins.
    """

    data: bytes = field(repr=False)
    sound_s: float = 0.0
    starts: bool = False
