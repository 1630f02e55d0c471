"""States of window rows as this worker wrote them last, so that the next flush need not read them back.

Most flushes merge into the rows that the one before has written. A row's revision and the moment of its last write,
compared under its lock or by the write itself, tell whether it is still the one that is kept: both change with every
write, whoever makes it.
After some flushes in which that was so for all rows, the comparison is left to the write itself.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, NamedTuple

from analytics_service.domain.aggregation import Cell, Delta
from analytics_service.domain.windows import Window

# With 20 services some 100 rows and 2 MB; with 5,000, each twice a second, at the end of an hour some 170 MB.
SIZE_BYTES: Final = 192 << 20
# Windows that are over fall out of use; what is still written comes by within a few flushes, or can as well be read.
FLUSHES: Final = 8
# So many flushes in a row found nothing changed by others before it is no longer looked at beforehand.
CALM: Final = 8

_Key = tuple[str, Cell]


class Mark(NamedTuple):
    """What tells one state of a row from another: its revision, and when it was written (epoch microseconds)."""

    revision: int
    written_us: int


class _Kept(NamedTuple):
    """One row; `flush`: the number of the flush that wrote it, `size` in bytes."""

    mark: Mark
    state: Delta
    flush: int
    size: int


class KeptRows:
    """Rows of the last `flushes` flushes, as many as `size_bytes` has room for. What a flush takes is not kept any
    longer, what it adds counts once it has committed.
    """

    def __init__(
        self, size_bytes: int = SIZE_BYTES, flushes: int = FLUSHES, calm: int = CALM
    ) -> None:
        self._limit = size_bytes
        self._flushes = flushes
        self._flush = 0
        self._calm_enough = calm
        self._calm = 0
        self._is_disturbed = False
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()  # in the order they were written
        self._written: list[tuple[_Key, Mark, Delta]] = []
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def is_trusted(self) -> bool:
        """Whether nobody else has changed a row that was kept for so long that it need not be feared."""
        return self._calm >= self._calm_enough

    def marks(self, window: Window, keys: Iterable[Cell]) -> list[Mark | None]:
        """The mark of each row, None when it is not kept."""
        if not self._kept:
            return [None for _ in keys]
        found = (self._kept.get((window.name, key)) for key in keys)
        return [None if kept is None else kept.mark for kept in found]

    def take(self, window: Window, key: Cell) -> Delta:
        """The row's state, to be merged into. Raises KeyError when it is not kept."""
        return self._drop((window.name, key))

    def written(self, window: Window, key: Cell, mark: Mark, state: Delta) -> None:
        """The transaction wrote this state, which nobody else may change from now on."""
        self._written.append(((window.name, key), mark, state))

    def compared(self, window: Window, keys: Iterable[Cell]) -> None:
        """The rows were compared with those that are kept; whatever was not taken is another one by now."""
        for key in keys:
            if (window.name, key) in self._kept:
                self._drop((window.name, key))
                self._is_disturbed = True

    def doubt(self) -> None:
        """Somebody else has changed rows: which ones is not known."""
        self._kept.clear()
        self.size_bytes = 0
        self._calm = 0

    def committed(self) -> None:
        """What was written is what the rows say."""
        self._flush += 1
        self._calm = 0 if self._is_disturbed else self._calm + 1
        self._is_disturbed = False
        while self._kept and next(iter(self._kept.values())).flush <= self._flush - self._flushes:
            self._drop(next(iter(self._kept)))
        for key, mark, state in self._written:
            size = _size(state)
            # What is there stays: were it pushed out, more rows than fit would all push each other out.
            if self.size_bytes + size <= self._limit:
                self._kept[key] = _Kept(mark, state, self._flush, size)
                self.size_bytes += size
        self._written = []

    def rolled_back(self) -> None:
        """What was written is forgotten; so is what was taken, which may have been merged into."""
        self._written = []

    def _drop(self, key: _Key) -> Delta:
        kept = self._kept.pop(key)
        self.size_bytes -= kept.size
        return kept.state


def _size(state: Delta) -> int:
    """What a state takes in memory at most, roughly (measured: 2 KB for two events, 15 for 600, 18 for 10,000)."""
    return 1_900 + 17 * len(state.latencies.numbers) + min(30 * state.total, 7_000)
