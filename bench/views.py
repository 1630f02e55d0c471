"""`python -m bench.views`: how quick the database's views and functions are over 30 days of 200 services.

Fills the window tables (histograms of 100 buckets each), lists every day as merged, and asks each view several times.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import statistics
import sys
import time
from dataclasses import dataclass

from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.adapters.timescale.migrations import Migrator
from analytics_service.config import Settings, load_settings
from devstack.api import running_stack

PROMISE_MS = 500.0
SERVICES = 200
DAYS = 30
MINUTE_DAYS = 7
# Dense as far as the views look, unless all of it is asked for: older chunks are there, but hold a row a service.
DENSE_HOURS = {"1min": 26, "5min": 50}
QUESTIONS = {
    **{
        view: f"SELECT * FROM {view}"  # noqa: S608  # the names below
        for view in (
            "v_service_health_current",
            "v_service_performance_trend",
            "v_active_alerts_summary",
            "v_top_error_services",
            "v_slowest_services",
            "v_high_risk_events",
        )
    },
    "analytics_calculate_sla, 1 hour": "SELECT * FROM analytics_calculate_sla('service-7', now() - interval '1 hour')",
    "analytics_calculate_sla, 29 days": "SELECT * FROM analytics_calculate_sla('service-7', now() - interval '29 d')",
    "analytics_get_alert_stats": "SELECT * FROM analytics_get_alert_stats()",
    "p99 of every service, 29 days": "SELECT service, stacklens.latency_percentiles(latency, '{0.99}',"
    " latency_min_ms, latency_max_ms) FROM stacklens.service_totals(now() - interval '29 days', now())",
}
SHAPES = """
CREATE TEMPORARY TABLE shapes AS
SELECT 'service-' || s AS service, array_agg(120 + s %% 40 + b ORDER BY b) AS buckets,
    array_agg((1 + 40 * exp(-((b - 40) / 18.0) ^ 2))::bigint ORDER BY b) AS counts
FROM generate_series(1, %s) AS s, generate_series(1, 100) AS b GROUP BY s
"""
# The table's name and the step come from this module.
FILL = """
INSERT INTO analytics_metrics_{window} (timestamp, service, total_requests, successful_requests, failed_requests,
    error_rate, latency_min_ms, latency_p50_ms, latency_p95_ms, latency_p99_ms, latency_max_ms, latency_mean_ms,
    latency_count, latency_sum_ms, latency_buckets, latency_bucket_counts, risk_count, risk_sum, high_risk_count)
SELECT at, service, 2000, 1990, 10, 0.5, 8, 20, 35, 40, 60, 20, (SELECT sum(c) FROM unnest(counts) AS c), 40000,
    buckets, counts, 2000, 400, (extract(epoch FROM at)::bigint / 60 %% 5 = 0)::int
FROM generate_series(%s::timestamptz, %s::timestamptz, %s::interval) AS at, shapes
ON CONFLICT DO NOTHING
"""
EVENTS = """
INSERT INTO analytics_events
    (timestamp, service, level, latency_ms, risk_score, topic_incarnation, kafka_partition, kafka_offset)
SELECT now() - n * interval '20 milliseconds', 'service-' || n %% %s + 1, 'info', 20,
    CASE WHEN n %% 1000 = 0 THEN 0.9 ELSE 0.1 END, 1, 0, n FROM generate_series(1, 1000000) AS n
"""
ALERTS = """
INSERT INTO analytics_alerts (rule_name, service, severity, metric_name, window_size, threshold, fingerprint, status,
    active_since, resolved_at)
SELECT 'rule ' || n, 'service-' || n % 200 + 1, 'warning', 'error_rate', '1min', 5, 'f',
    CASE WHEN n > 500 THEN 'resolved' ELSE 'active' END, now() - n * interval '5 minutes',
    CASE WHEN n > 500 THEN now() - n * interval '4 minutes' END
FROM generate_series(1, 5000) AS n
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """One question asked several times, and which chunks its plan opened."""

    name: str
    rows: int
    first_ms: float
    median_ms: float
    chunks: int


