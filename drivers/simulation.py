"""What the simulated devices of one box share: faults to show, and cells of shared memory."""

from __future__ import annotations

import logging
import mmap
import os
import struct
import time
import tomllib
import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

from drivers.api import DriverSetupError, Options

logger = logging.getLogger(__name__)

_LOOK_EVERY_NS = 150_000_000
_CELL_BYTES = 64
MAIN_ZONE = "main"


@dataclass(frozen=True, slots=True)
class Faults:
    """What is broken in a simulated box, as written in `faults.toml`.

    Attributes:
        horn_open: the line to the loudspeaker is cut.
        line_short: the line to the loudspeaker is shorted: no sound, and a large current while powered.
        amplifier_dead: the main amplifier takes orders and gives no sound; a spare one is not touched.
        amplifier_fault: the fault pin of the main amplifier is active.
        amplifier_hot: the amplifier is at 90 degrees Celsius.
        amplifier_no_power: the supply of the amplifiers gives nothing: 0 V, 0 A, no sound.
        dc_low: the supply of the amplifiers gives 18 V instead of 24 V.
        microphone_deaf: the monitoring microphone hears nothing.
        card_missing: the sound card is unplugged.
        mains_lost: the box runs on its battery.
        sim_out_of_data: the mobile link is registered but carries nothing.
        clock_unknown: nothing has set the wall clock.
        disk_full: no room for media.
        decoder_hang: the audio worker stops making progress while it plays.
        board_missing: the electronic board does not answer.
        board_power_lost: the electronic board loses its power for a moment and forgets its picture.
        board_changed: somebody else puts a picture on the electronic board.
        board_slow: the electronic board answers 3 s late.
        board_night: the light sensor of the electronic board sees darkness.
        tuner_missing: the FM receiver does not answer.
        tuner_no_signal: the FM receiver finds no station.
    """

    horn_open: bool = False
    line_short: bool = False
    amplifier_dead: bool = False
    amplifier_fault: bool = False
    amplifier_hot: bool = False
    amplifier_no_power: bool = False
    dc_low: bool = False
    microphone_deaf: bool = False
    card_missing: bool = False
    mains_lost: bool = False
    sim_out_of_data: bool = False
    clock_unknown: bool = False
    disk_full: bool = False
    decoder_hang: bool = False
    board_missing: bool = False
    board_power_lost: bool = False
    board_changed: bool = False
    board_slow: bool = False
    board_night: bool = False
    tuner_missing: bool = False
    tuner_no_signal: bool = False


_FAULT_NAMES = frozenset(field.name for field in fields(Faults))


