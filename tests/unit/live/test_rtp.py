import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.live.api import LiveRefusedError
from agent.live.multicast import group_and_port
from agent.live.rtp import Reorder, RtpStream, parse


def packet(
    sequence: int, payload: bytes = b"x", *, kind: int = 33, ssrc: int = 7, first: int = 0x80
) -> bytes:
    return (
        bytes((first, kind))
        + (sequence % 65536).to_bytes(2, "big")
        + b"\0" * 4
        + ssrc.to_bytes(4, "big")
        + payload
    )


def test_header_padding_extension_and_contributors_are_taken_off() -> None:
    assert parse(packet(5, b"sound")).payload == b"sound"  # type: ignore[union-attr]
    assert parse(packet(5, b"sound\0\0\3", first=0xA0)).payload == b"sound"  # type: ignore[union-attr]
    assert parse(packet(5, b"\0\0\0\1EXTRsound", first=0x90)).payload == b"sound"  # type: ignore[union-attr]
    assert parse(packet(5, b"CSRCsound", first=0x81)).payload == b"sound"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"what is no RTP",
        packet(1, b""),
        packet(1, first=0x40),
        packet(1, b"ab\xff", first=0xA0),
        packet(1, b"ab", first=0x90),
        packet(1, b"ab\0", first=0xA0),
    ],
)
def test_what_is_no_rtp_is_ignored(datagram: bytes) -> None:
    stream = RtpStream()
    assert stream.feed(datagram) == b""
    assert stream.ignored == 1


@given(st.binary(max_size=200))
def test_hostile_datagrams_raise_nothing(datagram: bytes) -> None:
    found = parse(datagram)
    assert found is None or found.payload


def test_packets_are_put_in_order_across_the_wrap_of_numbers() -> None:
    order = Reorder()
    numbers = [(65530 + n) % 65536 for n in range(40)]
    shuffled = numbers[:1]
    draw = random.Random(3)
    for start in range(1, 40, 3):
        some = numbers[start : start + 3]
        draw.shuffle(some)
        shuffled += some
    given_on = [one for number in shuffled for one in order.push(number, number.to_bytes(2, "big"))]
    assert given_on == [number.to_bytes(2, "big") for number in numbers]


def test_lost_packet_is_waited_for_only_so_long() -> None:
    order = Reorder(depth=3)
    given_on = [b for n in (1, 3, 4, 5, 6, 7) for b in order.push(n, bytes((n,)))]
    assert given_on == [b"\1", b"\3", b"\4", b"\5", b"\6", b"\7"]
    assert order.push(2, b"\2") == []
    assert order.push(7, b"\7") == []
    assert order.push(30_000, b"n") == [b"n"]
    assert order.push(30_001, b"o") == [b"o"]


def test_first_sender_is_held_to() -> None:
    stream = RtpStream()
    first = stream.feed(packet(1, b"G" * 188))
    assert first == b"G" * 188
    assert stream.feed(packet(2, b"F" * 188, ssrc=8)) == b""
    assert stream.ignored == 1
    assert stream.feed(packet(2, b"H" * 188)) == b"H" * 188
    assert stream.ignored == 0, "strangers in between do no harm"


def test_control_packets_on_the_same_port_are_not_held_against_the_sender() -> None:
    stream = RtpStream()
    stream.feed(packet(1, b"G" * 188))
    for kind in (72, 73, 200 & 127, 201):
        assert stream.feed(bytes((0x80, kind)) + bytes(26)) == b""
    assert stream.ignored == 0


def test_companded_sound_becomes_wav() -> None:
    # G.711 tables 1a and 2a: the ends of the range and silence
    mu = RtpStream().feed(packet(1, b"\xff\x7f\x80\x00", kind=0))
    assert mu[:4] == b"RIFF"
    assert mu[44:] == b"".join(one.to_bytes(2, "little", signed=True) for one in (0, 0, 32124, -32124))
    a = RtpStream().feed(packet(1, b"\xd5\x55\xaa\x2a", kind=8))
    assert a[44:] == b"".join(one.to_bytes(2, "little", signed=True) for one in (8, -8, 32256, -32256))


def test_l16_is_swapped_and_cut_at_whole_frames() -> None:
    assert RtpStream().feed(packet(1, b"\x01\x02\x03\x04\x05\x06", kind=10))[44:] == b"\x02\x01\x04\x03"


def test_payload_that_needs_a_description_is_refused_by_name() -> None:
    with pytest.raises(LiveRefusedError, match="payload type 97"):
        RtpStream().feed(packet(1, kind=97))


@pytest.mark.parametrize("address", ["239.1.2.3:5004", "rtp://239.1.2.3:5004", "rtp://@239.1.2.3:5004/"])
def test_address_of_a_group(address: str) -> None:
    assert group_and_port(address) == ("239.1.2.3", 5004)


@pytest.mark.parametrize(
    "address", ["", "239.1.2.3", "239.1.2.300:5004", "239.1.2.3:99999", "239.1.2.3:80", "http://a"]
)
def test_what_is_no_group_is_refused(address: str) -> None:
    with pytest.raises(LiveRefusedError, match="group:port"):
        group_and_port(address)
