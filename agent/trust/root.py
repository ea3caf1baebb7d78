"""The trust root as handed over at enrolment: believed only if its own root role signed it."""

from __future__ import annotations

from agent.wire import root as wire
from agent.wire.envelope import key_id, parse_envelope, valid_signers
from agent.wire.errors import WireError


def load_root(data: bytes) -> wire.Root:
    """Read the first trust root of a box from its signed envelope.

    The keys that must have signed stand inside what they signed, so this proves that the document is
    whole and was made by the holders of its keys. That they are the right holders rests on the channel
    of enrolment. `expires` is not judged: a box that was away for long must still hear an emergency.

    Raises:
        WireError: naming what is wrong; it is a ValueError.
    """
    envelope = parse_envelope(data)
    if envelope.kind != "root":
        raise WireError("payloadType", "is not a trust root")
    root = wire.Root.read(envelope.payload)
    for keyid, key in root.keys.items():
        # Two names for one key would let a single holder reach a threshold of two.
        if key_id(bytes.fromhex(key.public)) != keyid:
            raise WireError(f"keys.{keyid}", "is not the SHA-256 of the key it names")
    signed = len(valid_signers(envelope, root.public_keys(root.root)))
    if signed < root.root.threshold:
        raise WireError("signatures", f"{signed} of the {root.root.threshold} root keys needed have signed")
    return root
