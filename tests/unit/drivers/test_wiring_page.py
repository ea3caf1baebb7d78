"""docs/wiring.md: what it tells people to write is what the drivers accept."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from drivers.amplifier.wiring import OPTIONS
from drivers.registry import amplifier_driver, meter_driver

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "wiring.md").read_text(encoding="utf-8")


def test_examples_are_accepted() -> None:
    loaders: dict[str, Any] = {"amplifier": amplifier_driver, "meter": meter_driver}
    found = [
        tomllib.loads(text) for text in re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    ]
    assert len(found) == 2
    for document in found:
        for family, section in document["zones"].items():
            loaders[family](section["kind"]).from_options("x", section["options"])


def test_every_pin_of_an_amplifier_is_in_the_table_of_pulls() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    for option in OPTIONS:
        if option.endswith("_pin"):
            assert any(f"`{option}`" in row for row in rows), option


def test_no_suggested_pin_is_used_twice() -> None:
    rows = [line.split("|") for line in PAGE.splitlines() if re.match(r"^\|.*`\w*pins?`.*GPIO \d", line)]
    pins = [int(number) for row in rows for number in re.findall(r"\d+", row[3])]
    assert len(pins) == len(set(pins)) == 11
    assert not {0, 1, 2, 3, 8, 9, 10, 11, 14, 15, 18, 19, 20, 21} & set(pins)
