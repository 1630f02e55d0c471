"""Where it takes place: a stack of our own with proxies before it, kept up by supervisors, for any number of runs."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from devstack.api import Stack, running_stack
from devstack.ports import free_port
from tests.databases import Database, create_database, drop_database
from tests.faults.disk import SmallDisk
from tests.faults.plan import Kind
from tests.faults.producer import Producer
from tests.faults.progress import Progress
from tests.faults.proxy import Proxy
from tests.faults.scene import Scene
from tests.faults.servers import KeptServer
from tests.faults.traffic import values
from tests.faults.workers import Workers
from tests.stack_fixtures import (
    INPUT_PARTITIONS,
    Topics,
    create_topics,
    kafka_admin,
    migrate,
    product_env,
)

# So that the database's log stays small beside the small disk.
SMALL_LOG = ("max_wal_size = '256MB'", "min_wal_size = '64MB'")
WORKERS = 2
Say = Callable[[str], None]


@dataclass(frozen=True)
class Arena:
    """A stack and what stands before and around it."""

    stack: Stack
    broker: KeptServer
    postgres: KeptServer
    broker_proxy: Proxy
    database_proxy: Proxy
    disk: SmallDisk | None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Every kind of fault that is possible here."""
        return tuple(kind for kind in Kind if self.disk is not None or kind != Kind.FILL_DISK)


@contextlib.contextmanager
def open_arena(say: Say, disk: SmallDisk | None = None, *, fsync: bool = True) -> Iterator[Arena]:
    """Start everything, the database on `disk` if there is one; end everything with the block."""
    broker_port, database_port = free_port(), free_port()
    directory = None if disk is None else disk.directory / "postgres"
    with contextlib.ExitStack() as closing:
        stack = closing.enter_context(
            running_stack(
                environ={},
                fsync=fsync,
                kafka_proxy_port=broker_port,
                postgres_directory=directory,
                progress=say,
            )
        )
        kafka, postgres = stack.kafka, stack.postgres
        assert kafka is not None
        assert postgres is not None
        assert kafka.behind_proxy_port is not None
        if disk is not None:
            server = Database(stack, "postgres")
            for setting in SMALL_LOG:
                server.execute(f"ALTER SYSTEM SET {setting}")
            server.execute("SELECT pg_reload_conf()")
        yield Arena(
            stack,
            closing.enter_context(KeptServer(kafka, kafka.wait_until_ready, say)),
            closing.enter_context(KeptServer(postgres, postgres.wait_until_ready, say)),
            closing.enter_context(Proxy(broker_port, kafka.behind_proxy_port)),
            closing.enter_context(Proxy(database_port, stack.db_port)),
            disk,
        )


@dataclass(frozen=True)
class Run:
    """A scene with the names that the reckoning needs."""

    scene: Scene
    topics: Topics


@contextlib.contextmanager
def open_run(arena: Arena, seed: int, rate: int, directory: Path, say: Say) -> Iterator[Run]:
    """A database, topics, workers and a stream for one run; gone at its end."""
    with contextlib.ExitStack() as closing:
        arena.broker.ended_by_itself = arena.postgres.ended_by_itself = 0
        with kafka_admin(arena.stack) as admin:
            topics = create_topics(arena.stack, admin)
        name = f"faults_{secrets.token_hex(6)}"
        closing.callback(drop_database, arena.stack, name)
        database = create_database(arena.stack, name, "template0")
        migrate(database)
        env = product_env(database, topics) | {
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{arena.broker_proxy.port}",
            "DB_PORT": str(arena.database_proxy.port),
            "TMPDIR": str(directory),  # what a killed worker leaves behind goes with its log
        }
        progress = closing.enter_context(Progress(database))
        workers = closing.enter_context(Workers(env, directory, say))
        producer = closing.enter_context(
            Producer(
                arena.stack.kafka_bootstrap_servers,
                topics.input,
                INPUT_PARTITIONS,
                values(seed, time.time),
                rate=rate,
                idempotent=seed % 2 == 0,
            )
        )
        for _ in range(WORKERS):
            workers.start()
        scene = Scene(
            arena.broker,
            arena.postgres,
            arena.broker_proxy,
            arena.database_proxy,
            arena.disk,
            database,
            workers,
            producer,
            progress,
        )
        yield Run(scene, topics)
