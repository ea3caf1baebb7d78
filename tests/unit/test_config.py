"""Configuration: the example holds every key, and a mistake names its key and its remedy."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from agent.cli.check import check_file
from agent.config import Config, Driver, load_config, parse_config
from agent.errors import ConfigError

EXAMPLE = Path(__file__).resolve().parents[2] / "config.example.toml"
COMMENTED = re.compile(r"^#(?=[^ \n#])", re.MULTILINE)


def full_example() -> dict[str, Any]:
    """The example with every commented key in use."""
    return tomllib.loads(COMMENTED.sub("", EXAMPLE.read_text(encoding="utf-8")))


def table_of(annotation: Any) -> type[BaseModel] | None:
    """The model a field holds, through `tuple[...]`, `| None` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := table_of(inner))), None)


def keys_of_model(model: type[BaseModel], prefix: str = "") -> set[str]:
    keys: set[str] = set()
    for name, field in model.model_fields.items():
        below = table_of(field.annotation)
        keys |= {prefix + name} if below is None else keys_of_model(below, f"{prefix}{name}.")
    return keys


def keys_of_file(table: dict[str, Any], prefix: str = "") -> set[str]:
    keys: set[str] = set()
    for name, value in table.items():
        if isinstance(value, dict) and name != "options":
            keys |= keys_of_file(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            keys |= {key for one in value for key in keys_of_file(one, f"{prefix}{name}.")}
        else:
            keys.add(prefix + name)
    return keys


def test_the_example_is_a_configuration_as_it_stands() -> None:
    config = load_config(EXAMPLE)
    assert config.zones[0].audio.kind == "alsa"
    assert check_file(EXAMPLE, "vi") == []


def test_the_example_with_every_key_in_use_is_accepted_by_agent_and_drivers(tmp_path: Path) -> None:
    full = tmp_path / "config.toml"
    full.write_text(COMMENTED.sub("", EXAMPLE.read_text(encoding="utf-8")), encoding="utf-8")
    assert check_file(full, "vi") == []


def test_the_example_holds_exactly_the_keys_of_the_models() -> None:
    # The example says of the spare amplifier that its keys are those of the main one.
    as_the_main_one = {f"zones.spare_amplifier.{key}" for key in ("settle_ms", "unmute_ms", "hold_s")}
    assert keys_of_file(full_example()) == keys_of_model(Config) - as_the_main_one


def commented_values(table: dict[str, Any], model: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    """Values of the example that stand commented out, where the model has a plain default."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        field = model.model_fields[name]
        below = table_of(field.annotation)
        if below is None:
            found[prefix + name] = (value, field.default)
        else:
            for one in value if isinstance(value, list) else [value]:
                found |= commented_values(one, below, f"{prefix}{name}.")
    return found


def as_model(value: Any, default: Any) -> Any:
    """A value of the file as the type the model gives its default."""
    if isinstance(default, Path):
        return Path(value)
    return tuple(value) if isinstance(default, tuple) else value


def test_values_of_keys_with_a_default_are_the_defaults() -> None:
    chosen = {
        *("box.name", "zones.id", "zones.name", "boards.id"),
        *("inputs.id", "tuner.input", "speech.command", "zones.meter.idle_amps", "zones.meter.full_amps"),
        *("boards.theme", "boards.off_hours.start", "boards.off_hours.end"),
        *("boards.brightness.steps.start", "boards.brightness.steps.level"),
    }
    different = {
        key: pair
        for key, pair in commented_values(full_example(), Config).items()
        if key not in chosen
        and not key.endswith((".kind", ".options"))
        and as_model(pair[0], pair[1]) != pair[1]
    }
    assert different == {}


def test_an_empty_file_is_a_box_with_defaults() -> None:
    assert parse_config("") == Config()


ZONE = '[[zones]]\nid = "main"\naudio = { kind = "simulated", options = { dir = "/tmp/x" } }\n'


BOARD = '[[boards]]\nid = "board"\nkind = "simulated"\noptions = { dir = "/tmp/x" }\n'


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("[box]\nnam = 'x'\n", "box.nam", "Sửa tên khóa thành name"),
        ("[box]\ncolour = 'x'\n", "box.colour", "Xóa khóa này"),
        ("[sourse]\n", "sourse", "Sửa tên khóa thành source"),
        ("[source]\nheartbeat_s = 0\n", "source.heartbeat_s", "từ 1 đến 3600"),
        ("[content]\nquota_mb = 'much'\n", "content.quota_mb", "số nguyên"),
        ("[content]\nquota_mb = 99.5\n", "content.quota_mb", "số nguyên"),
        ("[playout]\nmax_dbfs = 3\n", "playout.max_dbfs", "từ -40 đến 0"),
        ("[playout]\nmax_dbfs = nan\n", "playout.max_dbfs", "Viết số"),
        ("[box]\nlanguage = 'fr'\n", "box.language", "một trong: vi, en"),
        ("[box]\ntimezone = 'Hanoi'\n", "box.timezone", "Asia/Ho_Chi_Minh"),
        ("[box]\nname = 7\n", "box.name", 'dấu "…"'),
        ("[source]\nurl = 'loa.vn/x'\n", "source.url", "https://tên-máy-chủ"),
        (ZONE.replace('"main"', '"Đông 1"'), "zones[0].id", "chữ thường không dấu"),
        (ZONE + ZONE, "cả tệp", "id riêng"),
        ("[[zones]]\nid = 'main'\n", "zones[0].audio", "Thêm khóa"),
        ("zones = 5\n", "zones", "[[…]]"),
        ("box = 5\n", "box", "kind"),
        (ZONE.replace("dir =", "extra = { a = 1 }, dir ="),
         "zones[0].audio.options.extra", "danh sách số nguyên"),
        (ZONE.replace("simulated", "pulse"), "zones[0].audio.kind", "alsa, simulated"),
        (ZONE.replace("dir =", "dri ="), "zones[0].audio.options", "config.example.toml"),
        ("[sensors]\npower = { kind = 'gpio', options = { mains_fail_pin = 99 } }\n",
         "sensors.power.options", "config.example.toml"),
        (ZONE + "[zones.meter]\nkind = 'ina219'\n", "zones[0].meter.options", "config.example.toml"),
        (ZONE + "[zones.meter]\nkind = 'ina226'\n", "zones[0].meter.kind", "ads1115, ina219, mcp3008"),
        (ZONE + "[zones.microphone]\nkind = 'alsa'\n", "zones[0].microphone.options", "config.example.toml"),
        (ZONE + "[zones.spare_amplifier]\nkind = 'gpio'\n",
         "zones[0].spare_amplifier.options", "config.example.toml"),
        ("[safety_button]\nkind = 'gpio'\noptions = { pin = 99 }\n",
         "safety_button.options", "config.example.toml"),
        ("[[inputs]]\nid = 'line'\nkind = 'pulse'\n", "inputs[0].kind", "alsa, simulated"),
        ("[[inputs]]\nid = 'line'\nkind = 'alsa'\n", "inputs[0].options", "config.example.toml"),
        ("[[inputs]]\nid = 'line'\nkind = 'simulated'\noptions = { file = 'x.wav', dir = '/tmp' }\n",
         "inputs[0].options", "config.example.toml"),
        ("inputs = [{ id = 'line', kind = 'alsa', options = { device = 'default' } }]\n[tuner]\nkind = 'si4703'\ninput = 'line'\n",
         "tuner.kind", "rda5807m, simulated, tea5767"),
        (BOARD + "owner = 'phường'\n", "boards[0].owner", "commune, commercial"),
        (BOARD + "brightness = { level = 2 }\n", "boards[0].brightness.level", "từ 0 đến 1"),
        (BOARD + "off_hours = [{ start = '22:00' }]\n", "boards[0].off_hours[0].end", "Thêm khóa"),
        (BOARD.replace("simulated", "lightbulb"), "boards[0].kind", "simulated"),
        ("".join(ZONE.replace("main", f"z{n}") for n in range(9)), "zones", "nhiều nhất 8"),
        ("box = [", "cả tệp", "Sửa dòng được nêu"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_key_and_its_remedy(tmp_path: Path, text: str, key: str, expected: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    problems = check_file(path, "vi")
    assert [problem.key for problem in problems] == [key]
    assert expected in problems[0].do
    assert problems[0].what


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        "[box]\nnam = 'x'\n[source]\nheartbeat_s = 0\n[playout]\npreroll_s = 99\n", encoding="utf-8"
    )
    assert [problem.key for problem in check_file(path, "en")] == [
        "box.nam",
        "source.heartbeat_s",
        "playout.preroll_s",
    ]


def test_a_file_that_is_not_utf8_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes('[box]\nname = "Đông"\n'.encode("utf-16"))
    problems = check_file(path, "vi")
    assert "UTF-8" in problems[0].what
    assert "UTF-8" in problems[0].do
    with pytest.raises(ConfigError, match="not UTF-8 at byte 0"):
        load_config(path)


def test_a_file_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    assert "Không đọc được" in check_file(tmp_path / "absent.toml", "vi")[0].what
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[box]\nnam = 'x'\n", "box.nam: "),
        ("[playout]\nmax_dbfs = 3\n", "playout.max_dbfs: "),
        (ZONE + ZONE, "two zones have the same id"),
        ("box = [", "not TOML"),
    ],
)
def test_the_agent_refuses_what_the_check_refuses(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(text)
    assert any(expected in problem for problem in refused.value.problems)


def test_driver_options_are_known_to_the_driver_only() -> None:
    assert Driver(kind="x", options={"pins": [5, 6], "dir": "a", "on": True}).options["pins"] == [5, 6]
