"""Rewritten rows leave about as many dead ones as there are living: who vacuums, when, and who is left alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.vacuuming import LEAST_DEAD, Overgrown, overgrown, vacuum
from tests.databases import Database
from tests.integration.streaming import plain_events
from tests.integration.whole_way import WholeWay
from tests.waiting import wait_until

TABLE = "public.analytics_metrics_1min"
SEEN_S = 30.0
ROWS = 200
# Incompressible and large: out of line.
SKETCH = "(SELECT string_agg(sha256(random()::text::bytea), '') FROM generate_series(1, 100))"


@pytest.fixture
def conn(database: Database) -> Iterator[Connection]:
    """As the owner, in autocommit mode."""
    with contextlib.closing(database.connect()) as connection:
        yield connection


def fill(database: Database, first: int, rows: int) -> str:
    """Windows with sketches, of which autovacuum keeps off; the name of their chunk."""
    database.execute(
        f"""
        INSERT INTO {TABLE} (timestamp, service, users_sketch)
        SELECT '2026-11-20 10:00Z', 'service-' || n, {SKETCH} FROM generate_series(%s, %s) AS n
        """,  # noqa: S608
        first,
        first + rows - 1,
    )
    ((chunk,),) = database.rows(
        f"SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = '{TABLE}'::regclass"  # noqa: S608
    )
    off = "autovacuum_enabled = false, toast.autovacuum_enabled = false"
    database.execute(f"ALTER TABLE {chunk} SET ({off})")
    return str(chunk)


def rewrite(database: Database, rows: int) -> None:
    """The first so many, as a flush does."""
    database.execute(
        f"""
        UPDATE {TABLE} SET users_sketch = {SKETCH}, revision = revision + 1
        WHERE service IN (SELECT 'service-' || n FROM generate_series(0, %s) AS n)
        """,  # noqa: S608
        rows - 1,
    )


def found(conn: Connection, count: int) -> list[Overgrown]:
    """What is overgrown, once the statistics say that it is so many."""
    wait_until(lambda: len(overgrown(conn, [TABLE])) == count, SEEN_S, f"{count} are overgrown")
    return overgrown(conn, [TABLE])


def size(database: Database, chunk: str) -> int:
    """Bytes, out-of-line values and indexes included."""
    return int(database.rows("SELECT pg_total_relation_size(%s::regclass)", chunk)[0][0])


def test_a_chunk_is_overgrown_with_as_many_dead_as_living_and_is_filled_again(
    database: Database, conn: Connection
) -> None:
    chunk = fill(database, 0, ROWS)
    before = size(database, chunk)
    for _ in range(3):
        rewrite(database, ROWS)
        (one,) = found(conn, 1)
        assert f"{one.schema}.{one.name}" == chunk
        assert one.dead_rows >= ROWS, "each value takes more than one row out of line"
        vacuum(conn, one)
        assert found(conn, 0) == []
    assert before < size(database, chunk) < 2.2 * before


def test_a_large_table_is_not_looked_through_for_a_few_dead(
    database: Database, conn: Connection
) -> None:
    chunk = fill(database, 0, ROWS)
    rewrite(database, ROWS // 2)
    dead = "SELECT pg_stat_get_dead_tuples(reltoastrelid) FROM pg_class WHERE oid = %s::regclass"
    wait_until(lambda: database.rows(dead, chunk)[0][0] > LEAST_DEAD, SEEN_S, "it is known")
    assert overgrown(conn, [TABLE]) == []
    rewrite(database, ROWS)
    assert len(found(conn, 1)) == 1


def test_who_is_at_it_already_is_left_alone(database: Database, conn: Connection) -> None:
    chunk = fill(database, 0, ROWS)
    rewrite(database, ROWS)
    (one,) = found(conn, 1)
    with contextlib.closing(database.connect()) as other:
        other.autocommit = False
        with other.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {chunk} IN SHARE UPDATE EXCLUSIVE MODE")
        vacuum(conn, one)
        assert overgrown(conn, [TABLE]) == [one], "not done, and not waited for"
    vacuum(conn, one)
    assert found(conn, 0) == []


def test_tables_that_are_not_there_are_nobodys_concern(conn: Connection) -> None:
    assert overgrown(conn, ["public.no_such_table"]) == []


def test_a_worker_vacuums_what_it_rewrites(way: WholeWay) -> None:
    """Every flush rewrites the rows of the live windows; the worker goes on when vacuuming fails."""
    worker = way.start().wait_ready()
    seed = iter(range(1_000))

    def sent_and_vacuumed(times: int) -> bool:
        way.send_values(plain_events(next(seed), 60))
        way.wait_settled()
        return worker.metric("stacklens_vacuums_total") >= times

    wait_until(lambda: sent_and_vacuumed(1), 120.0, "a chunk is vacuumed")
    way.database.execute(
        """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'stacklens-analytics vacuum'
        """
    )
    done = int(worker.metric("stacklens_vacuums_total"))
    wait_until(lambda: sent_and_vacuumed(done + 1), 120.0, "and again")
    worker.wait_for_line("tables were not vacuumed")
    assert way.differences() == []
    assert worker.terminate() == 0
