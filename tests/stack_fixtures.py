"""The run's one Kafka and TimescaleDB, and a database and topics of its own for each test.

stack            the run's stack (shared, also between xdist's workers: never stop it)
private_stack    a stack of this test alone, whose servers it may stop, kill and start
database         a migrated database, dropped afterwards
empty_database   a database without any schema, dropped afterwards
topics           input, output and dead-letter topics, deleted afterwards
settings_env     the environment of a product process on that database and those topics
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from kafka.admin import KafkaAdminClient
from psycopg2 import sql

from devstack.api import Stack, running_stack
from tests.waiting import wait_until

INPUT_PARTITIONS = 6
OTHER_PARTITIONS = 1


@dataclass(frozen=True)
class Database:
    """One database of a stack, seen as its superuser."""

    stack: Stack
    name: str

    @property
    def env(self) -> dict[str, str]:
        """The stack's variables, pointing at this database."""
        return {**self.stack.env, "DB_NAME": self.name}

    def connect(self, **options: Any) -> psycopg2.extensions.connection:
        """A new connection in autocommit mode; the caller closes it."""
        connection = psycopg2.connect(
            host=self.stack.db_host,
            port=self.stack.db_port,
            dbname=self.name,
            **{"user": self.stack.db_user, "password": self.stack.db_password, **options},
        )
        connection.autocommit = True
        return connection

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of one query, on a connection of its own."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall()

    def execute(self, statement: str | sql.Composable, *parameters: object) -> None:
        """Run one statement that returns nothing, on a connection of its own."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)


@dataclass(frozen=True)
class Topics:
    """Three topics that exist and that nobody else uses."""

    bootstrap_servers: str
    input: str
    output: str
    dlq: str

    @property
    def env(self) -> dict[str, str]:
        """The variables that name them."""
        return {
            "KAFKA_INPUT_TOPIC": self.input,
            "KAFKA_OUTPUT_TOPIC": self.output,
            "KAFKA_DLQ_TOPIC": self.dlq,
            "KAFKA_TOPIC_PARTITIONS": str(INPUT_PARTITIONS),
            "KAFKA_ALERT_PARTITIONS": str(OTHER_PARTITIONS),
            "KAFKA_DLQ_PARTITIONS": str(OTHER_PARTITIONS),
            "KAFKA_REPLICATION_FACTOR": "1",
        }


class RunStack:
    """Starts the run's stack when it is first needed, in the process that lives longest.

    Under xdist that is the controller, which writes where the servers are to a file that the
    workers read; otherwise it is the one process there is.
    """

    def __init__(self, shared_file: Path | None = None) -> None:
        self.run_id = secrets.token_hex(4)
        self._shared_file = shared_file
        self._closing = contextlib.ExitStack()
        self._stack: Stack | None = None

    def get(self) -> Stack:
        """The stack, started now if it was not yet."""
        if self._stack is None:
            # Throw-away data: without fsync a database is made and dropped several times quicker.
            self._stack = self._closing.enter_context(running_stack(fsync=False))
            self._closing.callback(_drop_template, self._stack, self.run_id)
            if self._shared_file is not None:
                partial = self._shared_file.with_suffix(".partial")
                partial.touch(mode=0o600)
                partial.write_text(json.dumps({"run_id": self.run_id, **self._stack.env}))
                partial.rename(self._shared_file)
        return self._stack

    def close(self) -> None:
        """End the stack, if it was started."""
        self._closing.close()


class WorkersRunStack(RunStack):
    """The same in an xdist worker: reads what the controller wrote."""

    def __init__(self, shared_file: Path) -> None:
        super().__init__()
        self._file = shared_file

    def get(self) -> Stack:
        """The controller's stack; its servers' handles stay with the controller."""
        if self._stack is None:
            wait_until(self._file.exists, 300, "the controlling process starts the servers")
            env = json.loads(self._file.read_text())
            self.run_id = env.pop("run_id")
            self._stack = self._closing.enter_context(running_stack(environ=env))
        return self._stack


run_stack_key = pytest.StashKey[RunStack]()


@pytest.fixture(scope="session")
def run_stack(pytestconfig: pytest.Config) -> RunStack:
    """The keeper of the run's stack (see `stack`)."""
    return pytestconfig.stash[run_stack_key]


@pytest.fixture(scope="session")
def stack(run_stack: RunStack) -> Stack:
    """The run's Kafka and TimescaleDB, shared by all tests: never stop them."""
    return run_stack.get()


@pytest.fixture
def private_stack() -> Iterator[Stack]:
    """A Kafka and a TimescaleDB of this test alone, to be stopped and killed at will."""
    with running_stack(fsync=True, environ={}) as stack:
        yield stack


