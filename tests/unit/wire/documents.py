"""One full example of every document type."""

from __future__ import annotations

from typing import Any

from agent.wire import device_api, orders, reports, root, schedule
from agent.wire.base import Document

ID, OTHER, SHA, KEY = "01JAZ0000000000000000000AB", "01JAZ0000000000000000000AC", "a" * 64, "b" * 64
AT = "2026-11-22T05:00:00Z"
MEDIA = {"sha256": SHA, "size_bytes": 10, "duration_ms": 1000, "gain_db": -1.5, "url": "/media/a.mp3"}
FILE = {"sha256": SHA, "size_bytes": 10, "url": "/media/a.png"}
ORDER = {
    "id": ID,
    "issuer": "commune",
    "seq": 7,
    "scope": {"kind": "station", "id": "xa-tan-lap"},
    "not_before": AT,
    "expires": "2026-11-23T05:00:00Z",
}
PART = {
    "language": "vi",
    "title": "Bản tin",
    "text": "Mưa lớn\nở thượng nguồn",
    "media": MEDIA,
    "picture": FILE,
}
HEALTH = {
    "kind": "health",
    "boot_id": "b1",
    "at": AT,
    "uptime_s": 5,
    "clock": "rtc",
    "clock_error_ms": 1.5,
    "zones": [{"zone": "square", "on_air": "a@20261122T050000Z", "sounding": True, "output_rms_dbfs": -18.2}],
    "boards": [
        {
            "board": "cho",
            "page": "p",
            "title": "Lịch",
            "sha256": SHA,
            "reason": "playlist",
            "rank": "page",
            "since": AT,
            "on": True,
            "foreign": False,
            "brightness": 0.5,
            "dead_modules": ["1/2"],
        }
    ],
    "issues": [{"code": "TL-301", "subject": "đồng hồ", "since": AT}],
    "mains": False,
    "bearer": "cellular",
    "signal_dbm": -101,
}

