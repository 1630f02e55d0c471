"""What `Delta.to_state` says of one delta, of many at once: a column of each figure.

A flush of many services writes a row of each of them for three windows, and one by one they take most of its time.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from analytics_service.domain.delta import Delta
from analytics_service.domain.sketches import bucket_value

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Histograms:
    """The latency histograms of some deltas, one behind the other.

    ``bounds``: where each begins in ``numbers`` and ``counts``, and where the last one ends.
    """

    __slots__ = ("_upto", "bounds", "counts", "numbers")

    def __init__(self, deltas: Sequence[Delta]) -> None:
        lengths = [len(delta.latencies.numbers) for delta in deltas]
        self.bounds: Ints = np.array(list(accumulate(lengths, initial=0)), np.int64)
        self.numbers = _joined([delta.latencies.numbers for delta in deltas])
        self.counts = _joined([delta.latencies.counts for delta in deltas])
        self._upto: Ints = np.concatenate((np.zeros(1, np.int64), np.cumsum(self.counts)))

    def percentiles(self, *percents: int) -> list[Floats]:
        """What `sketches.percentiles` gives for each, extremes not looked at; NaN for one of nothing."""
        found = np.full((len(percents), len(self.bounds) - 1), np.nan)
        filled = np.flatnonzero(np.diff(self.bounds))
        before = self._upto[self.bounds]
        totals = np.diff(before)
        ranks = np.stack([before[:-1] - (-percent * totals) // 100 for percent in percents])
        buckets = self.numbers[np.searchsorted(self._upto[1:], ranks[:, filled])]
        # Not numpy's `exp`, which may differ in the last place: a row says the same whoever computes it.
        values = list(map(bucket_value, buckets.ravel().tolist()))
        found[:, filled] = np.array(values).reshape(buckets.shape)
        return list(found)


def figure_columns(deltas: Sequence[Delta], histograms: Histograms) -> dict[str, Ints | Floats]:
    """The numbers of `Delta.to_state` by their names, each in an array that runs beside ``deltas``.

    ``histograms`` are theirs. NaN stands for None; no figure is a NaN.
    """
    total = _ints(deltas, lambda delta: delta.total)
    failed = _ints(deltas, lambda delta: delta.failed)
    count = _ints(deltas, lambda delta: delta.latency_count)
    summed = _floats(deltas, lambda delta: delta.latency_sum)
    lowest = _floats(deltas, lambda delta: delta.latency_min)
    highest = _floats(deltas, lambda delta: delta.latency_max)
    risks = _ints(deltas, lambda delta: delta.risk_count)
    risk = _floats(deltas, lambda delta: delta.risk_sum)

    p50, p95, p99 = histograms.percentiles(50, 95, 99)

    def inside(values: Floats) -> Floats:
        bounded: Floats = np.minimum(np.maximum(values, lowest), highest)
        return bounded

    return {
        "total_requests": total,
        "successful_requests": total - failed,
        "failed_requests": failed,
        "error_rate": 100.0 * failed / np.maximum(total, 1),
        "latency_min_ms": lowest,
        "latency_p50_ms": inside(p50),
        "latency_p95_ms": inside(p95),
        "latency_p99_ms": inside(p99),
        "latency_max_ms": highest,
        "latency_mean_ms": inside(summed / np.maximum(count, 1)),
        "unique_users": _ints(deltas, lambda delta: delta.users.estimate()),
        "unique_ips": _ints(deltas, lambda delta: delta.ips.estimate()),
        "avg_risk_score": np.where(risks > 0, risk / np.maximum(risks, 1), np.nan),
        "high_risk_count": _ints(deltas, lambda delta: delta.high_risk),
        "latency_count": count,
        "latency_sum_ms": summed,
        "risk_count": risks,
        "risk_sum": risk,
    }


def _joined(arrays: Sequence[array[int]]) -> Ints:
    joined: Ints = np.frombuffer(b"".join(arrays), np.int64)
    return joined


def _ints(deltas: Sequence[Delta], figure: Callable[[Delta], int]) -> Ints:
    return np.array(list(map(figure, deltas)), np.int64)


def _floats(deltas: Sequence[Delta], figure: Callable[[Delta], float | None]) -> Floats:
    # None is NaN in an array of floats.
    return np.array(list(map(figure, deltas)), np.float64)
