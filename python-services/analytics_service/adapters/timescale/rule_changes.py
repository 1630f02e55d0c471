"""Single rules, made, replaced and removed by hand; each change leaves an entry in the audit trail. Nothing commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extensions import cursor

from analytics_service.adapters.timescale.alert_rules import RULE_COLUMNS, rule_of, values_of
from analytics_service.adapters.timescale.audit import Hand, record
from analytics_service.domain.rule_files import as_fields
from analytics_service.domain.rules import Rule

_FOUND = f"""
    SELECT id, created_at, updated_at, {", ".join(RULE_COLUMNS)} FROM analytics_alert_rules
"""  # noqa: S608  # fixed names
_INSERT = f"""
    INSERT INTO analytics_alert_rules ({", ".join(RULE_COLUMNS)})
    VALUES ({", ".join(f"%({name})s" for name in RULE_COLUMNS)})
    ON CONFLICT (rule_name) DO NOTHING
"""  # noqa: S608  # fixed names
_UPDATE = f"""
    UPDATE analytics_alert_rules
    SET {", ".join(f"{name} = %({name})s" for name in RULE_COLUMNS)}, updated_at = now()
    WHERE rule_name = %(rule_name)s
"""  # noqa: S608  # fixed names


class NoSuchRule(Exception):
    """There is no rule of this name."""


class RuleExists(Exception):
    """There is a rule of this name already."""


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A rule as it is stored: its number, and when it was made and last changed."""

    id: int
    created_at: datetime
    updated_at: datetime
    rule: Rule


def stored_rules(cur: cursor) -> list[StoredRule]:
    """Every rule, by name."""
    cur.execute(_FOUND + "ORDER BY rule_name")
    return [_stored(row) for row in cur.fetchall()]


def stored_rule(cur: cursor, name: str, *, lock: bool = False) -> StoredRule:
    """The rule of this name, with `lock` kept from others until the transaction ends; raises NoSuchRule."""
    cur.execute(_FOUND + "WHERE rule_name = %s" + (" FOR UPDATE" if lock else ""), (name,))
    rows = cur.fetchall()
    if not rows:
        raise NoSuchRule(f"there is no rule {name!r}")
    return _stored(rows[0])


def create_rule(cur: cursor, rule: Rule, hand: Hand) -> StoredRule:
    """A new rule; raises RuleExists."""
    cur.execute(_INSERT, values_of(rule))
    if not cur.rowcount:
        raise RuleExists(f"there is a rule {rule.rule_name!r} already")
    record(cur, hand, "create", ("rule", rule.rule_name), after=as_fields(rule))
    return stored_rule(cur, rule.rule_name)


def replace_rule(cur: cursor, rule: Rule, hand: Hand) -> StoredRule:
    """Make the rule of this name be like this; raises NoSuchRule. No change leaves no trace."""
    before = stored_rule(cur, rule.rule_name, lock=True)
    if rule == before.rule:
        return before
    cur.execute(_UPDATE, values_of(rule))
    record(
        cur,
        hand,
        "change",
        ("rule", rule.rule_name),
        before=as_fields(before.rule),
        after=as_fields(rule),
    )
    return stored_rule(cur, rule.rule_name)


def remove_rule(cur: cursor, name: str, hand: Hand) -> None:
    """Remove the rule of this name, which ends its open alerts; raises NoSuchRule."""
    before = stored_rule(cur, name, lock=True)
    cur.execute("DELETE FROM analytics_alert_rules WHERE id = %s", (before.id,))
    record(cur, hand, "remove", ("rule", name), before=as_fields(before.rule))


def _stored(row: Sequence[Any]) -> StoredRule:
    number, created_at, updated_at, *fields = row
    return StoredRule(number, created_at, updated_at, rule_of(fields))
