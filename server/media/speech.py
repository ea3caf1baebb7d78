"""Text spoken by espeak-ng: offline, plain, always there."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from pathlib import Path

from server.leash import command
from server.problems import Problem, RefusedError

VOICES = {"vi": "vi", "en": "en"}
"""Languages that espeak-ng speaks understandably; Vietnamese abbreviations are written out first."""

WORDS_PER_MINUTE = 150
LIMIT_S = 120.0

_URL = re.compile(
    r"(?:https?://|www\.)\S+|\b[\w-]+(?:\.[\w-]+)*\.(?:vn|com|net|org|gov|edu|io)\b(?:/\S*)?", re.IGNORECASE
)
_ABBREVIATIONS = {
    "UBND": "Ủy ban nhân dân",
    "HĐND": "Hội đồng nhân dân",
    "MTTQ": "Mặt trận Tổ quốc",
    "TDP": "tổ dân phố",
    "BCH": "Ban chỉ huy",
    "PCTT": "phòng chống thiên tai",
    "TP": "thành phố",
    "QL": "quốc lộ",
}
_ABBREVIATION = re.compile(r"\b(" + "|".join(_ABBREVIATIONS) + r")\b\.?")


def spoken_text(text: str, language: str) -> str:
    """What is read out: NFC, without web addresses, common abbreviations written out."""
    text = unicodedata.normalize("NFC", text)
    text = _URL.sub(" ", text)
    if language == "vi":
        text = _ABBREVIATION.sub(lambda found: _ABBREVIATIONS[found[1]], text)
    return re.sub(r"[ \t]+", " ", text).strip()


async def speak(text: str, language: str, target: Path) -> None:
    """Write `text` as a WAV file.

    Raises:
        RefusedError: nothing to say, no voice for the language, or no speech program on this machine.
    """
    voice = VOICES.get(language.partition("-")[0])
    if voice is None:
        raise RefusedError(Problem.SPEECH_LANGUAGE, "language", detail=", ".join(VOICES))
    words = spoken_text(text, language)
    if not any(char.isalnum() for char in words):
        raise RefusedError(Problem.SPEECH_EMPTY, "text")
    child = await asyncio.create_subprocess_exec(
        *command(
            *("espeak-ng", "-v", voice, "-s", str(WORDS_PER_MINUTE), "--stdin", "-b", "1"),
            *("-w", str(target)),
            file_bytes=2 * 1024**3,
        ),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            _, said = await child.communicate(words.encode())
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise RuntimeError(f"espeak-ng ended with status {child.returncode}: {said[-300:]!r}")
