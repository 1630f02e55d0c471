"""Every service with its trend of the last half hour and its open alerts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from psycopg2.extensions import cursor as Cursor

from analytics_service.domain.rules import SEVERITIES
from analytics_service.domain.times import epoch_us, from_epoch_s
from analytics_service.domain.windows import Window
from dashboard_api.kept_parts import KeptParts
from dashboard_api.queries.service_health import service_health, stored_thresholds
from dashboard_api.queries.trends import Points, Trends
from dashboard_api.schemas.overview import (
    Freshness,
    OpenAlerts,
    OverviewService,
    StatusCounts,
    Trend,
)
from dashboard_api.schemas.services import HealthStatus, ServiceHealth
from dashboard_api.service_status import Thresholds, overall

TREND_S = 30 * 60
_OPEN = """
    SELECT service, severity, status = 'acknowledged', count(*), min(active_since) FROM analytics_alerts
    WHERE status <> 'resolved' AND status <> 'pending' GROUP BY 1, 2, 3
"""
# Of the topic that exists now. An event that claims to be of the future does not make the others younger.
_FRESHNESS = """
    SELECT extract(epoch FROM clock_timestamp() - min(least(caught_up_at, lag_measured_at)))::float8,
        sum(lag)::bigint
    FROM kafka_offsets WHERE topic = %(topic)s AND topic_incarnation = (
        SELECT max(topic_incarnation) FROM topic_incarnations WHERE topic = %(topic)s
    )
"""


@dataclass(frozen=True, slots=True)
class Brief:
    """What was looked up at one moment, whoever asks."""

    at: datetime
    status: HealthStatus
    counts: StatusCounts
    alerts: dict[str, OpenAlerts]
    freshness: Freshness
    services: list[OverviewService]
    trend_from: datetime
    trend_step_s: int


@dataclass(slots=True)
class _Open:
    """The open alerts of a service that fired: how many by severity, and how many are acknowledged."""

    severities: dict[str, int] = field(default_factory=dict)
    acknowledged: int = 0


def brief(
    cursor: Cursor,
    kept: KeptParts,
    trends: Trends,
    windows: Sequence[Window],
    topic: str,
    now: datetime,
) -> Brief:
    """Services seen within a day, the worst first, with what the page's first line says of them."""
    services = service_health(cursor, kept, windows, now)
    limits = stored_thresholds(cursor)
    step_s = windows[0].seconds
    now_s = epoch_us(now) // 1_000_000
    first_s = (now_s - TREND_S) // step_s * step_s
    points = trends.read(cursor, windows[0], first_s, now_s)
    cursor.execute(_OPEN)
    open_alerts, totals = _open_alerts(cursor.fetchall())
    counts = StatusCounts()
    for row in services:
        setattr(counts, row.health_status, getattr(counts, row.health_status) + 1)
    return Brief(
        now,
        overall(row.health_status for row in services),
        counts,
        totals,
        freshness(cursor, topic),
        [_shown(row, points, limits, open_alerts.get(row.service, _Open())) for row in services],
        from_epoch_s(first_s),
        step_s,
    )


def freshness(cursor: Cursor, topic: str) -> Freshness:
    """How far behind the events of the input topic the tables are."""
    cursor.execute(_FRESHNESS, {"topic": topic})
    ((age_s, lag),) = cursor.fetchall()
    return Freshness(None if age_s is None else max(age_s, 0.0), lag)


def _open_alerts(
    rows: Iterable[Sequence[Any]],
) -> tuple[Mapping[str, _Open], dict[str, OpenAlerts]]:
    of_service: dict[str, _Open] = {}
    totals: dict[str, OpenAlerts] = {each: OpenAlerts(0, 0, None) for each in reversed(SEVERITIES)}
    for service, severity, is_acknowledged, count, since in rows:
        found = of_service.setdefault(service, _Open())
        found.severities[severity] = found.severities.get(severity, 0) + count
        total = totals[severity]
        if is_acknowledged:
            found.acknowledged += count
            total.acknowledged += count
        else:
            total.active += count
        total.since = since if total.since is None else min(total.since, since)
    return of_service, totals


def _shown(
    row: ServiceHealth,
    points: Mapping[str, Points],
    limits: Thresholds,
    alerts: _Open,
) -> OverviewService:
    rates, latencies = points.get(row.service, ([], []))
    error_limit, p99_limit = limits.health_degraded_error_rate, limits.health_degraded_p99_ms
    by_latency = _nearness(latencies, row.latency_p99_ms, p99_limit) > max(
        _nearness(rates, row.error_rate, error_limit), 0.5
    )
    trend = (
        Trend("latency_p99_ms", p99_limit, latencies)
        if by_latency
        else Trend("error_rate", error_limit, rates)
    )
    worst = max(alerts.severities, key=SEVERITIES.index, default=None)
    return OverviewService(
        **msgspec.structs.asdict(row),
        trend=trend,
        alert_severity=worst,
        alerts=sum(alerts.severities.values()),
        alerts_acknowledged=alerts.acknowledged,
    )


def _nearness(points: Sequence[float | None], current: float | None, limit: float) -> float:
    """How near the figure is, or was in the half hour, to its threshold: above 1 it is past it."""
    highest = max((point for point in points if point is not None), default=0.0)
    return max(highest / 2, current or 0.0) / max(limit, 1e-9)
