"""A sound card through libasound, by ctypes: no compiler and no extra package on the box."""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import re
import time
from pathlib import Path
from typing import Any, NamedTuple

from drivers.audio import pcm
from drivers.audio.sink import BUFFER_FRAMES, FORGIVEN_FRAMES, LEAD_FRAMES, WRITE_TIMEOUT_S, SinkError

logger = logging.getLogger(__name__)

_STREAM_PLAYBACK = 0
ALSA_NONBLOCK = 1
ALSA_FORMAT_S16_LE = 2
ALSA_INTERLEAVED = 3
_PREFILL_FRAMES = pcm.frames_of_ms(40)
_SMOOTHING = 0.05
_CLOCK_JUMP_NS = 20_000_000
_READ_SPREAD_NS = 300_000
_CARDS = Path("/proc/asound/cards")
_BEGIN_TRIES = 5
_UNDERRUN = frozenset({errno.EPIPE, errno.ESTRPIPE, errno.EINTR})
_GONE = frozenset({errno.ENODEV, errno.ENOENT, errno.ENXIO, errno.EBADFD, errno.EIO})


def load_library() -> Any:
    """Load libasound; raises SinkError when it is not installed."""
    try:
        library = ctypes.CDLL("libasound.so.2")
    except OSError as error:
        raise SinkError(f"libasound is not installed: {error}") from error
    handle = ctypes.c_void_p
    for name, result, arguments in (
        ("snd_pcm_open", ctypes.c_int, [ctypes.POINTER(handle), ctypes.c_char_p, ctypes.c_int, ctypes.c_int]),
        ("snd_pcm_close", ctypes.c_int, [handle]),
        (
            "snd_pcm_set_params",
            ctypes.c_int,
            [handle, *[ctypes.c_int] * 2, *[ctypes.c_uint] * 2, ctypes.c_int, ctypes.c_uint],
        ),
        (
            "snd_pcm_get_params",
            ctypes.c_int,
            [handle, ctypes.POINTER(ctypes.c_ulong), ctypes.POINTER(ctypes.c_ulong)],
        ),
        ("snd_pcm_prepare", ctypes.c_int, [handle]),
        ("snd_pcm_start", ctypes.c_int, [handle]),
        ("snd_pcm_drop", ctypes.c_int, [handle]),
        ("snd_pcm_wait", ctypes.c_int, [handle, ctypes.c_int]),
        ("snd_pcm_state", ctypes.c_int, [handle]),
        ("snd_pcm_avail_update", ctypes.c_long, [handle]),
        ("snd_pcm_delay", ctypes.c_int, [handle, ctypes.POINTER(ctypes.c_long)]),
        ("snd_pcm_recover", ctypes.c_int, [handle, ctypes.c_int, ctypes.c_int]),
        ("snd_pcm_writei", ctypes.c_long, [handle, ctypes.c_char_p, ctypes.c_ulong]),
        ("snd_pcm_readi", ctypes.c_long, [handle, ctypes.c_char_p, ctypes.c_ulong]),
        ("snd_pcm_info_sizeof", ctypes.c_size_t, []),
        ("snd_pcm_info", ctypes.c_int, [handle, ctypes.c_char_p]),
        ("snd_pcm_info_get_card", ctypes.c_int, [ctypes.c_char_p]),
        ("snd_strerror", ctypes.c_char_p, [ctypes.c_int]),
    ):
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


class Card(NamedTuple):
    """A sound card as the kernel lists it.

    Attributes:
        number: may be another one after a replug or a reboot.
        name: what the card calls itself.
        long_name: with the place where it is plugged in.
    """

    number: int
    name: str
    long_name: str


def cards(listing: Path = _CARDS) -> dict[str, Card]:
    """Sound cards the kernel knows, by identifier."""
    try:
        text = listing.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    rows = re.findall(r"^\s*(\d+) \[(\S+)\s*\]: (?:.*? - )?(.*)\n?(.*)", text, re.MULTILINE)
    return {name: Card(int(number), own.strip(), long.strip()) for number, name, own, long in rows}


def describe(found: dict[str, Card]) -> str:
    """The cards for an error message."""
    return ", ".join(f"{name} ({card.number}, {card.name})" for name, card in found.items()) or "none"


def card_of(device: str) -> str | None:
    """Identifier (or number) of the card in an ALSA name; None when the name holds none."""
    named = re.search(r"CARD=([^,]+)", device) or re.match(r"(?:plug)?hw:([^,=]+)", device)
    return None if named is None else named.group(1)


