"""How the API lives with its database: deadlines, a busy pool, lost connections, a hanging server."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from flask import Flask

from dashboard_api import deadlines
from dashboard_api import monitor as monitoring
from dashboard_api.context import EXTENSION, Context
from dashboard_api.database import Reader
from dashboard_api.deadlines import DatabaseTimeout, deadline
from dashboard_api.errors import Problem
from dashboard_api.monitor import DatabaseMonitor
from dashboard_api.queries.migrations import migration_health
from tests.api_support import USER, api_app, api_settings
from tests.databases import Database
from tests.waiting import wait_until


@pytest.fixture
def app(database: Database) -> Iterator[Flask]:
    with api_app(api_settings(database.env, DB_POOL_MAX="1")) as app:
        yield app


@pytest.fixture
def shared(app: Flask) -> Context:
    found = app.extensions[EXTENSION]
    assert isinstance(found, Context)
    return found


@pytest.fixture
def waiting_ours() -> Iterator[None]:
    """psycopg2 waits with deadlines, as in a worker of the server."""
    deadlines.install()
    yield
    deadlines.uninstall()


def detail_of(shared: Context, statement: str) -> str:
    with pytest.raises(Problem) as caught, shared.reader.snapshot() as cursor:
        cursor.execute(statement)
    assert caught.value.status == 503
    return caught.value.detail


def test_a_statement_that_takes_too_long(shared: Context) -> None:
    slow = "SET LOCAL statement_timeout = '50ms'; SELECT pg_sleep(30)"
    assert detail_of(shared, slow) == "The database took too long; ask for less."
    assert shared.reader.rows("SELECT 1") == [(1,)]


def test_a_connection_that_is_lost_is_replaced(shared: Context) -> None:
    assert shared.reader.rows("SELECT 1") == [(1,)]
    suicide = "SELECT pg_terminate_backend(pg_backend_pid())"
    assert detail_of(shared, suicide) == "The database cannot be reached."
    assert shared.reader.rows("SELECT 1") == [(1,)]


def test_a_busy_pool(shared: Context) -> None:
    with shared.reader.snapshot():
        assert detail_of(shared, "SELECT 1") == "The database is too busy."
    assert shared.reader.rows("SELECT 1") == [(1,)]


def test_a_mistake_of_our_own_is_not_blamed_on_the_database(app: Flask, shared: Context) -> None:
    @app.get("/mistake")
    def mistake() -> str:
        return str(shared.reader.rows("SELEC 1"))

    assert app.test_client().get("/mistake", auth=USER).status_code == 500


@pytest.mark.usefixtures("waiting_ours")
def test_a_deadline_ends_waiting_and_the_connection(shared: Context) -> None:
    connections = []

    def wait_in_vain() -> None:
        with shared.reader.snapshot() as cursor, deadline(0.1):
            connections.append(cursor.connection)
            cursor.execute("SELECT pg_sleep(30)")

    with pytest.raises(Problem, match="took too long"):
        wait_in_vain()
    assert connections[0].closed
    assert shared.reader.rows("SELECT 1") == [(1,)]


@pytest.mark.usefixtures("waiting_ours")
def test_giving_up_ends_waiting_before_the_deadline(database: Database) -> None:
    with database.cursor() as cursor, pytest.raises(DatabaseTimeout), deadline(3600, lambda: True):
        cursor.execute("SELECT pg_sleep(3600)")


@pytest.mark.usefixtures("waiting_ours")
def test_deadlines_nest(database: Database) -> None:
    with database.cursor() as cursor, deadline(3600):
        with deadline(60):
            cursor.execute("SELECT 1")
        cursor.execute("SELECT 2")
        assert cursor.fetchall() == [(2,)]


class HangingMonitor(DatabaseMonitor):
    """One that knows that the database hangs."""

    def hangs(self) -> bool:
        return True


def test_nobody_waits_for_a_database_that_is_known_to_hang(shared: Context) -> None:
    reader = Reader(shared.settings, HangingMonitor(shared.reader.params))
    with pytest.raises(Problem) as caught, reader.snapshot():
        pass
    assert (caught.value.status, caught.value.detail) == (503, "The database does not answer.")


def test_a_probe_that_never_ends_is_unhealthy(shared: Context) -> None:
    now_s = [1000.0]
    monitor = DatabaseMonitor(shared.reader.params, clock=lambda: now_s[0], every_s=3600)
    assert monitor.health().healthy
    assert not monitor.hangs()
    now_s[0] += 3601 + monitoring.ANSWER_WITHIN_S  # the next probe should have ended by now
    assert monitor.hangs()
    assert "no answer" in monitor.health().detail
    monitor.stop()


def test_health_survives_the_loss_of_its_connection(app: Flask, database: Database) -> None:
    client = app.test_client()
    assert client.get("/health").status_code == 200
    probes = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND application_name LIKE %s"
    (before,) = database.rows(probes, database.name, "%probe")
    database.execute("SELECT pg_terminate_backend(%s)", before[0])
    wait_until(
        lambda: database.rows(probes, database.name, "%probe") not in ([], [before]),
        60,
        "a new probe",
    )
    assert client.get("/health").status_code == 200


def test_health_is_red_while_nobody_may_connect_and_recovers(
    app: Flask, database: Database
) -> None:
    client = app.test_client()
    assert client.get("/health").status_code == 200
    gone = Database(database.stack, "postgres")
    gone.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS false")
    gone.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", database.name
    )
    wait_until(lambda: client.get("/health").status_code == 503, 60, "/health is red")
    assert client.get("/metrics", auth=USER).status_code == 503
    gone.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS true")
    wait_until(lambda: client.get("/health").status_code == 200, 60, "/health is green again")
    assert client.get("/metrics", auth=USER).status_code == 200


def test_a_forked_child_probes_and_connects_for_itself(shared: Context) -> None:
    now_s = [1000.0]
    monitor = DatabaseMonitor(shared.reader.params, clock=lambda: now_s[0])
    assert monitor.health().healthy
    assert shared.reader.rows("SELECT 1") == [(1,)]
    child = os.fork()
    if child == 0:
        # Threads do not survive a fork: without one of its own it would tell of long ago.
        now_s[0] += 1000
        works = monitor.health().healthy and shared.reader.rows("SELECT 1") == [(1,)]
        os._exit(0 if works else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert shared.reader.rows("SELECT 1") == [(1,)]
    monitor.stop()


def test_files_of_the_schema_that_cannot_be_read(shared: Context) -> None:
    health = migration_health(shared.reader, shared.settings.sql_dir / "functions")
    assert not health.healthy
    assert "cannot be used" in health.detail


def test_a_changed_migration_is_not_ready(shared: Context, database: Database) -> None:
    database.execute("UPDATE schema_migrations SET checksum = 'x' WHERE version = 1")
    health = migration_health(shared.reader, shared.settings.sql_dir)
    assert (health.healthy, health.detail) == (
        False,
        "1 applied migration(s) differ from their files",
    )
