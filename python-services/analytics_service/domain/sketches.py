"""The mergeable summaries in a window's state: a latency histogram and a distinct counter.

Latency histogram: logarithmic buckets as in DDSketch (Masson, Rim, Lee: "DDSketch: a fast and
fully-mergeable quantile sketch with relative-error guarantees", VLDB 2019). Bucket ``i`` counts
the values in ``(GAMMA**(i-1), GAMMA**i]`` and answers with the value that is within `ACCURACY` of
all of them. Merging is addition, so the result depends on the values alone.

Distinct counter: HyperLogLog of Apache DataSketches (``hll_sketch``), which keeps up to 384 hashes
as they are and so is exact there, and has a relative standard error of at most 1.6 % above.
"""

from __future__ import annotations

import math
import sys
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate
from typing import Final, Self

import numpy as np
from datasketches import hll_sketch, hll_union, tgt_hll_type
from numpy.typing import NDArray

ACCURACY: Final = 0.009  # relative; the promise is 1 %, the rest is room for rounding
GAMMA: Final = (1 + ACCURACY) / (1 - ACCURACY)
ZERO_BUCKET: Final = -1_000_000  # the value 0, which has no logarithm; below any other bucket
_LOG_GAMMA: Final = math.log(GAMMA)
_LOG_MIDDLE: Final = math.log(2 / (GAMMA + 1))

# One of so many times fewer buckets is added bucket by bucket: a live row takes a few events at a time.
_FEW_OF: Final = 8

_LG_K: Final = 12
# Four bits a register: half the bytes of a row, for slower merging. Measured: 2,088 against 4,136
# bytes, 20-60 against 10-30 us for a merge of two full ones; a flush merges a hundred.
_HLL_TYPE: Final = tgt_hll_type.HLL_4
# The sketch skips the empty text. No event holds a NUL, so this stands for it and nothing else.
_EMPTY_TEXT: Final = "\0"
# With more texts than this to hand on, hashing them once and merging sketches costs less.
_FEW_TEXTS: Final = 256
# A sketch of fewer bytes is written whole each time. A larger one stays as it was stored while one of what has been
# counted since takes at most a quarter of its bytes: four for each text.
_LEAST_LEFT_ALONE: Final = 500
_BYTES_FOR_EACH_RECENT: Final = 16


