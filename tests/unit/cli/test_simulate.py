"""The configuration of a simulated box."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from agent.cli.check import check_file
from agent.cli.simulate import save_config, write_config
from agent.config import load_config


@pytest.mark.parametrize("name", ["box", "thôn Đông", 'quo"te', "back\\slash", "br{ace}"])
def test_the_configuration_is_one_the_agent_and_its_drivers_accept(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    path = write_config(folder, "http://127.0.0.1:8080", None)
    assert check_file(path, "vi") == []
    config = load_config(path)
    assert config.box.data_dir == folder / "data"
    assert config.box.runtime_dir == folder / "run"
    assert config.source.url == "http://127.0.0.1:8080"
    zone, board = config.zones[0], config.boards[0]
    assert (zone.id, zone.audio.kind, zone.amplifier.kind) == ("main", "simulated", "simulated")
    assert zone.line_sense is not None
    assert zone.audio.options == {"dir": str(folder), "listen": ""}
    assert (board.width_px, board.height_px) == (192, 64)


def test_a_simulated_box_has_everything_that_can_be_shown_on_one(tmp_path: Path) -> None:
    config = load_config(write_config(tmp_path, None, None))
    zone = config.zones[0]
    assert zone.microphone is not None
    assert zone.meter is not None
    assert (zone.meter.idle_amps, zone.meter.full_amps) == (0.25, 4.25)
    assert zone.spare_amplifier is None
    assert {one.id: one.options["file"] for one in config.inputs} == {
        "line": str(tmp_path / "line.wav"),
        "fm": str(tmp_path / "fm.wav"),
    }
    assert config.tuner is not None
    assert config.tuner.input == "fm"
    assert config.safety_button is not None


def test_a_relative_directory_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_config(write_config(Path("box"), None, None)).box.data_dir == tmp_path / "box/data"


def test_what_a_person_changed_is_kept_and_only_what_is_asked_for_is_changed(tmp_path: Path) -> None:
    path = write_config(tmp_path, "http://one:1", "default")
    path.write_text(path.read_text().replace("192", "128") + "# mine\n")
    write_config(tmp_path, None, None)
    config = load_config(path)
    assert (config.source.url, config.boards[0].width_px) == ("http://one:1", 128)
    write_config(tmp_path, "http://two:2", "plughw:1")
    config = load_config(path)
    assert (config.source.url, config.boards[0].width_px) == ("http://two:2", 128)
    assert config.zones[0].audio.options["listen"] == "plughw:1"
    assert path.read_text().endswith("# mine\n")


def test_saving_leaves_one_whole_file_with_its_mode_and_its_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "box/config.toml"
    real.write_text("old")
    real.chmod(0o640)
    link.parent.mkdir()
    link.symlink_to(real)
    save_config(link, "new")
    assert link.is_symlink()
    assert (real.read_text(), stat.S_IMODE(real.stat().st_mode)) == ("new", 0o640)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["box", "real.toml"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.toml"
    path.write_text("old")

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        save_config(path, "new")
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["config.toml"]
