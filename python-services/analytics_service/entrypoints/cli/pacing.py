"""Spreading work over time: how much is due now at a given rate."""

from __future__ import annotations

import time
from collections.abc import Callable

BURST_S = 0.1
MAX_BACKLOG_S = 1.0
TICK_S = 0.025  # smaller steps cost more than they smooth


class Pacer:
    """Hands out permissions at `rate` a second, at most 100 ms worth of them at once.

    Time lost (a slow broker) is made up for, but for no more than one second of it. `clock` gives
    monotonic seconds; `wait(seconds)` may return early, which stops nothing: the caller decides.
    """

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._wait = wait
        self._burst = max(1, int(rate * BURST_S))
        self._since = self._last = clock()
        self._taken = 0

    def take(self) -> int:
        """Wait until something is due and return how many; 0 if the wait was cut short."""
        due_at = self._since + (self._taken + 1) / self._rate
        pause = max(due_at, self._last + TICK_S) - self._clock()
        if pause > 0:
            self._wait(pause)
        self._last = self._clock()
        allowed = min(max(0, self._due(self._last)), self._burst)
        self._taken += allowed
        return allowed

    def give_back(self, count: int) -> None:
        """Return permissions that were not used."""
        self._taken -= count

    def _due(self, now: float) -> int:
        due = int((now - self._since) * self._rate) - self._taken
        if due > self._rate * MAX_BACKLOG_S + 1:  # forget what lies further back
            self._since = now - MAX_BACKLOG_S
            self._taken = 0
            due = int(MAX_BACKLOG_S * self._rate)
        return due
