"""What the alert rules look at: the newest windows of every service, and how far everything has been read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import cursor

from analytics_service.domain.evaluation import WindowRows
from analytics_service.domain.windows import Window

# A window is complete so long after its end, if everything produced before that has been stored.
SETTLING_S = 5.0


@dataclass(frozen=True, slots=True)
class Clock:
    """The database's time, and before which moment everything that was produced is stored; epoch seconds."""

    now_s: float
    settled_s: float


def read_clock(cur: cursor, topic: str) -> Clock:
    """The time, and how far the present incarnation of the topic has been stored: the least of its partitions."""
    cur.execute(
        """
        SELECT extract(epoch FROM clock_timestamp())::double precision, (
            SELECT extract(epoch FROM min(coalesce(held.caught_up_at, '1970-01-01')))::double precision
            FROM kafka_offsets AS held
            WHERE held.topic = %(topic)s AND held.topic_incarnation = (
                SELECT max(newest.topic_incarnation) FROM topic_incarnations AS newest WHERE newest.topic = %(topic)s
            )
        )
        """,
        {"topic": topic},
    )
    row = cur.fetchone()
    assert row is not None
    return Clock(float(row[0]), float(row[1] or 0.0))


def complete_until(clock: Clock) -> int:
    """Every window that has ended by then is over, settled, and read to its end (epoch seconds)."""
    return int(min(clock.now_s - SETTLING_S, clock.settled_s))


def complete_start(window: Window, clock: Clock) -> int:
    """Start of the newest such window (epoch seconds)."""
    return window.start_of(complete_until(clock)) - window.seconds


def read_windows(
    cur: cursor,
    window: Window,
    clock: Clock,
    metrics: Sequence[str],
    services: Iterable[str] | None,
) -> WindowRows:
    """The rows from the newest complete window on; `services` None: of every service."""
    first = complete_start(window, clock)
    wanted = None if services is None else sorted(set(services))
    cur.execute(
        sql.SQL(
            """
            SELECT service, extract(epoch FROM timestamp)::bigint, total_requests, {metrics} FROM {table}
            WHERE timestamp >= to_timestamp(%(first)s) AND timestamp <= to_timestamp(%(now)s)
                AND (%(services)s::text[] IS NULL OR service = ANY(%(services)s::text[]))
            """
        ).format(
            metrics=sql.SQL(", ").join(
                sql.SQL("{}::double precision").format(sql.Identifier(name)) for name in metrics
            ),
            table=sql.Identifier(window.table),
        ),
        {"first": first, "now": clock.now_s, "services": wanted},
    )
    rows: dict[str, dict[int, tuple[int, Mapping[str, float | None]]]] = {}
    for service, start, requests, *values in cur.fetchall():
        figures = dict(zip(metrics, values, strict=True))
        rows.setdefault(service, {})[int(start)] = (int(requests), figures)
    return WindowRows(first, rows)


def known_services(cur: cursor) -> set[str]:
    """The services that were heard of within the last day."""
    cur.execute(
        """
        SELECT DISTINCT service FROM analytics_metrics_1hour
        WHERE timestamp >= now() - interval '25 hours' AND timestamp <= now()
        """
    )
    return {str(row[0]) for row in cur.fetchall()}
