"""One blueprint a resource."""

from __future__ import annotations

from dashboard_api.resources import health, metrics, service_health, stats, summary

BLUEPRINTS = (
    health.blueprint,
    metrics.blueprint,
    summary.blueprint,
    service_health.blueprint,
    stats.blueprint,
)
