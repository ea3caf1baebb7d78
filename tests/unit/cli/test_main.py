"""The command line: exit status, languages, what it says when something is missing."""

from __future__ import annotations

import argparse
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from agent.cli import check, enrolment, setup
from agent.cli.client import AgentUnreachableError, find_socket
from agent.cli.language import argparse_speaks, pick_language
from agent.cli.main import main
from agent.cli.simulate import write_config
from agent.source.errors import SourceDownError, SourceRefusedError
from agent.source.identity import load_identity
from agent.wire.device_api import BrokerAddress, EnrolAnswer, Place
from agent.wire.device_api import EnrolRequest as _EnrolRequest

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOA_LANG", raising=False)
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(
        f"[box]\nname = 'Loa thôn Đông'\n"
        f"data_dir = '{tmp_path / 'data'}'\nruntime_dir = '{tmp_path / 'run'}'\n"
    )
    return path


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Configurations with which the agent was run, instead of running it."""
    runs: list[Path] = []

    def run_agent(path: Path) -> int:
        runs.append(path)
        return 7

    module = ModuleType("agent.app")
    module.run_agent = run_agent  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "agent.app", module)
    return runs


class FakeServer:
    """Stands in for `enrol`; remembers what was asked."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked: list[_EnrolRequest] = []
        self.language = ""

    async def enrol(
        self, url: str, code: str, name: str, *, hardware: str, version: str, language: str
    ) -> EnrolAnswer:
        self.language = language
        self.asked.append(_EnrolRequest(code=code, name=name, hardware=hardware, version=version))
        if self.error is not None:
            raise self.error
        return EnrolAnswer(
            device="box-00000001",
            secret="s" * 43,
            broker=BrokerAddress(host="loa.example.vn", port=8883, tls=True),
            place=Place(station="hoa-binh", province="ha-noi"),
            root="{}",
        )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    fake = FakeServer()
    monkeypatch.setattr(enrolment, "enrol", fake.enrol)
    return fake


ENROL = ("--server", "https://loa.example.vn", "--code", "ABCD-EFGH")

# --- language ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "environ", "expected"),
    [
        ([], {}, "vi"),
        ([], {"LOA_LANG": "en"}, "en"),
        ([], {"LOA_LANG": "en_GB.UTF-8"}, "en"),
        ([], {"LOA_LANG": "fr"}, "vi"),
        (["status", "--lang", "en"], {}, "en"),
        (["--lang=vi", "status"], {"LOA_LANG": "en"}, "vi"),
        (["status", "--lang"], {"LOA_LANG": "en"}, "en"),
    ],
)
def test_the_language_comes_from_the_line_then_the_environment(
    argv: list[str], environ: dict[str, str], expected: str
) -> None:
    assert pick_language(argv, environ) == expected


def test_help_is_vietnamese_by_default_and_english_on_request(capsys: Captured) -> None:
    assert main(["--help"]) == 0
    vietnamese = capsys.readouterr().out
    assert vietnamese.startswith("cách dùng: loa")
    for english in ("usage", "positional", "options:", "show this help"):
        assert english not in vietnamese
    assert main(["--lang", "en", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: loa")


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], "còn thiếu: LỆNH"),
        (["dance"], "không có lựa chọn 'dance'"),
        (["status", "--faster"], "không hiểu: --faster"),
        (["plan", "--hours"], "tham số --hours: phải kèm đúng một giá trị"),
        (["plan", "--hours", "400"], "“400” không dùng được; phải là số lớn hơn 0 và không quá 336"),
        (["plan", "--hours", "nan"], "“nan” không dùng được"),
        (["play-log", "--limit", "0"], "“0” không dùng được"),
        (["play-log", "--limit", "2.5"], "“2.5” không dùng được"),
        (["enrol", "--server", "https://x"], "còn thiếu: --code"),
        (["simulate"], "còn thiếu: --dir"),
        (["safety"], "còn thiếu: action"),
        (["safety", "sleep"], "không có lựa chọn 'sleep'"),
        (["safety", "stop", "--minutes", "241"], "“241” không dùng được"),
        (["pause", "--minutes", "0"], "“0” không dùng được"),
        (["volume", "main"], "còn thiếu: DB"),
        (["volume", "main", "7"], "“7” không dùng được; phải là số từ −40 đến 6"),
        (["volume", "main", "nan"], "“nan” không dùng được"),
        (["test", "horn"], "không có lựa chọn 'horn'"),
    ],
)
def test_wrong_usage_is_told_in_vietnamese_and_answers_2(
    argv: list[str], expected: str, capsys: Captured
) -> None:
    assert main(argv) == 2
    told = capsys.readouterr().err
    assert expected in told
    assert "error" not in told


