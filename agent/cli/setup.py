"""Commands that set a box up or run it: enrol, check-config, run, simulate."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli.arguments import DEFAULT_CONFIG, Commands
from agent.cli.client import DEFAULT_SOCKET, AgentUnreachableError, ask
from agent.cli.output import CONFIG, FAILED, OK, USAGE, complain, print_json, print_lines, wrapped
from agent.cli.words import Words, clean, wrap

if TYPE_CHECKING:
    from agent.cli.check import Problem


def add_to(commands: Commands) -> None:
    """Add the commands."""
    words = commands.words
    file, code = words.say("help.FILE"), words.say("help.CODE")
    config = {"type": Path, "default": DEFAULT_CONFIG, "metavar": file, "help": words.say("help.config")}
    enrol = commands.add("enrol", _enrol)
    enrol.add_argument("--server", required=True, metavar="URL", help=words.say("help.server"))
    enrol.add_argument("--code", required=True, metavar=code, help=words.say("help.code"))
    enrol.add_argument("--config", **config)  # type: ignore[arg-type]
    check = commands.add("check-config", _check_config)
    check.add_argument("file", type=Path, metavar=file, help=words.say("help.checked"))
    run = commands.add("run", _run)
    run.add_argument("--config", **config)  # type: ignore[arg-type]
    simulate = commands.add("simulate", _simulate)
    folder = words.say("help.DIR")
    simulate.add_argument("--dir", type=Path, required=True, metavar=folder, help=words.say("help.dir"))
    simulate.add_argument("--server", metavar="URL", help=words.say("help.server"))
    simulate.add_argument("--code", metavar=code, help=words.say("help.code"))
    simulate.add_argument("--listen", metavar=words.say("help.DEVICE"), help=words.say("help.listen"))


def _run(arguments: argparse.Namespace, words: Words) -> int:
    try:
        _tell_before_run(arguments, words)
    except Exception as error:  # noqa: BLE001 - boundary: a fault in telling must not keep a box silent
        with contextlib.suppress(OSError):
            print(f"loa run: {type(error).__name__}: {error}", file=sys.stderr)
    from agent.app import run_agent  # noqa: PLC0415 - the whole agent

    return run_agent(arguments.config)


def _tell_before_run(arguments: argparse.Namespace, words: Words) -> None:
    """What is wrong with the configuration, in the words of `check-config`; the agent itself logs English."""
    from agent.cli.check import check_file  # noqa: PLC0415 - pydantic

    problems = check_file(arguments.config, words.language)
    after = words.say("run.fallback") if problems else ""
    if arguments.json:
        print_json(_problems_as_json(arguments.config, problems) | ({"next": after} if after else {}))
    elif problems:
        lines = [*_problem_lines(arguments.config, problems, words), "", *wrapped(after, words)]
        print("\n".join(lines), file=sys.stderr, flush=True)


def _enrol(arguments: argparse.Namespace, words: Words) -> int:
    device = _enrol_and_say(arguments.config, arguments.server, arguments.code, arguments, words)
    if isinstance(device, int):
        return device
    if arguments.json:
        print_json({"device": device})
    else:
        print_lines([words.say("enrol.done", device=device), *wrapped(words.say("enrol.next"), words)])
    return OK


def _enrol_and_say(
    config: Path, server: str, code: str, arguments: argparse.Namespace, words: Words
) -> str | int:
    """Device id, or the exit status after the problem has been told."""
    from agent.cli.enrolment import enrol_box  # noqa: PLC0415 - HTTP client and pydantic
    from agent.errors import ConfigError, LinkError  # noqa: PLC0415 - only here
    from agent.source.identity import IdentityError  # noqa: PLC0415 - only here

    try:
        return enrol_box(config, server, code, words.language)
    except ConfigError:
        _tell_problems(config, arguments, words)
        return CONFIG
    except (LinkError, IdentityError) as error:
        code_word = getattr(error, "code", "")
        what = words.say(
            "enrol.failed", url=server, why=words.term("link", code_word) if code_word else error
        )
        complain(what, words.say("enrol.failed_do"), arguments, words, detail=str(error))
        return FAILED


def _simulate(arguments: argparse.Namespace, words: Words) -> int:
    from agent.cli.enrolment import enrolled_as  # noqa: PLC0415 - HTTP client and pydantic
    from agent.cli.simulate import draft_config, save_config  # noqa: PLC0415 - only here
    from agent.config import SourceSection, parse_config  # noqa: PLC0415 - pydantic
    from agent.errors import ConfigError  # noqa: PLC0415 - only here
    from agent.source.identity import IdentityError  # noqa: PLC0415 - only here

    if bool(arguments.code) and not arguments.server:
        complain(words.say("simulate.no_server"), words.say("simulate.no_server_do"), arguments, words)
        return USAGE
    try:
        SourceSection(url=arguments.server or "")
    except ValueError:  # pydantic's; its sentence is English
        what = words.say("simulate.bad_url", url=arguments.server)
        complain(what, words.say("check.url.do"), arguments, words)
        return USAGE
    text = None
    try:
        config, text = draft_config(arguments.dir, arguments.server, arguments.listen)
        parsed = parse_config(text, str(config))
        device = enrolled_as(parsed)
        if _answers(parsed.box.runtime_dir / DEFAULT_SOCKET.name):
            complain(words.say("simulate.running"), words.say("simulate.running_do"), arguments, words)
            return FAILED
        save_config(config, text)
    except OSError as error:
        what, do = words.say("simulate.no_dir", dir=arguments.dir), words.say("simulate.no_dir_do")
        complain(what, do, arguments, words, detail=str(error))
        return FAILED
    except ConfigError as error:
        return _tell_problems(Path(error.path), arguments, words, text)
    except IdentityError as error:
        complain(words.say("simulate.bad_identity"), words.say("simulate.bad_identity_do", path=error.path),
                  arguments, words)  # fmt: skip
        return FAILED
    if device is None and arguments.code:
        found = _enrol_and_say(config, arguments.server, arguments.code, arguments, words)
        if isinstance(found, int):
            return found
        device = found
    box = words.say("simulate.box", device=device) if device else words.say("simulate.not_enrolled")
    if arguments.json:
        print_json({"config": str(config), "device": device})
    else:
        print_lines(
            [box, words.say("simulate.files", dir=config.parent), words.say("simulate.ask", config=config)]
        )
    sys.stdout.flush()
    from agent.app import run_agent  # noqa: PLC0415 - the whole agent

    return run_agent(config)


def _answers(at: Path) -> bool:
    """Whether an agent already runs on this socket; two would write the same files."""
    if not at.is_socket():
        return False
    try:
        ask(at, "/version")
    except AgentUnreachableError as error:
        return error.cause != "absent"
    return True


def _check_config(arguments: argparse.Namespace, words: Words) -> int:
    return _tell_problems(arguments.file, arguments, words)


def _tell_problems(path: Path, arguments: argparse.Namespace, words: Words, text: str | None = None) -> int:
    """Tell the mistakes of the file, or of the text that was to be written to it."""
    from agent.cli.check import check_file, check_text  # noqa: PLC0415 - pydantic

    language = words.language
    problems = check_file(path, language) if text is None else check_text(text, language)
    if arguments.json:
        print_json(_problems_as_json(path, problems))
    elif not problems:
        print_lines([words.say("check.good", file=path)])
    else:
        print_lines(_problem_lines(path, problems, words))
    return CONFIG if problems else OK


def _problems_as_json(path: Path, problems: Sequence[Problem]) -> dict[str, Any]:
    found = [{"key": one.key, "what": one.what, "do": one.do} for one in problems]
    return {"file": str(path), "ok": not problems, "problems": found}


def _problem_lines(path: Path, problems: Sequence[Problem], words: Words) -> list[str]:
    heading = "check.bad_one" if len(problems) == 1 else "check.bad"
    lines = [words.say(heading, file=path, count=len(problems))]
    for one in problems:
        lines += ["", f"  {one.key}", *wrap(one.what, words.width, "    ")]
        lines += wrap(words.say("status.do", do=one.do), words.width, "    ")
    return [str(clean(line)) for line in lines]
