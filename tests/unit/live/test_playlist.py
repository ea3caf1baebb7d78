import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.live import playlist
from agent.live.api import LiveRefusedError
from agent.live.playlist import MAX_SEGMENTS, is_hls, media_playlist, rendition, stream_named
from agent.live.web import is_own, joined

MEDIA = "#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:41\n"


def test_simple_playlists_name_a_stream() -> None:
    assert (
        stream_named("[playlist]\nNumberOfEntries=2\nFile1=http://a/b?c=d\nFile2=http://x\n")
        == "http://a/b?c=d"
    )
    assert stream_named("\ufeff#EXTM3U\r\n#EXTINF:-1,VOV1\r\nhttp://a/vov1\r\n") == "http://a/vov1"
    with pytest.raises(LiveRefusedError, match="no stream"):
        stream_named("[playlist]\nNumberOfEntries=0\n")


def test_hls_is_told_from_a_simple_playlist() -> None:
    assert is_hls(MEDIA)
    assert not is_hls("#EXTM3U\n#EXTINF:-1,VOV1\nhttp://a/vov1\n")


def test_least_data_that_suffices_is_chosen_and_sound_before_pictures() -> None:
    def offer(bits: int, name: str, more: str = "") -> str:
        return f"#EXT-X-STREAM-INF:BANDWIDTH={bits}{more}\n{name}\n"

    assert (
        rendition("#EXTM3U\n" + offer(24000, "thin") + offer(64000, "good") + offer(128000, "rich")) == "good"
    )
    assert rendition("#EXTM3U\n" + offer(16000, "thin") + offer(24000, "best")) == "best"
    with_picture = offer(60000, "tv", ',RESOLUTION=320x180,CODECS="avc1.42c00d,mp4a.40.2"')
    assert rendition("#EXTM3U\n" + with_picture + offer(96000, "radio", ',CODECS="mp4a.40.2"')) == "radio"
    group = '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aud",NAME="vi",DEFAULT=YES,URI="vi.m3u8"\n'
    assert rendition("#EXTM3U\n" + group + offer(900000, "tv", ',RESOLUTION=1x1,AUDIO="aud"')) == "vi.m3u8"
    assert rendition(MEDIA) == ""
    with pytest.raises(LiveRefusedError, match="offers no stream"):
        rendition("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n")


def test_segments_are_numbered_and_marks_belong_to_the_next() -> None:
    listed = media_playlist(
        MEDIA + "#EXTINF:6.0,\na\n#EXT-X-DISCONTINUITY\n#EXTINF:5.5,x\nb\n#EXT-X-GAP\n#EXTINF:6\nc\n"
    )
    assert [(one.number, one.address, one.seconds) for one in listed.segments] == [
        (41, "a", 6),
        (42, "b", 5.5),
        (43, "c", 6),
    ]
    assert [one.discontinuity for one in listed.segments] == [False, True, False]
    assert [one.gap for one in listed.segments] == [False, False, True]
    assert listed.next_number == 44
    assert not listed.ended
    assert media_playlist(MEDIA + "#EXT-X-ENDLIST").ended


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('#EXT-X-KEY:METHOD=AES-128,URI="k"\n', r"encrypted \(AES-128\)"),
        ("#EXT-X-BYTERANGE:100@0\n", "BYTERANGE"),
        ("#EXTINF:nan,\n", "number"),
        ("#EXTINF:-5,\n", "number"),
        ("#EXT-X-MEDIA-SEQUENCE:1e300\n", "number"),
        ("x\n" * (MAX_SEGMENTS + 1), "segments"),
        ("#\n" * 50_000, "lines"),
        ("#EXT-X-MAP:" + "A" * 5000, "line of more than 4096"),
    ],
)
def test_playlist_that_cannot_be_played_is_refused_by_name(more: str, said: str) -> None:
    with pytest.raises(LiveRefusedError, match=said):
        media_playlist(MEDIA + more)


def test_open_key_is_no_encryption() -> None:
    assert media_playlist(MEDIA + "#EXT-X-KEY:METHOD=NONE\n#EXTINF:6,\na\n").segments


@given(st.text(max_size=300), st.sampled_from(["", MEDIA, "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=5\n"]))
def test_hostile_text_raises_nothing_but_a_refusal(text: str, head: str) -> None:
    for read in (media_playlist, rendition, stream_named):
        with contextlib.suppress(LiveRefusedError):
            assert read(head + text) is not None


def test_addresses_within_playlists() -> None:
    assert joined("http://a/b/c.m3u8?k=1", "d.ts") == "http://a/b/d.ts"
    assert joined("http://a/b/c.m3u8", "https://other/x") == "https://other/x"
    assert joined("/device/v1/live/7/list.m3u8", "s1.aac?t=2") == "/device/v1/live/7/s1.aac?t=2"
    assert joined("/device/v1/list.m3u8", "/other") == "/other"
    assert joined("/device/v1/list.m3u8", "//evil.example/x") == "https://evil.example/x"
    assert is_own("/x")
    assert not is_own("//evil.example/x")
    for hostile in ("file:///etc/passwd", "data:audio/mpeg,x", "http://[::1", "ftp://a/b"):
        with pytest.raises(LiveRefusedError):
            joined("http://a/b/c.m3u8", hostile)


def test_attributes_are_found_only_at_the_beginning_of_a_name() -> None:
    assert playlist._ATTRIBUTE.match("AB=1", 1) is None, "a long name is tried once, not from each letter"
    assert playlist._attributes('#X:A-B="x,y",C=1, D=2') == {"A-B": "x,y", "C": "1", "D": "2"}
