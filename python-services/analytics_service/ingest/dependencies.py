"""The worker's own dependencies, each behind a circuit breaker whose state is a gauge."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from analytics_service import metrics
from analytics_service.domain.breaker import Breaker, BreakerState

logger = logging.getLogger(__name__)

# How often a dependency that is away is probed: work goes on within 10 s of its return.
PROBE_S: Final = 2.0


class Dependency:
    """A breaker with its gauge and its two lines in the log. Used on the event loop only."""

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._clock = clock
        self._breaker = Breaker(PROBE_S)
        self._show()

    @property
    def is_trusted(self) -> bool:
        """Whether the breaker is closed: only then chores that can wait use the dependency."""
        return self._breaker.state is BreakerState.CLOSED

    def allows(self) -> bool:
        """Whether to try now."""
        allowed = self._breaker.allows(self._clock())
        self._show()
        return allowed

    def wait_s(self) -> float:
        """Seconds until a try is let through."""
        return self._breaker.wait_s(self._clock())

    def succeeded(self) -> None:
        """It answered."""
        if self._breaker.succeeded():
            logger.info("%s: answers again, circuit breaker closed", self.name)
        self._show()

    def failed(self, why: str) -> None:
        """It did not; `why` for people."""
        was_closed = self.is_trusted
        if self._breaker.failed(self._clock()) and was_closed:
            logger.error(
                "%s: circuit breaker open, trying again every %.0f s: %s", self.name, PROBE_S, why
            )
        self._show()

    def _show(self) -> None:
        metrics.BREAKER_STATE.labels(self.name).set(self._breaker.state)