def test_argparse_is_left_as_it_was() -> None:
    before = vars(argparse)["_"]
    with argparse_speaks("vi"):
        assert vars(argparse)["_"]("options") == "tùy chọn"
    assert vars(argparse)["_"] is before


# --- asking the agent ----------------------------------------------------------------------------


def test_a_box_that_does_not_run_answers_1_and_says_what_to_do(tmp_path: Path, capsys: Captured) -> None:
    assert main(["status", "--socket", str(tmp_path / "loa.sock")]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Chương trình của cụm loa không chạy" in captured.err
    assert "systemctl status tieng-lang-agent" in captured.err


def test_programs_get_the_problem_as_json(tmp_path: Path, capsys: Captured) -> None:
    assert main(["plan", "--json", "--lang", "en", "--socket", str(tmp_path / "loa.sock")]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["error"].startswith("The agent is not running")
    assert told["do"]


def test_the_socket_is_found_beside_a_configuration_with_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[box]\nruntime_dir = '/run/other'\nnam = 1\n")
    assert find_socket(None, path) == Path("/run/other/loa.sock")
    assert find_socket(Path("/x"), path) == Path("/x")
    assert find_socket(None, None) == Path("/run/tieng-lang/loa.sock")
    path.write_text("box = [")
    with pytest.raises(AgentUnreachableError, match="config"):
        find_socket(None, path)


def test_a_configuration_that_cannot_be_read_is_told(tmp_path: Path, capsys: Captured) -> None:
    assert main(["status", "--config", str(tmp_path / "absent.toml")]) == 1
    assert "Không đọc được tệp cấu hình" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("held", "expected"), [(b"\xff\xfe", "is not UTF-8"), (b"box = [", "not valid TOML")]
)
def test_a_configuration_that_is_no_text_or_no_toml_is_told_without_python_words(
    tmp_path: Path, capsys: Captured, held: bytes, expected: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(held)
    assert main(["status", "--lang", "en", "--config", str(path)]) == 1
    told = capsys.readouterr().err.replace("\n", " ")
    assert expected in told
    assert "codec" not in told


# --- enrolment -----------------------------------------------------------------------------------


def test_enrolment_keeps_the_identity_for_its_owner_only(
    config: Path, server: FakeServer, capsys: Captured
) -> None:
    assert main(["enrol", "--config", str(config), *ENROL]) == 0
    path = enrolment.identity_path(config)
    identity = load_identity(path)
    assert identity is not None
    assert (identity.device, identity.url) == ("box-00000001", "https://loa.example.vn")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (server.asked[0].code, server.asked[0].name) == ("ABCD-EFGH", "Loa thôn Đông")
    told = capsys.readouterr().out
    assert "box-00000001" in told
    assert "s" * 43 not in told


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_an_identity_made_by_root_belongs_to_the_owner_of_the_data(config: Path, server: FakeServer) -> None:
    data = enrolment.identity_path(config).parent
    data.mkdir()
    os.chown(data, 12345, 12346)
    assert main(["enrol", "--config", str(config), *ENROL]) == 0
    status = enrolment.identity_path(config).stat()
    assert (status.st_uid, status.st_gid) == (12345, 12346)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (SourceDownError("dns", "no such host"), "không tìm thấy tên máy chủ"),
        (SourceRefusedError("declined", "code expired"), "máy chủ không chấp nhận yêu cầu"),
        (SourceRefusedError("brand_new", "?"), "brand_new"),
    ],
)
def test_a_failed_enrolment_says_why_and_keeps_nothing(
    config: Path, server: FakeServer, capsys: Captured, error: Exception, expected: str
) -> None:
    server.error = error
    assert main(["enrol", "--config", str(config), *ENROL]) == 1
    assert expected in capsys.readouterr().err.replace("\n", " ")
    assert not enrolment.identity_path(config).exists()


