"""Speech engines: a text in, a WAV file out, each run in a child process that is bounded in every way."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from agent.config import SpeechSection
from agent.speech.errors import SpeechError, SpeechFailure
from agent.speech.threads import WORKERS

LIMIT_S = 10.0
MAX_WAV_BYTES = 64 * 1024 * 1024
"""Twelve minutes of 16 bit mono sound at 44.1 kHz."""

VOICES = {"vi": "vi", "en": "en-gb", "ms": "ms", "id": "id", "th": "th", "zh": "cmn", "fr": "fr-fr"}
"""Languages that espeak-ng 1.51 speaks, by the first part of the tag, and the voice to use."""

_NICE = "10"
_SAID_BYTES = 300


class SpeechEngine(Protocol):
    """Speaks texts that have been made fit for it.

    Attributes:
        key: everything in its settings that changes the sound.
    """

    @property
    def key(self) -> str: ...

    async def speak(self, text: str, language: str, work: Path) -> Path:
        """Write a WAV file below the empty folder `work` and say where.

        Raises:
            SpeechError: no voice for the language, or the engine is absent, failed or took too long.
        """
        ...


class EspeakEngine:
    """espeak-ng: offline, plain, always there.

    Args:
        voice: espeak-ng's name of a voice, used for the language it belongs to; "": one per language.
        words_per_minute: 80 to 260.
    """

    def __init__(self, voice: str = "", words_per_minute: int = 150, *, limit_s: float = LIMIT_S) -> None:
        self._voice = voice
        self._words_per_minute = words_per_minute
        self._limit_s = limit_s

    @property
    def key(self) -> str:
        return f"espeak-ng {self._voice} {self._words_per_minute}"

    async def speak(self, text: str, language: str, work: Path) -> Path:
        base = language.partition("-")[0]
        voice = self._voice if self._voice.partition("-")[0] == base else VOICES.get(base)
        if not voice:
            raise SpeechError(SpeechFailure.UNSUPPORTED, f"espeak-ng has no voice for {language[:20]!r}")
        target = work / "spoken.wav"
        arguments = ("espeak-ng", "-v", voice, "-s", str(self._words_per_minute), "-b", "1")
        await run_bounded(
            (*arguments, "--stdin", "-w", str(target)), text.encode(), work, limit_s=self._limit_s
        )
        return target


class CommandEngine:
    """Any program that reads a text file and writes a WAV file.

    Args:
        command: program and arguments; {text_file}, {wav_file} and {language} are filled in.
    """

    def __init__(self, command: Sequence[str], *, limit_s: float = LIMIT_S) -> None:
        self._command = tuple(command)
        self._limit_s = limit_s

    @property
    def key(self) -> str:
        return f"command {self._command}"

    async def speak(self, text: str, language: str, work: Path) -> Path:
        source, target = work / "text.txt", work / "spoken.wav"
        await WORKERS.run(source.write_text, text, encoding="utf-8")
        filled = {"{text_file}": str(source), "{wav_file}": str(target), "{language}": language}
        arguments = [_filled(argument, filled) for argument in self._command]
        await run_bounded(arguments, b"", work, limit_s=self._limit_s)
        return target


class NoEngine:
    """Speaks nothing."""

    key = "none"

    async def speak(self, text: str, language: str, work: Path) -> Path:  # noqa: ARG002 - the protocol's
        raise SpeechError(SpeechFailure.UNAVAILABLE, "speech is switched off in the configuration")


def engine_of(section: SpeechSection) -> SpeechEngine:
    """The engine that the configuration names."""
    if section.engine == "espeak-ng":
        return EspeakEngine(section.voice, section.words_per_minute)
    if section.engine == "command":
        return CommandEngine(section.command)
    return NoEngine()


def _filled(argument: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        argument = argument.replace(name, value)
    return argument


async def run_bounded(command: Sequence[str], given: bytes, work: Path, *, limit_s: float) -> None:
    """Run a program at low priority, bounded in time and in what it writes; killed when cancelled.

    Raises:
        SpeechError: it is not installed, took too long or ended badly.
    """
    program = command[0]
    if shutil.which(program) is None:
        raise SpeechError(SpeechFailure.UNAVAILABLE, f"{program} is not installed")
    bounds = ["nice", "-n", _NICE]
    if shutil.which("prlimit") is not None:
        bounds = ["prlimit", f"--fsize={MAX_WAV_BYTES}", f"--cpu={int(limit_s) + 1}", *bounds]
    said = work / "said.txt"
    with said.open("wb") as messages:
        try:
            child = await asyncio.create_subprocess_exec(
                *bounds,
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=messages,
                cwd=work,
                start_new_session=True,
            )
        except OSError as error:
            raise SpeechError(SpeechFailure.UNAVAILABLE, f"{program}: {error.strerror}") from error
    try:
        async with asyncio.timeout(limit_s):
            await child.communicate(given)
    except TimeoutError as error:
        raise SpeechError(SpeechFailure.FAILED, f"{program} took longer than {limit_s:g} s") from error
    finally:
        if child.returncode is None:
            _kill_all(child.pid)
            await child.wait()
    if child.returncode != 0:
        last = said.read_bytes()[-_SAID_BYTES:].decode(errors="replace")
        raise SpeechError(SpeechFailure.FAILED, f"{program} ended with status {child.returncode}: {last!r}")


def _kill_all(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
