"""The run's one Kafka and TimescaleDB, and a database and topics of its own for each test.

server           the PostgreSQL of a test's databases: the stack's, or 15 as well (see below)
stack            the run's stack (shared, also between xdist's workers: never stop it)
private_stack    a stack of this test alone, whose servers it may stop, kill and start
database         a migrated database, dropped afterwards
empty_database   a database without any schema, dropped afterwards
topics           input, output and dead-letter topics, deleted afterwards
settings_env     the environment of a product process on that database and those topics

A test or module marked `both_postgres` runs on PostgreSQL 17 and again on 15. Where 15 cannot be had
(no compiler, no Debian), that half is skipped and says why.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from kafka.admin import KafkaAdminClient

from devstack.api import DevstackError, Stack, running_postgres15, running_stack
from tests.databases import (
    Database,
    close_and_rename,
    create_database,
    drop_database,
    maintenance,
)
from tests.run_stack import RunStack, run_stack_key

INPUT_PARTITIONS = 6
OTHER_PARTITIONS = 1


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
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "KAFKA_INPUT_TOPIC": self.input,
            "KAFKA_OUTPUT_TOPIC": self.output,
            "KAFKA_DLQ_TOPIC": self.dlq,
            "KAFKA_TOPIC_PARTITIONS": str(INPUT_PARTITIONS),
            "KAFKA_ALERT_PARTITIONS": str(OTHER_PARTITIONS),
            "KAFKA_DLQ_PARTITIONS": str(OTHER_PARTITIONS),
            "KAFKA_REPLICATION_FACTOR": "1",
        }


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
    with running_stack(environ={}) as stack:
        yield stack


@pytest.fixture(scope="session")
def stack15() -> Iterator[Stack]:
    """A PostgreSQL 15 without Kafka, for this process's tests."""
    with contextlib.ExitStack() as closing:
        try:
            running = closing.enter_context(running_postgres15(fsync=False))
        except DevstackError as error:
            pytest.skip(str(error))
        yield running


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Stack:
    """Where the test's databases are; `stack15` is not started unless it is asked for."""
    found: Stack = request.getfixturevalue(getattr(request, "param", "stack"))
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests marked `both_postgres` on both servers; those on 15 in one process, which starts it."""
    marked = metafunc.definition.get_closest_marker("both_postgres") is not None
    if marked and "server" in metafunc.fixturenames and "topics" not in metafunc.fixturenames:
        on_15 = pytest.param("stack15", id="pg15")
        metafunc.parametrize("server", [pytest.param("stack", id="pg17"), on_15], indirect=True)


@pytest.fixture(scope="session")
def migrated_template(stack: Stack, run_stack: RunStack) -> str:
    """The name of a migrated database to copy on the run's stack."""
    return ensure_template(stack, run_stack.template_name)


@pytest.fixture
def make_database(server: Stack) -> Iterator[Callable[[str], Database]]:
    """Make databases from a named template; all are dropped at the end of the test."""
    with contextlib.ExitStack() as dropping:

        def make(template: str) -> Database:
            name = f"test_{secrets.token_hex(6)}"
            dropping.callback(drop_database, server, name)
            return create_database(server, name, template)

        yield make


@pytest.fixture
def database(
    make_database: Callable[[str], Database], server: Stack, run_stack: RunStack
) -> Database:
    """A fresh database with the product's whole schema."""
    return make_database(ensure_template(server, run_stack.template_name))


@pytest.fixture
def empty_database(make_database: Callable[[str], Database]) -> Database:
    """A fresh database with nothing in it, not even the extension."""
    return make_database("template0")


@pytest.fixture
def topics(stack: Stack) -> Iterator[Topics]:
    """Topics of this test alone: six input partitions, one each of the others."""
    with kafka_admin(stack) as admin:
        names = create_topics(stack, admin)
        yield names
        admin.delete_topics([names.input, names.output, names.dlq], raise_errors=False)


@pytest.fixture
def settings_env(database: Database, topics: Topics) -> dict[str, str]:
    """The variables of a product process, to be laid over `os.environ` or read as they are."""
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


def ensure_template(server: Stack, name: str) -> str:
    """Make the migrated database that others are copies of, unless somebody has; its name."""
    with maintenance(server).cursor() as cursor:  # which holds the lock while it is open
        cursor.execute("SELECT pg_advisory_lock(hashtext(%s))", (name,))
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        if cursor.fetchone() is None:
            building = f"{name}_building"
            drop_database(server, building)
            migrated = create_database(server, building, "template0")
            migrate(migrated)
            close_and_rename(migrated, name)
    return name


def migrate(database: Database) -> None:
    """Bring a database to the newest schema."""
    # Imported here, so that a test which needs no schema does not need the migrations either.
    from analytics_service.adapters.timescale.migrations import Migrator
    from analytics_service.config import load_settings

    Migrator(load_settings({**database.env, "APP_ENV": "test"}, env_file=None)).up()


def create_topics(stack: Stack, admin: KafkaAdminClient) -> Topics:
    """Create three topics of new names and wait until every partition has a leader."""
    suffix = secrets.token_hex(4)
    topics = Topics(
        stack.kafka_bootstrap_servers, f"events-{suffix}", f"alerts-{suffix}", f"dlq-{suffix}"
    )
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
    return topics


@contextlib.contextmanager
def kafka_admin(stack: Stack) -> Iterator[KafkaAdminClient]:
    """An administration client, closed at the end."""
    admin = KafkaAdminClient(bootstrap_servers=stack.kafka_bootstrap_servers)
    try:
        yield admin
    finally:
        admin.close()
