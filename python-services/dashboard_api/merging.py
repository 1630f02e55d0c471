"""Merging many stored rows of one service at once: what `Delta.merge_from` gives row by row, quicker.

Histograms stay texts until there are many and are then added up by numpy; sketches go into one
union. Measured on rows with 300 buckets: 30 us a row instead of 140. What has been merged can be kept as a `Part`
and merged into something else later, which gives what merging its rows would give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
from datasketches import hll_sketch, hll_union, tgt_hll_type
from numpy.typing import NDArray

from analytics_service.domain.delta import Delta, add_saturating
from analytics_service.domain.sketches import DistinctCounter, Histogram

MERGED_COLUMNS: Final = (
    "total_requests", "failed_requests", "latency_count", "latency_sum_ms", "latency_min_ms",
    "latency_max_ms", "risk_count", "risk_sum", "high_risk_count",
    "users_sketch", "users_recent", "ips_sketch", "ips_recent", "latency_buckets", "latency_bucket_counts",
)  # fmt: skip
"""What `RowMerger.add` takes, the last two as the text of their arrays."""

_FOLDED_AT_ONCE: Final = 64
_DENSE: Final = 5_000  # so many buckets, side by side, are added up without sorting
_LG_K: Final = 12  # as of the stored sketches; a larger one would not lose anything, either


@dataclass(frozen=True, slots=True)
class Part:
    """The union of some rows of one service, not to be changed. `counts` are those of Delta's fields that add up."""

    written_at: datetime | None
    counts: tuple[int, int, int, float, int, float, int]
    extremes: tuple[float | None, float | None]
    numbers: NDArray[np.int64]
    amounts: NDArray[np.int64]
    users: hll_sketch | None
    ips: hll_sketch | None


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
            users_recent,
            ips,
            ips_recent,
            *histogram,
        ) = row
        self._count(total, failed, latencies, latency_sum, risks, risk_sum, high_risk)
        self._stretch(low, high)
        self._users.add(users)
        self._users.add(users_recent)
        self._ips.add(ips)
        self._ips.add(ips_recent)
        self._histogram.add(*histogram)
        self._wrote(written_at)

    def add_part(self, part: Part) -> None:
        """Merge what has been merged before."""
        self._count(*part.counts)
        self._stretch(*part.extremes)
        self._users.add_sketch(part.users)
        self._ips.add_sketch(part.ips)
        self._histogram.add_numbers(part.numbers, part.amounts)
        if part.written_at is not None:
            self._wrote(part.written_at)

    def part(self) -> Part:
        """The sum of all rows so far, to be merged into others; nothing may be added here any more."""
        delta = self._delta
        return Part(
            self.written_at,
            (
                delta.total,
                delta.failed,
                delta.latency_count,
                delta.latency_sum,
                delta.risk_count,
                delta.risk_sum,
                delta.high_risk,
            ),
            (delta.latency_min, delta.latency_max),
            *self._histogram.arrays(),
            self._users.sketch(),
            self._ips.sketch(),
        )

    def _count(
        self,
        total: int,
        failed: int,
        latencies: int,
        latency_sum: float,
        risks: int,
        risk_sum: float,
        high_risk: int,
    ) -> None:
        delta = self._delta
        delta.total += total
        delta.failed += failed
        delta.latency_count += latencies
        delta.latency_sum = add_saturating(delta.latency_sum, latency_sum)
        delta.risk_count += risks
        delta.risk_sum += risk_sum
        delta.high_risk += high_risk

    def _stretch(self, low: float | None, high: float | None) -> None:
        delta = self._delta
        if low is not None and high is not None:
            delta.latency_min = low if delta.latency_min is None else min(delta.latency_min, low)
            delta.latency_max = high if delta.latency_max is None else max(delta.latency_max, high)

    def _wrote(self, written_at: datetime) -> None:
        if self.written_at is None or written_at > self.written_at:
            self.written_at = written_at

    def figures(self) -> dict[str, Any]:
        """The figures that clients see of the sum of all rows so far, by name."""
        numbers, counts = self._histogram.arrays()
        figures = self._delta.figures_over(numbers.tolist(), counts.tolist())
        return figures | {
            "unique_users": self._users.estimate(),
            "unique_ips": self._ips.estimate(),
        }

    def result(self) -> Delta:
        """The sum of all rows so far."""
        self._delta.latencies = self._histogram.result()
        self._delta.users = self._users.result()
        self._delta.ips = self._ips.result()
        return self._delta


