"""Conditions a person can fix: stable fault numbers, one home.

The text for each number stands in the message catalogues under `fault.<number>.what` (what is wrong
and where) and `fault.<number>.do` (the first thing to do).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Fault(StrEnum):
    """Fault numbers. 1xx power, 2xx network, 3xx time, 4xx storage, 5xx audio and amplifier, 6xx board,
    7xx content, 8xx orders, 9xx update and software.
    """  # noqa: D205 - one sentence per family reads better on two lines

    MAINS_LOST = "TL-101"
    DC_LOW = "TL-102"
    NOT_ENROLLED = "TL-201"
    SERVER_UNREACHABLE = "TL-202"
    SIM_NO_DATA = "TL-203"
    SERVER_REFUSED = "TL-204"
    NO_NETWORK = "TL-205"
    CLOCK_UNTRUSTED = "TL-301"
    STORAGE_FULL = "TL-401"
    STORE_FAILED = "TL-402"
    AUDIO_CARD_MISSING = "TL-501"
    AUDIO_HUNG = "TL-502"
    OUTPUT_SILENT = "TL-503"
    AUDIO_CARD_WRONG = "TL-504"
    AMPLIFIER_UNAVAILABLE = "TL-511"
    AMPLIFIER_FAULT = "TL-512"
    LINE_SILENT = "TL-513"
    AMPLIFIER_NO_POWER = "TL-514"
    LINE_OPEN = "TL-515"
    LINE_SHORT = "TL-516"
    AMPLIFIER_HOT = "TL-517"
    AMPLIFIER_SPARE = "TL-518"
    MICROPHONE_DEAF = "TL-519"
    LIVE_LOST = "TL-521"
    LIVE_SILENT = "TL-522"
    TUNER_UNAVAILABLE = "TL-523"
    BOARD_UNAVAILABLE = "TL-601"
    BOARD_CHANGED = "TL-602"
    BOARD_WORKER = "TL-603"
    BOARD_CONTENT = "TL-604"
    BOARD_THEME = "TL-605"
    BOARD_MODULE_DEAD = "TL-606"
    MEDIA_MISSING = "TL-701"
    MEDIA_CORRUPT = "TL-702"
    MEDIA_UNREADABLE = "TL-703"
    SPEECH_UNAVAILABLE = "TL-704"
    SCHEDULE_REFUSED = "TL-711"
    ORDER_REFUSED = "TL-801"
    SAFETY_STOPPED = "TL-802"
    CONFIG_FELL_BACK = "TL-901"
    SERVICE_FAILED = "TL-902"


class Refusal(StrEnum):
    """Closed list of reasons for which an order is not obeyed."""

    MALFORMED = "malformed"
    UNKNOWN_TYPE = "unknown_type"
    UNSUPPORTED = "unsupported"
    BAD_SIGNATURE = "bad_signature"
    UNKNOWN_KEY = "unknown_key"
    UNKNOWN_ISSUER = "unknown_issuer"
    WRONG_ROLE = "wrong_role"
    WRONG_SCOPE = "wrong_scope"
    REPLAYED = "replayed"
    OUT_OF_ORDER = "out_of_order"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    TOO_LONG_VALID = "too_long_valid"
    CLOCK_FLOOR = "clock_floor"
    TOO_LARGE = "too_large"
    SCHEDULE_INVALID = "schedule_invalid"


@dataclass(frozen=True, slots=True)
class Issue:
    """An open condition; `subject` names the zone, board, file or order it is about."""

    fault: Fault
    subject: str
    since: datetime
    detail: str = ""
