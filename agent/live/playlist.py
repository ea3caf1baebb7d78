"""Reads playlists: simple ones that name a stream (.pls, .m3u), and those of HLS. Pure.

Source of the HLS rules: RFC 8216.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.live.api import LiveRefusedError

MAX_SEGMENTS = 5000
_MAX_LINES = 40_000
_MAX_LINE_CHARACTERS = 4096
_SUFFICIENT_BITS_S = 48_000
"""Speech and light music through a horn; of what offers at least this, the least data."""

_ATTRIBUTE = re.compile(r'(?<![A-Z0-9-])([A-Z0-9-]+)=("[^"]*"|[^",]*)')


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of an HLS stream.

    Attributes:
        number: its media sequence number.
        seconds: announced length.
        discontinuity: format or time may jump before it.
        init: file with the header that it needs (fragmented MP4), "" if none.
        gap: the server says that it does not have it.
    """

    number: int
    address: str
    seconds: float
    discontinuity: bool = False
    init: str = ""
    gap: bool = False


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    """The list of segments as it stands."""

    target_s: float
    segments: tuple[Segment, ...]
    ended: bool

    @property
    def next_number(self) -> int:
        """Number of the segment after the newest."""
        return self.segments[-1].number + 1 if self.segments else 0


def is_hls(text: str) -> bool:
    """Whether a playlist is one of HLS, not one that only names streams."""
    return text.lstrip("\ufeff").startswith("#EXTM3U") and "#EXT-X-" in text


def stream_named(text: str) -> str:
    """The first stream that a .pls or .m3u playlist names.

    Raises:
        LiveRefusedError: none.
    """
    for line in _lines(text):
        entry = re.fullmatch(r"(?i)file\d{0,3}\s*=\s*(\S+)", line)
        if entry:
            return entry[1]
        if line and not line.startswith(("#", "[")) and "=" not in line.partition("://")[0]:
            return line
    raise LiveRefusedError("a playlist that names no stream")


def rendition(text: str) -> str:
    """The address that a master playlist offers with the least data that suffices; "" for a media playlist.

    Raises:
        LiveRefusedError: a master playlist that offers nothing.
    """
    if "#EXT-X-STREAM-INF" not in text:
        return ""
    offers: list[tuple[bool, int, str, str]] = []
    groups: dict[str, str] = {}
    described: dict[str, str] | None = None
    for line in _lines(text):
        if line.startswith("#EXT-X-MEDIA:"):
            media = _attributes(line)
            if media.get("TYPE") == "AUDIO" and media.get("URI"):
                preferred = media.get("DEFAULT") == "YES"
                if preferred or media.get("GROUP-ID", "") not in groups:
                    groups[media.get("GROUP-ID", "")] = media["URI"]
        elif line.startswith("#EXT-X-STREAM-INF:"):
            described = _attributes(line)
        elif line and not line.startswith("#") and described is not None:
            bits_s = _number(described.get("BANDWIDTH", ""), 0)
            codecs = described.get("CODECS", "")
            picture = "RESOLUTION" in described or re.search(r"avc|hvc|hev|vp0?9|av01", codecs) is not None
            offers.append((picture, int(bits_s), described.get("AUDIO", ""), line))
            described = None
    if not offers:
        raise LiveRefusedError("an HLS playlist that offers no stream")
    sound_only = [one for one in offers if not one[0]] or offers
    enough = [one for one in sound_only if one[1] >= _SUFFICIENT_BITS_S]
    _, _, group, address = min(enough, key=_bits) if enough else max(sound_only, key=_bits)
    return groups.get(group, address) if group else address


def media_playlist(text: str) -> MediaPlaylist:
    """Read the list of segments; addresses are as written.

    Raises:
        LiveRefusedError: it cannot be used: encrypted, parts of files, too long, or no such list.
    """
    reader = _ListReader()
    for line in _lines(text):
        reader.read(line)
    if not reader.target_s:
        raise LiveRefusedError("an HLS playlist without target duration")
    return MediaPlaylist(min(reader.target_s, 60.0), tuple(reader.segments), reader.ended)


class _ListReader:
    """Reads a media playlist line by line; tags hold for the next segment, or for all that follow."""

    def __init__(self) -> None:
        self.target_s = 0.0
        self.ended = False
        self.segments: list[Segment] = []
        self._number = 0
        self._seconds = 0.0
        self._init = ""
        self._marks: set[str] = set()

    def read(self, line: str) -> None:
        if line.startswith("#"):
            self._tag(line)
        elif line:
            jumps, gap = "#EXT-X-DISCONTINUITY" in self._marks, "#EXT-X-GAP" in self._marks
            self.segments.append(Segment(self._number, line, self._seconds, jumps, self._init, gap))
            self._number, self._seconds = self._number + 1, 0.0
            self._marks.clear()
            if len(self.segments) > MAX_SEGMENTS:
                raise LiveRefusedError(f"an HLS playlist of more than {MAX_SEGMENTS} segments")

    def _tag(self, line: str) -> None:
        tag, _, value = line.partition(":")
        match tag:
            case "#EXT-X-TARGETDURATION":
                self.target_s = _number(value, 1)
            case "#EXT-X-MEDIA-SEQUENCE":
                self._number = int(_number(value, 0))
            case "#EXTINF":
                self._seconds = min(_number(value.partition(",")[0], 0), 600.0)
            case "#EXT-X-DISCONTINUITY" | "#EXT-X-GAP":
                self._marks.add(tag)
            case "#EXT-X-ENDLIST":
                self.ended = True
            case "#EXT-X-MAP":
                self._init = _attributes(line).get("URI", "")
            case "#EXT-X-KEY" if (method := _attributes(line).get("METHOD", "")) != "NONE":
                raise LiveRefusedError(
                    f"the HLS stream is encrypted ({method[:20]}); only open ones are relayed"
                )
            case "#EXT-X-BYTERANGE":
                raise LiveRefusedError(
                    "the HLS stream is made of parts of files (BYTERANGE), which are not read"
                )
            case _:
                pass


def _lines(text: str) -> list[str]:
    lines = [line.strip() for line in text.lstrip("\ufeff").splitlines()]
    if len(lines) > _MAX_LINES:
        raise LiveRefusedError(f"a playlist of more than {_MAX_LINES} lines")
    if max(map(len, lines), default=0) > _MAX_LINE_CHARACTERS:
        raise LiveRefusedError(f"a playlist with a line of more than {_MAX_LINE_CHARACTERS} characters")
    return lines


def _attributes(line: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(line.partition(":")[2])}


def _number(text: str, least: float) -> float:
    """A number of a playlist; what is none, or absurd, is refused by its name."""
    try:
        value = float(text.strip()[:20])
    except ValueError:
        raise LiveRefusedError(f"a playlist with {text[:20]!r} where a number must be") from None
    if not least <= value <= 2**53:
        raise LiveRefusedError(f"a playlist with the number {text[:20]!r}")
    return value


def _bits(offer: tuple[bool, int, str, str]) -> int:
    return offer[1]
