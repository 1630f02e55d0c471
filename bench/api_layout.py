"""Lays rows of a few archetype days out over services and days, in SQL; and keeps the newest rows alive.

The shapes (a row for each window of each archetype) are in a schema of their own. Which of them a service has on a
day follows from its number and the day alone, so that windows laid out at different times fit together: an hour is
the merge of its minutes whoever laid it out when.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from psycopg2 import sql
from psycopg2.extensions import connection
from psycopg2.extras import execute_values

from analytics_service.adapters.timescale.window_copy_text import STATE_COLUMNS
from analytics_service.domain.windows import DAY, WINDOWS, Window
from bench.api_traffic import DAYS, KINDS, kind_of, rows_of

SCHEMA: Final = "bench_api"
DAY_S: Final = 86_400
_NAMES: Final = sql.SQL(", ").join(map(sql.Identifier, STATE_COLUMNS))
_TABLES: Final = """
CREATE SCHEMA bench_api;
CREATE TABLE bench_api.services (number integer PRIMARY KEY, service text NOT NULL, kind integer NOT NULL);
CREATE TABLE bench_api.laid_out (level text PRIMARY KEY, until_s bigint NOT NULL)
"""
_SHAPES: Final = sql.SQL(
    """
    CREATE UNLOGGED TABLE {shapes} AS
    SELECT 0 AS archetype, 0 AS second, {names} FROM analytics_metrics_1min WITH NO DATA
    """
)
_SHAPE: Final = sql.SQL("INSERT INTO {shapes} (archetype, second, {names}) VALUES %s")
_LAY_OUT: Final = sql.SQL(
    """
    INSERT INTO {table} (timestamp, service, aggregated_at, {names} {more})
    SELECT to_timestamp(%(day)s + shape.second), known.service,
        least(to_timestamp(%(day)s + shape.second + %(length)s), clock_timestamp()), {shape} {values}
    FROM {shapes} AS shape
    JOIN bench_api.services AS known
        ON shape.archetype = known.kind * %(days)s + mod(known.number + %(day)s / 86400, %(days)s)
    WHERE shape.second >= %(first)s AND shape.second < %(end)s
    ORDER BY shape.second, known.number
    """
)
# As a flush does to each row that it merges something into.
_TOUCH: Final = sql.SQL(
    """
    UPDATE {table} SET revision = revision + 1, aggregated_at = clock_timestamp()
    WHERE timestamp = to_timestamp(%s)
    """
)


@dataclass(frozen=True, slots=True)
class Slice:
    """Windows of one size that start in [start_s, end_s) of one UTC day, in epoch seconds."""

    window: Window
    start_s: int
    end_s: int


def service_names(count: int) -> list[str]:
    """Names of services."""
    return [f"{KINDS[kind_of(number)].name}-{number:03}" for number in range(count)]


def make_shapes(conn: connection, services: int) -> None:
    """Make the services and the archetypes' rows. Commits (`conn` is in autocommit mode)."""
    with conn.cursor() as cur:
        cur.execute(_TABLES)
        known = [
            (number, name, kind_of(number)) for number, name in enumerate(service_names(services))
        ]
        execute_values(cur, "INSERT INTO bench_api.services VALUES %s", known)
        for window in (*WINDOWS, DAY):
            cur.execute(_SHAPES.format(shapes=_shapes(window), names=_NAMES))
        for archetype in range(len(KINDS) * DAYS):
            for window, rows in rows_of(archetype):
                statement = _SHAPE.format(shapes=_shapes(window), names=_NAMES)
                values = [
                    (archetype, start_s, *(row[name] for name in STATE_COLUMNS))
                    for start_s, row in rows.items()
                ]
                execute_values(cur, statement, values)
        cur.execute("ANALYZE")


def slices(window: Window, start_s: int, end_s: int, longest_s: int = 3600) -> Iterator[Slice]:
    """[start_s, end_s), rounded outwards to whole windows, in slices that no day's end divides."""
    longest_s = max(longest_s, window.seconds)
    at = start_s - start_s % window.seconds
    while at < end_s:
        stop = min(at - at % longest_s + longest_s, -(-end_s // window.seconds) * window.seconds)
        yield Slice(window, at, stop)
        at = stop


def lay_out(conn: connection, wanted: Slice) -> int:
    """Insert the rows of a slice; returns how many."""
    day = wanted.start_s - wanted.start_s % DAY_S
    statement = _LAY_OUT.format(
        table=sql.Identifier(wanted.window.table),
        shapes=_shapes(wanted.window),
        names=_NAMES,
        shape=sql.SQL(", ").join(sql.Identifier("shape", name) for name in STATE_COLUMNS),
        more=sql.SQL(", is_valid" if wanted.window is DAY else ""),
        values=sql.SQL(", true" if wanted.window is DAY else ""),
    )
    with conn.cursor() as cur:
        cur.execute(
            statement,
            {
                "day": day,
                "length": wanted.window.seconds,
                "days": DAYS,
                "first": wanted.start_s - day,
                "end": wanted.end_s - day,
            },
        )
        return cur.rowcount


def laid_out_until(conn: connection) -> dict[str, int]:
    """For each level the epoch second up to which its rows are there."""
    with conn.cursor() as cur:
        cur.execute("SELECT level, until_s FROM bench_api.laid_out")
        return dict(cur.fetchall())


def note_laid_out(conn: connection, level: str, until_s: int) -> None:
    """Remember that the rows of a level are there up to `until_s`."""
    with conn.cursor() as cur:
        cur.execute(
            "INSERT INTO bench_api.laid_out VALUES (%s, %s) "
            "ON CONFLICT (level) DO UPDATE SET until_s = excluded.until_s",
            (level, until_s),
        )


def touch(conn: connection, now_s: int) -> None:
    """Write every row of the windows that are going on once more, as flushes do all the time."""
    with conn.cursor() as cur:
        for window in WINDOWS:
            cur.execute(
                _TOUCH.format(table=sql.Identifier(window.table)), (window.start_of(now_s),)
            )


def _shapes(window: Window) -> sql.Identifier:
    return sql.Identifier(SCHEMA, f"shapes_{window.name}")
