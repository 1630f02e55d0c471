"""What was merged before, kept with the marks of the rows that it is the union of.

A mark changes with every change of its rows, so what is kept is never out of date: a reader compares the marks of
its own snapshot. It only spares the reading and merging of windows that nothing has been written to since.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable

from dashboard_api.merging import Part

MOST_BYTES = 48 * 1024 * 1024
"""What a process keeps at most: some three months of 200 services in different ranges."""
_SKETCH_BYTES = 4200
_PART_BYTES = 600


class KeptParts:
    """The parts used last, as many as fit; any number of threads may use it."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._parts: OrderedDict[Hashable, tuple[Hashable, Part]] = OrderedDict()
        self._lock = threading.Lock()
        self.turn = threading.Lock()
        """Held by who merges every service: others would merge the very same beside it."""

    def get(self, key: Hashable, mark: Hashable) -> Part | None:
        """The part kept under `key` if it is the union of the rows that `mark` stands for."""
        with self._lock:
            found = self._parts.get(key)
            if found is None or found[0] != mark:
                return None
            self._parts.move_to_end(key)
            return found[1]

    def put(self, key: Hashable, mark: Hashable, part: Part) -> None:
        """Keep a part instead of what is kept under `key`."""
        with self._lock:
            self._drop(key)
            self._parts[key] = (mark, part)
            self._bytes += size_of(part)
            while self._bytes > self._most_bytes:
                self._drop(next(iter(self._parts)))

    def __len__(self) -> int:
        return len(self._parts)

    def _drop(self, key: Hashable) -> None:
        gone = self._parts.pop(key, None)
        if gone is not None:
            self._bytes -= size_of(gone[1])


def size_of(part: Part) -> int:
    """About how many bytes it takes, rather too many."""
    sketches = sum(sketch is not None for sketch in (part.users, part.ips))
    return _PART_BYTES + sketches * _SKETCH_BYTES + part.numbers.nbytes + part.amounts.nbytes
