"""Alert rules as the API answers them."""

from __future__ import annotations

from psycopg2.extensions import cursor as Cursor

from analytics_service.adapters.timescale.rule_changes import NoSuchRule, StoredRule, stored_rule
from analytics_service.domain.rule_files import as_fields
from dashboard_api.errors import not_found
from dashboard_api.schemas.rules import RuleRow


def rule_row(stored: StoredRule) -> RuleRow:
    """A rule with its number and times."""
    return RuleRow(
        id=stored.id,
        created_at=stored.created_at,
        updated_at=stored.updated_at,
        **as_fields(stored.rule),
    )


def known_rule(cursor: Cursor, name: str, *, lock: bool = False) -> StoredRule:
    """The rule of this name, see `stored_rule`; raises Problem 404."""
    try:
        return stored_rule(cursor, name, lock=lock)
    except NoSuchRule as error:
        raise not_found(error) from None


def rule_named(cursor: Cursor, name: str) -> RuleRow | None:
    """The rule of this name; None: it is gone."""
    try:
        return rule_row(stored_rule(cursor, name))
    except NoSuchRule:
        return None
