"""Sound inputs: an ALSA capture device, and a WAV file that is heard over and over in real time."""

from __future__ import annotations

import ctypes
import errno
import struct
import time
import warnings
from pathlib import Path
from typing import Any

from drivers.audio import pcm
from drivers.audio.alsa import ALSA_FORMAT_S16_LE, ALSA_INTERLEAVED, ALSA_NONBLOCK, check_card, load_library
from drivers.audio.feed import CaptureError
from drivers.audio.sink import SinkError
from drivers.audio.wav import parse_wav

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

_STREAM_CAPTURE = 1
_PERIOD_FRAMES = pcm.frames_of_ms(20)
_LATENCY_US = 200_000
_WAIT_MS = 100
_QUIET_S = 2.0
_HEAD_BYTES = 4096
_PCM_TAG = 1
_OVERRUN = frozenset({errno.EPIPE, errno.ESTRPIPE, errno.EINTR})


class AlsaCapture:
    """One ALSA input, addressed by name; mono, or stereo mixed to mono where the device has only that."""

    def __init__(self, device: str, library: Any = None) -> None:
        """Open and start the input.

        Args:
            device: ALSA name such as "plughw:CARD=Device,DEV=0".
            library: libasound or something that behaves like it; loaded when None.

        Raises:
            CaptureError: missing, busy, or without 16 bit sound at 48 kHz.
        """
        self._device = device
        self._pcm: ctypes.c_void_p | None = None
        try:
            check_card(device)
            self._library = load_library() if library is None else library
        except SinkError as error:
            raise CaptureError(str(error)) from error
        handle = ctypes.c_void_p()
        self._expect(
            self._library.snd_pcm_open(ctypes.byref(handle), device.encode(), _STREAM_CAPTURE, ALSA_NONBLOCK)
        )
        self._pcm = handle
        self._channels = 1
        try:
            self._begin()
        except CaptureError:
            self.close()
            raise
        self._heard_s = time.monotonic()

    def read(self) -> bytes:
        """Wait at most 0.2 s for sound; raises CaptureError after 2 s without any, or when it is gone."""
        self._library.snd_pcm_wait(self._pcm, _WAIT_MS)
        buffer = ctypes.create_string_buffer(_PERIOD_FRAMES * pcm.WIDTH * self._channels)
        got = int(self._library.snd_pcm_readi(self._pcm, buffer, _PERIOD_FRAMES))
        if got > 0:
            self._heard_s = time.monotonic()
            sound = buffer.raw[: got * pcm.WIDTH * self._channels]
            return sound if self._channels == 1 else audioop.tomono(sound, pcm.WIDTH, 0.5, 0.5)
        if got not in (0, -errno.EAGAIN):
            if -got not in _OVERRUN:
                self._expect(got)
            self._expect(self._library.snd_pcm_recover(self._pcm, got, 1))
            self._expect(self._library.snd_pcm_start(self._pcm))
        if time.monotonic() - self._heard_s > _QUIET_S:
            raise CaptureError(f"sound input {self._device!r} has given nothing for {_QUIET_S:.0f} s")
        return b""

    def close(self) -> None:
        if self._pcm is not None:
            self._library.snd_pcm_drop(self._pcm)
            self._library.snd_pcm_close(self._pcm)
            self._pcm = None

    def _begin(self) -> None:
        result = 0
        for channels in (1, 2):
            result = self._library.snd_pcm_set_params(
                self._pcm, ALSA_FORMAT_S16_LE, ALSA_INTERLEAVED, channels, pcm.RATE, 1, _LATENCY_US
            )
            if result >= 0:
                self._channels = channels
                break
        self._expect(result)
        self._expect(self._library.snd_pcm_start(self._pcm))

    def _expect(self, result: int) -> None:
        if result < 0:
            text: bytes | None = self._library.snd_strerror(result)
            reason = text.decode("utf-8", "replace") if text else str(result)
            raise CaptureError(f"sound input {self._device!r} cannot be used: {reason}")


class SimulatedCapture:
    """Hears a WAV file (16 bit, mono or stereo) over and over; it is unplugged by deleting it.

    Any number of workers can hear it at once, as with a dsnoop device; real `hw` and `plughw` serve one.
    """

    def __init__(self, path: str) -> None:
        """Read the file; raises CaptureError."""
        self._path = Path(path)
        self._sound = self._load()
        self._place = 0
        self._next_s = time.monotonic()

    def read(self) -> bytes:
        """The next 20 ms, when they are over; raises CaptureError once the file is gone."""
        frames = _PERIOD_FRAMES
        self._next_s += frames / pcm.RATE
        left_s = self._next_s - time.monotonic()
        if left_s > 0:
            time.sleep(left_s)
        if not self._path.exists():
            raise CaptureError(f"simulated sound input {str(self._path)!r} is gone")
        size = frames * pcm.WIDTH
        piece = b""
        while len(piece) < size:
            part = self._sound[self._place : self._place + size - len(piece)]
            piece += part
            self._place = (self._place + len(part)) % len(self._sound)
        return piece

    def close(self) -> None:
        self._sound = b""

    def _load(self) -> bytes:
        try:
            data = self._path.read_bytes()
        except OSError as error:
            raise CaptureError(
                f"simulated sound input {str(self._path)!r} cannot be read: {error.strerror}"
            ) from error
        info = parse_wav(data[:_HEAD_BYTES], len(data)) if data.startswith(b"RIFF") else None
        tag = struct.unpack_from("<H", data, 20)[0] if info else 0
        if info is None or tag != _PCM_TAG or info.step not in (pcm.WIDTH, 2 * pcm.WIDTH) or not info.length:
            raise CaptureError(f"simulated sound input {str(self._path)!r} is not a 16 bit WAV file")
        sound = data[info.begin : info.begin + info.length]
        if info.step > pcm.WIDTH:
            sound = audioop.tomono(sound, pcm.WIDTH, 0.5, 0.5)
        if info.rate != pcm.RATE:
            sound, _ = audioop.ratecv(sound, pcm.WIDTH, 1, info.rate, pcm.RATE, None)
        return sound
