"""A counter that all workers of a replica share, and that no crash of one can spoil or block.

One slot of shared memory a worker, written by that worker only: there is no lock between processes
that a killed one could keep. The parent hands out the slots and reuses those of dead workers.
"""

from __future__ import annotations

import mmap
import threading
import time
import uuid

SLOTS = 512
_WIDTH = 8


class SharedCounter:
    """Counts what the workers of one replica do. Create it before they are forked."""

    def __init__(self, slots: int = SLOTS) -> None:
        self._values = memoryview(mmap.mmap(-1, slots * _WIDTH)).cast("Q")
        self._free = list(range(slots - 1, 0, -1))
        self._slot = 0
        self._most_used = 0
        self._lock = threading.Lock()

    def reserve(self) -> int:
        """Parent: a slot for the worker about to be forked."""
        slot = self._free.pop()
        self._most_used = max(self._most_used, slot)
        return slot

    def release(self, slot: int) -> None:
        """Parent: the worker of `slot` is gone; its count stays in the sum."""
        self._free.append(slot)

    def bind(self, slot: int) -> None:
        """Worker: count in `slot` from now on."""
        self._slot = slot
        self._lock = threading.Lock()

    def increment(self) -> None:
        """Count one."""
        with self._lock:
            self._values[self._slot] += 1

    @property
    def slots_used(self) -> int:
        """How many slots were ever handed out, and the parent's own: the others are still zero."""
        return self._most_used + 1

    def total(self) -> int:
        """The sum over all workers, living and dead."""
        return sum(self._values)


class ServerState:
    """What the workers of a replica have in common. Create it before they are forked."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self.replica_id = uuid.uuid4()
        self.requests = SharedCounter()
        self._started_s = time.monotonic()

    def uptime_seconds(self) -> float:
        """Seconds since the replica started; the monotonic clock is one for all processes."""
        return time.monotonic() - self._started_s
