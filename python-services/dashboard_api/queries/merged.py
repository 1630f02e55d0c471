"""One merged row per service over any range of time, from the sketches of the stored windows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from analytics_service.domain.aggregation import Delta
from analytics_service.domain.windows import Window
from dashboard_api.queries.columns import FIGURE_COLUMNS, STATE_COLUMNS, names
from dashboard_api.ranges import Plan, plan_range
from dashboard_api.times import EPOCH, from_epoch_s

FETCHED_AT_ONCE = 500
_MERGED_COLUMNS = ("service", "aggregated_at", *STATE_COLUMNS)
_SECOND = timedelta(seconds=1)


def merged_rows(
    cursor: Cursor,
    windows: Sequence[Window],
    since: datetime,
    until: datetime,
    services: list[str] | None,
) -> tuple[Plan, list[dict[str, Any]]]:
    """What of [since, until) is covered, and a row per service with traffic in it, by service."""
    first_s, end_s = (since - EPOCH) // _SECOND, -((EPOCH - until) // _SECOND)
    plan = plan_range(first_s, end_s, windows, kept_since(cursor))
    merged = merge_windows(_state_rows(cursor, plan, services))
    return plan, [
        {"service": service, **_figures(delta), "aggregated_at": written_at}
        for service, (delta, written_at) in sorted(merged.items())
    ]


def kept_since(cursor: Cursor) -> dict[str, int | None]:
    """For each retention tier the epoch second before which its rows are gone; None: none are."""
    cursor.execute(
        "SELECT tier, CASE WHEN isfinite(archived_before) "
        "THEN ceil(extract(epoch FROM archived_before))::bigint END FROM retention_tiers"
    )
    return dict(cursor.fetchall())


def merge_windows(
    rows: Iterable[tuple[Any, ...]],
) -> dict[str, tuple[Delta, datetime]]:
    """Per service the union of its rows (of `_MERGED_COLUMNS`), and when it was last written."""
    merged: dict[str, tuple[Delta, datetime]] = {}
    for service, written_at, *state in rows:
        delta = Delta.from_state(dict(zip(STATE_COLUMNS, state, strict=True)))
        held = merged.get(service)
        if held is not None:
            held[0].merge_from(delta)
            delta, written_at = held[0], max(held[1], written_at)
        merged[service] = (delta, written_at)
    return merged


def _figures(delta: Delta) -> dict[str, Any]:
    state = delta.to_state()
    return {name: state[name] for name in FIGURE_COLUMNS}


def _state_rows(
    cursor: Cursor, plan: Plan, services: list[str] | None
) -> Iterable[tuple[Any, ...]]:
    """The rows of all pieces, read in one statement: they are of one and the same moment."""
    if not plan.pieces:
        return
    selects = []
    values: list[object] = []
    for piece in plan.pieces:
        select = sql.SQL("SELECT {} FROM {} WHERE timestamp >= %s AND timestamp < %s").format(
            names(_MERGED_COLUMNS), sql.Identifier(piece.window.table)
        )
        values += [from_epoch_s(piece.start_s), from_epoch_s(piece.end_s)]
        if services is not None:
            select += sql.SQL(" AND service = ANY(%s)")
            values.append(services)
        selects.append(select)
    cursor.execute(sql.SQL(" UNION ALL ").join(selects), values)
    while batch := cursor.fetchmany(FETCHED_AT_ONCE):
        yield from batch
