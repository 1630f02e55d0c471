"""One blueprint a resource."""

from __future__ import annotations

from dashboard_api.resources import (
    adhoc,
    alert_hands,
    alert_stats,
    alerts,
    audit,
    channel_test,
    health,
    high_risk,
    metrics,
    rule_changes,
    rules,
    series,
    service_health,
    silence_changes,
    silences,
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
    alerts.blueprint,
    alert_hands.blueprint,
    channel_test.blueprint,
    rules.blueprint,
    rule_changes.blueprint,
    silences.blueprint,
    silence_changes.blueprint,
    alert_stats.blueprint,
    audit.blueprint,
    adhoc.blueprint,
    stats.blueprint,
)
