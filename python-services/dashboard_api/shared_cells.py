"""Numbers that the workers of a replica keep in shared memory, one row each, and their parent adds up.

As with the counter of requests there is no lock between processes that a killed one could keep, and a
dead worker's row stays in the sums: they never go back.
"""

from __future__ import annotations

import mmap
import threading
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dashboard_api.counters import SLOTS

_WIDTH = 8


class SharedCells:
    """A row of `width` numbers a slot. Create it before the workers are forked."""

    def __init__(self, width: int, slots: int = SLOTS) -> None:
        memory = mmap.mmap(-1, max(slots * width, 1) * _WIDTH)
        self._rows: NDArray[np.float64] = np.frombuffer(memory, dtype=np.float64).reshape(
            slots, width
        )
        self._slot = 0
        self._lock = threading.Lock()

    def bind(self, slot: int) -> None:
        """Worker: write to the row of `slot` from now on."""
        self._slot = slot
        self._lock = threading.Lock()

    def add(self, *changes: tuple[int, float]) -> None:
        """Add to some cells, given as (cell, amount)."""
        row = self._rows[self._slot]
        with self._lock:
            for cell, amount in changes:
                row[cell] += amount

    def set(self, *values: tuple[int, float]) -> None:
        """Set some cells, for numbers that go up and down."""
        row = self._rows[self._slot]
        with self._lock:
            for cell, value in values:
                row[cell] = value

    def clear(self, slot: int, cells: Iterable[int]) -> None:
        """Parent: the worker of `slot` is gone, and what these cells said of it is over."""
        self._rows[slot, list(cells)] = 0.0

    def totals(self, slots: int = SLOTS) -> NDArray[np.float64]:
        """The sums over the first `slots` rows."""
        sums: NDArray[np.float64] = self._rows[:slots].sum(axis=0)
        return sums
