"""What the simulated card owes beyond the contract, and what the worker process owes when things go wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import time
import wave
from pathlib import Path

import pytest

from drivers.amplifier.simulated import SimulatedAmplifier
from drivers.api import Audio, CueStarted, DeviceUnavailableError, EndReason, ItemFailed, ItemStarted
from drivers.audio.driver import SimulatedAudio
from drivers.sensor.simulated import SimulatedLineSense
from tests.contract.sound import MS, RATE, convert, hearing, item, listen, rms, soon, tone, write_flac

pytestmark = pytest.mark.slow  # sound takes its time


def driver(box: Path, **options: object) -> SimulatedAudio:
    return SimulatedAudio.from_options("horn", {"dir": str(box), **options})


def pid_of(audio: Audio) -> int:
    pid = audio.pid  # type: ignore[attr-defined]
    assert isinstance(pid, int)
    return pid


def break_it(box: Path, **faults: bool) -> None:
    box.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{name} = {str(value).lower()}\n" for name, value in faults.items())
    temporary = box / "faults.toml.new"
    temporary.write_text(text)
    temporary.replace(box / "faults.toml")


async def test_cues_start_at_their_moment(tmp_path: Path, media: Path) -> None:
    box = tmp_path / "box"
    wanted = []
    async with driver(box).open() as audio, hearing(audio) as ear:
        for number in range(12):
            at_ns = soon(300)
            wanted.append(at_ns)
            await audio.cue(number, (item(media / "tone.flac", duration_ms=200),), at_ns, fade_in_ms=0)
            await ear.ended(number)
    heard = listen(box)
    errors = [abs(heard.first_sound(at_ns - 40 * MS) - at_ns) / MS for at_ns in wanted]
    assert max(errors) <= 30
    assert statistics.median(errors) <= 2


async def test_a_late_cue_joins_where_the_clock_says(tmp_path: Path, media: Path) -> None:
    box = tmp_path / "box"
    async with driver(box).open() as audio, hearing(audio) as ear:
        at_ns = time.monotonic_ns() - 1500 * MS
        items = (item(media / "tone.flac", duration_ms=200), item(media / "stairs.flac", duration_ms=3000))
        await audio.cue(1, items, at_ns, fade_in_ms=0)
        ended = await ear.ended(1)
    assert abs(ended.at_ns - at_ns - 3200 * MS) < 3 * MS
    assert [started.index for started in ear.of(ItemStarted)] == [1]
    assert ear.of(ItemStarted)[0].at_ns >= ear.of(CueStarted)[0].at_ns > at_ns + 1500 * MS
    heard = listen(box)
    probe_ns = at_ns + 2500 * MS
    expected = round((probe_ns - at_ns - 200 * MS) * RATE / 1e9)
    sample = heard.samples[heard.index(probe_ns)]
    assert abs((sample + 14000) // 3 - expected % 9973) <= 48


async def test_the_file_is_one_time_line_over_several_workers(tmp_path: Path, media: Path) -> None:
    box = tmp_path / "box"
    moments = []
    first_ns = 0
    for number in (1, 2):
        async with driver(box).open() as audio, hearing(audio) as ear:
            moments.append(soon(300))
            await audio.cue(number, (item(media / "tone.flac", duration_ms=200),), moments[-1], fade_in_ms=0)
            await ear.ended(number)
        first_ns = first_ns or listen(box).first_ns
    heard = listen(box)
    assert heard.first_ns == first_ns
    for at_ns in moments:
        assert abs(heard.first_sound(at_ns - 40 * MS) - at_ns) < 5 * MS
    between = heard.samples[heard.index(moments[0] + 210 * MS) : heard.index(moments[1] - 10 * MS)]
    assert not any(between)


async def test_the_file_reaches_now_on_probe_and_stays_valid_while_sounding(
    tmp_path: Path, media: Path
) -> None:
    box = tmp_path / "box"
    async with driver(box).open() as audio, hearing(audio) as ear:
        await audio.cue(1, (item(media / "long.flac", duration_ms=4000),), soon(250))
        await ear.started(1)
        await asyncio.sleep(0.5)
        heard = listen(box)
        behind_ms = (time.monotonic_ns() - heard.ns(len(heard.samples))) / MS
        assert behind_ms < 300
        assert rms(heard.samples[-2400:]) > 5000
        await audio.stop(1)
        await ear.ended(1)
        await asyncio.sleep(0.8)
        await audio.probe()
        heard = listen(box)
        assert abs(time.monotonic_ns() - heard.ns(len(heard.samples))) < 150 * MS


async def test_other_zones_have_their_own_file(tmp_path: Path, media: Path) -> None:
    box = tmp_path / "box"
    async with driver(box, zone="market").open() as audio, hearing(audio) as ear:
        at_ns = soon(250)
        await audio.cue(1, (item(media / "tone.flac"),), at_ns)
        await ear.ended(1)
    assert listen(box, "speaker-market").first_sound(at_ns - 20 * MS) > 0
    assert not (box / "speaker.wav").exists()


async def test_the_speaker_is_silent_while_the_amplifier_is_off_or_muted(tmp_path: Path, media: Path) -> None:
    box = tmp_path / "box"
    amplifier = SimulatedAmplifier.from_options("amp", {"dir": str(box), "warm_up_ms": 100})
    sense = SimulatedLineSense.from_options("line", {"dir": str(box)})
    edges = []
    async with (
        amplifier.open() as amp,
        sense.open() as line,
        driver(box).open() as audio,
        hearing(audio) as ear,
    ):
        at_ns = soon(300)
        await audio.cue(1, (item(media / "long.flac", duration_ms=4000),), at_ns)
        await ear.started(1)
        await asyncio.sleep(0.3)
        assert not (await line.read()).active
        await amp.set_power(on=True)
        await asyncio.sleep(0.2)
        edges.append(time.monotonic_ns())
        await amp.set_mute(muted=False)
        await asyncio.sleep(0.4)
        reading = await line.read()
        assert reading.active
        assert reading.level_dbfs == pytest.approx(-9.03, abs=1)
        edges.append(time.monotonic_ns())
        await amp.set_mute(muted=True)
        await asyncio.sleep(0.5)
        assert not (await line.read()).active
        await amp.set_power(on=False)
        warm_ns = time.monotonic_ns()
        await amp.set_power(on=True)
        await amp.set_mute(muted=False)
        await asyncio.sleep(0.3)
        await audio.stop(1)
        await ear.ended(1)
    heard = listen(box)
    opened, closed = edges
    assert not any(heard.samples[: heard.index(opened)])
    assert abs(heard.first_sound(opened - 10 * MS) - opened) < 3 * MS
    assert rms(heard.part(opened + 10 * MS, 300)) > 5000
    assert not any(heard.part(closed + 3 * MS, 400))
    assert abs(heard.first_sound(closed + 10 * MS) - warm_ns - 100 * MS) < 20 * MS


@pytest.mark.parametrize("fault", ["horn_open", "amplifier_dead"])
async def test_a_broken_line_is_silent_though_the_card_plays(tmp_path: Path, media: Path, fault: str) -> None:
    box = tmp_path / "box"
    break_it(box, **{fault: True})
    async with driver(box).open() as audio, hearing(audio) as ear:
        at_ns = soon(250)
        await audio.cue(1, (item(media / "long.flac"),), at_ns)
        await asyncio.sleep(0.5)
        break_it(box, **{fault: False})
        mended_ns = time.monotonic_ns()
        await asyncio.sleep(0.5)
        await audio.stop(1)
        await ear.ended(1)
    assert mended_ns - 50 * MS < listen(box).first_sound(0) < mended_ns + 300 * MS


async def test_a_missing_card(tmp_path: Path, media: Path) -> None:
    box = tmp_path / "box"
    break_it(box, card_missing=True)
    with pytest.raises(DeviceUnavailableError, match="missing"):
        async with driver(box).open():
            raise AssertionError("opened a missing card")
    break_it(box)
    async with driver(box).open() as audio, hearing(audio) as ear:
        await audio.cue(1, (item(media / "long.flac"),), soon(250))
        await ear.started(1)
        break_it(box, card_missing=True)
        ended = await ear.ended(1)
        assert ended.reason is EndReason.DEVICE_LOST
        assert "unplugged" in ended.detail
        with pytest.raises(DeviceUnavailableError):
            await audio.probe()
        with pytest.raises(DeviceUnavailableError):
            await audio.cue(2, (item(media / "tone.flac"),), soon())
        break_it(box)
        await asyncio.sleep(0.2)
        await audio.probe()
        await audio.cue(3, (item(media / "tone.flac"),), soon(250))
        assert (await ear.ended(3)).reason is EndReason.FINISHED


async def test_a_killed_worker_shows_at_once_and_opening_again_works(tmp_path: Path, media: Path) -> None:
    box = tmp_path / "box"
    async with driver(box).open() as audio, hearing(audio) as ear:
        await audio.cue(1, (item(media / "long.flac"),), soon(250))
        await ear.started(1)
        killed = time.monotonic()
        os.kill(pid_of(audio), signal.SIGKILL)
        await ear.until(lambda: ear.lost)
        assert ear.lost_at - killed < 0.3
        with pytest.raises(DeviceUnavailableError):
            await audio.cue(2, (item(media / "tone.flac"),), soon())
        with pytest.raises(DeviceUnavailableError):
            await audio.probe()
    begun = time.monotonic()
    async with driver(box).open() as audio, hearing(audio) as ear:
        assert time.monotonic() - begun < 2
        await audio.cue(3, (item(media / "tone.flac"),), soon(250))
        assert (await ear.ended(3)).reason is EndReason.FINISHED


async def test_a_worker_that_hangs_is_noticed_and_killed(tmp_path: Path, media: Path) -> None:
    async with driver(tmp_path / "box").open() as audio:
        pid = pid_of(audio)
        os.kill(pid, signal.SIGSTOP)
        begun = time.monotonic()
        with pytest.raises(DeviceUnavailableError, match="did not answer"):
            await audio.probe()
        assert time.monotonic() - begun < 1.3
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("how", ["stopped", "decoder_hang"])
async def test_a_worker_that_hangs_while_playing_is_replaced_unasked(
    tmp_path: Path, media: Path, how: str
) -> None:
    box = tmp_path / "box"
    async with driver(box).open() as audio, hearing(audio) as ear:
        pid = pid_of(audio)
        await audio.cue(1, (item(media / "long.flac"),), soon(250))
        await ear.started(1)
        begun = time.monotonic()
        if how == "stopped":
            os.kill(pid, signal.SIGSTOP)
        else:
            break_it(box, decoder_hang=True)
        await ear.until(lambda: ear.lost)
        assert ear.lost_at - begun < 2.0
    assert not Path(f"/proc/{pid}").exists()
    break_it(box)
    async with driver(box).open() as audio, hearing(audio) as ear:
        await audio.cue(2, (item(media / "tone.flac"),), soon(250))
        assert (await ear.ended(2)).reason is EndReason.FINISHED


USER = """
import asyncio, sys, time
from pathlib import Path
from drivers.api import CueItem
from drivers.audio.driver import SimulatedAudio

