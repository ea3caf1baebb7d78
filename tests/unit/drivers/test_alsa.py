"""The ALSA sink against a stand-in for libasound that keeps time like a card."""

from __future__ import annotations

import ctypes
import errno
from pathlib import Path
from typing import Any

import pytest

from drivers.audio import alsa, pcm
from drivers.audio.alsa import AlsaSink, cards
from drivers.audio.sink import SinkError

CHUNK = pcm.silence(480)


class Time:
    """A clock that moves only when somebody sleeps, and a little at each look."""

    def __init__(self) -> None:
        self.now_ns = 10**12

    def monotonic_ns(self) -> int:
        self.now_ns += 2000
        return self.now_ns

    def monotonic(self) -> float:
        return self.monotonic_ns() / 1e9

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


time = Time()


@pytest.fixture(autouse=True)
def still_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alsa, "time", time)


class Card:
    """Stands in for libasound: a card with an 80 ms buffer that consumes in real time."""

    def __init__(self, *, stereo_only: bool = False, paced: bool = True, drift: float = 0.0) -> None:
        self.stereo_only = stereo_only
        self.paced = paced
        self.rate = 48_000 * (1 + drift)
        self.buffer = 3840
        self.started_ns: int | None = None
        self.written = 0
        self.data = b""
        self.fail: int | None = None
        self.stuck_at: int | None = None
        self.open_error = 0
        self.number = 2
        self.calls: list[str] = []

    def played(self) -> int:
        if self.started_ns is None:
            return 0
        if not self.paced:
            return self.written
        if self.stuck_at is not None:
            return self.stuck_at
        return int((time.monotonic_ns() - self.started_ns) * self.rate / 1e9)

    def snd_pcm_open(self, _handle: Any, name: bytes, _stream: int, mode: int) -> int:
        assert mode == 1
        self.calls.append("open")
        return self.open_error

    def snd_pcm_close(self, _pcm: Any) -> int:
        self.calls.append("close")
        return 0

    def snd_pcm_set_params(
        self, _pcm: Any, form: int, access: int, channels: int, rate: int, *_rest: int
    ) -> int:
        assert (form, access, rate) == (2, 3, 48_000)
        return -errno.EINVAL if self.stereo_only and channels == 1 else 0

    def snd_pcm_prepare(self, _pcm: Any) -> int:
        self.started_ns, self.written = None, 0
        return 0

    def snd_pcm_start(self, _pcm: Any) -> int:
        self.started_ns = time.monotonic_ns()
        return 0

    def snd_pcm_drop(self, _pcm: Any) -> int:
        self.calls.append("drop")
        self.started_ns = None
        return 0

    def snd_pcm_wait(self, _pcm: Any, limit_ms: int) -> int:
        time.sleep(min(limit_ms, 5) / 1000)
        return 1

    def snd_pcm_delay(self, _pcm: Any, delay: Any) -> int:
        if self.fail is not None:
            return self.fail
        held = self.written - self.played()
        if held < 0 and self.paced:
            return -errno.EPIPE
        ctypes.cast(delay, ctypes.POINTER(ctypes.c_long))[0] = max(0, held)
        return 0

    def snd_pcm_recover(self, _pcm: Any, code: int, _silent: int) -> int:
        self.calls.append("recover")
        self.fail = None
        return 0

    def snd_pcm_writei(self, _pcm: Any, data: bytes, frames: int) -> int:
        if self.fail is not None:
            return self.fail
        held = self.written - self.played()
        if self.started_ns is not None and held < 0 and self.paced:
            return -errno.EPIPE
        room = self.buffer - max(0, held)
        if room <= 0:
            return -errno.EAGAIN
        done = min(frames, room)
        step = 4 if self.stereo_only else 2
        self.data += data[: done * step]
        self.written += done
        return done

    def snd_pcm_info_sizeof(self) -> int:
        return 64

    def snd_pcm_info(self, _pcm: Any, _info: Any) -> int:
        return 0

    def snd_pcm_info_get_card(self, _info: Any) -> int:
        return self.number

    def snd_strerror(self, code: int) -> bytes:
        return errno.errorcode[-code].encode()


def listing(tmp_path: Path) -> Path:
    path = tmp_path / "cards"
    path.write_text(
        " 0 [Headphones     ]: bcm2835_headpho - bcm2835 Headphones\n"
        "                      bcm2835 Headphones\n"
        " 2 [Device         ]: USB-Audio - USB Audio Device\n"
        "                      C-Media at usb-1\n"
    )
    return path


