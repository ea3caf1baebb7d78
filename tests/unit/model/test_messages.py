"""Built-in warnings: one for every event, short enough, fit to be spoken."""

from __future__ import annotations

import unicodedata

import pytest

from agent.model.messages import BuiltIn, message, messages
from agent.model.speech import speakable
from agent.wire.orders import EmergencyEvent

LANGUAGES = ("vi", "en")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("event", EmergencyEvent)
def test_every_event_has_a_short_message(event: EmergencyEvent, language: str) -> None:
    found = messages(language)[event.value]
    assert message(event, language) == found
    assert 0 < len(found.title) <= 40
    assert 100 < len(found.text) < 700
    assert found.text.endswith((".", "!"))
    assert unicodedata.normalize("NFC", found.text) == found.text


@pytest.mark.parametrize("event", EmergencyEvent)
def test_a_vietnamese_message_says_who_speaks_and_needs_no_guessing(event: EmergencyEvent) -> None:
    found = messages("vi")[event.value]
    assert found.text.startswith("Đài truyền thanh xã ")
    assert "bà con" in found.text.lower()
    said = speakable(found.text, "vi")
    assert said.replace("một một hai", "112").replace("một một bốn", "114") == found.text


def test_only_a_danger_is_called_urgent() -> None:
    calm = {event for event, one in messages("vi").items() if "thông báo khẩn" not in one.text}
    assert calm == {"test", "all_clear"}


def test_no_message_stands_for_an_event_that_does_not_exist() -> None:
    for language in LANGUAGES:
        assert messages(language).keys() == {event.value for event in EmergencyEvent}


def test_region_and_unknown_event_and_unknown_language() -> None:
    assert message("flood", "vi-VN") == message("flood", "vi")
    other = message("tsunami", "vi")
    assert isinstance(other, BuiltIn)
    assert other == message("other", "vi")
    assert message("flood", "km") is None
    assert message("flood", "../vi") is None
