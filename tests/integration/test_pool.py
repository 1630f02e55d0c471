"""The connection pool against a real server: dead connections, exhaustion, forks, the log lines."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2 import sql

from analytics_service.adapters.timescale.connecting import ConnectionParameters, parameters
from analytics_service.adapters.timescale.errors import (
    PoolClosedError,
    PoolOpenError,
    PoolTimeoutError,
    is_poison,
)
from analytics_service.adapters.timescale.migrations import Migrator
from analytics_service.adapters.timescale.pool import Pool, open_pool
from analytics_service.bootstrap import prepare_database
from analytics_service.config import Settings, load_settings
from tests.databases import Database
from tests.waiting import wait_until

DEAD = "Detected dead connection, removing from pool"
# As operators search for them.
FAILED = "Failed to initialize connection pool"


class Clock:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def settings(empty_database: Database) -> Settings:
    """The product's settings on a database of this test."""
    return load_settings({**empty_database.env, "APP_ENV": "test"}, env_file=None)


@pytest.fixture
def clock() -> Clock:
    """The clock of `pool`."""
    return Clock()


@pytest.fixture
def pool(settings: Settings, clock: Clock) -> Iterator[Pool]:
    """One to two connections; tested on checkout after one idle second."""
    made = Pool(
        parameters(settings, application_name="pool-test"), minimum=1, maximum=2, clock=clock
    )
    made.open()
    yield made
    made.close()


def backend(connection: psycopg2.extensions.connection) -> int:
    """The server process behind a connection."""
    return int(connection.info.backend_pid)


def value(connection: psycopg2.extensions.connection, query: str) -> object:
    """The single value of a query."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        row = cursor.fetchone()
    assert row is not None
    return row[0]


def terminate(database: Database, pid: int) -> None:
    """End a server process from outside, and wait until it is gone."""
    database.rows("SELECT pg_terminate_backend(%s)", pid)
    query = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
    wait_until(lambda: database.rows(query, pid) == [(0,)], 10, f"backend {pid} ends")


def closed_port() -> int:
    """A port of this machine that nobody listens on."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_opening_opens_the_minimum(pool: Pool) -> None:
    """Later ones are opened when they are needed."""
    assert pool.stats() == {"used": 0, "idle": 1, "max": 2}
    with pool.connection(), pool.connection():
        assert pool.stats() == {"used": 2, "idle": 0, "max": 2}
    assert pool.stats() == {"used": 0, "idle": 2, "max": 2}


def test_a_connection_is_used_again(pool: Pool) -> None:
    """The same server process answers."""
    with pool.connection() as connection:
        first = backend(connection)
    with pool.connection() as connection:
        assert backend(connection) == first


def test_success_commits_and_an_exception_rolls_back(pool: Pool) -> None:
    """One transaction a checkout, whole or not at all."""
    with pool.connection() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (a int)")

    def insert_and_fail() -> None:
        with pool.connection() as connection, connection.cursor() as cursor:
            cursor.execute("INSERT INTO kept VALUES (1)")
            raise KeyError("our own mistake")

    with pytest.raises(KeyError):
        insert_and_fail()
    with pool.connection() as connection:
        assert value(connection, "SELECT count(*) FROM kept") == 0
    assert pool.stats()["used"] == 0


def test_a_failed_statement_leaves_the_connection_usable(pool: Pool) -> None:
    """An error of the statement is the caller's; the connection is not to blame."""
    with pool.connection() as connection:
        first = backend(connection)
    with pytest.raises(psycopg2.errors.DivisionByZero), pool.connection() as connection:
        value(connection, "SELECT 1 / 0")
    with pool.connection() as connection:
        assert backend(connection) == first
        assert value(connection, "SELECT 1") == 1