async def main():
    async with SimulatedAudio("horn", sys.argv[1]).open() as audio:
        await audio.cue(1, (CueItem(Path(sys.argv[2])),), time.monotonic_ns() + 100_000_000)
        await asyncio.sleep(0.4)
        print(audio.pid, flush=True)
        await asyncio.sleep(30)

asyncio.run(main())
"""


def test_a_killed_agent_leaves_no_sound_behind(tmp_path: Path, media: Path) -> None:
    box = tmp_path / "box"
    user = subprocess.Popen(
        [sys.executable, "-c", USER, str(box), str(media / "long.flac")], stdout=subprocess.PIPE, text=True
    )
    with user:
        assert user.stdout is not None
        pid = int(user.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        killed_ns = time.monotonic_ns()
        user.kill()
        user.wait(5)
        while (
            Path(f"/proc/{pid}").exists()
            and "Z" not in Path(f"/proc/{pid}/stat").read_text().split(") ")[1][:1]
        ):
            assert time.monotonic_ns() - killed_ns < 300 * MS
            time.sleep(0.005)
    with wave.open(str(box / "speaker.wav")) as source:
        assert source.getnframes() > 0
    assert listen(box).last_sound() < killed_ns + 100 * MS


async def test_the_worker_is_light(tmp_path: Path, media: Path) -> None:
    """Budget: 32 MB idle and 45 MB while it plays, after a start inside a file too; idle costs no CPU."""

    def memory_mb() -> float:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024

    def cpu_ticks() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    async with driver(tmp_path / "box").open() as audio, hearing(audio) as ear:
        pid = pid_of(audio)
        assert memory_mb() < 32
        await audio.cue(1, (item(media / "long.flac", start_ms=1000),), soon(250))
        await ear.started(1)
        await asyncio.sleep(0.5)
        assert memory_mb() < 45
        await audio.stop(1)
        await ear.ended(1)
        await asyncio.sleep(0.7)
        before = cpu_ticks()
        await asyncio.sleep(1.0)
        assert cpu_ticks() - before <= 1


async def test_the_worker_keeps_no_network_where_it_may(tmp_path: Path) -> None:
    async with driver(tmp_path / "box").open() as audio:
        network = audio.network  # type: ignore[attr-defined]
        links = Path(f"/proc/{pid_of(audio)}/net/dev").read_text().splitlines()[2:]
        names = [line.split(":")[0].strip() for line in links]
    assert network == ("none" if os.geteuid() == 0 else network)
    if network == "none":
        assert names == ["lo"]


async def test_seeks_in_other_formats_land_nearby(tmp_path: Path, media: Path) -> None:
    box = tmp_path / "box"
    marked = write_flac(tmp_path / "marked.flac", [0] * (2 * RATE) + tone(1000, 1000))
    for number, form in enumerate(("wav", "mp3", "opus")):
        path = convert(marked, tmp_path / f"marked.{form}")
        async with driver(box).open() as audio, hearing(audio) as ear:
            at_ns = soon(300)
            await audio.cue(number, (item(path, start_ms=1500, duration_ms=3000),), at_ns)
            await asyncio.sleep(0.9)
            await audio.stop(number)
            await ear.ended(number)
            assert not ear.of(ItemFailed)
        assert abs(listen(box).first_sound(at_ns, level=8000) - at_ns - 500 * MS) < 60 * MS, form


async def test_listening_aloud_never_disturbs_the_recording(tmp_path: Path, media: Path) -> None:
    for device in ("null", "plughw:CARD=NoSuchCard"):
        box = tmp_path / device.replace(":", "-")
        async with driver(box, listen=device).open() as audio, hearing(audio) as ear:
            at_ns = soon(200)
            await audio.cue(1, (item(media / "tone.flac", duration_ms=200),), at_ns, fade_in_ms=0)
            await ear.ended(1)
        heard = listen(box)
        begin = heard.index(heard.first_sound(at_ns - 10 * MS))
        assert heard.samples[begin : begin + 9600].tolist() == tone(1000, 200)


def test_the_worker_imports_nothing_large() -> None:
    code = (
        "import sys, drivers.audio.worker, drivers.audio.simulated, drivers.audio.alsa\n"
        "print(sorted({'asyncio', 'numpy', 'aiohttp', 'pydantic', 'ssl', 'sqlite3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
