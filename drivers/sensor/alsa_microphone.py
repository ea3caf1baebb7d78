"""A monitoring microphone near the loudspeaker, captured by libasound in a thread of its own."""

from __future__ import annotations

import asyncio
import audioop
import ctypes
import errno
import logging
import math
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from drivers.api import DeviceUnavailableError, DriverSetupError, LineReading, LineSense, Options
from drivers.options import refuse_unknown, text
from drivers.sensor.microphone import THRESHOLD_DBFS, threshold

if TYPE_CHECKING:
    from drivers.api import LineSenseDriver

logger = logging.getLogger(__name__)

RATE = 48_000
_WIDTH = 2
_BLOCK_FRAMES = RATE // 5  # 200 ms, the time over which the level is taken
_LATENCY_US = 400_000
_WAIT_MS = 100
_STREAM_CAPTURE = 1
_NONBLOCK = 1
_FORMAT_S16_LE = 2
_ACCESS_RW_INTERLEAVED = 3
_STALE_NS = 1_000_000_000
_FIRST_S = 2.0
_JOIN_S = 1.0
_SILENT_DBFS = -120.0
_FULL_SCALE = 32_768.0
_OVERRUN = frozenset({errno.EPIPE, errno.ESTRPIPE, errno.EINTR})
_AHEAD_S = 0.2


class CaptureError(Exception):
    """The device gives no sound."""


def load_capture_library() -> Any:
    """Load libasound for capturing; raises DriverSetupError when it is not installed."""
    try:
        library = ctypes.CDLL("libasound.so.2")
    except OSError as error:
        raise DriverSetupError(f"libasound is not installed: {error}") from error
    handle, code, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_ulong
    for name, result, arguments in (
        ("snd_pcm_open", code, [ctypes.POINTER(handle), ctypes.c_char_p, code, code]),
        ("snd_pcm_close", code, [handle]),
        ("snd_pcm_set_params", code, [handle, code, code, ctypes.c_uint, ctypes.c_uint, code, ctypes.c_uint]),
        ("snd_pcm_start", code, [handle]),
        ("snd_pcm_wait", code, [handle, code]),
        ("snd_pcm_recover", code, [handle, code, code]),
        ("snd_pcm_readi", ctypes.c_long, [handle, ctypes.c_char_p, size]),
        ("snd_strerror", ctypes.c_char_p, [code]),
    ):
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


def level_dbfs(sound: bytes) -> float:
    """Level of 16-bit mono sound without its direct component, -120 to 0."""
    if not sound:
        return _SILENT_DBFS
    half = audioop.mul(sound, _WIDTH, 0.5)  # leaves room to take the direct component away
    rms = audioop.rms(audioop.bias(half, _WIDTH, -audioop.avg(half, _WIDTH)), _WIDTH)
    return 20 * math.log10(2 * rms / _FULL_SCALE) if rms else _SILENT_DBFS


