"""A simulated sound card, amplifier path and loudspeaker, paced by CLOCK_MONOTONIC like the real thing.

Where no simulated amplifier was ever opened in the directory, sound passes: that is a box with an
amplifier that is always on.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from drivers.audio import pcm
from drivers.audio.sink import FORGIVEN_FRAMES, LEAD_FRAMES, SinkError
from drivers.audio.speaker_file import SpeakerFile
from drivers.simulation import AmplifierCell, FaultFile, Faults, Gate, SpeakerCell, suffixed

logger = logging.getLogger(__name__)

_START_FRAMES = pcm.frames_of_ms(4)
_HEADER_EVERY_FRAMES = pcm.frames_of_ms(100)
_LEVEL_FRAMES = pcm.frames_of_ms(200)
_HANG_STEP_S = 0.1


class _Queued(NamedTuple):
    frame: int
    sound: bytes


class Echo(Protocol):
    """Something that also wants to hear what the loudspeaker gives out."""

    def offer(self, sound: bytes) -> None:
        """Take sound; never fails."""
        ...


class SimulatedSink:
    """Writes what a loudspeaker behind an amplifier would give out to `speaker.wav`."""

    def __init__(
        self, directory: Path, zone: str, keep_minutes: int, echo: Echo | None = None, ppm: int = 0
    ) -> None:
        """Open the files of a simulated zone.

        Args:
            directory: of the simulated box.
            zone: "main" or another name, which becomes part of the file names.
            keep_minutes: how much of the past `speaker.wav` holds.
            echo: also hears everything.
            ppm: by how many millionths the card is too fast, -2000 to 2000.
        """
        self._ppm = ppm
        self._shorter = 0.0  # frames by which the sound is still to be shortened
        self.xruns = 0
        self._faults = FaultFile(directory)
        self._file = SpeakerFile(directory, suffixed("speaker", zone), keep_minutes)
        self._amplifier = AmplifierCell(directory, zone)
        self._spare = AmplifierCell(directory, zone, spare=True)
        self._speaker = SpeakerCell(directory, zone, writable=True)
        self._echo = echo
        self._queue: deque[_Queued] = deque()
        self._next = 0  # frame of the time line that the next write begins at
        self._recent: deque[tuple[int, float]] = deque()
        self._recent_frames = 0
        self._reached = 0
        self._unwritten = False
        self._late = False

    def check(self) -> None:
        if self._faults.current().card_missing:
            raise SinkError("simulated sound card is missing (faults.toml: card_missing)")
        self._keep(lambda: self._file.reach(self._file.frame_at(time.monotonic_ns())))

    def open(self) -> None:
        self.check()
        self._queue.clear()
        self._next = self._file.frame_at(time.monotonic_ns()) + _START_FRAMES

    def next_ns(self) -> int:
        self._catch_up(time.monotonic_ns())
        return self._file.origin_ns + pcm.ns_of_frames(self._next)

    def write(self, sound: bytes) -> None:
        self.ready(len(sound) // pcm.WIDTH)
        sound = self._as_heard(sound)
        self._queue.append(_Queued(self._next, sound))
        self._next += len(sound) // pcm.WIDTH

    def ready(self, frames: int) -> None:
        while True:
            now_ns = time.monotonic_ns()
            faults = self._faults.current()
            if faults.card_missing:
                raise SinkError("simulated sound card was unplugged (faults.toml: card_missing)")
            self._consume(now_ns)
            if faults.decoder_hang:
                time.sleep(_HANG_STEP_S)
                continue
            self._catch_up(now_ns)
            excess = self._next + frames - self._file.frame_at(now_ns) - LEAD_FRAMES
            if excess <= 0:
                break
            time.sleep(excess / pcm.RATE)

    def _as_heard(self, sound: bytes) -> bytes:
        """Sound at the pace of this card's crystal: a fast one is through with it sooner."""
        frames = len(sound) // pcm.WIDTH
        self._shorter += frames * self._ppm / (1_000_000 + self._ppm)
        steps = max(-frames, min(frames - 1, int(self._shorter))) if frames else 0
        self._shorter -= steps
        return pcm.stretch(sound, frames - steps)

    def close(self) -> None:
        now_ns = time.monotonic_ns()
        self._consume(now_ns)
        self._queue.clear()
        self._keep(lambda: self._file.reach(self._file.frame_at(now_ns)))
        self._recent.clear()
        self._recent_frames = 0
        self._speaker.store(pcm.SILENT_DBFS, now_ns)

    def release(self) -> None:
        """Finish the files; the sink is of no use afterwards."""
        self._file.close()
        self._amplifier.close()
        self._spare.close()
        self._speaker.close()

    def _catch_up(self, now_ns: int) -> None:
        """Count a writer that comes too late; one that comes much too late leaves a hole.

        Pauses of a virtual machine are forgiven: the time line is a file, and its sound is still exact.
        """
        now = self._file.frame_at(now_ns)
        late = self._next < now
        if late and not self._late:
            self.xruns += 1
        self._late = late
        if self._next < now - FORGIVEN_FRAMES:
            self._next = now + _START_FRAMES

    def _consume(self, now_ns: int) -> None:
        """Everything that the clock has passed has been heard: to the file with it."""
        now = self._file.frame_at(now_ns)
        faults = self._faults.current()
        gates = self._gates(faults)
        while self._queue and self._queue[0].frame < now:
            frame, sound = self._queue.popleft()
            heard = now - frame
            if heard * pcm.WIDTH < len(sound):
                self._queue.appendleft(_Queued(now, sound[heard * pcm.WIDTH :]))
                sound = sound[: heard * pcm.WIDTH]
            self._give_out(frame, self._gated(frame, sound, gates))
        if now - self._reached >= _HEADER_EVERY_FRAMES:
            self._reached = now
            self._keep(lambda: self._file.reach(now))
            self._publish(now_ns)

    def _gates(self, faults: Faults) -> list[Gate] | None:
        """Amplifiers that may let sound through; None where it passes as it is."""
        if faults.horn_open or faults.line_short or faults.amplifier_no_power:
            return []
        main, spare = self._amplifier.load(), self._spare.load()
        if main is None and spare is None:
            return [] if faults.amplifier_dead else None
        return [gate for gate in (None if faults.amplifier_dead else main, spare) if gate is not None]

    def _gated(self, frame: int, sound: bytes, gates: list[Gate] | None) -> bytes:
        """Silence wherever no amplifier passes."""
        if gates is None:
            return sound
        heard = bytearray(len(sound))
        for gate in gates:
            edge = -(-(gate.since_ns - self._file.origin_ns) * pcm.RATE // 1_000_000_000)
            split = min(max(0, edge - frame) * pcm.WIDTH, len(sound))
            part = slice(split, None) if gate.passing else slice(0, split)
            heard[part] = sound[part]
        return bytes(heard)

    def _give_out(self, frame: int, sound: bytes) -> None:
        if pcm.peak(sound):
            self._keep(lambda: self._file.write(frame, sound))
        frames = len(sound) // pcm.WIDTH
        self._recent.append((frames, pcm.mean_square(sound)))
        self._recent_frames += frames
        while self._recent_frames - self._recent[0][0] >= _LEVEL_FRAMES:
            self._recent_frames -= self._recent.popleft()[0]
        if self._echo is not None:
            self._echo.offer(sound)

    def _keep(self, write: Callable[[], None]) -> None:
        """Write to the file; a loudspeaker goes on sounding when a disk is full."""
        try:
            write()
        except OSError as error:
            if not self._unwritten:
                logger.warning("the simulated speaker cannot be recorded: %s", error)
            self._unwritten = True
        else:
            self._unwritten = False

    def _publish(self, now_ns: int) -> None:
        squares = sum(frames * square for frames, square in self._recent)
        level = math.sqrt(squares / self._recent_frames) if self._recent_frames else 0.0
        self._speaker.store(pcm.dbfs(level), now_ns)
