from __future__ import annotations

import base64
import dataclasses
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.model.bulletin import ClockTrust
from agent.model.issue import Refusal
from agent.trust.verify import Accepted, BoxPlace, Refused
from agent.wire.envelope import MAX_ENVELOPE_BYTES, parse_envelope, payload_type, sign
from agent.wire.root import Root
from tests.unit.trust.builders import (
    COMMUNE,
    NOW,
    PLACE,
    PROVINCE_A,
    PROVINCE_B,
    ROOT,
    ROOT_A,
    STRANGER,
    decide,
    envelope,
    key,
    order,
    province_order,
    root_document,
)

FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def refusal(data: bytes, **changes: Any) -> Refusal:
    outcome = decide(data, **changes)
    assert isinstance(outcome, Refused), outcome
    return outcome.refusal


@pytest.mark.parametrize("kind", ["desired", "bulletin", "cancel", "job"])
def test_an_order_of_the_commune_to_its_own_station_is_accepted(kind: str) -> None:
    document = order(kind)
    outcome = decide(envelope(document))
    assert isinstance(outcome, Accepted)
    assert outcome.order.id == document["id"]
    assert outcome.order.kind == kind
    assert outcome.issuer.name == "xa-tan-lap"


@pytest.mark.parametrize("kind", ["desired", "bulletin", "emergency", "cancel", "takeover", "grant", "job"])
def test_an_order_of_the_province_to_a_group_it_lists_is_accepted(kind: str) -> None:
    assert isinstance(decide(envelope(province_order(kind))), Accepted)


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"payloadType":"x","payload":"","signatures":[]}'],
)
def test_bytes_that_are_no_envelope_are_malformed(data: bytes) -> None:
    assert refusal(data) is Refusal.MALFORMED


def test_an_envelope_above_the_limit_is_too_large() -> None:
    assert refusal(b" " * (MAX_ENVELOPE_BYTES + 1)) is Refusal.TOO_LARGE


@pytest.mark.parametrize("kind", ["root", "poem", "desired "])
def test_a_document_that_is_no_order_is_an_unknown_type(kind: str) -> None:
    assert refusal(envelope(order(), kind=kind)) is Refusal.UNKNOWN_TYPE


def test_an_unknown_type_is_refused_before_its_signature_is_looked_at() -> None:
    assert refusal(envelope(order(), STRANGER, kind="poem")) is Refusal.UNKNOWN_TYPE


def test_a_stranger_is_an_unknown_key() -> None:
    outcome = decide(envelope(order(), STRANGER))
    assert isinstance(outcome, Refused)
    assert (outcome.refusal, outcome.order_id, outcome.kind) == (Refusal.UNKNOWN_KEY, None, "desired")


def test_a_changed_payload_is_a_bad_signature_and_is_not_read() -> None:
    signed = parse_envelope(envelope(order()))
    changed = dataclasses.replace(signed, payload=b"not even JSON")
    outcome = decide(changed.encode())
    assert isinstance(outcome, Refused)
    assert (outcome.refusal, outcome.order_id) == (Refusal.BAD_SIGNATURE, None)


def test_a_document_passed_off_as_another_type_is_a_bad_signature() -> None:
    signed = parse_envelope(envelope(province_order("emergency")))
    renamed = dataclasses.replace(signed, payload_type=payload_type("bulletin"))
    assert refusal(renamed.encode()) is Refusal.BAD_SIGNATURE


def test_a_document_signed_as_another_type_is_malformed() -> None:
    outcome = decide(envelope(order("job"), kind="desired"))
    assert isinstance(outcome, Refused)
    assert outcome.refusal is Refusal.MALFORMED
    assert outcome.detail.startswith("kind: ")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "not-a-ulid"),
        ("seq", 0),
        ("seq", "one"),
        ("expires", "tomorrow"),
        ("not_before", "2026-03-02T05:00:00"),
        ("not_before", "0001-01-01T00:00:00+14:00"),
        ("scope", {"kind": "planet", "id": "earth"}),
        ("groups", ["x"] * 33),
    ],
)
def test_a_signed_document_with_a_wrong_field_is_malformed_and_the_field_is_named(
    field: str, value: Any
) -> None:
    outcome = decide(envelope(order(**{field: value})))
    assert isinstance(outcome, Refused)
    assert outcome.refusal is Refusal.MALFORMED
    assert outcome.detail.startswith(field)


