"""MPEG-TS, Ogg, FLAC and WAV: where they may be cut, and what a late reader needs of them."""

from __future__ import annotations

from agent.live.api import LiveLostError, LiveRefusedError
from agent.live.pieces import Piece

_TS_PACKET = 188
_TS_SYNC = 0x47
_MAX_PAGE_S = 10
_MAX_HELD = 256 * 1024
"""No page, header or frame of these formats is longer; more means that it is something else."""

_MAX_METADATA = 16 * _MAX_HELD
"""FLAC may have a picture in its header."""

_MAX_BLOCKS = 1000
"""Parts of a header; no file has as many."""


class TsFramer:
    """Whole packets of MPEG-TS; the newest tables of the programme are the header.

    Source: ISO/IEC 13818-1 sections 2.4.3.2 (packet) and 2.4.4.3 (programme association).
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._garbage = 0
        self._association = b""
        self._map = b""
        self._map_pid = -1

    @property
    def header(self) -> bytes:
        """The newest association and map of the programme."""
        return self._association + self._map

    def feed(self, data: bytes) -> list[Piece]:
        """Whole packets so far as one piece."""
        self._held += data
        held, at = self._held, 0
        packets = bytearray()
        while len(held) - at >= _TS_PACKET:
            if held[at] == _TS_SYNC:
                packet = bytes(held[at : at + _TS_PACKET])
                self._note(packet)
                packets += packet
                at += _TS_PACKET
                self._garbage = 0
                continue
            there = held.find(b"G", at + 1)
            there = len(held) if there < 0 else there
            self._garbage += there - at
            at = there
            if self._garbage > _MAX_HELD:
                raise LiveLostError("the stream is no longer MPEG-TS")
        del held[:at]
        return [Piece(bytes(packets))] if packets else []

    def _note(self, packet: bytes) -> None:
        pid = (packet[1] & 0x1F) << 8 | packet[2]
        begins = packet[1] & 0x40 and packet[3] & 0x10
        if pid == 0 and begins:
            self._association = packet
            table = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
            entry = table + 1 + packet[table] + 8 if table < _TS_PACKET else _TS_PACKET
            if entry + 4 <= _TS_PACKET:
                self._map_pid = (packet[entry + 2] & 0x1F) << 8 | packet[entry + 3]
        elif pid == self._map_pid and begins:
            self._map = packet


class OggFramer:
    """Whole pages of Ogg; the pages before the first sound are the header, anew in each link of a chain.

    Sources: RFC 3533 section 6; Vorbis I section 4.2.2 and RFC 7845 section 5.1 for what a position counts.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._garbage = 0
        self._pages = bytearray()
        self._in_header = False
        self._rate = 0
        self._position = -1
        self._longest_s = 0.0

    @property
    def grain_s(self) -> float:
        """Longest sound of one page, which all comes at once; a second until one has been measured."""
        return self._longest_s or 1.0

    @property
    def header(self) -> bytes:
        """All pages up to the first with sound."""
        return bytes(self._pages)

    def feed(self, data: bytes) -> list[Piece]:
        """Each whole page that has come."""
        self._held += data
        held, at = self._held, 0
        pieces = []
        while len(held) - at >= 27:  # noqa: PLR2004 — the fixed part of a page's header
            if held[at : at + 4] != b"OggS":
                found = held.find(b"OggS", at + 1)
                there = found if found >= 0 else len(held) - 3
                self._garbage += there - at
                at = there
                if self._garbage > _MAX_HELD:
                    raise LiveLostError("the stream is no longer Ogg")
                continue
            body = at + 27 + held[at + 26]
            if len(held) < body:
                break
            end = body + sum(held[at + 27 : body])
            if len(held) < end:
                break
            pieces.append(self._page(bytes(held[at:end])))
            self._garbage = 0
            at = end
        del held[:at]
        return pieces

    def _page(self, page: bytes) -> Piece:
        begins = bool(page[5] & 2)
        if begins and not self._in_header:
            self._pages.clear()
            self._in_header = True
            self._rate, self._position = _positions_s(page), -1
        # A page on which no packet ends has position -1; within the headers it is part of a long comment.
        granule = int.from_bytes(page[6:14], "little", signed=True)
        self._in_header = self._in_header and (begins or granule <= 0)
        if self._in_header:
            if len(self._pages) + len(page) > _MAX_HELD:
                raise LiveRefusedError(f"an Ogg header of more than {_MAX_HELD} bytes")
            self._pages += page
        return Piece(page, 0.0 if self._in_header else self._sound_s(granule), starts=self._in_header)

    def _sound_s(self, granule: int) -> float:
        before, self._position = self._position, granule if granule > 0 else self._position
        if not self._rate or before < 0 or not 0 < granule - before <= _MAX_PAGE_S * self._rate:
            return 0.0
        sound_s = (granule - before) / self._rate
        self._longest_s = max(self._longest_s, sound_s)
        return sound_s


def _positions_s(page: bytes) -> int:
    """How many positions a second has, 0 if the codec is not known."""
    if b"OpusHead" in page[:64]:
        return 48_000
    vorbis = page.find(b"\x01vorbis", 0, 64)
    return int.from_bytes(page[vorbis + 12 : vorbis + 16], "little") if vorbis > 0 else 0