def test_a_dead_connection_is_noticed_at_checkout_and_replaced(
    pool: Pool, empty_database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller gets a live one and sees nothing of it; the log has the line."""
    with pool.connection() as connection:
        dead = backend(connection)
    terminate(empty_database, dead)
    clock.now_s += 60
    with pool.connection() as connection:
        assert backend(connection) != dead
        assert value(connection, "SELECT 1") == 1
    assert [record.getMessage() for record in caplog.records] == [DEAD]
    assert pool.stats() == {"used": 0, "idle": 1, "max": 2}


def test_all_dead_ones_are_replaced_in_one_checkout(
    pool: Pool, empty_database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """After a restart of the server no caller meets a connection from before."""
    with pool.connection() as one, pool.connection() as other:
        dead = [backend(one), backend(other)]
    for pid in dead:
        terminate(empty_database, pid)
    clock.now_s += 60
    with pool.connection() as connection:
        assert value(connection, "SELECT 1") == 1
    assert [record.getMessage() for record in caplog.records] == [DEAD, DEAD]
    assert pool.stats() == {"used": 0, "idle": 1, "max": 2}


def test_a_connection_that_dies_in_use_is_not_given_out_again(
    pool: Pool, empty_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller sees the database's trouble once; the next one gets a live connection at once."""

    def die_in_use() -> None:
        with pool.connection() as connection:
            terminate(empty_database, backend(connection))
            value(connection, "SELECT 1")

    with pytest.raises(psycopg2.OperationalError) as caught:
        die_in_use()
    assert not is_poison(caught.value)
    assert DEAD in caplog.messages
    assert pool.stats() == {"used": 0, "idle": 0, "max": 2}
    with pool.connection() as connection:
        assert value(connection, "SELECT 1") == 1


def test_a_connection_used_a_moment_ago_is_not_tested(
    pool: Pool, empty_database: Database, clock: Clock
) -> None:
    """Under load a checkout costs no round trip: death shows with the first statement."""
    with pool.connection() as connection:
        dead = backend(connection)
    terminate(empty_database, dead)
    clock.now_s += 0.5
    with pytest.raises(psycopg2.OperationalError), pool.connection() as connection:
        value(connection, "SELECT 1")


def test_an_exhausted_pool_says_so(pool: Pool) -> None:
    """Who waited in vain gets a clear error, and it is not the batch's fault."""
    with (
        pool.connection(),
        pool.connection(),
        pytest.raises(PoolTimeoutError, match=r"all 2 connections .* in use for 0 s") as caught,
        pool.connection(timeout_s=0),
    ):
        pytest.fail("there was none to hand out")
    assert not is_poison(caught.value)
    with pool.connection() as connection:
        assert value(connection, "SELECT 1") == 1


def test_a_waiting_caller_gets_what_another_gives_back(settings: Settings) -> None:
    """Exhausted for a moment is not an error."""
    pool = Pool(parameters(settings), minimum=1, maximum=1)
    served: list[int] = []

    def wait_for_one() -> None:
        with pool.connection(timeout_s=60) as connection:
            served.append(backend(connection))

    with pool.connection() as connection:
        waiting = threading.Thread(target=wait_for_one)
        waiting.start()
        held = backend(connection)
        assert served == []
    waiting.join(60)
    assert served == [held]
    pool.close()


def test_many_threads_never_exceed_the_limit(settings: Settings, empty_database: Database) -> None:
    """Eight threads share three connections; the server never sees a fourth."""
    pool = Pool(parameters(settings, application_name="crowd"), minimum=0, maximum=3)
    seen: list[int] = []

    def work() -> None:
        for _ in range(20):
            with pool.connection(timeout_s=60) as connection:
                query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crowd'"
                seen.append(int(str(value(connection, query))))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(seen) == 160
    assert max(seen) <= 3
    assert pool.stats()["used"] == 0
    pool.close()
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crowd'"
    wait_until(lambda: empty_database.rows(query) == [(0,)], 10, "all connections are closed")


def test_a_failed_connect_gives_its_place_back(
    settings: Settings, empty_database: Database
) -> None:
    """While the database is out of reach every caller gets the driver's error, not a timeout."""
    maintenance = Database(empty_database.stack, "postgres")
    allow = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
    name = sql.Identifier(empty_database.name)
    pool = Pool(parameters(settings), minimum=0, maximum=1)
    maintenance.execute(allow.format(name, sql.SQL("false")))
    for _ in range(3):
        with pytest.raises(psycopg2.OperationalError) as caught, pool.connection(timeout_s=0):
            pytest.fail("there was none to hand out")
        assert not isinstance(caught.value, PoolTimeoutError)
    assert pool.stats() == {"used": 0, "idle": 0, "max": 1}
    maintenance.execute(allow.format(name, sql.SQL("true")))
    with pool.connection(timeout_s=0) as connection:
        assert value(connection, "SELECT 1") == 1
    pool.close()


def test_a_connection_that_died_unnoticed_is_dropped_when_given_back(
    pool: Pool, empty_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Rolling back finds it out; the caller's own exception is the one that is seen."""

    def fail_for_another_reason() -> None:
        with pool.connection() as connection:
            value(connection, "SELECT 1")
            terminate(empty_database, backend(connection))
            raise KeyError("our own mistake")

    with pytest.raises(KeyError):
        fail_for_another_reason()
    assert caplog.messages == [DEAD]
    assert pool.stats() == {"used": 0, "idle": 0, "max": 2}


def test_a_closed_pool_hands_out_nothing_and_closes_what_comes_back(pool: Pool) -> None:
    """Shutting down waits for nobody, and leaves nothing open."""
    with pool.connection() as connection:
        pool.close()
        assert value(connection, "SELECT 1") == 1
    assert connection.closed
    with pytest.raises(PoolClosedError), pool.connection():
        pytest.fail("there was none to hand out")


def test_a_forked_child_opens_connections_of_its_own(settings: Settings) -> None:
    """gunicorn forks: parent and child must never talk on one socket, in use or idle."""
    pool = Pool(parameters(settings), minimum=2, maximum=3)
    pool.open()
    with pool.connection() as one, pool.connection() as other:
        parents = {backend(one), backend(other)}
    with pool.connection() as connection:
        assert pool.stats() == {"used": 1, "idle": 1, "max": 3}
        readable, writable = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                with pool.connection() as one, pool.connection() as other:
                    answer = f"{backend(one)} {backend(other)} {value(one, 'SELECT 7')}"
                    os.write(writable, answer.encode())
            finally:
                os._exit(0)  # whatever happened: never go on as a second test run
        os.close(writable)
        with os.fdopen(readable) as pipe:
            *childs, seven = pipe.read().split()
        os.waitpid(child, 0)
        assert seven == "7"
        assert len(childs) == 2
        assert parents.isdisjoint(map(int, childs))
        assert value(connection, "SELECT 8") == 8
    with pool.connection() as one, pool.connection() as other:
        assert {backend(one), backend(other)} == parents
    pool.close()


def test_sessions_are_set_up(settings: Settings) -> None:
    """Statement timeout, zone and whatever else a caller asks for."""
    params = parameters(
        settings, application_name="setup", session={"lock_timeout": "5s", "search_path": "a, b"}
    )
    with contextlib.closing(params.connect()) as connection:
        shown = {
            name: value(connection, f"SHOW {name}")
            for name in ("statement_timeout", "timezone", "lock_timeout", "search_path")
        }
        assert value(connection, "SELECT current_setting('application_name')") == "setup"
        assert connection.encoding == "UTF8"
        assert connection.info.dsn_parameters["tcp_user_timeout"] == "10000"
        assert connection.info.dsn_parameters["keepalives"] == "1"
    assert shown == {
        "statement_timeout": "30s",
        "timezone": "UTC",
        "lock_timeout": "5s",
        "search_path": "a, b",
    }


def test_the_statement_timeout_ends_a_runaway(settings: Settings) -> None:
    """It is the server that ends it, with a SQLSTATE that is not the batch's fault."""
    with contextlib.closing(parameters(settings, statement_timeout_ms=50).connect()) as connection:
        with pytest.raises(psycopg2.errors.QueryCanceled) as caught:
            value(connection, "SELECT pg_sleep(60)")
        assert not is_poison(caught.value)


def test_five_attempts_then_an_error(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody listens: 2, 4, 8 and 10 seconds between the attempts, each told, then the end."""
    caplog.set_level(logging.INFO)
    waits: list[float] = []
    unreachable = load_settings(
        {**_environ(settings), "DB_PORT": str(closed_port())}, env_file=None
    )
    with pytest.raises(PoolOpenError, match=f"{FAILED} after 5 attempts"):
        open_pool(unreachable, sleep=waits.append)
    assert waits == [2.0, 4.0, 8.0, 10.0]
    *retries, last = caplog.messages
    for number, (line, wait_s) in enumerate(zip(retries, waits, strict=True), start=1):
        assert line.startswith(f"{FAILED} (attempt {number}/5): ")
        assert "Connection refused" in line
        assert line.endswith(f". Retrying in {wait_s:.1f}s...")
        assert "\n" not in line
    assert last.startswith(f"{FAILED} after 5 attempts")


def test_success_on_a_later_attempt_is_told(
    settings: Settings, empty_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """The database lets us in while the first wait runs: the second attempt succeeds."""
    caplog.set_level(logging.INFO)
    name = empty_database.name
    maintenance = Database(empty_database.stack, "postgres")
    maintenance.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")

    def let_in(_delay_s: float) -> None:
        maintenance.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    pool = open_pool(settings, sleep=let_in)
    with pool.connection() as connection:
        assert value(connection, "SELECT current_database()") == name
    pool.close()
    first, second = caplog.messages
    assert first.startswith(f"{FAILED} (attempt 1/5): ")
    assert first.endswith(". Retrying in 2.0s...")
    assert second == "Connection pool initialized successfully on attempt 2"


def longest(waits: list[float]) -> list[float]:
    """The waits for a database; those for another session that alters the same role are far shorter."""
    return [wait for wait in waits if wait >= 1]


def test_a_database_that_goes_away_before_the_migrations_is_waited_for(
    settings: Settings,
    empty_database: Database,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    name = empty_database.name
    maintenance = Database(empty_database.stack, "postgres")
    migrate = Migrator.up

    def go_away_once(migrator: Migrator) -> object:
        monkeypatch.setattr(Migrator, "up", migrate)
        maintenance.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        return migrate(migrator)

    monkeypatch.setattr(Migrator, "up", go_away_once)
    waits: list[float] = []

    def come_back(delay_s: float) -> None:
        waits.append(delay_s)
        maintenance.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    pool = prepare_database(settings, "test", come_back, publish=True)
    with pool.connection() as connection:
        assert value(connection, "SELECT count(*) > 20 FROM system_config") is True
    pool.close()
    assert longest(waits) == [2.0]
    assert any(line.startswith(f"{FAILED} (attempt 1/5): ") for line in caplog.messages)


def test_a_connection_that_is_closed_when_it_is_asked_is_tried_again(
    settings: Settings, empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate = Migrator.up

    def find_it_closed_once(_migrator: Migrator) -> object:
        monkeypatch.setattr(Migrator, "up", migrate)
        connection = empty_database.connect()
        connection.close()
        return connection.cursor()

    monkeypatch.setattr(Migrator, "up", find_it_closed_once)
    waits: list[float] = []
    pool = prepare_database(settings, "test", waits.append, publish=True)
    with pool.connection() as connection:
        assert value(connection, "SELECT count(*) > 20 FROM system_config") is True
    pool.close()
    assert longest(waits) == [2.0]


def test_no_line_and_no_error_tells_the_password(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a refused log-in nor a representation shows it, not even where a host name does."""
    secret = "correct-horse-battery"
    changed = load_settings(
        {**_environ(settings), "DB_PASSWORD": secret, "DB_HOST": f"{secret}.invalid"}, env_file=None
    )
    with pytest.raises(PoolOpenError) as caught:
        open_pool(changed, sleep=lambda _: None)
    assert secret not in f"{caplog.text}{caught.value}{caught.value.__context__ and ''}"
    assert secret not in repr(parameters(changed)).replace(f"{secret}.invalid", "")


@pytest.mark.parametrize(("minimum", "maximum"), [(-1, 2), (3, 2), (0, 0)])
def test_impossible_sizes_are_refused(settings: Settings, minimum: int, maximum: int) -> None:
    """A pool that could never hand out anything is a mistake of the caller."""
    with pytest.raises(ValueError, match="not possible"):
        Pool(parameters(settings), minimum=minimum, maximum=maximum)


def test_each_role_connects_as_itself(settings: Settings) -> None:
    """Owner, reader and admin have their own names and passwords."""
    found: list[ConnectionParameters] = [
        parameters(settings, "owner"),
        parameters(settings, "reader"),
        parameters(settings, "admin"),
    ]
    assert [params.user for params in found] == [
        settings.db_user,
        "stacklens_reader",
        "stacklens_admin",
    ]
    assert len({params.password for params in found}) == 3


def _environ(settings: Settings) -> dict[str, str]:
    return {
        "APP_ENV": "test",
        "DB_HOST": settings.db_host,
        "DB_PORT": str(settings.db_port),
        "DB_NAME": settings.db_name,
        "DB_USER": settings.db_user,
        "DB_PASSWORD": settings.db_password,
    }
