"""One merged row per service over any range of time, from the sketches of the stored windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from analytics_service.domain.delta import Delta
from analytics_service.domain.times import EPOCH, from_epoch_s
from analytics_service.domain.windows import DAY, Window, window_named
from dashboard_api.merging import MERGED_COLUMNS, RowMerger
from dashboard_api.queries.columns import FIGURE_COLUMNS
from dashboard_api.ranges import Plan, plan_range

FETCHED_AT_ONCE = 500
_AS_TEXT = ("latency_buckets", "latency_bucket_counts")
_SELECTED = sql.SQL(", ").join(
    sql.SQL("{}::text" if name in _AS_TEXT else "{}").format(sql.Identifier("held", name))
    for name in ("service", "aggregated_at", *MERGED_COLUMNS)
)
_SECOND = timedelta(seconds=1)
_HOUR = window_named("1hour")
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


def merged_rows(
    cursor: Cursor,
    windows: Sequence[Window],
    since: datetime,
    until: datetime,
    services: list[str] | None,
) -> tuple[Plan, list[dict[str, Any]]]:
    """What of [since, until) is covered, and a row per service with traffic in it, by service."""
    first_s, end_s = (since - EPOCH) // _SECOND, -((EPOCH - until) // _SECOND)
    levels = [*windows, DAY] if _HOUR in windows else windows
    plan = plan_range(first_s, end_s, levels, kept_since(cursor))
    merged = merge_rows(_state_rows(cursor.connection, plan, services))
    return plan, [
        {"service": service, **_figures(merger.result()), "aggregated_at": merger.written_at}
        for service, merger in sorted(merged.items())
    ]


def kept_since(cursor: Cursor) -> dict[str, int | None]:
    """For each retention tier the epoch second before which its rows are gone; None: none are."""
    cursor.execute(
        "SELECT tier, CASE WHEN isfinite(archived_before) "
        "THEN ceil(extract(epoch FROM archived_before))::bigint END FROM retention_tiers"
    )
    return dict(cursor.fetchall())


def merge_rows(rows: Iterable[Sequence[Any]]) -> dict[str, RowMerger]:
    """Per service the union of its rows: service, aggregated_at, then the values of MERGED_COLUMNS."""
    merged: dict[str, RowMerger] = {}
    for service, written_at, *values in rows:
        merger = merged.get(service)
        if merger is None:
            merger = merged[service] = RowMerger()
        merger.add(written_at, values)
    return merged


def _figures(delta: Delta) -> dict[str, Any]:
    state = delta.to_state()
    return {name: state[name] for name in FIGURE_COLUMNS}


def _state_rows(
    connection: Connection, plan: Plan, services: list[str] | None
) -> Iterator[tuple[Any, ...]]:
    """The rows of all pieces, read in one statement: they are of one and the same moment."""
    selects = []
    values: list[object] = []
    for piece in plan.pieces:
        sources = _DAYS if piece.window is DAY else [_ROWS]
        for source in sources:
            select = source.format(columns=_SELECTED, table=sql.Identifier(piece.window.table))
            values += [from_epoch_s(piece.start_s), from_epoch_s(piece.end_s)]
            if services is not None:
                select += sql.SQL(" AND held.service = ANY(%s)")
                values.append(services)
            selects.append(select)
    if not selects:
        return
    # A cursor on the server: a month of sketches does not fit into memory at once.
    with connection.cursor(name="merged_rows") as cursor:
        cursor.itersize = FETCHED_AT_ONCE
        cursor.execute(sql.SQL(" UNION ALL ").join(selects), values)
        yield from cursor
