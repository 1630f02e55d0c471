"""The last five minutes of every service, and the services that fell silent."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from analytics_service.domain.times import from_epoch_s
from analytics_service.domain.windows import Window
from dashboard_api.kept_parts import KeptParts
from dashboard_api.queries.summary import merged_rows
from dashboard_api.schemas.metrics import SummaryRow
from dashboard_api.schemas.services import ServiceHealth
from dashboard_api.service_status import THRESHOLD_KEYS, WORST_FIRST, Thresholds, status_of

PERIOD = timedelta(minutes=5)
_FIGURES = (
    "total_requests", "failed_requests", "error_rate", "latency_p50_ms", "latency_p95_ms", "latency_p99_ms",
)  # fmt: skip
REMEMBERED = timedelta(days=1)
RECENTLY = timedelta(minutes=2)
"""Of who was seen within it, nothing older is looked up."""
_log = logging.getLogger(__name__)

_LAST_SEEN = sql.SQL(
    """
    SELECT known.service, coalesce(recent.last_seen, (
        SELECT max(fine.timestamp) FROM {fine} AS fine
        WHERE fine.service = known.service AND fine.timestamp BETWEEN %(since)s AND %(now)s
    ))
    FROM (
        SELECT DISTINCT service FROM {coarse} WHERE timestamp BETWEEN %(since)s AND %(now)s
    ) AS known
    LEFT JOIN (
        SELECT service, max(timestamp) AS last_seen FROM {fine}
        WHERE timestamp BETWEEN %(recently)s AND %(now)s GROUP BY service
    ) AS recent ON recent.service = known.service
    """
)


def service_health(
    cursor: Cursor, kept: KeptParts, windows: Sequence[Window], now: datetime
) -> list[ServiceHealth]:
    """A row per service seen within a day, the worst first.

    Figures are of the windows from five minutes ago on, the running one included. A service
    without traffic in them is `unknown`.
    """
    plan, rows = merged_rows(cursor, kept, windows, now - PERIOD, now, None, _FIGURES)
    figures = {row.service: row for row in rows}
    seconds = max((now - from_epoch_s(plan.start_s)).total_seconds(), 1.0)
    limits = stored_thresholds(cursor)
    services = [
        _row(service, figures.get(service), limits, seconds, last_seen)
        for service, last_seen in _last_seen(cursor, windows, now).items()
    ]
    return sorted(services, key=lambda row: _badness(row, limits))


def _row(
    service: str,
    found: SummaryRow | None,
    limits: Thresholds,
    seconds: float,
    last_seen: datetime | None,
) -> ServiceHealth:
    if found is None:
        status = status_of(None, None, limits)
        return ServiceHealth(service, status, 0, 0, None, None, None, None, 0.0, last_seen)
    return ServiceHealth(
        service,
        status_of(found.error_rate, found.latency_p99_ms, limits),
        found.total_requests,
        found.failed_requests,
        found.error_rate,
        found.latency_p50_ms,
        found.latency_p95_ms,
        found.latency_p99_ms,
        found.total_requests / seconds,
        last_seen,
    )


def _badness(row: ServiceHealth, limits: Thresholds) -> tuple[int, float, str]:
    """Order: by status, then by how near the figures are to being unhealthy, then by name."""
    share = max(
        (row.error_rate or 0.0) / max(limits.health_unhealthy_error_rate, 1e-9),
        (row.latency_p99_ms or 0.0) / max(limits.health_unhealthy_p99_ms, 1e-9),
    )
    return WORST_FIRST.index(row.health_status), -share, row.service


def stored_thresholds(cursor: Cursor) -> Thresholds:
    """The thresholds of health in `system_config`, the defaults where it says nothing usable."""
    cursor.execute(
        "SELECT key, value FROM system_config WHERE key = ANY(%s)", (list(THRESHOLD_KEYS),)
    )
    limits, bad = Thresholds.from_config(dict(cursor.fetchall()))
    for key in bad:
        _log.warning("system_config %s is not a number; the default is used", key)
    return limits


def _last_seen(
    cursor: Cursor, windows: Sequence[Window], now: datetime
) -> dict[str, datetime | None]:
    """For each service of the last day the start of its newest window."""
    query = _LAST_SEEN.format(
        fine=sql.Identifier(windows[0].table), coarse=sql.Identifier(windows[-1].table)
    )
    cursor.execute(
        query,
        {
            "since": now - REMEMBERED - timedelta(hours=1),
            "recently": now - RECENTLY,
            "now": now,
        },
    )
    return dict(cursor.fetchall())
