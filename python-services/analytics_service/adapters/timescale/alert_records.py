"""Reading alerts for people: a page of them, one with its history and what was told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extensions import cursor

ALERT_COLUMNS = (
    "id", "rule_name", "service", "severity", "metric_name", "window_size", "status", "threshold", "value",
    "window_start", "fingerprint", "episode_id", "pending_since", "active_since", "acknowledged_at", "acknowledged_by",
    "resolved_at",
)  # fmt: skip
HISTORY_COLUMNS = (
    "id", "alert_id", "episode_id", "sequence", "from_status", "to_status", "at", "value", "window_start", "actor",
    "comment",
)  # fmt: skip
DELIVERY_COLUMNS = (
    "channel", "kind", "repetition", "status", "reason", "attempts", "next_try_at", "last_error", "created_at",
    "finished_at",
)  # fmt: skip
OPEN = ("pending", "active", "acknowledged")

_ONE = f"""
    SELECT {", ".join(ALERT_COLUMNS)} FROM analytics_alerts WHERE id = %s
"""  # noqa: S608  # fixed names
# The index on active_since has this order; that on open alerts is of use when the condition names them.
_PAGE = f"""
    SELECT {", ".join(ALERT_COLUMNS)} FROM analytics_alerts
    WHERE (%(statuses)s::text[] IS NULL OR status = ANY(%(statuses)s::text[]))
        AND (%(services)s::text[] IS NULL OR service = ANY(%(services)s::text[]))
        AND (%(severities)s::text[] IS NULL OR severity = ANY(%(severities)s::text[]))
        {{more}}
    ORDER BY active_since DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608  # fixed names
_ONLY_OPEN = " AND status <> 'resolved'"
_AFTER_PENDING = " AND (active_since IS NOT NULL OR id < %(id)s)"
_AFTER_FIRED = " AND active_since <= %(at)s AND (active_since < %(at)s OR id < %(id)s)"
_HISTORY = f"""
    SELECT {", ".join(HISTORY_COLUMNS)} FROM analytics_alert_history WHERE alert_id = %s ORDER BY sequence
"""  # noqa: S608  # fixed names
_DELIVERIES = f"""
    SELECT {", ".join(DELIVERY_COLUMNS)} FROM alert_deliveries WHERE episode_id = %s::uuid ORDER BY created_at, id
"""  # noqa: S608  # fixed names


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: after the alert that fired at `active_since` (None: it is pending) and has this number."""

    active_since: datetime | None
    id: int


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts: any of these statuses, services and severities (None: any), after a place."""

    statuses: Sequence[str] | None = None
    services: Sequence[str] | None = None
    severities: Sequence[str] | None = None
    after: Place | None = None


def list_alerts(cur: cursor, wanted: AlertFilter, limit: int) -> list[dict[str, Any]]:
    """A page of alerts as dictionaries of ALERT_COLUMNS: the pending ones, then the others by when they fired; of both
    the newest first."""
    more = ""
    if wanted.statuses is not None and "resolved" not in wanted.statuses:
        more += _ONLY_OPEN
    after = wanted.after
    if after is not None:
        more += _AFTER_PENDING if after.active_since is None else _AFTER_FIRED
    values = {
        "statuses": _list(wanted.statuses),
        "services": _list(wanted.services),
        "severities": _list(wanted.severities),
        "at": after and after.active_since,
        "id": after and after.id,
        "limit": limit,
    }
    return _rows(cur, _PAGE.format(more=more), values, ALERT_COLUMNS)


def alert_numbered(cur: cursor, alert_id: int) -> dict[str, Any] | None:
    """The alert of this number; None: there is none."""
    found = _rows(cur, _ONE, (alert_id,), ALERT_COLUMNS)
    return found[0] if found else None


def history_of(cur: cursor, alert_id: int) -> list[dict[str, Any]]:
    """Every transition of an alert, oldest first, as dictionaries of HISTORY_COLUMNS."""
    return _rows(cur, _HISTORY, (alert_id,), HISTORY_COLUMNS)


def deliveries_of(cur: cursor, episode_id: str) -> list[dict[str, Any]]:
    """What each channel was told of an episode, oldest first, as dictionaries of DELIVERY_COLUMNS."""
    return _rows(cur, _DELIVERIES, (episode_id,), DELIVERY_COLUMNS)


def _rows(cur: cursor, query: str, values: Any, columns: Sequence[str]) -> list[dict[str, Any]]:
    cur.execute(query, values)
    return [dict(zip(columns, row, strict=True)) for row in cur.fetchall()]


def _list(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)