def check_card(device: str, listing: Path = _CARDS, card_name: str = "") -> Card | None:
    """Look for the card that an ALSA name names.

    Args:
        device: ALSA name.
        listing: the kernel's list of cards.
        card_name: part of what it must call itself, or "".

    Returns:
        the card; None when the name holds none.

    Raises:
        SinkError: it is not present, or it calls itself something else.
    """
    wanted = card_of(device)
    if wanted is None:
        return None
    found = cards(listing)
    numbered = [card for card in found.values() if wanted == str(card.number)]
    card = found.get(wanted) or (numbered[0] if numbered else None)
    if card is None:
        raise SinkError(f"sound card {device!r} cannot be used: not present; cards found: {describe(found)}")
    if card_name and card_name not in card.name and card_name not in card.long_name:
        raise SinkError(
            f"wrong sound card: {device!r} calls itself {card.name!r} ({card.long_name}), "
            f"wanted is {card_name!r}; cards found: {describe(found)}"
        )
    return card


class AlsaSink:
    """One ALSA playback device, opened while something sounds.

    A device that takes sound faster than time passes (ALSA's `null` and `file`) is paced by the clock.
    """

    def __init__(self, device: str, library: Any = None, listing: Path = _CARDS, card_name: str = "") -> None:
        """Remember the card.

        Args:
            device: ALSA name, for example "plughw:CARD=Device,DEV=0".
            library: libasound or something that behaves like it; loaded when None.
            listing: the kernel's list of cards.
            card_name: part of what the card must call itself, or "".
        """
        self.xruns = 0
        self._card_name = card_name
        self._device = device
        self._library = load_library() if library is None else library
        self._listing = listing
        self._pcm: ctypes.c_void_p | None = None
        self._channels = 1
        self._written = 0
        self._base_ns: float | None = None  # moment at which frame 0 was heard
        self._paced = True

    def check(self) -> None:
        check_card(self._device, self._listing, self._card_name)

    def open(self) -> None:
        card = check_card(self._device, self._listing, self._card_name)
        handle = ctypes.c_void_p()
        self._call(
            "snd_pcm_open", ctypes.byref(handle), self._device.encode(), _STREAM_PLAYBACK, ALSA_NONBLOCK
        )
        self._pcm = handle
        try:
            self._check_identity(card)
            self._set_format()
            self._begin()
        except SinkError:
            self.close()
            raise

    def ready(self, frames: int) -> None:
        excess_ns = self.next_ns() + pcm.ns_of_frames(frames - LEAD_FRAMES) - time.monotonic_ns()
        if excess_ns > 0:
            time.sleep(min(excess_ns / 1e9, WRITE_TIMEOUT_S))
        if not self._paced and self._base_ns is not None:
            late_ns = time.monotonic_ns() - (self._base_ns + pcm.ns_of_frames(self._written))
            if late_ns > pcm.ns_of_frames(FORGIVEN_FRAMES):
                self.xruns += 1
                self._base_ns += late_ns

    def write(self, sound: bytes) -> None:
        deadline_ns = time.monotonic_ns() + int(WRITE_TIMEOUT_S * 1e9)
        self.ready(len(sound) // pcm.WIDTH)
        data = pcm.stereo(sound) if self._channels > 1 else sound
        step = pcm.WIDTH * self._channels
        while data:
            done = self._library.snd_pcm_writei(self._pcm, data, len(data) // step)
            if done > 0:
                self._written += done
                data = data[done * step :]
                continue
            if done not in (0, -errno.EAGAIN):
                self._recover(int(done))
            if time.monotonic_ns() > deadline_ns:
                raise SinkError(f"sound card {self._device!r} has taken no sound for {WRITE_TIMEOUT_S} s")
            result = self._library.snd_pcm_wait(self._pcm, 100)
            if result < 0:
                self._recover(int(result))

    def next_ns(self) -> int:
        if self._paced:
            self._measure()
        base = self._base_ns if self._base_ns is not None else time.monotonic_ns()
        return int(base) + pcm.ns_of_frames(self._written)

    def close(self) -> None:
        if self._pcm is not None:
            self._library.snd_pcm_drop(self._pcm)
            self._library.snd_pcm_close(self._pcm)
            self._pcm = None

    # --- details ---------------------------------------------------------------------------------------

    def _check_identity(self, card: Card | None) -> None:
        """Make sure that the name led to the card that bears it, whatever a configuration file says."""
        info = ctypes.create_string_buffer(int(self._library.snd_pcm_info_sizeof()))
        self._call("snd_pcm_info", self._pcm, info)
        number = int(self._library.snd_pcm_info_get_card(info))
        if card is not None and number >= 0 and number != card.number:
            raise SinkError(
                f"wrong sound card: {self._device!r} led to card {number}; "
                f"cards found: {describe(cards(self._listing))}"
            )

    def _set_format(self) -> None:
        latency_us = BUFFER_FRAMES * 1_000_000 // pcm.RATE
        result = 0
        for channels in (1, 2):
            result = self._library.snd_pcm_set_params(
                self._pcm, ALSA_FORMAT_S16_LE, ALSA_INTERLEAVED, channels, pcm.RATE, 1, latency_us
            )
            if result >= 0:
                self._channels = channels
                return
        raise SinkError(f"sound card {self._device!r} cannot play 16 bit at 48 kHz: {self._text(result)}")

    def _begin(self) -> None:
        """Start the card on silence and find out whether it keeps time."""
        begun_ns = 0
        for _ in range(_BEGIN_TRIES):
            begun_ns = self._start()
            delay = self._delay()
            elapsed = pcm.frames_of_ns(time.monotonic_ns() - begun_ns)
            if delay is not None and delay > _PREFILL_FRAMES // 4:
                self._paced = True
                return
            if elapsed < _PREFILL_FRAMES // 4:
                break
            # We were held up: an empty card says nothing yet.
        self._paced = False
        self._base_ns = float(begun_ns)

    def _start(self) -> int:
        """Start the card on silence; returns the moment."""
        self._base_ns = None
        self._library.snd_pcm_drop(self._pcm)
        self._library.snd_pcm_prepare(self._pcm)
        silence = bytes(_PREFILL_FRAMES * pcm.WIDTH * self._channels)
        self._written = max(0, self._call("snd_pcm_writei", self._pcm, silence, _PREFILL_FRAMES))
        begun_ns = time.monotonic_ns()
        result = self._library.snd_pcm_start(self._pcm)
        if result < 0 and result != -errno.EBADFD:  # EBADFD: already running
            self._call_failed("snd_pcm_start", result)
        return begun_ns

    def _measure(self) -> None:
        """Refine the moment of frame 0 from what the card says it still holds."""
        before_ns = after_ns = 0
        delay: int | None = None
        for _ in range(4):
            before_ns = time.monotonic_ns()
            delay = self._delay()
            after_ns = time.monotonic_ns()
            if delay is None or after_ns - before_ns < _READ_SPREAD_NS:
                break
        if delay is None:
            self._recover(-errno.EPIPE)
            return
        if after_ns - before_ns >= _READ_SPREAD_NS and self._base_ns is not None:
            return
        base = (before_ns + after_ns) / 2 + (delay - self._written) * 1e9 / pcm.RATE
        if self._base_ns is None or abs(base - self._base_ns) > _CLOCK_JUMP_NS:
            self._base_ns = base
        else:
            self._base_ns += (base - self._base_ns) * _SMOOTHING

    def _delay(self) -> int | None:
        """Frames the card still holds; None after an underrun. Raises SinkError when the card is gone."""
        delay = ctypes.c_long()
        result = int(self._library.snd_pcm_delay(self._pcm, ctypes.byref(delay)))
        if result < 0 and -result not in _UNDERRUN:
            self._call_failed("snd_pcm_delay", result)
        return delay.value if result >= 0 else None

    def _recover(self, code: int) -> None:
        """Bring the card back after an underrun; raises SinkError when it is gone."""
        if -code not in _UNDERRUN:
            self._call_failed("playing", code)
        self.xruns += 1
        self._call("snd_pcm_recover", self._pcm, code, 1)
        self._begin()

    def _call(self, function: str, *arguments: Any) -> int:
        result = int(getattr(self._library, function)(*arguments))
        if result < 0:
            self._call_failed(function, result)
        return result

    def _call_failed(self, function: str, code: int) -> None:
        if -code in _GONE:
            raise SinkError(self._missing(self._text(code)))
        raise SinkError(f"sound card {self._device!r}: {function}: {self._text(code)}")

    def _missing(self, reason: str) -> str:
        found = describe(cards(self._listing))
        return f"sound card {self._device!r} cannot be used: {reason}; cards found: {found}"

    def _text(self, code: int) -> str:
        text: bytes | None = self._library.snd_strerror(code)
        return text.decode("utf-8", "replace") if text else os.strerror(-code)


class AlsaEcho:
    """Plays simulated sound aloud where there is a card; trouble is logged once and otherwise ignored."""

    def __init__(self, device: str) -> None:
        self._sink: AlsaSink | None = None
        try:
            sink = AlsaSink(device)
            sink.open()
        except SinkError as error:
            self._give_up(error)
        else:
            self._sink = sink

    def offer(self, sound: bytes) -> None:
        """Play sound if the card has room for it at once, else drop it."""
        if self._sink is None:
            return
        try:
            ahead = pcm.frames_of_ns(self._sink.next_ns() - time.monotonic_ns())
            if ahead + len(sound) // pcm.WIDTH <= LEAD_FRAMES:
                self._sink.write(sound)
        except SinkError as error:
            self._sink.close()
            self._sink = None
            self._give_up(error)

    @staticmethod
    def _give_up(error: SinkError) -> None:
        logger.warning("the simulated speaker cannot be heard: %s", error)
