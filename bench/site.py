"""Where a bench runs: the stack, databases and topics of its own, the worker as a child process."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg2
from kafka import KafkaConsumer, TopicPartition
from psycopg2 import sql
from psycopg2.errors import InsufficientPrivilege
from psycopg2.extensions import connection

from analytics_service.adapters.kafka.topics import create_topics, open_admin
from analytics_service.config import Settings, load_settings
from bench.child import Child
from bench.proc import cpu_seconds
from devstack.api import Stack

ROOT: Final = Path(__file__).resolve().parents[1]
PARTITIONS: Final = 6
SESSION_BEGAN: Final = "reading incarnation"
PORT_SAID: Final = "health and metrics on port"
SECONDS_TO_BEGIN: Final = 60.0
# What a child keeps of this process's environment: nothing that could change a setting of the product.
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class Site:
    """One bench run on a stack; `mark` is in the name of everything it makes there."""

    stack: Stack
    directory: Path
    mark: str = field(default_factory=lambda: f"bench{secrets.token_hex(3)}")
    partitions: int = PARTITIONS

    def topic(self, name: str) -> str:
        """The name of a topic of this run."""
        return f"{self.mark}-{name}"

    def environment(self, database: str, topic: str, group: str) -> dict[str, str]:
        """The environment of a worker; what is not named here keeps the product's default."""
        return {
            **{name: os.environ[name] for name in _KEPT if name in os.environ},
            **self.stack.env,
            "PYTHONPATH": os.pathsep.join((str(ROOT / "python-services"), str(ROOT))),
            "PYTHONUNBUFFERED": "1",
            "DB_NAME": database,
            "KAFKA_INPUT_TOPIC": topic,
            "KAFKA_OUTPUT_TOPIC": self.topic("alerts"),
            "KAFKA_DLQ_TOPIC": self.topic("dlq"),
            "KAFKA_CONSUMER_GROUP": group,
            "KAFKA_TOPIC_PARTITIONS": str(self.partitions),
            "METRICS_PORT": "0",
        }

    def settings(self, database: str, topic: str) -> Settings:
        """The settings a worker would have."""
        return load_settings(self.environment(database, topic, self.mark), env_file=None)

    def make_topic(self, name: str) -> str:
        """Create one more input topic; its full name."""
        topic = self.topic(name)
        create_topics(self.settings(self.stack.db_name, topic))
        return topic

    def connect(self, database: str) -> connection:
        """A connection in autocommit mode."""
        conn: connection = psycopg2.connect(**self.connection_parameters(database))
        conn.autocommit = True
        return conn

    def connection_parameters(self, database: str) -> dict[str, Any]:
        """What psycopg2 connects by, for processes that have no stack in their hands."""
        return {
            "host": self.stack.db_host,
            "port": self.stack.db_port,
            "user": self.stack.db_user,
            "password": self.stack.db_password,
            "dbname": database,
            "application_name": "stacklens bench",
        }

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """An empty database, dropped at the end."""
        full = f"{self.mark}_{name}"
        self.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(full)))
        try:
            yield full
        finally:
            self.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(full)))

    def execute(self, statement: sql.Composable, database: str | None = None) -> None:
        """One statement outside a transaction."""
        conn = self.connect(database or self.stack.db_name)
        try:
            with conn.cursor() as cur:
                cur.execute(statement)
        finally:
            conn.close()

    def checkpoint(self) -> None:
        """Write out what earlier parts left in memory, so that each part begins alike."""
        # On one's own servers the user may not be allowed to; it evens out noise, no more.
        with suppress(InsufficientPrivilege):
            self.execute(sql.SQL("CHECKPOINT"))

    def database_cpu_seconds(self, pid: int) -> float | None:
        """CPU seconds of a server process so far; None where the database is not this stack's own."""
        return cpu_seconds(pid) if self.stack.postgres is not None and pid else None

    def worker(self, database: str, topic: str, group: str) -> Child:
        """A worker, started; to be used as a context manager."""
        return Child(
            "the worker",
            [sys.executable, "-m", "analytics_service.entrypoints.cli.main", "analytics"],
            self.environment(database, topic, group),
            self.directory,
            markers=[SESSION_BEGAN, PORT_SAID],
        )

    def ends(self, topic: str) -> dict[int, int]:
        """Messages of the topic by partition, as the broker counts them."""
        consumer = KafkaConsumer(bootstrap_servers=self.stack.kafka_bootstrap_servers.split(","))
        try:
            partitions = [TopicPartition(topic, number) for number in range(self.partitions)]
            return {tp.partition: int(end) for tp, end in consumer.end_offsets(partitions).items()}
        finally:
            consumer.close()

    def remove_topics(self) -> None:
        """Delete every topic of this run, those that peers made too."""
        with open_admin(self.settings(self.stack.db_name, self.topic("any"))) as admin:
            mine = [
                topic["name"]
                for topic in admin.describe_topics()
                if str(topic["name"]).startswith(f"{self.mark}-")
            ]
            if mine:
                admin.delete_topics(mine)
