"""Alerts for tests: written as the evaluator writes them, without a worker."""

from __future__ import annotations

import contextlib
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.alert_store import read_states, store
from analytics_service.domain.alerts import INACTIVE, Observation, Reading, close, step
from analytics_service.domain.evaluation import NOTHING_HELD, Change
from analytics_service.domain.rules import Rule
from tests.databases import Database

BEGIN_S = 1_769_904_000.0
"""2026-02-01T00:00:00Z."""


def rule(name: str = "errors", **changes: Any) -> Rule:
    """Error rate above 5 percent, at once."""
    fields: dict[str, Any] = {
        "rule_name": name,
        "metric_name": "error_rate",
        "operator": ">",
        "threshold": 5.0,
        "severity": "critical",
        "duration_seconds": 0,
    }
    return Rule(**fields | changes)


def fire(
    database: Database,
    about: Rule,
    service: str = "api",
    at_s: float = BEGIN_S,
    value: float = 50.0,
) -> int:
    """Let an alert begin, pending or active as its rule has it; the alert's number."""
    reading = Reading(value, 100, int(at_s) - 60)
    after, told = step(about, INACTIVE, Observation((), reading), at_s)
    change = Change((about.rule_name, service), about, NOTHING_HELD, after, told, value)
    with contextlib.closing(database.connect()) as conn, conn.cursor() as cur:
        store(cur, [change])
    ((alert_id,),) = database.rows(
        "SELECT max(id) FROM analytics_alerts WHERE rule_name = %s AND service = %s",
        about.rule_name,
        service,
    )
    return int(alert_id)


def evaluator_resolves(conn: Connection, about: Rule, service: str, at_s: float) -> None:
    """What the evaluator does when the rule is clear; does not commit."""
    key = (about.rule_name, service)
    with conn.cursor() as cur:
        held = read_states(cur)[key]
        after, told = close(held.state, at_s, None)
        store(cur, [Change(key, about, held, after, told, 1.0)])


def resolve(database: Database, about: Rule, service: str, at_s: float) -> None:
    """Let the evaluator resolve an alert."""
    with contextlib.closing(database.connect()) as conn:
        evaluator_resolves(conn, about, service, at_s)


def add_rule(database: Database, about: Rule) -> None:
    """Put a rule into its table."""
    database.execute(
        "INSERT INTO analytics_alert_rules (rule_name, metric_name, operator, threshold, severity, service)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        about.rule_name,
        about.metric_name,
        about.operator,
        about.threshold,
        about.severity,
        about.service,
    )


def add_deliveries(database: Database, alert_id: int, *deliveries: dict[str, Any]) -> None:
    """What the notifier has noted of an alert: columns of alert_deliveries each."""
    database.execute(
        """
        INSERT INTO notified_episodes (
            episode_id, alert_id, fingerprint, rule_name, service, severity, metric_name, window_size, threshold,
            status, sequence, transition_id, changed_at
        )
        SELECT episode_id, id, fingerprint, rule_name, service, severity, metric_name, window_size, threshold,
            status, 1, gen_random_uuid(), now()
        FROM analytics_alerts WHERE id = %s
        """,
        alert_id,
    )
    for delivery in deliveries:
        database.execute(
            """
            INSERT INTO alert_deliveries (
                episode_id, transition_id, channel, kind, status, reason, attempts, last_error, created_at, finished_at
            )
            SELECT alerts.episode_id, %s, new.channel, new.kind, new.status, new.reason, coalesce(new.attempts, 0),
                new.last_error, coalesce(new.created_at, now()), new.finished_at
            FROM analytics_alerts AS alerts, jsonb_populate_record(NULL::alert_deliveries, %s::jsonb) AS new
            WHERE alerts.id = %s
            """,
            str(uuid.uuid4()),
            json.dumps(delivery),
            alert_id,
        )


def moment(at_s: float) -> str:
    """Epoch seconds as the API writes them."""
    return datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")
