"""SQL over the stored windows, fine or coarse as the range shown asks for: at most some hundred points a service."""

from __future__ import annotations

_TABLES = (
    ("analytics_metrics_1min", "interval '0'", "interval '6 hours'"),
    ("analytics_metrics_5min", "interval '6 hours'", "interval '3 days'"),
    ("analytics_metrics_1hour", "interval '3 days'", "interval '100 years'"),
)
# The condition on the length of the range is settled before a table is opened: only one is read.
_ONE = """
    SELECT
        timestamp, service, total_requests, failed_requests, latency_min_ms, latency_max_ms,
        (latency_buckets, latency_bucket_counts)::stacklens.latency_histogram AS latency,
        {seconds} AS seconds
    FROM {table}
    WHERE $__timeFilter(timestamp)
        AND $__timeTo()::timestamptz - $__timeFrom()::timestamptz > {over}
        AND $__timeTo()::timestamptz - $__timeFrom()::timestamptz <= {up_to}"""
_SECONDS = {
    "analytics_metrics_1min": "60.0",
    "analytics_metrics_5min": "300.0",
    "analytics_metrics_1hour": "3600.0",
}


def over_windows(statement: str) -> str:
    """`statement` with the windows of the range as `windows`: timestamp, service, counts, histogram, seconds."""
    parts = [
        _ONE.replace("{table}", table)
        .replace("{over}", over)
        .replace("{up_to}", up_to)
        .replace("{seconds}", _SECONDS[table])
        for table, over, up_to in _TABLES
    ]
    body = "\n    UNION ALL".join(parts)
    return f"WITH windows AS ({body}\n)\n{statement.strip()}"


PERCENTILES = over_windows("""
SELECT
    merged.timestamp AS time,
    stacklens.latency_percentile(
        (merged.latency).buckets, (merged.latency).counts, 0.5, merged.lowest, merged.highest
    ) AS p50,
    stacklens.latency_percentile(
        (merged.latency).buckets, (merged.latency).counts, 0.95, merged.lowest, merged.highest
    ) AS p95,
    stacklens.latency_percentile(
        (merged.latency).buckets, (merged.latency).counts, 0.99, merged.lowest, merged.highest
    ) AS p99
FROM (
    SELECT
        timestamp,
        stacklens.latency_merge(latency) AS latency,
        min(latency_min_ms) AS lowest,
        max(latency_max_ms) AS highest
    FROM windows
    WHERE service IN (${service:sqlstring})
    GROUP BY timestamp
) AS merged
ORDER BY merged.timestamp
""")
"""Percentiles of the chosen services together, over time: of merged histograms."""

REQUESTS = over_windows("""
SELECT timestamp AS time, service AS metric, total_requests / seconds AS value
FROM windows
WHERE service IN (${service:sqlstring})
ORDER BY timestamp, service
""")

ERROR_RATES = over_windows("""
SELECT
    timestamp AS time,
    service AS metric,
    100.0 * failed_requests / nullif(total_requests, 0) AS value
FROM windows
WHERE service IN (${service:sqlstring})
ORDER BY timestamp, service
""")

SLOWEST_OVER_TIME = over_windows("""
SELECT
    timestamp AS time,
    service AS metric,
    stacklens.latency_percentile(
        (latency).buckets, (latency).counts, 0.99, latency_min_ms, latency_max_ms
    ) AS value
FROM windows
WHERE service IN (${service:sqlstring})
ORDER BY timestamp, service
""")

WINDOW_ROWS = over_windows("""
SELECT timestamp AS time, count(*) / max(seconds) AS "window rows a second"
FROM windows
GROUP BY timestamp
ORDER BY timestamp
""")
