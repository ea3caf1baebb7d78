"""Units, users and directories: what systemd itself says of them, and whether they agree with the program."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.config import BoxSection

TOP = Path(__file__).resolve().parents[2]
UNITS = sorted((TOP / "systemd").glob("*.service"))
BIN = "/opt/tieng-lang/bin/"


def needs(tool: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed here")


def settings(unit: Path) -> dict[str, list[str]]:
    """Every `Key=value` of a unit file; keys given twice hold both values."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([A-Za-z]+)=(.*)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


@pytest.fixture(params=UNITS, ids=lambda unit: unit.stem)
def unit(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_there_is_a_unit_for_the_agent_and_one_for_the_server() -> None:
    assert [unit.stem for unit in UNITS] == ["tieng-lang-agent", "tieng-lang-server"]


@needs("systemd-analyze")
def test_systemd_finds_no_fault_in_the_unit(unit: Path, tmp_path: Path) -> None:
    installed = tmp_path / unit.name
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text, replaced = re.subn(rf"{BIN}loa(-server)?\b", str(program), unit.read_text(encoding="utf-8"))
    assert replaced == 1
    installed.write_text(text, encoding="utf-8")
    done = run("systemd-analyze", "verify", "--man=no", str(installed))
    complaints = [line for line in done.stderr.splitlines() if unit.name in line or unit.stem in line]
    assert complaints == []


@needs("systemd-analyze")
def test_unit_is_hardened(unit: Path) -> None:
    """Exposure by systemd's count, in tenths. The agent's would be below 2 if it did not read adjtimex(2)."""
    most = {"tieng-lang-agent": 21, "tieng-lang-server": 13}[unit.stem]
    done = run(
        "systemd-analyze", "security", "--offline=true", f"--threshold={most}", "--no-pager", str(unit)
    )
    assert done.returncode == 0, done.stdout[-200:]


def test_unit_is_restarted_and_speaks_to_systemd(unit: Path) -> None:
    given = settings(unit)
    assert given["Type"] == ["notify"]
    assert given["Restart"] == ["always"]
    assert given["ProtectSystem"] == ["strict"]
    assert given["TimeoutStopSec"] == ["20" if unit.stem == "tieng-lang-agent" else "10"]
    assert given["ExecStart"][0].startswith(BIN)


def test_agent_may_write_exactly_where_its_configuration_says() -> None:
    given = settings(TOP / "systemd" / "tieng-lang-agent.service")
    box = BoxSection()
    assert [f"/var/lib/{name}" for name in given["StateDirectory"]] == [str(box.data_dir)]
    assert [f"/run/{name}" for name in given["RuntimeDirectory"]] == [str(box.runtime_dir)]
    assert given["WatchdogSec"] == ["30"]


@needs("systemd-sysusers")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes users, even in a directory")
def test_users_and_directories_of_the_units_are_declared(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    users = run(
        "systemd-sysusers", f"--root={tmp_path}", str(TOP / "systemd" / "sysusers.d" / "tieng-lang.conf")
    )
    assert users.returncode == 0, users.stderr
    passwd = (tmp_path / "etc" / "passwd").read_text()
    group = (tmp_path / "etc" / "group").read_text()
    for unit in UNITS:
        given = settings(unit)
        assert f"\n{given['User'][0]}:" in f"\n{passwd}"
        assert f"\n{given['Group'][0]}:" in f"\n{group}"
    for name in ("audio", "dialout", "gpio", "i2c", "spi", "video"):
        assert re.search(rf"^{name}:.*:tieng-lang$", group, re.MULTILINE), name
    if shutil.which("systemd-tmpfiles") is None:
        pytest.skip("systemd-tmpfiles is not installed here; users were checked")
    conf = str(TOP / "systemd" / "tmpfiles.d" / "tieng-lang.conf")
    made = run("systemd-tmpfiles", "--create", f"--root={tmp_path}", conf)
    assert made.returncode == 0, made.stderr
    gid = next(line.split(":")[2] for line in group.splitlines() if line.startswith("tieng-lang:"))
    status = (tmp_path / "etc" / "tieng-lang").stat()
    assert (status.st_mode & 0o7777, status.st_uid, str(status.st_gid)) == (0o750, 0, gid)


_ASK_THE_RULE = """
let rule;
const polkit = {addRule: (one) => { rule = one; }, Result: {YES: "yes", NOT_HANDLED: "no"}};
eval(require("fs").readFileSync(process.argv[1], "utf8"));
const ask = (id, user) => rule({id: "org.freedesktop.login1." + id}, {user});
console.log(
  ["reboot", "reboot-multiple-sessions", "power-off"].map((id) => ask(id, "tieng-lang")).join(),
  ask("reboot", "pi"),
);
"""


@needs("node")
def test_agent_may_ask_for_a_plain_reboot_and_nothing_else() -> None:
    user = settings(TOP / "systemd" / "tieng-lang-agent.service")["User"]
    assert user == ["tieng-lang"]
    done = run("node", "-e", _ASK_THE_RULE, str(TOP / "systemd" / "polkit" / "50-tieng-lang.rules"))
    assert done.stdout.split() == ["yes,no,no", "no"], done.stderr


_UNDER_THE_LOCK = """
import ctypes, errno, sys
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1  # linux/prctl.h, from 6.3 on
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0):
    sys.exit(77)
import vlc
instance = vlc.Instance(["--no-video", "--quiet"])
called = []
kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
order = kind(lambda a, b: called.append(1) or 0)
array = (ctypes.c_int * 3)(3, 1, 2)
libc.qsort(array, 3, 4, order)
sys.exit(0 if instance is not None and called else 1)
"""


def test_libvlc_and_its_callbacks_work_without_writable_executable_memory() -> None:
    """The agent's unit sets MemoryDenyWriteExecute; libvlc hands samples over by calling back into Python."""
    pytest.importorskip("vlc")
    assert settings(TOP / "systemd" / "tieng-lang-agent.service")["MemoryDenyWriteExecute"] == ["yes"]
    done = run(sys.executable, "-c", _UNDER_THE_LOCK)
    if done.returncode == 77:
        pytest.skip("this kernel cannot deny writable executable memory to a process")
    assert done.returncode == 0, done.stderr
