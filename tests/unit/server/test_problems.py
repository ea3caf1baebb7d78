from __future__ import annotations

import pytest

from agent.model.text import Language, catalogue
from server.problems import STATUS, Problem, RefusedError


@pytest.mark.parametrize("problem", list(Problem))
def test_every_problem_has_a_status_and_words_in_both_languages(problem: Problem) -> None:
    assert 400 <= STATUS[problem] < 600
    message = RefusedError(problem, detail="chi tiết").message
    assert message["vi"]
    assert message["vi"] != message["en"]
    assert "{" not in message["vi"] + message["en"]


def test_both_catalogues_have_the_same_console_words() -> None:
    def keys(language: Language) -> set[str]:
        return {key for key in catalogue(language) if key.startswith("console.")}

    assert keys("vi") == keys("en")
