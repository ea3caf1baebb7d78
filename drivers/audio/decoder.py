"""Turns a file into PCM with libvlc: stream output `smem` hands the samples over, faster than real time."""

from __future__ import annotations

import ctypes
import logging
import os
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, Protocol

import vlc

from drivers.audio.media import Media, Seek, examine, open_stream
from drivers.audio.pcm import RATE, WIDTH

logger = logging.getLogger(__name__)

_QUEUE_BYTES = RATE * WIDTH // 2
_WAIT_S = 0.25
_WARM_UP_PATIENCE_S = 10.0
_BUFFER_BYTES = 64 * 1024
_END_EVENTS = ("MediaPlayerEndReached", "MediaPlayerEncounteredError")
_INSTANCE_OPTIONS = (
    "--no-video",
    "--quiet",
    "--no-lua",
    "--no-stats",
    "--no-metadata-network-access",
    "--no-auto-preparse",
    "--file-caching=100",
)
_Prerender = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t)
_Postrender = ctypes.CFUNCTYPE(
    None,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_uint,
    ctypes.c_uint,
    ctypes.c_uint,
    ctypes.c_uint,
    ctypes.c_size_t,
    ctypes.c_int64,
)


# Two blocks of silence as FLAC: header with STREAMINFO, then two frames.
_SILENT_FLAC = bytes.fromhex(
    "664c614380000022120012000000"
    "0b00000d0bb800f000002400783ee3e1b8916c827344c477b1410387"
    "fff85a0800810000002b88"
    "fff85a08018600000047f0"
)


class Bytes(Protocol):
    """What libvlc reads instead of a file."""

    size: int

    def seek(self, position: int) -> None: ...

    def read(self, count: int) -> bytes: ...

    def close(self) -> None: ...


class DecoderError(Exception):
    """libvlc is missing or refuses to start."""


def create_instance() -> Any:
    """Start libvlc; raises DecoderError when it cannot."""
    instance: Any = vlc.Instance(list(_INSTANCE_OPTIONS))  # type: ignore[no-untyped-call]
    if instance is None:
        raise DecoderError("libvlc does not start: is libvlc5 with vlc-plugin-base installed?")
    return instance


def warm_up(instance: Any) -> None:
    """Decode a moment of silence: the libraries for FLAC are then loaded before the first cue needs them."""
    memory = os.memfd_create("warm-up", os.MFD_CLOEXEC)
    try:
        os.write(memory, _SILENT_FLAC)
        path = Path(f"/proc/self/fd/{memory}")
        media = examine(path)
        decoder = Decoder(instance)
        decoder.start(path, media, media.seek(0))
        while decoder.read(_WARM_UP_PATIENCE_S):
            pass
        decoder.close()
    finally:
        os.close(memory)