def main(arguments: list[str] | None = None) -> int:
    """Fill, ask, print; 0 when every answer came in time, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.views", description=__doc__)
    parser.add_argument("--services", type=int, default=SERVICES, help=f"services ({SERVICES})")
    parser.add_argument("--runs", type=int, default=5, help="how often each is asked (5)")
    parser.add_argument(
        "--full", action="store_true", help="every window of every day: 16 GB, minutes"
    )
    options = parser.parse_args(arguments)
    with running_stack(fsync=False) as stack:
        settings = load_settings({**stack.env, "APP_ENV": "test"}, env_file=None)
        Migrator(settings).up()
        with contextlib.closing(_connect(settings)) as connection:
            began = time.perf_counter()
            _fill(connection, options.services, full=options.full)
            print(f"{_size(connection)} filled in {time.perf_counter() - began:.0f} s", flush=True)
            answers = [_ask(connection, name, options.runs) for name in QUESTIONS]
    return _print(answers)


def _connect(settings: Settings) -> Connection:
    connection = parameters(settings, statement_timeout_ms=0).connect()
    connection.autocommit = True
    return connection


def _fill(connection: Connection, services: int, *, full: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute(SHAPES, (services,))
        cursor.execute("SELECT now(), date_trunc('day', now())")
        ((now, today),) = cursor.fetchall()
        for window, step, days in (
            ("1hour", "1 hour", DAYS),
            ("1day", "1 day", DAYS),
            ("5min", "5 minutes", DAYS),
            ("1min", "1 minute", MINUTE_DAYS),
        ):
            cursor.execute("SELECT %s - make_interval(days => %s)", (today, days))
            ((since,),) = cursor.fetchall()
            last = now if window != "1day" else today
            fill = FILL.format(window=window)
            if window in DENSE_HOURS and not full:
                cursor.execute(fill, (since, last, "1 day"))
                cursor.execute(
                    "SELECT date_bin('5 minutes', %s - make_interval(hours => %s), '2000-01-01Z')",
                    (now, DENSE_HOURS[window]),
                )
                ((since,),) = cursor.fetchall()
            cursor.execute(fill, (since, last, step))
        cursor.execute("DELETE FROM analytics_metrics_1day WHERE timestamp >= %s", (today,))
        cursor.execute("UPDATE analytics_metrics_1day SET is_valid = true")
        cursor.execute("UPDATE daily_level SET marked_before = %s", (today,))
        cursor.execute(EVENTS, (services,))
        cursor.execute(ALERTS)
        cursor.execute("ANALYZE")


def _size(connection: Connection) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_size_pretty(pg_database_size(current_database()))")
        ((size,),) = cursor.fetchall()
    return str(size)


def _ask(connection: Connection, name: str, runs: int) -> Answer:
    taken_ms: list[float] = []
    with connection.cursor() as cursor:
        for _ in range(runs):
            began = time.perf_counter()
            cursor.execute(QUESTIONS[name])
            rows = len(cursor.fetchall())
            taken_ms.append(1000 * (time.perf_counter() - began))
        cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {QUESTIONS[name]}")
        plan = [line for (line,) in cursor.fetchall() if "never executed" not in line]
    chunks = {found for line in plan for found in re.findall(r" on (_hyper_\d+_\d+_chunk)", line)}
    return Answer(name, rows, taken_ms[0], statistics.median(taken_ms), len(chunks))


def _print(answers: list[Answer]) -> int:
    print(f"{'':36}{'rows':>8}{'first ms':>10}{'median ms':>11}{'chunks':>8}")
    for answer in answers:
        late = "" if answer.median_ms < PROMISE_MS else f"   over {PROMISE_MS:.0f} ms"
        print(
            f"{answer.name:36}{answer.rows:>8}{answer.first_ms:>10.1f}{answer.median_ms:>11.1f}"
            f"{answer.chunks:>8}{late}"
        )
    return 0 if all(answer.median_ms < PROMISE_MS for answer in answers) else 1


if __name__ == "__main__":
    sys.exit(main())
