"""One blueprint a resource."""

from __future__ import annotations

from dashboard_api.resources import (
    health,
    high_risk,
    metrics,
    series,
    service_health,
    sla,
    stats,
    summary,
    trend,
    worst,
)

BLUEPRINTS = (
    health.blueprint,
    metrics.blueprint,
    summary.blueprint,
    series.blueprint,
    service_health.blueprint,
    trend.blueprint,
    worst.blueprint,
    high_risk.blueprint,
    sla.blueprint,
    stats.blueprint,
)
