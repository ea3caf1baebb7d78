"""One cue as a continuous stream of frames: items made ready ahead, each in its own slot of time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from drivers.audio import pcm
from drivers.audio.decoder import Decoder
from drivers.audio.feed import Feed, FeedPlan
from drivers.audio.media import Media, UnreadableError, examine
from drivers.audio.signals import SignalSound
from drivers.audio.stream import ENDLESS, Drawn, Piece, Stream

_TOLERANCE_FRAMES = pcm.frames_of_ms(60)
_EDGE_FRAMES = pcm.frames_of_ms(5)
_SIGNAL_FRAMES = pcm.frames_of_ms(100)
_FIRST_SIGNAL_FRAMES = pcm.frames_of_ms(20)
_PATIENCE_S = 0.25


class Item(NamedTuple):
    """One piece of sound of a cue; fields as in `drivers.api.CueItem`, exactly one of the three is set."""

    path: Path | None = None
    start_ms: int = 0
    duration_ms: int = 0
    gain_db: float = 0.0
    signal: str | None = None
    hertz: int = 1000
    feed: FeedPlan | None = None


class Cue(NamedTuple):
    """What the agent asked for; fields as in `drivers.api.Audio.cue`."""

    number: int
    items: tuple[Item, ...]
    at_ns: int
    fade_in_ms: int = 5
    max_dbfs: float = -1.0
    volume_db: float = 0.0
    duck_ms: int = 0
    duck_db: float = -18.0


class Slot(NamedTuple):
    """The place of one item in the stream.

    Attributes:
        frames: length at 48 kHz, or None when only decoding will tell.
        cut: the file is longer than its slot and ends with a ramp.
    """

    frames: int | None
    cut: bool


def plan_slot(item: Item, length: int | None) -> Slot:
    """Decide how long a file lasts in the stream.

    The announced duration rules, so that every box keeps the same time line whatever it managed to
    decode; a header that differs by at most 60 ms is believed instead, because it is exact.

    Args:
        item: as announced; `duration_ms` 0 means unknown.
        length: whole length of the file in frames according to its header, or None.
    """
    start = pcm.frames_of_ms(item.start_ms)
    if item.duration_ms <= 0:
        return Slot(None if length is None else max(0, length - start), cut=False)
    announced = pcm.frames_of_ms(item.duration_ms)
    if length is not None and abs(length - announced) <= _TOLERANCE_FRAMES:
        return Slot(max(0, length - start), cut=False)
    return Slot(max(0, announced - start), cut=True)


class Deck:
    """Makes the items of a cue ready in its own thread and gives out any part of the stream on demand.

    Frame 0 belongs to `Cue.at_ns`. Frames before `first` are never decoded where that can be avoided.
    """

    def __init__(
        self,
        cue: Cue,
        instance: Callable[[], Any],
        failed: Callable[[int, int, str, str], None],
        first: int = 0,
    ) -> None:
        """Prepare the stream; nothing runs before `start`.

        Args:
            cue: what to play.
            instance: gives the libvlc instance.
            failed: called as (cue, index, code, detail) from a thread of the deck.
            first: first frame of the stream that will be wanted, >= 0.
        """
        self.cue = cue
        self._instance = instance
        self._failed = failed
        self._stream = Stream(first)
        self._lock = threading.Lock()
        self._marks: deque[tuple[int, int]] = deque()
        self._decoder: Decoder | None = None
        self._feeds: list[Feed] = []
        self._progress_ns = time.monotonic_ns()
        self._thread = threading.Thread(target=self._run, name=f"deck-{cue.number}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def total(self) -> int | None:
        """Length of the stream in frames, once the end is known."""
        return self._stream.total

    def idle_ns(self) -> int:
        """How long the decoder has made no progress although it had room; 0 when all is well."""
        return 0 if self._stream.full() else time.monotonic_ns() - self._progress_ns

    def marks_until(self, frame: int) -> list[tuple[int, int]]:
        """Take the (stream frame, item index) of each item that begins before `frame`."""
        taken = []
        with self._lock:
            while self._marks and self._marks[0][0] < frame:
                taken.append(self._marks.popleft())
        return taken

    def take(self, frame: int, count: int) -> Drawn:
        """Give out `count` frames from `frame` on; what is not there is silence.

        Frames before `frame` are forgotten, so callers move forwards only.
        """
        return self._stream.take(frame, count)

    def loudest(self, frame: int, count: int) -> float:
        """Highest sample of frames that will be taken, the item's gain applied."""
        return self._stream.loudest(frame, count)

    def starved_ms(self, frame: int) -> int:
        """How long the live sound at a frame has given nothing; 0 for anything else."""
        live = self._stream.live(frame)
        return 0 if live is None else live.starved_ms()

    def close(self) -> None:
        """Let all threads of the deck end; returns at once."""
        self._stream.close()
        with self._lock:
            decoder, feeds = self._decoder, list(self._feeds)
        if decoder is not None:
            decoder.interrupt()
        for feed in feeds:
            feed.close()

    def join(self, timeout_s: float) -> None:
        """Wait for the decoding thread."""
        self._thread.join(timeout_s)

    # --- the decoding thread ----------------------------------------------------------------------

    def _run(self) -> None:
        begin = 0
        try:
            for index, item in enumerate(self.cue.items):
                if not self._stream.wait_room():
                    break
                begin = self._fill(index, item, begin)
        finally:
            self._stream.finish()
            with self._lock:
                decoder, self._decoder = self._decoder, None
            if decoder is not None:
                decoder.close()

    def _fill(self, index: int, item: Item, begin: int) -> int:
        """Put one item into the stream at frame `begin`; returns the frame after it."""
        if item.feed is not None:
            return self._fill_live(index, item, item.feed, begin)
        if item.signal is not None:
            return self._fill_signal(index, item, item.signal, begin)
        return self._fill_file(index, item, item.path or Path(), begin)

    def _fill_live(self, index: int, item: Item, plan: FeedPlan, begin: int) -> int:
        frames = pcm.frames_of_ms(item.duration_ms) or ENDLESS
        if begin + frames <= self._stream.wanted:
            return self._pad(begin, frames)
        number = self.cue.number
        feed = Feed(plan, self._instance, lambda code, detail: self._failed(number, index, code, detail))
        with self._lock:
            self._feeds.append(feed)
        feed.start()
        self._mark(max(begin, self._stream.wanted), index)
        self._push(Piece(frames, feed, pcm.factor_of_db(item.gain_db)), begin)
        while frames == ENDLESS and not self._stream.wait_closed(_PATIENCE_S):
            continue
        if self._stream.closed:
            feed.close()
        else:
            self._watch_end(feed, begin + frames)
        return begin + frames

    def _watch_end(self, feed: Feed, end: int) -> None:
        """Let a feed go once the stream has passed it."""

        def watch() -> None:
            while self._stream.wanted < end and not self._stream.wait_closed(_PATIENCE_S):
                continue
            feed.close()

        threading.Thread(target=watch, name="feed-end", daemon=True).start()

    def _fill_signal(self, index: int, item: Item, signal: str, begin: int) -> int:
        whole, start = pcm.frames_of_ms(item.duration_ms), pcm.frames_of_ms(item.start_ms)
        frames = max(0, whole - start)
        end = begin + frames
        if end <= self._stream.wanted:
            return self._pad(begin, frames)
        sound = SignalSound(signal, whole, item.hertz)
        gain = pcm.factor_of_db(item.gain_db)
        position = max(begin, self._stream.wanted)
        self._mark(position, index)
        length = _FIRST_SIGNAL_FRAMES
        while position < end:
            count = min(length, end - position)
            piece = sound.read(start + position - begin, count)
            if piece is None:
                self._push(Piece(end - position), position)
                break
            piece = _ramp_before(piece, end - position - count)
            if not self._push(Piece(count, piece, gain), position):
                break
            position += count
            length = _SIGNAL_FRAMES
        return end

    def _fill_file(self, index: int, item: Item, path: Path, begin: int) -> int:
        try:
            media = examine(path)
        except UnreadableError as error:
            self._failed(self.cue.number, index, "unreadable", f"{path.name} {error}")
            return self._pad(begin, plan_slot(item, None).frames or 0)
        slot = plan_slot(item, media.length())
        if slot.frames is not None and begin + slot.frames <= self._stream.wanted:
            return self._pad(begin, slot.frames)
        heard = self._decode(index, item, media, slot, begin)
        missing = 0 if slot.frames is None else slot.frames - heard
        if heard <= 0 and not self._stream.closed:
            self._failed(
                self.cue.number, index, "unreadable", f"{path.name} holds no sound that can be decoded"
            )
        elif missing > _TOLERANCE_FRAMES and not self._stream.closed:
            detail = f"{path.name} ends {pcm.ms_of_frames(missing)} ms early"
            self._failed(self.cue.number, index, "truncated", detail)
        return self._pad(begin + heard, missing)

    def _decode(self, index: int, item: Item, media: Media, slot: Slot, begin: int) -> int:
        """Returns how far into the slot there is sound, frames skipped at its beginning included."""
        skipped = max(0, self._stream.wanted - begin)
        most = _most(item, media, slot)
        seek = media.seek(pcm.frames_of_ms(item.start_ms) + skipped)
        discard = seek.discard
        done = skipped
        gain = pcm.factor_of_db(item.gain_db)
        decoder = self._player()
        decoder.start(item.path or Path(), media, seek)
        marked = False
        while most is None or done < most:
            piece = decoder.read(_PATIENCE_S)
            if self._stream.closed or piece == b"":
                break
            if piece is None:
                continue
            self._progress_ns = time.monotonic_ns()
            dropped = min(discard, len(piece) // pcm.WIDTH)
            discard -= dropped
            end = len(piece) if most is None else (dropped + most - done) * pcm.WIDTH
            piece = piece[dropped * pcm.WIDTH : end]
            if not piece:
                continue
            if not marked:
                marked = True
                self._mark(begin + done, index)
            frames = len(piece) // pcm.WIDTH
            if slot.frames is not None and slot.cut:
                piece = _ramp_before(piece, slot.frames - done - frames)
            if not self._push(Piece(frames, piece, gain), begin + done):
                break
            done += frames
        decoder.stop()
        return done if marked else 0

    def _player(self) -> Decoder:
        if self._decoder is None:
            decoder = Decoder(self._instance())
            with self._lock:
                self._decoder = decoder
            if self._stream.closed:
                decoder.interrupt()
        return self._decoder

    def _mark(self, frame: int, index: int) -> None:
        with self._lock:
            self._marks.append((frame, index))

    def _pad(self, begin: int, frames: int) -> int:
        """Let `frames` of the stream from `begin` on be silence; returns the frame after them."""
        end = begin + max(0, frames)
        self._stream.skip_to(end)
        return end

    def _push(self, piece: Piece, begin: int) -> bool:
        """Append a piece that begins at stream frame `begin`; waits for room; False once closed."""
        self._stream.skip_to(begin)
        done = self._stream.push(piece)
        self._progress_ns = time.monotonic_ns()
        return done


def _most(item: Item, media: Media, slot: Slot) -> int | None:
    """Frames of the slot that the file can fill: what is decoded beyond is padding for the decoder's sake."""
    length = media.length()
    if slot.frames is None or length is None:
        return slot.frames
    return min(slot.frames, max(0, length - pcm.frames_of_ms(item.start_ms)))


def _ramp_before(piece: bytes, left: int) -> bytes:
    """Fade the part of `piece` that lies within 5 ms of the end of its slot, `left` frames after it."""
    frames = len(piece) // pcm.WIDTH
    inside = min(frames, _EDGE_FRAMES - left)
    if inside <= 0:
        return piece
    at = (frames - inside) * pcm.WIDTH
    return piece[:at] + pcm.ramp(piece[at:], (left + inside) / _EDGE_FRAMES, left / _EDGE_FRAMES)


__all__ = ["Cue", "Deck", "FeedPlan", "Item", "Slot", "plan_slot"]
