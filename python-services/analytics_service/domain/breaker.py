"""A circuit breaker: after some failures in a row a dependency is left alone for a while, then tried once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

FAILURES_TO_OPEN: Final = 5


class BreakerState(IntEnum):
    """As the gauge shows it."""

    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2


@dataclass(slots=True)
class Breaker:
    """Opens after `failures_to_open` failures in a row; `reset_s` seconds later one try is let through.

    That try closes it or opens it anew. Times are seconds of any clock that does not go back; not safe across threads.
    """

    reset_s: float
    failures_to_open: int = FAILURES_TO_OPEN
    state: BreakerState = BreakerState.CLOSED
    _failures: int = 0
    _opened_at: float = 0.0

    def allows(self, now_s: float) -> bool:
        """Whether to try now; a True while it is open makes it half open: the caller's try decides."""
        if self.state is BreakerState.CLOSED:
            return True
        if self.wait_s(now_s) > 0:
            return False
        # A try that never reported back must not keep it half open for ever: the next one comes `reset_s` later.
        self.state, self._opened_at = BreakerState.HALF_OPEN, now_s
        return True

    def wait_s(self, now_s: float) -> float:
        """Seconds until a try is let through; 0: now."""
        if self.state is BreakerState.CLOSED:
            return 0.0
        return max(0.0, self._opened_at + self.reset_s - now_s)

    def succeeded(self) -> bool:
        """The dependency answered; True when this closed the breaker."""
        was_closed = self.state is BreakerState.CLOSED
        self.state, self._failures = BreakerState.CLOSED, 0
        return not was_closed

    def failed(self, now_s: float) -> bool:
        """The dependency failed; True when this opened the breaker, which was closed or half open."""
        self._failures += 1
        if self.state is BreakerState.OPEN or (
            self.state is BreakerState.CLOSED and self._failures < self.failures_to_open
        ):
            return False
        self.state, self._opened_at = BreakerState.OPEN, now_s
        return True