def sink(card: Card, tmp_path: Path, device: str = "plughw:CARD=Device,DEV=0") -> AlsaSink:
    return AlsaSink(device, library=card, listing=listing(tmp_path))


def test_cards(tmp_path: Path) -> None:
    assert cards(listing(tmp_path)) == {
        "Headphones": (0, "bcm2835 Headphones", "bcm2835 Headphones"),
        "Device": (2, "USB Audio Device", "C-Media at usb-1"),
    }
    assert cards(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("device", "there"),
    [
        ("hw:CARD=Device,DEV=0", True),
        ("plughw:Device", True),
        ("plughw:2,0", True),
        ("hw:1", False),
        ("hw:CARD=Other", False),
        ("default", True),
    ],
)
def test_presence(tmp_path: Path, device: str, there: bool) -> None:
    output = sink(Card(), tmp_path, device)
    if there:
        output.check()
    else:
        with pytest.raises(SinkError, match=r"Headphones \(0, .*\), Device \(2, "):
            output.check()


def test_another_card_under_the_same_name_is_refused(tmp_path: Path) -> None:
    def named(card_name: str) -> AlsaSink:
        return AlsaSink("plughw:CARD=Device", Card(), listing(tmp_path), card_name)

    for right in ("USB Audio Device", "usb-1", "C-Media"):
        named(right).check()
    with pytest.raises(SinkError, match=r"^wrong sound card: .*'USB Audio Device'.*wanted is 'Focusrite'"):
        named("Focusrite").check()
    with pytest.raises(SinkError, match=r"^wrong sound card"):
        named("Focusrite").open()


def test_a_name_that_leads_to_another_card_is_refused(tmp_path: Path) -> None:
    card = Card()
    card.number = 0
    with pytest.raises(SinkError, match=r"^wrong sound card: .* led to card 0"):
        sink(card, tmp_path).open()
    assert card.calls[-1] == "close"


@pytest.mark.parametrize("drift", [0.0, 0.001, -0.001])
def test_says_when_the_next_frame_is_heard(tmp_path: Path, drift: float) -> None:
    card = Card(drift=drift)
    output = sink(card, tmp_path)
    output.open()
    for _ in range(40):
        output.write(CHUNK)
        assert card.started_ns is not None
        truth_ns = card.started_ns + card.written * 1e9 / card.rate
        assert abs(output.next_ns() - truth_ns) < 3_000_000
        assert card.written - card.played() <= 3000
    assert output.xruns == 0
    output.close()
    assert card.calls[-2:] == ["drop", "close"]


def test_stereo_only_card_gets_both_channels(tmp_path: Path) -> None:
    card = Card(stereo_only=True)
    output = sink(card, tmp_path)
    output.open()
    output.write(b"\x01\x00" * 480)
    assert card.data[-1920:] == b"\x01\x00" * 960
    output.close()


def test_unpaced_device_is_paced_by_the_clock(tmp_path: Path) -> None:
    card = Card(paced=False)
    output = sink(card, tmp_path)
    begun = time.monotonic()
    output.open()
    for _ in range(30):
        output.write(CHUNK)
    elapsed = time.monotonic() - begun
    assert 0.25 < elapsed < 0.5
    assert abs(output.next_ns() - time.monotonic_ns() - 60_000_000) < 15_000_000


def test_underrun_is_recovered_and_counted(tmp_path: Path) -> None:
    card = Card()
    output = sink(card, tmp_path)
    output.open()
    output.write(CHUNK)
    time.sleep(0.15)
    output.write(CHUNK)
    assert output.xruns >= 1
    assert "recover" in card.calls
    assert abs(output.next_ns() - time.monotonic_ns()) < 100_000_000


def test_a_card_that_goes_away(tmp_path: Path) -> None:
    card = Card()
    output = sink(card, tmp_path)
    output.open()
    card.fail = -errno.ENODEV
    with pytest.raises(SinkError, match=r"ENODEV.*cards found"):
        output.write(CHUNK)
    output.close()
    output.close()


def test_a_card_that_takes_nothing(tmp_path: Path) -> None:
    card = Card()
    output = sink(card, tmp_path)
    output.open()
    card.stuck_at = card.played()

    def play() -> None:
        for _ in range(20):
            output.write(CHUNK)

    begun = time.monotonic()
    with pytest.raises(SinkError, match="taken no sound"):
        play()
    assert time.monotonic() - begun < 2


def test_a_card_that_is_busy(tmp_path: Path) -> None:
    card = Card()
    card.open_error = -errno.EBUSY
    with pytest.raises(SinkError, match="EBUSY"):
        sink(card, tmp_path).open()
