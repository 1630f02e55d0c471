"""A lease shared between the thread that renews it and those that act under it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from analytics_service.adapters.timescale.leases import Lease


class HeldLease:
    """What is known of the lease. It is not believed for longer than it was given."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._lease: Lease | None = None
        self._since = 0.0
        self._renewed_at = 0.0
        self._is_caught_up = threading.Event()

    def renewed(self, lease: Lease, asked_at: float, since_s: float = 0.0) -> None:
        """It is ours, since `asked_at` (this clock); `since_s` (the database's): since when without a break."""
        with self._lock:
            self._lease, self._renewed_at, self._since = lease, asked_at, since_s

    def caught_up(self) -> None:
        """What was published before this process began has been taken in."""
        self._is_caught_up.set()

    @property
    def is_caught_up(self) -> bool:
        """Whether it has."""
        return self._is_caught_up.is_set()

    def lost(self) -> None:
        """It is not ours, or nobody knows."""
        with self._lock:
            self._lease = None

    def current(self) -> tuple[Lease, float] | None:
        """The lease and since when it is held (epoch seconds of the database); None: nothing may be sent."""
        with self._lock:
            if self._lease is None or self._clock() - self._renewed_at >= self._seconds:
                return None
            return self._lease, self._since