def test_an_order_that_ends_before_it_begins_is_malformed() -> None:
    assert refusal(envelope(order(expires=order()["not_before"]))) is Refusal.MALFORMED


def test_an_issuer_the_root_does_not_name_is_unknown() -> None:
    assert refusal(envelope(order(issuer="xa-khac"), COMMUNE)) is Refusal.UNKNOWN_ISSUER


def test_a_known_key_cannot_sign_for_another_issuer() -> None:
    assert refusal(envelope(order(), PROVINCE_A)) is Refusal.BAD_SIGNATURE
    assert refusal(envelope(order(), ROOT_A)) is Refusal.BAD_SIGNATURE


def test_a_threshold_counts_different_keys() -> None:
    issuers = list(ROOT.issuers)
    issuers[1] = issuers[1].model_copy(update={"threshold": 2})
    root = ROOT.model_copy(update={"issuers": tuple(issuers)})
    document = province_order("desired")
    assert refusal(envelope(document, PROVINCE_A), root=root) is Refusal.BAD_SIGNATURE
    assert refusal(envelope(document, PROVINCE_A, PROVINCE_A), root=root) is Refusal.BAD_SIGNATURE
    assert refusal(envelope(document, PROVINCE_A, COMMUNE), root=root) is Refusal.BAD_SIGNATURE
    assert isinstance(decide(envelope(document, PROVINCE_A, PROVINCE_B), root=root), Accepted)


@pytest.mark.parametrize("kind", ["emergency", "cancel"])
def test_an_emergency_for_a_whole_province_and_its_cancel_need_two_signatures(kind: str) -> None:
    document = province_order(kind, scope={"kind": "province", "id": "tinh-a"})
    assert refusal(envelope(document, PROVINCE_A)) is Refusal.BAD_SIGNATURE
    assert isinstance(decide(envelope(document, PROVINCE_A, PROVINCE_B)), Accepted)


def test_a_kind_the_issuer_may_not_give_is_a_wrong_role() -> None:
    assert refusal(envelope(order("grant"))) is Refusal.WRONG_ROLE
    assert refusal(envelope(order("emergency"))) is Refusal.WRONG_ROLE


def test_a_level_above_the_issuers_own_is_a_wrong_role() -> None:
    assert refusal(envelope(order("bulletin", level="province"))) is Refusal.WRONG_ROLE
    assert isinstance(decide(envelope(order("bulletin", level="hamlet"))), Accepted)


def test_a_class_the_issuer_may_not_use_is_a_wrong_role() -> None:
    assert refusal(envelope(order("bulletin", **{"class": "priority"}))) is Refusal.WRONG_ROLE
    issuers = list(ROOT.issuers)
    issuers[1] = issuers[1].model_copy(update={"classes": ("normal",)})
    root = ROOT.model_copy(update={"issuers": tuple(issuers)})
    assert refusal(envelope(province_order("emergency")), root=root) is Refusal.WRONG_ROLE


def test_an_emergency_dressed_as_a_bulletin_is_malformed() -> None:
    document = province_order("bulletin", level="province", **{"class": "emergency"})
    assert refusal(envelope(document)) is Refusal.MALFORMED


@pytest.mark.parametrize(
    "scope",
    [
        {"kind": "station", "id": "xa-khac"},
        {"kind": "province", "id": "tinh-a"},
        {"kind": "device", "id": "cum-loa-khac"},
        {"kind": "group", "id": "nhom-2"},
        {"kind": "device", "id": "xa-tan-lap"},
        {"kind": "group", "id": "xa-tan-lap"},
    ],
)
def test_a_commune_speaks_for_nobody_but_its_station(scope: dict[str, str]) -> None:
    outcome = decide(envelope(order(scope=scope)))
    assert isinstance(outcome, Refused)
    assert outcome.refusal is Refusal.WRONG_SCOPE
    assert outcome.order_id is not None


