"""What becomes of an alert: an emergency for here and now, the end of one, or nothing, with the reason."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agent.model.text import catalogue
from agent.wire.orders import EmergencyEvent
from server.cap.alert import Area, Certainty, Circle, Reference, Severity, Status, Urgency
from server.cap.area import distance_km, touches
from server.cap.decision import Decision, Known, Outcome, Reason
from server.cap.desk import MOST_PER_HOUR
from server.cap.document import parse
from server.cap.filter import judge
from server.cap.rules import FilterDraft
from server.cap.wording import MAX_SPOKEN
from server.cap.xml import MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS, CapError
from server.store.cap import KEPT_DOCUMENTS
from tests.unit.server.cap_samples import (
    AROUND,
    FAR,
    HERE,
    NOW,
    SENDER,
    STORM,
    a_code,
    a_filter,
    an_alert,
    an_area,
    an_info,
    at,
    naming,
)

BATCH = "01JGT4Z5Y6X7W8V9T0S1R2Q3P4"
OTHER = "01JGT4Z5Y6X7W8V9T0S1R2Q3P5"
FIRST = parse(an_alert()).reference
STANDING = {FIRST: Known(BATCH, actual=True, ended=False, standing=True)}
NEXT: dict[str, Any] = {"identifier": "VN-KTTV-2026-5513", "sent": at(-1), "references": naming()}


def decided(
    data: bytes | None = None,
    rules: Any = None,
    known: Mapping[Reference, Known] | None = None,
    feed: str = "kttv",
    minutes: float = 0,
) -> Decision:
    alert = parse(an_alert() if data is None else data)
    return judge(alert, feed, rules or a_filter(), known or {}, NOW + timedelta(minutes=minutes))


def outcome(decision: Decision) -> tuple[Outcome, Reason]:
    return decision.outcome, decision.reason


# --- an emergency ------------------------------------------------------------------------------------


def test_a_flood_here_becomes_an_emergency_in_its_own_words() -> None:
    decision = decided()
    assert outcome(decision) == (Outcome.EMERGENCY, Reason.ISSUED)
    draft = decision.draft
    assert draft is not None
    assert (draft.event, draft.minutes, draft.all) == (EmergencyEvent.FLOOD, 60, True)
    (part,) = draft.parts
    assert (part.language, part.title) == ("vi", "Cảnh báo lũ khẩn cấp trên sông Trẹm")
    assert part.text.startswith("Mực nước")
    assert "\nBà con ven sông" in part.text


def test_the_storm_of_another_agency_is_here_by_its_circle() -> None:
    draft = decided(STORM).draft
    assert draft is not None
    assert draft.event is EmergencyEvent.STORM
    assert draft.parts[0].text.endswith("nhà kiên cố.")


def test_it_lasts_no_longer_than_the_alert() -> None:
    draft = decided(an_alert(an_info(times=f"<expires>{at(20.5)}</expires>"))).draft
    assert draft is not None
    assert draft.minutes == 21


def test_the_operator_says_who_hears_it_and_how_often() -> None:
    rules = a_filter(
        audience={"groups": ["ap-1"], "zones": ["sau"]}, max_minutes=30, repeats=5, repeat_every_s=120
    )
    draft = decided(rules=rules).draft
    assert draft is not None
    assert (draft.groups, draft.all, draft.zones) == (("ap-1",), False, ("sau",))
    assert (draft.minutes, draft.repeats, draft.repeat_every_s) == (30, 5, 120)


def test_each_language_is_a_part_vietnamese_first_and_the_worst_of_each() -> None:
    data = an_alert(
        an_info(language="en-US", event="Flood", headline="Flood warning"),
        an_info(language="vi", headline="Lũ", severity="Severe"),
        an_info(language="vi-VN", headline="Lũ đặc biệt lớn", severity="Extreme"),
        an_info(language="km", headline="Khmer"),
    )
    draft = decided(data).draft
    assert draft is not None
    assert [(one.language, one.title) for one in draft.parts] == [
        ("vi", "Lũ đặc biệt lớn"),
        ("en", "Flood warning"),
        ("km", "Khmer"),
    ]


def test_the_worst_event_names_the_emergency_and_others_are_left_out() -> None:
    data = an_alert(
        an_info(event="Lũ", severity="Severe"),
        an_info(event="BÃO", severity="Extreme", headline="Bão"),
    )
    draft = decided(data).draft
    assert draft is not None
    assert draft.event is EmergencyEvent.STORM
    assert [one.title for one in draft.parts] == ["Bão"]


def test_a_long_description_is_cut_and_the_instruction_stays_whole() -> None:
    decision = decided(an_alert(an_info(description="Nước đang lên rất nhanh. " * 700)))
    assert decision.draft is not None
    text = decision.draft.parts[0].text
    assert len(text) <= MAX_SPOKEN
    assert text.endswith("trước khi rời nhà.")
    assert "nhanh.\nBà con" in text


def test_without_words_the_headline_is_said() -> None:
    decision = decided(an_alert(an_info(description="", instruction="")))
    assert decision.draft is not None
    assert decision.draft.parts[0].text == "Cảnh báo lũ khẩn cấp trên sông Trẹm"


def test_events_are_known_by_code_or_category_and_the_first_that_holds_counts() -> None:
    by_code = a_filter(events=[{"event": "dam_release", "codes": [{"name": "KTTV", "value": "LU-03"}]}])
    by_category = a_filter(events=[{"event": "other", "categories": ["Met"]}])
    both = a_filter(events=[{"event": "fire", "texts": ["Lũ"], "categories": ["Fire"]}])
    first = a_filter(events=[{"event": "flood", "texts": ["lũ"]}, {"event": "storm", "categories": ["Met"]}])
    events = [
        one.draft.event if one.draft else one.reason
        for one in (decided(rules=rules) for rules in (by_code, by_category, both, first))
    ]
    assert events == [
        EmergencyEvent.DAM_RELEASE,
        EmergencyEvent.OTHER,
        Reason.NO_EVENT,
        EmergencyEvent.FLOOD,
    ]


# --- nothing -----------------------------------------------------------------------------------------


def test_without_a_filter_nothing_happens() -> None:
    decision = judge(parse(an_alert()), "kttv", None, {}, NOW)
    assert outcome(decision) == (Outcome.IGNORED, Reason.NO_FILTER)


@pytest.mark.parametrize(
    ("data", "expected", "field"),
    [
        (an_alert(sender="ai-do@example.vn"), (Outcome.REFUSED, Reason.SENDER), "sender"),
        (an_alert(sent=at(11)), (Outcome.REFUSED, Reason.FUTURE), "sent"),
        (an_alert(sent=at(-8 * 24 * 60)), (Outcome.REFUSED, Reason.TOO_OLD), "sent"),
        (
            an_alert(an_info(times=f"<expires>{at(-1)}</expires>")),
            (Outcome.REFUSED, Reason.EXPIRED),
            "info[0].expires",
        ),
        (
            an_alert(an_info(times=""), sent=at(-25 * 60)),
            (Outcome.REFUSED, Reason.EXPIRED),
            "info[0].expires",
        ),
        (
            an_alert(an_info(times=f"<effective>{at(60)}</effective>")),
            (Outcome.REFUSED, Reason.NOT_YET),
            "info[0].effective",
        ),
        (an_alert(" "), (Outcome.REFUSED, Reason.NO_INFO), "info"),
        (an_alert(status="Exercise"), (Outcome.IGNORED, Reason.NOT_ACTUAL), "status"),
        (an_alert(status="Test"), (Outcome.IGNORED, Reason.NOT_ACTUAL), "status"),
        (an_alert(status="System"), (Outcome.IGNORED, Reason.NOT_ACTUAL), "status"),
        (an_alert(status="Draft"), (Outcome.IGNORED, Reason.NOT_ACTUAL), "status"),
        (
            an_alert(scope="<scope>Restricted</scope><restriction>nội bộ</restriction>"),
            (Outcome.IGNORED, Reason.NOT_PUBLIC),
            "scope",
        ),
        (an_alert(an_info(area=an_area(FAR))), (Outcome.IGNORED, Reason.ELSEWHERE), "info[0].area"),
        (an_alert(an_info(area=a_code("32102"))), (Outcome.IGNORED, Reason.ELSEWHERE), "info[0].area"),
        (
            an_alert(an_info(area=a_code(name="mã tỉnh"))),
            (Outcome.IGNORED, Reason.ELSEWHERE),
            "info[0].area",
        ),
        (an_alert(an_info(area="")), (Outcome.IGNORED, Reason.ELSEWHERE), "info[0].area"),
        (an_alert(an_info(severity="Moderate")), (Outcome.IGNORED, Reason.TOO_WEAK), "info[0].severity"),
        (an_alert(an_info(severity="Unknown")), (Outcome.IGNORED, Reason.TOO_WEAK), "info[0].severity"),
        (an_alert(an_info(urgency="Past")), (Outcome.IGNORED, Reason.TOO_WEAK), "info[0].severity"),
        (an_alert(an_info(certainty="Possible")), (Outcome.IGNORED, Reason.TOO_WEAK), "info[0].severity"),
        (an_alert(an_info(event="Nắng nóng")), (Outcome.IGNORED, Reason.NO_EVENT), "info[0].event"),
        (an_alert(msg_type="Ack", references=naming()), (Outcome.IGNORED, Reason.RECEIPT), "msgType"),
        (an_alert(msg_type="Error", references=naming()), (Outcome.IGNORED, Reason.RECEIPT), "msgType"),
    ],
)
def test_what_is_not_certain_here_and_now_sounds_nothing(
    data: bytes, expected: tuple[Outcome, Reason], field: str
) -> None:
    decision = decided(data, known=STANDING if parse(data).reference != FIRST else {})
    assert outcome(decision) == expected
    assert decision.field == field
    assert decision.draft is None
    assert decision.cancels == ()


def test_a_feed_that_is_not_in_the_filter_is_refused() -> None:
    assert outcome(decided(feed="ai-do")) == (Outcome.REFUSED, Reason.FEED)


def test_a_place_named_by_code_is_here_without_coordinates() -> None:
    rules = a_filter(place=None)
    assert decided(an_alert(an_info(area=a_code())), rules).outcome is Outcome.EMERGENCY
    assert decided(an_alert(), rules).reason is Reason.ELSEWHERE


def test_one_info_elsewhere_does_not_hide_the_one_that_is_here() -> None:
    data = an_alert(an_info(area=an_area(FAR), headline="Nơi khác", severity="Extreme"), an_info())
    draft = decided(data).draft
    assert draft is not None
    assert draft.parts[0].title.startswith("Cảnh báo lũ")


# --- drills ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["Exercise", "Test"])
def test_a_drill_sounds_as_a_test_where_that_is_allowed(status: str) -> None:
    draft = decided(an_alert(status=status), a_filter(allow_tests=True)).draft
    assert draft is not None
    assert draft.event is EmergencyEvent.TEST


@pytest.mark.parametrize("msg_type", ["Cancel", "Update"])
def test_a_drill_never_ends_an_actual_emergency(msg_type: str) -> None:
    data = an_alert(status="Test", msg_type=msg_type, **NEXT)
    assert decided(data, a_filter(allow_tests=True), STANDING).cancels == ()


# --- again, instead, no more -------------------------------------------------------------------------


def test_the_same_message_again_changes_nothing() -> None:
    decision = decided(known=STANDING)
    assert outcome(decision) == (Outcome.IGNORED, Reason.DUPLICATE)
    assert decision.order == BATCH
    assert decision.draft is None


def test_an_update_takes_the_place_of_what_it_names() -> None:
    decision = decided(an_alert(an_info(severity="Extreme"), msg_type="Update", **NEXT), known=STANDING)
    assert outcome(decision) == (Outcome.UPDATE, Reason.UPDATED)
    assert decision.cancels == (BATCH,)
    assert decision.ends == (FIRST,)
    assert decision.end is None
    assert decision.draft is not None


def test_an_update_of_what_never_sounded_is_an_emergency() -> None:
    decision = decided(an_alert(msg_type="Update", **NEXT))
    assert outcome(decision) == (Outcome.EMERGENCY, Reason.ISSUED)
    assert decision.ends == (FIRST,), "what it replaces must not sound if it comes late"


def test_an_update_sent_again_finishes_what_a_power_cut_left() -> None:
    data = an_alert(msg_type="Update", **NEXT)
    known = {**STANDING, parse(data).reference: Known(OTHER, actual=True, ended=False, standing=True)}
    decision = decided(data, known=known)
    assert outcome(decision) == (Outcome.IGNORED, Reason.DUPLICATE)
    assert (decision.order, decision.cancels) == (OTHER, (BATCH,))


@pytest.mark.parametrize(
    "info",
    [
        an_info(severity="Minor"),
        an_info(severity="Unknown", urgency="Past"),
        an_info(area=an_area(FAR)),
        an_info(area=a_code("32102")),
    ],
)
def test_an_update_that_is_no_longer_for_here_ends_the_emergency(info: str) -> None:
    decision = decided(an_alert(info, msg_type="Update", **NEXT), known=STANDING)
    assert outcome(decision) == (Outcome.CANCEL, Reason.NO_LONGER)
    assert (decision.cancels, decision.end) == ((BATCH,), None)


@pytest.mark.parametrize(
    "info",
    [
        an_info(event="Lũ lớn"),
        an_info(times=f"<effective>{at(60)}</effective>"),
        an_info(area=""),
        an_info(area="<area><areaDesc>Nơi nào đó</areaDesc></area>"),
        an_info(area=a_code("9", "mã tỉnh")),
        an_info(severity="Unknown"),
        an_info(severity="Minor") + an_info(severity="Unknown"),
        an_info(severity="Minor") + an_info(times=f"<effective>{at(60)}</effective>"),
        " ",
    ],
)
def test_an_update_we_cannot_use_leaves_the_emergency_in_force(info: str) -> None:
    assert decided(an_alert(info, msg_type="Update", **NEXT), known=STANDING).cancels == ()


def test_a_cancel_ends_what_it_names() -> None:
    decision = decided(an_alert(" ", msg_type="Cancel", **NEXT), known=STANDING)
    assert outcome(decision) == (Outcome.CANCEL, Reason.CANCELLED)
    assert (decision.cancels, decision.end) == ((BATCH,), None)


@pytest.mark.parametrize("msg_type", ["Cancel", "Update", "Alert"])
def test_an_all_clear_ends_it_and_says_so(msg_type: str) -> None:
    info = an_info(
        response="AllClear", severity="Minor", urgency="Past", headline="Báo yên", description="Lũ đã rút."
    )
    decision = decided(an_alert(info, msg_type=msg_type, **NEXT), known=STANDING)
    assert outcome(decision) == (Outcome.CANCEL, Reason.ALL_CLEAR)
    assert decision.end is not None
    assert decision.end.all_clear is not None
    assert decision.end.all_clear.text.startswith("Lũ đã rút.")
    assert decision.draft is None


def test_an_all_clear_for_elsewhere_ends_nothing() -> None:
    info = an_info(response="AllClear", area=an_area(FAR))
    assert decided(an_alert(info, **NEXT), known=STANDING).cancels == ()


def test_an_all_clear_that_has_expired_is_refused() -> None:
    info = an_info(response="AllClear", times=f"<expires>{at(-0.5)}</expires>")
    decision = decided(an_alert(info, msg_type="Update", **NEXT), known=STANDING)
    assert outcome(decision) == (Outcome.REFUSED, Reason.EXPIRED)
    assert decision.cancels == ()


def test_an_alert_that_names_others_without_all_clear_ends_nothing() -> None:
    decision = decided(an_alert(**NEXT), known=STANDING)
    assert (decision.outcome, decision.cancels, decision.ends) == (Outcome.EMERGENCY, (), ())


def test_a_cancel_before_its_emergency_is_remembered_and_holds() -> None:
    decision = decided(an_alert(" ", msg_type="Cancel", **NEXT))
    assert outcome(decision) == (Outcome.IGNORED, Reason.NOTHING_TO_END)
    assert decision.ends == (FIRST,)
    late = decided(known={FIRST: Known(None, actual=True, ended=True)})
    assert outcome(late) == (Outcome.IGNORED, Reason.SUPERSEDED)


def test_a_sender_ends_only_what_its_feed_may_say() -> None:
    rules = a_filter(
        feeds=[{"name": "kttv", "senders": [SENDER]}, {"name": "khac", "senders": ["khac@example.vn"]}]
    )
    data = an_alert(" ", sender="khac@example.vn", msg_type="Cancel", **NEXT)
    decision = judge(parse(data), "khac", rules, STANDING, NOW)
    assert (decision.cancels, decision.ends) == ((), ())


def test_a_message_cannot_end_itself() -> None:
    data = an_alert(" ", msg_type="Cancel", references=naming())
    assert decided(data).ends == ()


def test_what_is_over_is_not_ended_again() -> None:
    known = {FIRST: Known(BATCH, actual=True, ended=False, standing=False)}
    assert decided(an_alert(" ", msg_type="Cancel", **NEXT), known=known).cancels == ()


# --- places ------------------------------------------------------------------------------------------


def test_distances_are_those_of_the_ground() -> None:
    assert distance_km((10.8231, 106.6297), (21.0285, 105.8542)) == pytest.approx(1138, abs=8)


def test_a_polygon_near_the_people_counts_within_their_radius() -> None:
    square = tuple((lat, lon) for lat, lon in ((9.3, 105.3), (9.5, 105.3), (9.5, 105.5), (9.3, 105.3)))
    area = Area("", polygons=(square,))
    assert not touches(area, HERE, 0)
    assert not touches(area, HERE, 15)
    assert touches(area, HERE, 30)


def test_a_hollow_shape_counts_only_where_it_is() -> None:
    u_shape = (
        (0.0, 0.0),
        (3.0, 0.0),
        (3.0, 1.0),
        (1.0, 1.0),
        (1.0, 2.0),
        (3.0, 2.0),
        (3.0, 3.0),
        (0.0, 3.0),
        (0.0, 0.0),
    )
    area = Area("", polygons=(u_shape,))
    assert touches(area, (2.0, 0.5), 0)
    assert not touches(area, (2.0, 1.5), 0)


@settings(max_examples=200, deadline=None)
@given(st.floats(-80, 80), st.floats(-170, 170), st.floats(0.01, 50), st.floats(0, 6.28), st.floats(0, 2))
def test_circles_and_squares_agree_with_the_distance(
    lat: float, lon: float, radius: float, angle: float, ratio: float
) -> None:
    from math import cos, radians, sin

    away = radius * ratio
    place = (lat + away / 111.2 * cos(angle), lon + away / 111.2 * sin(angle) / cos(radians(lat)))
    inside = touches(Area("", circles=(Circle((lat, lon), radius),)), place, 0)
    if abs(ratio - 1) > 0.05:
        assert inside is (ratio < 1)
    half, wide = radius / 111.2, radius / 111.2 / cos(radians(lat))
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1))
    square = Area("", polygons=(tuple((lat + a * half, lon + b * wide) for a, b in corners),))
    if ratio < 0.95:
        assert touches(square, place, 0)
    elif ratio > 1.5:
        assert not touches(square, place, 0)


# --- the filter itself -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"geocodes": [], "place": None},
        {"events": []},
        {"events": [{"event": "flood"}]},
        {"events": [{"event": "all_clear", "texts": ["x"]}]},
        {"events": [{"event": "flodo", "texts": ["x"]}]},
        {"feeds": []},
        {"feeds": [{"name": "a", "senders": []}]},
        {"feeds": [{"name": "a", "senders": [""]}]},
        {"feeds": [{"name": "a", "senders": ["x"]}, {"name": "a", "senders": ["y"]}]},
        {"feeds": [{"name": "A b", "senders": ["x"]}]},
        {"min_severity": "severe"},
        {"level": "province"},
        {"place": {"latitude": 91, "longitude": 0}},
        {"statuses": ["Actual"]},
    ],
)
def test_a_filter_that_says_nothing_or_nonsense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        a_filter(**changes)


def test_every_reason_has_words_and_every_word_a_reason() -> None:
    prefix = "console.cap.reason."
    assert {one.removeprefix(prefix) for one in catalogue("vi") if one.startswith(prefix)} == set(Reason)


# --- whatever comes ----------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(
    status=st.sampled_from(list(Status)),
    msg_type=st.sampled_from(["Alert", "Update", "Cancel", "Ack", "Error"]),
    scope=st.sampled_from(["Public", "Private", "Restricted"]),
    severity=st.sampled_from(list(Severity)),
    urgency=st.sampled_from(list(Urgency)),
    certainty=st.sampled_from(list(Certainty)),
    event=st.sampled_from(["Lũ", "Bão", "Nắng nóng", "lũ quét"]),
    response=st.sampled_from(["Evacuate", "AllClear", "None"]),
    polygon=st.sampled_from([AROUND, FAR]),
    sent=st.integers(-11_000, 100),
    expires=st.integers(-11_000, 200),
    sender=st.sampled_from([SENDER, "x@y.vn"]),
    tests=st.booleans(),
)
def test_an_emergency_follows_only_from_an_alert_that_holds_here_and_now(
    *,
    status: Status,
    msg_type: str,
    scope: str,
    severity: Severity,
    urgency: Urgency,
    certainty: Certainty,
    event: str,
    response: str,
    polygon: str,
    sent: int,
    expires: int,
    sender: str,
    tests: bool,
) -> None:
    data = an_alert(
        an_info(
            event=event,
            response=response,
            severity=severity,
            urgency=urgency,
            certainty=certainty,
            area=an_area(polygon),
            times=f"<expires>{at(expires)}</expires>",
        ),
        status=status,
        msg_type=msg_type,
        scope=f"<scope>{scope}</scope>"
        + {"Private": "<addresses>a</addresses>", "Restricted": "<restriction>a</restriction>"}.get(
            scope, ""
        ),
        identifier="VN-2",
        sent=at(sent),
        sender=sender,
        references=naming() if msg_type != "Alert" else "",
    )
    # In the schema, restriction and addresses follow the scope, so the document is whole either way.
    try:
        decision = judge(parse(data), "kttv", a_filter(allow_tests=tests), STANDING, NOW)
    except CapError:
        assert expires <= sent
        return
    expected = (
        (status is Status.ACTUAL or (tests and status in (Status.TEST, Status.EXERCISE)))
        and msg_type in ("Alert", "Update")
        and scope == "Public"
        and severity in (Severity.EXTREME, Severity.SEVERE)
        and urgency in (Urgency.IMMEDIATE, Urgency.EXPECTED)
        and certainty in (Certainty.OBSERVED, Certainty.LIKELY)
        and event in ("Lũ", "Bão")
        and response != "AllClear"
        and polygon == AROUND
        and -7 * 24 * 60 <= sent <= 10
        and expires > 0
        and sender == SENDER
    )
    assert (decision.draft is not None) is expected
    if decision.draft is not None:
        assert (decision.draft.event is EmergencyEvent.TEST) is (status is not Status.ACTUAL)
        assert 1 <= decision.draft.minutes <= 60
    if decision.cancels:
        assert status is Status.ACTUAL
        assert sender == SENDER
        assert msg_type in ("Update", "Cancel")


def test_damaged_documents_never_sound_what_the_whole_one_would_not() -> None:
    """Around a drill for elsewhere: no damage may make it an emergency here."""
    quiet = an_alert(an_info(area=an_area(FAR)), status="Exercise")
    random_ = random.Random(5)
    for _ in range(4000):
        changed = bytearray(quiet)
        for _ in range(random_.choice((1, 2, 5))):
            changed[random_.randrange(len(changed))] = random_.randrange(256)
        try:
            decision = decided(bytes(changed), a_filter(allow_tests=True))
        except CapError:
            continue
        assert decision.draft is None
        assert decision.cancels == ()


def test_the_example_in_the_documentation_is_a_filter() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/cap.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```json filter\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    rules = FilterDraft.model_validate_json(example)
    draft = decided(rules=rules).draft
    assert draft is not None
    assert draft.event is EmergencyEvent.FLOOD
    for limit in (MAX_SPOKEN, MOST_PER_HOUR, KEPT_DOCUMENTS, MAX_BYTES // 1024, MAX_DEPTH, MAX_ELEMENTS):
        assert re.search(rf"\b{limit}\b", page), limit
