"""Video: what the players may open."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.signage.video import VideoError, arguments, length_s, mpv_arguments
from drivers.api import BoardGeometry, PixelFormat

SIZE = BoardGeometry(192, 64)


def test_a_file_is_opened_as_mp4_and_may_name_only_files() -> None:
    found = arguments(Path("/media/-x.mp4"), SIZE, PixelFormat.BGRX, single=False)
    before = found[: found.index("-i")]
    assert before[before.index("-protocol_whitelist") + 1] == "file,pipe"
    assert before[before.index("-f") + 1] == "mov"
    assert found[found.index("-i") + 1] == "file:/media/-x.mp4"
    assert found[found.index("-pix_fmt") + 1] == "bgr0"


def test_a_stream_may_not_name_files() -> None:
    found = arguments("https://x.example/a.m3u8", SIZE, PixelFormat.RGB, single=False)
    assert "file" not in found[found.index("-protocol_whitelist") + 1].split(",")


def test_a_picture_is_fitted_and_padded() -> None:
    found = arguments(Path("/a.mp4"), SIZE, PixelFormat.RGB, single=True)
    fitted = found[found.index("-vf") + 1]
    assert "force_original_aspect_ratio=decrease" in fitted
    assert "pad=192:64" in fitted
    assert found[found.index("-frames:v") + 1] == "1"


@pytest.mark.parametrize(
    "source", ["", "file:///etc/passwd", "/etc/passwd", "concat:a|b", "ab" * 32, "HTTP:x"]
)
def test_nothing_but_files_on_the_box_and_http_streams_is_opened(source: str) -> None:
    with pytest.raises(VideoError) as caught:
        arguments(source, SIZE, PixelFormat.RGB, single=False)
    assert caught.value.code == "video_missing"
    with pytest.raises(VideoError):
        mpv_arguments(source, "/dev/dri/card1")


def test_mpv_reads_no_configuration_and_no_other_files() -> None:
    found = mpv_arguments(Path("/a.mp4"), "/dev/dri/card1")
    assert {"--no-config", "--load-scripts=no", "--ytdl=no", "--no-audio"} <= set(found)
    assert "--drm-device=/dev/dri/card1" in found
    assert "--demuxer-lavf-o=protocol_whitelist=[file,pipe]" in found
    assert found[-2:] == ["--", "file:///a.mp4"]


def test_the_length_of_what_is_no_video_is_not_known(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(b"no video")
    assert length_s(path) is None
    assert length_s(tmp_path / "missing.mp4") is None