def test_enrolment_with_a_broken_configuration_names_the_key(
    config: Path, server: FakeServer, capsys: Captured
) -> None:
    config.write_text("[box]\nnam = 'x'\n")
    assert main(["enrol", "--config", str(config), *ENROL]) == 78
    assert "box.nam" in capsys.readouterr().out
    assert server.asked == []


# --- run, simulate, check, version ---------------------------------------------------------------


def test_run_hands_the_configuration_to_the_agent_and_its_status_back(ran: list[Path]) -> None:
    assert main(["run", "--config", "/etc/x.toml"]) == 7
    assert ran == [Path("/etc/x.toml")]


BROKEN = "[playout]\nmax_dbfs = 5\n"


def test_run_tells_the_mistakes_like_check_config_and_still_hands_over(
    config: Path, ran: list[Path], capsys: Captured
) -> None:
    config.write_text(BROKEN)
    assert main(["run", "--config", str(config)]) == 7
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "playout.max_dbfs" in captured.err
    assert "từ -40 đến 0" in captured.err
    assert "cấu hình gần nhất còn dùng được" in captured.err.replace("\n", " ")
    assert main(["run", "--config", str(config), "--lang", "en"]) == 7
    assert "the last configuration that worked" in capsys.readouterr().err.replace("\n", " ")
    assert ran == [config, config]


def test_run_tells_programs_in_json(config: Path, ran: list[Path], capsys: Captured) -> None:
    assert main(["run", "--config", str(config), "--json"]) == 7
    assert json.loads(capsys.readouterr().out) == {"file": str(config), "ok": True, "problems": []}
    config.write_text(BROKEN)
    assert main(["run", "--config", str(config), "--json", "--lang", "en"]) == 7
    told = json.loads(capsys.readouterr().out)
    assert told["problems"][0]["do"] == "Choose a number from -40 to 0"
    assert "last configuration that worked" in told["next"]


def test_run_says_nothing_of_a_good_configuration(config: Path, ran: list[Path], capsys: Captured) -> None:
    assert main(["run", "--config", str(config)]) == 7
    assert capsys.readouterr() == ("", "")


