"""The workers, rules and traffic of the episodes: everything between an event and its alert is the product's."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from psycopg2.extensions import connection

from analytics_service.adapters.timescale.migrations import Migrator
from bench.alert_episodes import THRESHOLD_MS, TopicArrivals, Traffic, latencies, send
from bench.alert_storm import bound_of, looks_so_far
from bench.alert_webhook import CHANNEL, READY, notifier, webhook
from bench.errors import NotSustained
from bench.progress import Progress
from bench.site import SECONDS_TO_BEGIN, SESSION_BEGAN, Site

DECISION, TOPIC, WEBHOOK = "the evaluator's decision", "the alert topic", "the webhook"
# Nothing of it ends while it is measured; the other rules only have to be evaluated.
RULES = """
INSERT INTO analytics_alert_rules
    (rule_name, metric_name, operator, threshold, severity, duration_seconds, keep_firing_seconds,
    notification_channels)
SELECT 'rule ' || n, 'latency_max_ms', '>', CASE WHEN n = 1 THEN %(threshold)s ELSE 1e12 END, 'critical', 0, 3600,
    %(channels)s::text[]
FROM generate_series(1, %(rules)s) AS n
"""
LEADER = (
    "SELECT count(*) FROM leases WHERE name = 'alert-evaluator' AND expires_at > clock_timestamp()"
)
WINDOWS = "SELECT count(DISTINCT service) FROM analytics_metrics_1min"
DECIDED = (
    "SELECT service, extract(epoch FROM active_since) FROM analytics_alerts WHERE service = ANY(%s)"
)
POLL_S = 0.1


@dataclass(slots=True)
class WayResult:
    """Seconds from each event to its alert, by where the alert arrived; and bounds of the looks meanwhile, in seconds.

    A bound is the least one of the worker's histogram that 99 of 100 looks, or all of them, kept.
    """

    workers: int
    services: int
    rules: int
    episodes: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    looks_p99_below_s: float = 0.0
    looks_all_below_s: float = 0.0


def run_way(
    site: Site, workers: int, rules: int, traffic: Traffic, progress: Progress, name: str
) -> WayResult:
    """Start the workers on an empty database, let the windows fill, then begin the episodes."""
    topic = site.make_topic(name)
    result = WayResult(workers, traffic.services, rules, traffic.episodes)
    with contextlib.ExitStack() as closing:
        database = closing.enter_context(site.database(name))
        Migrator(site.settings(database, topic)).up()
        conn = closing.enter_context(contextlib.closing(site.connect(database)))
        with conn.cursor() as cur:
            cur.execute(RULES, {"threshold": THRESHOLD_MS, "rules": rules, "channels": [CHANNEL]})
        started = [
            closing.enter_context(site.worker(database, topic, f"{database}-group"))
            for _ in range(workers)
        ]
        for worker in started:
            worker.wait_for(SESSION_BEGAN, SECONDS_TO_BEGIN)
        running = tuple(started)
        server, told = closing.enter_context(webhook())
        started.append(closing.enter_context(notifier(site, database, topic, server)))
        started[-1].wait_for(READY, SECONDS_TO_BEGIN)
        _wait(conn, LEADER, 1, progress, "a worker evaluates the rules")
        progress.say(f"{traffic.services:,} services send an event a second each")
        send(site, topic, Traffic(traffic.services, 0, 3.0), started, progress)
        _wait(conn, WINDOWS, traffic.services, progress, "every service has a window")
        alerts = TopicArrivals(site.stack.kafka_bootstrap_servers, site.topic("alerts"))
        with alerts:
            progress.say(f"{traffic.episodes} episodes within {traffic.seconds:g} s")
            looked_before = looks_so_far(running)
            made = send(site, topic, traffic, started, progress)
            arrived = latencies(made, alerts, TOPIC, progress)
            result.seconds |= {DECISION: _decided(conn, made), TOPIC: arrived}
            result.seconds[WEBHOOK] = latencies(made, told, WEBHOOK, progress)
        looked_after = looks_so_far(running)
        result.looks_p99_below_s = bound_of(looked_before, looked_after, 0.99)
        result.looks_all_below_s = bound_of(looked_before, looked_after, 1.0)
    return result


def _decided(conn: connection, made: Mapping[str, float]) -> list[float]:
    """Seconds from each event to the look that fired its alert, by the clock of the database."""
    with conn.cursor() as cur:
        cur.execute(DECIDED, (list(made),))
        decided = dict(cur.fetchall())
    return [float(decided[service]) - at for service, at in made.items()]


def _wait(conn: connection, question: str, count: int, progress: Progress, what: str) -> None:
    end = time.monotonic() + SECONDS_TO_BEGIN
    found = -1
    while found < count:
        if time.monotonic() > end:
            raise NotSustained(f"waited {SECONDS_TO_BEGIN:g} s in vain: {what}")
        progress.tick(f"waiting: {what}")
        time.sleep(POLL_S)
        with conn.cursor() as cur:
            cur.execute(question)
            ((found,),) = cur.fetchall()
