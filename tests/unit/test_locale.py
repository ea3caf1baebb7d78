"""The message catalogues: complete, equal in both languages, well written."""

from __future__ import annotations

import ast
import re
import string
import unicodedata
from collections.abc import Iterable
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import get_args

import pytest

from agent.model.bulletin import BulletinClass, ClockTrust, SourceLevel
from agent.model.issue import Fault, Refusal
from agent.model.report import CutReason, MissedReason, Verdict
from agent.model.text import Language, catalogue, say
from agent.playout.plan import Reason
from agent.source.api import LinkState
from drivers.api import Bearer

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES: tuple[Language, ...] = get_args(Language)
TABLES: dict[str, type[StrEnum]] = {
    "refusal": Refusal,
    "verdict": Verdict,
    "missed": MissedReason,
    "cut": CutReason,
    "class": BulletinClass,
    "level": SourceLevel,
    "source": LinkState,
    "bearer": Bearer,
}


def holes(text: str) -> set[str]:
    """Names of the values a message is filled with."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_both_languages_have_the_same_messages() -> None:
    assert catalogue("vi").keys() == catalogue("en").keys()


def test_a_message_names_the_same_values_in_both_languages() -> None:
    vi, en = catalogue("vi"), catalogue("en")
    assert {key for key in vi if holes(vi[key]) != holes(en[key])} == set()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("fault", Fault)
def test_every_fault_says_what_is_wrong_and_what_to_do(language: Language, fault: Fault) -> None:
    assert say(f"fault.{fault.value}.what", language).endswith((".", "!"))
    assert len(say(f"fault.{fault.value}.do", language)) > 20


def test_no_text_stands_for_a_fault_that_does_not_exist() -> None:
    told = {key.split(".")[1] for key in catalogue("vi") if key.startswith("fault.")}
    assert told == {fault.value for fault in Fault}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("table", TABLES)
def test_every_code_of_the_model_has_a_word_and_every_word_a_code(language: Language, table: str) -> None:
    told = {key.removeprefix(f"{table}.") for key in catalogue(language) if key.startswith(f"{table}.")}
    assert told == {one.value for one in TABLES[table]}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_of_the_plan_has_a_word(language: Language) -> None:
    assert {reason for reason in Reason if f"reason.{reason.value}" not in catalogue(language)} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_clock_trust_has_a_word(language: Language) -> None:
    assert issubclass(ClockTrust, IntEnum)
    for trust in ClockTrust:
        assert say(f"clock.{trust.name.lower()}", language)


def link_codes() -> set[str]:
    """Codes the source adapters put into link errors, as written in their code."""
    found: set[str] = set()
    for path in (ROOT / "agent/source").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                first = node.args[0]
                if (
                    node.func.id in {"SourceDownError", "SourceRefusedError", "PublishRefusedError"}
                    and isinstance(first, ast.Constant)
                    and isinstance(first.value, str)
                ):
                    found.add(first.value)
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_link_error_has_a_word(language: Language) -> None:
    codes = link_codes()
    assert "dns" in codes, "the search itself is broken"
    assert {code for code in codes if f"link.{code}" not in catalogue(language)} == set()


def said_in_code() -> Iterable[tuple[str, str]]:
    """Every literal key handed to `say`, with the place where it is said."""
    for folder, prefix in (("agent", ""), ("server", ""), ("tools", ""), ("agent/cli", "cli.")):
        for path in (ROOT / folder).rglob("*.py"):
            own = prefix == "" and path.is_relative_to(ROOT / "agent/cli")
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call) or not node.args:
                    continue
                method = isinstance(node.func, ast.Attribute) and node.func.attr == "say"
                function = isinstance(node.func, ast.Name) and node.func.id == "say"
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    if method and prefix:
                        yield prefix + first.value, str(path)
                    elif function and not (prefix or own):
                        yield first.value, str(path)


def test_every_message_said_in_the_code_exists() -> None:
    said = list(said_in_code())
    assert any(key.startswith("cli.") for key, _ in said), "the search itself is broken"
    assert [(key, path) for key, path in said if key not in catalogue("vi")] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_messages_are_composed_unicode_without_stray_spaces(language: Language) -> None:
    text = (ROOT / f"locale/{language}.toml").read_text(encoding="utf-8")
    assert unicodedata.is_normalized("NFC", text)
    messages = catalogue(language)
    assert {key for key, one in messages.items() if "  " in one or not one.strip()} == set()


WORD = re.compile(r"[A-Za-zÀ-ỹĐđ]+")
BARE = frozenset({"khong", "duoc", "phat", "loi", "dien", "lich", "chua"})


def test_vietnamese_is_written_with_its_marks() -> None:
    bare = {
        (key, word)
        for key, text in catalogue("vi").items()
        for word in WORD.findall(text)
        if word.lower() in BARE
    }
    assert bare == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_verdicts_are_said_in_the_words_of_the_product(language: Language) -> None:
    words = {
        "vi": ["đã nghe thấy", "một phần", "im lặng", "không rõ", "bỏ lỡ"],
        "en": ["heard", "partial", "silent", "unknown", "missed"],
    }
    assert [say(f"verdict.{one.value}", language) for one in Verdict] == words[language]