def test_a_fault_in_telling_mistakes_does_not_keep_the_box_silent(
    config: Path, ran: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise KeyError("a kind of mistake nobody thought of")

    monkeypatch.setattr(check, "check_file", fails)
    assert main(["run", "--config", str(config)]) == 7
    assert ran == [config]


def test_one_mistake_is_one_mistake_in_english(config: Path, capsys: Captured) -> None:
    config.write_text(BROKEN)
    assert main(["check-config", str(config), "--lang", "en"]) == 78
    assert ": 1 mistake." in capsys.readouterr().out


@pytest.fixture
def simulated(tmp_path: Path) -> Path:
    """A simulated box that is there already, with something a person wrote."""
    path = write_config(tmp_path / "box", "http://one:1", None)
    path.write_text(path.read_text() + "# mine\n")
    return path


def test_simulate_leaves_a_running_box_as_it_is(
    simulated: Path, ran: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    before = simulated.read_bytes()
    monkeypatch.setattr(setup, "_answers", lambda _: True)
    assert main(["simulate", "--dir", str(simulated.parent), "--server", "http://two:2"]) == 1
    assert "đang chạy trong thư mục này" in capsys.readouterr().err
    assert simulated.read_bytes() == before
    assert ran == []


@pytest.mark.parametrize("url", ["foo bar", "ftp://x", "https://x/path"])
def test_simulate_refuses_a_wrong_address_before_it_writes(
    simulated: Path, ran: list[Path], capsys: Captured, url: str
) -> None:
    before = simulated.read_bytes()
    assert main(["simulate", "--dir", str(simulated.parent), "--server", url]) == 2
    assert "không đúng dạng" in capsys.readouterr().err
    assert simulated.read_bytes() == before
    absent = simulated.parent / "absent"
    assert main(["simulate", "--dir", str(absent), "--server", url]) == 2
    assert not absent.exists()
    assert ran == []


@pytest.mark.parametrize("held", [b"\xff\xfe", b"box = [", b'[box]\nnam = 1\n\n[source]\nurl = ""\n'])
def test_simulate_tells_the_mistakes_of_a_file_that_is_there_and_leaves_it(
    simulated: Path, ran: list[Path], capsys: Captured, held: bytes
) -> None:
    simulated.write_bytes(held)
    assert main(["simulate", "--dir", str(simulated.parent), "--server", "http://two:2"]) == 78
    assert "có 1 chỗ sai" in capsys.readouterr().out
    assert simulated.read_bytes() == held
    assert ran == []


def test_a_server_that_declines_is_asked_to_say_so_in_the_language_of_the_line(
    tmp_path: Path, server: FakeServer, ran: list[Path]
) -> None:
    assert main(["simulate", "--lang", "en", "--dir", str(tmp_path / "box"), *ENROL]) == 7
    assert server.language == "en"


def test_simulate_enrols_once_and_runs_the_agent(
    tmp_path: Path, server: FakeServer, ran: list[Path], capsys: Captured
) -> None:
    for _ in range(2):
        assert main(["simulate", "--dir", str(tmp_path / "box"), *ENROL]) == 7
    assert ran == [tmp_path / "box/config.toml"] * 2
    assert len(server.asked) == 1, "a code works once; a box that is enrolled must not spend another"
    assert "Cụm loa mô phỏng box-00000001" in capsys.readouterr().out


def test_simulate_runs_without_a_server(tmp_path: Path, ran: list[Path], capsys: Captured) -> None:
    assert main(["simulate", "--dir", str(tmp_path / "box")]) == 7
    assert "chưa ghép nối" in capsys.readouterr().out


def test_simulate_does_not_run_a_box_that_could_not_be_enrolled(
    tmp_path: Path, server: FakeServer, ran: list[Path]
) -> None:
    server.error = SourceRefusedError("declined", "used")
    assert main(["simulate", "--dir", str(tmp_path / "box"), *ENROL]) == 1
    assert ran == []


def test_simulate_asks_for_the_server_of_a_code(tmp_path: Path, ran: list[Path], capsys: Captured) -> None:
    assert main(["simulate", "--dir", str(tmp_path / "box"), "--code", "ABCD-EFGH"]) == 2
    assert "--server" in capsys.readouterr().err
    assert ran == []


def test_simulate_with_a_damaged_identity_names_the_file(
    tmp_path: Path, ran: list[Path], capsys: Captured
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/identity.json").write_text("{}")
    assert main(["simulate", "--dir", str(tmp_path)]) == 1
    assert "identity.json" in capsys.readouterr().err.replace("\n", "")
    assert ran == []


def test_simulate_on_a_path_that_is_a_file_is_told(tmp_path: Path, ran: list[Path], capsys: Captured) -> None:
    (tmp_path / "file").write_text("")
    assert main(["simulate", "--dir", str(tmp_path / "file")]) == 1
    told = capsys.readouterr().err
    assert "Không ghi được vào thư mục" in told
    assert "--dir" in told
    assert "Errno" not in told
    assert ran == []


def test_check_config_answers_0_or_78(config: Path, capsys: Captured) -> None:
    assert main(["check-config", str(config)]) == 0
    assert "dùng được" in capsys.readouterr().out
    config.write_text("[playout]\nmax_dbfs = 5\n")
    assert main(["check-config", str(config)]) == 78
    told = capsys.readouterr().out
    assert "playout.max_dbfs" in told
    assert "từ -40 đến 0" in told
    assert main(["check-config", str(config), "--json"]) == 78
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["problems"][0]["key"]) == (False, "playout.max_dbfs")


def test_version_is_told(capsys: Captured) -> None:
    assert main(["version", "--json"]) == 0
    number = json.loads(capsys.readouterr().out)["version"]
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"Tiếng Làng {number}\n"


@pytest.mark.parametrize("command", [["status"], ["why"], ["stop"], ["safety", "stop"], ["test", "tone"]])
def test_asking_the_box_does_not_load_the_agent(tmp_path: Path, command: list[str]) -> None:
    program = (
        "import sys; from agent.cli.main import main; status = main(sys.argv[1:]); "
        "print(status, *sorted({'pydantic', 'aiohttp', 'asyncio', 'vlc', 'agent.app'} & set(sys.modules)))"
    )
    line = [sys.executable, "-c", program, *command, "--socket", str(tmp_path / "loa.sock")]
    done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == "1\n"
