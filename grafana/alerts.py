"""Alerts: what fires, how long it takes until it is over, and whether people are told."""

from __future__ import annotations

from grafana.dashboard import Dashboard
from grafana.panels import Panel, prom, rows, series

STATES = """
SELECT listed.status, count(alert.id) AS alerts
FROM unnest(ARRAY['active', 'acknowledged', 'pending']) WITH ORDINALITY AS listed (status, place)
LEFT JOIN analytics_alerts AS alert ON alert.status = listed.status
GROUP BY listed.status, listed.place
ORDER BY listed.place
"""
SEVERITIES = """
SELECT listed.severity, count(alert.id) AS alerts
FROM unnest(ARRAY['critical', 'warning', 'info']) WITH ORDINALITY AS listed (severity, place)
LEFT JOIN analytics_alerts AS alert
    ON alert.severity = listed.severity AND alert.status IN ('active', 'acknowledged')
GROUP BY listed.severity, listed.place
ORDER BY listed.place
"""
OPEN = """
SELECT
    active_since AS since, severity, service, rule_name AS rule, status, value, threshold,
    acknowledged_by AS "acknowledged by"
FROM analytics_alerts
WHERE status IN ('active', 'acknowledged')
ORDER BY array_position(ARRAY['critical', 'warning', 'info'], severity), active_since, id
LIMIT 100
"""
RESOLUTION = """
SELECT
    severity,
    count(*) AS resolved,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS median,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) AS p95,
    max(seconds) AS longest
FROM (
    SELECT severity, extract(epoch FROM resolved_at - active_since)::double precision AS seconds
    FROM analytics_alerts
    WHERE status = 'resolved' AND $__timeFilter(resolved_at)
) AS over
GROUP BY severity
ORDER BY array_position(ARRAY['critical', 'warning', 'info'], severity)
"""
RESOLUTION_OVER_TIME = """
SELECT
    resolved_at AS time,
    severity AS metric,
    extract(epoch FROM resolved_at - active_since)::double precision AS value
FROM analytics_alerts
WHERE status = 'resolved' AND $__timeFilter(resolved_at)
ORDER BY resolved_at
LIMIT 5000
"""
TRIGGERED = """
SELECT
    date_bin(
        greatest(
            ($__timeTo()::timestamptz - $__timeFrom()::timestamptz) / 120, interval '1 minute'
        ),
        history.at,
        $__timeFrom()::timestamptz
    ) AS time,
    alert.severity AS metric,
    count(*) AS value
FROM analytics_alert_history AS history
INNER JOIN analytics_alerts AS alert ON alert.id = history.alert_id
WHERE history.to_status = 'active' AND history.from_status <> 'acknowledged'
    AND $__timeFilter(history.at)
GROUP BY 1, 2
ORDER BY 1, 2
"""
BUSIEST = """
SELECT alert.rule_name AS rule, alert.service, count(*) AS triggered
FROM analytics_alert_history AS history
INNER JOIN analytics_alerts AS alert ON alert.id = history.alert_id
WHERE history.to_status = 'active' AND $__timeFilter(history.at)
GROUP BY alert.rule_name, alert.service
ORDER BY count(*) DESC, alert.rule_name, alert.service
LIMIT 20
"""
UNTOLD = """
SELECT
    delivery.created_at AS since, delivery.channel, episode.service, episode.rule_name AS rule,
    delivery.status, delivery.attempts, delivery.next_try_at AS "next try", delivery.last_error AS "last error"
FROM alert_deliveries AS delivery
INNER JOIN notified_episodes AS episode ON episode.episode_id = delivery.episode_id
WHERE delivery.status = 'failed' OR (delivery.status = 'pending' AND delivery.attempts > 0)
ORDER BY delivery.created_at DESC
LIMIT 50
"""
RESULTS = "sum by (channel, result) (increase(stacklens_deliveries_total[$__rate_interval]))"
EVALUATION = "sum by (le) (rate(stacklens_evaluation_seconds_bucket[$__rate_interval]))"
TIMES = {"median": "s", "p95": "s", "longest": "s"}

PANELS = (
    Panel("Alerts now", "bargauge", [rows(STATES)], 6, limits=((1, "orange"),)),
    Panel(
        "Alerts by severity", "bargauge", [rows(SEVERITIES)], 6, limits=((1, "orange"),),
        description="Active or acknowledged.",
    ),
    Panel("Resolution time", "table", [rows(RESOLUTION)], 12, minimum=None, units=TIMES,
        description="From firing until it was over, of alerts that ended in the range shown.",
    ),
    Panel("Open alerts", "table", [rows(OPEN)], 24, minimum=None),
    Panel(
        "Alerts triggered", "timeseries", [series(TRIGGERED)],
        description="In each of 120 parts of the range, at least a minute long.",
    ),
    Panel("Resolution time of each alert", "timeseries", [series(RESOLUTION_OVER_TIME)], unit="s"),
    Panel("Rules that fire most", "table", [rows(BUSIEST)], minimum=None),
    Panel(
        "Evaluation of the rules", "timeseries",
        [
            prom(f"histogram_quantile({q}, {EVALUATION})", f"p{q[2:]:0<2}") for q in ("0.5", "0.99")
        ],
        unit="s",
        description="One look at all rules; promised is less than a second for 1,000 services x 20 rules.",
    ),
    Panel("Deliveries", "timeseries", [prom(RESULTS, "{{channel}}: {{result}}")]),
    Panel(
        "Deliveries that wait", "timeseries",
        [
            prom("max by (channel) (stacklens_delivery_oldest_seconds)", "{{channel}}"),
            prom("max(stacklens_outbox_oldest_seconds)", "outbox"),
        ],
        unit="s",
        description="Age of the oldest that is to be tried again; outbox: of the oldest that the broker lacks.",
    ),
    Panel(
        "Not told yet, or given up", "table", [rows(UNTOLD)], 24, minimum=None,
        description="The reason is in the last column; stacklens alerts show has the rest.",
    ),
)  # fmt: skip

ALERTS = Dashboard(
    "stacklens-alerts",
    "StackLens: alerts",
    "Alerts about the services, and whether they reached anybody.",
    PANELS,
    since="now-24h",
)
