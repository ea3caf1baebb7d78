"""Takes in the bytes of a live source, no faster than they are of use, and hands them to its readers."""

from __future__ import annotations

from agent.clock import Clock
from agent.live.framing import Framing
from agent.live.pipes import Fan

_RATE_BYTES_S = 400_000
"""No sound that a box relays needs more; a source that sends faster is read no faster."""

_BURST_BYTES = 1024 * 1024
_AHEAD_S = 10.0
"""More sound than this ahead of time is a file that comes as fast as it is read, not a first burst."""

_DRIFT = 1.002
"""A live sender's clock may be faster than ours by this much; it is not held back for that."""

_SLICE_S = 0.1
_PATIENCE_S = 1.0
_OGG_BLOCK_BYTES = 8192
"""libvlc 3 reads Ogg in blocks; measured, 64 kbit/s come out once in a second."""
_MODEST_BYTES_S = 8000


class Inlet:
    """Takes the bytes of one connection after the other, at a bounded rate.

    Attributes:
        captures: an input is open, and no bytes are to come.
        first_s: when the first sound of this connection came; None before.
        newest_s: the same of the newest.
        sound_s: sound of this connection, where the format tells.
    """

    def __init__(self, fan: Fan, clock: Clock) -> None:
        self._fan = fan
        self._clock = clock
        self.begin()

    def begin(self) -> None:
        """A new connection."""
        self.captures = False
        self.first_s: float | None = None
        self.newest_s: float | None = None
        self.sound_s = 0.0
        self._framing = Framing()
        self._bytes = 0
        self._taken = 0
        self._allowed = float(_BURST_BYTES)
        self._allowed_s = self._clock.monotonic()
        self._patient = True
        self._hurried = False

    @property
    def unknown(self) -> bool:
        """Bytes came, but no sound was found in them."""
        return self._taken > 0 and self.first_s is None

    @property
    def grain_s(self) -> float:
        """Sound that comes out of the decoder in one burst, whatever the source does; 0 if it is little."""
        if not self._framing.grain_s:
            return 0.0
        rate = self._rate(self._clock.monotonic()) if self._bytes else _MODEST_BYTES_S
        return max(self._framing.grain_s, _OGG_BLOCK_BYTES / max(1.0, rate))

    def opened(self) -> None:
        self.captures = True

    async def take(self, data: bytes) -> None:
        begin = 0
        while begin < len(data):
            step = self._step() or len(data)
            self._give(data[begin : begin + step])
            await self._slow_down(min(step, len(data) - begin))
            await self._keep_time()
            begin += step

    def _step(self) -> int:
        """Bytes to give at once: a slice of a source that must be held back, else 0 for all there are."""
        return max(64, int(self._rate(self._clock.monotonic()) * _SLICE_S)) if self._hurried else 0

    async def _keep_time(self) -> None:
        """Hold back a source that is far ahead: readers play no faster and would lose the rest."""
        while (ahead_s := self._ahead_s()) > _AHEAD_S:
            self._hurried = True
            await self._clock.sleep(min(_SLICE_S, ahead_s - _AHEAD_S))
            self.newest_s = self._clock.monotonic()  # it is we who wait

    def _ahead_s(self) -> float:
        return (
            0.0 if self.first_s is None else self.sound_s - (self._clock.monotonic() - self.first_s) * _DRIFT
        )

    def _give(self, data: bytes) -> None:
        self._taken += len(data)
        named = self._framing.name
        pieces = self._framing.feed(data)
        if self._framing.name and not named:
            self._fan.begin(self._framing.name)
        now_s = self._clock.monotonic()
        if any(not piece.starts for piece in pieces):
            self.first_s = now_s if self.first_s is None else self.first_s
        if self.first_s is not None:  # a page of Ogg may hold seconds; it need not have come whole
            self.newest_s = now_s
        self.sound_s += sum(piece.sound_s for piece in pieces)
        self._bytes += sum(len(piece.data) for piece in pieces)
        self._fan.push(pieces, self._framing.header, now_s, self._rate(now_s))

    def _rate(self, now_s: float) -> float:
        lasted_s = max(1.0, self.sound_s, now_s - (now_s if self.first_s is None else self.first_s))
        return self._bytes / lasted_s

    async def _slow_down(self, size: int) -> None:
        now_s = self._clock.monotonic()
        self._allowed = (
            min(float(_BURST_BYTES), self._allowed + (now_s - self._allowed_s) * _RATE_BYTES_S) - size
        )
        self._allowed_s = now_s
        if self._allowed < 0:
            await self._clock.sleep(-self._allowed / _RATE_BYTES_S)
        waited_s = 0.0
        # A file comes as fast as it is read; a reader that stands still is not waited for.
        while self._patient and self._fan.crowded:
            await self._clock.sleep(0.05)
            waited_s += 0.05
            self._patient = waited_s < _PATIENCE_S
        self._patient = self._patient or not self._fan.crowded