class Decoder:
    """One libvlc player used as a source of mono 48 kHz 16 bit PCM.

    One thread uses it: `start`, then `read` until it returns b"", then `start` again or `close`.
    `interrupt` may be called from any thread and makes a waiting `read` return.
    """

    def __init__(self, instance: Any) -> None:
        self._instance = instance
        self._player = instance.media_player_new()
        self._changed = threading.Condition()
        self._pieces: deque[bytes] = deque()
        self._queued = 0
        self._ended = False
        self._drained = True
        self._flowing = False  # True: take what comes without waiting for room
        self._interrupted = False
        self._buffer = ctypes.create_string_buffer(_BUFFER_BYTES)
        self._stream: Bytes | None = None
        # libvlc keeps the bare addresses: all of these must live as long as the player.
        self._prerender = _Prerender(self._lend_buffer)
        self._postrender = _Postrender(self._receive)
        callbacks: Any = vlc.CallbackDecorators
        self._file = (
            callbacks.MediaOpenCb(self._open_stream),
            callbacks.MediaReadCb(self._read_stream),
            callbacks.MediaSeekCb(self._seek_stream),
            callbacks.MediaCloseCb(lambda _opaque: None),
        )
        # Not `event_manager()`: python-vlc remembers what that gave for ever, and this decoder with it.
        manager: Any = vlc.libvlc_media_player_event_manager
        self._events = manager(self._player)
        for kind in _END_EVENTS:
            self._events.event_attach(getattr(vlc.EventType, kind), self._on_end)

    def start(self, path: Path, media: Media, seek: Seek) -> None:
        """Begin to decode a file at a place planned by `Media.seek`.

        A file that cannot be opened there ends at once, without sound.
        """
        self._reset()
        source = self._source(path, media, seek)
        if source is None:
            with self._changed:
                self._ended = self._drained = True
            return
        self._play(source, (*media.options, *seek.options))

    def start_live(self, stream: Bytes, options: tuple[str, ...]) -> None:
        """Begin to decode a stream that is read as it comes and closed at the end."""
        self._reset()
        self._stream = stream
        open_it, read, _, close = self._file
        self._play(self._instance.media_new_callbacks(open_it, read, None, close, None), options)

    def _reset(self) -> None:
        with self._changed:
            self._pieces.clear()
            self._queued = 0
            self._ended = self._drained = self._flowing = False

    def _play(self, source: Any, options: tuple[str, ...]) -> None:
        pre = ctypes.cast(self._prerender, ctypes.c_void_p).value
        post = ctypes.cast(self._postrender, ctypes.c_void_p).value
        source.add_option(
            f":sout=#transcode{{aenc=araw,acodec=s16l,channels=1,samplerate={RATE}}}"
            f":smem{{audio-prerender-callback={pre},audio-postrender-callback={post},audio-data=0,no-time-sync}}"
        )
        for option in (":no-sout-video", ":no-sout-spu", *options):
            source.add_option(option)
        self._player.set_media(source)
        source.release()
        self._player.play()

    def read(self, patience_s: float) -> bytes | None:
        """Return the next PCM, b"" at the end, or None when interrupted or nothing came in `patience_s`."""
        deadline = time.monotonic() + patience_s
        with self._changed:
            while not self._pieces:
                if self._interrupted:
                    return None
                if self._ended:
                    break
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(left)
            if self._pieces:
                return self._take()
        if self._drained:
            return b""
        self.stop()  # the transcoder gives up its last block only now
        with self._changed:
            return self._take()

    def stop(self) -> None:
        """End decoding; libvlc's threads are gone when it returns."""
        with self._changed:
            self._flowing = True
            self._changed.notify_all()
        self._player.stop()
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        with self._changed:
            self._ended = self._drained = True

    def interrupt(self) -> None:
        """Make `read` return None from now on, whoever waits in it."""
        with self._changed:
            self._interrupted = self._flowing = True
            self._changed.notify_all()

    def close(self) -> None:
        """Stop and release the player."""
        self.stop()
        for kind in _END_EVENTS:
            self._events.event_detach(getattr(vlc.EventType, kind))
        self._player.release()

    def _source(self, path: Path, media: Media, seek: Seek) -> Any:
        """The libvlc media of a file; None when it cannot be opened at that place."""
        try:
            self._stream = open_stream(path, media, seek)
        except (OSError, ValueError) as error:
            logger.warning("%s cannot be decoded from there: %s", path.name, error)
            return None
        if self._stream is None:
            return self._instance.media_new_path(str(path))
        return self._instance.media_new_callbacks(*self._file, None)

    def _open_stream(self, _opaque: int, _data: Any, size: Any) -> int:
        if self._stream is None:
            return -1
        size[0] = self._stream.size
        self._stream.seek(0)
        return 0

    def _read_stream(self, _opaque: int, buffer: Any, length: int) -> int:
        if self._stream is None:
            return -1
        try:
            data = self._stream.read(length)
        except OSError:
            return -1
        ctypes.memmove(buffer, data, len(data))
        return len(data)

    def _seek_stream(self, _opaque: int, position: int) -> int:
        if self._stream is None:
            return -1
        self._stream.seek(position)
        return 0

    def _take(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._queued = 0
        self._changed.notify_all()
        return data

    def _lend_buffer(self, _opaque: int, slot: Any, size: int) -> None:
        if size > len(self._buffer):
            self._buffer = ctypes.create_string_buffer(size)
        slot[0] = ctypes.addressof(self._buffer)

    def _receive(
        self,
        _opaque: int,
        data: int,
        _channels: int,
        _rate: int,
        _frames: int,
        _bits: int,
        size: int,
        _pts: int,
    ) -> None:
        piece = ctypes.string_at(data, size)
        with self._changed:
            while self._queued >= _QUEUE_BYTES and not self._flowing:
                self._changed.wait(_WAIT_S)
            if self._interrupted:
                return
            self._pieces.append(piece)
            self._queued += size
            self._changed.notify_all()

    def _on_end(self, _event: Any) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
