"""Random secrets and how they are kept: plain text is handed out once, hashes stay."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import string
from pathlib import Path

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1"})
_PBKDF2_ROUNDS = 101
"""Mosquitto's default; the secrets are 256 random bits, which no number of rounds makes harder to guess."""


def new_secret() -> str:
    """256 random bits in 43 characters."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    """How a random secret is kept: hex SHA-256."""
    return hashlib.sha256(secret.encode()).hexdigest()


def matches(secret: str, kept: str) -> bool:
    """Whether `secret` is the one of the kept digest, in constant time."""
    return hmac.compare_digest(digest(secret), kept)


def new_device_id() -> str:
    """`box-` and 10 random characters."""
    return "box-" + "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(10))


def new_code() -> str:
    """An enrolment code of 40 bits, such as `7K3M-9QXT`: no I, L, O or U to be misread."""
    letters = "".join(secrets.choice(CROCKFORD) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


def canonical_code(typed: str) -> str:
    """A typed code as it was made: upper case, no dashes or spaces, O read as 0, I and L as 1."""
    letters = "".join(char for char in typed.upper() if char.isalnum())
    return letters.translate(_READ_AS)


def mosquitto_hash(secret: str) -> str:
    """Password hash as Mosquitto 2.0 keeps it: `$7$rounds$salt$hash`, PBKDF2 with HMAC-SHA-512.

    Source: mosquitto 2.0 `src/security_default.c`; checked against 2.0.11.
    """
    salt = os.urandom(12)
    key = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, _PBKDF2_ROUNDS, 64)
    return f"$7${_PBKDF2_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def write_private(path: Path, content: bytes) -> None:
    """Write a file only its owner can read, whole or not at all, on disk when this returns."""
    write_whole(path, content, 0o600)


def write_whole(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replace a file atomically."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.fchmod(handle, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
