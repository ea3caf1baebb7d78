from __future__ import annotations

import pytest

from agent.model.bulletin import LiveSource
from server.live_address import check_address


@pytest.mark.parametrize(
    ("source", "address"),
    [
        (LiveSource.STREAM, "http://10.0.0.5:8000/vov1"),
        (LiveSource.STREAM, "https://dai.example.vn/live.m3u8?kenh=1"),
        (LiveSource.STREAM, "http://[2001:db8::1]:8000/x"),
        (LiveSource.MULTICAST, "239.1.2.3:5004"),
        (LiveSource.FM, "98.9"),
        (LiveSource.FM, "108"),
        (LiveSource.LINE_IN, ""),
        (LiveSource.MICROPHONE, "ban-truc"),
    ],
)
def test_addresses_that_suit_their_source(source: LiveSource, address: str) -> None:
    assert check_address(source, address) is None


@pytest.mark.parametrize(
    ("source", "address"),
    [
        (LiveSource.STREAM, ""),
        (LiveSource.STREAM, "file:///etc/passwd"),
        (LiveSource.STREAM, "/device/v1/live/x"),
        (LiveSource.STREAM, "https://user:secret@dai.example.vn/"),
        (LiveSource.STREAM, "http://dai.example.vn:99999/"),
        (LiveSource.STREAM, "http:///x"),
        (LiveSource.STREAM, "http://x.vn/a b"),
        (LiveSource.STREAM, "http://x.vn/\r\nHost: y"),
        (LiveSource.MULTICAST, "192.168.1.5:5004"),
        (LiveSource.MULTICAST, "239.1.2.3"),
        (LiveSource.MULTICAST, "239.1.2.3:0"),
        (LiveSource.MULTICAST, "239.1.2.300:5004"),
        (LiveSource.FM, "1089"),
        (LiveSource.FM, "12.5"),
        (LiveSource.FM, "98,9"),
        (LiveSource.LINE_IN, "../x"),
    ],
)
def test_addresses_that_would_send_a_box_after_nonsense(source: LiveSource, address: str) -> None:
    assert check_address(source, address) is not None
