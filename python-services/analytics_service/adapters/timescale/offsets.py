"""Topic incarnations and offsets: where each partition is read on, kept beside what was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg2.extensions import connection, cursor
from psycopg2.extras import execute_values

from analytics_service.domain.positions import Start


class OwnershipLost(Exception):
    """Somebody else moved an offset that this worker believed to own: roll back, forget, seek."""


@dataclass(frozen=True, slots=True)
class OffsetMove:
    """A compare-and-set of one partition: from the offset that was started at to the next one.

    Everything produced before `newest_ms` (epoch milliseconds) lies before `next_offset`.
    """

    partition: int
    expected: int
    next_offset: int
    lag: int
    stored: int
    dead_lettered: int
    newest_ms: int


def incarnation_of(conn: connection, topic: str, topic_id: str) -> int:
    """Number of the incarnation of `topic` that has `topic_id`; a new id gets the next number."""
    with conn.cursor() as cur:
        cur.execute(
            "SELECT topic_incarnation FROM topic_incarnations WHERE topic = %s AND topic_id = %s",
            (topic, topic_id),
        )
        row = cur.fetchone()
        if row is None:
            # Two workers may meet the new topic at once: the second one waits, then sees the first's row.
            cur.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('stacklens:incarnation:' || %s, 0))",
                (topic,),
            )
            cur.execute(
                """
                INSERT INTO topic_incarnations (topic, topic_incarnation, topic_id)
                SELECT %(topic)s, coalesce(max(topic_incarnation), 0) + 1, %(topic_id)s
                FROM topic_incarnations WHERE topic = %(topic)s
                ON CONFLICT (topic, topic_id) DO NOTHING
                """,
                {"topic": topic, "topic_id": topic_id},
            )
            cur.execute(
                "SELECT topic_incarnation FROM topic_incarnations WHERE topic = %s AND topic_id = %s",
                (topic, topic_id),
            )
            row = cur.fetchone()
        assert row is not None
        return int(row[0])


def read_offsets(
    conn: connection, topic: str, incarnation: int, partitions: Sequence[int]
) -> dict[int, int]:
    """Stored next offsets of `partitions`; those never read are absent."""
    with conn.cursor() as cur:
        cur.execute(
            """
            SELECT kafka_partition, next_offset FROM kafka_offsets
            WHERE topic = %s AND topic_incarnation = %s AND kafka_partition = ANY(%s)
            """,
            (topic, incarnation, list(partitions)),
        )
        return {int(partition): int(next_offset) for partition, next_offset in cur.fetchall()}


def store_starts(
    conn: connection,
    topic: str,
    incarnation: int,
    stored: Mapping[int, int],
    starts: Mapping[int, Start],
) -> bool:
    """Write the starts that differ from `stored`; False when another worker was quicker (read again)."""
    with conn.cursor() as cur:
        for partition in sorted(starts):
            start = starts[partition]
            if start.verdict == "resume":
                continue
            if start.verdict == "first_read":
                cur.execute(
                    """
                    INSERT INTO kafka_offsets (topic, topic_incarnation, kafka_partition, next_offset)
                    VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING
                    """,
                    (topic, incarnation, partition, start.next_offset),
                )
            else:
                cur.execute(
                    """
                    UPDATE kafka_offsets
                    SET next_offset = %s, events_lost = events_lost + %s, updated_at = now()
                    WHERE topic = %s AND topic_incarnation = %s AND kafka_partition = %s AND next_offset = %s
                    """,
                    (
                        start.next_offset,
                        start.lost,
                        topic,
                        incarnation,
                        partition,
                        stored[partition],
                    ),
                )
            if cur.rowcount != 1:
                return False
    return True


def move_offsets(cur: cursor, topic: str, incarnation: int, moves: Sequence[OffsetMove]) -> None:
    """Compare and set the next offset of each partition; raises OwnershipLost if any was moved by another.

    Partitions are locked in ascending order, so that two workers that both believe to own them cannot deadlock.
    """
    ordered = sorted(moves, key=lambda move: move.partition)
    cur.execute(
        """
        SELECT kafka_partition, next_offset FROM kafka_offsets
        WHERE topic = %s AND topic_incarnation = %s AND kafka_partition = ANY(%s)
        ORDER BY kafka_partition FOR UPDATE
        """,
        (topic, incarnation, [move.partition for move in ordered]),
    )
    found = dict(cur.fetchall())
    for move in ordered:
        if found.get(move.partition) != move.expected:
            raise OwnershipLost(
                f"partition {move.partition} stands at {found.get(move.partition)}, not at {move.expected}"
            )
    execute_values(
        cur,
        """
        UPDATE kafka_offsets AS held
        SET next_offset = moved.next_offset, lag = moved.lag, lag_measured_at = clock_timestamp(),
            events_stored = held.events_stored + moved.stored,
            events_dead_lettered = held.events_dead_lettered + moved.dead_lettered,
            updated_at = clock_timestamp(),
            caught_up_at = least(
                greatest(held.caught_up_at, to_timestamp(moved.newest_ms / 1000.0)), clock_timestamp()
            )
        FROM (VALUES %s) AS moved
            (topic, incarnation, kafka_partition, next_offset, lag, stored, dead_lettered, newest_ms)
        WHERE held.topic = moved.topic AND held.topic_incarnation = moved.incarnation
            AND held.kafka_partition = moved.kafka_partition
        """,
        [
            (
                topic,
                incarnation,
                m.partition,
                m.next_offset,
                m.lag,
                m.stored,
                m.dead_lettered,
                m.newest_ms,
            )
            for m in ordered
        ],
    )


def publish_lag(
    conn: connection,
    topic: str,
    incarnation: int,
    lags: Mapping[int, int],
    ages_s: Mapping[int, float],
) -> None:
    """Write the lag of partitions, so that its freshness shows even where there is nothing to flush.

    `ages_s`: how many seconds ago the broker told the end that the lag is measured by. A broker that is away tells
    none, and nobody knows what was produced since.

    Rows that a flush holds are skipped: the flush publishes its own lag, and neither should wait for the other.
    """
    with conn.cursor() as cur:
        cur.execute(
            """
            UPDATE kafka_offsets AS held
            SET lag = seen.lag, lag_measured_at = clock_timestamp(),
                -- Without lag everything is stored that was there when the broker was heard; a second for the way.
                caught_up_at = CASE WHEN seen.lag = 0
                    THEN least(
                        greatest(held.caught_up_at, clock_timestamp() - make_interval(secs => 1 + seen.age_s)),
                        clock_timestamp()
                    )
                    ELSE held.caught_up_at END
            FROM (
                SELECT free.kafka_partition, new_lag.behind AS lag, new_lag.age_s
                FROM kafka_offsets AS free
                JOIN unnest(%(partitions)s::integer[], %(lags)s::bigint[], %(ages)s::double precision[])
                    AS new_lag (wanted, behind, age_s) ON free.kafka_partition = new_lag.wanted
                WHERE topic = %(topic)s AND topic_incarnation = %(incarnation)s
                FOR UPDATE OF free SKIP LOCKED
            ) AS seen
            WHERE held.topic = %(topic)s AND held.topic_incarnation = %(incarnation)s
                AND held.kafka_partition = seen.kafka_partition
            """,
            {
                "topic": topic,
                "incarnation": incarnation,
                "partitions": list(lags),
                "lags": list(lags.values()),
                "ages": [ages_s[partition] for partition in lags],
            },
        )