class _Capture:
    """The thread that listens, and the newest level it heard."""

    def __init__(self, device: str, library: Any) -> None:
        self._device = device
        self._library = library
        self._stop = threading.Event()
        self.newest: tuple[float, int] | None = None
        self.problem: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"microphone {device}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; blocks for at most a second."""
        self._stop.set()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        handle = ctypes.c_void_p()
        try:
            self._check(
                self._library.snd_pcm_open(
                    ctypes.byref(handle), self._device.encode(), _STREAM_CAPTURE, _NONBLOCK
                )
            )
            try:
                self._listen(handle, self._set_format(handle))
            finally:
                self._library.snd_pcm_close(handle)
        except CaptureError as error:
            self.problem = str(error)

    def _set_format(self, handle: Any) -> int:
        """Set 16 bit at 48 kHz, mono where the card can; returns the number of channels."""
        result = 0
        for channels in (1, 2):
            result = self._library.snd_pcm_set_params(
                handle, _FORMAT_S16_LE, _ACCESS_RW_INTERLEAVED, channels, RATE, 1, _LATENCY_US
            )
            if result >= 0:
                return channels
        self._check(result)
        return 1

    def _listen(self, handle: Any, channels: int) -> None:
        step = _WIDTH * channels
        buffer = ctypes.create_string_buffer(_BLOCK_FRAMES * step)
        block = bytearray()
        self._start(handle)
        begun_s = time.monotonic()
        heard_frames = 0
        while not self._stop.is_set():
            frames = self._library.snd_pcm_readi(handle, buffer, _BLOCK_FRAMES - len(block) // step)
            if frames in (0, -errno.EAGAIN):
                self._recover(handle, self._library.snd_pcm_wait(handle, _WAIT_MS))
                continue
            if frames < 0:
                self._recover(handle, int(frames))
                continue
            block += buffer.raw[: frames * step]
            heard_frames += frames
            if len(block) == len(buffer):
                sound = bytes(block)
                block.clear()
                if channels > 1:
                    sound = audioop.tomono(sound, _WIDTH, 0.5, 0.5)
                self.newest = (level_dbfs(sound), time.monotonic_ns())
            # A device without a clock of its own, such as ALSA's "null", would keep a processor busy.
            ahead_s = begun_s + heard_frames / RATE - time.monotonic()
            if ahead_s > _AHEAD_S:
                self._stop.wait(ahead_s)

    def _recover(self, handle: Any, code: int) -> None:
        """Go on after an overrun; raises CaptureError when the device is gone."""
        if code >= 0:
            return
        if -code not in _OVERRUN:
            self._check(code)
        self._check(self._library.snd_pcm_recover(handle, code, 1))
        self._start(handle)

    def _start(self, handle: Any) -> None:
        code = self._library.snd_pcm_start(handle)
        if code != -errno.EBADFD:  # EBADFD: it runs already
            self._check(code)

    def _check(self, code: int) -> None:
        if code < 0:
            message: bytes | None = self._library.snd_strerror(code)
            raise CaptureError(message.decode("utf-8", "replace") if message else f"error {-code}")


class _OpenMicrophone:
    def __init__(self, name: str, device: str, capture: _Capture, threshold_dbfs: float) -> None:
        self.name = name
        self._device = device
        self._capture = capture
        self._threshold_dbfs = threshold_dbfs

    async def read(self) -> LineReading:
        """Newest level heard, at most a second old.

        Raises:
            DeviceUnavailableError: the device went away or gives no sound any more.
        """
        newest, problem = self._capture.newest, self._capture.problem
        if problem is not None:
            raise DeviceUnavailableError(f"{self.name}: microphone {self._device!r}: {problem}")
        if newest is None or time.monotonic_ns() - newest[1] > _STALE_NS:
            raise DeviceUnavailableError(f"{self.name}: microphone {self._device!r} gives no sound")
        level, at_ns = newest
        return LineReading(active=level > self._threshold_dbfs, level_dbfs=round(level, 1), at_ns=at_ns)

    async def probe(self) -> None:
        await self.read()


class AlsaMicrophone:
    """Hears the loudspeaker through a capture device; a stream that stalls never holds up a reading."""

    _known = frozenset({"device", "threshold_dbfs"})

    def __init__(
        self,
        name: str,
        device: str,
        *,
        threshold_dbfs: float = THRESHOLD_DBFS,
        library: Callable[[], Any] = load_capture_library,
    ) -> None:
        """Remember the device.

        Args:
            name: of the microphone, for messages.
            device: ALSA name of a capture device, such as "plughw:CARD=Mic,DEV=0".
            threshold_dbfs: what is louder counts as heard, -90 to 0.
            library: loads libasound.
        """
        self.name = name
        self._device = device
        self._threshold_dbfs = threshold_dbfs
        self._library = library

    @classmethod
    def from_options(cls, name: str, options: Options) -> Self:
        """Build from `device` (required) and `threshold_dbfs`; raises DriverSetupError."""
        refuse_unknown(name, options, cls._known)
        return cls(name, text(name, options, "device"), threshold_dbfs=threshold(name, options))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[LineSense]:
        """Start listening.

        Raises:
            DeviceUnavailableError: there is no such device, or it gives no sound within two seconds.
        """
        library = await asyncio.to_thread(self._library)
        capture = _Capture(self._device, library)
        try:
            microphone = _OpenMicrophone(self.name, self._device, capture, self._threshold_dbfs)
            await _first_sound(capture)
            await microphone.probe()
            yield microphone
        finally:
            await asyncio.to_thread(capture.close)


async def _first_sound(capture: _Capture) -> None:
    """Wait until something was heard or failed, for at most two seconds."""
    for _ in range(int(_FIRST_S / 0.05)):
        if capture.newest is not None or capture.problem is not None:
            return
        await asyncio.sleep(0.05)


if TYPE_CHECKING:
    _driver: type[LineSenseDriver] = AlsaMicrophone
