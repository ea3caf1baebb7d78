"""Text spoken by espeak-ng: offline, plain, always there."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.model.speech import speakable
from server.leash import command
from server.problems import Problem, RefusedError

VOICES = {"vi": "vi", "en": "en"}
"""Languages that espeak-ng speaks understandably."""

WORDS_PER_MINUTE = 150
LIMIT_S = 120.0


async def speak(text: str, language: str, target: Path) -> None:
    """Write `text` as a WAV file, read as a box would read it but in full length.

    Raises:
        RefusedError: nothing to say, no voice for the language, or no speech program on this machine.
    """
    voice = VOICES.get(language.partition("-")[0])
    if voice is None:
        raise RefusedError(Problem.SPEECH_LANGUAGE, "language", detail=", ".join(VOICES))
    words = await asyncio.to_thread(speakable, text, language, limit=None)
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
