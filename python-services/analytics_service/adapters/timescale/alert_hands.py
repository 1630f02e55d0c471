"""What people do with alerts: acknowledge and resolve, with their name and comment in the history."""

from __future__ import annotations

from typing import Literal

import psycopg2
from psycopg2.errorcodes import UNIQUE_VIOLATION
from psycopg2.extensions import connection, cursor

from analytics_service.adapters.timescale.alert_rules import enabled_rules
from analytics_service.adapters.timescale.alert_store import held_of, store
from analytics_service.domain.alerts import AlertState, Transition, acknowledge, close
from analytics_service.domain.evaluation import Change

Action = Literal["acknowledge", "resolve"]

ATTEMPTS = 5


class NotOpen(Exception):
    """The alert is not in a state in which this can be done; the message says in which it is."""


class NoSuchAlert(NotOpen):
    """There is no alert of this number."""


def act(conn: connection, alert_id: int, action: Action, actor: str, comment: str | None) -> None:
    """Acknowledge an active alert or resolve one that fires, with a transition in history and outbox. Commits.

    Raises NotOpen, NoSuchAlert, and psycopg2 errors.
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


def _act(conn: connection, alert_id: int, action: Action, actor: str, comment: str | None) -> None:
    with conn.cursor() as cur:
        found = held_of(cur, alert_id)
        if found is None:
            raise _why_not(cur, alert_id, action)
        key, held = found
        cur.execute("SELECT extract(epoch FROM clock_timestamp())::double precision")
        ((now_s,),) = cur.fetchall()
        after, told = _step(held.state, action, float(now_s), comment)
        if not told:
            raise NotOpen(f"alert {alert_id} is {held.state.status}: nothing to {action}")
        rule = next((rule for rule in enabled_rules(cur) if rule.rule_name == key[0]), None)
        store(cur, [Change(key, rule, held, after, told, None, actor)])


def _why_not(cur: cursor, alert_id: int, action: Action) -> NotOpen:
    cur.execute("SELECT FROM analytics_alerts WHERE id = %s", (alert_id,))
    if not cur.fetchall():
        return NoSuchAlert(f"there is no alert {alert_id}")
    return NotOpen(f"alert {alert_id} is resolved: nothing to {action}")


def _step(
    state: AlertState, action: Action, now_s: float, comment: str | None
) -> tuple[AlertState, tuple[Transition, ...]]:
    if action == "acknowledge":
        return acknowledge(state, now_s, comment)
    return close(state, now_s, comment)
