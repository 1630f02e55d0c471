"""Overview: is the pipeline alive, how fast, how far behind."""

from __future__ import annotations

from grafana.dashboard import Dashboard
from grafana.panels import Panel, prom, rows, series
from grafana.windows import WINDOW_ROWS

WORKERS = 'job="analytics-service"'
NOTIFIERS = 'job="alert-notifier"'
VISIBLE = "sum by (le) (rate(stacklens_visible_latency_seconds_bucket[$__rate_interval]))"
FLUSH = "sum by (le) (rate(stacklens_flush_seconds_bucket[$__rate_interval]))"
LAG = "sum(max by (partition) (stacklens_consumer_lag{" + WORKERS + "}))"
CONNECTIONS = """
SELECT
    coalesce(nullif(application_name, ''), 'other') AS application,
    count(*) AS connections
FROM pg_stat_activity
WHERE datname = current_database()
GROUP BY 1
ORDER BY 2 DESC, 1
"""
TRANSITIONS = 'sum by (to) (rate(stacklens_alert_transitions_total{to="active"}[$__rate_interval]))'

PANELS = (
    Panel("Workers ready", "stat", [prom(f"sum(stacklens_ready{{{WORKERS}}})")], 4, 5),
    Panel("Notifiers ready", "stat", [prom(f"sum(stacklens_ready{{{NOTIFIERS}}})")], 4, 5),
    Panel(
        "API workers", "stat", [prom("sum(stacklens_api_workers)")], 4, 5,
        description="Processes of all replicas that answer.",
    ),
    Panel(
        "Messages behind", "stat", [prom(LAG)], 4, 5,
        limits=((1000, "orange"), (5000, "red")),
        description="Consumer lag over all partitions.",
    ),
    Panel(
        "Dead letters pending", "stat", [prom("max(stacklens_dead_letters_pending)")], 4, 5,
        limits=((1, "orange"), (100, "red")),
    ),
    Panel(
        "Alerts open", "stat",
        [prom('sum(max by (state) (stacklens_alerts{state=~"active|acknowledged"}))')], 4, 5,
        limits=((1, "orange"),),
    ),
    Panel(
        "Aggregation latency", "timeseries",
        [prom(f"histogram_quantile({q}, {VISIBLE})", f"p{q[2:]:0<2}") for q in ("0.5", "0.95", "0.99")],
        unit="s",
        description="From the broker's time stamp of a message until all tables show it; the oldest of each flush.",
    ),
    Panel(
        "Messages processed a second", "timeseries",
        [
            prom("sum(rate(stacklens_events_consumed_total[$__rate_interval]))", "consumed"),
            prom("sum(rate(stacklens_events_stored_total[$__rate_interval]))", "stored"),
            prom("sum(rate(stacklens_events_dead_lettered_total[$__rate_interval]))", "dead letters"),
        ],
        unit="cps",
        description="Consumed = stored + dead letters, always.",
    ),
    Panel(
        "Metrics calculated a second", "timeseries", [series(WINDOW_ROWS)], unit="cps",
        description="Window rows by the time they are about: 1min up to 6 h, 5min up to 3 days, else 1hour.",
    ),
    Panel(
        "Alerts triggered a second", "timeseries", [prom(TRANSITIONS, "triggered")], unit="cps",
    ),
    Panel(
        "Database connections of the product", "timeseries",
        [
            prom("sum by (state) (stacklens_db_pool_connections)", "workers, {{state}}"),
            prom("sum by (state) (stacklens_api_db_pool_connections)", "API, {{state}}"),
        ],
    ),
    Panel(
        "Database connections now", "table", [rows(CONNECTIONS)], minimum=None,
        description="Whoever is connected to this database.",
    ),
    Panel(
        "Lag by partition", "timeseries",
        [prom(f"max by (partition) (stacklens_consumer_lag{{{WORKERS}}})", "partition {{partition}}")],
    ),
    Panel(
        "Duration of flushes", "timeseries",
        [
            prom(f"histogram_quantile({q}, {FLUSH})", f"p{q[2:]:0<2}") for q in ("0.5", "0.95", "0.99")
        ],
        unit="s",
    ),
    Panel(
        "Circuit breakers", "timeseries",
        [prom("max by (job, dependency) (stacklens_circuit_breaker_state)", "{{job}}: {{dependency}}")],
        description="0 closed, 1 open, 2 half open.",
    ),
    Panel(
        "API requests a second", "timeseries",
        [prom("sum by (status) (rate(stacklens_api_requests_total[$__rate_interval]))", "{{status}}")],
        unit="reqps",
    ),
)  # fmt: skip

OVERVIEW = Dashboard(
    "stacklens-overview",
    "StackLens: overview",
    "The pipeline from Kafka to the tables, and what hangs on it.",
    PANELS,
)
