"""Rows of the window tables: locked, read, written and deleted.

Every write carries the revision it was made from, so a row that appeared in between is never overwritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from psycopg2 import sql
from psycopg2.extensions import cursor

from analytics_service.adapters.timescale.copy_chunks import copy_in
from analytics_service.adapters.timescale.copy_columns import fields, timestamp_fields
from analytics_service.adapters.timescale.copy_text import array
from analytics_service.adapters.timescale.kept_rows import KeptRows, Mark
from analytics_service.adapters.timescale.window_copy_text import STATE_COLUMNS, window_lines
from analytics_service.domain.aggregation import Cell, Delta
from analytics_service.domain.windows import Window

STAGE = "stacklens_window_stage"
# A sketch stays as it is where what was counted since it was written is written beside it.
_SKETCHES = {"users_sketch": "users_recent", "ips_sketch": "ips_recent"}
_LARGE_COLUMNS = ("latency_buckets", "latency_bucket_counts", "users_sketch", "ips_sketch")
_READ_COLUMNS = (
    "total_requests", "failed_requests", "latency_min_ms", "latency_max_ms", "high_risk_count", "latency_count",
    "latency_sum_ms", "latency_buckets", "latency_bucket_counts", "risk_count", "risk_sum", "users_sketch",
    "users_recent", "ips_sketch", "ips_recent",
)  # fmt: skip

_UNLESS_KEPT = sql.SQL(", ").join(
    sql.SQL("CASE WHEN NOT held.is_kept THEN {} END").format(sql.Identifier("held", column))
    for column in _READ_COLUMNS
)

ROWS_AT_ONCE = 500

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Row:
    """What a row of a window says or is to say.

    `revision`: the one it was found at, 0 when there was no row; `written_us`: when it is believed to have been
    written last (epoch microseconds), None when it was locked or there was none.
    """

    key: Cell
    state: Delta
    revision: int = 0
    written_us: int | None = None


class ConcurrentInsert(Exception):
    """A row appeared between looking and writing, or is not what it was believed to be: roll back and try again."""


def prepare_stage(cur: cursor) -> None:
    """Create this connection's staging table, which empties itself at each commit, and say how it is to be used."""
    # What is staged is read back at once: not worth compressing, nor moving out of the row. In the tables it is, and
    # LZ4, where the server has it, takes a fraction of the time of the default.
    cur.execute(
        """
        SELECT set_config(name, 'lz4', false) FROM pg_settings
        WHERE name = 'default_toast_compression' AND 'lz4' = any(enumvals)
        """
    )
    cur.execute("SET temp_buffers = '64MB'")
    cur.execute(
        sql.SQL(
            """
            CREATE TEMPORARY TABLE IF NOT EXISTS {} WITH (toast_tuple_target = 8160) ON COMMIT DELETE ROWS AS
            SELECT timestamp, service, revision, aggregated_at, {} FROM analytics_metrics_1min WITH NO DATA
            """
        ).format(sql.Identifier(STAGE), _names(STATE_COLUMNS))
    )
    alterations = sql.SQL(", ").join(
        sql.SQL("ALTER COLUMN {} SET STORAGE EXTERNAL").format(sql.Identifier(column))
        for column in _LARGE_COLUMNS
    )
    cur.execute(sql.SQL("ALTER TABLE {} {}").format(sql.Identifier(STAGE), alterations))


def lock_rows(
    cur: cursor, window: Window, keys: Sequence[Cell], kept: KeptRows | None = None
) -> dict[Cell, Row]:
    """Those of `keys` that have a row, locked in the order given, which must be that of the keys.

    A state that `kept` holds as the row has it is taken from there and not read.
    """
    marks = [None] * len(keys) if kept is None else kept.marks(window, keys)
    held = {}
    for key, revision, _, is_kept, values in _look_up(cur, window, keys, marks, lock=True):
        if is_kept and kept is not None:
            state = kept.take(window, key)
        else:
            state = Delta.from_row(dict(zip(_READ_COLUMNS, values, strict=True)))
        held[key] = Row(key, state, revision)
    if kept is not None:
        kept.compared(window, keys)
    return held


def look_at_rows(cur: cursor, window: Window, keys: Sequence[Cell]) -> dict[Cell, Row]:
    """Those of `keys` that have a row, not locked: `write_rows` makes sure that they still are what they were."""
    held = {}
    for key, revision, written_us, _, values in _look_up(
        cur, window, keys, [None] * len(keys), lock=False
    ):
        state = Delta.from_row(dict(zip(_READ_COLUMNS, values, strict=True)))
        held[key] = Row(key, state, revision, written_us)
    return held


