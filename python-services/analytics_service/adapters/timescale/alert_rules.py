"""The alert rules: read by the evaluator, written from a reviewed file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg2.extensions import cursor

from analytics_service.domain.rules import Rule

_COLUMNS = (
    "rule_name", "metric_name", "operator", "threshold", "severity", "service", "window_size", "resolve_threshold",
    "duration_seconds", "keep_firing_seconds", "min_requests", "no_data_policy", "notification_channels", "enabled",
    "description",
)  # fmt: skip
_ALL = f"SELECT {', '.join(_COLUMNS)} FROM analytics_alert_rules ORDER BY rule_name"  # noqa: S608  # fixed names
_ENABLED = _ALL.replace(" ORDER BY", " WHERE enabled ORDER BY")
_UPSERT = f"""
    INSERT INTO analytics_alert_rules ({", ".join(_COLUMNS)})
    VALUES ({", ".join(f"%({name})s" for name in _COLUMNS)})
    ON CONFLICT (rule_name) DO UPDATE
    SET {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS)}, updated_at = now()
"""  # noqa: S608  # fixed names


def enabled_rules(cur: cursor) -> list[Rule]:
    """Every enabled rule, by name."""
    cur.execute(_ENABLED)
    return [_rule(row) for row in cur.fetchall()]


def _rule(row: Sequence[Any]) -> Rule:
    values = dict(zip(_COLUMNS, row, strict=True))
    return Rule(**{**values, "notification_channels": tuple(values["notification_channels"])})


def all_rules(cur: cursor) -> list[Rule]:
    """Every rule, enabled or not, by name."""
    cur.execute(_ALL)
    return [_rule(row) for row in cur.fetchall()]


def apply_rules(cur: cursor, rules: Sequence[Rule], *, prune: bool) -> dict[str, list[str]]:
    """Make the table hold these rules; returns names by what became of them. Does not commit.

    Keys: created, changed, unchanged, removed (only with `prune`), left (there, but not among `rules`).
    """
    cur.execute("LOCK TABLE analytics_alert_rules IN SHARE ROW EXCLUSIVE MODE")
    before = {rule.rule_name: rule for rule in all_rules(cur)}
    wanted = {rule.rule_name: rule for rule in rules}
    others = sorted(before.keys() - wanted.keys())
    outcome = {
        "created": sorted(wanted.keys() - before.keys()),
        "changed": sorted(
            name for name in wanted if name in before and wanted[name] != before[name]
        ),
        "unchanged": sorted(name for name in wanted if wanted[name] == before.get(name)),
        "removed": others if prune else [],
        "left": [] if prune else others,
    }
    for name in (*outcome["created"], *outcome["changed"]):
        rule = wanted[name]
        values = {column: getattr(rule, column) for column in _COLUMNS}
        cur.execute(_UPSERT, {**values, "notification_channels": list(rule.notification_channels)})
    if outcome["removed"]:
        cur.execute(
            "DELETE FROM analytics_alert_rules WHERE rule_name = ANY(%s)", (outcome["removed"],)
        )
    return outcome
