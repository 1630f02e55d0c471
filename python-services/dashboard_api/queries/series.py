"""Series of a service's figures: stored rows where a step is a window, merged ones where it is longer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from analytics_service.domain.times import from_epoch_s
from analytics_service.domain.windows import DAY, Window
from dashboard_api.errors import invalid_parameters
from dashboard_api.kept_parts import KeptParts
from dashboard_api.queries.columns import names
from dashboard_api.queries.kept_steps import TooManyRows, merged_steps, stored_windows
from dashboard_api.steps import Steps

MOST_ROWS = 100_000
"""Most stored rows that one answer may take; beyond it the client has to ask for less."""

Columns = dict[str, list[list[Any]]]

_AS_STORED = sql.SQL(
    """
    SELECT service, extract(epoch FROM timestamp)::bigint, {columns} FROM {table}
    WHERE timestamp >= %(since)s AND timestamp < %(until)s AND service = ANY(%(services)s)
    LIMIT %(limit)s
    """
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
    cursor: Cursor,
    kept: KeptParts,
    steps: Steps,
    services: list[str] | None,
    metrics: Sequence[str],
) -> Columns:
    """For each service with traffic and each of `metrics` its values step by step, a gap being None.

    Raises Problem 400 when it would take too many rows.
    """
    found: Columns = {}
    length, first_s, step_s = len(steps.starts_s), steps.start_s, steps.step_s
    for start_s, rows in _rows(cursor, kept, steps, services, metrics):
        place = (start_s - first_s) // step_s
        for service, *values in rows:
            columns = found.get(service)
            if columns is None:
                columns = found[service] = [[None] * length for _ in metrics]
            for column, value in zip(columns, values, strict=True):
                column[place] = value
    return found


def _rows(
    cursor: Cursor,
    kept: KeptParts,
    steps: Steps,
    services: list[str] | None,
    metrics: Sequence[str],
) -> Iterator[tuple[int, Iterable[Sequence[Any]]]]:
    """Starts of steps, each with rows of it: the service and its figures."""
    try:
        if steps.window is DAY or steps.step_s != steps.window.seconds:
            merged = merged_steps(cursor, kept, steps, services, metrics, MOST_ROWS)
            for service, start_s, *values in merged:
                yield start_s, [(service, *values)]
        elif services is None:
            yield from stored_windows(cursor, kept, steps, metrics, MOST_ROWS)
        else:
            for service, start_s, *values in _as_stored(cursor, steps, services, metrics):
                yield start_s, [(service, *values)]
    except TooManyRows:
        raise invalid_parameters(
            {"service": "too many services for such a range: name some, or take a shorter range"}
        ) from None


def _as_stored(
    cursor: Cursor, steps: Steps, services: list[str], metrics: Sequence[str]
) -> Iterable[Sequence[Any]]:
    query = _AS_STORED.format(columns=names(metrics), table=sql.Identifier(steps.window.table))
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
        raise TooManyRows
    return cursor.fetchall()
