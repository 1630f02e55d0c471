"""Merging many stored rows of one service at once: what `Delta.merge_from` gives row by row, quicker.

Histograms stay texts until there are many and are then added up by numpy; sketches go into one
union. Measured on rows with 300 buckets: 30 us a row instead of 140.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
from datasketches import hll_sketch, hll_union, tgt_hll_type
from numpy.typing import NDArray

from analytics_service.domain.delta import Delta, add_saturating
from analytics_service.domain.sketches import DistinctCounter

MERGED_COLUMNS: Final = (
    "total_requests", "failed_requests", "latency_count", "latency_sum_ms", "latency_min_ms",
    "latency_max_ms", "risk_count", "risk_sum", "high_risk_count",
    "users_sketch", "ips_sketch", "latency_buckets", "latency_bucket_counts",
)  # fmt: skip
"""What `RowMerger.add` takes, the last two as the text of their arrays."""

_FOLDED_AT_ONCE: Final = 64
_LG_K: Final = 12  # as of the stored sketches; a larger one would not lose anything, either


class RowMerger:
    """The union of rows of one service; `written_at` is when the newest of them was written."""

    def __init__(self) -> None:
        self._delta = Delta()
        self._users = _SketchUnion()
        self._ips = _SketchUnion()
        self._histogram = _HistogramSum()
        self.written_at: datetime | None = None

    def add(self, written_at: datetime, row: Sequence[Any]) -> None:
        """Merge one row, given as the values of `MERGED_COLUMNS`."""
        (
            total,
            failed,
            latencies,
            latency_sum,
            low,
            high,
            risks,
            risk_sum,
            high_risk,
            users,
            ips,
            *histogram,
        ) = row
        delta = self._delta
        delta.total += total
        delta.failed += failed
        delta.latency_count += latencies
        delta.latency_sum = add_saturating(delta.latency_sum, latency_sum)
        if low is not None:
            delta.latency_min = low if delta.latency_min is None else min(delta.latency_min, low)
            delta.latency_max = high if delta.latency_max is None else max(delta.latency_max, high)
        delta.risk_count += risks
        delta.risk_sum += risk_sum
        delta.high_risk += high_risk
        self._users.add(users)
        self._ips.add(ips)
        self._histogram.add(*histogram)
        if self.written_at is None or written_at > self.written_at:
            self.written_at = written_at

    def result(self) -> Delta:
        """The sum of all rows so far."""
        self._delta.buckets = self._histogram.result()
        self._delta.users = self._users.result()
        self._delta.ips = self._ips.result()
        return self._delta


class _HistogramSum:
    """Adds up histograms given as the texts of two arrays, `{-3,7}` and `{1,20}`."""

    def __init__(self) -> None:
        self._numbers: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._counts: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._waiting: list[tuple[str, str]] = []

    def add(self, numbers: str, counts: str) -> None:
        """Add one histogram."""
        if numbers != "{}":
            self._waiting.append((numbers[1:-1], counts[1:-1]))
            if len(self._waiting) >= _FOLDED_AT_ONCE:
                self._fold()

    def result(self) -> dict[int, int]:
        """Bucket -> count."""
        self._fold()
        return dict(zip(self._numbers.tolist(), self._counts.tolist(), strict=True))

    def _fold(self) -> None:
        if not self._waiting:
            return
        numbers = np.concatenate((self._numbers, _parsed([pair[0] for pair in self._waiting])))
        counts = np.concatenate((self._counts, _parsed([pair[1] for pair in self._waiting])))
        self._waiting.clear()
        self._numbers, places = np.unique(numbers, return_inverse=True)
        self._counts = np.zeros(len(self._numbers), dtype=np.int64)
        np.add.at(self._counts, places, counts)


def _parsed(texts: list[str]) -> NDArray[np.int64]:
    return np.fromstring(",".join(texts), dtype=np.int64, sep=",")


class _SketchUnion:
    """One union for all sketches; a single sketch stays as it is, with its better estimate."""

    def __init__(self) -> None:
        self._first: bytes | None = None
        self._union: hll_union | None = None

    def add(self, state: memoryview | None) -> None:
        """Add one stored sketch; None is the empty one."""
        if state is None:
            return
        if self._first is None:
            self._first = bytes(state)
            return
        if self._union is None:
            self._union = hll_union(_LG_K)
            self._union.update(hll_sketch.deserialize(self._first))
        self._union.update(hll_sketch.deserialize(bytes(state)))

    def result(self) -> DistinctCounter:
        """The union so far."""
        if self._union is None:
            return DistinctCounter.deserialize(self._first)
        merged = self._union.get_result(tgt_hll_type.HLL_8)
        return DistinctCounter.deserialize(bytes(merged.serialize_compact()))