def bucket_numbers(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bucket of each value (finite, >= 0)."""
    numbers = np.full(len(values), ZERO_BUCKET, dtype=np.int64)
    positive = values > 0
    numbers[positive] = np.ceil(np.log(values[positive]) / _LOG_GAMMA)
    return numbers


@lru_cache(maxsize=4096)
def bucket_value(bucket: int) -> float:
    """The value that stands for all values of a bucket: ``2 * GAMMA**bucket / (GAMMA + 1)``."""
    if bucket == ZERO_BUCKET:
        return 0.0
    try:
        return math.exp(bucket * _LOG_GAMMA + _LOG_MIDDLE)
    except OverflowError:
        return sys.float_info.max


def percentiles(
    numbers: Sequence[int],
    counts: Sequence[int],
    percents: Sequence[int],
    lowest: float,
    highest: float,
) -> list[float]:
    """Nearest-rank percentiles (the ceil(percent/100 * n)-th smallest value of n).

    ``numbers``: the buckets that are not empty, ascending, at least one; ``counts``: what they
    count. Results are within `ACCURACY` of the true values; ``lowest`` and ``highest`` are the
    exact extremes, which none goes beyond. (Below 2.2e-308 neighbouring floats are themselves
    further apart than that.)
    """
    cumulative = list(accumulate(counts))
    total = cumulative[-1]
    results = []
    for percent in percents:
        rank = -(-percent * total // 100)
        value = bucket_value(numbers[bisect_left(cumulative, rank)])
        results.append(lowest if value < lowest else highest if value > highest else value)
    return results


@dataclass(slots=True)
class Histogram:
    """How many values fell into each bucket that is not empty: ``numbers`` ascending, and their ``counts``.

    Both of 64 bits: lists of integers take several times the memory, and thousands of rows are kept.
    """

    numbers: array[int] = field(default_factory=lambda: array("q"))
    counts: array[int] = field(default_factory=lambda: array("q"))

    @classmethod
    def of(cls, numbers: Iterable[int], counts: Iterable[int]) -> Self:
        """One of these buckets, ascending, and their counts."""
        return cls(array("q", numbers), array("q", counts))

    def merge_from(self, other: Histogram) -> None:
        """Add the counts of ``other``, which stays as it is."""
        if len(other.numbers) * _FEW_OF <= len(self.numbers):
            for number, count in zip(other.numbers, other.counts, strict=True):
                self._add(number, count)
        elif not self.numbers:
            self.numbers, self.counts = other.numbers[:], other.counts[:]
        else:
            sums = dict(zip(self.numbers, self.counts, strict=True))
            for number, count in zip(other.numbers, other.counts, strict=True):
                sums[number] = sums.get(number, 0) + count
            self.numbers = array("q", sorted(sums))
            self.counts = array("q", map(sums.__getitem__, self.numbers))

    def _add(self, number: int, count: int) -> None:
        place = bisect_left(self.numbers, number)
        if place < len(self.numbers) and self.numbers[place] == number:
            self.counts[place] += count
        else:
            self.numbers.insert(place, number)
            self.counts.insert(place, count)


class DistinctCounter:
    """Counts distinct texts; merging in any order counts the union.

    Texts are kept as they are (``pending``) until somebody needs the sketch: most counters of a
    flush live only to be merged into a stored one. One of a row knows what it has counted since
    the row's sketch was written whole, so that this alone need be written (see `to_write`).
    """

    __slots__ = ("_recent", "_room", "pending", "sketch")

    def __init__(self, texts: Iterable[str] = (), sketch: hll_sketch | None = None) -> None:
        self.pending = set(texts)
        self.sketch = sketch
        # Of texts that the row's sketch may lack, at most so many; None: it has to be written whole.
        self._recent: hll_sketch | None = None
        self._room = 0

    @classmethod
    def deserialize(
        cls, state: bytes | memoryview | None, recent: bytes | memoryview | None = None
    ) -> Self:
        """The counter that `serialize` gave ``state`` of, or `to_write` both; None is the empty one.

        Wherever it is written to, it is written whole.
        """
        counter = cls.of_row(state, recent)
        counter._recent = None
        return counter

    @classmethod
    def of_row(
        cls, state: bytes | memoryview | None, recent: bytes | memoryview | None = None
    ) -> Self:
        """The same, to be written over the row that it was read from."""
        counter = cls()
        if state is not None:
            counter.sketch = hll_sketch.deserialize(bytes(state))
            counter._leave_alone(len(state))
        if recent is not None:
            since = hll_sketch.deserialize(bytes(recent))
            counter._unite(since)
            counter._recent = None if state is None else since
        return counter

    def serialize(self) -> bytes | None:
        """At most some 2 KB; None when nothing was counted."""
        sketch = self.settled()
        return None if sketch is None else bytes(sketch.serialize_compact())

    def to_write(self) -> tuple[bytes | None, bytes | None]:
        """What to write over the row that this was read from or written to last.

        A sketch of everything and None; or None and a sketch of what the row's own may lack, which stays as it is.
        """
        whole = self.settled()
        if whole is None or self._recent is None:
            return self.serialize(), None
        return None, bytes(self._recent.serialize_compact())

    def was_written(self) -> None:
        """The row says what `to_write` gave, since when nothing was counted."""
        assert not self.pending, "counted, but not written"
        if self.sketch is not None and self._recent is None:
            self._leave_alone(self.sketch.get_compact_serialization_bytes())

    def estimate(self) -> int:
        """How many distinct texts there were."""
        sketch = self.settled()
        return 0 if sketch is None else round(sketch.get_estimate())

    def add(self, text: str) -> None:
        """Count one text."""
        self.pending.add(text)

    def merge_from(self, other: DistinctCounter) -> None:
        """Count what ``other`` counted, too; ``other`` counts what it did before."""
        if len(other.pending) > _FEW_TEXTS:
            other.settled()
        if other.sketch is not None:
            self._unite(other.sketch)
            self._recent = None
        self.pending |= other.pending
        if len(self.pending) > _FEW_TEXTS:
            self.settled()

    def copy(self) -> DistinctCounter:
        """An independent counter of the same texts, to be written whole."""
        twin = DistinctCounter()
        twin.merge_from(self)
        return twin

    def settled(self) -> hll_sketch | None:
        """The sketch of everything counted so far, None when that is nothing."""
        if self.pending:
            if self.sketch is None:
                self.sketch = hll_sketch(_LG_K, _HLL_TYPE)
            if "" in self.pending:
                self.pending = self.pending - {""} | {_EMPTY_TEXT}
            # Half the time of a loop.
            deque(map(self.sketch.update, self.pending), maxlen=0)
            if self._recent is not None:
                # So many would outgrow it the next time: not worth hashing them twice.
                is_worth_it = 2 * len(self.pending) <= self._room
                if is_worth_it:
                    deque(map(self._recent.update, self.pending), maxlen=0)
                if not is_worth_it or self._recent.get_estimate() > self._room:
                    self._recent = None
            self.pending.clear()
        return self.sketch

    def _leave_alone(self, size_bytes: int) -> None:
        """The row has a sketch of that size."""
        if size_bytes >= _LEAST_LEFT_ALONE:
            self._recent = hll_sketch(_LG_K, _HLL_TYPE)
            self._room = size_bytes // _BYTES_FOR_EACH_RECENT

    def _unite(self, sketch: hll_sketch) -> None:
        union = hll_union(_LG_K)
        if self.sketch is not None:
            union.update(self.sketch)
        union.update(sketch)
        self.sketch = union.get_result(_HLL_TYPE)