EXAMPLES: list[tuple[type[Document], dict[str, Any]]] = [
    (
        orders.Desired,
        {
            **ORDER,
            "kind": "desired",
            "schedule": {"id": "s", "version": 3, "sha256": SHA, "size_bytes": 200, "url": "/s"},
            "hours": [
                {"weekdays": [1, 7], "start": "05:00", "end": "24:00", "max_minutes": 30, "max_dbfs": -6.0}
            ],
            "groups": ["thon-1"],
            "pages": [
                {"id": "p", "title": "Lịch", "text": "x", "dwell_s": 5},
                {
                    "id": "q",
                    "title": "Chợ phiên",
                    "ticker": "Chợ họp sớm",
                    "language": "km",
                    "picture": FILE,
                    "stream": "https://video.xa/chi.m3u8",
                    "qr": "https://xa.vn",
                    "weather": "25 độ",
                    "template": "large",
                    "windows": [{"weekdays": [6, 7], "start": "05:00", "end": "24:00"}],
                    "valid_from": AT,
                    "valid_until": "2026-12-01T05:00:00Z",
                    "urgent": True,
                    "boards": ["cho"],
                },
            ],
            "settings": {"volume": 0.5, "mode": "a", "on": True, "count": 3},
            "release": {"version": "1.2", "sha256": SHA, "size_bytes": 1, "url": "/r"},
        },
    ),
    (
        orders.Bulletin,
        {**ORDER, "kind": "bulletin", "class": "priority", "level": "commune", "parts": [PART]},
    ),
    (
        orders.Emergency,
        {
            **ORDER,
            "kind": "emergency",
            "event": "flood",
            "level": "province",
            "parts": [PART],
            "zones": ["square"],
        },
    ),
    (orders.Cancel, {**ORDER, "kind": "cancel", "cancels": OTHER, "all_clear": PART}),
    (orders.Takeover, {**ORDER, "kind": "takeover", "boards": ["cho"], "reason": "Bão số 3"}),
    (
        orders.Grant,
        {
            **ORDER,
            "kind": "grant",
            "speaker": "Bà Lan",
            "level": "commune",
            "source": "stream",
            "stream_key": KEY,
        },
    ),
    (orders.Job, {**ORDER, "kind": "job", "action": "self_test", "arguments": {"tone": True}}),
    (
        root.Root,
        {
            "kind": "root",
            "version": 1,
            "issued": AT,
            "expires": "2027-11-22T05:00:00Z",
            "keys": {SHA: {"scheme": "ed25519", "public": KEY}},
            "root": {"keys": [SHA], "threshold": 1},
            "issuers": [
                {
                    "name": "commune",
                    "level": "commune",
                    "kinds": ["desired"],
                    "scopes": [{"kind": "station", "id": "xa"}],
                    "keys": [SHA],
                    "threshold": 1,
                }
            ],
        },
    ),
    (
        schedule.ScheduleDocument,
        {
            "id": "s",
            "version": 1,
            "station": "Đài xã",
            "timezone": "Asia/Ho_Chi_Minh",
            "programmes": [
                {
                    "id": "sang",
                    "title": "Buổi sáng",
                    "class": "priority",
                    "level": "commune",
                    "zones": ["square"],
                    "items": [{"id": "i", "title": "Tin", "kind": "chime", "media": MEDIA, "language": "vi"}],
                    "recurrences": [
                        {
                            "start": "2026-11-22T05:00:00",
                            "rrule": "FREQ=DAILY",
                            "exdates": ["2026-11-25T05:00:00"],
                        }
                    ],
                    "valid_from": AT,
                    "valid_until": "2027-01-01T00:00:00Z",
                    "clock_needed": "synchronised",
                }
            ],
        },
    ),
    (reports.Birth, {"kind": "birth", "boot_id": "b", "at": AT, "version": "0.1", "zones": ["square"]}),
    (reports.State, {"kind": "state", "state": "offline", "boot_id": "b"}),
    (reports.Health, HEALTH),
    (reports.Event, {"kind": "event", "id": ID, "at": AT, "type": "order_refused", "code": "replayed"}),
    (
        reports.AsRunReport,
        {
            "kind": "asrun",
            "id": ID,
            "airing": "sang@20261122T050000Z",
            "zone": "square",
            "programme": "sang",
            "title": "Buổi sáng",
            "class": "normal",
            "level": "commune",
            "schedule_version": 3,
            "planned_start": AT,
            "planned_ms": 1000,
            "first_sound": AT,
            "played_ms": 900,
            "segments": [{"started": AT, "ended": AT, "from_ms": 0, "played_ms": 900, "cut": "restart"}],
            "sensed_ms": 0,
            "failed_items": ["i: unreadable"],
            "verdict": "silent",
        },
    ),
    (
        reports.ScreenReport,
        {
            "kind": "screen",
            "id": ID,
            "board": "cho",
            "page": "p",
            "title": "Lịch",
            "order_id": OTHER,
            "reason": "playlist",
            "sha256": SHA,
            "screens": 2,
            "first_shown": AT,
            "last_shown": "2026-11-22T05:30:00Z",
            "times": 30,
            "shown_s": 600.5,
            "complaints": ["missing_glyph U+1F600"],
            "thumbnail": "iVBORw0KGgo=",
        },
    ),
    (reports.Reported, {"kind": "reported", "boot_id": "b", "at": AT, "schedule_sha256": SHA}),
    (
        reports.JobReport,
        {
            "kind": "job",
            "id": ID,
            "at": AT,
            "job": OTHER,
            "action": "reboot",
            "state": "failed",
            "result": {"code": 1},
        },
    ),
    (device_api.EnrolRequest, {"code": "ABCD-1234", "name": "Cụm 1", "hardware": "pi4", "version": "0.1"}),
    (
        device_api.EnrolAnswer,
        {
            "kind": "enrolled",
            "device": "box-0001",
            "secret": "s" * 43,
            "broker": {"host": "mqtt.example", "port": 8883, "tls": True},
            "place": {"station": "xa", "province": "tinh", "groups": ["thon-1"]},
            "root": "{}",
        },
    ),
    (device_api.HeartbeatRequest, {"health": HEALTH, "awaiting_receipt": [ID]}),
    (
        device_api.HeartbeatAnswer,
        {
            "at": AT,
            "hold": [{"kind": "desired", "id": ID, "issuer": "commune", "seq": 1, "url": "/d"}],
            "received": [ID],
        },
    ),
]
