"""Replays that somebody asked for through the database: asked for here, sent by a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg2.extensions import cursor

from analytics_service.adapters.timescale.dead_letter_queries import StoredLetter, letter_from

_QUEUE = """
    INSERT INTO dead_letter_replays (dead_letter_id, requested_by)
    SELECT id, %s FROM unnest(%s::bigint[]) AS ids (id)
    ON CONFLICT (dead_letter_id) DO UPDATE
    SET requested_by = excluded.requested_by, requested_at = now(), refused = NULL
"""
# A letter that was settled meanwhile is not sent: a worker would leave its replay out anyway.
_SETTLED = """
    DELETE FROM dead_letter_replays AS asked USING analytics_dead_letters AS letter
    WHERE letter.id = asked.dead_letter_id AND letter.status <> 'pending'
"""
_LOCK = """
    SELECT letter.id, letter.topic, letter.topic_incarnation, letter.kafka_partition, letter.kafka_offset,
        letter.reason, letter.detail, letter.raw_key, letter.raw_value, letter.status, letter.retry_count,
        letter.topic_copy, letter.created_at
    FROM dead_letter_replays AS asked
    INNER JOIN analytics_dead_letters AS letter ON letter.id = asked.dead_letter_id
    WHERE asked.refused IS NULL AND letter.topic = %s AND letter.status = 'pending'
    ORDER BY asked.dead_letter_id
    LIMIT %s
    FOR UPDATE OF asked SKIP LOCKED
"""


def queue_replays(cur: cursor, ids: Sequence[int], requested_by: str) -> None:
    """Ask for these letters to be sent again; asking twice before they are is asking once. Does not commit."""
    cur.execute(_QUEUE, (requested_by, list(ids)))


def lock_requested(cur: cursor, topic: str, limit: int) -> list[StoredLetter]:
    """Pending letters of `topic` that are to be sent, oldest first, locked; others' are passed over."""
    cur.execute(_LOCK, (topic, limit))
    return [letter_from(row) for row in cur.fetchall()]


def forget_settled(cur: cursor) -> int:
    """Take back the requests for letters that are not pending any more; how many. Does not commit."""
    cur.execute(_SETTLED)
    return cur.rowcount


def mark_sent(cur: cursor, ids: Sequence[int]) -> None:
    """The broker has these: nothing is asked for any more. Does not commit."""
    cur.execute("DELETE FROM dead_letter_replays WHERE dead_letter_id = ANY(%s)", (list(ids),))


def mark_refused(cur: cursor, refused: Mapping[int, str]) -> None:
    """The broker will never take these, and why. Does not commit."""
    for letter_id, why in refused.items():
        cur.execute(
            "UPDATE dead_letter_replays SET refused = %s WHERE dead_letter_id = %s",
            (why, letter_id),
        )
