"""Keys, roots and orders for tests; every value can be overridden."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.model.bulletin import ClockTrust
from agent.trust.verify import Accepted, BoxPlace, Refused, judge
from agent.wire.envelope import key_id, sign
from agent.wire.root import Root
from agent.wire.ulid import new_ulid

NOW = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
ALL_KINDS = frozenset({"desired", "bulletin", "emergency", "cancel", "takeover", "grant", "job"})


def key(n: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32)


def public(n: int) -> str:
    return key(n).public_key().public_bytes_raw().hex()


def keyid(n: int) -> str:
    return key_id(key(n).public_key().public_bytes_raw())


COMMUNE, PROVINCE_A, PROVINCE_B, ROOT_A, ROOT_B, STRANGER = 1, 2, 3, 4, 5, 6

PLACE = BoxPlace("cum-loa-thon-1", "xa-tan-lap", "tinh-a", frozenset({"nhom-1"}))


def root_document(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "root",
        "version": 1,
        "issued": NOW.isoformat(),
        "expires": (NOW + timedelta(days=365)).isoformat(),
        "keys": {keyid(n): {"scheme": "ed25519", "public": public(n)} for n in range(1, 6)},
        "root": {"keys": [keyid(ROOT_A), keyid(ROOT_B)], "threshold": 2},
        "issuers": [
            {
                "name": "xa-tan-lap",
                "level": "commune",
                "keys": [keyid(COMMUNE)],
                "threshold": 1,
                "kinds": ["desired", "bulletin", "cancel", "job"],
                "scopes": [{"kind": "station", "id": "xa-tan-lap"}],
                "classes": ["normal"],
            },
            {
                "name": "tinh-a",
                "level": "province",
                "keys": [keyid(PROVINCE_A), keyid(PROVINCE_B)],
                "threshold": 1,
                "kinds": sorted(ALL_KINDS),
                "scopes": [
                    {"kind": "province", "id": "tinh-a"},
                    {"kind": "group", "id": "nhom-1"},
                    {"kind": "group", "id": "nhom-2"},
                ],
                "classes": ["normal", "priority", "emergency"],
            },
        ],
    } | changes


ROOT = Root.read(json.dumps(root_document()))


def order(kind: str = "desired", **changes: Any) -> dict[str, Any]:
    by_kind: dict[str, dict[str, Any]] = {
        "desired": {},
        "bulletin": {"class": "normal", "level": "commune", "parts": [{"title": "Lịch tiêm chủng"}]},
        "emergency": {"event": "flood", "level": "province", "parts": [{"title": "Lũ về"}]},
        "cancel": {"cancels": new_ulid(NOW)},
        "takeover": {"reason": "bão số 5"},
        "grant": {"speaker": "Chủ tịch", "level": "province", "source": "microphone"},
        "job": {"action": "self_test"},
    }
    return (
        {
            "kind": kind,
            "id": new_ulid(NOW),
            "issuer": "xa-tan-lap",
            "seq": 1,
            "scope": {"kind": "station", "id": "xa-tan-lap"},
            "not_before": (NOW - timedelta(minutes=1)).isoformat(),
            "expires": (NOW + timedelta(days=30)).isoformat(),
        }
        | by_kind[kind]
        | changes
    )


def province_order(kind: str, **changes: Any) -> dict[str, Any]:
    return order(kind, **{"issuer": "tinh-a", "scope": {"kind": "group", "id": "nhom-1"}} | changes)


def envelope(document: dict[str, Any], *signers: int, kind: str | None = None) -> bytes:
    payload = json.dumps(document, ensure_ascii=False).encode()
    chosen = signers or (COMMUNE if document["issuer"] == "xa-tan-lap" else PROVINCE_A,)
    return sign(kind or document["kind"], payload, *(key(n) for n in chosen)).encode()


def decide(data: bytes, **changes: Any) -> Accepted | Refused:
    given: dict[str, Any] = {
        "root": ROOT,
        "place": PLACE,
        "sequences": {},
        "seen": lambda order_id: None,
        "now": NOW,
        "clock_trust": ClockTrust.SYNCHRONISED,
        "floor": None,
        "supported": ALL_KINDS,
    }
    return judge(data, **given | changes)
