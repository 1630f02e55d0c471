"""Rewritten rows leave about as many dead ones as there are living: who vacuums, when, and who is left alone."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator

import pytest
from psycopg2.extensions import connection as Connection

from analytics_service import metrics
from analytics_service.adapters.timescale.vacuuming import LEAST_DEAD, Overgrown, overgrown, vacuum
from analytics_service.config import load_settings
from analytics_service.ingest import vacuuming as service
from analytics_service.ingest.vacuuming import Vacuuming
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


def out_of_line(database: Database, chunk: str) -> int:
    """The object id of the table of a chunk's out-of-line values."""
    query = "SELECT reltoastrelid::bigint FROM pg_class WHERE oid = %s::regclass"
    return int(database.rows(query, chunk)[0][0])


def found(conn: Connection, relation: int, least: int = 0) -> Overgrown:
    """That table, once it is overgrown with so many dead rows."""

    def looked() -> list[Overgrown]:
        return [
            one
            for one in overgrown(conn, [TABLE])
            if one.relation == relation and one.dead_rows >= least
        ]

    return wait_until(looked, SEEN_S, "it is overgrown")[0]


def vacuum_all(conn: Connection) -> None:
    """Until nothing is overgrown: a session of the server's own may see the dead for a moment."""

    def is_done() -> bool:
        for one in overgrown(conn, [TABLE]):
            vacuum(conn, one)
        return overgrown(conn, [TABLE]) == []

    wait_until(is_done, SEEN_S, "it is vacuumed")


def vacuums() -> float:
    """How many this process has counted."""
    return metrics.REGISTRY.get_sample_value("stacklens_vacuums_total") or 0.0


def size(database: Database, chunk: str) -> int:
    """Bytes, out-of-line values and indexes included."""
    return int(database.rows("SELECT pg_total_relation_size(%s::regclass)", chunk)[0][0])


def test_a_chunk_is_overgrown_when_much_of_it_is_dead_and_is_filled_again(
    database: Database, conn: Connection
) -> None:
    chunk = fill(database, 0, ROWS)
    before, values = size(database, chunk), out_of_line(database, chunk)
    for _ in range(3):
        rewrite(database, ROWS)
        one = found(conn, values)
        assert f"{one.schema}.{one.name}" == chunk
        assert one.dead_rows >= 2 * ROWS, "each value takes more than one row out of line"
        vacuum_all(conn)
    assert before < size(database, chunk) < 2.2 * before


def test_a_large_table_is_not_looked_through_for_a_few_dead(
    database: Database, conn: Connection
) -> None:
    chunk = fill(database, 0, ROWS)
    values = out_of_line(database, chunk)
    rewrite(database, ROWS // 3)
    dead = "SELECT pg_stat_get_dead_tuples(%s::oid)"
    wait_until(lambda: database.rows(dead, values)[0][0] > LEAST_DEAD, SEEN_S, "it is known")
    assert overgrown(conn, [TABLE]) == []
    rewrite(database, ROWS)
    assert found(conn, values).dead_rows > 2 * ROWS


def test_who_is_at_it_already_is_left_alone(database: Database, conn: Connection) -> None:
    chunk = fill(database, 0, ROWS)
    rewrite(database, ROWS)
    one = found(conn, out_of_line(database, chunk))
    with contextlib.closing(database.connect()) as other:
        other.autocommit = False
        with other.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {chunk} IN SHARE UPDATE EXCLUSIVE MODE")
        assert overgrown(conn, [TABLE]) == []
        assert vacuum(conn, one) is False, "somebody came to be at it since; not waited for"
        other.rollback()
    assert found(conn, one.relation) == one
    assert vacuum(conn, one) is True


def test_what_a_vacuum_has_to_leave_is_left_until_it_has_doubled(
    database: Database, conn: Connection
) -> None:
    """As while a backup runs, which sees all that is dead since it began."""
    chunk = fill(database, 0, ROWS)
    values = out_of_line(database, chunk)
    vacuuming = Vacuuming(load_settings({**os.environ, **database.env}, env_file=None))
    before = vacuums()

    def looked() -> float:
        assert vacuuming.look()
        return vacuums() - before

    with contextlib.closing(database.connect()) as backup:
        backup.set_session(isolation_level="REPEATABLE READ", autocommit=False)
        with backup.cursor() as cursor:
            cursor.execute("SELECT 1")
        rewrite(database, ROWS)
        left = found(conn, values).dead_rows
        assert [looked(), looked(), looked()] == [1, 1, 1]
        rewrite(database, ROWS)
        rewrite(database, ROWS)
        found(conn, values, 3 * left)
        assert [looked(), looked()] == [2, 2]
        backup.rollback()
    for _ in range(3):
        rewrite(database, ROWS)
    found(conn, values, 6 * left)
    assert looked() == 3, "doubled again"
    for _ in range(3):
        rewrite(database, ROWS)
    assert found(conn, values).dead_rows < 2 * left * 3, "as if nothing had ever been left"
    assert looked() == 4


def test_trouble_is_told_and_gone_on_after(
    database: Database,
    conn: Connection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    values = out_of_line(database, fill(database, 0, ROWS))
    rewrite(database, ROWS)
    found(conn, values)
    vacuuming = Vacuuming(load_settings({**os.environ, **database.env}, env_file=None))

    def takes_too_long(conn: Connection, _chunk: Overgrown) -> bool:
        with conn.cursor() as cursor:
            cursor.execute("SET statement_timeout = '10ms'")
            try:
                cursor.execute("SELECT pg_sleep(60)")
            finally:
                cursor.execute("SET statement_timeout = '10s'")
        raise AssertionError("the statement is ended")

    def is_cut_off(conn: Connection, _chunk: Overgrown) -> bool:
        with conn.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        raise AssertionError("the session is ended")

    def is_wrong(_conn: Connection, _chunk: Overgrown) -> bool:
        raise LookupError("a defect")

    results = []
    for trouble in (takes_too_long, is_cut_off, is_wrong):
        monkeypatch.setattr(service, "vacuum", trouble)
        results.append(vacuuming.look())
        rewrite(database, 3 * ROWS)
        found(conn, values)
    assert results == [True, False, False]
    assert "was left to autovacuum: canceling statement due to statement timeout" in caplog.text
    assert "tables were not vacuumed: " in caplog.text
    assert "vacuuming failed" in caplog.text


def test_tables_that_are_not_there_are_nobodys_concern(conn: Connection) -> None:
    assert overgrown(conn, ["public.no_such_table"]) == []


@pytest.mark.slow
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
    worker.wait_for_line("tables were not vacuumed: ")
    assert way.differences() == []
    assert worker.terminate() == 0


def test_the_server_is_told_at_once_what_a_flush_has_written(way: WholeWay) -> None:
    """By itself it hears of it once a second, and of the last flush before a pause ten seconds later."""
    worker = way.start().wait_ready()
    for seed in range(3):
        way.send_values(plain_events(seed, 50))
        way.wait_settled()
    ((stored,),) = way.database.rows("SELECT count(*) FROM analytics_events")
    counted = """SELECT sum(pg_stat_get_tuples_inserted(inhrelid))::bigint FROM pg_inherits
                 WHERE inhparent = 'public.analytics_events'::regclass"""
    wait_until(lambda: way.database.rows(counted) == [(stored,)], 5.0, "the server has counted it")
    assert worker.terminate() == 0
