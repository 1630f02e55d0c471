"""The services that fail most and those that are slowest, over any range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from psycopg2.extensions import cursor as Cursor

from analytics_service.domain.windows import Window
from dashboard_api.kept_parts import KeptParts
from dashboard_api.queries.counts import Counts, count_range
from dashboard_api.queries.merged import kept_since, levels_of, whole_seconds, with_merged_days
from dashboard_api.queries.summary import merged_pieces
from dashboard_api.ranges import Plan, plan_range
from dashboard_api.schemas.metrics import SummaryRow

LONG = timedelta(hours=12)
"""A range at least so long is rounded outwards to the longest windows: their edges would cost more than they tell."""
# Two windows may give one and the same bucket of latencies values that differ by this factor.
_WITHIN_A_BUCKET = 1.02
_FIGURES = (
    "latency_p50_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "latency_max_ms",
    "latency_mean_ms",
)


def plan_of(cursor: Cursor, windows: Sequence[Window], since: datetime, until: datetime) -> Plan:
    """The range, rounded outwards to the finest windows or, when it is long, to the longest."""
    levels = levels_of(windows[-1:] if until - since >= LONG else windows)
    plan = plan_range(*whole_seconds(since, until), levels, kept_since(cursor))
    return replace(plan, pieces=with_merged_days(cursor, plan.pieces))


def most_failing(
    cursor: Cursor, plan: Plan, services: list[str] | None, limit: int, threshold: float
) -> list[Counts]:
    """At most `limit` services with failures and an error rate above `threshold` percent, the most first."""
    found = [
        counts
        for counts in count_range(cursor, plan, services)
        if counts.failed and counts.error_rate > threshold
    ]
    found.sort(key=lambda counts: (-counts.failed, -counts.error_rate, counts.service))
    return found[:limit]


def slowest(
    cursor: Cursor,
    kept: KeptParts,
    plan: Plan,
    services: list[str] | None,
    limit: int,
    threshold: float,
) -> list[SummaryRow]:
    """At most `limit` services with a p99 above `threshold` ms, the slowest first; uniques are not looked up.

    The p99 of a union is at most the highest p99 of its parts. So histograms are merged only of the
    services that are highest by that, until those left cannot come among the first any more.
    """
    candidates = [
        (counts.highest_p99_ms * _WITHIN_A_BUCKET, counts.service)
        for counts in count_range(cursor, plan, services)
        if counts.highest_p99_ms is not None
        and counts.highest_p99_ms * _WITHIN_A_BUCKET > threshold
    ]
    candidates.sort(reverse=True)
    found: list[SummaryRow] = []
    for first in range(0, len(candidates), limit):
        if len(found) == limit and _p99(found[-1]) > candidates[first][0]:
            break
        batch = [service for _, service in candidates[first : first + limit]]
        rows = merged_pieces(cursor, kept, plan, batch, _FIGURES)
        found += [row for row in rows if _p99(row) > threshold]
        found.sort(key=lambda row: (-_p99(row), -(row.latency_p95_ms or 0), row.service))
        del found[limit:]
    return found


def _p99(row: SummaryRow) -> float:
    return -1.0 if row.latency_p99_ms is None else row.latency_p99_ms
