"""One ffmpeg between a browser's recorder and the boxes: WebM or MP4 in by pipe, MP3 frames out by pipe."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum

from server.leash import command
from server.live.frames import BIT_RATE, SAMPLE_RATE, Framer, NotFramesError

logger = logging.getLogger(__name__)

STUCK_S = 2.0
LOG_KEPT_BYTES = 4096
LARGEST_ALLOCATION = 32 * 1024 * 1024


class Container(StrEnum):
    """What recorders of browsers write."""

    WEBM = "webm"
    MP4 = "mp4"


_DEMUXER = {Container.WEBM: "matroska", Container.MP4: "mov"}


class EncoderFailedError(Exception):
    """The encoder died, hangs, or writes nonsense."""


def arguments(container: Container) -> list[str]:
    """The command line of the encoder.

    The container is named, so nothing is guessed from hostile bytes and no probing delays the first word.
    Without bit reservoir every frame can be decoded alone.
    """
    return [
        *("ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "error"),
        *("-max_alloc", str(LARGEST_ALLOCATION), "-protocol_whitelist", "pipe"),
        *("-codec_whitelist", "opus,libopus,aac", "-f", _DEMUXER[container]),
        *("-probesize", "4096", "-analyzeduration", "0", "-i", "pipe:0"),
        *("-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1"),
        *("-ac", "1", "-ar", str(SAMPLE_RATE), "-c:a", "libmp3lame", "-b:a", str(BIT_RATE)),
        *("-reservoir", "0", "-write_xing", "0", "-id3v2_version", "0"),
        *("-f", "mp3", "-flush_packets", "1", "pipe:1"),
    ]


class Encoder:
    """A running encoder; made by `encoding`."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        if child.stdin is None or child.stdout is None or child.stderr is None:
            raise RuntimeError("started without pipes")
        self._stdin, self._stdout, self._stderr = child.stdin, child.stdout, child.stderr
        self._said = b""

    @property
    def said(self) -> str:
        """The end of what ffmpeg complained of."""
        return self._said.decode(errors="replace").strip()

    async def feed(self, data: bytes) -> None:
        """Hand over what the recorder wrote.

        Raises:
            EncoderFailedError: it does not take it.
        """
        try:
            self._stdin.write(data)
            async with asyncio.timeout(STUCK_S):
                await self._stdin.drain()
        except (ConnectionError, TimeoutError) as error:
            raise EncoderFailedError(f"does not read: {error!r}") from error

    def finish(self) -> None:
        """No more will come; the rest is encoded and then `frames` ends."""
        self._stdin.close()

    async def frames(self) -> AsyncIterator[bytes]:
        """Whole frames as they come.

        Raises:
            EncoderFailedError: what came is no frame.
        """
        framer = Framer()
        while data := await self._stdout.read(16_384):
            try:
                whole = framer.cut(data)
            except NotFramesError as error:
                raise EncoderFailedError(str(error)) from error
            if whole:
                yield whole

    async def keep_log(self) -> None:
        """Read complaints until it ends; a hostile recording can cause gigabytes of them."""
        while data := await self._stderr.read(LOG_KEPT_BYTES):
            self._said = (self._said + data)[-LOG_KEPT_BYTES:]

    async def drop(self) -> None:
        """Read away what a dead child left, so that its pipes can be closed."""
        self._stdin.close()
        while await self._stdout.read(65_536) or await self._stderr.read(65_536):
            continue


@asynccontextmanager
async def encoding(container: Container, cpu_s: int) -> AsyncIterator[Encoder]:
    """A fresh encoder; it is gone when this ends.

    Args:
        container: what will be fed.
        cpu_s: processor seconds after which the kernel ends it.
    """
    child = await asyncio.create_subprocess_exec(
        *command(*arguments(container), cpu_s=cpu_s, file_bytes=1),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    encoder = Encoder(child)
    try:
        yield encoder
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
        await encoder.drop()
