"""`speaker.wav`: everything a simulated loudspeaker gave out, on one continuous, bounded time line."""

from __future__ import annotations

import errno
import json
import logging
import os
import struct
import threading
import time
from pathlib import Path

from drivers.audio.pcm import RATE, WIDTH, ns_of_frames

logger = logging.getLogger(__name__)

HEADER_BYTES = 44
_NS = 1_000_000_000
_COPY_BYTES = 1 << 20
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Identity of the running kernel's boot; CLOCK_MONOTONIC values compare only within one."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def header(frames: int) -> bytes:
    """WAV header for mono 16 bit 48 kHz sound of `frames` frames."""
    size = frames * WIDTH
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(
            b"RIFF",
            36 + size,
            b"WAVE",
            b"fmt ",
            16,
            1,
            1,
            RATE,
            RATE * WIDTH,
            WIDTH,
            8 * WIDTH,
            b"data",
            size,
        ),
    )


class SpeakerFile:
    """The file and the mapping of its samples to the clock, kept in the `.json` beside it.

    Places on the time line are counted in frames since the origin, `origin_ns`; they stay valid when old
    sound is dropped from the front of the file. Any thread may call any method.
    """

    def __init__(self, directory: Path, stem: str, keep_minutes: int) -> None:
        """Open or create the file, continuing one that belongs to this boot.

        Args:
            directory: created when missing.
            stem: file name without `.wav`.
            keep_minutes: sound older than this is dropped (10 % later at most).
        """
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / f"{stem}.wav"
        self._side = directory / f"{stem}.json"
        self._previous = directory / f"{stem}.previous.wav"
        self._keep = keep_minutes * 60 * RATE
        self._compact_at = self._keep + self._keep // 10
        self._lock = threading.RLock()
        self._dropped = 0  # frames from the origin to the first frame of the file
        self._length = 0  # frames in the file
        self._told = -1
        self._compacting: threading.Thread | None = None
        self.origin_ns = 0
        self._file = self._continue()
        if self._file < 0:
            self._file = self._begin()

    def frame_at(self, monotonic_ns: int) -> int:
        """Number of the frame that is heard at a moment."""
        return (monotonic_ns - self.origin_ns) * RATE // _NS

    def write(self, frame: int, sound: bytes) -> None:
        """Store sound that was heard from `frame` on; whatever lies between is silence."""
        with self._lock:
            place = frame - self._dropped
            if place < 0:
                return
            os.pwrite(self._file, sound, HEADER_BYTES + place * WIDTH)
            self._length = max(self._length, place + len(sound) // WIDTH)

    def reach(self, frame: int) -> None:
        """Let the file end at `frame` at least, with silence, and make the header tell the truth."""
        with self._lock:
            length = frame - self._dropped
            if length > self._length:
                os.ftruncate(self._file, HEADER_BYTES + length * WIDTH)
                self._length = length
            if self._length != self._told:
                os.pwrite(self._file, header(self._length), 0)
                self._told = self._length
            if self._length > self._compact_at and self._compacting is None:
                self._compacting = threading.Thread(target=self._compact, name="speaker-compact", daemon=True)
                self._compacting.start()

    def close(self) -> None:
        """Finish the header and let go of the file."""
        with self._lock:
            compacting = self._compacting
        if compacting is not None:
            compacting.join()
        with self._lock:
            os.pwrite(self._file, header(self._length), 0)
            os.close(self._file)
            self._file = -1

    def settle(self) -> None:
        """Wait until old sound has been dropped, if that is under way."""
        compacting = self._compacting
        if compacting is not None:
            compacting.join()

    # --- beginning and continuing -----------------------------------------------------------------

    def _begin(self) -> int:
        if self._path.exists():
            self._path.replace(self._previous)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        os.pwrite(descriptor, header(0), 0)
        self.origin_ns = time.monotonic_ns()
        self._write_side(self.origin_ns, time.time_ns())
        return descriptor

    def _continue(self) -> int:
        """Take over the file of an earlier worker of this boot; -1 when there is none."""
        try:
            side = json.loads(self._side.read_text(encoding="utf-8"))
            first_ns = int(side["first_sample_monotonic_ns"])
            size = self._path.stat().st_size
            same = side["boot_id"] == boot_id() and side["rate"] == RATE and side["channels"] == 1
        except (OSError, ValueError, KeyError, TypeError):
            return -1
        now_ns = time.monotonic_ns()
        longest = (now_ns - first_ns) * RATE // _NS + RATE
        frames = (size - HEADER_BYTES) // WIDTH
        if not same or size < HEADER_BYTES or now_ns < first_ns or frames > longest:
            return -1
        if longest > 2 * self._keep:
            return -1  # hours of silence since: a fresh file is the bounded one
        descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        self.origin_ns = first_ns
        self._length = frames
        return descriptor

    def _write_side(self, first_ns: int, first_wall_ns: int) -> None:
        text = json.dumps(
            {
                "rate": RATE,
                "channels": 1,
                "first_sample_wall_ns": first_wall_ns,
                "first_sample_monotonic_ns": first_ns,
                "boot_id": boot_id(),
            },
            indent=1,
        )
        temporary = self._side.with_suffix(".json.new")
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(self._side)

    # --- dropping old sound -------------------------------------------------------------------------

    def _compact(self) -> None:
        """Run `_drop_old`; when there is no room for the copy, try again a tenth later."""
        temporary = self._path.with_suffix(".wav.new")
        try:
            self._drop_old(temporary)
        except OSError as error:
            logger.warning("old sound in %s cannot be dropped: %s", self._path, error)
            temporary.unlink(missing_ok=True)
        with self._lock:
            self._compact_at = self._length + self._keep // 10
            self._compacting = None

    def _drop_old(self, temporary: Path) -> None:
        """Copy the last minutes to a new file while the old one goes on growing, then change over."""
        with self._lock:
            # Whole seconds, so that the moment of the first frame stays exact in nanoseconds.
            drop = (self._length - self._keep) // RATE * RATE
            copied = self._length
            source = self._file
        target = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            self._copy(source, target, drop, copied, drop)
            with self._lock:
                self._copy(source, target, copied, self._length, drop)
                length = self._length - drop
                os.ftruncate(target, HEADER_BYTES + length * WIDTH)
                os.pwrite(target, header(length), 0)
                first_ns = self.origin_ns + ns_of_frames(self._dropped + drop)
                self._write_side(first_ns, time.time_ns() - (time.monotonic_ns() - first_ns))
                temporary.replace(self._path)
                self._dropped += drop
                self._length = self._told = length
                self._file, target = target, source
        finally:
            os.close(target)

    @staticmethod
    def _copy(source: int, target: int, first: int, end: int, drop: int) -> None:
        """Copy frames `first` to `end` of one file to `first - drop` of the other; holes stay holes."""
        shift = drop * WIDTH
        position, stop = HEADER_BYTES + first * WIDTH, HEADER_BYTES + end * WIDTH
        while position < stop:
            try:
                position = max(position, os.lseek(source, position, os.SEEK_DATA))
                hole = os.lseek(source, position, os.SEEK_HOLE)
            except OSError as error:
                if error.errno == errno.ENXIO:  # only a hole remains
                    return
                raise
            while position < min(hole, stop):
                length = min(hole, stop, position + _COPY_BYTES) - position
                done = os.copy_file_range(source, target, length, position, position - shift)
                if done <= 0:
                    return
                position += done
