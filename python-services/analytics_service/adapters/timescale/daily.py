"""The daily level: days that are over, merged from their windows, marked invalid by late writes.

Whoever writes window rows of a day that is over marks the day in the same transaction, after its window writes
(`invalidate_days`); the builder locks a marker first and reads the windows in a later statement. So no valid row is
ever stale. A writer that committed before the builder had the marker is read. A writer that holds the marker makes the
builder pass it over. A writer that has written windows but not yet marked the day waits for the builder's marker, and
then finds the row valid and makes it invalid again, in the very commit that shows its windows.

Days become due ten minutes after their end by the database's clock: a transaction that found the day not over yet has
nothing left to do but to commit, and has long been ended by its timeouts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg2 import sql
from psycopg2.extensions import connection, cursor
from psycopg2.extras import execute_batch

from analytics_service.adapters.timescale.retention import latest, lock_kept_since
from analytics_service.adapters.timescale.window_copy_text import STATE_COLUMNS
from analytics_service.adapters.timescale.window_rows import read_states
from analytics_service.domain.aggregation import Cell, Delta
from analytics_service.domain.windows import Window

DAY_S = 86_400
# How far a worker's clock may lag behind the database's before a day that is over goes unnoticed by a flush.
CLOCK_TOLERANCE_S = 300
# Rows of hourly windows that one transaction merges: 20 days of 24 hours, some 0.1 s.
_HOURS_AT_ONCE = 20 * 24
_COLD = "cold"
# A builder frozen in its transaction holds markers that flushes wait for.
_SESSION = """
    SET LOCAL idle_in_transaction_session_timeout = '5s'; SET LOCAL statement_timeout = '30s';
    SET LOCAL lock_timeout = '5s'; SET LOCAL TimeZone = 'UTC'
