"""The alert tables: the checklist's statement as typed, defaults, and what is refused."""

from __future__ import annotations

import psycopg2
import pytest
from psycopg2 import sql

from analytics_service.domain.rule_files import rule_from
from tests.databases import Database

pytestmark = pytest.mark.both_postgres

CHECKLIST = """
INSERT INTO analytics_alert_rules (rule_name, metric_name, operator, threshold, severity, notification_channels, enabled) VALUES
  ('High Error Rate',      'error_rate',     '>', 5.0,  'warning',  ARRAY['slack','email'], true),
  ('Critical Error Rate',  'error_rate',     '>', 20.0, 'critical', ARRAY['slack','email','pagerduty'], true),
  ('High P99 Latency',     'latency_p99_ms', '>', 500,  'warning',  ARRAY['slack','email'], true),
  ('Critical P99 Latency', 'latency_p99_ms', '>', 1000, 'critical', ARRAY['slack','email','pagerduty'], true)
ON CONFLICT DO NOTHING;
"""  # noqa: E501  # as typed
RULE = {
    "rule_name": "r",
    "metric_name": "error_rate",
    "operator": ">",
    "threshold": 1.0,
    "severity": "info",
}
ALERT = {
    "rule_name": "r",
    "service": "s",
    "severity": "info",
    "metric_name": "error_rate",
    "window_size": "1min",
    "threshold": 1.0,
    "fingerprint": "f",
}


def insert(database: Database, table: str, values: dict[str, object]) -> None:
    """One row."""
    database.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(map(sql.Literal, values.values())),
        )
    )


def test_the_checklist_s_rules_as_typed_and_again(database: Database) -> None:
    """Four rules, with the defaults of the contract."""
    database.execute(CHECKLIST)
    database.execute(CHECKLIST)
    rows = database.rows(
        "SELECT service, window_size, duration_seconds, keep_firing_seconds, min_requests,"
        " no_data_policy, resolve_threshold, created_at = updated_at FROM analytics_alert_rules"
    )
    assert rows == [("*", "1min", 60, 60, 1, "resolve", None, True)] * 4


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("rule_name", ""),
        ("description", "x" * 10_001),
        ("service", ""),
        ("metric_name", "service"),
        ("window_size", "1day"),
        ("operator", "="),
        ("threshold", "NaN"),
        ("threshold", "Infinity"),
        ("resolve_threshold", "-Infinity"),
        ("duration_seconds", -1),
        ("keep_firing_seconds", -1),
        ("min_requests", 0),
        ("no_data_policy", "panic"),
        ("severity", "fatal"),
        ("notification_channels", "{slack,pigeon}"),
    ],
)
def test_a_rule_that_nobody_could_evaluate_is_refused(
    database: Database, column: str, value: object
) -> None:
    """The constraint's name tells the column."""
    with pytest.raises(psycopg2.errors.CheckViolation) as caught:
        insert(database, "analytics_alert_rules", {**RULE, column: value})
    assert caught.value.diag.constraint_name == f"analytics_alert_rules_{column}_check"


@pytest.mark.parametrize(
    ("operator", "resolve", "is_right"),
    [
        *((operator, 5, True) for operator in (">", ">=", "<", "<=", "==")),
        (">", 4, True), (">=", 4, True), ("<", 4, False), ("<=", 4, False), ("==", 4, False),
        (">", 6, False), (">=", 6, False), ("<", 6, True), ("<=", 6, True), ("==", 6, False),
    ],
)  # fmt: skip
def test_a_resolve_threshold_lies_on_the_side_that_is_clear(
    database: Database, operator: str, resolve: float, is_right: bool
) -> None:
    """On the other one an alert would fire and resolve in turns; a file of rules is refused as the table does."""
    fields = {**RULE, "operator": operator, "threshold": 5, "resolve_threshold": resolve}
    _, problems = rule_from(fields)
    assert list(problems) == ([] if is_right else ["resolve_threshold"])
    if is_right:
        insert(database, "analytics_alert_rules", fields)
        return
    with pytest.raises(psycopg2.errors.CheckViolation) as caught:
        insert(database, "analytics_alert_rules", fields)
    assert caught.value.diag.constraint_name == "analytics_alert_rules_resolve_threshold_side_check"


@pytest.mark.parametrize("window", ["1min", "5min", "1hour"])
def test_every_metric_of_a_rule_is_a_column(database: Database, window: str) -> None:
    """And every figure of the windows can be a rule's metric."""
    numeric = database.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s"
        " AND data_type IN ('bigint', 'double precision') AND column_name <> 'revision'",
        f"analytics_metrics_{window}",
    )
    for (metric,) in numeric:
        rule = {**RULE, "rule_name": metric, "metric_name": metric, "window_size": window}
        insert(database, "analytics_alert_rules", rule)
    allowed = database.rows(
        "SELECT count(*) FROM regexp_matches(pg_get_constraintdef((SELECT oid FROM pg_constraint"
        " WHERE conname = 'analytics_alert_rules_metric_name_check')), '''[a-z]', 'g')"
    )
    assert allowed == [(len(numeric),)]


def test_one_open_alert_a_rule_and_service(database: Database) -> None:
    """Resolved ones do not count."""
    over = {
        **ALERT,
        "status": "resolved",
        "active_since": "2026-01-01Z",
        "resolved_at": "2026-01-02Z",
    }
    insert(database, "analytics_alerts", over)
    insert(database, "analytics_alerts", over)
    insert(database, "analytics_alerts", ALERT)
    insert(database, "analytics_alerts", {**ALERT, "service": "another"})
    with pytest.raises(psycopg2.errors.UniqueViolation, match="analytics_alerts_one_open_key"):
        insert(database, "analytics_alerts", ALERT)


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"status": "gone", "active_since": "2026-01-01Z"}, "status"),
        ({"status": "active"}, "active_since"),
        ({"status": "acknowledged", "active_since": "2026-01-01Z"}, "acknowledged_at"),
        ({"status": "resolved", "active_since": "2026-01-01Z"}, "resolved_at"),
    ],
)
def test_a_status_comes_with_its_time(
    database: Database, values: dict[str, object], constraint: str
) -> None:
    """A writer's mistake is refused before it is stored."""
    with pytest.raises(
        psycopg2.errors.CheckViolation, match=f"analytics_alerts_{constraint}_check"
    ):
        insert(database, "analytics_alerts", {**ALERT, **values})


def test_history_is_numbered_and_goes_with_its_alert(database: Database) -> None:
    """Each number of an episode once; a pending alert that never fired leaves nothing behind."""
    insert(database, "analytics_alerts", ALERT)
    step = (
        "INSERT INTO analytics_alert_history (alert_id, episode_id, sequence, from_status, to_status)"
        " SELECT id, episode_id, 1, 'inactive', 'pending' FROM analytics_alerts"
    )
    database.execute(step)
    with pytest.raises(
        psycopg2.errors.UniqueViolation, match="analytics_alert_history_sequence_key"
    ):
        database.execute(step)
    database.execute("DELETE FROM analytics_alerts")
    assert database.rows("SELECT count(*) FROM analytics_alert_history") == [(0,)]
