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
    held = lock_rows(cur, window, keys) if kept is None else _held(cur, window, keys, kept)
    for key in keys:
        delta, revision = cells[key], 0
        if key in held:
            stored, revision = held[key]
            stored.merge_from(delta)
            delta = stored
        rows.append((key, delta, revision))
    written = write_rows(cur, window, rows)
    if kept is not None:
        for key, delta, revision in rows:
            # A cell of the flush may be that of other windows, too, and is needed again should the flush be repeated.
            state = delta if revision else delta.copy()
            kept.written(window, key, (revision + 1, written[key]), state)
    return len(rows)


def _held(
    cur: cursor, window: Window, keys: Sequence[Cell], kept: KeptRows
) -> dict[Cell, tuple[Delta, int]]:
    """As `lock_rows`, reading only the rows that are not kept as they are."""
    if not kept.any_of(window, keys):
        return lock_rows(cur, window, keys)
    marks = _lock_marks(cur, window, keys)
    held = {}
    for key, mark in marks.items():
        state = kept.take(window, key, mark)
        if state is not None:
            held[key] = state, mark[0]
    others = [key for key in keys if key in marks and key not in held]
    return held | lock_rows(cur, window, others) if others else held


def _lock_marks(cur: cursor, window: Window, keys: Sequence[Cell]) -> dict[Cell, Mark]:
    """The marks of those of `keys` that have a row, locked in the order of their keys."""
    _select_locking(cur, window, keys, sql.SQL("held.aggregated_at"))
    return {(row[0], row[1]): (int(row[2]), row[3]) for row in cur.fetchall()}


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


def lock_rows(cur: cursor, window: Window, keys: Sequence[Cell]) -> dict[Cell, tuple[Delta, int]]:
    """State and revision of those of `keys` that have a row, locked in the order of their keys."""
    _select_locking(cur, window, keys, _names(_READ_COLUMNS, "held"))
    return {
        (row[0], row[1]): (
            Delta.from_state(dict(zip(_READ_COLUMNS, row[3:], strict=True))),
            int(row[2]),
        )
        for row in cur.fetchall()
    }


def _select_locking(
    cur: cursor, window: Window, keys: Sequence[Cell], columns: sql.Composable
) -> None:
    """Ask for service, epoch second, revision and `columns` of the rows of `keys`, locked in the order of the keys."""
    times = [key[1] for key in keys]
    # The bounds on timestamp let the planner leave out the chunks that cannot hold any of the keys.
    cur.execute(
        sql.SQL(
            """
            SELECT held.service, extract(epoch FROM held.timestamp)::bigint, held.revision, {columns}
            FROM {table} AS held
            JOIN unnest(%(services)s::text[], %(times)s::bigint[]) AS wanted (service, epoch)
                ON held.service = wanted.service AND held.timestamp = to_timestamp(wanted.epoch)
            WHERE held.timestamp BETWEEN %(first)s AND %(last)s
            ORDER BY held.service, held.timestamp
            FOR UPDATE OF held
            """
        ).format(table=sql.Identifier(window.table), columns=columns),
        {
            "services": [key[0] for key in keys],
            "times": times,
            "first": datetime.fromtimestamp(min(times), UTC),
            "last": datetime.fromtimestamp(max(times), UTC),
        },
    )


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
) -> dict[Cell, datetime]:
    """Make the rows say what the deltas do; with each the revision it was locked at, 0 when there was no row.

    Returns when each was written. Raises ConcurrentInsert when one of the rows without a revision has appeared. Does
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
    )
    updates = sql.SQL(", ").join(
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name))
        for name in ("revision", "aggregated_at", *STATE_COLUMNS)
    )
    cur.execute(
        sql.SQL(
            """
            INSERT INTO {table} AS held ({names}, aggregated_at)
            SELECT {names}, clock_timestamp() FROM {stage} ORDER BY service COLLATE "C", timestamp
            ON CONFLICT (service, timestamp) DO UPDATE SET {updates}
            WHERE held.revision = excluded.revision - 1
            RETURNING service, extract(epoch FROM timestamp)::bigint, aggregated_at
            """
        ).format(
            table=sql.Identifier(window.table),
            names=_names(names),
            stage=sql.Identifier(STAGE),
            updates=updates,
        )
    )
    written = {(service, start): at for service, start, at in cur.fetchall()}
    if len(written) != len(rows):
        raise ConcurrentInsert(
            f"{window.table}: {len(rows) - len(written)} row(s) were created by another worker"
        )
    cur.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(STAGE)))
    return written


def _names(columns: Sequence[str], prefix: str | None = None) -> sql.Composed:
    if prefix is None:
        return sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL(", ").join(sql.Identifier(prefix, column) for column in columns)


def _time(key: Cell) -> str:
    return datetime.fromtimestamp(key[1], UTC).isoformat()
