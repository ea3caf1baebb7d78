"""An officer speaks into a browser's microphone and the horn sounds: the whole way in one piece."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.browser.test_live_announcement import CLICK, STATE, TONE_HZ, a_voice
from tests.support.browser import CHROMIUM, chromium
from tests.support.onair import pitch
from tests.support.station import a_station
from tools.listen import Recording, recording
from tools.rig import console_link

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed"),
]
S = timedelta(seconds=1)


async def test_what_is_said_into_a_browser_sounds_at_the_horn_within_two_seconds(tmp_path: Path) -> None:
    with a_station(tmp_path) as station:
        await asyncio.to_thread(station.add_box, "box", settle_ms=500)
        async with chromium(tmp_path, a_voice(tmp_path)) as page:
            await page.send("Page.navigate", url=console_link(station.api))
            await page.until("location.pathname.startsWith('/console') && document.readyState === 'complete'")
            await page.open(f"{station.api.url}/console/live")
            await page.run("document.getElementById('speaker').value = 'Nguyễn Văn An'")
            await page.run(
                "window.loud = []; let was = 0; setInterval(() => {"
                " const now = document.getElementById('level').value;"
                " if (now > 0.5 && was <= 0.5) loud.push(Date.now() / 1000); was = now; }, 5)"
            )
            clicked = datetime.now(UTC)
            await page.run(CLICK)
            await page.until(f"{STATE} === 'Loa đã nhận tiếng. Hãy nói.'", 30)
            await page.run("loud.length = 0")
            await page.until("loud.length >= 5")
            await page.run(CLICK)
            await page.until(f"{STATE} === 'Đã dừng.'")
            spoken = [datetime.fromtimestamp(float(one), UTC) for one in await page.run("loud")]
        await asyncio.sleep(4)
        heard = recording(tmp_path / "box", last_s=60)
        delays_s = [(sounds_again(heard, one) - one).total_seconds() for one in spoken[1:4]]
        first = heard.first_sound(clicked)
        assert first is not None
        print(f"click to first sound {(first - clicked).total_seconds():.2f} s; word to horn {delays_s} s")
        assert max(delays_s) < 2.0
        tone = pitch(heard, sounds_again(heard, spoken[2]) + 0.3 * S, 0.3)
        assert tone == pytest.approx(TONE_HZ, rel=0.03)
        # After the officer has stopped, the horn is silent.
        assert heard.sounding_ms(spoken[-1] + 5 * S, datetime.now(UTC)) == 0


def sounds_again(heard: Recording, after: datetime) -> datetime:
    """When the next tone begins: the second in which the voice is silent ends there."""
    at = after - 0.05 * S
    while heard.sounding_ms(at, at + 0.3 * S) > 0:  # still the tone before
        at += 0.02 * S
        assert at < after + 3 * S, "the horn never paused"
    found = heard.first_sound(at)
    assert found is not None, "the horn did not sound again"
    return found
