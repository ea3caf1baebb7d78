"""Speech without a speech program."""

from __future__ import annotations

import asyncio
import hashlib
import math
import struct
import wave
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.model.issue import Fault
from agent.speech.errors import SpeechError, SpeechFailure


def write_wav(
    path: Path, samples: Sequence[int], *, rate: int = 22_050, channels: int = 1, width: int = 2
) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples) if width == 2 else bytes(samples))
    return path


def tone(seconds: float, amplitude: float, rate: int = 22_050, hz: float = 440) -> list[int]:
    return [
        round(32_767 * amplitude * math.sin(2 * math.pi * hz * place / rate))
        for place in range(round(seconds * rate))
    ]


class Engine:
    """Writes a tone whose length is that of the text."""

    def __init__(self, key: str = "tone") -> None:
        self.key = key
        self.spoken: list[tuple[str, str]] = []
        self.error: SpeechError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.running = 0
        self.most = 0

    async def speak(self, text: str, language: str, work: Path) -> Path:
        self.spoken.append((text, language))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.gate.wait()
        finally:
            self.running -= 1
        if self.error is not None:
            raise self.error
        if language == "km":
            raise SpeechError(SpeechFailure.UNSUPPORTED, "no voice for 'km'")
        hz = 200 + sum(text.encode()) % 900
        return write_wav(work / "spoken.wav", tone(0.2 + len(text) / 1000, 0.3, hz=hz))


class Shelf:
    """A media store that is a dictionary."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.error: Exception | None = None

    async def adopt(self, path: Path) -> tuple[str, int]:
        if self.error is not None:
            raise self.error
        content = path.read_bytes()
        path.unlink()
        sha256 = hashlib.sha256(content).hexdigest()
        self.files[sha256] = content
        return sha256, len(content)

    def held(self, sha256: str) -> bool:
        return sha256 in self.files


class Issues:
    def __init__(self) -> None:
        self.open: dict[tuple[Fault, str], str] = {}

    def raise_(self, fault: Fault, subject: str = "", detail: str = "") -> None:
        self.open[fault, subject] = detail

    def clear(self, fault: Fault, subject: str = "") -> None:
        self.open.pop((fault, subject), None)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)
