"""Streams by web address: Icecast and the like, playlists that name them, and HLS."""

from __future__ import annotations

from agent.clock import Clock
from agent.live.api import LiveRefusedError, Sink
from agent.live.framing import sniff
from agent.live.hls import HlsStream
from agent.live.playlist import is_hls, stream_named
from agent.live.web import MAX_PLAYLIST_BYTES, Answer, Web, joined

_PLAYLISTS = ("mpegurl", "scpls", "x-mpegurl", "pls+xml")
_SNIFF_BYTES = 512


class StreamSource:
    """Sound by HTTP.

    Args:
        web: opens addresses.
        address: of the stream or playlist; a path belongs to the source system.
        clock: for the pace of HLS.
    """

    def __init__(self, web: Web, address: str, clock: Clock) -> None:
        self._web = web
        self._address = address
        self._clock = clock

    async def run(self, sink: Sink) -> None:
        """See `Source`."""
        text = await self._one(self._address, sink)
        if text is None:
            return
        address, playlist = text
        if not is_hls(playlist):
            text = await self._one(joined(address, stream_named(playlist)), sink)
            if text is None:
                return
            address, playlist = text
            if not is_hls(playlist):
                raise LiveRefusedError("a playlist that names another playlist")
        await HlsStream(self._web, address, playlist, self._clock).run(sink)

    async def _one(self, address: str, sink: Sink) -> tuple[str, str] | None:
        """Give the stream at an address; if it is a playlist, its address and text instead."""
        async with self._web.open(address) as answer:
            begun = bytearray()
            while len(begun) < _SNIFF_BYTES and (chunk := await anext(answer.chunks, b"")):
                begun += chunk
                if len(begun) >= 16 and not _text_so_far(begun):  # noqa: PLR2004 — enough to tell sound from text
                    break
            if _is_playlist(answer, bytes(begun)):
                return answer.address, await _rest(answer, begun)
            _refuse_page(answer, bytes(begun))
            if begun:
                await sink.take(bytes(begun))
            async for chunk in answer.chunks:
                await sink.take(chunk)
        return None


def _text_so_far(data: bytearray) -> bool:
    return all(byte >= 32 or byte in b"\t\r\n" for byte in data)  # noqa: PLR2004


def _is_playlist(answer: Answer, begun: bytes) -> bool:
    start = begun.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"#EXTM3U") or start[:10].lower() == b"[playlist]":
        return True
    named = answer.address.partition("?")[0].lower().endswith((".m3u", ".pls", ".m3u8"))
    typed = any(mark in answer.kind for mark in _PLAYLISTS)
    return (typed or named) and _text_so_far(bytearray(begun)) and not start.startswith(b"<")


def _refuse_page(answer: Answer, begun: bytes) -> None:
    if answer.kind in ("text/html", "application/xhtml+xml", "application/json", "image/jpeg", "image/png"):
        raise LiveRefusedError(f"not audio: {answer.kind} answers; is a login page in between?")
    sniff(begun)  # refuses text


async def _rest(answer: Answer, begun: bytearray) -> str:
    async for chunk in answer.chunks:
        begun += chunk
        if len(begun) > MAX_PLAYLIST_BYTES:
            raise LiveRefusedError(f"the playlist is longer than {MAX_PLAYLIST_BYTES} bytes")
    return begun.decode("utf-8", "replace")