class FaultFile:
    """Follows `DIR/faults.toml`; a missing file means that nothing is broken."""

    def __init__(self, directory: Path, *, look_every_ns: int = _LOOK_EVERY_NS) -> None:
        """Remember where to look.

        Args:
            directory: of the simulated box.
            look_every_ns: least time between two looks at the file.
        """
        self._path = directory / "faults.toml"
        self._look_every_ns = look_every_ns
        self._looked_ns: int | None = None
        self._seen: tuple[int, int, int] | None = None
        self._faults = Faults()
        self._told: set[str] = set()

    def current(self) -> Faults:
        """Return the faults now in force; a malformed file leaves the last good ones."""
        now = time.monotonic_ns()
        if self._looked_ns is not None and now - self._looked_ns < self._look_every_ns:
            return self._faults
        self._looked_ns = now
        try:
            status = self._path.stat()
        except OSError:
            self._seen, self._faults = None, Faults()
            return self._faults
        seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        if seen != self._seen:
            self._seen = seen
            self._read()
        return self._faults

    def _read(self) -> None:
        try:
            found = tomllib.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            self._tell(f"{self._path}: kept the last good faults: {error}")
            return
        chosen = {}
        for key, value in found.items():
            if key not in _FAULT_NAMES:
                self._tell(
                    f"{self._path}: there is no fault {key!r}; known: {', '.join(sorted(_FAULT_NAMES))}"
                )
            elif not isinstance(value, bool):
                self._tell(f"{self._path}: fault {key!r} must be true or false")
            else:
                chosen[key] = value
        self._faults = Faults(**chosen)

    def _tell(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            logger.warning("%s", text)


def place(name: str, options: Options) -> tuple[Path, str]:
    """Read the options every simulated device has.

    Args:
        name: of the device, for messages.
        options: `dir` (existing or new directory, required) and `zone` (default "main").

    Raises:
        DriverSetupError: `dir` is missing, or one of them is not text.
    """
    directory = options.get("dir")
    zone = options.get("zone", MAIN_ZONE)
    if not isinstance(directory, (str, Path)) or not str(directory):
        raise DriverSetupError(f"{name}: option 'dir' must name the directory of the simulated box")
    if not isinstance(zone, str) or not zone or "/" in zone:
        raise DriverSetupError(f"{name}: option 'zone' must be a short name without '/'")
    return Path(directory), zone


def suffixed(stem: str, zone: str, extension: str = "") -> str:
    """File name of a zone: the main zone has the plain name."""
    return f"{stem}{extension}" if zone == MAIN_ZONE else f"{stem}-{zone}{extension}"


class _Cell:
    """64 bytes shared by one writer and any readers; a checksum shows a torn read."""

    def __init__(self, path: Path, layout: str, *, writable: bool) -> None:
        self._path = path
        self._layout = struct.Struct("<I" + layout)
        self._writable = writable
        self._map: mmap.mmap | None = None
        self._sequence = 0
        if writable:
            self._attach()

    def _attach(self) -> bool:
        flags = os.O_RDWR | os.O_CREAT if self._writable else os.O_RDONLY
        try:
            descriptor = os.open(self._path, flags | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:
            return False
        try:
            if os.fstat(descriptor).st_size < _CELL_BYTES:
                if not self._writable:
                    return False
                os.ftruncate(descriptor, _CELL_BYTES)
            access = mmap.ACCESS_WRITE if self._writable else mmap.ACCESS_READ
            self._map = mmap.mmap(descriptor, _CELL_BYTES, access=access)
        finally:
            os.close(descriptor)
        return True

    def store(self, *values: float) -> None:
        if self._map is None:
            raise ValueError(f"{self._path} is closed")
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        body = self._layout.pack(self._sequence, *values)
        self._map[: len(body) + 4] = body + struct.pack("<I", zlib.crc32(body))

    def load(self) -> tuple[float, ...] | None:
        """Return the values, or None while nobody has written any."""
        if self._map is None and not self._attach():
            return None
        if self._map is None:
            return None
        size = self._layout.size
        for _ in range(50):
            raw = self._map[: size + 4]
            if zlib.crc32(raw[:size]) == struct.unpack("<I", raw[size:])[0]:
                return self._layout.unpack(raw[:size])[1:]
            if not any(raw):
                return None
            time.sleep(0.0001)
        return None

    def close(self) -> None:
        if self._map is not None:
            self._map.close()
            self._map = None


class Gate(NamedTuple):
    """Whether the simulated amplifier passes sound, and since when.

    Attributes:
        powered: the enable pin is on.
        muted: the mute pin is on.
        passing: sound passes (from `since_ns` on), else it is blocked (from `since_ns` on); needs power, no
            mute and, where there are such pins, standby released and the line closed.
        since_ns: CLOCK_MONOTONIC nanoseconds; may lie ahead while the amplifier warms up.
        changed_ns: CLOCK_MONOTONIC nanoseconds of the last edge.
    """

    powered: bool
    muted: bool
    passing: bool
    since_ns: int
    changed_ns: int


class AmplifierCell:
    """State of a simulated amplifier, from the agent to the simulated loudspeaker."""

    def __init__(self, directory: Path, zone: str, *, spare: bool = False, writable: bool = False) -> None:
        """Attach to the cell of the zone's main amplifier, or to that of its spare one."""
        stem = ".spare-amplifier" if spare else ".amplifier"
        self._cell = _Cell(directory / suffixed(stem, zone), "???qq", writable=writable)

    def store(self, gate: Gate) -> None:
        self._cell.store(*gate)

    def load(self) -> Gate | None:
        """Return the last state written, or None when no simulated amplifier was ever opened here."""
        found = self._cell.load()
        if found is None:
            return None
        powered, muted, passing, since_ns, changed_ns = found
        return Gate(bool(powered), bool(muted), bool(passing), int(since_ns), int(changed_ns))

    def close(self) -> None:
        self._cell.close()


class SpeakerCell:
    """Level of a simulated loudspeaker, from the audio worker to the simulated line sensor."""

    def __init__(self, directory: Path, zone: str, *, writable: bool = False) -> None:
        self._cell = _Cell(directory / suffixed(".speaker", zone), "dq", writable=writable)

    def store(self, rms_dbfs: float, at_ns: int) -> None:
        self._cell.store(rms_dbfs, at_ns)

    def load(self) -> tuple[float, int] | None:
        """Return (rms in dBFS, CLOCK_MONOTONIC ns of the measurement), or None when there is none yet."""
        found = self._cell.load()
        return None if found is None else (found[0], int(found[1]))

    def close(self) -> None:
        self._cell.close()


class Reception(NamedTuple):
    """State of a simulated FM receiver.

    Attributes:
        megahertz: tuned to; 0 before the first time.
        muted: its output is muted.
        locked: a station is received.
        changed_ns: CLOCK_MONOTONIC nanoseconds of the last change.
    """

    megahertz: float
    muted: bool
    locked: bool
    changed_ns: int


class TunerCell:
    """State of the simulated FM receiver, for whoever plays its sound."""

    def __init__(self, directory: Path, *, writable: bool = False) -> None:
        self._cell = _Cell(directory / ".tuner", "d??q", writable=writable)

    def store(self, reception: Reception) -> None:
        self._cell.store(*reception)

    def load(self) -> Reception | None:
        """Return the last state written, or None when no simulated tuner was ever opened here."""
        found = self._cell.load()
        if found is None:
            return None
        megahertz, muted, locked, changed_ns = found
        return Reception(megahertz, bool(muted), bool(locked), int(changed_ns))

    def close(self) -> None:
        self._cell.close()
