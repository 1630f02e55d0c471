"""Is what a run left in the database right? Asked before its figure counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection

from bench.errors import WrongResult
from bench.truth import WINDOWS, Figures, Key, differences

SHOWN = 8
_FIGURES = sql.SQL(
    """
    SELECT service, extract(epoch FROM timestamp)::bigint, total_requests, failed_requests, high_risk_count,
        latency_min_ms, latency_max_ms, latency_mean_ms, latency_p50_ms, latency_p95_ms, latency_p99_ms,
        unique_users, unique_ips
    FROM {}
    """
)


def verify_raw_rows(conn: connection, sent: Mapping[int, int]) -> None:
    """Every (partition, offset) sent is there once and nothing else; `sent`: events by partition.

    Raises WrongResult.
    """
    with conn.cursor() as cur:
        cur.execute(
            """
            SELECT kafka_partition, count(*), count(DISTINCT kafka_offset), min(kafka_offset), max(kafka_offset)
            FROM analytics_events GROUP BY kafka_partition ORDER BY kafka_partition
            """
        )
        found = cur.fetchall()
    expected = [(part, n, n, 0, n - 1) for part, n in sorted(sent.items()) if n]
    if found != expected:
        raise WrongResult(
            "raw rows as (partition, rows, distinct offsets, first, last): "
            f"{found}, expected {expected}"
        )


def verify_totals(conn: connection, events: int, before: Mapping[str, int] | None = None) -> None:
    """The counts of each window table add up to `events` and what was there `before`. Raises WrongResult."""
    for window in WINDOWS:
        found = total_events(conn, window) - (0 if before is None else before[window])
        if found != events:
            raise WrongResult(f"the {window} windows add up to {found}, not to {events}")


def total_events(conn: connection, window: str) -> int:
    """What the counts of a window's table add up to."""
    statement = sql.SQL("SELECT coalesce(sum(total_requests), 0)::bigint FROM {}")
    with conn.cursor() as cur:
        cur.execute(statement.format(_table(window)))
        ((total,),) = cur.fetchall()
    return int(total)


def verify_windows(conn: connection, expected: Mapping[str, Mapping[Key, Figures]]) -> int:
    """Every row of the window tables equals the brute-force pass; returns how many rows. Raises WrongResult."""
    rows = 0
    for window, figures in expected.items():
        with conn.cursor() as cur:
            cur.execute(_FIGURES.format(_table(window)))
            found = {(row[0], int(row[1])): _figures(row[2:]) for row in cur.fetchall()}
        problems = differences(figures, found)
        if problems:
            shown = "".join(f"\n  {window} {text}" for text in problems[:SHOWN])
            raise WrongResult(f"{len(problems)} differences from the brute-force pass:{shown}")
        rows += len(found)
    return rows


def _table(window: str) -> sql.Identifier:
    return sql.Identifier(f"analytics_metrics_{window}")


def _figures(row: tuple[Any, ...]) -> Figures:
    total, failed, high_risk, low, high, mean, p50, p95, p99, users, addresses = row
    return Figures(total, failed, high_risk, low, high, mean, (p50, p95, p99), users, addresses)
