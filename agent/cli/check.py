"""`loa check-config`: every mistake of a configuration file, with its key, what is wrong and what to do."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ValidationError

from agent.config import BoardSection, Config, Driver, SensorsSection
from agent.model.text import Language, catalogue, say
from drivers import registry
from drivers.api import DriverSetupError, Options
from drivers.registry import installed

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_PROBLEMS = 50


class _Factory(Protocol):
    @classmethod
    def from_options(cls, name: str, options: Options) -> object: ...


_LOADERS: dict[str, Callable[[str], type[_Factory]]] = {
    "audio": registry.audio_driver,
    "amplifier": registry.amplifier_driver,
    "line_sense": registry.line_sense_driver,
    "microphone": registry.microphone_driver,
    "meter": registry.meter_driver,
    "tuner": registry.tuner_driver,
    "button": registry.button_driver,
    "board": registry.board_driver,
    "uplink": registry.uplink_sensor,
    "clock": registry.clock_sensor,
    "power": registry.power_sensor,
    "storage": registry.storage_sensor,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: the key, what is wrong with it, the first thing to do."""

    key: str
    what: str
    do: str


def check_file(path: Path, language: Language) -> list[Problem]:
    """Every mistake in the file, none if an agent can start with it."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        return [_problem("unreadable", "", language, detail=error.strerror)]
    except UnicodeDecodeError as error:
        return [_problem("not_utf8", "", language, byte=error.start)]
    return check_text(text, language)


def check_text(text: str, language: Language) -> list[Problem]:
    """Every mistake in what a file holds or is about to hold."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return [_problem("not_toml", "", language, detail=error)]
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        return _translate(error, language)
    return _wrong_drivers(config, language) + _wrong_inputs(config, language)


def _translate(error: ValidationError, language: Language) -> list[Problem]:
    problems: dict[str, Problem] = {}
    for detail in error.errors(include_url=False):
        loc = detail["loc"]
        if "options" in loc:  # one mistake answers once for each type an option may have
            loc = loc[: loc.index("options") + 2]
            problem = _problem("option", _key(loc), language)
        else:
            problem = _explain(detail, loc, language)
        problems.setdefault(problem.key + problem.what, problem)
    return list(problems.values())[:MAX_PROBLEMS]


_KINDS = {
    "greater_than_equal": "range",
    "less_than_equal": "range",
    "greater_than": "range",
    "less_than": "range",
    "missing": "missing",
    "literal_error": "choice",
    "too_long": "too_many",
    "string_too_long": "too_long",
    "string_too_short": "empty",
    "int_from_float": "whole",
    "finite_number": "number",
}
_TYPES = {
    "string": "text",
    "path": "text",
    "int": "whole",
    "float": "number",
    "bool": "boolean",
    "tuple": "tables",
    "list": "tables",
    "model": "table",
    "dict": "table",
}


def _explain(detail: ErrorDetails, loc: tuple[int | str, ...], language: Language) -> Problem:
    kind, context, key = detail["type"], detail.get("ctx", {}), _key(loc)
    if kind == "extra_forbidden":
        near = get_close_matches(str(loc[-1]), _fields_at(loc[:-1]), n=1)
        if near:
            return _problem("misspelt", key, language, near=near[0])
        return _problem("unknown", key, language)
    if kind == "string_pattern_mismatch":
        return _problem("url" if loc[-1] == "url" else "name", key, language)
    if kind == "value_error":
        return _problem("timezone" if loc and loc[-1] == "timezone" else "twice", key, language)
    name = _KINDS.get(kind) or _TYPES.get(kind.removesuffix("_type").removesuffix("_parsing"))
    if name is None:
        return _problem("other", key, language, detail=detail["msg"])
    values = {"value": _short(detail["input"]), "expected": _choices(context.get("expected", ""))}
    if name == "range":
        values["bounds"] = _bounds(loc, language)
    if "max_length" in context:
        values["most"] = context["max_length"]
    return _problem(name, key, language, **values)