class _HistogramSum:
    """Adds up histograms given as the texts of two arrays, `{-3,7}` and `{1,20}`."""

    def __init__(self) -> None:
        self._numbers: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._counts: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._waiting: list[tuple[str, str]] = []
        self._added: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []

    def add(self, numbers: str, counts: str) -> None:
        """Add one histogram."""
        if numbers != "{}":
            self._waiting.append((numbers[1:-1], counts[1:-1]))
            if len(self._waiting) >= _FOLDED_AT_ONCE:
                self._fold()

    def add_numbers(self, numbers: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        """Add one that has been added up before."""
        self._added.append((numbers, counts))

    def result(self) -> Histogram:
        """The sum."""
        numbers, counts = self.arrays()
        return Histogram.of(numbers.tolist(), counts.tolist())

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The buckets, ascending, and their counts."""
        self._fold()
        return self._numbers, self._counts

    def _fold(self) -> None:
        if self._waiting:
            numbers = _parsed([pair[0] for pair in self._waiting])
            counts = _parsed([pair[1] for pair in self._waiting])
            self._added.append((numbers, counts))
            self._waiting.clear()
        if not self._added:
            return
        if len(self._numbers):
            self._added.append((self._numbers, self._counts))
        if len(self._added) == 1 and _ascends(self._added[0][0]):
            self._numbers, self._counts = self._added[0]
        else:
            self._numbers, self._counts = _sum(self._added)
        self._added.clear()


def _sum(
    histograms: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    numbers = np.concatenate([numbers for numbers, _ in histograms])
    counts = np.concatenate([counts for _, counts in histograms])
    lowest = int(numbers.min())
    if int(numbers.max()) - lowest < _DENSE:
        # Whole numbers stay exact in floats up to 2**53.
        dense = np.bincount(numbers - lowest, weights=counts)
        places = dense.nonzero()[0]
        return places + lowest, dense[places].astype(np.int64)
    found, places = np.unique(numbers, return_inverse=True)
    sums = np.zeros(len(found), dtype=np.int64)
    np.add.at(sums, places, counts)
    return found, sums


def _ascends(numbers: NDArray[np.int64]) -> bool:
    return bool((numbers[1:] > numbers[:-1]).all())


def _parsed(texts: Sequence[str]) -> NDArray[np.int64]:
    return np.fromstring(",".join(texts), dtype=np.int64, sep=",")


class _SketchUnion:
    """One union for all sketches; a single sketch stays as it is, with its better estimate."""

    def __init__(self) -> None:
        self._first: hll_sketch | None = None
        self._union: hll_union | None = None

    def add(self, state: memoryview | None) -> None:
        """Add one stored sketch; None is the empty one."""
        if state is not None:
            self.add_sketch(hll_sketch.deserialize(bytes(state)))

    def add_sketch(self, sketch: hll_sketch | None) -> None:
        """Add one, which stays as it is; None is the empty one."""
        if sketch is None:
            return
        if self._first is None:
            self._first = sketch
            return
        if self._union is None:
            self._union = hll_union(_LG_K)
            self._union.update(self._first)
        self._union.update(sketch)

    def sketch(self) -> hll_sketch | None:
        """The union so far; None: nothing was added."""
        if self._union is None:
            return self._first
        return self._union.get_result(tgt_hll_type.HLL_8)

    def estimate(self) -> int:
        """How many distinct texts there were; without making a sketch of the union, which costs as much again."""
        union = self._first if self._union is None else self._union
        return 0 if union is None else round(union.get_estimate())

    def result(self) -> DistinctCounter:
        """The union so far; of a sketch that only this has."""
        return DistinctCounter((), self.sketch())
