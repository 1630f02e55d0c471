"""Rows of analytics_dead_letters: written in the flush's transaction, copied to the topic afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2.extensions import cursor
from psycopg2.extras import execute_values

from analytics_service.ingest.work import DeadLetter

DETAIL_LIMIT = 500


@dataclass(frozen=True, slots=True)
class PendingCopy:
    """A dead letter whose copy on the dead-letter topic is still to be published."""

    id: int
    topic: str
    letter: DeadLetter


def insert_dead_letters(
    cur: cursor, topic: str, incarnation: int, letters: Sequence[DeadLetter]
) -> None:
    """Insert `letters`; their copies become pending. Replays of earlier letters are not for this function."""
    if not letters:
        return
    execute_values(
        cur,
        """
        INSERT INTO analytics_dead_letters
            (topic, topic_incarnation, kafka_partition, kafka_offset, reason, detail, raw_key, raw_value)
        VALUES %s
        """,
        [
            (
                topic,
                incarnation,
                d.partition,
                d.offset,
                d.reason,
                clean_detail(d.detail),
                d.key,
                d.value,
            )
            for d in letters
        ],
        page_size=100,
    )


def lock_pending_copies(cur: cursor, topic: str, limit: int, byte_limit: int) -> list[PendingCopy]:
    """Oldest dead letters of `topic` without a copy, locked; those another worker holds are skipped.

    At most `limit` rows and about `byte_limit` bytes of values, but at least one.
    """
    cur.execute(
        """
        SELECT id, topic, kafka_partition, kafka_offset, reason, coalesce(detail, ''), raw_key, raw_value
        FROM analytics_dead_letters
        WHERE id IN (
            SELECT id FROM (
                SELECT
                    id,
                    sum(coalesce(length(raw_value), 0)) OVER (ORDER BY id) AS bytes,
                    row_number() OVER (ORDER BY id) AS place
                FROM (
                    SELECT id, raw_value FROM analytics_dead_letters
                    WHERE topic_copy = 'pending' AND topic = %s ORDER BY id LIMIT %s
                ) AS oldest
            ) AS counted
            WHERE bytes <= %s OR place = 1
        )
        ORDER BY id FOR UPDATE SKIP LOCKED
        """,
        (topic, limit, byte_limit),
    )
    return [
        PendingCopy(
            row[0],
            row[1],
            DeadLetter(row[2], row[3], row[4], row[5], _bytes(row[6]), _bytes(row[7])),
        )
        for row in cur.fetchall()
    ]


def mark_copies(cur: cursor, ids: Sequence[int], state: str) -> None:
    """Set `topic_copy` of the rows to `state` (sent or refused)."""
    if ids:
        cur.execute(
            "UPDATE analytics_dead_letters SET topic_copy = %s WHERE id = ANY(%s)",
            (state, list(ids)),
        )


def pending_figures(cur: cursor) -> tuple[int, float]:
    """How many dead letters wait for somebody, and the age of the oldest in seconds."""
    cur.execute(
        """
        SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)
        FROM analytics_dead_letters WHERE status = 'pending'
        """
    )
    count, oldest = cur.fetchone() or (0, 0.0)
    return int(count), float(oldest)


def clean_detail(detail: str) -> str:
    """The text as a column takes it: without NUL and lone surrogates, cut to a readable length."""
    return detail.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()[:DETAIL_LIMIT]


def _bytes(value: memoryview | bytes | None) -> bytes | None:
    return None if value is None else bytes(value)
