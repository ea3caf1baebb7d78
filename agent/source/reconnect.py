"""How long to stay away from a source system after a failure; decides, never sleeps."""

from __future__ import annotations

import random
from collections.abc import Callable

from agent.errors import Retry


class Reconnect:
    """Exponential waits with full jitter, so that a power cut does not bring a fleet back in one second.

    Args:
        max_s: ceiling of the waits, in seconds.
        base_s: ceiling of the first wait.
        healthy_after_s: a session that lived this long starts the count anew.
        uniform: draws a number between two bounds.
    """

    def __init__(
        self,
        max_s: float,
        *,
        base_s: float = 0.5,
        healthy_after_s: float = 30.0,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._max_s = max_s
        self._base_s = min(base_s, max_s)
        self._healthy_after_s = healthy_after_s
        self._uniform = uniform
        self._failures = 0

    def delay_s(self, lived_s: float, retry: Retry = Retry.SOON) -> float:
        """The wait after a session of `lived_s` seconds (0 if it never came up) ended.

        A refusal waits between half the ceiling and the ceiling: asking again soon cannot help, and a
        person who mends it at the server should not have to wait for long.
        """
        if lived_s >= self._healthy_after_s:
            self._failures = 0
        self._failures += 1
        if retry is not Retry.SOON:
            return self._uniform(self._max_s / 2, self._max_s)
        return self._uniform(0.0, min(self._max_s, self._base_s * 2.0 ** min(self._failures - 1, 30)))

    def reset(self) -> None:
        """Forget former failures: the network is another one."""
        self._failures = 0
