"""The columns of the metrics tables that the API reads."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg2 import sql

from dashboard_api.schemas.metrics import WindowRow

ROW_COLUMNS = WindowRow.__struct_fields__
"""One row as clients see it."""

FIGURE_COLUMNS = tuple(
    name for name in ROW_COLUMNS if name not in ("timestamp", "service", "aggregated_at")
)
"""Those of it that follow from the events."""


def names(columns: Sequence[str]) -> sql.Composed:
    """Column names, quoted, separated by commas."""
    return sql.SQL(", ").join(map(sql.Identifier, columns))
