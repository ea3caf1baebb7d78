"""The keys of the server and what is signed with them. Keys never leave this module, nor reach a log."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from agent.model.bulletin import BulletinClass, SourceLevel
from agent.wire.envelope import Envelope, key_id, parse_envelope, sign, valid_signers
from agent.wire.errors import WireError
from agent.wire.orders import AnyOrder, Scope, ScopeKind
from agent.wire.root import Issuer, Key, Role, Root
from server.problems import StartError
from server.secret import write_private, write_whole

logger = logging.getLogger(__name__)

ROOT_VALIDITY = timedelta(days=3650)
KINDS = ("desired", "bulletin", "cancel", "job", "grant", "emergency", "takeover")
_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class Station:
    """Whose server this is.

    Attributes:
        name: short name such as `tan-loc`, part of scopes and topics.
        title: what people read, such as `Đài truyền thanh xã Tân Lộc`.
    """

    name: str
    province: str
    title: str

    @property
    def issuer(self) -> str:
        """Name under which this station gives orders."""
        return self.name if self.name.startswith("xa-") else f"xa-{self.name}"


class Signer:
    """Signs orders as the station's issuer.

    Attributes:
        root: the trust root as a signed envelope, handed to each new box.
        station: whom it speaks for.
    """

    def __init__(self, issuer_key: Ed25519PrivateKey, root: bytes, station: Station) -> None:
        self._key = issuer_key
        self.root = root
        self.station = station

    @property
    def issuer(self) -> str:
        """Name of the issuer in every order."""
        return self.station.issuer

    def sign(self, order: AnyOrder) -> bytes:
        """The order as a signed envelope."""
        payload = order.model_dump_json(by_alias=True, exclude_none=True).encode()
        return sign(order.kind, payload, self._key).encode()


def open_signer(data: Path, station: Station, now: datetime) -> Signer:
    """Read the keys and the root, making them at the first start.

    Raises:
        StartError: keys that others can read, that are damaged, or that belong to another station.
    """
    folder = data / "keys"
    folder.mkdir(mode=0o700, exist_ok=True)
    _refuse_readable_by_others(folder)
    root_key = _key(folder / "root.key", data)
    issuer_key = _key(folder / "issuer.key", data)
    path = data / "root.json"
    if not path.exists():
        write_whole(path, _new_root(root_key, issuer_key, station, now).encode())
        logger.info("trust root version 1 made for issuer %s", station.issuer)
    return Signer(issuer_key, _checked_root(path, root_key, issuer_key, station), station)


def _key(path: Path, data: Path) -> Ed25519PrivateKey:
    if not path.exists():
        if (data / "root.json").exists():
            raise StartError("key_missing", path=path)
        key = Ed25519PrivateKey.generate()
        write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return key
    _refuse_readable_by_others(path)
    try:
        loaded = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, OSError) as error:
        raise StartError("key_unreadable", path=path) from error
    if not isinstance(loaded, Ed25519PrivateKey):
        raise StartError("key_kind", path=path)
    return loaded


def _refuse_readable_by_others(path: Path) -> None:
    if path.stat().st_mode & _OTHERS:
        remedy = "chmod 700" if path.is_dir() else "chmod 600"
        raise StartError("key_open", path=path, remedy=remedy)


def _new_root(
    root_key: Ed25519PrivateKey, issuer_key: Ed25519PrivateKey, station: Station, now: datetime
) -> Envelope:
    public = [key.public_key().public_bytes_raw() for key in (root_key, issuer_key)]
    root_id, issuer_id = (key_id(one) for one in public)
    root = Root(
        version=1,
        issued=now,
        expires=now + ROOT_VALIDITY,
        keys={key_id(one): Key(public=one.hex()) for one in public},
        root=Role(keys=(root_id,), threshold=1),
        issuers=(
            Issuer(
                name=station.issuer,
                title=station.title,
                keys=(issuer_id,),
                threshold=1,
                level=SourceLevel.COMMUNE,
                kinds=KINDS,
                scopes=(Scope(kind=ScopeKind.STATION, id=station.name),),
                classes=(BulletinClass.NORMAL, BulletinClass.PRIORITY, BulletinClass.EMERGENCY),
            ),
        ),
    )
    return sign("root", root.encode(), root_key)


def _checked_root(
    path: Path, root_key: Ed25519PrivateKey, issuer_key: Ed25519PrivateKey, station: Station
) -> bytes:
    data = path.read_bytes()
    try:
        envelope = parse_envelope(data)
        root = Root.read(envelope.payload)
    except WireError as error:
        raise StartError("root_damaged", path=path, detail=error) from error
    ours = root_key.public_key().public_bytes_raw()
    issuer = root.issuer(station.issuer)
    if issuer is None:
        known = ", ".join(one.name for one in root.issuers)
        raise StartError("root_other", known=known, issuer=station.issuer)
    issuer_id = key_id(issuer_key.public_key().public_bytes_raw())
    if not valid_signers(envelope, {key_id(ours): ours}) or issuer_id not in issuer.keys:
        raise StartError("root_mismatch", path=path)
    return data
