from __future__ import annotations

from pathlib import Path

import pytest

from agent.app import main
from agent.app.main import EX_CONFIG, LAST_GOOD, AlreadyRunningError, _alone, run_agent
from agent.config import Config
from agent.errors import ConfigError

ZONE = '[[zones]]\nid = "main"\naudio = { kind = "simulated" }\n'


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, ConfigError | None]]:
    """What would have been run: box name and the mistake that is reported."""
    seen: list[tuple[str, ConfigError | None]] = []

    async def run(config: Config, mistake: ConfigError | None, path: Path) -> None:
        seen.append((config.box.name, mistake))

    monkeypatch.setattr(main, "_run", run)
    monkeypatch.setattr("agent.app.main.log.set_up", lambda level: None)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    return seen


def test_good_configuration_runs(tmp_path: Path, runs: list[tuple[str, ConfigError | None]]) -> None:
    (tmp_path / "c.toml").write_text('[box]\nname = "Thôn Một"\n' + ZONE, encoding="utf-8")
    assert run_agent(tmp_path / "c.toml") == 0
    assert runs == [("Thôn Một", None)]


def test_bad_push_falls_back_to_the_last_configuration_that_worked(
    tmp_path: Path, runs: list[tuple[str, ConfigError | None]]
) -> None:
    (tmp_path / LAST_GOOD).write_text('[box]\nname = "cũ"\n' + ZONE, encoding="utf-8")
    (tmp_path / "c.toml").write_text("[box]\nnmae = 1\n", encoding="utf-8")
    assert run_agent(tmp_path / "c.toml") == 0
    ((name, mistake),) = runs
    assert name == "cũ"
    assert mistake is not None
    assert "box.nmae" in str(mistake)


def test_bad_configuration_without_an_earlier_one_says_so_by_its_status(
    tmp_path: Path, runs: list[tuple[str, ConfigError | None]]
) -> None:
    (tmp_path / "c.toml").write_bytes(b"\xff\xfe")
    assert run_agent(tmp_path / "c.toml") == EX_CONFIG
    assert run_agent(tmp_path / "missing.toml") == EX_CONFIG
    (tmp_path / "empty.toml").touch()  # cut short by a full disk
    assert run_agent(tmp_path / "empty.toml") == EX_CONFIG
    assert runs == []


def test_second_agent_on_one_box_is_refused(tmp_path: Path) -> None:
    with _alone(tmp_path), pytest.raises(AlreadyRunningError, match="stop it first"), _alone(tmp_path):
        pass
    with _alone(tmp_path):  # and the first one let go
        pass
