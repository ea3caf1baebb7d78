"""One cue as a continuous stream of frames: items decoded ahead, each in its own slot of time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from drivers.audio import pcm
from drivers.audio.decoder import Decoder, DecoderError
from drivers.audio.media import Media, UnreadableError, examine

_AHEAD_FRAMES = 2 * pcm.RATE
_TOLERANCE_FRAMES = pcm.frames_of_ms(60)
_EDGE_FRAMES = pcm.frames_of_ms(5)
_SILENCE_FRAMES = pcm.RATE // 10
_PATIENCE_S = 0.25


class Item(NamedTuple):
    """One file of a cue; fields as in `drivers.api.CueItem`."""

    path: Path
    start_ms: int
    duration_ms: int
    gain_db: float


class Cue(NamedTuple):
    """What the agent asked for; fields as in `drivers.api.Audio.cue`."""

    number: int
    items: tuple[Item, ...]
    at_ns: int
    fade_in_ms: int
    max_dbfs: float


class Slot(NamedTuple):
    """The place of one item in the stream.

    Attributes:
        frames: length at 48 kHz, or None when only decoding will tell.
        cut: the file is longer than its slot and ends with a ramp.
    """

    frames: int | None
    cut: bool


def plan_slot(item: Item, length: int | None) -> Slot:
    """Decide how long an item lasts in the stream.

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
    """Decodes the items of a cue in its own thread and gives out any part of the stream on demand.

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
            failed: called as (cue, index, code, detail) from the decoding thread.
            first: first frame of the stream that will be wanted, >= 0.
        """
        self.cue = cue
        self._instance = instance
        self._failed = failed
        self._limit = pcm.factor_of_db(cue.max_dbfs)
        self._changed = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._position = first  # stream frame of the first byte in _pieces
        self._end = first  # stream frame after the last byte in _pieces
        self._wanted = first
        self._marks: deque[tuple[int, int]] = deque()
        self._closed = False
        self._finished = False
        self._decoder: Decoder | None = None
        self._progress_ns = time.monotonic_ns()
        self._thread = threading.Thread(target=self._run, name=f"deck-{cue.number}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def total(self) -> int | None:
        """Length of the stream in frames, once the decoder has seen the end."""
        with self._changed:
            return self._end if self._finished else None

    def idle_ns(self) -> int:
        """How long the decoder has made no progress although it had room; 0 when all is well."""
        with self._changed:
            if self._finished or self._closed or self._end - self._wanted >= _AHEAD_FRAMES:
                return 0
            return time.monotonic_ns() - self._progress_ns

    def available(self, frame: int) -> int:
        """Frames decoded from `frame` on."""
        with self._changed:
            return max(0, self._end - max(frame, self._position))

    def marks_until(self, frame: int) -> list[tuple[int, int]]:
        """Take the (stream frame, item index) of each item that begins before `frame`."""
        taken = []
        with self._changed:
            while self._marks and self._marks[0][0] < frame:
                taken.append(self._marks.popleft())
        return taken

    def take(self, frame: int, count: int) -> tuple[bytes, bool]:
        """Give out `count` frames from `frame` on; what is not there is silence.

        Frames before `frame` are forgotten, so callers move forwards only.

        Returns:
            exactly `count` frames, and whether frames were missing because decoding is late.
        """
        parts = []
        with self._changed:
            self._wanted = max(self._wanted, frame)
            self._forget(frame)
            lead = min(count, max(0, self._position - frame))
            if lead:
                parts.append(pcm.silence(lead))
            need = (count - lead) * pcm.WIDTH
            while need and self._pieces:
                piece = self._pieces.popleft()
                if len(piece) > need:
                    self._pieces.appendleft(piece[need:])
                    piece = piece[:need]
                parts.append(piece)
                need -= len(piece)
                self._position += len(piece) // pcm.WIDTH
            late = bool(need) and not self._finished
            self._wanted = frame + count
            self._changed.notify_all()
        if need:
            parts.append(bytes(need))
        return b"".join(parts), late

    def close(self) -> None:
        """Let the decoding thread end; returns at once."""
        with self._changed:
            self._closed = True
            decoder = self._decoder
            self._changed.notify_all()
        if decoder is not None:
            decoder.interrupt()

    def join(self, timeout_s: float) -> None:
        """Wait for the decoding thread."""
        self._thread.join(timeout_s)

    def _forget(self, frame: int) -> None:
        while self._pieces and self._position < frame:
            piece = self._pieces.popleft()
            excess = (frame - self._position) * pcm.WIDTH
            if len(piece) > excess:
                self._pieces.appendleft(piece[excess:])
                self._position = frame
            else:
                self._position += len(piece) // pcm.WIDTH
        if not self._pieces:
            self._position = max(self._position, min(frame, self._end))

    # --- the decoding thread ----------------------------------------------------------------------

    def _run(self) -> None:
        begin = 0
        try:
            for index, item in enumerate(self.cue.items):
                begin = self._fill(index, item, begin)
                if self._closed:
                    break
        finally:
            with self._changed:
                self._finished = True
                decoder, self._decoder = self._decoder, None
                self._changed.notify_all()
            if decoder is not None:
                decoder.close()

    def _fill(self, index: int, item: Item, begin: int) -> int:
        """Decode one item into the stream at frame `begin`; returns the frame after it."""
        try:
            media = examine(item.path)
        except UnreadableError as error:
            self._failed(self.cue.number, index, "unreadable", f"{item.path.name} {error}")
            slot = plan_slot(item, None)
            return begin + self._pad(begin, slot.frames or 0)
        slot = plan_slot(item, media.length())
        if slot.frames is not None and begin + slot.frames <= self._wanted:
            return begin + self._pad(begin, slot.frames)
        heard = self._decode(item, media, slot, begin, index)
        missing = 0 if slot.frames is None else slot.frames - heard
        if heard <= 0 and not self._closed:
            self._failed(
                self.cue.number, index, "unreadable", f"{item.path.name} holds no sound that can be decoded"
            )
        elif missing > _TOLERANCE_FRAMES and not self._closed:
            detail = f"{item.path.name} ends {pcm.ms_of_frames(missing)} ms early"
            self._failed(self.cue.number, index, "truncated", detail)
        return begin + heard + self._pad(begin + heard, missing)

    def _decode(self, item: Item, media: Media, slot: Slot, begin: int, index: int) -> int:
        """Returns how far into the slot there is sound, frames skipped at its beginning included."""
        skipped = max(0, self._wanted - begin)
        most = _most(item, media, slot)
        seek = media.seek(pcm.frames_of_ms(item.start_ms) + skipped)
        discard = seek.discard
        done = skipped
        gain = pcm.factor_of_db(item.gain_db)
        decoder = self._player()
        decoder.start(item.path, media, seek)
        marked = False
        while most is None or done < most:
            piece = decoder.read(_PATIENCE_S)
            if self._closed or piece == b"":
                break
            if piece is None:
                continue
            self._advance()
            dropped = min(discard, len(piece) // pcm.WIDTH)
            discard -= dropped
            end = len(piece) if most is None else (dropped + most - done) * pcm.WIDTH
            piece = piece[dropped * pcm.WIDTH : end]
            if not piece:
                continue
            if not marked:
                marked = True
                self._mark(begin + done, index)
            done += len(piece) // pcm.WIDTH
            piece = pcm.clamp(pcm.scale(piece, gain), self._limit)
            if slot.frames is not None and slot.cut:
                piece = _ramp_before(piece, slot.frames - done)
            if not self._push(piece, begin + done):
                break
        decoder.stop()
        return done if marked else 0

    def _player(self) -> Decoder:
        if self._decoder is None:
            decoder = Decoder(self._instance())
            with self._changed:
                self._decoder = decoder
                closed = self._closed
            if closed:
                decoder.interrupt()
        return self._decoder

    def _mark(self, frame: int, index: int) -> None:
        with self._changed:
            self._marks.append((frame, index))

    def _advance(self) -> None:
        with self._changed:
            self._progress_ns = time.monotonic_ns()

    def _pad(self, begin: int, frames: int) -> int:
        """Fill `frames` of the stream from `begin` on with silence, skipping what nobody wants."""
        end = begin + max(0, frames)
        position = begin
        while position < end:
            with self._changed:
                if self._closed:
                    break
                if position < self._wanted and not self._pieces:
                    position = min(end, self._wanted)
                    self._position = self._end = max(self._end, position)
            length = min(_SILENCE_FRAMES, end - position)
            if length and not self._push(pcm.silence(length), position + length):
                break
            position += length
        return end - begin

    def _push(self, piece: bytes, end: int) -> bool:
        """Append sound that ends at stream frame `end`; waits for room; False once closed."""
        with self._changed:
            while self._end - self._wanted >= _AHEAD_FRAMES and not self._closed:
                self._changed.wait(_PATIENCE_S)
            if self._closed:
                return False
            if not self._pieces:
                self._position = end - len(piece) // pcm.WIDTH
            self._pieces.append(piece)
            self._end = end
            self._progress_ns = time.monotonic_ns()
            self._forget(self._wanted)
            self._changed.notify_all()
        return True


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


__all__ = ["Cue", "Deck", "DecoderError", "Item", "Slot", "plan_slot"]
