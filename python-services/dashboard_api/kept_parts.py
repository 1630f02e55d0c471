"""What was merged or read before, kept with the marks of the rows that it was made of.

A mark changes with every change of its rows, so what is kept is never out of date: a reader compares the marks of
its own snapshot. It only spares the reading and merging of windows that nothing has been written to since.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from dashboard_api.merging import Part

MOST_BYTES = 48 * 1024 * 1024
"""Of parts a process keeps at most so much: some three months of 200 services in different ranges."""
MOST_BYTES_OF_FIGURES = 16 * 1024 * 1024
_SKETCH_BYTES = 4200
_PART_BYTES = 600
_ROW_BYTES = 300
_FIGURE_BYTES = 32

Content = TypeVar("Content")
Figures = tuple[tuple[Any, ...], ...]
"""Rows of figures, some first values of each saying whose they are."""


class Kept(Generic[Content]):
    """What was used last, as much as fits; any number of threads may use it."""

    def __init__(self, most_bytes: int, size: Callable[[Content], int]) -> None:
        self._most_bytes = most_bytes
        self._size = size
        self._bytes = 0
        self._held: OrderedDict[Hashable, tuple[Hashable, Content]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, mark: Hashable) -> Content | None:
        """What is kept under `key` if it was made of the rows that `mark` stands for."""
        with self._lock:
            found = self._held.get(key)
            if found is None or found[0] != mark:
                return None
            self._held.move_to_end(key)
            return found[1]

    def put(self, key: Hashable, mark: Hashable, content: Content) -> None:
        """Keep this instead of what is kept under `key`."""
        with self._lock:
            self._drop(key)
            self._held[key] = (mark, content)
            self._bytes += self._size(content)
            while self._bytes > self._most_bytes:
                self._drop(next(iter(self._held)))

    def __len__(self) -> int:
        return len(self._held)

    def _drop(self, key: Hashable) -> None:
        gone = self._held.pop(key, None)
        if gone is not None:
            self._bytes -= self._size(gone[1])


class KeptParts(Kept[Part]):
    """Unions of rows; and, by themselves, figures."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        super().__init__(most_bytes, size_of)
        self.figures: Kept[Figures] = Kept(MOST_BYTES_OF_FIGURES, size_of_figures)
        self.turn = threading.Lock()
        """Held by who merges every service: others would merge the very same beside it."""


def size_of(part: Part) -> int:
    """About how many bytes it takes, rather too many."""
    sketches = sum(sketch is not None for sketch in (part.users, part.ips))
    return _PART_BYTES + sketches * _SKETCH_BYTES + part.numbers.nbytes + part.amounts.nbytes


def size_of_figures(rows: Figures) -> int:
    """The same of rows of figures and their key."""
    return _ROW_BYTES + sum(_ROW_BYTES // 4 + _FIGURE_BYTES * len(row) for row in rows)
