"""Window rows filled by hand from samples, and what any range over them must give; nothing of the product is used."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg2 import sql
from psycopg2.extras import execute_values

from tests.databases import Database
from tests.reference.brute_force import nearest_rank

SECONDS = {"1min": 60, "5min": 300, "1hour": 3600, "1day": 86_400}
ACCURACY = 0.009
GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
ZERO_BUCKET = -1_000_000
COLUMNS = (
    "timestamp", "service", "total_requests", "successful_requests", "failed_requests", "error_rate",
    "latency_min_ms", "latency_max_ms", "latency_p99_ms", "latency_count", "latency_sum_ms", "latency_buckets",
    "latency_bucket_counts", "risk_count", "risk_sum", "high_risk_count",
)  # fmt: skip


@dataclass(frozen=True)
class Sample:
    """One event: epoch seconds, service, and what counts."""

    at_s: int
    service: str
    latency_ms: float | None = None
    failed: bool = False
    risk: float | None = None


@dataclass(frozen=True)
class Total:
    """What the samples of one service in a range come to."""

    total: int
    failed: int
    latencies: tuple[float, ...]
    high_risk: int

    @property
    def lowest(self) -> float | None:
        """The least latency."""
        return self.latencies[0] if self.latencies else None

    @property
    def highest(self) -> float | None:
        """The greatest latency."""
        return self.latencies[-1] if self.latencies else None

    def percentile(self, percent: int) -> float | None:
        """Nearest rank over the latencies themselves."""
        return nearest_rank(list(self.latencies), percent)


def moment(epoch_s: float) -> datetime:
    """A moment in UTC."""
    return datetime.fromtimestamp(epoch_s, UTC)


def totals(samples: Iterable[Sample], since_s: float, until_s: float) -> dict[str, Total]:
    """For each service with samples in [since_s, until_s) what they come to."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        if since_s <= sample.at_s < until_s:
            found.setdefault(sample.service, []).append(sample)
    return {service: _total(group) for service, group in found.items()}


def fill(database: Database, window: str, samples: Sequence[Sample]) -> None:
    """Write the rows of one window size."""
    cells: dict[tuple[int, str], list[Sample]] = {}
    for sample in samples:
        start = sample.at_s - sample.at_s % SECONDS[window]
        cells.setdefault((start, sample.service), []).append(sample)
    insert = sql.SQL("INSERT INTO {} ({}) VALUES %s").format(
        sql.Identifier(f"analytics_metrics_{window}"),
        sql.SQL(", ").join(map(sql.Identifier, COLUMNS)),
    )
    with database.cursor() as cursor:
        rows = [_row(start, group) for (start, _), group in cells.items()]
        execute_values(cursor, insert, rows, page_size=1000)


def _row(start: int, group: Sequence[Sample]) -> tuple[object, ...]:
    total = _total(group)
    risks = [sample.risk for sample in group if sample.risk is not None]
    buckets = sorted(Counter(map(_bucket, total.latencies)).items())
    return (
        moment(start),
        group[0].service,
        total.total,
        total.total - total.failed,
        total.failed,
        100 * total.failed / total.total,
        total.lowest,
        total.highest,
        total.percentile(99),
        len(total.latencies),
        math.fsum(total.latencies),
        [number for number, _ in buckets],
        [count for _, count in buckets],
        len(risks),
        math.fsum(risks),
        total.high_risk,
    )


def _total(group: Sequence[Sample]) -> Total:
    return Total(
        total=len(group),
        failed=sum(sample.failed for sample in group),
        latencies=tuple(sorted(s.latency_ms for s in group if s.latency_ms is not None)),
        high_risk=sum(sample.risk is not None and sample.risk > 0.8 for sample in group),
    )


def _bucket(latency_ms: float) -> int:
    """The first bucket whose upper bound is not below the latency."""
    return ZERO_BUCKET if latency_ms == 0 else math.ceil(math.log(latency_ms) / math.log(GAMMA))