"""
# The transaction's own time: one and the same in all of its statements.
_DUE_BEFORE = "date_trunc('day', now() - interval '10 minutes', 'UTC')"


def invalidate_days(cur: cursor, cells: Iterable[Cell], now_s: float) -> None:
    """Mark the days of `cells`, which this transaction has written, as in need of merging.

    Only days that are over by the database's clock; nothing is asked of it when by `now_s` (epoch seconds) all of them
    have a good while to go. Call it after the last window write. Does not commit.
    """
    days = sorted(
        {
            (service, start - start % DAY_S)
            for service, start in cells
            if start - start % DAY_S + DAY_S < now_s + CLOCK_TOLERANCE_S
        }
    )
    if not days:
        return
    cur.execute(
        """
        INSERT INTO analytics_metrics_1day AS held (service, timestamp)
        SELECT wanted.service, to_timestamp(wanted.epoch)
        FROM unnest(%s::text[], %s::bigint[]) AS wanted (service, epoch)
        WHERE to_timestamp(wanted.epoch + %s) <= clock_timestamp()
        ORDER BY wanted.service COLLATE "C", wanted.epoch
        ON CONFLICT (service, timestamp) DO UPDATE SET is_valid = false, invalidated_at = clock_timestamp()
        WHERE held.is_valid
        """,
        ([service for service, _ in days], [day for _, day in days], DAY_S),
    )


def build_days(conn: connection, window: Window) -> int:
    """Mark and merge until nothing is left to do; returns how many days were merged. Commits."""
    merged = 0
    while (step := build_step(conn, window)) is not None:
        merged += step
    return merged


def build_step(conn: connection, window: Window) -> int | None:
    """One transaction: mark a day that is over, or merge a few; returns how many were merged, None: nothing to do.

    `window` is the coarsest that is kept, whose rows are merged. Any number of processes may do this at once. Commits;
    rolls back and raises psycopg2 errors.
    """
    try:
        with conn.cursor() as cur:
            cur.execute(_SESSION)
            since = latest(lock_kept_since(cur), {_COLD, window.tier})
            merged = 0 if _mark_one_day(cur, window) else _merge_some(cur, window, since)
        conn.commit()
    except BaseException:
        if not conn.closed:
            conn.rollback()
        raise
    return merged


def _mark_one_day(cur: cursor, window: Window) -> bool:
    """Give every service of the next day that is over its marker; False when there is no such day."""
    cur.execute(
        sql.SQL(
            """
            SELECT date_trunc('day', (
                SELECT min(held.timestamp) FROM {table} AS held
                WHERE held.timestamp >= level.marked_before AND held.timestamp < {due}
            ), 'UTC')
            FROM daily_level AS level FOR UPDATE
            """
        ).format(table=sql.Identifier(window.table), due=sql.SQL(_DUE_BEFORE))
    )
    (day,) = cur.fetchone() or (None,)
    if day is None:
        _advance(cur, None)
        return False
    cur.execute(
        sql.SQL(
            """
            INSERT INTO analytics_metrics_1day (service, timestamp)
            SELECT DISTINCT held.service, %(day)s::timestamptz FROM {table} AS held
            WHERE held.timestamp >= %(day)s AND held.timestamp < %(day)s + interval '24 hours'
            ORDER BY held.service
            ON CONFLICT (service, timestamp) DO NOTHING
            """
        ).format(table=sql.Identifier(window.table)),
        {"day": day},
    )
    _advance(cur, day)
    return True


def _advance(cur: cursor, day: object) -> None:
    """Note that everything through `day` is marked; None: everything that is due."""
    cur.execute(
        sql.SQL(
            """
            UPDATE daily_level SET marked_before = moment.value
            FROM (SELECT coalesce(%s::timestamptz + interval '24 hours', {due}) AS value) AS moment
            WHERE marked_before < moment.value
            """
        ).format(due=sql.SQL(_DUE_BEFORE)),
        (day,),
    )


def _merge_some(cur: cursor, window: Window, since_s: int | None) -> int | None:
    """Merge the windows of some marked days; None when no marked day is free to be merged."""
    days = _lock_markers(cur, window, since_s)
    if not days:
        return None
    merged = _merged(cur, window, days)
    _store(cur, [(day, merged[day]) for day in days if day in merged])
    _delete(cur, [day for day in days if day not in merged])
    return len(merged)


def _lock_markers(cur: cursor, window: Window, since_s: int | None) -> list[Cell]:
    cur.execute(
        sql.SQL(
            """
            SELECT service, extract(epoch FROM timestamp)::bigint FROM analytics_metrics_1day
            WHERE NOT is_valid AND timestamp < {due}
                AND (%(since)s IS NULL OR timestamp >= to_timestamp(%(since)s))
            ORDER BY service, timestamp LIMIT %(limit)s FOR UPDATE SKIP LOCKED
            """
        ).format(due=sql.SQL(_DUE_BEFORE)),
        {"since": since_s, "limit": max(1, _HOURS_AT_ONCE * window.seconds // DAY_S)},
    )
    return [(service, int(day)) for service, day in cur.fetchall()]


def _merged(cur: cursor, window: Window, days: Sequence[Cell]) -> dict[Cell, Delta]:
    merged: dict[Cell, Delta] = {}
    for day, delta in read_states(cur, window, days, DAY_S):
        if day in merged:
            merged[day].merge_from(delta)
        else:
            merged[day] = delta
    return merged


def _store(cur: cursor, days: Sequence[tuple[Cell, Delta]]) -> None:
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name))
        for name in STATE_COLUMNS
    )
    execute_batch(
        cur,
        sql.SQL(
            """
            UPDATE analytics_metrics_1day SET {}, aggregated_at = clock_timestamp(), is_valid = true
            WHERE service = %(service)s AND timestamp = to_timestamp(%(day)s)
            """
        ).format(assignments),
        [{**delta.to_state(), "service": key[0], "day": key[1]} for key, delta in days],
    )


def _delete(cur: cursor, days: Sequence[Cell]) -> None:
    """A day without windows needs no marker."""
    cur.execute(
        """
        DELETE FROM analytics_metrics_1day AS held
        USING unnest(%s::text[], %s::bigint[]) AS gone (service, epoch)
        WHERE held.service = gone.service AND held.timestamp = to_timestamp(gone.epoch)
        """,
        ([service for service, _ in days], [day for _, day in days]),
    )
