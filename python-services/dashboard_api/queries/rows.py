"""Rows of one window size, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg2 import sql

from analytics_service.domain.windows import Window
from dashboard_api.cursors import Cursor
from dashboard_api.database import Reader
from dashboard_api.queries.columns import ROW_COLUMNS, names
from dashboard_api.schemas.metrics import WindowRow


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which rows: windows that start in [since, until), of some services, after a cursor."""

    window: Window
    services: list[str] | None
    since: datetime | None
    until: datetime | None
    after: Cursor | None


def newest_rows(reader: Reader, wanted: RowFilter, limit: int) -> list[WindowRow]:
    """At most `limit` rows, by timestamp descending, then service."""
    conditions: list[sql.Composable] = [sql.SQL("TRUE")]
    values: dict[str, object] = {"limit": limit, "services": wanted.services}
    if wanted.since is not None:
        conditions.append(sql.SQL("timestamp >= %(since)s"))
        values["since"] = wanted.since
    if wanted.until is not None:
        conditions.append(sql.SQL("timestamp < %(until)s"))
        values["until"] = wanted.until
    if wanted.after is not None:
        # The first half, implied by the second, lets the planner leave out newer chunks.
        conditions.append(
            sql.SQL("timestamp <= %(at)s AND (timestamp < %(at)s OR service > %(last)s)")
        )
        values |= {"at": wanted.after.timestamp, "last": wanted.after.service}
    query = (_ALL if wanted.services is None else _CHOSEN).format(
        columns=names(ROW_COLUMNS),
        table=sql.Identifier(wanted.window.table),
        conditions=sql.SQL(" AND ").join(conditions),
    )
    return [
        WindowRow(**dict(zip(ROW_COLUMNS, row, strict=True))) for row in reader.rows(query, values)
    ]


_ALL = sql.SQL(
    """
    SELECT {columns} FROM {table} WHERE {conditions}
    ORDER BY timestamp DESC, service LIMIT %(limit)s
    """
)

# Each service's newest rows from the index (service, timestamp): a rare one costs no search.
_CHOSEN = sql.SQL(
    """
    SELECT {columns} FROM unnest(%(services)s::text[]) AS chosen (name)
    CROSS JOIN LATERAL (
        SELECT * FROM {table} WHERE service = chosen.name AND {conditions}
        ORDER BY timestamp DESC LIMIT %(limit)s
    ) AS found
    ORDER BY timestamp DESC, service LIMIT %(limit)s
    """
)