def _look_up(
    cur: cursor, window: Window, keys: Sequence[Cell], marks: Sequence[Mark | None], *, lock: bool
) -> Iterator[tuple[Cell, int, int, bool, Sequence[Any]]]:
    """Each of `keys` that has a row: revision, when it was written, whether that is its mark; if not, _READ_COLUMNS."""
    if not keys:
        return
    times = [key[1] for key in keys]
    # LATERAL with FOR UPDATE or OFFSET inside, which the planner cannot dissolve: one look into the index for each key,
    # in their order, whatever it makes of a chunk that it has no statistics of yet; of a plain join it made a pass over
    # all keys for every row.
    # The bounds on timestamp let the planner leave out the chunks that cannot hold any of the keys.
    cur.execute(
        sql.SQL(
            """
            SELECT wanted.service, wanted.epoch, held.revision,
                (extract(epoch FROM held.aggregated_at) * 1000000)::bigint, held.is_kept, {columns}
            FROM unnest(%(services)s::text[], %(times)s::bigint[], %(revisions)s::bigint[], %(written)s::bigint[])
                AS wanted (service, epoch, revision, written_us)
            CROSS JOIN LATERAL (
                SELECT stored.*, coalesce(
                    stored.revision = wanted.revision
                    AND stored.aggregated_at = 'epoch'::timestamptz + wanted.written_us * interval '1 microsecond',
                    false
                ) AS is_kept
                FROM {table} AS stored
                WHERE stored.service = wanted.service AND stored.timestamp = to_timestamp(wanted.epoch)
                    AND stored.timestamp BETWEEN %(first)s AND %(last)s
                {lock}
            ) AS held
            """
        ).format(
            table=sql.Identifier(window.table),
            columns=_UNLESS_KEPT,
            lock=sql.SQL("FOR UPDATE" if lock else "OFFSET 0"),
        ),
        {
            "services": [key[0] for key in keys],
            "times": array(times),
            "revisions": array([mark and mark.revision for mark in marks]),
            "written": array([mark and mark.written_us for mark in marks]),
            "first": datetime.fromtimestamp(min(times), UTC),
            "last": datetime.fromtimestamp(max(times), UTC),
        },
    )
    for service, start, revision, written_us, is_kept, *values in cur:
        yield (service, start), revision, written_us, is_kept, values


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


def write_rows(cur: cursor, window: Window, rows: Sequence[Row]) -> int:
    """Make the rows of the table say what these do.

    Returns when they were written (epoch microseconds), which each of them says. Raises ConcurrentInsert when one that
    should not have been there has appeared, or one that was not locked is not what it was. Does not commit.
    """
    now_us = server_time_us(cur)
    pieces = range(0, len(rows), ROWS_AT_ONCE)
    # The server reads some while the next are formatted; what a worker frozen meanwhile has locked, `frozen` frees.
    texts = (row_lines(rows[at : at + ROWS_AT_ONCE], now_us) for at in pieces)
    put_lines(cur, window, texts, len(rows), now_us)
    return now_us


def server_time_us(cur: cursor) -> int:
    """What the database's clock says, in epoch microseconds."""
    cur.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
    ((now_us,),) = cur.fetchall()
    return int(now_us)


def row_lines(rows: Sequence[Row], now_us: int) -> memoryview:
    """The rows as `put_lines` takes them; `now_us`: when they are to say that they were written."""
    marks = [now_us if row.written_us is None else row.written_us for row in rows]
    keys = (
        timestamp_fields(pa.array([row.key[1] * 1_000_000 for row in rows])),
        fields(pa.array([row.key[0] for row in rows])),
        fields(pa.array([row.revision + 1 for row in rows])),
        timestamp_fields(pa.array(marks)),
    )
    return window_lines(keys, [row.state for row in rows], [row.revision > 0 for row in rows])


def put_lines(
    cur: cursor, window: Window, texts: Iterable[memoryview], count: int, now_us: int
) -> None:
    """Make the rows of the table say what `count` rows do, in pieces of `row_lines`, as `write_rows` does."""
    names = ("timestamp", "service", "revision", "aggregated_at", *STATE_COLUMNS)
    copy_in(
        cur,
        sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(STAGE), _names(names)),
        texts,
    )
    updates = sql.SQL(", ").join(_update(name) for name in ("revision", *STATE_COLUMNS))
    # A row that was not locked brings the time that it was last written at, which has to be that of the row it meets.
    # Where it meets none it is inserted with that time, and so gives itself away.
    cur.execute(
        sql.SQL(
            """
            WITH written AS (
                INSERT INTO {table} AS held ({names})
                SELECT {names} FROM {stage} ORDER BY service COLLATE "C", timestamp
                ON CONFLICT (service, timestamp) DO UPDATE SET aggregated_at = %(now)s, {updates}
                WHERE held.revision = excluded.revision - 1
                    AND excluded.aggregated_at IN (held.aggregated_at, %(now)s)
                RETURNING held.aggregated_at = %(now)s AS is_as_meant
            )
            SELECT count(*) FROM written WHERE is_as_meant
            """
        ).format(
            table=sql.Identifier(window.table),
            names=_names(names),
            stage=sql.Identifier(STAGE),
            updates=updates,
        ),
        {"now": _time_text(now_us)},
    )
    ((written,),) = cur.fetchall()
    if written != count:
        raise ConcurrentInsert(
            f"{window.table}: {count - written} row(s) were written by another worker"
        )
    cur.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(STAGE)))


def _update(name: str) -> sql.Composed:
    recent = _SKETCHES.get(name)
    if recent is None:
        return sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name))
    # What lies out of line and is set to itself is not written again.
    return sql.SQL(
        "{0} = CASE WHEN excluded.{1} IS NULL THEN excluded.{0} ELSE held.{0} END"
    ).format(sql.Identifier(name), sql.Identifier(recent))


def _names(columns: Sequence[str], prefix: str | None = None) -> sql.Composed:
    if prefix is None:
        return sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL(", ").join(sql.Identifier(prefix, column) for column in columns)


def _time_text(epoch_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=epoch_us)).isoformat()
