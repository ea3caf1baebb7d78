"""CAP 1.2 documents as Vietnamese agencies might send them, made up for these tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from server.cap.rules import FilterDraft

HANOI = timezone(timedelta(hours=7))
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SENDER = "canhbao@kttv.example.vn"
CODE = ("mã xã", "32101")
HERE = (9.1769, 105.1524)
AROUND = "9.0,105.0 9.4,105.0 9.4,105.4 9.0,105.4 9.0,105.0"
FAR = "21.0,105.8 21.1,105.8 21.1,105.9 21.0,105.8"


def at(minutes: float, now: datetime = NOW) -> str:
    """A time of CAP, minutes from now, in Vietnam."""
    return (now + timedelta(minutes=minutes)).astimezone(HANOI).isoformat(timespec="seconds")


def an_area(polygon: str = AROUND, more: str = "") -> str:
    return f"<area><areaDesc>Xã Tân Lộc, tỉnh Cà Mau</areaDesc><polygon>{polygon}</polygon>{more}</area>"


def a_code(value: str = CODE[1], name: str = CODE[0]) -> str:
    return (
        "<area><areaDesc>Xã Tân Lộc</areaDesc>"
        f"<geocode><valueName>{name}</valueName><value>{value}</value></geocode></area>"
    )


def an_info(
    *,
    language: str = "vi-VN",
    event: str = "Lũ",
    response: str = "Evacuate",
    urgency: str = "Immediate",
    severity: str = "Severe",
    certainty: str = "Observed",
    times: str | None = None,
    headline: str = "Cảnh báo lũ khẩn cấp trên sông Trẹm",
    description: str = "Mực nước sông Trẹm tại Tân Lộc lên 2,35 m, trên báo động III 0,35 m.",
    instruction: str = "Bà con ven sông di chuyển ngay lên nơi cao, cắt điện trước khi rời nhà.",
    area: str | None = None,
    now: datetime = NOW,
) -> str:
    times = f"<expires>{at(120, now)}</expires>" if times is None else times
    return f"""
  <info>
    <language>{language}</language>
    <category>Met</category>
    <event>{event}</event>
    <responseType>{response}</responseType>
    <urgency>{urgency}</urgency>
    <severity>{severity}</severity>
    <certainty>{certainty}</certainty>
    <eventCode><valueName>KTTV</valueName><value>LU-03</value></eventCode>
    {times}
    <senderName>Đài Khí tượng Thủy văn tỉnh Cà Mau</senderName>
    <headline>{headline}</headline>
    <description>{description}</description>
    <instruction>{instruction}</instruction>
    <web>https://kttv.example.vn/canh-bao/5512</web>
    <parameter><valueName>mucNuocCm</valueName><value>235</value></parameter>
    {an_area() if area is None else area}
  </info>"""


def an_alert(
    *infos: str,
    identifier: str = "VN-KTTV-2026-5512",
    sender: str = SENDER,
    sent: str | None = None,
    status: str = "Actual",
    msg_type: str = "Alert",
    scope: str = "<scope>Public</scope>",
    references: str = "",
    now: datetime = NOW,
) -> bytes:
    said = "".join(infos) if infos else an_info(now=now)
    named = f"<references>{references}</references>" if references else ""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<!-- Trung tâm cảnh báo -->
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
  <identifier>{identifier}</identifier>
  <sender>{sender}</sender>
  <sent>{at(-5, now) if sent is None else sent}</sent>
  <status>{status}</status>
  <msgType>{msg_type}</msgType>
  <source>Hệ thống cảnh báo sớm</source>
  {scope}
  {named}{said}
</alert>""".encode()


def naming(identifier: str = "VN-KTTV-2026-5512", sender: str = SENDER, minutes: float = -5) -> str:
    """A reference to another message."""
    return f"{sender},{identifier},{at(minutes)}"


STORM = """<?xml version='1.0' encoding='utf-8' standalone='yes'?>
<cap:alert xmlns:cap="urn:oasis:names:tc:emergency:cap:1.2"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:schemaLocation="urn:oasis:names:tc:emergency:cap:1.2 CAP-v1.2.xsd">
  <cap:identifier>2.49.0.0.704.0.VN.20261122093000.BAO12</cap:identifier>
  <cap:sender>urn:oid:2.49.0.0.704.0</cap:sender>
  <cap:sent>2026-11-22T09:30:00-00:00</cap:sent>
  <cap:status>Actual</cap:status>
  <cap:msgType>Alert</cap:msgType>
  <cap:scope>Public</cap:scope>
  <cap:code>IPAWSv1.0</cap:code>
  <cap:note>Tin bão khẩn cấp số 12</cap:note>
  <cap:incidents>bao-so-12</cap:incidents>
  <cap:info>
    <cap:language>vi</cap:language>
    <cap:category>Met</cap:category>
    <cap:category>Safety</cap:category>
    <cap:event>Bão</cap:event>
    <cap:responseType>Shelter</cap:responseType>
    <cap:responseType>Prepare</cap:responseType>
    <cap:urgency>Expected</cap:urgency>
    <cap:severity>Extreme</cap:severity>
    <cap:certainty>Likely</cap:certainty>
    <cap:audience>Nhân dân vùng ven biển</cap:audience>
    <cap:effective>2026-11-22T16:30:00+07:00</cap:effective>
    <cap:onset>2026-11-23T01:00:00+07:00</cap:onset>
    <cap:expires>2026-11-23T13:00:00+07:00</cap:expires>
    <cap:headline>Bão số 12 đổ bộ đêm nay</cap:headline>
    <cap:description><![CDATA[Gió cấp 12, giật cấp 15 & sóng cao 7 m.]]></cap:description>
    <cap:instruction>Không ra khơi; ở trong nhà kiên cố.</cap:instruction>
    <cap:resource>
      <cap:resourceDesc>Bản đồ đường đi</cap:resourceDesc>
      <cap:mimeType>image/png</cap:mimeType>
      <cap:size>20480</cap:size>
      <cap:uri>https://kttv.example.vn/bao12.png</cap:uri>
    </cap:resource>
    <cap:area>
      <cap:areaDesc>Ven biển Cà Mau</cap:areaDesc>
      <cap:circle>9.10,105.10 60</cap:circle>
      <cap:altitude>0</cap:altitude>
      <cap:ceiling>500.5</cap:ceiling>
    </cap:area>
  </cap:info>
  <ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#">
    <ds:SignatureValue Id="v">q83vEjRWeJA=</ds:SignatureValue>
  </ds:Signature>
</cap:alert>
""".encode()


def a_filter(**changes: object) -> FilterDraft:
    said: dict[str, object] = {
        "feeds": [{"name": "kttv", "senders": [SENDER, "urn:oid:2.49.0.0.704.0"]}],
        "events": [
            {"event": "flood", "texts": ["Lũ", "Flood"]},
            {"event": "storm", "texts": ["bão"]},
        ],
        "geocodes": [{"name": CODE[0], "value": CODE[1]}],
        "place": {"latitude": HERE[0], "longitude": HERE[1]},
        **changes,
    }
    return FilterDraft.model_validate(said)
