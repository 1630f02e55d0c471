"""Merging deltas into window rows that several workers write.

Rows are locked in the order (service, timestamp), merged here (a HyperLogLog does not merge in plain SQL) and written
back. Every write carries the revision it was made from, so a row that appeared in between is never overwritten.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from psycopg2 import sql
from psycopg2.extensions import cursor

from analytics_service.adapters.timescale.copy_text import lines
from analytics_service.adapters.timescale.kept_rows import KeptRows, Mark
from analytics_service.domain.aggregation import Cell, Delta
from analytics_service.domain.windows import Window

STAGE = "stacklens_window_stage"
STATE_COLUMNS = (
    "total_requests", "successful_requests", "failed_requests", "error_rate", "latency_min_ms", "latency_p50_ms",
    "latency_p95_ms", "latency_p99_ms", "latency_max_ms", "latency_mean_ms", "unique_users", "unique_ips",
    "avg_risk_score", "high_risk_count", "latency_count", "latency_sum_ms", "latency_buckets",
    "latency_bucket_counts", "risk_count", "risk_sum", "users_sketch", "ips_sketch",
)  # fmt: skip
_READ_COLUMNS = (
    "total_requests", "failed_requests", "latency_min_ms", "latency_max_ms", "high_risk_count", "latency_count",
    "latency_sum_ms", "latency_buckets", "latency_bucket_counts", "risk_count", "risk_sum", "users_sketch",
    "ips_sketch",
)  # fmt: skip

_UNLESS_KEPT = sql.SQL(", ").join(
    sql.SQL("CASE WHEN NOT held.is_kept THEN {} END").format(sql.Identifier("held", column))
    for column in _READ_COLUMNS
)


class ConcurrentInsert(Exception):
    """A row appeared between looking and writing: roll the flush back and try it again."""


def merge_cells(
    cur: cursor, window: Window, cells: Mapping[Cell, Delta], kept: KeptRows | None = None
) -> int:
    """Merge `cells` into the rows of `window`; returns how many rows were written.

    States found in `kept` are not read; the caller tells it how the transaction ended. Raises ConcurrentInsert when
    another transaction created one of the rows meanwhile. Does not commit.
    """
    if not cells:
        return 0
    rows = []
    keys = sorted(cells)
    held = lock_rows(cur, window, keys, kept)
    for key in keys:
        delta, revision = cells[key], 0
        if key in held:
            stored, revision = held[key]
            stored.merge_from(delta)
            delta = stored
        rows.append((key, delta, revision))
    written_at = write_rows(cur, window, rows)
    if kept is not None:
        for key, delta, revision in rows:
            # A cell of the flush may be that of other windows, too, and is needed again should the flush be repeated.
            state = delta if revision else delta.copy()
            kept.written(window, key, Mark(revision + 1, written_at), state)
    return len(rows)


def prepare_stage(cur: cursor) -> None:
    """Create this connection's staging table; it empties itself at each commit."""
    cur.execute(
        sql.SQL(
            """
            CREATE TEMPORARY TABLE IF NOT EXISTS {} ON COMMIT DELETE ROWS AS
            SELECT timestamp, service, revision, {} FROM analytics_metrics_1min WITH NO DATA
            """
        ).format(sql.Identifier(STAGE), _names(STATE_COLUMNS))
    )


def lock_rows(
    cur: cursor, window: Window, keys: Sequence[Cell], kept: KeptRows | None = None
) -> dict[Cell, tuple[Delta, int]]:
    """State and revision of those of `keys` that have a row, locked in the order given, which must be that of the keys.

    A state that `kept` holds as the row has it is taken from there and not read.
    """
    times = [key[1] for key in keys]
    marks = [None if kept is None else kept.mark(window, key) for key in keys]
    # LATERAL with FOR UPDATE inside: one look into the index for each key, in their order, whatever the planner makes of
    # a chunk that it has no statistics of yet; a plain join became one pass over all keys for every row, now and then.
    # The bounds on timestamp let the planner leave out the chunks that cannot hold any of the keys.
    cur.execute(
        sql.SQL(
            """
            SELECT wanted.service, wanted.epoch, held.revision, held.is_kept, {columns}
            FROM unnest(%(services)s::text[], %(times)s::bigint[], %(revisions)s::bigint[], %(written)s::timestamptz[])
                AS wanted (service, epoch, revision, written_at)
            CROSS JOIN LATERAL (
                SELECT stored.*, coalesce(
                    stored.revision = wanted.revision AND stored.aggregated_at = wanted.written_at, false
                ) AS is_kept
                FROM {table} AS stored
                WHERE stored.service = wanted.service AND stored.timestamp = to_timestamp(wanted.epoch)
                    AND stored.timestamp BETWEEN %(first)s AND %(last)s
                FOR UPDATE
            ) AS held
            """
        ).format(table=sql.Identifier(window.table), columns=_UNLESS_KEPT),
        {
            "services": [key[0] for key in keys],
            "times": times,
            "revisions": [mark and mark.revision for mark in marks],
            "written": [mark and mark.written_at for mark in marks],
            "first": datetime.fromtimestamp(min(times), UTC),
            "last": datetime.fromtimestamp(max(times), UTC),
        },
    )
    held = {}
    for service, start, revision, is_kept, *values in cur:
        key = service, start
        if is_kept and kept is not None:
            state = kept.take(window, key)
        else:
            state = Delta.from_state(dict(zip(_READ_COLUMNS, values, strict=True)))
        held[key] = state, revision
    return held


