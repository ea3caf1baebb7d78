"""How often one address may try: a sliding window, bounded in memory."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

MOST_ADDRESSES = 10_000


class Tries:
    """Counts tries per key; the oldest keys are forgotten first when there are too many.

    Args:
        allowed: tries per window.
        window_s: length of the window.
        monotonic: seconds of a clock that never steps.
    """

    def __init__(self, allowed: int, window_s: float, monotonic: Callable[[], float]) -> None:
        self._allowed = allowed
        self._window_s = window_s
        self._monotonic = monotonic
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, key: str) -> int:
        """Seconds until `key` may try again; 0 if now."""
        times = self._recent(key)
        if len(times) < self._allowed:
            return 0
        return max(1, round(times[0] + self._window_s - self._monotonic()))

    def count(self, key: str) -> None:
        """One try was made."""
        times = self._recent(key)
        times.append(self._monotonic())
        self._seen[key] = times
        self._seen.move_to_end(key)
        while len(self._seen) > MOST_ADDRESSES:
            self._seen.popitem(last=False)

    def _recent(self, key: str) -> deque[float]:
        times = self._seen.get(key, deque(maxlen=self._allowed))
        since = self._monotonic() - self._window_s
        while times and times[0] <= since:
            times.popleft()
        return times
