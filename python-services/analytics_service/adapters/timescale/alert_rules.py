"""The enabled alert rules, as the table has them now."""

from __future__ import annotations

from psycopg2.extensions import cursor

from analytics_service.domain.rules import Rule

_COLUMNS = (
    "rule_name", "metric_name", "operator", "threshold", "severity", "service", "window_size", "resolve_threshold",
    "duration_seconds", "keep_firing_seconds", "min_requests", "no_data_policy", "notification_channels", "enabled",
    "description",
)  # fmt: skip
_QUERY = f"SELECT {', '.join(_COLUMNS)} FROM analytics_alert_rules WHERE enabled ORDER BY rule_name"  # noqa: S608  # fixed names


def enabled_rules(cur: cursor) -> list[Rule]:
    """Every enabled rule, by name."""
    cur.execute(_QUERY)
    return [
        Rule(**{**dict(zip(_COLUMNS, row, strict=True)), "notification_channels": tuple(row[12])})
        for row in cur.fetchall()
    ]
