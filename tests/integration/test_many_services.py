"""A flush of many services costs so much a row, whatever the planner thinks of a chunk it knows nothing about."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from psycopg2.extensions import cursor as Cursor

from analytics_service.adapters.timescale.flush import prepare_connection
from analytics_service.adapters.timescale.window_rows import Row, lock_rows, look_at_rows
from analytics_service.adapters.timescale.window_store import merge_cells
from analytics_service.domain.aggregation import Cell, Delta
from analytics_service.domain.windows import BASE_WINDOW, Window
from tests.databases import Database

SERVICES = 3_000
START_S = 1_795_000_020 // 60 * 60


def rows_touched(plan: dict[str, Any]) -> float:
    """Rows that the nodes of a plan gave and those that they threw away, all loops together."""
    own = plan["Actual Rows"] + sum(
        value for name, value in plan.items() if name.startswith("Rows Removed")
    )
    return float(own * plan["Actual Loops"]) + sum(map(rows_touched, plan.get("Plans", ())))


def explained(cursor: Cursor, statement: bytes) -> dict[str, Any]:
    """The plan of a statement, with what happened when it ran."""
    cursor.execute(b"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + statement)
    (row,) = cursor.fetchall()
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


@pytest.mark.parametrize("look_up", [lock_rows, look_at_rows])
def test_each_row_is_looked_at_once_before_there_are_statistics(
    database: Database, look_up: Callable[[Cursor, Window, Sequence[Cell]], dict[Cell, Row]]
) -> None:
    keys = sorted((f"service-{number}", START_S) for number in range(SERVICES))
    with contextlib.closing(database.connect()) as connection:
        connection.autocommit = False
        prepare_connection(connection)
        with connection.cursor() as cursor:
            merge_cells(cursor, BASE_WINDOW, {key: Delta(total=1) for key in keys})
            # Before it is seen: autoanalyze would make the statistics that must not be there.
            cursor.execute("SELECT show_chunks('analytics_metrics_1min')::text")
            ((chunk,),) = cursor.fetchall()
            cursor.execute(f"ALTER TABLE {chunk} SET (autovacuum_enabled = false)")
        connection.commit()
        assert database.rows(
            "SELECT DISTINCT reltuples FROM pg_class JOIN show_chunks('analytics_metrics_1min') AS chunk ON oid = chunk"
        ) == [(-1.0,)]
        with connection.cursor() as cursor:
            held = look_up(cursor, BASE_WINDOW, keys)
            assert cursor.query is not None
            plan = explained(cursor, cursor.query)
        connection.rollback()
    assert len(held) == SERVICES
    assert SERVICES < rows_touched(plan) < 10 * SERVICES
