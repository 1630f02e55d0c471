"""What else a database holds after a month: rules, alerts with their history, silences, dead letters, jobs."""

from __future__ import annotations

from typing import Final

from psycopg2.extensions import connection

RULES: Final = 24
RESOLVED: Final = 400
OPEN: Final = 30
LETTERS: Final = 3_000

_RULES: Final = """
INSERT INTO analytics_alert_rules
    (rule_name, description, metric_name, operator, threshold, duration_seconds, severity, notification_channels)
SELECT initcap(replace(metric, '_', ' ')) || ' ' || severity || ' ' || n, 'Made by the bench.', metric, '>',
    100.0 * n, 60, severity, ARRAY['slack', 'email']
FROM generate_series(1, %(rules)s / 6) AS n, unnest(ARRAY['error_rate', 'latency_p99_ms']) AS metric,
    unnest(ARRAY['info', 'warning', 'critical']) AS severity
"""
# The open ones come last; each is of a rule and a service of its own.
_ALERTS: Final = """
WITH rules AS (
    SELECT row_number() OVER (ORDER BY id) - 1 AS place, * FROM analytics_alert_rules
),
numbered AS (
    SELECT n, n > %(resolved)s AS is_open, CASE
        WHEN n > %(resolved)s THEN now() - interval '5 minutes' * (n - %(resolved)s)
        ELSE now() - interval '30 days' + interval '30 days' * n / (%(resolved)s + 1.0)
    END AS fired_at
    FROM generate_series(1, %(resolved)s + %(open)s) AS n
)
INSERT INTO analytics_alerts (
    rule_name, service, severity, metric_name, window_size, status, threshold, value, fingerprint,
    pending_since, active_since, acknowledged_at, acknowledged_by, resolved_at, window_start
)
SELECT rules.rule_name, services.service, rules.severity, rules.metric_name, rules.window_size, CASE
        WHEN NOT is_open THEN 'resolved' WHEN n %% 5 = 0 THEN 'acknowledged' ELSE 'active'
    END, rules.threshold, rules.threshold * 1.3, md5(rules.rule_name || services.service),
    fired_at - interval '1 minute', fired_at,
    CASE WHEN n %% 5 = 0 THEN fired_at + interval '2 minutes' END, CASE WHEN n %% 5 = 0 THEN 'anna' END,
    CASE WHEN NOT is_open THEN fired_at + interval '20 minutes' END, date_trunc('minute', fired_at)
FROM numbered
JOIN rules ON rules.place = n %% (SELECT count(*) FROM analytics_alert_rules)
JOIN bench_api.services AS services ON services.number = n * 7 %% (SELECT count(*) FROM bench_api.services)
ORDER BY fired_at
"""
_HISTORY: Final = """
INSERT INTO analytics_alert_history (alert_id, episode_id, sequence, from_status, to_status, at, value, actor)
SELECT alert.id, alert.episode_id, row_number() OVER (PARTITION BY alert.id ORDER BY step.at),
    lag(step.status, 1, 'inactive') OVER (PARTITION BY alert.id ORDER BY step.at), step.status, step.at,
    alert.value, CASE WHEN step.status = 'acknowledged' THEN alert.acknowledged_by END
FROM analytics_alerts AS alert
CROSS JOIN LATERAL (VALUES
    ('pending', alert.pending_since), ('active', alert.active_since), ('acknowledged', alert.acknowledged_at),
    ('resolved', alert.resolved_at)
) AS step (status, at)
WHERE step.at IS NOT NULL
ORDER BY step.at
"""
_TOLD: Final = """
INSERT INTO notified_episodes (
    episode_id, alert_id, fingerprint, rule_name, service, severity, metric_name, window_size, operator, threshold,
    notification_channels, status, sequence, transition_id, value, pending_since, active_since, changed_at, heard_at,
    settled_at
)
SELECT alert.episode_id, alert.id, alert.fingerprint, alert.rule_name, alert.service, alert.severity,
    alert.metric_name, alert.window_size, '>', alert.threshold, ARRAY['slack', 'email'], alert.status, last.sequence,
    last.transition_id, alert.value, alert.pending_since, alert.active_since, last.at, last.at, alert.resolved_at
FROM analytics_alerts AS alert
CROSS JOIN LATERAL (
    SELECT step.sequence, step.transition_id, step.at FROM analytics_alert_history AS step
    WHERE step.alert_id = alert.id ORDER BY step.sequence DESC LIMIT 1
) AS last;
INSERT INTO alert_deliveries
    (episode_id, transition_id, channel, kind, status, message_id, attempts, created_at, finished_at)
SELECT step.episode_id, step.transition_id, channel,
    CASE step.to_status WHEN 'active' THEN 'firing' ELSE step.to_status END, 'sent', gen_random_uuid(), 1,
    step.at, step.at + interval '1 second'
FROM analytics_alert_history AS step, unnest(ARRAY['slack', 'email']) AS channel
WHERE step.to_status <> 'pending' ORDER BY step.at;
INSERT INTO alert_channels (channel, on_since)
SELECT channel, now() - interval '30 days' FROM unnest(ARRAY['slack', 'email']) AS channel
"""
_SILENCES: Final = """
INSERT INTO alert_silences (service, starts_at, ends_at, author, comment)
SELECT service, now() - interval '1 day' * (number % 20), now() + interval '1 day' * (10 - number % 20),
    'anna', 'planned work'
FROM bench_api.services WHERE number < 40;
INSERT INTO audit_trail (at, actor, action, subject, subject_id, comment)
SELECT now() - interval '1 hour' * n, 'anna', 'change', 'rule', rule.id::text, 'threshold'
FROM generate_series(1, 20) AS n, analytics_alert_rules AS rule ORDER BY n DESC
"""
_LETTERS: Final = """
INSERT INTO analytics_dead_letters (
    topic, topic_incarnation, kafka_partition, kafka_offset, reason, detail, raw_value, status, topic_copy, created_at
)
SELECT %(topic)s, 1, 0, n * 100, 'invalid_field:latency_ms', 'not a number', convert_to(
        '{"timestamp": "2026-01-01T00:00:00Z", "service": "' || services.service || '", "latency_ms": "slow"}', 'UTF8'
    ), CASE WHEN n %% 3 = 0 THEN 'pending' ELSE 'discarded' END, 'sent',
    now() - interval '30 days' * (1 - n / (1.0 + %(letters)s))
FROM generate_series(1, %(letters)s) AS n
JOIN bench_api.services AS services ON services.number = n %% (SELECT count(*) FROM bench_api.services)
ORDER BY n
"""
_JOBS: Final = """
INSERT INTO recalculation_queue
    (job_type, service, from_time, to_time, reason, status, steps_done, steps_total, rows_written, finished_at)
SELECT 'RECALC_WINDOWS', service, now() - interval '3 hours', now() - interval '2 hours', 'late data', 'COMPLETED',
    3, 3, 73, now() - interval '1 hour'
FROM bench_api.services WHERE number < 30
"""


def fill(conn: connection, topic: str) -> None:
    """Insert all of it; services and the topic's offsets are there already. `conn` is in autocommit mode."""
    with conn.cursor() as cur:
        cur.execute(_RULES, {"rules": RULES})
        cur.execute(_ALERTS, {"resolved": RESOLVED, "open": OPEN})
        cur.execute(_HISTORY)
        cur.execute(_TOLD)
        cur.execute(_SILENCES)
        cur.execute(_LETTERS, {"topic": topic, "letters": LETTERS})
        cur.execute(_JOBS)
