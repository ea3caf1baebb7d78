from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path

import pytest

from agent.errors import StorageFullError
from agent.model.issue import Fault
from agent.speech.cache import SpokenIndex
from agent.speech.errors import SpeechError, SpeechFailure
from agent.speech.service import PINNED, Speech
from tests.support.clock import FakeClock
from tests.unit.speech.doubles import Engine, Issues, Shelf, until


class Bench:
    """A speech service with doubles around it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "speech"
        self.engine, self.shelf, self.issues = Engine(), Shelf(), Issues()
        self.speech = self.started()

    def started(self) -> Speech:
        return Speech(
            engine=self.engine,
            adopt=self.shelf.adopt,
            held=self.shelf.held,
            folder=self.folder,
            clock=FakeClock(),
            issues=self.issues,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_a_text_is_normalised_spoken_once_and_remembered_across_restarts(bench: Bench) -> None:
    media = await bench.speech.render("UBND xã họp lúc 17h", "vi")
    assert bench.engine.spoken == [("Ủy ban nhân dân xã họp lúc mười bảy giờ", "vi")]
    assert media.is_file
    assert len(bench.shelf.files[media.sha256]) == media.size_bytes
    assert media.duration_ms == pytest.approx(239, abs=2)
    assert await bench.speech.render("UBND xã họp lúc 17:00", "vi") == media
    assert await bench.started().render("UBND xã họp lúc 17h", "vi") == media
    assert len(bench.engine.spoken) == 1
    assert list(bench.folder.glob("work-*")) == []


async def test_other_words_language_or_voice_are_spoken_anew(bench: Bench) -> None:
    await bench.speech.render("xin chào", "vi")
    await bench.speech.render("xin chào bà con", "vi")
    await bench.speech.render("xin chào", "vi-VN")
    bench.engine.key = "another voice"
    await bench.speech.render("xin chào", "vi")
    assert len(bench.engine.spoken) == 4


async def test_a_file_that_vanished_is_made_again(bench: Bench) -> None:
    media = await bench.speech.render("lũ lên", "vi")
    bench.shelf.files.clear()
    assert await bench.speech.render("lũ lên", "vi") == media
    assert bench.shelf.held(media.sha256)
    assert len(bench.engine.spoken) == 2


async def test_many_who_want_the_same_text_wait_for_one_render(bench: Bench) -> None:
    bench.engine.gate.clear()
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(bench.speech.render("lũ lên", "vi")) for _ in range(10)]
        others = [group.create_task(bench.speech.render(f"thôn {number}", "vi")) for number in range(5)]
        await until(lambda: bench.engine.running == 2)
        bench.engine.gate.set()
    assert len({task.result().sha256 for task in asked}) == 1
    assert len({task.result().sha256 for task in others}) == 5
    assert len(bench.engine.spoken) == 6
    assert bench.engine.most == 2


async def test_whoever_waits_goes_on_when_the_first_is_cancelled(bench: Bench) -> None:
    bench.engine.gate.clear()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(bench.speech.render("lũ lên", "vi"))
        await until(lambda: bench.engine.running == 1)
        second = group.create_task(bench.speech.render("lũ lên", "vi"))
        await asyncio.sleep(0.05)
        first.cancel()
        await until(lambda: len(bench.engine.spoken) == 2)
        bench.engine.gate.set()
    assert first.cancelled()
    assert bench.shelf.held(second.result().sha256)


async def test_a_broken_engine_is_an_issue_until_it_speaks_again(bench: Bench) -> None:
    bench.engine.error = SpeechError(SpeechFailure.UNAVAILABLE, "espeak-ng is not installed")
    with pytest.raises(SpeechError):
        await bench.speech.render("lũ lên", "vi")
    assert bench.issues.open == {(Fault.SPEECH_UNAVAILABLE, ""): "espeak-ng is not installed"}
    bench.engine.error = None
    await bench.speech.render("lũ lên", "vi")
    assert bench.issues.open == {}


async def test_a_language_without_a_voice_is_an_issue_of_its_own(bench: Bench) -> None:
    with pytest.raises(SpeechError) as refused:
        await bench.speech.render("ទឹកជំនន់", "km")
    assert refused.value.failure is SpeechFailure.UNSUPPORTED
    await bench.speech.render("lũ lên", "vi")
    assert bench.issues.open.keys() == {(Fault.SPEECH_UNAVAILABLE, "km")}


@pytest.mark.parametrize("text", ["", " \u200b", "⚠️ !!!"])
async def test_nothing_to_say_is_the_fault_of_the_text(bench: Bench, text: str) -> None:
    with pytest.raises(SpeechError) as refused:
        await bench.speech.render(text, "vi")
    assert refused.value.failure is SpeechFailure.EMPTY
    assert bench.issues.open == {}
    assert bench.engine.spoken == []


async def test_a_full_disk_is_told(bench: Bench) -> None:
    bench.shelf.error = StorageFullError("the disk is full")
    with pytest.raises(SpeechError) as refused:
        await bench.speech.render("lũ lên", "vi")
    assert refused.value.failure is SpeechFailure.STORAGE
    assert (Fault.SPEECH_UNAVAILABLE, "") in bench.issues.open


async def test_a_folder_that_cannot_be_made_is_told_and_tried_again(bench: Bench) -> None:
    bench.folder.write_text("in the way")
    with pytest.raises(SpeechError):
        await bench.speech.render("lũ lên", "vi")
    bench.folder.unlink()
    assert (await bench.speech.render("lũ lên", "vi")).is_file


@pytest.mark.parametrize(
    "damage", ["", "[]", "{", '{"a": 1}', '{"a": ["../../x", 1, 1]}', '{"a": [1, 2]}', "\xff"]
)
async def test_a_damaged_index_costs_a_render(bench: Bench, damage: str) -> None:
    bench.folder.mkdir()
    (bench.folder / "index.json").write_text(damage, encoding="latin-1")
    media = await bench.speech.render("lũ lên", "vi")
    assert [row[0] for row in json.loads((bench.folder / "index.json").read_text()).values()] == [
        media.sha256
    ]


async def test_what_a_killed_run_left_is_removed(bench: Bench) -> None:
    left = bench.folder / "work-abc"
    left.mkdir(parents=True)
    (left / "spoken.wav").write_bytes(b"x")
    await bench.speech.render("lũ lên", "vi")
    assert not left.exists()


async def test_words_of_the_commune_are_used_and_wrong_ones_ignored(bench: Bench) -> None:
    bench.folder.mkdir()
    (bench.folder / "words-vi.toml").write_text('[abbreviations]\nBT = "bến tàu"\n', encoding="utf-8")
    (bench.folder / "words-en.toml").write_text("[abbreviations]\nBT = 1\n")
    await bench.speech.render("tại BT", "vi")
    await bench.speech.render("at BT", "en")
    assert bench.engine.spoken == [("tại bến tàu", "vi"), ("at BT", "en")]


async def test_the_last_ones_asked_for_are_pinned(bench: Bench) -> None:
    made = [await bench.speech.render(f"thôn {number} sơ tán", "vi") for number in range(PINNED + 3)]
    assert bench.speech.pinned() == {one.sha256 for one in made[3:]}


def test_the_index_is_bounded_and_forgets_what_was_not_asked_for(tmp_path: Path) -> None:
    index = SpokenIndex(tmp_path / "index.json", most=3)
    from agent.model.bulletin import Media

    for number in range(4):
        index.put(str(number), Media(f"{number:064x}", 1, 1, 0.0, ""))
        index.get("0")
    assert index.get("1") is None
    assert index.get("0") is not None
    index.save(index.snapshot())
    again = SpokenIndex(tmp_path / "index.json", most=2)
    again.load()
    assert len(again) == 2


async def test_hanging_name_lookups_do_not_hold_a_warning_back(bench: Bench) -> None:
    go_on = threading.Event()
    loop = asyncio.get_running_loop()
    stuck = [loop.run_in_executor(None, go_on.wait, 20) for _ in range(40)]
    try:
        async with asyncio.timeout(10):
            assert (await bench.speech.render("lũ lên", "vi")).is_file
        assert not any(one.done() for one in stuck)
    finally:
        go_on.set()
        await asyncio.gather(*stuck)


async def test_whatever_a_cut_off_run_left_is_removed(bench: Bench) -> None:
    (bench.folder / "work-abc" / "tmp").mkdir(parents=True)
    (bench.folder / "work-abc" / "tmp" / "said.wav").write_bytes(b"x")
    (bench.folder / "work-file").write_bytes(b"x")
    (bench.folder / "work-link").symlink_to(bench.folder)
    assert (await bench.speech.render("lũ lên", "vi")).is_file
    assert list(bench.folder.glob("work-*")) == []
