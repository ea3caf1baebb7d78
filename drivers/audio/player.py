"""The output thread: puts the frames of cues on the sound card at their exact moment."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from drivers.audio import pcm
from drivers.audio.deck import Cue, Deck
from drivers.audio.sink import Sink, SinkError

logger = logging.getLogger(__name__)

Emit = Callable[[dict[str, Any]], None]

_CHUNK = pcm.frames_of_ms(20)
_FADE = pcm.frames_of_ms(5)
_OPEN_AHEAD_NS = 250_000_000
_HOLD_NS = 400_000_000  # the card stays open this long after the last sound
_LEVEL_NS = 180_000_000
_JUMP_FRAMES = pcm.frames_of_ms(30)
_DRIFT_FRAMES = 48.0
_DRIFT_SMOOTHING = 0.02
_STARVED_NS = 1_000_000_000
_LATE_JOIN_NS = 40_000_000
_REAL_TIME_PRIORITY = 10


class StalledError(Exception):
    """The decoder gives nothing any more; only a fresh process helps."""


class Voice:
    """A cue in force: where it is in its stream, and how loud.

    Attributes:
        deck: the stream.
        begin_ns: moment of its first frame here; later than `Cue.at_ns` when it joins late.
        frame: next frame of the stream to be written.
        written: frames written so far.
        stop_frames: frames of the closing ramp, or None while nobody wants it to stop.
        fading: frames of the closing ramp still to write.
    """

    def __init__(self, deck: Deck) -> None:
        self.deck = deck
        self.begin_ns = deck.cue.at_ns
        self.joined = False
        self.frame = 0
        self.written = 0
        self.item = 0
        self.stop_frames: int | None = None
        self.fading = 0
        self.drift = 0.0
        self.starved_since_ns: int | None = None
        self.fade_in = pcm.frames_of_ms(deck.cue.fade_in_ms)

    @property
    def number(self) -> int:
        return self.deck.cue.number

    def envelope(self, frames: int) -> tuple[float, float]:
        """Gain at the beginning and at the end of the next `frames` frames."""

        def gain(ahead: int) -> float:
            opening = min(1.0, (self.written + ahead) / self.fade_in) if self.fade_in else 1.0
            closing = max(0.0, (self.fading - ahead) / self.stop_frames) if self.stop_frames else 1.0
            return opening * closing

        return gain(0), gain(frames)


class Player:
    """At most one cue sounds and at most one waits for its moment."""

    def __init__(
        self, sink: Sink, emit: Emit, instance: Callable[[], Any], give_up: Callable[[str], None]
    ) -> None:
        """Prepare; the thread begins with `start`.

        Args:
            sink: the sound card.
            emit: takes events as dictionaries (see `drivers.audio.client`); must not block.
            instance: gives the libvlc instance, from any thread.
            give_up: called with the reason when only a fresh process can help; must not return.
        """
        self._sink = sink
        self._emit = emit
        self._instance = instance
        self._give_up = give_up
        self._wake = threading.Condition()
        self._current: Voice | None = None
        self._pending: Voice | None = None
        self._quitting = False
        self._open = False
        self._beat_ns: int | None = None
        self._due: deque[tuple[int, Callable[[], None]]] = deque()
        self._meter = pcm.Meter()
        self._heard_number = 0
        self._heard_item = 0
        self._heard_frames = 0
        self._level_ns = 0
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)

    def start(self) -> None:
        self._thread.start()

    # --- called by the control thread ---------------------------------------------------------------

    def cue(self, cue: Cue) -> None:
        """Load a cue; it replaces the one that sounds at its own moment."""
        late_ns = time.monotonic_ns() + _LATE_JOIN_NS - cue.at_ns
        deck = Deck(cue, self._instance, self._item_failed, first=max(0, pcm.frames_of_ns(late_ns)))
        deck.start()
        with self._wake:
            replaced, self._pending = self._pending, Voice(deck)
            self._wake.notify_all()
        if replaced is not None:
            self._discard(replaced)

    def stop(self, number: int, fade_ms: int) -> None:
        """End a cue with a ramp down; no-op when it is not in force."""
        with self._wake:
            dropped = None
            if self._pending is not None and self._pending.number == number:
                dropped, self._pending = self._pending, None
            elif (
                self._current is not None
                and self._current.number == number
                and self._current.stop_frames is None
            ):
                self._current.fading = max(_FADE, pcm.frames_of_ms(fade_ms))
                self._current.stop_frames = self._current.fading
            self._wake.notify_all()
        if dropped is not None:
            self._discard(dropped)

    def stalled_ms(self) -> int:
        """How long the output thread has made no progress while it had work; 0 when idle."""
        beat_ns = self._beat_ns
        return 0 if beat_ns is None else (time.monotonic_ns() - beat_ns) // 1_000_000

    def sounding(self) -> bool:
        """Whether the card is open."""
        return self._open

    def quit(self, timeout_s: float) -> None:
        """Fade out what sounds, close the card and end the thread."""
        with self._wake:
            self._quitting = True
            if self._current is not None and self._current.stop_frames is None:
                self._current.fading = self._current.stop_frames = 4 * _FADE
            dropped, self._pending = self._pending, None
            self._wake.notify_all()
        if dropped is not None:
            self._discard(dropped)
        self._thread.join(timeout_s)

    def _discard(self, voice: Voice) -> None:
        """End a cue that was never heard."""
        voice.deck.close()
        self._emit(_ended(voice.number, time.monotonic_ns(), "stopped", 0))

    def _item_failed(self, number: int, index: int, code: str, detail: str) -> None:
        self._emit({"ev": "failed", "cue": number, "index": index, "code": code, "detail": detail})

    # --- the output thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        # Sound before all else on the box; not permitted everywhere, and not needed where nothing competes.
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(_REAL_TIME_PRIORITY))
        while self._wait_for_work():
            try:
                self._sink.open()
                self._open = True
                self._session()
            except SinkError as error:
                self._lost(str(error))
            except StalledError as error:
                self._give_up(str(error))
            finally:
                self._open = False
                self._beat_ns = None
                self._sink.close()

    def _wait_for_work(self) -> bool:
        with self._wake:
            while True:
                if self._quitting:
                    return False
                if self._pending is None:
                    self._wake.wait()
                    continue
                left_ns = self._pending.deck.cue.at_ns - _OPEN_AHEAD_NS - time.monotonic_ns()
                if left_ns <= 0:
                    self._beat_ns = time.monotonic_ns()
                    return True
                self._wake.wait(left_ns / 1e9)

    def _session(self) -> None:
        """Keep the card fed until nothing sounds and nothing is about to."""
        idle_since_ns = time.monotonic_ns()
        self._level_ns = idle_since_ns
        while True:
            self._beat_ns = now_ns = time.monotonic_ns()
            next_ns = self._sink.next_ns()
            self._flush(now_ns)
            with self._wake:
                frames = self._arrange(next_ns)
                voice = self._current
                waiting = self._pending is not None and self._pending.begin_ns - next_ns < _OPEN_AHEAD_NS
            if voice is None:
                if not waiting and not self._due and (self._quitting or now_ns - idle_since_ns > _HOLD_NS):
                    return
                self._sink.write(pcm.silence(frames))
                continue
            idle_since_ns = now_ns
            self._play(voice, frames, next_ns)

    def _arrange(self, next_ns: int) -> int:
        """Decide who sounds in the next piece and how long it is; called with the lock held."""
        if self._pending is not None:
            pending, current = self._pending, self._current
            if pcm.frames_of_ns(pending.begin_ns - next_ns) < 0:
                pending.begin_ns = next_ns + (pcm.ns_of_frames(_FADE) if current is not None else 0)
            until = max(0, pcm.frames_of_ns(pending.begin_ns - next_ns))
            if until == 0:
                if current is not None:
                    self._finish(current, next_ns, "stopped")
                self._begin(pending, next_ns)
                return _CHUNK
            if current is not None and until <= _FADE:
                if current.stop_frames is None:
                    current.fading = current.stop_frames = until
                return min(until, _CHUNK)
            return min(_CHUNK, until - _FADE if until > _FADE else until)
        return _CHUNK

    def _begin(self, voice: Voice, next_ns: int) -> None:
        self._pending, self._current = None, voice
        voice.frame = max(0, pcm.frames_of_ns(next_ns - voice.deck.cue.at_ns))
        voice.begin_ns = next_ns
        number = voice.number
        self._at(next_ns, lambda: self._heard_begin(number, next_ns))

    def _heard_begin(self, number: int, at_ns: int) -> None:
        self._heard_number, self._heard_item, self._heard_frames = number, 0, 0
        self._meter.take()
        self._level_ns = at_ns
        self._emit({"ev": "started", "cue": number, "at_ns": at_ns})

    def _play(self, voice: Voice, frames: int, next_ns: int) -> None:
        """Write the next piece of a cue."""
        total = voice.deck.total
        if total is not None:
            frames = min(frames, total - voice.frame)
        if voice.stop_frames is not None:
            frames = min(frames, voice.fading)
        if frames <= 0:
            with self._wake:
                self._finish(voice, next_ns, "finished" if voice.stop_frames is None else "stopped")
            return
        sound = self._draw(voice, frames, next_ns)
        begin, end = voice.envelope(frames)
        if (begin, end) != (1.0, 1.0):
            sound = pcm.ramp(sound, begin, end)
        for frame, index in voice.deck.marks_until(voice.frame):
            self._announce(
                voice.number,
                index,
                max(voice.begin_ns, next_ns + pcm.ns_of_frames(frames - (voice.frame - frame))),
            )
        voice.written += frames
        if voice.stop_frames is not None:
            voice.fading -= frames
        square, highest = pcm.mean_square(sound), pcm.peak(sound)
        self._at(next_ns + pcm.ns_of_frames(frames), lambda: self._consumed(frames, square, highest))
        self._sink.write(sound)

    def _draw(self, voice: Voice, frames: int, next_ns: int) -> bytes:
        """Take the next frames of the stream, following the clock as the card's crystal drifts."""
        error = pcm.frames_of_ns(next_ns - voice.deck.cue.at_ns) - voice.frame
        voice.drift += (error - voice.drift) * _DRIFT_SMOOTHING
        if abs(error) > _JUMP_FRAMES:
            voice.frame, voice.drift = max(0, voice.frame + error), 0.0
        step = 0
        if voice.drift > _DRIFT_FRAMES:
            step = 1
        elif voice.drift < -_DRIFT_FRAMES:
            step = -1
        sound, late = voice.deck.take(voice.frame, frames + step)
        self._watch(voice, late=late)
        voice.frame += frames + step
        voice.drift -= step
        if step > 0:
            return sound[: -pcm.WIDTH]
        return sound + sound[-pcm.WIDTH :] if step < 0 else sound

    def _watch(self, voice: Voice, *, late: bool) -> None:
        """Give up on a decoder that stays silent while its sound is due."""
        now_ns = time.monotonic_ns()
        if not late:
            voice.starved_since_ns = None
        elif voice.starved_since_ns is None:
            voice.starved_since_ns = now_ns
        elif min(now_ns - voice.starved_since_ns, voice.deck.idle_ns()) > _STARVED_NS:
            raise StalledError("the decoder has given no sound for one second")

    def _announce(self, number: int, index: int, at_ns: int) -> None:
        def heard() -> None:
            self._heard_item = index
            self._emit({"ev": "item", "cue": number, "index": index, "at_ns": at_ns})

        self._at(at_ns, heard)

    def _finish(self, voice: Voice, at_ns: int, reason: str) -> None:
        """The last frame of a cue has been written and will be heard at `at_ns`; lock held."""
        voice.deck.close()
        if self._current is voice:
            self._current = None
        played_ms = pcm.ms_of_frames(voice.written)

        def heard() -> None:
            self._level(at_ns)
            self._heard_number = 0
            self._emit(_ended(voice.number, at_ns, reason, played_ms))

        self._at(at_ns, heard)

    def _lost(self, detail: str) -> None:
        """The card is gone: what was written and not heard never will be."""
        now_ns = time.monotonic_ns()
        self._flush(now_ns)
        self._due.clear()
        heard_number, self._heard_number = self._heard_number, 0
        with self._wake:
            voices = [voice for voice in (self._current, self._pending) if voice is not None]
            self._current = self._pending = None
        numbers = [voice.number for voice in voices]
        if heard_number and heard_number not in numbers:
            numbers.insert(0, heard_number)
        for voice in voices:
            voice.deck.close()
        for number in numbers:
            played_ms = pcm.ms_of_frames(self._heard_frames) if number == heard_number else 0
            self._emit(_ended(number, now_ns, "device_lost", played_ms, detail))

    # --- what is heard, when it is heard -------------------------------------------------------------

    def _at(self, at_ns: int, action: Callable[[], None]) -> None:
        self._due.append((at_ns, action))

    def _flush(self, now_ns: int) -> None:
        while self._due and self._due[0][0] <= now_ns:
            self._due.popleft()[1]()

    def _consumed(self, frames: int, square: float, highest: int) -> None:
        self._heard_frames += frames
        self._meter.add(frames, square, highest)
        now_ns = time.monotonic_ns()
        if now_ns - self._level_ns >= _LEVEL_NS:
            self._level(now_ns)

    def _level(self, at_ns: int) -> None:
        self._level_ns = at_ns
        rms, highest = self._meter.take()
        self._emit(
            {
                "ev": "level",
                "cue": self._heard_number,
                "item": self._heard_item,
                "played_ms": pcm.ms_of_frames(self._heard_frames),
                "rms": round(rms, 2),
                "peak": round(highest, 2),
            }
        )


def _ended(number: int, at_ns: int, reason: str, played_ms: int, detail: str = "") -> dict[str, Any]:
    return {
        "ev": "ended",
        "cue": number,
        "at_ns": at_ns,
        "reason": reason,
        "played_ms": played_ms,
        "detail": detail,
    }


__all__ = ["Player"]
