"""One merged row per service over any range of time, from the sketches of the stored windows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from analytics_service.domain.times import EPOCH, from_epoch_s
from analytics_service.domain.windows import DAY, Window, window_named
from dashboard_api.merging import MERGED_COLUMNS, RowMerger
from dashboard_api.queries.columns import FIGURE_COLUMNS
from dashboard_api.ranges import Piece

FETCHED_AT_ONCE = 500
# What each column of state is needed for, and what stands in its place where nobody asks for that.
_HISTOGRAM = frozenset({"latency_p50_ms", "latency_p95_ms", "latency_p99_ms"})
_NEEDED_FOR: Mapping[str, tuple[frozenset[str], str]] = {
    "users_sketch": (frozenset({"unique_users"}), "NULL::bytea"),
    "users_recent": (frozenset({"unique_users"}), "NULL::bytea"),
    "ips_sketch": (frozenset({"unique_ips"}), "NULL::bytea"),
    "ips_recent": (frozenset({"unique_ips"}), "NULL::bytea"),
    "latency_buckets": (_HISTOGRAM, "'{{}}'"),
    "latency_bucket_counts": (_HISTOGRAM, "'{{}}'"),
}
_AS_TEXT = ("latency_buckets", "latency_bucket_counts")
_SECOND = timedelta(seconds=1)
_HOUR = window_named("1hour")
_MERGED_DAYS = """
    SELECT CASE WHEN isfinite(marked_before) THEN extract(epoch FROM marked_before)::bigint END,
        extract(epoch FROM (SELECT min(timestamp) FROM analytics_metrics_1day WHERE NOT is_valid))::bigint,
        extract(epoch FROM (SELECT max(timestamp) FROM analytics_metrics_1day WHERE NOT is_valid))::bigint
    FROM daily_level
"""
_ROWS = sql.SQL(
    "SELECT {columns} FROM {table} AS held WHERE held.timestamp >= %s AND held.timestamp < %s"
)
# Whole days: those that are merged; the hours of those that a late write has marked; the hours of days that may not
# be marked yet, because they ended a moment ago or are still going on.
_DAYS = (
    sql.SQL(
        "SELECT {columns} FROM {table} AS held "
        "WHERE held.is_valid AND held.timestamp >= %s AND held.timestamp < %s"
    ),
    sql.SQL(
        """
        SELECT {columns} FROM {table} AS day
        JOIN analytics_metrics_1hour AS held ON held.service = day.service
            AND held.timestamp >= day.timestamp AND held.timestamp < day.timestamp + interval '24 hours'
        WHERE NOT day.is_valid AND day.timestamp < (SELECT marked_before FROM daily_level)
            AND held.timestamp >= %s AND held.timestamp < %s
        """
    ),
    sql.SQL(
        """
        SELECT {columns} FROM analytics_metrics_1hour AS held
        WHERE held.timestamp >= (SELECT marked_before FROM daily_level)
            AND NOT EXISTS (
                SELECT FROM {table} AS day
                WHERE day.is_valid AND day.service = held.service
                    AND day.timestamp = date_trunc('day', held.timestamp, 'UTC')
            )
            AND held.timestamp >= %s AND held.timestamp < %s
        """
    ),
)


def whole_seconds(since: datetime, until: datetime) -> tuple[int, int]:
    """Epoch seconds of a range, rounded outwards."""
    return (since - EPOCH) // _SECOND, -((EPOCH - until) // _SECOND)


def levels_of(windows: Sequence[Window]) -> Sequence[Window]:
    """The windows that are kept and, on top of hours, the days."""
    return [*windows, DAY] if _HOUR in windows else windows


def kept_since(cursor: Cursor) -> dict[str, int | None]:
    """For each retention tier the epoch second before which its rows are gone; None: none are."""
    cursor.execute(
        "SELECT tier, CASE WHEN isfinite(archived_before) "
        "THEN ceil(extract(epoch FROM archived_before))::bigint END FROM retention_tiers"
    )
    return dict(cursor.fetchall())


def with_merged_days(cursor: Cursor, pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """The same pieces, those of days marked of which each is merged: planning to read hours, too, costs most."""
    if all(piece.window is not DAY for piece in pieces):
        return tuple(pieces)
    cursor.execute(_MERGED_DAYS)
    ((marked_before_s, first_s, last_s),) = cursor.fetchall()

    def _is_merged(piece: Piece) -> bool:
        return (
            piece.window is DAY
            and marked_before_s is not None
            and piece.end_s <= marked_before_s
            and (first_s is None or last_s < piece.start_s or first_s >= piece.end_s)
        )

    return tuple(replace(piece, is_merged=_is_merged(piece)) for piece in pieces)


def merge_rows(rows: Iterable[Sequence[Any]]) -> dict[str, RowMerger]:
    """Per service the union of its rows: service, aggregated_at, then the values of MERGED_COLUMNS."""
    merged: dict[str, RowMerger] = {}
    for service, written_at, *values in rows:
        merger = merged.get(service)
        if merger is None:
            merger = merged[service] = RowMerger()
        merger.add(written_at, values)
    return merged


def left_out(figures: Collection[str]) -> tuple[str, ...]:
    """The columns of state that `figures` do not need."""
    return tuple(name for name, (of, _) in _NEEDED_FOR.items() if of.isdisjoint(figures))


def state_columns(figures: Collection[str] = FIGURE_COLUMNS) -> sql.Composed:
    """service, aggregated_at and MERGED_COLUMNS of `held`; what `figures` do not need is left empty."""
    return sql.SQL(", ").join(
        _state_column(name, figures) for name in ("service", "aggregated_at", *MERGED_COLUMNS)
    )


def _state_column(name: str, figures: Collection[str]) -> sql.Composed:
    needed_for, otherwise = _NEEDED_FOR.get(name, (None, ""))
    if needed_for is not None and needed_for.isdisjoint(figures):
        return sql.SQL(otherwise).format()
    text = "{}::text" if name in _AS_TEXT else "{}"
    return sql.SQL(text).format(sql.Identifier("held", name))


def select_pieces(
    pieces: Iterable[Piece], columns: sql.Composable, services: list[str] | None
) -> tuple[sql.Composed, list[object]]:
    """One statement with `columns` of the rows (`held`) of all pieces, and its values; both empty without pieces."""
    selects = []
    values: list[object] = []
    for piece in pieces:
        for source in _sources(piece):
            select = source.format(columns=columns, table=sql.Identifier(piece.window.table))
            values += [from_epoch_s(piece.start_s), from_epoch_s(piece.end_s)]
            if services is not None:
                select += sql.SQL(" AND held.service = ANY(%s)")
                values.append(services)
            selects.append(select)
    return sql.SQL(" UNION ALL ").join(selects), values


def _sources(piece: Piece) -> Sequence[sql.SQL]:
    if piece.window is not DAY:
        return [_ROWS]
    return _DAYS[:1] if piece.is_merged else _DAYS


def streamed(
    connection: Connection, statement: tuple[sql.Composed, list[object]]
) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement a few at a time: a month of sketches does not fit into memory at once."""
    if not statement[1]:
        return
    # A cursor on the server.
    with connection.cursor(name="streamed") as cursor:
        cursor.itersize = FETCHED_AT_ONCE
        cursor.execute(*statement)
        yield from cursor
