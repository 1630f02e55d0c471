"""Alerts as the page shows them: with their rule's comparison, what was told last, and what silences them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg2.extensions import cursor as Cursor

from analytics_service.adapters.timescale.alert_records import (
    ALERT_COLUMNS,
    DELIVERY_COLUMNS,
    OPEN,
    AlertFilter,
    list_alerts,
)
from analytics_service.adapters.timescale.silences import StoredSilence, list_silences
from analytics_service.domain.silences import Silence, Subject
from dashboard_api.schemas.alerts import Delivery
from dashboard_api.schemas.overview import ShownAlert

MOST_OPEN = 500
MOST_RESOLVED = 50
MOST_SILENCES = 200
_COLUMNS = ", ".join(f"alerts.{name}" for name in ALERT_COLUMNS)
_RESOLVED = f"""
    SELECT {_COLUMNS} FROM analytics_alerts AS alerts
    WHERE status = 'resolved' AND resolved_at > %(since)s ORDER BY resolved_at DESC LIMIT %(limit)s
"""  # noqa: S608  # fixed names
_EPISODES = f"""
    SELECT {_COLUMNS} FROM analytics_alerts AS alerts
    WHERE service = %(service)s AND (
        status <> 'resolved' OR (resolved_at >= %(since)s AND active_since < %(until)s)
    )
    ORDER BY status = 'resolved', active_since DESC NULLS FIRST, id DESC LIMIT %(limit)s
"""  # noqa: S608  # fixed names
_LAST_TOLD = f"""
    SELECT DISTINCT ON (episode_id, channel) episode_id::text, {", ".join(DELIVERY_COLUMNS)}
    FROM alert_deliveries WHERE episode_id = ANY(%s::uuid[]) AND status <> 'replaced'
    ORDER BY episode_id, channel, id DESC
"""  # noqa: S608  # fixed names
_OPERATORS = "SELECT rule_name, operator FROM analytics_alert_rules WHERE rule_name = ANY(%s)"


def open_alerts(cursor: Cursor) -> list[dict[str, Any]]:
    """Every alert that is not resolved, at most MOST_OPEN."""
    return list_alerts(cursor, AlertFilter(OPEN), MOST_OPEN)


def resolved_since(cursor: Cursor, since: datetime) -> list[dict[str, Any]]:
    """Those resolved after a moment, the last first, at most MOST_RESOLVED."""
    return _rows(cursor, _RESOLVED, {"since": since, "limit": MOST_RESOLVED})


def episodes_of(
    cursor: Cursor, service: str, since: datetime, until: datetime
) -> list[dict[str, Any]]:
    """A service's open alerts and its episodes that touch [since, until), the open ones first."""
    values = {"service": service, "since": since, "until": until, "limit": MOST_OPEN}
    return _rows(cursor, _EPISODES, values)


def current_silences(cursor: Cursor) -> list[StoredSilence]:
    """Silences that are in force or will be."""
    return list_silences(cursor, ("active", "pending"), MOST_SILENCES)


def shown(
    cursor: Cursor,
    alerts: Sequence[Mapping[str, Any]],
    silences: Sequence[StoredSilence],
    deliveries: Mapping[str, list[Delivery]] | None = None,
) -> list[ShownAlert]:
    """`alerts` as the page shows them; with the last delivery of each channel unless others are given."""
    cursor.execute(_OPERATORS, (list({row["rule_name"] for row in alerts}),))
    operators = dict(cursor.fetchall())
    told = deliveries if deliveries is not None else _last_told(cursor, alerts)
    in_force = [_silence(stored) for stored in silences if stored.state == "active"]
    return [
        ShownAlert(
            **row,
            operator=operators.get(row["rule_name"]),
            deliveries=told.get(row["episode_id"], []),
            silenced_by=None if row["status"] == "resolved" else _silenced_by(row, in_force),
        )
        for row in alerts
    ]


def _last_told(cursor: Cursor, alerts: Sequence[Mapping[str, Any]]) -> dict[str, list[Delivery]]:
    cursor.execute(_LAST_TOLD, ([row["episode_id"] for row in alerts],))
    told: dict[str, list[Delivery]] = {}
    for episode_id, *values in cursor.fetchall():
        delivery = Delivery(**dict(zip(DELIVERY_COLUMNS, values, strict=True)))
        told.setdefault(episode_id, []).append(delivery)
    return told


def _silence(stored: StoredSilence) -> Silence:
    return Silence(id=stored.id, starts_s=0.0, ends_s=1.0, **stored.matcher)


def _silenced_by(row: Mapping[str, Any], silences: Sequence[Silence]) -> int | None:
    subject = Subject(
        rule_name=row["rule_name"],
        service=row["service"],
        severity=row["severity"],
        metric_name=row["metric_name"],
    )
    return next((silence.id for silence in silences if silence.is_about(subject)), None)


def _rows(cursor: Cursor, query: str, values: Mapping[str, object]) -> list[dict[str, Any]]:
    cursor.execute(query, values)
    return [dict(zip(ALERT_COLUMNS, row, strict=True)) for row in cursor.fetchall()]
