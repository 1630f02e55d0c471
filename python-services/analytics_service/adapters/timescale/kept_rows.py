"""States of window rows as this worker wrote them last, so that the next flush need not read them back.

Most flushes merge into the rows that the one before has written. A row's revision and the moment of its last write,
read under its lock, tell whether it is still the one that is kept: both change with every write, whoever makes it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from analytics_service.domain.aggregation import Cell, Delta
from analytics_service.domain.windows import Window

# Some 20 KB each. With more services than that has room for, rows come by too seldom to be worth it.
ROWS: Final = 400

Mark = tuple[int, datetime]
"""Revision of a row and when it was written: what tells one state of it from another."""


class KeptRows:
    """At most `ROWS` of them, those written last. What a flush takes and adds counts once it has committed."""

    def __init__(self, rows: int = ROWS) -> None:
        self._rows = rows
        self._kept: OrderedDict[tuple[str, Cell], tuple[Mark, Delta]] = OrderedDict()
        self._written: list[tuple[tuple[str, Cell], tuple[Mark, Delta]]] = []

    def __len__(self) -> int:
        return len(self._kept)

    def any_of(self, window: Window, keys: Iterable[Cell]) -> bool:
        """Whether one of these rows is kept."""
        return bool(self._kept) and any((window.name, key) in self._kept for key in keys)

    def take(self, window: Window, key: Cell, mark: Mark) -> Delta | None:
        """The row's state if the kept one has this mark, to be merged into: it is not kept any longer."""
        found = self._kept.pop((window.name, key), None)
        return found[1] if found is not None and found[0] == mark else None

    def written(self, window: Window, key: Cell, mark: Mark, state: Delta) -> None:
        """The transaction wrote this state, which nobody else may change from now on."""
        self._written.append(((window.name, key), (mark, state)))

    def committed(self) -> None:
        """What was written is what the rows say."""
        # More than there is room for would push itself out.
        if len(self._written) <= self._rows:
            self._kept.update(self._written)
            while len(self._kept) > self._rows:
                self._kept.popitem(last=False)
        self._written = []

    def rolled_back(self) -> None:
        """What was written is forgotten; so is what was taken, which may have been merged into."""
        self._written = []
