"""`loa test`: runs an on-site test and tells its verdict.

Exit status: 0 passed, 1 failed, 2 not measurable, 3 refused.
"""

from __future__ import annotations

import argparse
from typing import Any

from agent.cli.arguments import Commands
from agent.cli.client import AgentUnreachableError, ask, find_socket, stream
from agent.cli.output import FAILED, OK, REFUSED, print_json, print_lines
from agent.cli.words import Words, clean, wrap

UNMEASURED = 2
KINDS = ("tone", "sweep", "speech", "amp", "line", "mic", "clock")
STATUS = {"passed": OK, "failed": FAILED, "unmeasured": UNMEASURED, "refused": REFUSED}
SAMPLES_PER_LINE = 4

Answer = dict[str, Any]


def add_to(commands: Commands) -> None:
    """Add the command."""
    words = commands.words
    test = commands.add("test", _test, asks=True)
    test.add_argument("kind", choices=KINDS, metavar=words.say("help.KIND"), help=words.say("help.kind"))
    commands.add_zone(test, "zone_test")


def _test(arguments: argparse.Namespace, words: Words) -> int:
    path = find_socket(arguments.socket, arguments.config)
    here = words.in_zone(ask(path, "/why").get("timezone"))
    body = {"kind": arguments.kind, "zone": arguments.zone}
    told = _Progress(here)
    for line in stream(path, "/test", body):
        if "error" in line:
            raise AgentUnreachableError("failed", str(line["error"]))
        if isinstance(line.get("result"), dict):
            return _finish(line["result"], arguments, here)
        if not arguments.json and isinstance(line.get("progress"), dict):
            told.show(line["progress"])
    raise AgentUnreachableError("broken", "the test ended without a result")


def _finish(result: Answer, arguments: argparse.Namespace, words: Words) -> int:
    if arguments.json:
        print_json(result)
    else:
        safe = clean(result)
        print_lines(result_lines(safe if isinstance(safe, dict) else {}, words))
    return STATUS.get(str(result.get("outcome")), FAILED)


class _Progress:
    """Tells each step once, and what is measured about once a second."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._step = ""
        self._samples = 0

    def show(self, progress: Answer) -> None:
        step, sample = str(progress.get("step")), progress.get("sample")
        if step != self._step:
            self._step, self._samples = step, 0
            print_lines([str(clean(self._words.term("test.step", step)))])
        if isinstance(sample, dict):
            if self._samples % SAMPLES_PER_LINE == 0:
                print_lines(sample_lines(sample, self._words))
            self._samples += 1


def sample_lines(sample: Answer, words: Words) -> list[str]:
    """What one snapshot measured; nothing for what nothing measures."""
    parts = [
        f"{words.term('test.measure', name)} {_value(name, sample[field], unit, words)}"
        for field, name, unit in (
            ("output_rms_dbfs", "output", "dBFS"),
            ("line_active", "line_during", ""),
            ("microphone_dbfs", "microphone_level", "dBFS"),
            ("volts", "volts", "V"),
            ("amps", "amps", "A"),
        )
        if sample.get(field) is not None
    ]
    return wrap(" · ".join(parts) or words.say("not_measured"), words.width, "  ", "    ")


def result_lines(result: Answer, words: Words) -> list[str]:
    """Verdict, reason, every measured value, and what to do."""
    verdict = words.term("test.verdict", result.get("outcome"))
    name = words.term("test.title", result.get("kind"))
    zone = f" · {result['zone']}" if result.get("zone") else ""
    lines = ["", *wrap(f"{name}{zone}: {verdict}", words.width)]
    reason = words.term("test.reason", result.get("reason"))
    if result.get("title"):
        reason += f" {words.say('test.title', title=result['title'])}"
    if result.get("until"):
        reason += f" {words.say('test.until', time=words.moment(result['until'], '%H:%M:%S'))}"
    lines += wrap(reason, words.width, "  ")
    for one in result.get("measures") or []:
        label = words.term("test.measure", one.get("name"))
        value = _value(str(one.get("name")), one.get("value"), str(one.get("unit") or ""), words)
        lines += wrap(f"{label}: {value}", words.width, "  - ", "    ")
    do = _what_to_do(result, words)
    return [*lines, *wrap(words.say("status.do", do=do), words.width, "  ", "    ")] if do else lines


def _what_to_do(result: Answer, words: Words) -> str:
    key = str(result.get("reason"))
    own = words.term("test.do", key)
    if own != key:
        return own
    fault = result.get("fault")
    return f"{words.term('fault', f'{fault}.do')} ({fault})" if fault else ""


def _value(name: str, value: object, unit: str, words: Words) -> str:
    if isinstance(value, bool):
        return words.say("test.yes" if value else "test.no")
    if isinstance(value, int | float):
        digits = 2 if unit in ("A", "V") else 0 if unit in ("%", "ms") else 1
        return f"{words.number(value, digits)} {unit}".rstrip()
    return words.term("clock", value) if name == "clock_source" else str(value)
