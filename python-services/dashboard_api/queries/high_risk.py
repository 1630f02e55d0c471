"""Raw events of high risk, newest first.

Those above INDEXED_ABOVE have an index. For a lower threshold hours and then minutes tell where a look is worth it,
unless it is below the one that windows count by, or such windows are not kept: every event has to be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from dashboard_api.schemas.services import HighRiskEvent

_COLUMNS = sql.SQL(", ").join(
    sql.SQL("host({})").format(sql.Identifier("event", name))
    if name == "source_ip"
    else sql.Identifier("event", name)
    for name in HighRiskEvent.__struct_fields__
)
INDEXED_ABOVE = 0.7
"""As in the predicate of analytics_events_high_risk_idx."""
_EVENTS = sql.SQL(
    """
    SELECT {columns} FROM analytics_events AS event
    WHERE event.timestamp >= {since} AND event.timestamp < {until}
        AND event.risk_score > %(threshold)s {of_services}
    ORDER BY event.timestamp DESC
    LIMIT %(limit)s
    """
)
# What was counted before the last change of the setting was counted by another one: all of it is looked at.
_TELLING = sql.SQL(
    """
    (held.high_risk_count > 0 OR held.risk_count > 0 AND held.timestamp < (
        SELECT c.updated_at FROM system_config AS c WHERE c.key = 'high_risk_threshold'
    ))
    """
)
_GUIDED = sql.SQL(
    """
    SELECT found.* FROM (
        SELECT held.timestamp FROM analytics_metrics_1hour AS held
        WHERE held.timestamp > %(since)s - interval '1 hour' AND held.timestamp < %(until)s
            AND {telling} {of_held}
        GROUP BY held.timestamp ORDER BY held.timestamp DESC
    ) AS hours
    CROSS JOIN LATERAL (
        SELECT held.timestamp FROM analytics_metrics_1min AS held
        WHERE held.timestamp >= hours.timestamp AND held.timestamp < hours.timestamp + interval '1 hour'
            AND held.timestamp > %(since)s - interval '1 minute' AND held.timestamp < %(until)s
            AND {telling} {of_held}
        GROUP BY held.timestamp
    ) AS minutes
    CROSS JOIN LATERAL ({events}) AS found
    ORDER BY hours.timestamp DESC, found.timestamp DESC
    LIMIT %(limit)s
    """
)
_COUNTED_ABOVE = (
    "SELECT stacklens.setting_number('high_risk_threshold', %s),"
    " stacklens.keeps_window('1min') AND stacklens.keeps_window('1hour')"
)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events: from `since` up to `until`, risk above `threshold` (None: the setting), at most `limit`."""

    services: list[str] | None
    since: datetime
    until: datetime
    threshold: float | None
    limit: int


def high_risk_events(
    cursor: Cursor, wanted: EventFilter, default_threshold: float
) -> tuple[float, list[HighRiskEvent]]:
    """The threshold that was used and the newest events above it.

    `default_threshold` holds where system_config says nothing.
    """
    cursor.execute(_COUNTED_ABOVE, (default_threshold,))
    ((counted_above, can_guide),) = cursor.fetchall()
    threshold = counted_above if wanted.threshold is None else wanted.threshold
    guided = can_guide and counted_above <= threshold < INDEXED_ABOVE
    cursor.execute(
        _query(guided, wanted.services is not None),
        {
            "services": wanted.services,
            "since": wanted.since,
            "until": wanted.until,
            "threshold": threshold,
            "limit": wanted.limit,
        },
    )
    return threshold, [HighRiskEvent(*row) for row in cursor.fetchall()]


def _query(guided: bool, by_service: bool) -> sql.Composed:
    def chosen(alias: str) -> sql.Composable:
        if not by_service:
            return sql.SQL("")
        return sql.SQL("AND {}.service = ANY(%(services)s)").format(sql.Identifier(alias))

    since, until = sql.SQL("%(since)s"), sql.SQL("%(until)s")
    if guided:
        since = sql.SQL("greatest(minutes.timestamp, %(since)s)")
        until = sql.SQL("least(minutes.timestamp + interval '1 minute', %(until)s)")
    events = _EVENTS.format(columns=_COLUMNS, since=since, until=until, of_services=chosen("event"))
    if not guided:
        return events
    return _GUIDED.format(telling=_TELLING, of_held=chosen("held"), events=events)
