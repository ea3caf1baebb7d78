"""Every document survives the wire; nothing hostile gets further than a WireError."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.bulletin import AiringId, BulletinClass, ClockTrust, SourceLevel, ZoneId
from agent.model.report import AsRun, CutReason, Evidence, MissedReason, Segment, Verdict
from agent.wire import device_api, orders, reports, root, schedule
from agent.wire.base import Document
from agent.wire.errors import WireError
from agent.wire.orders import ORDER_KINDS, Desired, Emergency
from agent.wire.reports import AsRunReport, asrun_report
from agent.wire.root import Root
from agent.wire.schedule import MAX_SCHEDULE_BYTES, ScheduleDocument, read_schedule
from tests.unit.wire.documents import AT, EXAMPLES, ID, MEDIA, ORDER, PART, SHA

BY_TYPE = {model.__name__: (model, example) for model, example in EXAMPLES}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


def wire(model: type[Document], example: dict[str, Any]) -> Document:
    return model.read(json.dumps(example))


@pytest.mark.parametrize(("model", "example"), EXAMPLES, ids=list(BY_TYPE))
def test_every_document_survives_the_wire(model: type[Document], example: dict[str, Any]) -> None:
    document = wire(model, example)
    encoded = json.loads(document.model_dump_json(by_alias=True, exclude_none=True))
    assert model.read(json.dumps(encoded)) == document
    for key, value in example.items():
        if not isinstance(value, dict | list):
            assert encoded[key] == value, key


@pytest.mark.parametrize(("model", "example"), EXAMPLES, ids=list(BY_TYPE))
def test_unknown_fields_are_ignored(model: type[Document], example: dict[str, Any]) -> None:
    assert wire(model, {**example, "later": {"x": [1]}}) == wire(model, example)


@pytest.mark.parametrize(("model", "example"), EXAMPLES, ids=list(BY_TYPE))
def test_a_document_cannot_be_changed(model: type[Document], example: dict[str, Any]) -> None:
    document = wire(model, example)
    with pytest.raises(ValueError, match="frozen"):
        setattr(document, next(iter(model.model_fields)), "x")


def test_every_document_type_has_an_example() -> None:
    named = {
        one
        for module in (orders, reports, root, schedule, device_api)
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Document) and "kind" in one.model_fields
    }
    named -= {orders.Scope, device_api.Held, schedule.ItemDocument}
    assert named <= {model for model, _ in EXAMPLES}
    assert set(ORDER_KINDS.values()) <= {model for model, _ in EXAMPLES}


def test_a_document_of_another_kind_is_refused() -> None:
    with pytest.raises(WireError, match="kind"):
        wire(Emergency, {**BY_TYPE["Emergency"][1], "kind": "cancel"})


def test_moments_become_utc_and_need_an_offset() -> None:
    order = wire(Desired, {**ORDER, "not_before": "2026-11-22T12:00:00+07:00"})
    assert isinstance(order, Desired)
    assert order.not_before == datetime(2026, 11, 22, 5, tzinfo=UTC)
    assert order.not_before.utcoffset() == timedelta(0)
    with pytest.raises(WireError, match="not_before"):
        wire(Desired, {**ORDER, "not_before": "2026-11-22T12:00:00"})


def test_text_is_nfc() -> None:
    order = wire(Emergency, {**BY_TYPE["Emergency"][1], "parts": [{**PART, "title": "Ba\u0309n tin"}]})
    assert isinstance(order, Emergency)
    assert order.parts[0].title == "B\u1ea3n tin"


HOSTILE: list[tuple[str, type[Document], dict[str, Any], str]] = [
    ("expires before", Desired, {**ORDER, "expires": AT}, "document"),
    ("scope", Desired, {**ORDER, "scope": {"kind": "world", "id": "x"}}, "scope.kind"),
    ("scope id", Desired, {**ORDER, "scope": {"kind": "group", "id": "../x"}}, "scope.id"),
    ("seq", Desired, {**ORDER, "seq": 0}, "seq"),
    ("huge seq", Desired, {**ORDER, "seq": 10**400}, "seq"),
    ("seq as text of digits", Desired, {**ORDER, "seq": "x"}, "seq"),
    ("id", Desired, {**ORDER, "id": "8ZZZZZZZZZZZZZZZZZZZZZZZZZ"}, "id"),
    (
        "control characters",
        Emergency,
        {**BY_TYPE["Emergency"][1], "parts": [{"title": "a\x1b[2J"}]},
        "parts[0].title",
    ),
    ("no parts", Emergency, {**BY_TYPE["Emergency"][1], "parts": []}, "parts"),
    (
        "media path",
        Emergency,
        {**BY_TYPE["Emergency"][1], "parts": [{**PART, "media": {**MEDIA, "url": "http://x/"}}]},
        "parts[0].media.url",
    ),
    (
        "hash",
        Emergency,
        {**BY_TYPE["Emergency"][1], "parts": [{**PART, "media": {**MEDIA, "sha256": "A" * 64}}]},
        "parts[0].media.sha256",
    ),
    (
        "empty file",
        Emergency,
        {**BY_TYPE["Emergency"][1], "parts": [{**PART, "media": {**MEDIA, "size_bytes": 0}}]},
        "parts[0].media.size_bytes",
    ),
    ("zone", ScheduleDocument, {**BY_TYPE["ScheduleDocument"][1], "timezone": "Mars/X"}, "timezone"),
    (
        "zone path",
        ScheduleDocument,
        {**BY_TYPE["ScheduleDocument"][1], "timezone": "/etc/localtime"},
        "timezone",
    ),
    (
        "two the same",
        ScheduleDocument,
        {**BY_TYPE["ScheduleDocument"][1], "programmes": BY_TYPE["ScheduleDocument"][1]["programmes"] * 2},
        "document",
    ),
    ("threshold", Root, {**BY_TYPE["Root"][1], "root": {"keys": [SHA, SHA], "threshold": 2}}, "root"),
    ("unknown key", Root, {**BY_TYPE["Root"][1], "keys": {}}, "document"),
]


@pytest.mark.parametrize(
    ("model", "example", "field"), [one[1:] for one in HOSTILE], ids=[one[0] for one in HOSTILE]
)
def test_what_is_wrong_is_named(model: type[Document], example: dict[str, Any], field: str) -> None:
    with pytest.raises(WireError) as refused:
        wire(model, example)
    assert refused.value.field == field
    assert refused.value.problem


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999", "1e-9999999999"])
def test_numbers_that_are_none_never_become_a_gain(value: str) -> None:
    example = json.dumps(
        {**BY_TYPE["Emergency"][1], "parts": [{**PART, "media": {**MEDIA, "gain_db": 0.25}}]}
    )
    data = example.replace("0.25", value)
    try:
        order = Emergency.read(data)
    except WireError as error:
        assert "gain_db" in error.field or error.field == "document"  # noqa: PT017 - one of two right outcomes
    else:
        assert order.parts[0].media is not None
        assert order.parts[0].media.gain_db == 0.0


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"scope":'])
def test_deep_nesting_is_refused(opening: str) -> None:
    with pytest.raises(WireError):
        Desired.read(opening * 100_000)
    ignored = json.dumps(ORDER)[:-1] + ',"later":' + "[" * 100_000 + "]" * 100_000 + "}"
    with pytest.raises(WireError):
        Desired.read(ignored)


def test_lone_surrogates_are_refused() -> None:
    example = json.dumps({**BY_TYPE["Emergency"][1], "parts": [{**PART, "title": "MARK"}]})
    with pytest.raises(WireError):
        Emergency.read(example.replace("MARK", "\\ud800"))


def test_a_key_given_twice_has_one_meaning_for_all_who_read_it() -> None:
    data = json.dumps(ORDER)[:-1] + ',"seq":9}'
    assert Desired.read(data).seq == json.loads(data)["seq"] == 9


def test_a_schedule_has_a_size_limit() -> None:
    with pytest.raises(WireError, match="at most 16777216 are read"):
        read_schedule(b" " * (MAX_SCHEDULE_BYTES + 1))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([model for model, _ in EXAMPLES]), st.binary(max_size=200) | json_values.map(json.dumps)
)
def test_arbitrary_input_is_read_or_refused(model: type[Document], data: bytes | str) -> None:
    with suppress(WireError):
        model.read(data)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(EXAMPLES), st.data())
def test_a_document_with_one_field_replaced_is_read_or_refused(
    pair: tuple[type[Document], dict[str, Any]], data: st.DataObject
) -> None:
    model, example = pair
    changed = json.loads(json.dumps(example))
    place = changed
    while True:
        key = data.draw(
            st.sampled_from(sorted(place) if isinstance(place, dict) else list(range(len(place))))
        )
        if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        place[key] = data.draw(json_values)
        break
    with suppress(WireError):
        document = wire(model, changed)
        assert model.read(document.model_dump_json(by_alias=True)) == document


def test_a_schedule_becomes_the_model() -> None:
    read = read_schedule(json.dumps(BY_TYPE["ScheduleDocument"][1]).encode())
    programme = read.programmes[0]
    assert (read.version, read.timezone) == (1, "Asia/Ho_Chi_Minh")
    assert (programme.id, programme.bulletin_class, programme.level) == (
        "sang",
        BulletinClass.PRIORITY,
        SourceLevel.COMMUNE,
    )
    assert programme.clock_needed is ClockTrust.SYNCHRONISED
    assert programme.zones == (ZoneId("square"),)
    assert programme.duration == timedelta(seconds=1)
    assert programme.recurrences[0].rrule == "FREQ=DAILY"
    assert len(programme.recurrences[0].exdates) == 1
    assert list(read.media) == [SHA]


def test_an_as_run_record_becomes_its_report() -> None:
    at = datetime(2026, 11, 22, 12, tzinfo=timezone(timedelta(hours=7)))
    record = AsRun(
        AiringId("sang@20261122T050000Z"),
        ZoneId("square"),
        "sang",
        "Buổi sáng",
        BulletinClass.PRIORITY,
        SourceLevel.COMMUNE,
        3,
        ID,
        at,
        1000,
        (Segment(at, None, 0, 400, CutReason.RESTART), Segment(at, at, 500, 300)),
        Evidence(-18.0, -1.0, 700, 690, None, True, False, ("i: truncated",)),
        Verdict.PARTIAL,
        None,
        True,
    )
    report = AsRunReport.read(asrun_report(ID, record).encode())
    assert report == asrun_report(ID, record)
    assert (report.played_ms, report.first_sound, report.segments[0].cut) == (700, at, CutReason.RESTART)
    assert (report.sensed_ms, report.line_rms_dbfs, report.failed_items) == (690, None, ("i: truncated",))
    assert json.loads(report.encode())["class"] == "priority"
    missed = AsRun(
        record.airing, record.zone, "sang", "", BulletinClass.NORMAL, SourceLevel.HAMLET, 3, "", at, 1000,
        verdict=Verdict.MISSED, missed=MissedReason.CLOCK, final=True,
    )  # fmt: skip
    told = json.loads(asrun_report(ID, missed).encode())
    assert (told["missed"], told["verdict"]) == ("clock_not_trusted", "missed")
    assert "sensed_ms" not in told
    assert "first_sound" not in told
