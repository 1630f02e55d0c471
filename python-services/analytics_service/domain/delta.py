"""What is known about the events of one service in one window, and how two such sums merge."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from analytics_service.domain.sketches import DistinctCounter, Histogram, percentiles


def add_saturating(one: float, other: float) -> float:
    """The sum of two non-negative floats, at most the largest float.

    A sum of latencies near 1e308 would overflow to infinity, which no figure should be; saturating
    keeps merging associative. The mean of such a window is too low, everything else is right.
    """
    return min(one + other, sys.float_info.max)


@dataclass(slots=True)
class Delta:
    """Counts, sums, extremes and sketches of a set of events; merging is the union of the sets.

    Latencies in milliseconds; ``latency_min`` and ``latency_max`` are None when no event has one.
    """

    total: int = 0
    failed: int = 0
    latency_count: int = 0
    latency_sum: float = 0.0
    latency_min: float | None = None
    latency_max: float | None = None
    latencies: Histogram = field(default_factory=Histogram)
    risk_count: int = 0
    risk_sum: float = 0.0
    high_risk: int = 0
    users: DistinctCounter = field(default_factory=DistinctCounter)
    ips: DistinctCounter = field(default_factory=DistinctCounter)

    def merge_from(self, other: "Delta") -> None:
        """Add the events of ``other``, which stays as it is."""
        self.total += other.total
        self.failed += other.failed
        self.latency_count += other.latency_count
        self.latency_sum = add_saturating(self.latency_sum, other.latency_sum)
        if other.latency_min is not None:
            lowest = self.latency_min
            self.latency_min = (
                other.latency_min if lowest is None else min(lowest, other.latency_min)
            )
        if other.latency_max is not None:
            highest = self.latency_max
            self.latency_max = (
                other.latency_max if highest is None else max(highest, other.latency_max)
            )
        self.latencies.merge_from(other.latencies)
        self.risk_count += other.risk_count
        self.risk_sum += other.risk_sum
        self.high_risk += other.high_risk
        self.users.merge_from(other.users)
        self.ips.merge_from(other.ips)

    def copy(self) -> "Delta":
        """An independent delta of the same events."""
        twin = Delta()
        twin.merge_from(self)
        return twin

    @classmethod
    def from_state(cls, row: Mapping[str, Any]) -> Self:
        """The delta that a row of a metrics table says, to be written anywhere."""
        return cls._read(row, DistinctCounter.deserialize)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The same, to be written over this very row: what its sketches lack is known."""
        return cls._read(row, DistinctCounter.of_row)

    @classmethod
    def _read(
        cls,
        row: Mapping[str, Any],
        counter: Callable[[memoryview | None, memoryview | None], DistinctCounter],
    ) -> Self:
        return cls(
            total=row["total_requests"],
            failed=row["failed_requests"],
            latency_count=row["latency_count"],
            latency_sum=row["latency_sum_ms"],
            latency_min=row["latency_min_ms"],
            latency_max=row["latency_max_ms"],
            latencies=Histogram.of(
                row["latency_buckets"] or (), row["latency_bucket_counts"] or ()
            ),
            risk_count=row["risk_count"],
            risk_sum=row["risk_sum"],
            high_risk=row["high_risk_count"],
            users=counter(row["users_sketch"], row["users_recent"]),
            ips=counter(row["ips_sketch"], row["ips_recent"]),
        )

    def to_state(self) -> dict[str, Any]:
        """Every column of a metrics row that follows from the events, by its name.

        That is all but the key (timestamp, service), ``aggregated_at`` and ``revision``. Latency
        and risk figures are None when no event carries one; ``error_rate`` is in percent. The
        sketches are whole, so what was counted since they were written (``_recent``) is None.
        """
        numbers, counts = self.latencies.numbers.tolist(), self.latencies.counts.tolist()
        return {
            **self.figures_over(numbers, counts),
            "latency_count": self.latency_count,
            "latency_sum_ms": self.latency_sum,
            "latency_buckets": numbers,
            "latency_bucket_counts": counts,
            "risk_count": self.risk_count,
            "risk_sum": self.risk_sum,
            "users_sketch": self.users.serialize(),
            "users_recent": None,
            "ips_sketch": self.ips.serialize(),
            "ips_recent": None,
        }

    def was_written(self) -> None:
        """It was written to its row, sketches as `DistinctCounter.to_write` gave them, and nothing was merged since."""
        self.users.was_written()
        self.ips.was_written()

    def figures(self) -> dict[str, Any]:
        """Those columns of `to_state` that people read, without the state they are computed from."""
        return self.figures_over(self.latencies.numbers, self.latencies.counts)

    def figures_over(self, numbers: Sequence[int], counts: Sequence[int]) -> dict[str, Any]:
        """The same over a histogram given as its buckets, ascending, and their counts, instead of ``latencies``."""
        lowest, p50, p95, p99, highest, mean = self._latency_figures(numbers, counts)
        return {
            "total_requests": self.total,
            "successful_requests": self.total - self.failed,
            "failed_requests": self.failed,
            "error_rate": 100.0 * self.failed / self.total if self.total else 0.0,
            "latency_min_ms": lowest,
            "latency_p50_ms": p50,
            "latency_p95_ms": p95,
            "latency_p99_ms": p99,
            "latency_max_ms": highest,
            "latency_mean_ms": mean,
            "unique_users": self.users.estimate(),
            "unique_ips": self.ips.estimate(),
            "avg_risk_score": self.risk_sum / self.risk_count if self.risk_count else None,
            "high_risk_count": self.high_risk,
        }

    def _latency_figures(
        self, numbers: Sequence[int], counts: Sequence[int]
    ) -> tuple[float | None, ...]:
        """Least, p50, p95, p99, greatest, mean."""
        lowest, highest = self.latency_min, self.latency_max
        if lowest is None or highest is None:
            return None, None, None, None, None, None
        middle = percentiles(numbers, counts, (50, 95, 99), lowest, highest)
        mean = self.latency_sum / self.latency_count
        # Rounding may carry the mean of equal values beyond them.
        mean = lowest if mean < lowest else highest if mean > highest else mean
        return lowest, *middle, highest, mean
