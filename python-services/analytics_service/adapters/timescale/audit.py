"""The audit trail: who changed rules and silences, when, why, from what to what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from psycopg2.extensions import cursor

Verb = Literal["create", "change", "remove"]
Matter = Literal["rule", "silence"]

LONGEST_ACTOR = 255
LONGEST_COMMENT = 2000


@dataclass(frozen=True, slots=True)
class Hand:
    """Whose hand does something, and what they say about it. At most LONGEST_ACTOR and LONGEST_COMMENT characters."""

    actor: str
    comment: str | None = None


def record(
    cur: cursor,
    hand: Hand,
    action: Verb,
    subject: tuple[Matter, str],
    *,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    """Note a change in the transaction that makes it; `subject` is a rule and its name, or a silence and its number.

    `before` and `after` are plain data; None: there is none. Does not commit.
    """
    states = {"before": before, "after": after}
    detail = {name: state for name, state in states.items() if state is not None}
    cur.execute(
        """
        INSERT INTO audit_trail (actor, action, subject, subject_id, comment, detail)
        VALUES (%s, %s, %s, %s, %s, %s)
        """,
        (hand.actor, action, *subject, hand.comment, json.dumps(detail)),
    )


def entries(
    cur: cursor, limit: int, *, below: int | None = None, matter: str | None = None
) -> list[dict[str, Any]]:
    """The newest entries as dictionaries of the table's columns, newest first.

    `below`: only those with smaller numbers; `matter`: only those about such things.
    """
    cur.execute(
        """
        SELECT id, at, actor, action, subject, subject_id, comment, detail FROM audit_trail
        WHERE (%(below)s::bigint IS NULL OR id < %(below)s)
            AND (%(matter)s::text IS NULL OR subject = %(matter)s)
        ORDER BY id DESC LIMIT %(limit)s
        """,
        {"below": below, "matter": matter, "limit": limit},
    )
    names = ("id", "at", "actor", "action", "subject", "subject_id", "comment", "detail")
    return [dict(zip(names, row, strict=True)) for row in cur.fetchall()]
