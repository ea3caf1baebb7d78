from __future__ import annotations

import base64
import hashlib
import re
import stat
from pathlib import Path

import pytest

from server.secret import (
    canonical_code,
    digest,
    matches,
    mosquitto_hash,
    new_code,
    new_device_id,
    write_private,
)


def test_codes_have_forty_bits_and_no_letter_to_be_misread() -> None:
    codes = {new_code() for _ in range(500)}
    assert len(codes) == 500
    assert all(
        re.fullmatch(r"[0-9ABCDEFGHJKMNPQRSTVWXYZ]{4}-[0-9ABCDEFGHJKMNPQRSTVWXYZ]{4}", one) for one in codes
    )


@pytest.mark.parametrize("typed", ["7K3M-9QX1", "7k3m 9qx1", " 7k3m9qxi ", "7K3M–9QXl"])
def test_a_code_is_read_however_it_is_typed(typed: str) -> None:
    assert canonical_code(typed) == "7K3M9QX1"


def test_device_ids_are_allowed_in_topics() -> None:
    assert all(re.fullmatch(r"box-[a-z0-9]{10}", new_device_id()) for _ in range(50))


def test_the_mosquitto_hash_is_pbkdf2_with_its_own_salt() -> None:
    one, other = mosquitto_hash("geheim"), mosquitto_hash("geheim")
    assert one != other
    _, kind, rounds, salt, key = one.split("$")
    assert kind == "7"
    wanted = hashlib.pbkdf2_hmac("sha512", b"geheim", base64.b64decode(salt), int(rounds))
    assert base64.b64decode(key) == wanted


def test_a_secret_matches_its_digest_only() -> None:
    assert matches("a", digest("a"))
    assert not matches("b", digest("a"))


def test_private_files_are_whole_and_for_their_owner(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_private(path, b"one")
    write_private(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
