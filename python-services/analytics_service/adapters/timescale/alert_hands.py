"""What people do with alerts: acknowledge and resolve, with their name and comment in the history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import psycopg2
from psycopg2.errorcodes import UNIQUE_VIOLATION
from psycopg2.extensions import connection

from analytics_service.adapters.timescale.alert_rules import enabled_rules
from analytics_service.adapters.timescale.alert_store import held_of, store
from analytics_service.domain.alerts import AlertState, Transition, acknowledge, close
from analytics_service.domain.evaluation import Change

Action = Literal["acknowledge", "resolve"]

ATTEMPTS = 5
_COLUMNS = (
    "id", "rule_name", "service", "severity", "metric_name", "window_size", "status", "threshold", "value",
    "fingerprint", "episode_id", "pending_since", "active_since", "acknowledged_at", "acknowledged_by", "resolved_at",
)  # fmt: skip
_LIST = f"""
    SELECT {", ".join(_COLUMNS)} FROM analytics_alerts
    WHERE (%(statuses)s::text[] IS NULL OR status = ANY(%(statuses)s::text[]))
        AND (%(service)s::text IS NULL OR service = %(service)s)
    ORDER BY coalesce(active_since, pending_since) DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608  # fixed names


class NotOpen(Exception):
    """There is no such alert, or it is not in a state in which this can be done; the message says which."""


def act(conn: connection, alert_id: int, action: Action, actor: str, comment: str | None) -> None:
    """Acknowledge an active alert or resolve one that fires, with a transition in history and outbox. Commits.

    Raises NotOpen, and psycopg2 errors.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with conn:
                _act(conn, alert_id, action, actor, comment)
            return
        except psycopg2.Error as error:
            # The evaluator wrote the same step of the episode at the same moment.
            if error.pgcode != UNIQUE_VIOLATION or attempt == ATTEMPTS:
                raise


def list_alerts(
    conn: connection, statuses: Sequence[str] | None, service: str | None, limit: int
) -> list[dict[str, Any]]:
    """The newest alerts in these states (None: any) as dictionaries of the table's columns."""
    with conn.cursor() as cur:
        cur.execute(
            _LIST,
            {"statuses": list(statuses) if statuses else None, "service": service, "limit": limit},
        )
        return [dict(zip(_COLUMNS, row, strict=True)) for row in cur.fetchall()]


def _act(conn: connection, alert_id: int, action: Action, actor: str, comment: str | None) -> None:
    with conn.cursor() as cur:
        found = held_of(cur, alert_id)
        if found is None:
            raise NotOpen(f"alert {alert_id} is not open: see `stacklens alerts list --status all`")
        key, held = found
        cur.execute("SELECT extract(epoch FROM clock_timestamp())::double precision")
        ((now_s,),) = cur.fetchall()
        after, told = _step(held.state, action, float(now_s), comment)
        if not told:
            raise NotOpen(f"alert {alert_id} is {held.state.status}: nothing to {action}")
        rule = next((rule for rule in enabled_rules(cur) if rule.rule_name == key[0]), None)
        store(cur, [Change(key, rule, held, after, told, None, actor)])


def _step(
    state: AlertState, action: Action, now_s: float, comment: str | None
) -> tuple[AlertState, tuple[Transition, ...]]:
    if action == "acknowledge":
        return acknowledge(state, now_s, comment)
    return close(state, now_s, comment)
