"""The documentation says what the code does: examples parse, limits and names agree, links lead somewhere."""

import base64
import importlib
import json
import re
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.model.issue import Refusal
from agent.model.report import CutReason, MissedReason, Verdict
from agent.wire import device_api, envelope, orders, reports, topics
from agent.wire.base import Document
from agent.wire.root import Root
from agent.wire.schedule import ScheduleDocument, read_schedule

TOP = Path(__file__).resolve().parents[2]
PROTOCOL = (TOP / "docs" / "protocol.md").read_text(encoding="utf-8")
EXAMPLES: dict[str, str] = dict(
    re.findall(r"^```json ([a-z-]+)\n(.*?)^```$", PROTOCOL, re.DOTALL | re.MULTILINE)
)
PAGES = sorted([*TOP.glob("*.md"), *(TOP / "docs").rglob("*.md"), *(TOP / "image-build").glob("*.md")])
NAMES = [str(page.relative_to(TOP)) for page in PAGES]

MODELS: dict[str, type[Document]] = {
    **orders.ORDER_KINDS,
    "root": Root,
    "schedule": ScheduleDocument,
    "birth": reports.Birth,
    "state": reports.State,
    "health": reports.Health,
    "event": reports.Event,
    "asrun": reports.AsRunReport,
    "screen": reports.ScreenReport,
    "reported": reports.Reported,
    "job-report": reports.JobReport,
    "enrol-request": device_api.EnrolRequest,
    "enrol-answer": device_api.EnrolAnswer,
    "heartbeat-request": device_api.HeartbeatRequest,
    "heartbeat-answer": device_api.HeartbeatAnswer,
}


def assert_says_all(written: object, understood: object, path: str) -> None:
    """Every field of an example reached the model: a misspelt one would be ignored like any unknown field."""
    if isinstance(written, dict):
        assert isinstance(understood, dict), path
        for key, value in written.items():
            assert key in understood, f"{path}.{key} is not a field of the model"
            assert_says_all(value, understood[key], f"{path}.{key}")
    elif isinstance(written, list):
        assert isinstance(understood, list), path
        assert len(written) == len(understood), path
        for index, (one, other) in enumerate(zip(written, understood, strict=True)):
            assert_says_all(one, other, f"{path}[{index}]")
    elif isinstance(written, str) and written != understood:
        assert datetime.fromisoformat(written) == datetime.fromisoformat(str(understood)), path
    else:
        assert written == understood, path


def test_every_document_type_has_an_example_and_every_example_a_type() -> None:
    assert set(EXAMPLES) == {*MODELS, "envelope"}


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_example_of_the_protocol_page_parses(kind: str) -> None:
    document = MODELS[kind].read(EXAMPLES[kind])
    understood = json.loads(document.model_dump_json(by_alias=True))
    assert_says_all(json.loads(EXAMPLES[kind]), understood, kind)


def test_example_schedule_becomes_a_model() -> None:
    programme = read_schedule(EXAMPLES["schedule"].encode()).programmes[0]
    assert programme.duration.total_seconds() == 11.2


def test_example_envelope_carries_a_right_signature_over_a_desired() -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public = key.public_key().public_bytes_raw()
    parsed = envelope.parse_envelope(EXAMPLES["envelope"].encode())
    keyid = envelope.key_id(public)
    assert envelope.valid_signers(parsed, {keyid: public}) == {keyid}
    assert parsed.kind == "desired"
    assert orders.Desired.read(parsed.payload).issuer == "xa-dong-anh"


def test_example_root_names_the_key_that_signed_the_example_envelope() -> None:
    root = Root.read(EXAMPLES["root"])
    issuer = root.issuer("xa-dong-anh")
    assert issuer is not None
    parsed = envelope.parse_envelope(EXAMPLES["envelope"].encode())
    assert envelope.valid_signers(parsed, root.public_keys(issuer))


def test_limits_on_the_protocol_page_are_those_of_the_code() -> None:
    rows = re.findall(r"^\|[^|]+\| `([a-z_.]+)\.([A-Z_]+)` \| (\d+)( days)? \|$", PROTOCOL, re.MULTILINE)
    assert len(rows) >= 4
    for module, name, value, days in rows:
        found = getattr(importlib.import_module(module), name)
        assert (found.days if days else found) == int(value), name


def test_every_name_a_peer_may_meet_stands_on_the_protocol_page() -> None:
    names = [
        *Refusal,
        *Verdict,
        *MissedReason,
        *CutReason,
        *reports.EventType,
        *reports.JobState,
        *orders.JobAction,
    ]
    words = set(re.findall(r"[a-z0-9_]+", PROTOCOL))
    assert [name for name in names if name not in words] == []


def test_topics_and_paths_on_the_protocol_page_are_those_of_the_code() -> None:
    for kind in topics.UP:
        assert f"`{topics.up('DEVICE-1'.lower(), kind).replace('device-1', '<device>')}`" in PROTOCOL
    for path in (
        device_api.ENROL,
        device_api.HEARTBEAT,
        f"{device_api.DOCUMENTS}<order id>",
        f"{device_api.SCHEDULES}<sha256>",
        f"{device_api.MEDIA}<sha256>",
        f"{device_api.LIVE}<grant id>",
    ):
        assert f" {path}`" in PROTOCOL


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_between_pages_lead_to_files_that_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_files_named_in_backticks_exist(page: Path) -> None:
    """Only names with a folder of this tree in front; `<...>` marks what the reader fills in."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for name in re.findall(r"`((?:agent|drivers|server|tests|tools|docs|systemd|locale)/[\w./-]*)`", text):
        assert (TOP / name).exists(), name


def test_both_readmes_begin_with_the_same_two_commands() -> None:
    for name in ("README.md", "README.vi.md"):
        text = (TOP / name).read_text(encoding="utf-8")
        assert re.search(r"```[a-z]*\nmake demo.*\nmake test", text), name


def test_every_decision_is_numbered_and_keeps_what_it_costs() -> None:
    records = sorted((TOP / "docs" / "adr").glob("0*.md"))
    assert len(records) >= 10
    assert [record.name[:4] for record in records] == [f"{n:04d}" for n in range(1, len(records) + 1)]
    for record in records:
        text = record.read_text(encoding="utf-8")
        for heading in ("## Context and problem", "## Considered options", "## Decision", "## Consequences"):
            assert heading in text, f"{record.name}: {heading}"
        assert re.search(r"^- Bad: ", text, re.MULTILINE), f"{record.name} names no cost"


def test_example_payload_is_really_the_signed_bytes() -> None:
    raw = json.loads(EXAMPLES["envelope"])
    message = envelope.pae(raw["payloadType"], base64.b64decode(raw["payload"]))
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    assert base64.b64encode(key.sign(message)).decode() == raw["signatures"][0]["sig"]