def _wrong_drivers(config: Config, language: Language) -> list[Problem]:
    """Drivers that are not installed, or that do not accept their options; no hardware is touched."""
    wanted: list[tuple[str, str, Driver | None]] = []
    for index, zone in enumerate(config.zones):
        place = f"zones[{index}]"
        wanted += [
            (f"{place}.audio", "audio", zone.audio),
            (f"{place}.amplifier", "amplifier", zone.amplifier),
            (f"{place}.line_sense", "line_sense", zone.line_sense),
            (f"{place}.spare_amplifier", "amplifier", zone.spare_amplifier),
            (f"{place}.meter", "meter", zone.meter),
            (f"{place}.microphone", "microphone", zone.microphone),
        ]
    wanted += [("tuner", "tuner", config.tuner), ("safety_button", "button", config.safety_button)]
    wanted += [(f"boards[{index}]", "board", board) for index, board in enumerate(config.boards)]
    wanted += [
        (f"sensors.{family}", family, getattr(config.sensors, family))
        for family in SensorsSection.model_fields
    ]
    problems = []
    for key, family, driver in wanted:
        if driver is None:
            continue
        names = installed(family)
        if driver.kind not in names:
            known = ", ".join(names) or "—"
            problems.append(_problem("driver", f"{key}.kind", language, kind=driver.kind, installed=known))
            continue
        try:
            options = dict(driver.options)
            if isinstance(driver, BoardSection):
                options |= {"width_px": driver.width_px, "height_px": driver.height_px}
            _LOADERS[family](driver.kind).from_options(key, options)
        except DriverSetupError as error:
            problems.append(_problem("driver_option", f"{key}.options", language, detail=error))
    return problems


# Sound inputs are opened by the audio worker, not by a driver of their own: kind and the option it needs.
_INPUT_OPTIONS = {"alsa": "device", "simulated": "file"}


def _wrong_inputs(config: Config, language: Language) -> list[Problem]:
    problems = []
    for index, section in enumerate(config.inputs):
        key, option = f"inputs[{index}]", _INPUT_OPTIONS.get(section.kind)
        if option is None:
            known = ", ".join(_INPUT_OPTIONS)
            problems.append(_problem("driver", f"{key}.kind", language, kind=section.kind, installed=known))
            continue
        value = section.options.get(option)
        detail = ""
        if not isinstance(value, str) or not value:
            detail = f"{key}: option {option!r} must be text"
        elif len(section.options) > 1:
            detail = f"{key}: the only option is {option!r}"
        if detail:
            problems.append(_problem("driver_option", f"{key}.options", language, detail=detail))
    return problems


def _problem(name: str, key: str, language: Language, **values: object) -> Problem:
    return Problem(
        key or catalogue(language)["cli.check.whole_file"],
        say(f"cli.check.{name}.what", language, **values),
        say(f"cli.check.{name}.do", language, **values),
    )


def _key(loc: tuple[int | str, ...]) -> str:
    path = ""
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:39] + "…"  # noqa: PLR2004 - half a terminal line


def _choices(expected: str) -> str:
    """Pydantic's `'vi' or 'en'` without its English."""
    return ", ".join(re.findall(r"'([^']*)'", expected))


def _model_at(loc: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The table a location lies in, None if it is not a table of ours."""
    model: type[BaseModel] = Config
    for part in loc:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        below = None if field is None else _table_of(field.annotation)
        if below is None:
            return None
        model = below
    return model


def _table_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _table_of(inner)
        if found is not None:
            return found
    return None


def _fields_at(loc: tuple[int | str, ...]) -> list[str]:
    model = _model_at(loc)
    return [] if model is None else list(model.model_fields)


def _bounds(loc: tuple[int | str, ...], language: Language) -> str:
    """The range of a number, such as `from 0 to 10000`, read from the model."""
    model = _model_at(loc[:-1])
    limits = (
        {}
        if model is None
        else {
            name: getattr(rule, name)
            for rule in model.model_fields[str(loc[-1])].metadata
            for name in ("ge", "le")
            if hasattr(rule, name)
        }
    )
    return say("cli.check.bounds", language, least=limits.get("ge", "…"), most=limits.get("le", "…"))
