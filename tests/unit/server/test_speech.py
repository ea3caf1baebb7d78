from __future__ import annotations

from pathlib import Path

import pytest

from server.media.speech import speak
from server.problems import Problem, RefusedError


async def test_a_text_of_which_nothing_can_be_said_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as refused:
        await speak(" \u200b ⚠️ ... ", "vi", tmp_path / "x.wav")
    assert refused.value.problem is Problem.SPEECH_EMPTY


async def test_a_language_without_a_voice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as refused:
        await speak("Xin chào", "km", tmp_path / "x.wav")
    assert refused.value.problem is Problem.SPEECH_LANGUAGE
