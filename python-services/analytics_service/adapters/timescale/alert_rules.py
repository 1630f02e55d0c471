"""The alert rules: read by the evaluator, written from a reviewed file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg2.extensions import cursor

from analytics_service.adapters.timescale.audit import Hand, Verb, record
from analytics_service.domain.rule_files import as_fields
from analytics_service.domain.rules import Rule

RULE_COLUMNS = (
    "rule_name", "metric_name", "operator", "threshold", "severity", "service", "window_size", "resolve_threshold",
    "duration_seconds", "keep_firing_seconds", "min_requests", "no_data_policy", "notification_channels", "enabled",
    "description",
)  # fmt: skip
_ALL = f"SELECT {', '.join(RULE_COLUMNS)} FROM analytics_alert_rules ORDER BY rule_name"  # noqa: S608  # fixed names
_ENABLED = _ALL.replace(" ORDER BY", " WHERE enabled ORDER BY")
_UPSERT = f"""
    INSERT INTO analytics_alert_rules ({", ".join(RULE_COLUMNS)})
    VALUES ({", ".join(f"%({name})s" for name in RULE_COLUMNS)})
    ON CONFLICT (rule_name) DO UPDATE
    SET {", ".join(f"{name} = excluded.{name}" for name in RULE_COLUMNS)}, updated_at = now()
"""  # noqa: S608  # fixed names
_VERBS: tuple[tuple[Verb, str], ...] = (
    ("create", "created"),
    ("change", "changed"),
    ("remove", "removed"),
)


def enabled_rules(cur: cursor) -> list[Rule]:
    """Every enabled rule, by name."""
    cur.execute(_ENABLED)
    return [rule_of(row) for row in cur.fetchall()]


def rule_of(row: Sequence[Any]) -> Rule:
    """The rule of a row with RULE_COLUMNS."""
    values = dict(zip(RULE_COLUMNS, row, strict=True))
    return Rule(**{**values, "notification_channels": tuple(values["notification_channels"])})


def values_of(rule: Rule) -> dict[str, Any]:
    """The values of its columns, for a statement."""
    return {
        column: list(value) if isinstance(value, tuple) else value
        for column, value in ((column, getattr(rule, column)) for column in RULE_COLUMNS)
    }


def all_rules(cur: cursor) -> list[Rule]:
    """Every rule, enabled or not, by name."""
    cur.execute(_ALL)
    return [rule_of(row) for row in cur.fetchall()]


def apply_rules(
    cur: cursor, rules: Sequence[Rule], hand: Hand, *, prune: bool
) -> dict[str, list[str]]:
    """Make the table hold these rules; returns names by what became of them. Does not commit.

    Each change leaves an entry with `hand` in the audit trail.

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
        cur.execute(_UPSERT, values_of(wanted[name]))
    if outcome["removed"]:
        cur.execute(
            "DELETE FROM analytics_alert_rules WHERE rule_name = ANY(%s)", (outcome["removed"],)
        )
    for verb, what in _VERBS:
        for name in outcome[what]:
            record(
                cur,
                hand,
                verb,
                ("rule", name),
                before=as_fields(before[name]) if name in before else None,
                after=as_fields(wanted[name]) if name in wanted else None,
            )
    return outcome
