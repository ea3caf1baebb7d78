from __future__ import annotations

import json
from typing import Any

import pytest

from agent.trust.root import load_root
from agent.wire.envelope import sign
from agent.wire.errors import WireError
from tests.unit.trust.builders import (
    COMMUNE,
    ROOT,
    ROOT_A,
    ROOT_B,
    STRANGER,
    key,
    keyid,
    public,
    root_document,
)


def signed_root(document: dict[str, Any], *signers: int, kind: str = "root") -> bytes:
    return sign(kind, json.dumps(document).encode(), *(key(n) for n in signers)).encode()


def test_a_root_signed_by_its_own_root_role_is_loaded() -> None:
    assert load_root(signed_root(root_document(), ROOT_A, ROOT_B)) == ROOT


@pytest.mark.parametrize(
    "signers", [(ROOT_A,), (ROOT_A, ROOT_A), (ROOT_A, COMMUNE), (ROOT_A, STRANGER), (STRANGER,)]
)
def test_a_root_without_enough_of_its_root_keys_is_refused(signers: tuple[int, ...]) -> None:
    with pytest.raises(WireError, match="of the 2 root keys needed have signed"):
        load_root(signed_root(root_document(), *signers))


def test_a_changed_root_is_refused() -> None:
    data = signed_root(root_document(), ROOT_A, ROOT_B)
    document = root_document(version=2)
    forged = json.loads(data) | {
        "payload": json.loads(signed_root(document, STRANGER))["payload"],
    }
    with pytest.raises(WireError, match="0 of the 2"):
        load_root(json.dumps(forged).encode())


def test_one_key_under_two_names_is_refused() -> None:
    document = root_document()
    document["keys"][keyid(ROOT_B)] = {"scheme": "ed25519", "public": public(ROOT_A)}
    with pytest.raises(WireError, match="is not the SHA-256 of the key it names"):
        load_root(signed_root(document, ROOT_A, ROOT_B))


def test_an_order_is_not_a_root() -> None:
    with pytest.raises(WireError, match="payloadType: is not a trust root"):
        load_root(signed_root(root_document(), ROOT_A, ROOT_B, kind="desired"))


@pytest.mark.parametrize("data", [b"", b"null", b"\xff", signed_root({"version": 1}, ROOT_A)])
def test_what_is_no_root_document_is_named_as_such(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^[a-z]+: "):
        load_root(data)
