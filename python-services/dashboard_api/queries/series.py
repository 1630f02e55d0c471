"""Series of a service's figures: stored rows where a step is a window, merged ones where it is longer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from analytics_service.domain.times import from_epoch_s
from analytics_service.domain.windows import DAY, Window
from dashboard_api.errors import Problem, invalid_parameters
from dashboard_api.merging import RowMerger
from dashboard_api.queries.columns import names
from dashboard_api.queries.merged import select_pieces, state_columns, streamed
from dashboard_api.ranges import Piece
from dashboard_api.steps import Steps

MOST_ROWS = 100_000
"""Most stored rows that one answer may take; beyond it the client has to ask for less."""

Columns = dict[str, list[list[Any]]]

_AS_STORED = sql.SQL(
    """
    SELECT service, extract(epoch FROM timestamp)::bigint, {columns} FROM {table}
    WHERE timestamp >= %(since)s AND timestamp < %(until)s {services}
    LIMIT %(limit)s
    """
)
_STEP = sql.SQL(
    "extract(epoch FROM date_bin(make_interval(secs => {step}), held.timestamp, 'epoch'))::bigint, {state}"
)
_COUNT = sql.SQL(
    "SELECT count(DISTINCT service) FROM {table} WHERE timestamp >= %s - interval '1 day' AND timestamp < %s"
)


def count_services(cursor: Cursor, windows: Sequence[Window], until: datetime) -> int:
    """How many services had traffic on the last day of a range: about as many series as it has."""
    cursor.execute(_COUNT.format(table=sql.Identifier(windows[-1].table)), (until, until))
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def read_columns(
    cursor: Cursor, steps: Steps, services: list[str] | None, metrics: Sequence[str]
) -> Columns:
    """For each service with traffic and each of `metrics` its values step by step, a gap being None.

    Raises Problem 400 when it would take too many rows.
    """
    if steps.window is not DAY and steps.step_s == steps.window.seconds:
        rows = _as_stored(cursor, steps, services, metrics)
    else:
        rows = _merged(cursor, steps, services, metrics)
    length, first_s, step_s = len(steps.starts_s), steps.start_s, steps.step_s
    found: Columns = {}
    for service, start_s, *values in rows:
        columns = found.get(service)
        if columns is None:
            columns = found[service] = [[None] * length for _ in metrics]
        place = (start_s - first_s) // step_s
        for column, value in zip(columns, values, strict=True):
            column[place] = value
    return found


def _as_stored(
    cursor: Cursor, steps: Steps, services: list[str] | None, metrics: Sequence[str]
) -> Iterable[Sequence[Any]]:
    query = _AS_STORED.format(
        columns=names(metrics),
        table=sql.Identifier(steps.window.table),
        services=sql.SQL("" if services is None else "AND service = ANY(%(services)s)"),
    )
    cursor.execute(
        query,
        {
            "since": from_epoch_s(steps.start_s),
            "until": from_epoch_s(steps.end_s),
            "services": services,
            "limit": MOST_ROWS + 1,
        },
    )
    if cursor.rowcount > MOST_ROWS:
        raise _too_many()
    return cursor.fetchall()


def _merged(
    cursor: Cursor, steps: Steps, services: list[str] | None, metrics: Sequence[str]
) -> Iterator[Sequence[Any]]:
    columns = _STEP.format(step=sql.Literal(steps.step_s), state=state_columns(metrics))
    piece = Piece(steps.window, steps.start_s, steps.end_s)
    mergers: dict[tuple[str, int], RowMerger] = {}
    rows = streamed(cursor.connection, select_pieces([piece], columns, services))
    for start_s, service, written_at, *values in _bounded(rows):
        merger = mergers.get((service, start_s))
        if merger is None:
            merger = mergers[service, start_s] = RowMerger()
        merger.add(written_at, values)
    for (service, start_s), merger in mergers.items():
        figures = merger.figures()
        yield service, start_s, *(figures[name] for name in metrics)


def _bounded(rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    for place, row in enumerate(rows):
        if place == MOST_ROWS:
            raise _too_many()
        yield row


def _too_many() -> Problem:
    return invalid_parameters(
        {"service": "too many services for such a range: name some, or take a shorter range"}
    )