@pytest.fixture(scope="session")
def migrated_template(stack: Stack, run_stack: RunStack) -> str:
    """The name of a migrated database to copy, made once per run by whoever comes first."""
    name = _template_name(run_stack.run_id)
    with _maintenance(stack) as cursor:
        cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", (name,))
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        if cursor.fetchone() is None:
            building = f"{name}_building"
            cursor.execute(_statement("CREATE DATABASE {}", building))
            migrate(Database(stack, building))
            # Nobody connects any more, TimescaleDB's own scheduler included: it can be copied.
            cursor.execute(_statement("ALTER DATABASE {} ALLOW_CONNECTIONS false", building))
            cursor.execute(_statement("ALTER DATABASE {} RENAME TO {}", building, name))
    return name


@pytest.fixture
def make_database(stack: Stack) -> Iterator[Callable[[str], Database]]:
    """Make databases from a named template; all are dropped at the end of the test."""
    made: list[Database] = []

    def make(template: str) -> Database:
        database = Database(stack, f"test_{secrets.token_hex(6)}")
        with _maintenance(stack) as cursor:
            cursor.execute(_statement("CREATE DATABASE {} TEMPLATE {}", database.name, template))
        made.append(database)
        return database

    yield make
    with _maintenance(stack) as cursor:
        for database in made:
            cursor.execute(_statement("DROP DATABASE IF EXISTS {} WITH (FORCE)", database.name))


@pytest.fixture
def database(make_database: Callable[[str], Database], migrated_template: str) -> Database:
    """A fresh database with the product's whole schema."""
    return make_database(migrated_template)


@pytest.fixture
def empty_database(make_database: Callable[[str], Database]) -> Database:
    """A fresh database with nothing in it, not even the extension."""
    return make_database("template0")


@pytest.fixture
def topics(stack: Stack) -> Iterator[Topics]:
    """Topics of this test alone: six input partitions, one each of the others."""
    suffix = secrets.token_hex(4)
    names = Topics(
        stack.kafka_bootstrap_servers, f"events-{suffix}", f"alerts-{suffix}", f"dlq-{suffix}"
    )
    with kafka_admin(stack) as admin:
        create_topics(admin, names)
        yield names
        admin.delete_topics([names.input, names.output, names.dlq], raise_errors=False)


@pytest.fixture
def settings_env(database: Database, topics: Topics) -> dict[str, str]:
    """The environment of a product process: to be laid over `os.environ`, or given as it is."""
    return product_env(database, topics)


def product_env(database: Database, topics: Topics) -> dict[str, str]:
    """What a product process needs to run on this database and these topics."""
    return {
        **database.env,
        **topics.env,
        "APP_ENV": "test",
        "KAFKA_CONSUMER_GROUP": f"group-{topics.input}",
        "METRICS_PORT": "0",
    }


def migrate(database: Database) -> None:
    """Bring a database to the newest schema."""
    from analytics_service.adapters.timescale.migrations import Migrator
    from analytics_service.config import load_settings

    Migrator(load_settings({**database.env, "APP_ENV": "test"}, env_file=None)).up()


def create_topics(admin: KafkaAdminClient, topics: Topics) -> None:
    """Create the three topics and wait until every partition has a leader."""
    wanted = {
        topics.input: {"num_partitions": INPUT_PARTITIONS, "replication_factor": 1},
        topics.output: {"num_partitions": OTHER_PARTITIONS, "replication_factor": 1},
        topics.dlq: {
            "num_partitions": OTHER_PARTITIONS,
            "replication_factor": 1,
            "configs": {"max.message.bytes": "2097152"},
        },
    }
    admin.create_topics(wanted, wait_for_metadata=True)


@contextlib.contextmanager
def kafka_admin(stack: Stack) -> Iterator[KafkaAdminClient]:
    """An administration client, closed at the end."""
    admin = KafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap_servers)
    try:
        yield admin
    finally:
        admin.close()


@contextlib.contextmanager
def _maintenance(stack: Stack) -> Iterator[psycopg2.extensions.cursor]:
    connection = Database(stack, "postgres").connect()
    with contextlib.closing(connection), connection.cursor() as cursor:
        yield cursor


def _statement(text: str, *names: str) -> sql.Composed:
    return sql.SQL(text).format(*map(sql.Identifier, names))


def _template_name(run_id: str) -> str:
    return f"test_template_{run_id}"


def _drop_template(stack: Stack, run_id: str) -> None:
    if stack.postgres is not None:
        return  # the whole server goes away
    with _maintenance(stack) as cursor:
        cursor.execute(_statement("DROP DATABASE IF EXISTS {}", _template_name(run_id)))