def read_states(
    cur: cursor, window: Window, keys: Sequence[Cell], seconds: int
) -> Iterator[tuple[Cell, Delta]]:
    """The rows of `window` whose starts lie in [key's start, + `seconds`), each with the key it belongs to."""
    times = [key[1] for key in keys]
    cur.execute(
        sql.SQL(
            """
            SELECT wanted.service, wanted.epoch, {columns}
            FROM unnest(%(services)s::text[], %(times)s::bigint[]) AS wanted (service, epoch)
            JOIN {table} AS held
                ON held.service = wanted.service AND held.timestamp >= to_timestamp(wanted.epoch)
                AND held.timestamp < to_timestamp(wanted.epoch + %(seconds)s)
            WHERE held.timestamp >= %(first)s AND held.timestamp < %(end)s
            """
        ).format(table=sql.Identifier(window.table), columns=_names(_READ_COLUMNS, "held")),
        {
            "services": [key[0] for key in keys],
            "times": times,
            "seconds": seconds,
            "first": datetime.fromtimestamp(min(times), UTC),
            "end": datetime.fromtimestamp(max(times) + seconds, UTC),
        },
    )
    for row in cur:
        state = dict(zip(_READ_COLUMNS, row[2:], strict=True))
        yield (row[0], row[1]), Delta.from_state(state)


def delete_rows(cur: cursor, window: Window, keys: Sequence[Cell]) -> None:
    """Delete the rows of `keys`, which this transaction has locked."""
    times = [key[1] for key in keys]
    if not keys:
        return
    cur.execute(
        sql.SQL(
            """
            DELETE FROM {table} AS held
            USING unnest(%(services)s::text[], %(times)s::bigint[]) AS gone (service, epoch)
            WHERE held.service = gone.service AND held.timestamp = to_timestamp(gone.epoch)
                AND held.timestamp BETWEEN %(first)s AND %(last)s
            """
        ).format(table=sql.Identifier(window.table)),
        {
            "services": [key[0] for key in keys],
            "times": times,
            "first": datetime.fromtimestamp(min(times), UTC),
            "last": datetime.fromtimestamp(max(times), UTC),
        },
    )


def write_rows(
    cur: cursor, window: Window, cells: Sequence[tuple[Cell, Delta, int]]
) -> datetime:
    """Make the rows say what the deltas do; with each the revision it was locked at, 0 when there was no row.

    Returns when they were written, which is said by each of them. Raises ConcurrentInsert when one of the rows without a revision has appeared. Does
    not commit.
    """
    names = ("timestamp", "service", "revision", *STATE_COLUMNS)
    rows = []
    for key, delta, revision in cells:
        state = delta.to_state()
        rows.append((_time(key), key[0], revision + 1, *(state[name] for name in STATE_COLUMNS)))
    cur.copy_expert(
        sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(STAGE), _names(names)),
        io.BytesIO(lines(rows).encode()),
        size=1 << 23,  # each piece sent means waiting for Python's lock
    )
    cur.execute("SELECT clock_timestamp()")
    ((written_at,),) = cur.fetchall()
    updates = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name))
        for name in ("revision", "aggregated_at", *STATE_COLUMNS)
    )
    cur.execute(
        sql.SQL(
            """
            INSERT INTO {table} AS held ({names}, aggregated_at)
            SELECT {names}, %s FROM {stage} ORDER BY service COLLATE "C", timestamp
            ON CONFLICT (service, timestamp) DO UPDATE SET {updates}
            WHERE held.revision = excluded.revision - 1
            """
        ).format(
            table=sql.Identifier(window.table),
            names=_names(names),
            stage=sql.Identifier(STAGE),
            updates=updates,
        ),
        (written_at,),
    )
    if cur.rowcount != len(rows):
        raise ConcurrentInsert(
            f"{window.table}: {len(rows) - cur.rowcount} row(s) were created by another worker"
        )
    cur.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(STAGE)))
    assert isinstance(written_at, datetime)
    return written_at


def _names(columns: Sequence[str], prefix: str | None = None) -> sql.Composed:
    if prefix is None:
        return sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL(", ").join(sql.Identifier(prefix, column) for column in columns)


def _time(key: Cell) -> str:
    return datetime.fromtimestamp(key[1], UTC).isoformat()
