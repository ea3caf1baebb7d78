"""Follows an HLS stream: polls its playlist, fetches segments ahead, and gives them out as time goes by.

Segments come in bursts of several seconds. They are given on at the pace at which they are played, so that a
reader that comes late, and one that is slow, are treated as with any other stream, and a stream that stands
still is noticed by the same rule.
"""

from __future__ import annotations

import asyncio
import logging

from agent.clock import Clock
from agent.live.api import LiveError, LiveLostError, LiveRefusedError, Sink
from agent.live.playlist import MediaPlaylist, Segment, media_playlist, rendition
from agent.live.web import Web, joined

logger = logging.getLogger(__name__)

MAX_SEGMENT_BYTES = 20 * 1024 * 1024
_AHEAD = 1
_LEAD_S = 0.5
_SLICE_S = 0.1
_TAKE_BYTES = 16 * 1024
"""So much is given at a time: a segment that is not what it says must not hold up the whole box."""

_EDGE_TARGETS = 3
_MAX_LOST_SEGMENTS = 3
_STANDS_STILL_TARGETS = 4

_Fetched = tuple[Segment, bytes] | LiveError | None


class HlsStream:
    """One session of one HLS stream.

    Args:
        web: fetches.
        address: of its playlist.
        text: the playlist, if it has been read already.
        clock: for pace and polling.
    """

    def __init__(self, web: Web, address: str, text: str, clock: Clock) -> None:
        self._web = web
        self._address = address
        self._text = text
        self._clock = clock
        self._next = -1
        self._lost = 0

    async def run(self, sink: Sink) -> None:
        """Give sound until the list says that it has ended.

        Raises:
            LiveLostError: nobody answers, or the list stands still.
            LiveRefusedError: it cannot be played.
        """
        chosen = rendition(self._text)
        if chosen:
            self._address, self._text = await self._web.text(joined(self._address, chosen))
            if rendition(self._text):
                raise LiveRefusedError("an HLS master playlist that leads to another one")
        fetched: asyncio.Queue[_Fetched] = asyncio.Queue(maxsize=_AHEAD)
        async with asyncio.TaskGroup() as group:
            ahead = group.create_task(self._fetch_ahead(fetched))
            try:
                over = await self._give(fetched, sink)
            finally:
                ahead.cancel()
        if over is not None:
            raise over

    async def _give(self, fetched: asyncio.Queue[_Fetched], sink: Sink) -> LiveError | None:
        due_s = self._clock.monotonic()
        while (got := await fetched.get()) is not None:
            if isinstance(got, LiveError):
                return got
            segment, data = got
            try:
                due_s = await self._pace(segment, data, due_s, sink)
            except LiveError as error:
                return error
        return None

    async def _pace(self, segment: Segment, data: bytes, due_s: float, sink: Sink) -> float:
        """Give a segment in slices; returns when the next one is due to begin."""
        # late: nothing is caught up in a burst, the stream is from now on as much further behind
        due_s = max(due_s, self._clock.monotonic() - _LEAD_S)
        seconds = segment.seconds or _SLICE_S
        slices = max(1, int(seconds / _SLICE_S))
        size = -(-len(data) // slices)
        for index in range(slices):
            await self._until(due_s + seconds * index / slices - _LEAD_S)
            for begin in range(index * size, min((index + 1) * size, len(data)), _TAKE_BYTES):
                await sink.take(data[begin : min(begin + _TAKE_BYTES, (index + 1) * size)])
                await asyncio.sleep(0)
        return due_s + seconds

    async def _until(self, at_s: float) -> None:
        ahead_s = at_s - self._clock.monotonic()
        if ahead_s > 0:
            await self._clock.sleep(ahead_s)

    async def _fetch_ahead(self, fetched: asyncio.Queue[_Fetched]) -> None:
        try:
            await self._follow(fetched)
        except LiveError as error:
            await fetched.put(error)
        else:
            await fetched.put(None)

    async def _follow(self, fetched: asyncio.Queue[_Fetched]) -> None:
        text, changed_s = self._text, self._clock.monotonic()
        while True:
            loaded_s = self._clock.monotonic()
            listed = media_playlist(text)
            new = self._new(listed)
            for segment in new:
                await self._fetch(segment, listed, fetched)
            if listed.ended:
                return
            now_s = self._clock.monotonic()
            if new:
                changed_s = now_s
            elif now_s - changed_s > _STANDS_STILL_TARGETS * listed.target_s:
                raise LiveLostError(f"the HLS playlist has not advanced for {now_s - changed_s:.0f} s")
            # RFC 8216 section 6.3.4: one target duration after a change, half of it otherwise
            await self._until(loaded_s + listed.target_s * (1.0 if new else 0.5))
            try:
                async with asyncio.timeout(max(10.0, 2 * listed.target_s)):
                    self._address, text = await self._web.text(self._address)
            except (LiveLostError, TimeoutError) as error:
                if self._clock.monotonic() - changed_s > _STANDS_STILL_TARGETS * listed.target_s:
                    raise LiveLostError(f"the HLS playlist cannot be fetched: {error}") from error

    def _new(self, listed: MediaPlaylist) -> list[Segment]:
        """What is to be fetched now of what is listed."""
        segments = list(listed.segments)
        if not segments:
            return []
        first, after = segments[0].number, listed.next_number
        if self._next < 0:
            start = first if listed.ended else _edge(listed)
        elif self._next < first or self._next > after:
            logger.info("HLS stream jumps from segment %d to %d", self._next, first)
            start = _edge(listed)
        else:
            start = self._next
        self._next = after
        return [one for one in segments if one.number >= start and not one.gap]

    async def _fetch(self, segment: Segment, listed: MediaPlaylist, fetched: asyncio.Queue[_Fetched]) -> None:
        if segment.init:
            raise LiveRefusedError(
                "the HLS stream is fragmented MP4; ask the source for MPEG-TS or AAC segments"
            )
        try:
            async with asyncio.timeout(max(10.0, 3 * listed.target_s)):
                data = await self._web.data(joined(self._address, segment.address), MAX_SEGMENT_BYTES)
        except (LiveLostError, TimeoutError) as error:
            self._lost += 1
            if self._lost >= _MAX_LOST_SEGMENTS:
                raise LiveLostError(
                    f"{self._lost} HLS segments in a row could not be fetched: {error}"
                ) from error
            return
        self._lost = 0
        await fetched.put((segment, data))


def _edge(listed: MediaPlaylist) -> int:
    """Number of the segment to join a running stream at: three target durations from its end.

    Source: RFC 8216 section 6.3.3.
    """
    left_s = 0.0
    for segment in reversed(listed.segments):
        left_s += segment.seconds
        if left_s >= _EDGE_TARGETS * listed.target_s:
            return segment.number
    return listed.segments[0].number
