"""How often a batch could not be stored for its own sake, kept where a restart does not forget it."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg2.extensions import connection, cursor
from psycopg2.extras import execute_values

from analytics_service.adapters.timescale.dead_letters import clean_detail


def count_failure(
    conn: connection, topic: str, incarnation: int, starts: Mapping[int, int], why: str
) -> int:
    """One more failure of the batch that begins at `starts` (partition -> first offset), committed.

    Returns how often it has failed in all: the most of its partitions.
    """
    with conn, conn.cursor() as cur:
        rows = execute_values(
            cur,
            """
            INSERT INTO failing_batches AS held (topic, topic_incarnation, kafka_partition, first_offset, last_error)
            VALUES %s
            ON CONFLICT (topic, topic_incarnation, kafka_partition, first_offset) DO UPDATE
            SET attempts = held.attempts + 1, last_error = excluded.last_error, updated_at = now()
            RETURNING attempts
            """,
            [
                (topic, incarnation, partition, first, clean_detail(why))
                for partition, first in sorted(starts.items())
            ],
            fetch=True,
        )
    return max(int(row[0]) for row in rows)


def failures_of(
    conn: connection, topic: str, incarnation: int, starts: Mapping[int, int]
) -> dict[int, int]:
    """Partition -> how often the batch beginning at its offset in `starts` has failed; absent: never."""
    with conn, conn.cursor() as cur:
        cur.execute(
            """
            SELECT kafka_partition, first_offset, attempts FROM failing_batches
            WHERE topic = %s AND topic_incarnation = %s
            """,
            (topic, incarnation),
        )
        return {
            int(partition): int(attempts)
            for partition, first, attempts in cur.fetchall()
            if starts.get(partition) == first
        }


def forget_failures(
    cur: cursor, topic: str, incarnation: int, next_offsets: Mapping[int, int]
) -> None:
    """Forget the batches of these partitions that begin before the next offset; does not commit."""
    cur.execute(
        """
        DELETE FROM failing_batches AS held
        USING unnest(%(partitions)s::integer[], %(offsets)s::bigint[]) AS stored (partition, next_offset)
        WHERE held.topic = %(topic)s AND held.topic_incarnation = %(incarnation)s
            AND held.kafka_partition = stored.partition AND held.first_offset < stored.next_offset
        """,
        {
            "topic": topic,
            "incarnation": incarnation,
            "partitions": list(next_offsets),
            "offsets": list(next_offsets.values()),
        },
    )