@pytest.mark.parametrize(
    "scope", [{"kind": "device", "id": "cum-loa-thon-1"}, {"kind": "group", "id": "nhom-1"}]
)
def test_a_commune_speaks_for_the_boxes_and_groups_of_its_station(scope: dict[str, str]) -> None:
    assert isinstance(decide(envelope(order(scope=scope))), Accepted)


def test_a_commune_does_not_speak_for_a_box_that_moved_away() -> None:
    place = dataclasses.replace(PLACE, station="xa-moi")
    document = order(scope={"kind": "device", "id": "cum-loa-thon-1"})
    assert refusal(envelope(document), place=place) is Refusal.WRONG_SCOPE


@pytest.mark.parametrize(
    "scope", [{"kind": "station", "id": "xa-tan-lap"}, {"kind": "device", "id": "cum-loa-thon-1"}]
)
def test_a_province_does_not_speak_for_a_station_it_does_not_list(scope: dict[str, str]) -> None:
    assert refusal(envelope(province_order("desired", scope=scope))) is Refusal.WRONG_SCOPE


def test_an_order_for_a_group_this_box_is_not_in_is_a_wrong_scope() -> None:
    document = province_order("desired", scope={"kind": "group", "id": "nhom-2"})
    assert refusal(envelope(document)) is Refusal.WRONG_SCOPE
    place = dataclasses.replace(PLACE, groups=frozenset({"nhom-2"}))
    assert isinstance(decide(envelope(document), place=place), Accepted)


def test_every_kind_of_scope_names_the_boxes_in_it_and_no_others() -> None:
    elsewhere = BoxPlace("cum-loa-khac", "xa-khac", "tinh-b")
    for scope in (("device", PLACE.device), ("station", PLACE.station), ("group", "nhom-1")):
        document = order(scope={"kind": scope[0], "id": scope[1]})
        accepted = decide(envelope(document))
        assert isinstance(accepted, Accepted)
        assert PLACE.holds(accepted.order.scope)
        assert not elsewhere.holds(accepted.order.scope)


def test_the_same_order_again_is_a_silent_duplicate() -> None:
    data = envelope(order())
    first = decide(data)
    assert isinstance(first, Accepted)
    respelled = data.replace(b'{"payloadType"', b'{ "payloadType"')
    again = decide(respelled, seen={first.order.id: first.payload_sha256}.get)
    assert again == Refused(Refusal.REPLAYED, "accepted before", first.order.id, "desired", duplicate=True)


def test_another_order_under_an_id_seen_is_replayed_loudly() -> None:
    first = decide(envelope(order()))
    assert isinstance(first, Accepted)
    other = envelope(order(id=first.order.id, seq=2))
    outcome = decide(other, seen={first.order.id: first.payload_sha256}.get)
    assert isinstance(outcome, Refused)
    assert (outcome.refusal, outcome.duplicate) == (Refusal.REPLAYED, False)


@pytest.mark.parametrize(
    ("seq", "expected"), [(6, Refusal.OUT_OF_ORDER), (7, Refusal.OUT_OF_ORDER), (8, None)]
)
@pytest.mark.parametrize("kind", ["desired", "bulletin", "job"])
def test_numbers_of_a_sequence_must_rise(kind: str, seq: int, expected: Refusal | None) -> None:
    sequences = {("xa-tan-lap", "station", "xa-tan-lap", kind): 7}
    outcome = decide(envelope(order(kind, seq=seq)), sequences=sequences)
    assert (outcome.refusal if isinstance(outcome, Refused) else None) is expected


