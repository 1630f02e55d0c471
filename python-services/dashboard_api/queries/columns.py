"""The columns of the metrics tables that the API reads."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2 import sql

ROW_COLUMNS = (
    "timestamp", "service", "total_requests", "successful_requests", "failed_requests",
    "error_rate", "latency_min_ms", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms",
    "latency_max_ms", "latency_mean_ms", "unique_users", "unique_ips", "avg_risk_score",
    "high_risk_count", "aggregated_at",
)  # fmt: skip
"""One row as clients see it."""

FIGURE_COLUMNS = ROW_COLUMNS[2:-1]
"""Those of it that follow from the events."""


def names(columns: Sequence[str]) -> sql.Composed:
    """Column names, quoted, separated by commas."""
    return sql.SQL(", ").join(map(sql.Identifier, columns))