class FlacFramer:
    """Native FLAC, cut at its frames.

    Source: RFC 9639 sections 8 (metadata) and 9.1 (frame header).
    """

    def __init__(self) -> None:
        self.header = b""
        self._held = bytearray()
        self._walked = 4
        self._blocks = 0
        self._looked = 1

    def feed(self, data: bytes) -> list[Piece]:
        """The header once, then frames."""
        self._held += data
        pieces = []
        if not self.header:
            end = self._metadata_end()
            if end is None:
                return []
            self.header = bytes(self._held[:end])
            del self._held[:end]
            pieces.append(Piece(self.header, starts=True))
        last = self._last_frame()
        if last > 0:
            pieces.append(Piece(bytes(self._held[:last])))
            del self._held[:last]
        if len(self._held) > _MAX_HELD:
            raise LiveLostError("the stream is no longer FLAC")
        return pieces

    def _metadata_end(self) -> int | None:
        """End of the metadata, None until it has come; goes on where it was at the last feed."""
        while len(self._held) >= self._walked + 4:
            at = self._walked
            last = bool(self._held[at] & 0x80)
            end = at + 4 + int.from_bytes(self._held[at + 1 : at + 4], "big")
            if end > _MAX_METADATA or self._blocks >= _MAX_BLOCKS:
                raise LiveRefusedError("a FLAC header that does not end")
            if last:
                return end if len(self._held) >= end else None
            self._walked, self._blocks = end, self._blocks + 1
        return None

    def _last_frame(self) -> int:
        """Where the newest frame header is: all before it has come whole; looks only at what is new."""
        at = len(self._held)
        looked, self._looked = self._looked, max(1, at - 3)
        while (at := self._held.rfind(b"\xff", looked, at)) >= 0:
            if _is_flac_frame(self._held[at : at + 4]):
                self._looked = max(1, self._looked - at)
                return at
        return 0


def _is_flac_frame(head: bytearray) -> bool:
    """Sync code, then block size, sample rate, channels and sample size that are not reserved."""
    if len(head) < 4 or head[1] not in (0xF8, 0xF9) or head[3] & 1:  # noqa: PLR2004
        return False
    size, rate, channels, depth = head[2] >> 4, head[2] & 15, head[3] >> 4, head[3] >> 1 & 7
    return size != 0 and rate != 15 and channels < 11 and depth != 3  # noqa: PLR2004


class WavFramer:
    """WAV, cut between sample frames, so that no loss can turn sound into noise."""

    def __init__(self) -> None:
        self.header = b""
        self._held = bytearray()
        self._block = 1
        self._bytes_s = 1
        self._walked = 12
        self._chunks = 0
        self._known = False

    def feed(self, data: bytes) -> list[Piece]:
        """The header once, then whole sample frames."""
        self._held += data
        pieces = []
        if not self.header:
            end = self._data_start()
            if end is None:
                if len(self._held) > _MAX_HELD:
                    raise LiveRefusedError("a WAV header that does not end")
                return []
            self.header = bytes(self._held[:end])
            del self._held[:end]
            pieces.append(Piece(self.header, starts=True))
        whole = len(self._held) - len(self._held) % self._block
        if whole:
            pieces.append(Piece(bytes(self._held[:whole]), whole / self._bytes_s))
            del self._held[:whole]
        return pieces

    def _data_start(self) -> int | None:
        """Where the sound begins, None until that has come; goes on where it was at the last feed."""
        held = self._held
        while len(held) >= (at := self._walked) + 8:
            name, size = bytes(held[at : at + 4]), int.from_bytes(held[at + 4 : at + 8], "little")
            if name == b"data":
                if not self._known:
                    raise LiveRefusedError("a WAV stream without a format")
                return at + 8
            if self._chunks >= _MAX_BLOCKS or at + 8 + size > _MAX_HELD:
                raise LiveRefusedError("a WAV header that does not end")
            if name == b"fmt ":
                if len(held) < at + 24:
                    return None
                self._bytes_s = int.from_bytes(held[at + 16 : at + 20], "little")
                self._block = int.from_bytes(held[at + 20 : at + 22], "little")
                self._known = True
                if not (0 < self._block <= 64 and 0 < self._bytes_s <= 2_000_000):  # noqa: PLR2004
                    raise LiveRefusedError("a WAV stream whose format cannot be")
            self._walked, self._chunks = at + 8 + size + size % 2, self._chunks + 1
        return None


def wav_header(hertz: int, channels: int) -> bytes:
    """Header of an endless WAV stream of 16-bit samples."""
    block = 2 * channels
    layout = b"".join(
        (
            b"fmt \x10\0\0\0\x01\0",
            channels.to_bytes(2, "little"),
            hertz.to_bytes(4, "little"),
            (hertz * block).to_bytes(4, "little"),
            block.to_bytes(2, "little"),
            b"\x10\0",
        )
    )
    return b"RIFF\xff\xff\xff\xffWAVE" + layout + b"data\xff\xff\xff\xff"