@pytest.mark.parametrize(
    "other",
    [
        ("tinh-a", "station", "xa-tan-lap", "desired"),
        ("xa-tan-lap", "device", "xa-tan-lap", "desired"),
        ("xa-tan-lap", "station", "xa-khac", "desired"),
        ("xa-tan-lap", "station", "xa-tan-lap", "bulletin"),
    ],
)
def test_a_sequence_belongs_to_one_issuer_scope_and_kind(other: tuple[str, str, str, str]) -> None:
    assert isinstance(decide(envelope(order(seq=1)), sequences={other: 99}), Accepted)


@pytest.mark.parametrize("kind", ["emergency", "cancel"])
def test_an_emergency_or_cancel_that_was_overtaken_is_still_obeyed(kind: str) -> None:
    sequences = {("tinh-a", "group", "nhom-1", kind): 99}
    assert isinstance(decide(envelope(province_order(kind)), sequences=sequences), Accepted)


def test_an_order_that_holds_for_more_than_400_days_is_refused() -> None:
    start = NOW - timedelta(minutes=1)
    longest = order(not_before=start.isoformat(), expires=(start + timedelta(days=400)).isoformat())
    longer = order(not_before=start.isoformat(), expires=(start + timedelta(days=400, seconds=1)).isoformat())
    assert isinstance(decide(envelope(longest)), Accepted)
    assert refusal(envelope(longer)) is Refusal.TOO_LONG_VALID


@pytest.mark.parametrize("trust", [ClockTrust.RTC, ClockTrust.SYNCHRONISED])
def test_a_trusted_clock_refuses_what_is_over_or_too_early(trust: ClockTrust) -> None:
    over = order(expires=NOW.isoformat())
    assert refusal(envelope(over), clock_trust=trust) is Refusal.EXPIRED
    last_moment = order(expires=(NOW + timedelta(seconds=1)).isoformat())
    assert isinstance(decide(envelope(last_moment), clock_trust=trust), Accepted)
    early = order(not_before=(NOW + timedelta(minutes=5, seconds=1)).isoformat())
    assert refusal(envelope(early), clock_trust=trust) is Refusal.NOT_YET_VALID
    clocks_differ = order(not_before=(NOW + timedelta(minutes=5)).isoformat())
    assert isinstance(decide(envelope(clocks_differ), clock_trust=trust), Accepted)


@pytest.mark.parametrize("trust", [ClockTrust.UNKNOWN, ClockTrust.RESTORED])
def test_without_a_trusted_clock_nothing_is_too_early(trust: ClockTrust) -> None:
    assert isinstance(
        decide(envelope(order()), now=datetime.fromisoformat("1970-01-01T00:01:00Z"), clock_trust=trust),
        Accepted,
    )


@pytest.mark.parametrize("trust", list(ClockTrust))
def test_what_ended_before_the_floor_is_expired_whatever_the_clock_says(trust: ClockTrust) -> None:
    data = envelope(order())
    past = NOW - timedelta(days=3000)
    assert refusal(data, now=past, clock_trust=trust, floor=NOW + timedelta(days=30)) is Refusal.EXPIRED


@pytest.mark.parametrize("trust", [ClockTrust.UNKNOWN, ClockTrust.RESTORED])
def test_a_clock_not_trusted_that_runs_ahead_silences_nobody(trust: ClockTrust) -> None:
    ahead = NOW + timedelta(days=3000)
    assert isinstance(decide(envelope(order()), now=ahead, clock_trust=trust, floor=NOW), Accepted)


def test_a_kind_this_build_does_not_carry_out_is_unsupported() -> None:
    data = envelope(province_order("grant"))
    assert refusal(data, supported=frozenset({"desired"})) is Refusal.UNSUPPORTED


