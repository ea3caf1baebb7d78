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
from drivers.audio.levels import Limiter
from drivers.audio.sink import Sink, SinkError
from drivers.audio.voice import CHUNK_FRAMES, FADE_FRAMES, Part, StalledError, Voice

logger = logging.getLogger(__name__)

Emit = Callable[[dict[str, Any]], None]

_OPEN_AHEAD_NS = 250_000_000
_HOLD_NS = 400_000_000  # the card stays open this long after the last sound
_LEVEL_NS = 180_000_000
_LATE_JOIN_NS = 40_000_000
_UNDER_END_FRAMES = pcm.frames_of_ms(50)
_REAL_TIME_PRIORITY = 10


class Player:
    """One cue sounds, one may go on underneath it for a while, and one may wait for its moment."""

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
        self._under: Voice | None = None
        self._limiter = Limiter()
        self._quitting = False
        self._open = False
        self._beat_ns: int | None = None
        self._due: deque[tuple[int, Callable[[], None]]] = deque()
        self._meter = pcm.Meter()
        self._heard_number: int | None = None
        self._heard_item = 0
        self._heard_frames = 0
        self._heard_starved_ms = 0
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
            for voice in self._sounding():
                if voice.number == number:
                    voice.close_in(max(FADE_FRAMES, pcm.frames_of_ms(fade_ms)))
            self._wake.notify_all()
        if dropped is not None:
            self._discard(dropped)

    def adjust(self, number: int, volume_db: float, max_dbfs: float, ramp_ms: int) -> None:
        """Change volume and limit of a cue; no-op when it is not in force."""
        with self._wake:
            sounding = self._sounding()
            waiting = [] if self._pending is None else [self._pending]
            for voice in sounding + waiting:
                if voice.number == number:
                    voice.adjust(volume_db, max_dbfs, ramp_ms, sounding=voice in sounding)

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
            for voice in self._sounding():
                voice.close_in(4 * FADE_FRAMES)
            dropped, self._pending = self._pending, None
            self._wake.notify_all()
        if dropped is not None:
            self._discard(dropped)
        self._thread.join(timeout_s)

    def _sounding(self) -> list[Voice]:
        """The cues that are heard, the newer one first; called with the lock held."""
        return [voice for voice in (self._current, self._under) if voice is not None]

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
            self._beat_ns = time.monotonic_ns()
            # Wait first, decide then: whoever is asked for meanwhile is heard that much sooner.
            self._sink.ready(CHUNK_FRAMES)
            now_ns, next_ns = time.monotonic_ns(), self._sink.next_ns()
            self._flush(now_ns)
            with self._wake:
                frames = self._arrange(next_ns)
                voices = self._sounding()
                waiting = self._pending is not None and self._pending.begin_ns - next_ns < _OPEN_AHEAD_NS
            if not voices:
                if not waiting and not self._due and (self._quitting or now_ns - idle_since_ns > _HOLD_NS):
                    return
                self._sink.write(pcm.silence(frames))
                continue
            idle_since_ns = now_ns
            self._play(voices, frames, next_ns)

    def _arrange(self, next_ns: int) -> int:
        """Decide who sounds in the next piece and how long it is; called with the lock held."""
        pending = self._pending
        if pending is None:
            return CHUNK_FRAMES
        duck_ms = pending.deck.cue.duck_ms
        ducked_ns = pending.deck.cue.at_ns + duck_ms * 1_000_000 - next_ns if duck_ms else 0
        ducks = ducked_ns > 0 and self._current is not None and not self._current.stopping
        ending = [voice for voice in self._sounding() if not ducks or voice is self._under]
        if pcm.frames_of_ns(pending.begin_ns - next_ns) < 0:
            pending.begin_ns = next_ns + (pcm.ns_of_frames(FADE_FRAMES) if ending else 0)
        until = max(0, pcm.frames_of_ns(pending.begin_ns - next_ns))
        if until == 0:
            for voice in ending:
                self._finish(voice, next_ns, "stopped")
            if ducks and self._current is not None:
                self._current.duck(pending.deck.cue.duck_db, pcm.frames_of_ns(ducked_ns))
                self._under = self._current
            self._begin(pending, next_ns)
            return CHUNK_FRAMES
        if ending and until <= FADE_FRAMES:
            for voice in ending:
                voice.close_in(until)
            return until
        return min(CHUNK_FRAMES, until - FADE_FRAMES if until > FADE_FRAMES else until)

    def _begin(self, voice: Voice, next_ns: int) -> None:
        self._pending, self._current = None, voice
        voice.begin(next_ns)
        number = voice.number
        self._at(next_ns, lambda: self._heard_begin(number, next_ns))

    def _heard_begin(self, number: int, at_ns: int) -> None:
        self._heard_number, self._heard_item, self._heard_frames = number, 0, 0
        self._meter.take()
        self._level_ns = at_ns
        self._emit({"ev": "started", "cue": number, "at_ns": at_ns})

    def _play(self, voices: list[Voice], frames: int, next_ns: int) -> None:
        """Write the next piece of what sounds."""
        for voice in voices:
            left = voice.left()
            if left <= 0:
                with self._wake:
                    self._finish(voice, next_ns, "stopped" if voice.stopping else "finished")
                return
            frames = min(frames, left)
        parts = [voice.render(frames, next_ns) for voice in voices]
        for voice in voices:
            for frame, index in voice.deck.marks_until(voice.frame):
                at_ns = next_ns + pcm.ns_of_frames(frames - (voice.frame - frame))
                self._announce(voice.number, index, max(voice.begin_ns, at_ns))
        sound = self._mix(parts, frames)
        square, highest, starved_ms = pcm.mean_square(sound), pcm.peak(sound), parts[0].starved_ms
        self._at(
            next_ns + pcm.ns_of_frames(frames), lambda: self._consumed(frames, square, highest, starved_ms)
        )
        self._sink.write(sound)

    def _mix(self, parts: list[Part], frames: int) -> bytes:
        """Add up what sounds, below the lowest of its ceilings."""
        ceiling = min(part.ceiling for part in parts)
        peak, ahead = sum(part.peak for part in parts), sum(part.ahead for part in parts)
        ceiling_ahead = min(part.ceiling_ahead for part in parts)
        begin, end = self._limiter.next(frames, peak, ahead, ceiling, ceiling_ahead)
        pieces = [pcm.ramp(part.sound, part.begin * begin, part.end * end) for part in parts]
        sound = pieces[0]
        for piece in pieces[1:]:
            sound = pcm.add(sound, piece)
        return pcm.clamp(sound, ceiling)

    def _announce(self, number: int, index: int, at_ns: int) -> None:
        def heard() -> None:
            if number == self._heard_number:
                self._heard_item = index
            self._emit({"ev": "item", "cue": number, "index": index, "at_ns": at_ns})

        self._at(at_ns, heard)

    def _finish(self, voice: Voice, at_ns: int, reason: str) -> None:
        """The last frame of a cue has been written and will be heard at `at_ns`; lock held."""
        voice.deck.close()
        if self._current is voice:
            self._current = None
            if self._under is not None:
                self._under.close_in(_UNDER_END_FRAMES)
        elif self._under is voice:
            self._under = None
        played_ms = pcm.ms_of_frames(voice.written)

        def heard() -> None:
            if voice.number == self._heard_number:
                self._level(at_ns)
                self._heard_number = None
            self._emit(_ended(voice.number, at_ns, reason, played_ms))

        self._at(at_ns, heard)

    def _lost(self, detail: str) -> None:
        """The card is gone: what was written and not heard never will be."""
        now_ns = time.monotonic_ns()
        self._flush(now_ns)
        self._due.clear()
        heard_number, self._heard_number = self._heard_number, None
        with self._wake:
            voices = self._sounding() + ([] if self._pending is None else [self._pending])
            self._current = self._under = self._pending = None
        numbers = [voice.number for voice in voices]
        if heard_number is not None and heard_number not in numbers:
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

    def _consumed(self, frames: int, square: float, highest: int, starved_ms: int) -> None:
        if self._heard_number is None:
            return  # only the rest of an older cue
        self._heard_frames += frames
        self._heard_starved_ms = starved_ms
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
                "starved_ms": self._heard_starved_ms,
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
