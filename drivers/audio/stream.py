"""The frames of one cue by their place: pieces of sound, stretches of silence, stretches of live sound."""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple, Protocol

from drivers.audio import pcm

AHEAD_FRAMES = 2 * pcm.RATE
ENDLESS = 1 << 60
_WAIT_S = 0.25


class Live(Protocol):
    """Sound that has no place in time: it is asked for frames when they are due."""

    def draw(self, frames: int) -> bytes: ...

    def loudest(self, frames: int) -> int: ...

    def starved_ms(self) -> int: ...

    def close(self) -> None: ...


class Piece(NamedTuple):
    """A stretch of a stream.

    Attributes:
        frames: its length.
        sound: decoded sound, live sound, or None for silence.
        gain: linear gain its sound wants; applied by whoever plays it.
    """

    frames: int
    sound: bytes | Live | None = None
    gain: float = 1.0


class Drawn(NamedTuple):
    """Frames taken from a stream.

    Attributes:
        sound: before gain.
        gain: linear gain that it wants.
        late: frames are missing because nobody has supplied them in time.
    """

    sound: bytes
    gain: float
    late: bool


def _part(piece: Piece, begin: int, count: int) -> Piece:
    """Frames `begin` to `begin + count` of a piece."""
    sound = piece.sound
    if isinstance(sound, bytes):
        sound = sound[begin * pcm.WIDTH : (begin + count) * pcm.WIDTH]
    return Piece(count, sound, piece.gain)


class Stream:
    """A queue of pieces between the thread that makes them and the one that plays them.

    Places are frames of the stream. The reader only moves forwards and may jump; what it has passed is
    forgotten.
    """

    def __init__(self, first: int = 0) -> None:
        """Begin at frame `first`: nothing before it is wanted."""
        self._changed = threading.Condition()
        self._pieces: deque[Piece] = deque()
        self._position = first  # of the first frame in _pieces
        self._end = first  # after the last frame in _pieces
        self._wanted = first
        self._closed = False
        self._finished = False

    # --- the thread that makes sound ------------------------------------------------------------------

    @property
    def wanted(self) -> int:
        """The next frame that the reader will ask for."""
        return self._wanted

    @property
    def closed(self) -> bool:
        return self._closed

    def push(self, piece: Piece) -> bool:
        """Append a piece; waits while two seconds are there already; False once closed."""
        with self._changed:
            if not self.wait_room():
                return False
            if piece.frames > 0:
                self._pieces.append(piece)
                self._end += piece.frames
                self._forget(self._wanted)
            return True

    def wait_room(self) -> bool:
        """Wait until less than two seconds are there; False once closed."""
        with self._changed:
            while self._end - self._wanted >= AHEAD_FRAMES and not self._closed:
                self._changed.wait(_WAIT_S)
            return not self._closed

    def skip_to(self, frame: int) -> None:
        """What is pushed next begins at `frame`; what lies between is silence."""
        with self._changed:
            if frame > self._end:
                self._pieces.append(Piece(frame - self._end))
                self._end = frame
                self._forget(self._wanted)

    def finish(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._finished = True

    def wait_closed(self, timeout_s: float) -> bool:
        """Wait until nobody wants the stream any more."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, timeout_s)

    # --- the thread that plays it -----------------------------------------------------------------------

    @property
    def total(self) -> int | None:
        """Length in frames, once the end is known."""
        with self._changed:
            return self._end if self._finished else None

    def full(self) -> bool:
        """Whether the maker of sound has nothing to do at present."""
        with self._changed:
            return self._finished or self._closed or self._end - self._wanted >= AHEAD_FRAMES

    def take(self, frame: int, count: int) -> Drawn:
        """Give out exactly `count` frames from `frame` on; what is not there is silence."""
        with self._changed:
            self._wanted = max(self._wanted, frame)
            self._forget(frame)
            found = self._look(frame, count)
            self._wanted = frame + count
            missing = count - sum(piece.frames for piece in found)
            late = missing > 0 and not self._finished
            self._forget(self._wanted)
            self._changed.notify_all()
        gain = max((piece.gain for piece in found if piece.sound is not None), default=1.0)
        parts = [_sound(piece, gain) for piece in found]
        return Drawn(b"".join(parts) + pcm.silence(missing), gain, late)

    def loudest(self, frame: int, count: int) -> float:
        """Highest sample of frames that will be taken, their gain applied."""
        with self._changed:
            found = self._look(frame, count)
        return max((_loudest(piece) for piece in found), default=0.0)

    def live(self, frame: int) -> Live | None:
        """The live sound to which a frame belongs."""
        with self._changed:
            for piece in self._look(frame, 1):
                if piece.sound is not None and not isinstance(piece.sound, bytes):
                    return piece.sound
        return None

    def close(self) -> None:
        """Nobody wants any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    # --- with the lock held -------------------------------------------------------------------------------

    def _look(self, frame: int, count: int) -> list[Piece]:
        """The pieces that make up a stretch, as far as they are there; silence before the first."""
        found = []
        lead = min(count, max(0, self._position - frame))
        if lead:
            found.append(Piece(lead))
        place, end = self._position, frame + count
        for piece in self._pieces:
            begin, stop = max(frame, place), min(end, place + piece.frames)
            if begin < stop:
                found.append(_part(piece, begin - place, stop - begin))
            place += piece.frames
            if place >= end:
                break
        return found

    def _forget(self, frame: int) -> None:
        while self._pieces and self._position < frame:
            piece = self._pieces[0]
            excess = frame - self._position
            if piece.frames > excess:
                if excess >= pcm.RATE or not isinstance(piece.sound, bytes):
                    self._pieces[0] = _part(piece, excess, piece.frames - excess)
                    self._position = frame
                return
            self._pieces.popleft()
            self._position += piece.frames


def _sound(piece: Piece, gain: float) -> bytes:
    """The sound of a piece, made to suit a common gain that is at least its own."""
    if piece.sound is None:
        return pcm.silence(piece.frames)
    sound = piece.sound if isinstance(piece.sound, bytes) else piece.sound.draw(piece.frames)
    return pcm.scale(sound, piece.gain / gain)


def _loudest(piece: Piece) -> float:
    if piece.sound is None:
        return 0.0
    if isinstance(piece.sound, bytes):
        return pcm.peak(piece.sound) * piece.gain
    return piece.sound.loudest(piece.frames) * piece.gain
