"""A cue that sounds: where it is in its stream, and how loud."""

from __future__ import annotations

import time
from typing import NamedTuple

from drivers.audio import pcm
from drivers.audio.deck import Deck
from drivers.audio.levels import Fader

CHUNK_FRAMES = pcm.frames_of_ms(20)
FADE_FRAMES = pcm.frames_of_ms(5)
_LEAVE_FRAMES = pcm.frames_of_ms(100)
_DUCK_FRAMES = pcm.frames_of_ms(100)
_JUMP_FRAMES = pcm.frames_of_ms(30)
_DRIFT_FRAMES = 48.0
_DRIFT_SMOOTHING = 0.02
_STEPS_MAX = 3
_STARVED_NS = 800_000_000


class StalledError(Exception):
    """The decoder gives nothing any more; only a fresh process helps."""


class Part(NamedTuple):
    """What a voice adds to the next piece of sound.

    Attributes:
        sound: before gain.
        begin: linear gain at its beginning.
        end: linear gain at its end.
        peak: highest sample with gain, fades left out.
        ahead: highest sample of what follows, with gain.
        ceiling: highest sample that may come out, 0 to 32768.
        ceiling_ahead: the same for what follows.
        starved_ms: how long its live sound has given nothing.
    """

    sound: bytes
    begin: float
    end: float
    peak: float
    ahead: float
    ceiling: int
    ceiling_ahead: int
    starved_ms: int


class Voice:
    """A cue in force.

    Attributes:
        deck: the stream.
        begin_ns: moment of its first frame here; later than `Cue.at_ns` when it joins late.
        frame: next frame of the stream to be drawn.
        written: frames drawn so far.
        leaving: frames until it fades away under a newer cue, or None.
    """

    def __init__(self, deck: Deck) -> None:
        cue = deck.cue
        self.deck = deck
        self.begin_ns = cue.at_ns
        self.frame = 0
        self.written = 0
        self.leaving: int | None = None
        self._volume = Fader(pcm.factor_of_db(cue.volume_db))
        self._ceiling = Fader(pcm.ceiling_of_db(cue.max_dbfs))
        self._duck = Fader(1.0)
        self._fade_in = pcm.frames_of_ms(cue.fade_in_ms)
        self._opened = 0  # of `written`, where the opening ramp began
        self._closing: int | None = None  # frames of the closing ramp still to come
        self._closing_frames = 0.0
        self._drift = 0.0
        self._starved_since_ns: int | None = None

    @property
    def number(self) -> int:
        return self.deck.cue.number

    @property
    def stopping(self) -> bool:
        """Whether it is on its closing ramp."""
        return self._closing is not None

    def begin(self, next_ns: int) -> None:
        """Its first frame will be heard at `next_ns`; in the middle of a stream it fades in in any case."""
        self.frame = max(0, pcm.frames_of_ns(next_ns - self.deck.cue.at_ns))
        self.begin_ns = next_ns
        if self.frame:
            self._fade_in = max(self._fade_in, FADE_FRAMES)

    def close_in(self, frames: int) -> None:
        """Ramp down to silence in `frames` frames (at least 1), or sooner if that is under way."""
        gain = 1.0
        if self._closing is not None:
            if self._closing <= frames:
                return
            gain = self._closing / self._closing_frames
        self._closing, self._closing_frames = frames, frames / gain

    def duck(self, decibels: float, frames: int) -> None:
        """Go on underneath, lowered, for `frames` frames, and then fade away."""
        self._duck.go(pcm.factor_of_db(decibels), min(_DUCK_FRAMES, frames))
        self.leaving = frames

    def adjust(self, volume_db: float, max_dbfs: float, ramp_ms: int, *, sounding: bool) -> None:
        """Change volume and limit, along a ramp if it sounds."""
        frames = pcm.frames_of_ms(ramp_ms) if sounding else 0
        self._volume.go(pcm.factor_of_db(volume_db), frames)
        self._ceiling.go(pcm.ceiling_of_db(max_dbfs), frames)

    def left(self) -> int:
        """Frames until something about it changes; 0 or less when it is over."""
        if self.leaving is not None and self.leaving <= 0:
            self.leaving = None
            self.close_in(_LEAVE_FRAMES)
        total = self.deck.total
        limits = [self._closing, self.leaving, None if total is None else total - self.frame]
        return min((limit for limit in limits if limit is not None), default=CHUNK_FRAMES)

    def render(self, frames: int, next_ns: int) -> Part:
        """Draw the next `frames` frames, the first of which will be heard at `next_ns`.

        Raises:
            StalledError: the decoder is stuck.
        """
        starved_ms = self.deck.starved_ms(self.frame)
        sound, gain = self._draw(frames, next_ns)
        volume, duck, ceiling = (fader.next(frames) for fader in (self._volume, self._duck, self._ceiling))
        envelope = self._envelope(0), self._envelope(frames)
        self.written += frames
        if self._closing is not None:
            self._closing -= frames
        if self.leaving is not None:
            self.leaving -= frames
        return Part(
            sound,
            begin=gain * volume[0] * duck[0] * envelope[0],
            end=gain * volume[1] * duck[1] * envelope[1],
            peak=pcm.peak(sound) * gain * max(volume) * max(duck),
            ahead=self.deck.loudest(self.frame, CHUNK_FRAMES) * self._volume.highest * duck[1],
            ceiling=int(min(ceiling)),
            ceiling_ahead=int(self._ceiling.lowest(CHUNK_FRAMES)),
            starved_ms=starved_ms,
        )

    def _envelope(self, ahead: int) -> float:
        done = self.written - self._opened + ahead
        opening = min(1.0, done / self._fade_in) if self._fade_in else 1.0
        if self._closing is None:
            return opening
        return opening * max(0.0, (self._closing - ahead) / self._closing_frames)

    def _draw(self, frames: int, next_ns: int) -> tuple[bytes, float]:
        """Take the next frames of the stream, following the clock as the card's crystal drifts."""
        error = pcm.frames_of_ns(next_ns - self.deck.cue.at_ns) - self.frame
        self._drift += (error - self._drift) * _DRIFT_SMOOTHING
        if abs(error) > _JUMP_FRAMES:
            self.frame, self._drift = max(0, self.frame + error), 0.0
            if self.written:
                self._opened, self._fade_in = self.written, FADE_FRAMES
        steps = max(-_STEPS_MAX, min(_STEPS_MAX, int(self._drift / _DRIFT_FRAMES)))
        if frames <= abs(steps):
            steps = 0
        drawn = self.deck.take(self.frame, frames + steps)
        self._watch(late=drawn.late)
        self.frame += frames + steps
        self._drift -= steps
        return pcm.stretch(drawn.sound, frames), drawn.gain

    def _watch(self, *, late: bool) -> None:
        """Give up on a decoder that stays silent while its sound is due."""
        now_ns = time.monotonic_ns()
        if not late:
            self._starved_since_ns = None
        elif self._starved_since_ns is None:
            self._starved_since_ns = now_ns
        elif min(now_ns - self._starved_since_ns, self.deck.idle_ns()) > _STARVED_NS:
            raise StalledError(f"the decoder has given no sound for {_STARVED_NS // 1_000_000} ms")
