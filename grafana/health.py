"""Service health: who is in trouble, and since when."""

from __future__ import annotations

from grafana.dashboard import Dashboard
from grafana.panels import Panel, rows, series
from grafana.windows import ERROR_RATES, PERCENTILES, REQUESTS, SLOWEST_OVER_TIME

COUNTS = """
SELECT listed.health_status AS status, count(now_is.service) AS services
FROM unnest(ARRAY['healthy', 'degraded', 'unhealthy', 'unknown'])
    WITH ORDINALITY AS listed (health_status, place)
LEFT JOIN v_service_health_current AS now_is ON now_is.health_status = listed.health_status
GROUP BY listed.health_status, listed.place
ORDER BY listed.place
"""
STATUS = """
SELECT
    service,
    health_status AS status,
    total_requests AS events,
    error_rate AS "error rate",
    latency_p50_ms AS p50,
    latency_p95_ms AS p95,
    latency_p99_ms AS p99
FROM v_service_health_current
WHERE service IN (${service:sqlstring})
"""
TOP_ERRORS = """
SELECT service, failed_requests AS failed, total_requests AS events, error_rate AS "error rate"
FROM stacklens.service_totals($__timeFrom()::timestamptz, $__timeTo()::timestamptz)
WHERE failed_requests > 0
ORDER BY failed_requests DESC, service
LIMIT 10
"""
TOP_LATENCIES = """
SELECT
    totals.service,
    totals.total_requests AS events,
    worked.percentiles[1] AS p50,
    worked.percentiles[2] AS p95,
    worked.percentiles[3] AS p99,
    totals.latency_max_ms AS highest
FROM stacklens.service_totals($__timeFrom()::timestamptz, $__timeTo()::timestamptz) AS totals
CROSS JOIN LATERAL stacklens.latency_percentiles(
    totals.latency, '{0.5,0.95,0.99}', totals.latency_min_ms, totals.latency_max_ms
) AS worked (percentiles)
WHERE totals.latency_max_ms IS NOT NULL
ORDER BY worked.percentiles[3] DESC, totals.service
LIMIT 10
"""
LATENCIES = {"p50": "ms", "p95": "ms", "p99": "ms", "highest": "ms"}
PERCENT = {"error rate": "percent"}
SAME_RANGE = "Over the range shown, rounded outwards to the finest windows kept there."

PANELS = (
    Panel(
        "Services by status", "bargauge", [rows(COUNTS)], 6, 9,
        description="Over the last 5 minutes; the thresholds are in system_config.",
    ),
    Panel(
        "Status of each service", "table", [rows(STATUS)], 18, 9, minimum=None,
        units={**LATENCIES, **PERCENT},
        description="Over the last 5 minutes, whatever range is shown; the worst first.",
    ),
    Panel(
        "Error rate by service", "timeseries", [series(ERROR_RATES)], unit="percent",
        description="Failed events (error, critical) in percent of all, by window.",
    ),
    Panel("Events a second by service", "timeseries", [series(REQUESTS)], unit="cps"),
    Panel(
        "Latency of the chosen services together", "timeseries", [series(PERCENTILES)], unit="ms",
        description="Of merged histograms: percentiles are never averaged.",
    ),
    Panel(
        "99th percentile by service", "timeseries", [series(SLOWEST_OVER_TIME)], unit="ms",
    ),
    Panel(
        "Top error services", "table", [rows(TOP_ERRORS)], minimum=None, units=PERCENT,
        description=SAME_RANGE,
    ),
    Panel(
        "Top latency services", "table", [rows(TOP_LATENCIES)], minimum=None, units=LATENCIES,
        description=SAME_RANGE,
    ),
)  # fmt: skip

HEALTH = Dashboard(
    "stacklens-health",
    "StackLens: service health",
    "Status, error rates and latencies of the services whose events are read.",
    PANELS,
    by_service=True,
)
