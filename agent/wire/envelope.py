"""DSSE envelopes signed with Ed25519: bytes in, signed bytes out; no policy.

Source: Dead Simple Signing Envelope, protocol.md 1.0.2 (secure-systems-lab/dsse). The algorithm is
fixed, never named in the message; the payload type is inside what is signed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from agent.wire.errors import WireError

MAX_ENVELOPE_BYTES = 256 * 1024
"""Largest envelope read; a `desired` document is about 3 kB."""

MAX_SIGNATURES = 8
MAX_TYPE_CHARS = 200

PAYLOAD_PREFIX = "application/vnd.tieng-lang.v1."
PAYLOAD_SUFFIX = "+json"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature: key id (hex SHA-256 of the raw public key) and 64 bytes."""

    keyid: str
    sig: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload with the signatures over it, none of them checked yet."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    @property
    def kind(self) -> str:
        """Document type such as `desired`; empty if the payload type is not one of ours."""
        if self.payload_type.startswith(PAYLOAD_PREFIX) and self.payload_type.endswith(PAYLOAD_SUFFIX):
            return self.payload_type[len(PAYLOAD_PREFIX) : -len(PAYLOAD_SUFFIX)]
        return ""

    def encode(self) -> bytes:
        """Serialise to the JSON form of DSSE."""
        return json.dumps(
            {
                "payloadType": self.payload_type,
                "payload": base64.b64encode(self.payload).decode(),
                "signatures": [
                    {"keyid": one.keyid, "sig": base64.b64encode(one.sig).decode()} for one in self.signatures
                ],
            },
            separators=(",", ":"),
        ).encode()


def payload_type(kind: str) -> str:
    """Full payload type of a document kind such as `desired`."""
    return f"{PAYLOAD_PREFIX}{kind}{PAYLOAD_SUFFIX}"


def key_id(public_key: bytes) -> str:
    """Key id of a raw 32-byte Ed25519 public key: hex SHA-256."""
    return hashlib.sha256(public_key).hexdigest()


def pae(type_name: str, payload: bytes) -> bytes:
    """Pre-authentication encoding of DSSE: what is really signed."""
    # A lone surrogate is valid JSON: it must fail to verify, not raise.
    name = type_name.encode("utf-8", "surrogatepass")
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def parse_envelope(data: bytes) -> Envelope:
    """Read an envelope without trusting anything in it.

    Raises:
        WireError: too large, not UTF-8, not JSON, or not shaped like a DSSE envelope.
    """
    if len(data) > MAX_ENVELOPE_BYTES:
        raise WireError("envelope", f"{len(data)} bytes; at most {MAX_ENVELOPE_BYTES} are read")
    try:
        raw = json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise WireError("envelope", f"not UTF-8 at byte {error.start}") from error
    except (ValueError, RecursionError) as error:
        raise WireError("envelope", f"not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise WireError("envelope", "must be a JSON object")
    type_name = raw.get("payloadType")
    if not isinstance(type_name, str) or not 0 < len(type_name) <= MAX_TYPE_CHARS:
        raise WireError("payloadType", f"must be a text of 1 to {MAX_TYPE_CHARS} characters")
    payload = _base64(raw.get("payload"), "payload")
    listed = raw.get("signatures")
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_SIGNATURES:
        raise WireError("signatures", f"must be a list of 1 to {MAX_SIGNATURES}")
    return Envelope(type_name, payload, tuple(_signature(one, n) for n, one in enumerate(listed)))


def sign(kind: str, payload: bytes, *keys: Ed25519PrivateKey) -> Envelope:
    """Sign a document of `kind` with one or more keys."""
    type_name = payload_type(kind)
    message = pae(type_name, payload)
    return Envelope(
        type_name,
        payload,
        tuple(Signature(key_id(key.public_key().public_bytes_raw()), key.sign(message)) for key in keys),
    )


def valid_signers(envelope: Envelope, keys: dict[str, bytes]) -> frozenset[str]:
    """Ids of the keys, among `keys` (id to raw public key), whose signature over the envelope is right."""
    message = pae(envelope.payload_type, envelope.payload)
    good = set()
    for one in envelope.signatures:
        public = keys.get(one.keyid)
        if public is None:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(one.sig, message)
        except (InvalidSignature, ValueError):
            continue
        good.add(one.keyid)
    return frozenset(good)


def _signature(raw: object, index: int) -> Signature:
    field = f"signatures[{index}]"
    if not isinstance(raw, dict):
        raise WireError(field, "must be an object with keyid and sig")
    keyid = raw.get("keyid")
    if not isinstance(keyid, str) or len(keyid) > 128:  # noqa: PLR2004 - twice a SHA-256 in hex
        raise WireError(f"{field}.keyid", "must be a text of at most 128 characters")
    return Signature(keyid, _base64(raw.get("sig"), f"{field}.sig"))


def _base64(value: object, field: str) -> bytes:
    if not isinstance(value, str):
        raise WireError(field, "must be base64 text")
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WireError(field, "is not base64") from error
    # One spelling only: otherwise unused bits could be changed without breaking a signature.
    if base64.b64encode(data).decode() != value:
        raise WireError(field, "is not canonical base64")
    return data
