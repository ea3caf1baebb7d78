"""Speech with the real espeak-ng and a real media store."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
import wave
from pathlib import Path

import pytest

from agent.clock import Clock
from agent.config import SpeechSection
from agent.content.store import MediaDiskError, MediaStore
from agent.model.issue import Fault
from agent.speech.engine import CommandEngine, EspeakEngine, NoEngine, SpeechEngine, engine_of, run_bounded
from agent.speech.errors import SpeechError, SpeechFailure
from agent.speech.library import MessageLibrary
from agent.speech.service import Speech
from agent.wire.orders import EmergencyEvent
from tests.support.clock import FakeClock
from tests.unit.speech.doubles import Issues, until

TEXT = "UBND xã thông báo: gió mạnh cấp 8-9, bà con sơ tán trước 17h30 ngày 12/9."


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    made = MediaStore(tmp_path / "content")
    made.scan()
    return made


@pytest.fixture
def issues() -> Issues:
    return Issues()


def speech_of(store: MediaStore, issues: Issues, engine: SpeechEngine, clock: Clock | None = None) -> Speech:
    return Speech(
        engine=engine,
        adopt=store.take_in,
        held=store.has,
        folder=store.folder / "speech",
        clock=clock or FakeClock(),
        issues=issues,
    )


def loudness_lufs(path: Path) -> float:
    command = ("ffmpeg", "-hide_banner", "-nostats", "-i", str(path), "-af", "ebur128", "-f", "null", "-")
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stderr
    return float(re.findall(r"I:\s+(-?[0-9.]+) LUFS", said)[-1])


@pytest.mark.parametrize(
    ("text", "language"), [(TEXT * 3, "vi"), ("The water is rising fast. Leave now. " * 6, "en")]
)
async def test_spoken_text_is_a_whole_file_of_station_loudness(
    store: MediaStore, issues: Issues, text: str, language: str
) -> None:
    media = await speech_of(store, issues, EspeakEngine()).render(text, language)
    path = store.path(media.sha256)
    assert path is not None
    assert path.stat().st_size == media.size_bytes
    assert await store.verify(media.sha256, again=True)
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        assert file.getnframes() * 1000 // file.getframerate() == media.duration_ms > 5_000
    assert loudness_lufs(path) == pytest.approx(-16, abs=1.5)
    again = MediaStore(store.folder)
    again.scan()
    assert again.has(media.sha256)
    assert issues.open == {}


async def test_every_built_in_message_can_be_spoken(store: MediaStore, issues: Issues) -> None:
    clock = FakeClock()
    library = MessageLibrary(
        speech=speech_of(store, issues, EspeakEngine(), clock),
        held=store.has,
        events=[event.value for event in EmergencyEvent],
        clock=clock,
    )
    library.set_languages(("vi", "en"))
    async with asyncio.TaskGroup() as group, asyncio.timeout(50):
        task = group.create_task(library.run())
        while library.missing:
            await clock.pass_(0.2)
            await asyncio.sleep(0.01)
        task.cancel()
    for event in EmergencyEvent:
        for language in ("vi", "en"):
            media = library.staged(event, language)
            assert media is not None
            assert store.has(media.sha256)
            assert 8_000 < media.duration_ms < 60_000
    assert library.pinned() == store.held.keys()


async def test_hostile_text_is_only_text(store: MediaStore, issues: Issues, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    text = f"--version -w {marker} $(touch {marker}) `touch {marker}` ; touch {marker} <audio src='/etc/passwd'/> \x00 xong"
    media = await speech_of(store, issues, EspeakEngine()).render(text, "vi")
    assert store.has(media.sha256)
    assert not marker.exists()


async def test_100_kb_of_text_are_cut(store: MediaStore, issues: Issues) -> None:
    media = await speech_of(store, issues, EspeakEngine()).render("Nước lũ đang lên. " * 6_000, "vi")
    assert media.duration_ms < 10 * 60_000


async def test_a_language_without_a_voice_is_refused(store: MediaStore, issues: Issues) -> None:
    with pytest.raises(SpeechError) as refused:
        await speech_of(store, issues, EspeakEngine()).render("ទឹកជំនន់", "km")
    assert refused.value.failure is SpeechFailure.UNSUPPORTED
    assert (Fault.SPEECH_UNAVAILABLE, "km") in issues.open


async def test_the_configured_voice_speaks_its_own_language_only(tmp_path: Path) -> None:
    south = EspeakEngine("vi-vn-x-south", 180)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "c").mkdir()
    said = await south.speak("xin chào bà con", "vi", tmp_path / "a")
    other = await EspeakEngine().speak("xin chào bà con", "vi", tmp_path / "b")
    assert said.read_bytes() != other.read_bytes()
    assert (await south.speak("good morning", "en", tmp_path / "c")).stat().st_size > 1_000
    assert south.key != EspeakEngine().key


async def test_a_voice_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpeechError, match="ended with status") as failed:
        await EspeakEngine("xx").speak("xin chào", "xx", tmp_path)
    assert failed.value.failure is SpeechFailure.FAILED


SPEAKER = """
import sys, shutil
text = open(sys.argv[1], encoding="utf-8").read()
assert sys.argv[3] == "vi", sys.argv
assert text == "Ủy ban nhân dân xã", text
shutil.copy(sys.argv[4], sys.argv[2])
"""


async def test_another_engine_by_command(store: MediaStore, issues: Issues, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    sample = await EspeakEngine().speak("xin chào", "vi", tmp_path / "work")
    section = SpeechSection(
        engine="command",
        command=(sys.executable, "-I", "-c", SPEAKER, "{text_file}", "{wav_file}", "{language}", str(sample)),
    )
    media = await speech_of(store, issues, engine_of(section)).render("UBND xã", "vi")
    assert store.has(media.sha256)


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import sys; sys.exit('không có giọng')", "status 1: 'không có giọng"),
        ("pass", "no file"),
        ("import sys; open(sys.argv[1], 'w').write('<html>')", "no WAV"),
        ("import sys; open(sys.argv[1], 'wb').truncate(1 << 40)", "status"),
    ],
)
async def test_an_engine_that_fails_is_told(
    store: MediaStore, issues: Issues, program: str, why: str
) -> None:
    engine = CommandEngine((sys.executable, "-I", "-c", program, "{wav_file}"))
    with pytest.raises(SpeechError, match=re.escape(why)) as failed:
        await speech_of(store, issues, engine).render("xin chào", "vi")
    assert failed.value.failure is SpeechFailure.FAILED
    assert why in issues.open[Fault.SPEECH_UNAVAILABLE, ""]
    assert list((store.folder / "speech").glob("work-*")) == []


@pytest.mark.parametrize(
    "engine", [NoEngine(), CommandEngine(("khong-co-chuong-trinh-nay", "{wav_file}"))], ids=["none", "absent"]
)
async def test_no_engine_is_a_state(store: MediaStore, issues: Issues, engine: SpeechEngine) -> None:
    with pytest.raises(SpeechError) as refused:
        await speech_of(store, issues, engine).render("xin chào", "vi")
    assert refused.value.failure is SpeechFailure.UNAVAILABLE
    assert (Fault.SPEECH_UNAVAILABLE, "") in issues.open


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


HANGS = "import os, subprocess, sys, time; c = subprocess.Popen(['sleep', '60']); open('pids', 'w').write(f'{os.getpid()} {c.pid} {os.nice(0)} '); time.sleep(60)"


async def test_a_hanging_engine_is_killed_with_its_children(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(SpeechError, match="took longer than 2 s"):
        await run_bounded((sys.executable, "-I", "-c", HANGS), b"x", tmp_path, limit_s=2)
    assert time.monotonic() - began < 20
    parent, child, nice = map(int, (tmp_path / "pids").read_text().split())
    await until(lambda: not _alive(parent) and not _alive(child))
    assert nice >= 10


async def test_a_cancelled_render_kills_the_engine(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run_bounded((sys.executable, "-I", "-c", HANGS), b"", tmp_path, limit_s=60))
        pids = tmp_path / "pids"
        await until(lambda: pids.exists() and pids.read_text().endswith(" "))
        task.cancel()
    assert task.cancelled()
    parent, child, _ = map(int, pids.read_text().split())
    await until(lambda: not _alive(parent) and not _alive(child))


async def test_a_file_taken_in_is_whole_named_by_its_hash_and_readable_by_the_group(
    store: MediaStore,
) -> None:
    path = store.folder / "made.wav"
    path.write_bytes(b"sound" * 1_000)
    path.chmod(0o600)
    before = store.changes.value
    sha256, size_bytes = await store.take_in(path)
    assert (size_bytes, path.exists()) == (5_000, False)
    held = store.path(sha256)
    assert held is not None
    assert held.read_bytes() == b"sound" * 1_000
    assert held.stat().st_mode & 0o777 == 0o640
    assert store.changes.value > before
    assert store.used_bytes == 5_000
    assert list((store.folder / "partial").iterdir()) == []


async def test_a_file_that_is_not_there_is_not_taken_in(store: MediaStore) -> None:
    with pytest.raises(MediaDiskError):
        await store.take_in(store.folder / "missing.wav")
    assert store.held == {}