def test_no_flipped_bit_of_an_envelope_is_ever_accepted() -> None:
    data = envelope(order())
    assert isinstance(decide(data), Accepted)
    reasons = set()
    for index in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[index] ^= 1 << bit
            outcome = decide(bytes(flipped))
            assert isinstance(outcome, Refused), (index, bit)
            reasons.add(outcome.refusal)
    assert reasons == {
        Refusal.MALFORMED,
        Refusal.UNKNOWN_TYPE,
        Refusal.UNKNOWN_KEY,
        Refusal.BAD_SIGNATURE,
    }


def test_no_truncated_envelope_is_ever_accepted() -> None:
    data = envelope(order())
    for length in range(len(data)):
        assert isinstance(decide(data[:length]), Refused)


@FUZZ
@given(st.binary(max_size=2000))
def test_arbitrary_bytes_are_refused_without_an_error(data: bytes) -> None:
    assert isinstance(decide(data), Refused)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@FUZZ
@given(st.dictionaries(st.sampled_from(["payloadType", "payload", "signatures", "other"]), _JSON))
def test_arbitrary_json_is_refused_without_an_error(raw: dict[str, Any]) -> None:
    assert isinstance(decide(json.dumps(raw).encode("utf-8", "surrogatepass")), Refused)


@FUZZ
@given(
    st.text(max_size=40),
    st.binary(max_size=100),
    st.lists(st.tuples(st.text(max_size=70), st.binary(max_size=80)), min_size=1, max_size=8),
)
def test_arbitrary_unsigned_envelopes_are_refused_without_an_error(
    name: str, payload: bytes, signatures: list[tuple[str, bytes]]
) -> None:
    raw = {
        "payloadType": payload_type("desired") if len(name) % 2 else name,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": who, "sig": base64.b64encode(sig).decode()} for who, sig in signatures],
    }
    assert isinstance(decide(json.dumps(raw).encode()), Refused)


@FUZZ
@given(
    st.sampled_from(["desired", "bulletin", "emergency", "cancel", "grant", "job"]),
    st.dictionaries(
        st.sampled_from(
            [*order("bulletin"), *province_order("emergency"), "groups", "pages", "settings", "hours"]
        ),
        _JSON,
        max_size=4,
    ),
)
def test_arbitrary_signed_fields_are_judged_without_an_error(kind: str, changes: dict[str, Any]) -> None:
    payload = json.dumps(province_order(kind) | changes).encode("utf-8", "surrogatepass")
    assert isinstance(decide(sign(kind, payload, key(PROVINCE_A)).encode()), Accepted | Refused)


@FUZZ
@given(st.binary(max_size=300))
def test_arbitrary_signed_bytes_are_malformed(payload: bytes) -> None:
    assert refusal(sign("desired", payload, key(COMMUNE)).encode()) is Refusal.MALFORMED


@pytest.mark.parametrize(
    ("level", "expected"),
    [("province", None), ("commune", None), ("hamlet", Refusal.WRONG_ROLE)],
)
def test_a_board_is_taken_over_by_a_commune_or_higher_that_has_the_role(
    level: str, expected: Refusal | None
) -> None:
    document = root_document()
    document["issuers"][0] |= {"level": level, "kinds": ["takeover"]}
    outcome = decide(envelope(order("takeover")), root=Root.read(json.dumps(document)))
    assert (outcome.refusal if isinstance(outcome, Refused) else None) is expected


def test_a_takeover_without_the_role_out_of_scope_over_or_by_a_stranger_is_refused() -> None:
    assert refusal(envelope(order("takeover"))) is Refusal.WRONG_ROLE
    document = root_document()
    document["issuers"][0]["kinds"] = ["takeover"]
    root = Root.read(json.dumps(document))
    elsewhere = order("takeover", scope={"kind": "station", "id": "xa-khac"})
    assert refusal(envelope(elsewhere), root=root) is Refusal.WRONG_SCOPE
    over = order("takeover", not_before=(NOW - timedelta(days=2)).isoformat(), expires=NOW.isoformat())
    assert refusal(envelope(over), root=root) is Refusal.EXPIRED
    assert refusal(envelope(order("takeover"), STRANGER), root=root) is Refusal.UNKNOWN_KEY
