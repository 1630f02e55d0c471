"""Messages for the alert topic that wait to be published."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2.extensions import cursor


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """A message as it goes to the broker."""

    id: int
    key: bytes
    value: bytes


def unsent(cur: cursor, limit: int) -> list[OutboxMessage]:
    """The oldest messages that are not marked as sent, in their order."""
    cur.execute(
        """
        SELECT id, fingerprint, message FROM alert_outbox
        WHERE sent_at IS NULL ORDER BY id LIMIT %s
        """,
        (limit,),
    )
    return [
        OutboxMessage(int(row[0]), row[1].encode(), json.dumps(row[2], ensure_ascii=False).encode())
        for row in cur.fetchall()
    ]


def mark_sent(cur: cursor, ids: Sequence[int]) -> None:
    """The broker has them. Does not commit."""
    cur.execute(
        "UPDATE alert_outbox SET sent_at = clock_timestamp() WHERE id = ANY(%s)", (list(ids),)
    )


def backlog(cur: cursor) -> tuple[int, float]:
    """How many messages wait, and the age of the oldest in seconds."""
    cur.execute(
        """
        SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)
        FROM alert_outbox WHERE sent_at IS NULL
        """
    )
    row = cur.fetchone()
    assert row is not None
    return int(row[0]), float(row[1])
