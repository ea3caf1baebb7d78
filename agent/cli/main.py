"""`loa`: the one command on the box. Imports only what the chosen command needs, so that it answers at once.

Exit status: 0 done; 1 the agent or the server could not be used; 2 wrong usage; 78 wrong configuration.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli.client import DEFAULT_SOCKET, AgentUnreachableError, ask, find_socket
from agent.cli.language import argparse_speaks, pick_language
from agent.cli.words import Words, clean, wrap

if TYPE_CHECKING:
    from agent.cli.check import Problem

OK, FAILED, USAGE, CONFIG = 0, 1, 2, 78
INTERRUPTED = 130
DEFAULT_CONFIG = Path("/etc/tieng-lang/config.toml")
MAX_HOURS = 336.0
MAX_ENTRIES = 500
_WIDEST = 100

Command = Callable[[argparse.Namespace, Words], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a serial console without UTF-8 still shows the rest
    language = pick_language(argv, os.environ)
    words = Words(language, min(shutil.get_terminal_size((80, 24)).columns, _WIDEST))
    with argparse_speaks(language):
        try:
            arguments = _parser(words).parse_args(argv)
        except SystemExit as stop:  # argparse has said what is wrong, or shown the help
            return stop.code if isinstance(stop.code, int) else USAGE
    command: Command = arguments.run
    try:
        return command(arguments, words)
    except AgentUnreachableError as error:
        return _unreachable(error, arguments, words)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `loa status | head`: nobody reads on; keep the interpreter from flushing
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


# --- arguments -----------------------------------------------------------------------------------


def _parser(words: Words) -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--lang", choices=("vi", "en"), help=words.say("help.lang"), default=words.language)
    common.add_argument("--json", action="store_true", help=words.say("help.json"))
    asking = argparse.ArgumentParser(add_help=False)
    asking.add_argument("--socket", type=Path, metavar=words.say("help.FILE"), help=words.say("help.socket"))
    asking.add_argument(
        "--config", type=Path, metavar=words.say("help.FILE"), help=words.say("help.config_of")
    )

    parser = argparse.ArgumentParser(
        prog="loa", description=words.say("help.loa"), epilog=words.say("help.more"), allow_abbrev=False
    )
    parser.add_argument("--lang", choices=("vi", "en"), help=words.say("help.lang"), default=words.language)
    commands = parser.add_subparsers(metavar=words.say("help.COMMAND"), required=True)

    def add(name: str, run: Command, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        text = words.say(f"help.{name}")
        one = commands.add_parser(
            name, help=text, description=text, parents=[*parents, common], allow_abbrev=False
        )
        one.set_defaults(run=run)
        return one

    add("status", _status, asking)
    plan = add("plan", _plan, asking)
    plan.add_argument(
        "--hours",
        type=_within(float, 0, MAX_HOURS, words),
        default=24.0,
        metavar="N",
        help=words.say("help.hours"),
    )
    log = add("play-log", _play_log, asking)
    log.add_argument(
        "--limit",
        type=_within(int, 0, MAX_ENTRIES, words),
        default=20,
        metavar="N",
        help=words.say("help.limit"),
    )
    enrol = add("enrol", _enrol)
    enrol.add_argument("--server", required=True, metavar="URL", help=words.say("help.server"))
    enrol.add_argument("--code", required=True, metavar=words.say("help.CODE"), help=words.say("help.code"))
    enrol.add_argument(
        "--config",
        type=Path,
        default=DEFAULT_CONFIG,
        metavar=words.say("help.FILE"),
        help=words.say("help.config"),
    )
    check = add("check-config", _check_config)
    check.add_argument("file", type=Path, metavar=words.say("help.FILE"), help=words.say("help.checked"))
    run = add("run", _run)
    run.add_argument(
        "--config",
        type=Path,
        default=DEFAULT_CONFIG,
        metavar=words.say("help.FILE"),
        help=words.say("help.config"),
    )
    simulate = add("simulate", _simulate)
    simulate.add_argument(
        "--dir", type=Path, required=True, metavar=words.say("help.DIR"), help=words.say("help.dir")
    )
    simulate.add_argument("--server", metavar="URL", help=words.say("help.server"))
    simulate.add_argument("--code", metavar=words.say("help.CODE"), help=words.say("help.code"))
    simulate.add_argument("--listen", metavar=words.say("help.DEVICE"), help=words.say("help.listen"))
    add("version", _version)
    return parser


def _within(kind: type[int | float], above: float, most: float, words: Words) -> Callable[[str], int | float]:
    def parse(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(0)
        if not above < value <= most:
            raise argparse.ArgumentTypeError(words.say("help.within", value=text, most=words.number(most)))
        return value

    return parse


# --- commands ------------------------------------------------------------------------------------


def _status(arguments: argparse.Namespace, words: Words) -> int:
    from agent.cli.show import status_lines  # noqa: PLC0415 - only what the command needs

    return _show("/status", status_lines, arguments, words)


def _plan(arguments: argparse.Namespace, words: Words) -> int:
    from agent.cli.show import plan_lines  # noqa: PLC0415 - only what the command needs

    return _show(f"/plan?hours={arguments.hours:g}", plan_lines, arguments, words)


def _play_log(arguments: argparse.Namespace, words: Words) -> int:
    from agent.cli.show import play_log_lines  # noqa: PLC0415 - only what the command needs

    return _show(f"/play-log?limit={arguments.limit}", play_log_lines, arguments, words)


def _show(
    target: str,
    draw: Callable[[dict[str, Any], Words], list[str]],
    arguments: argparse.Namespace,
    words: Words,
) -> int:
    answer = ask(find_socket(arguments.socket, arguments.config), target)
    if arguments.json:
        _print_json(answer)
        return OK
    safe = clean(answer)
    _print_lines(draw(safe if isinstance(safe, dict) else {}, words))
    return OK


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
        _print_json(_problems_as_json(arguments.config, problems) | ({"next": after} if after else {}))
    elif problems:
        lines = [*_problem_lines(arguments.config, problems, words), "", *_wrapped(after, words)]
        print("\n".join(lines), file=sys.stderr, flush=True)


def _enrol(arguments: argparse.Namespace, words: Words) -> int:
    device = _enrol_and_say(arguments.config, arguments.server, arguments.code, arguments, words)
    if isinstance(device, int):
        return device
    if arguments.json:
        _print_json({"device": device})
    else:
        _print_lines([words.say("enrol.done", device=device), *_wrapped(words.say("enrol.next"), words)])
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
        _complain(what, words.say("enrol.failed_do"), arguments, words, detail=str(error))
        return FAILED


def _simulate(arguments: argparse.Namespace, words: Words) -> int:
    from agent.cli.enrolment import enrolled_as  # noqa: PLC0415 - HTTP client and pydantic
    from agent.cli.simulate import draft_config, save_config  # noqa: PLC0415 - only here
    from agent.config import SourceSection, parse_config  # noqa: PLC0415 - pydantic
    from agent.errors import ConfigError  # noqa: PLC0415 - only here
    from agent.source.identity import IdentityError  # noqa: PLC0415 - only here

    if bool(arguments.code) and not arguments.server:
        _complain(words.say("simulate.no_server"), words.say("simulate.no_server_do"), arguments, words)
        return USAGE
    try:
        SourceSection(url=arguments.server or "")
    except ValueError:  # pydantic's; its sentence is English
        what = words.say("simulate.bad_url", url=arguments.server)
        _complain(what, words.say("check.url.do"), arguments, words)
        return USAGE
    text = None
    try:
        config, text = draft_config(arguments.dir, arguments.server, arguments.listen)
        parsed = parse_config(text, str(config))
        device = enrolled_as(parsed)
        if _answers(parsed.box.runtime_dir / DEFAULT_SOCKET.name):
            _complain(words.say("simulate.running"), words.say("simulate.running_do"), arguments, words)
            return FAILED
        save_config(config, text)
    except OSError as error:
        what, do = words.say("simulate.no_dir", dir=arguments.dir), words.say("simulate.no_dir_do")
        _complain(what, do, arguments, words, detail=str(error))
        return FAILED
    except ConfigError as error:
        return _tell_problems(Path(error.path), arguments, words, text)
    except IdentityError as error:
        _complain(words.say("simulate.bad_identity"), words.say("simulate.bad_identity_do", path=error.path),
                  arguments, words)  # fmt: skip
        return FAILED
    if device is None and arguments.code:
        found = _enrol_and_say(config, arguments.server, arguments.code, arguments, words)
        if isinstance(found, int):
            return found
        device = found
    box = words.say("simulate.box", device=device) if device else words.say("simulate.not_enrolled")
    if arguments.json:
        _print_json({"config": str(config), "device": device})
    else:
        _print_lines(
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
        _print_json(_problems_as_json(path, problems))
    elif not problems:
        _print_lines([words.say("check.good", file=path)])
    else:
        _print_lines(_problem_lines(path, problems, words))
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


def _version(arguments: argparse.Namespace, _words: Words) -> int:
    from importlib.metadata import version  # noqa: PLC0415 - slow to import

    number = version("tieng-lang")
    if arguments.json:
        _print_json({"version": number})
    else:
        _print_lines([f"Tiếng Làng {number}"])
    return OK


# --- output --------------------------------------------------------------------------------------


def _unreachable(error: AgentUnreachableError, arguments: argparse.Namespace, words: Words) -> int:
    what = words.say(f"unreachable.{error.cause}.what", detail=clean(error.detail))
    _complain(what, words.say(f"unreachable.{error.cause}.do"), arguments, words, detail=error.detail)
    return FAILED


def _complain(what: str, do: str, arguments: argparse.Namespace, words: Words, *, detail: str = "") -> None:
    """Say what is wrong and what to do: to people on stderr, to programs as JSON on stdout."""
    if arguments.json:
        _print_json({"error": what, "do": do, "detail": detail})
        return
    for line in (*_wrapped(what, words), *_wrapped(words.say("status.do", do=do), words)):
        print(clean(line), file=sys.stderr)


def _wrapped(text: str, words: Words) -> list[str]:
    return wrap(text, words.width)


def _print_lines(lines: Sequence[str]) -> None:
    print("\n".join(lines), flush=True)


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2), flush=True)
