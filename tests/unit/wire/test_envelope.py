"""DSSE: the published example, signatures, and hostile bytes."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agent.wire.envelope import (
    MAX_ENVELOPE_BYTES,
    Envelope,
    Signature,
    key_id,
    pae,
    parse_envelope,
    payload_type,
    sign,
    valid_signers,
)
from agent.wire.errors import WireError

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))
PUBLIC = {
    key_id(one.public_key().public_bytes_raw()): one.public_key().public_bytes_raw() for one in (KEY, OTHER)
}
FIRST, SECOND = PUBLIC
PAYLOAD = '{"kind":"desired","title":"Bản tin"}'.encode()


def shaped(**changes: Any) -> bytes:
    raw = json.loads(sign("desired", PAYLOAD, KEY).encode()) | changes
    return json.dumps(raw).encode()


def test_pre_authentication_encoding_is_that_of_the_specification() -> None:
    # The example of DSSE protocol.md.
    encoded = pae("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_lengths_are_of_bytes() -> None:
    assert pae("ă", "ơ".encode()) == "DSSEv1 2 ă 2 ơ".encode()


def test_a_key_and_signature_of_rfc_8032_fit() -> None:
    # RFC 8032, 7.1, test 1: the key pair behind the key id.
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    key = Ed25519PrivateKey.from_private_bytes(seed)
    assert key.public_key().public_bytes_raw() == public
    assert sign("root", b"{}", key).signatures[0].keyid == key_id(public)


def test_an_envelope_survives_the_wire_with_the_very_bytes_that_were_signed() -> None:
    envelope = sign("desired", PAYLOAD, KEY, OTHER)
    read = parse_envelope(envelope.encode())
    assert read == envelope
    assert (read.kind, read.payload) == ("desired", PAYLOAD)
    assert valid_signers(read, PUBLIC) == {FIRST, SECOND}
    assert valid_signers(read, {FIRST: PUBLIC[FIRST]}) == {FIRST}


@pytest.mark.parametrize(
    "forged",
    [
        Envelope(payload_type("desired"), PAYLOAD + b" ", sign("desired", PAYLOAD, KEY).signatures),
        Envelope(payload_type("emergency"), PAYLOAD, sign("desired", PAYLOAD, KEY).signatures),
        Envelope(payload_type("desired"), PAYLOAD, (Signature(FIRST, b""),)),
        Envelope(payload_type("desired"), PAYLOAD, (Signature(FIRST, bytes(64)),)),
        Envelope(
            payload_type("desired"),
            PAYLOAD,
            (Signature(SECOND, sign("desired", PAYLOAD, KEY).signatures[0].sig),),
        ),
        Envelope(
            payload_type("desired"),
            PAYLOAD,
            (Signature("", sign("desired", PAYLOAD, KEY).signatures[0].sig),),
        ),
        # Bytes signed for "a b" must not fit a type that ends where the payload begins.
        Envelope(payload_type("desired") + " 1", PAYLOAD[2:], sign("desired", PAYLOAD, KEY).signatures),
    ],
)
def test_a_forged_envelope_has_no_valid_signer(forged: Envelope) -> None:
    assert valid_signers(forged, PUBLIC) == frozenset()


def test_one_key_signing_twice_is_one_signer() -> None:
    twice = sign("desired", PAYLOAD, KEY, KEY)
    assert valid_signers(twice, PUBLIC) == {FIRST}


def test_a_broken_public_key_verifies_nothing() -> None:
    assert valid_signers(sign("desired", PAYLOAD, KEY), {FIRST: b"short"}) == frozenset()


@pytest.mark.parametrize(
    "name", ["application/json", "application/vnd.tieng-lang.v2.desired+json", "desired", "x"]
)
def test_foreign_payload_types_have_no_kind(name: str) -> None:
    assert Envelope(name, b"", ()).kind == ""


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"", "envelope"),
        (b"\xff\xfe{}", "envelope"),
        (b"[]", "envelope"),
        (b"null", "envelope"),
        (b"{}", "payloadType"),
        (b'{"payloadType":', "envelope"),
        (b"[" * 100_000, "envelope"),
        (b'{"a":' * 40_000 + b"1" + b"}" * 40_000, "envelope"),
        (b"9" * 10_000, "envelope"),
        (b" " * (MAX_ENVELOPE_BYTES + 1), "envelope"),
        (shaped(payloadType=""), "payloadType"),
        (shaped(payloadType="x" * 201), "payloadType"),
        (shaped(payloadType=3), "payloadType"),
        (shaped(payload=None), "payload"),
        (shaped(payload="a"), "payload"),
        (shaped(payload="YQ==\n"), "payload"),
        (shaped(payload="YQ==YQ=="), "payload"),
        (shaped(payload="Bản"), "payload"),
        (shaped(signatures=[]), "signatures"),
        (shaped(signatures={}), "signatures"),
        (shaped(signatures=[{}] * 9), "signatures"),
        (shaped(signatures=["x"]), "signatures[0]"),
        (shaped(signatures=[{"keyid": 1, "sig": "YQ=="}]), "signatures[0].keyid"),
        (shaped(signatures=[{"keyid": "x" * 129, "sig": "YQ=="}]), "signatures[0].keyid"),
        (shaped(signatures=[{"keyid": "x", "sig": "@"}]), "signatures[0].sig"),
    ],
    ids=range(25),
)
def test_what_is_no_envelope_is_refused_by_name(data: bytes, field: str) -> None:
    with pytest.raises(WireError) as refused:
        parse_envelope(data)
    assert refused.value.field == field


def test_a_payload_type_with_a_lone_surrogate_has_no_valid_signer() -> None:
    signed = sign("desired", PAYLOAD, KEY).signatures
    data = shaped().replace(b"desired", b"\\ud800")
    envelope = parse_envelope(data)
    assert envelope == Envelope(payload_type("\ud800"), PAYLOAD, signed)
    assert valid_signers(envelope, PUBLIC) == frozenset()


def test_of_a_key_given_twice_only_the_one_that_is_verified_is_used() -> None:
    forged = base64.b64encode(b'{"kind":"emergency"}').decode()
    data = shaped()[:-1] + f',"payload":"{forged}"}}'.encode()
    with suppress(WireError):
        envelope = parse_envelope(data)
        assert valid_signers(envelope, PUBLIC) == (
            frozenset({FIRST}) if envelope.payload == PAYLOAD else frozenset()
        )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
texts = st.text(max_size=30) | st.binary(max_size=30).map(lambda data: base64.b64encode(data).decode())
nearly = st.fixed_dictionaries(
    {
        "payloadType": texts | json_values,
        "payload": texts | json_values,
        "signatures": st.lists(
            st.fixed_dictionaries({"keyid": texts, "sig": texts}) | json_values, max_size=3
        ),
    }
)


@given(
    st.binary(max_size=300)
    | st.text(max_size=100).map(str.encode)
    | (json_values | nearly).map(lambda v: json.dumps(v).encode())
)
def test_any_bytes_are_an_envelope_or_a_wire_error(data: bytes) -> None:
    with suppress(WireError):
        envelope = parse_envelope(data)
        assert parse_envelope(envelope.encode()) == envelope
        assert valid_signers(envelope, PUBLIC) == frozenset()
