"""The trust root: which keys exist, and which role each may play.

TUF semantics: a new version is believed when k-of-n keys of the previous version's root role signed
it (and of its own). A later issue completes rotation; the shape is final.
Source: TUF specification 1.0.33 §4.3 for the idea of keys, roles and thresholds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from agent.model.bulletin import BulletinClass, SourceLevel
from agent.wire.base import Document, Line, Moment, Name, Sha256
from agent.wire.orders import Scope


class Key(Document):
    """An Ed25519 public key, 32 bytes in hexadecimal."""

    scheme: Literal["ed25519"] = "ed25519"
    public: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Role(Document):
    """k-of-n keys."""

    keys: tuple[Sha256, ...] = Field(min_length=1, max_length=16)
    threshold: int = Field(ge=1, le=16)

    @model_validator(mode="after")
    def _reachable(self) -> Role:
        if self.threshold > len(set(self.keys)):
            raise ValueError("threshold exceeds the number of different keys")
        return self


class Issuer(Role):
    """An authority that may give orders of some kinds to some scopes."""

    name: Name
    title: Line = ""
    level: SourceLevel
    kinds: tuple[Name, ...]
    scopes: tuple[Scope, ...]
    classes: tuple[BulletinClass, ...] = (BulletinClass.NORMAL, BulletinClass.PRIORITY)


class Root(Document):
    """Keys and roles of one source system."""

    kind: Literal["root"] = "root"
    version: int = Field(ge=1)
    issued: Moment
    expires: Moment
    keys: dict[Sha256, Key]
    root: Role
    issuers: tuple[Issuer, ...] = ()

    @model_validator(mode="after")
    def _names_known_keys(self) -> Root:
        for role in (self.root, *self.issuers):
            unknown = set(role.keys) - set(self.keys)
            if unknown:
                raise ValueError(f"a role names unknown keys: {sorted(unknown)}")
        if len({issuer.name for issuer in self.issuers}) != len(self.issuers):
            raise ValueError("two issuers have the same name")
        return self

    def issuer(self, name: str) -> Issuer | None:
        """The issuer called `name`, None if the root does not know it."""
        return next((one for one in self.issuers if one.name == name), None)

    def public_keys(self, role: Role) -> dict[str, bytes]:
        """Key id to raw public key of everyone in `role`."""
        return {keyid: bytes.fromhex(self.keys[keyid].public) for keyid in role.keys}
