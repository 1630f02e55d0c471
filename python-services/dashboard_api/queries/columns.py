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

STATE_COLUMNS = (
    "total_requests", "failed_requests", "latency_min_ms", "latency_max_ms", "high_risk_count",
    "latency_count", "latency_sum_ms", "latency_buckets", "latency_bucket_counts", "risk_count",
    "risk_sum", "users_sketch", "ips_sketch",
)  # fmt: skip
"""What `Delta.from_state` needs to merge rows."""


def names(columns: Sequence[str], table: str | None = None) -> sql.Composed:
    """Column names, quoted, separated by commas, with a table's name before each when given."""
    if table is None:
        return sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL(", ").join(sql.Identifier(table, column) for column in columns)
