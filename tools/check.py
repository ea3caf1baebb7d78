"""Runs the checks of the project and says how long each took: `python -m tools.check [--integration]`.

Without options: what must pass before every commit. Two lanes run side by side, because the type
checker uses one core. With `--integration`: contracts of the drivers, what needs a real broker, decoder and
database, and the slow tests; those run one after the other.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
NO_TESTS = 5  # pytest's exit status when a selection is empty


@dataclass(frozen=True)
class Step:
    """One tool to run; `empty_ok` accepts a test selection that holds nothing."""

    name: str
    command: tuple[str, ...]
    limit_s: float
    empty_ok: bool = False


def tool(name: str) -> str:
    return str(BIN / name)


PYTEST = (tool("python"), "-m", "pytest", "-q", "--no-header")
# More workers than cores: many tests wait for something to happen.
SPREAD = ("-n", "3", "--dist", "worksteal")

# These play sound in real time. A virtual machine may stand still for half a second and spoil one; a test
# that fails is tried twice more, and the sum says so.
AGAIN = ("--reruns", "2", "--reruns-delay", "2")

FAST: tuple[tuple[Step, ...], ...] = (
    (
        Step("format", (tool("ruff"), "format", "--check", "--quiet", "."), 60),
        Step("lint", (tool("ruff"), "check", "--quiet", "."), 60),
        Step("import rules", (tool("lint-imports"), "--no-logo"), 120),
        Step("types", (tool("mypy"),), 300),
    ),
    (
        Step(
            "unit tests",
            (*PYTEST, "tests/unit", *SPREAD, "-m", "not slow and not hardware"),
            600,
        ),
    ),
)

THOROUGH: tuple[tuple[Step, ...], ...] = (
    (
        Step(
            "contract tests of the drivers",
            (*PYTEST, "tests/contract", *SPREAD, *AGAIN, "-m", "not slow and not hardware"),
            900,
        ),
        Step(
            "slow unit and contract tests",
            (*PYTEST, "tests/unit", "tests/contract", *AGAIN, "-m", "slow and not hardware"),
            1200,
            empty_ok=True,
        ),
        Step(
            "integration tests",
            (*PYTEST, "tests/integration", *AGAIN, "-m", "not hardware", "--durations=5"),
            2700,
        ),
        Step(
            "scenarios on the simulated box",
            (*PYTEST, "tests/scenarios", *AGAIN, "-n", "2", "--durations=5"),
            1800,
        ),
    ),
)

BROWSER: tuple[tuple[Step, ...], ...] = ((Step("browser tests", (*PYTEST, "tests/browser", *AGAIN), 900),),)


class Report:
    """Prints one step at a time, whichever lane it ran in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.failed: list[str] = []

    def done(self, step: Step, seconds: float, *, good: bool, output: str) -> None:
        with self._lock:
            print(f"{'ok  ' if good else 'FAIL'} {seconds:6.1f} s  {step.name}", flush=True)
            if not good:
                self.failed.append(step.name)
                print(f"     {' '.join(step.command)}")
                print(output.rstrip(), flush=True)
            elif "pytest" in step.command:
                print("\n".join(line for line in output.splitlines()[-12:] if _worth(line)), flush=True)


def _worth(line: str) -> bool:
    """Whether a line of a passing test run is worth showing: skips with their reasons, and the sum."""
    return (
        line.startswith(("SKIPPED", "XFAIL"))
        or " passed" in line
        or "s call " in line
        or "no tests ran" in line
    )


def run(step: Step, report: Report) -> None:
    started = time.monotonic()
    try:
        done = subprocess.run(
            step.command,
            cwd=TOP,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=step.limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"").decode(errors="replace")
        output += f"\ngiven up after {step.limit_s:.0f} s"
        report.done(step, time.monotonic() - started, good=False, output=output)
        return
    good = done.returncode == 0 or (step.empty_ok and done.returncode == NO_TESTS)
    report.done(step, time.monotonic() - started, good=good, output=done.stdout.decode(errors="replace"))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--integration", action="store_true", help="the slow part of make test")
    parser.add_argument("--browser", action="store_true", help="pages in a real Chromium")
    asked = parser.parse_args()
    lanes = THOROUGH if asked.integration else BROWSER if asked.browser else FAST
    report = Report()
    started = time.monotonic()

    def lane(steps: tuple[Step, ...]) -> None:
        for step in steps:
            run(step, report)

    threads = [threading.Thread(target=lane, args=(steps,)) for steps in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total_s = time.monotonic() - started
    if report.failed:
        print(f"failed after {total_s:.0f} s: {', '.join(report.failed)}")
        return 1
    print(f"all good after {total_s:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
