"""How the pipeline behind the figures is doing, as far as the database knows."""

from __future__ import annotations

from psycopg2.extensions import cursor as Cursor

from dashboard_api.schemas.overview import Evaluator, PartitionFigures, StoredLatency

SAMPLE = 500
_PARTITIONS = """
    SELECT kafka_partition, next_offset, lag,
        extract(epoch FROM clock_timestamp() - lag_measured_at)::float8,
        extract(epoch FROM clock_timestamp() - least(caught_up_at, lag_measured_at))::float8,
        events_stored, events_dead_lettered, events_lost
    FROM kafka_offsets WHERE topic = %(topic)s AND topic_incarnation = (
        SELECT max(topic_incarnation) FROM topic_incarnations WHERE topic = %(topic)s
    )
    ORDER BY kafka_partition
"""
_NAMES = (
    "partition", "next_offset", "lag", "lag_age_seconds", "data_age_seconds", "events_stored",
    "events_dead_lettered", "events_lost",
)  # fmt: skip
# Two minutes back at most: older events say nothing about now.
_STORED_LATENCY = """
    SELECT count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY late),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY late)
    FROM (
        SELECT extract(epoch FROM ingested_at - timestamp)::float8 AS late FROM analytics_events
        WHERE timestamp > now() - interval '2 minutes' AND timestamp <= now()
        ORDER BY timestamp DESC LIMIT %s
    ) AS newest
"""
_PENDING_LETTERS = "SELECT count(*) FROM analytics_dead_letters WHERE status = 'pending'"
_BACKLOG = "SELECT count(*) FROM alert_outbox WHERE sent_at IS NULL"
_EVALUATOR = (
    "SELECT holder FROM leases WHERE name = 'alert-evaluator' AND expires_at > clock_timestamp()"
)


def partitions(cursor: Cursor, topic: str) -> list[PartitionFigures]:
    """Each partition of the topic as it exists now."""
    cursor.execute(_PARTITIONS, {"topic": topic})
    return [PartitionFigures(**dict(zip(_NAMES, row, strict=True))) for row in cursor.fetchall()]


def stored_latency(cursor: Cursor) -> StoredLatency:
    """Of the newest raw events: how much time lay between what they say and their storing."""
    cursor.execute(_STORED_LATENCY, (SAMPLE,))
    ((events, median, high),) = cursor.fetchall()
    return StoredLatency(events, median, high)


def pending_letters(cursor: Cursor) -> int:
    """Dead letters that nobody has dealt with."""
    return _count(cursor, _PENDING_LETTERS)


def outbox_backlog(cursor: Cursor) -> int:
    """Transitions of alerts that are still to be published."""
    return _count(cursor, _BACKLOG)


def evaluator(cursor: Cursor) -> Evaluator:
    """Which process evaluates the rules."""
    cursor.execute(_EVALUATOR)
    row = cursor.fetchone()
    return Evaluator(row[0] if row else None)


def _count(cursor: Cursor, query: str) -> int:
    cursor.execute(query)
    ((count,),) = cursor.fetchall()
    return int(count)
