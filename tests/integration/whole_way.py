"""One test's way from Kafka to the tables: what was sent, the workers, and what must come of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
from psycopg2.errors import UndefinedTable
from psycopg2.extensions import connection as Connection

from tests.databases import Database
from tests.integration.sending import Outgoing, dealt, send
from tests.integration.worker_process import WorkerProcess, worker_processes
from tests.reference.brute_force import Expected, Message, Rules, single_pass
from tests.reference.compare import compare
from tests.stack_fixtures import INPUT_PARTITIONS, Topics, product_env
from tests.waiting import wait_until

STORED_S = 180.0


@dataclass
class WholeWay:
    """A database and topics of a test's own, and the workers between them."""

    database: Database
    topics: Topics
    directory: Path
    workers: list[WorkerProcess]
    env: dict[str, str] = field(default_factory=dict)
    sent: list[Message] = field(default_factory=list)
    _watch: Connection | None = None

    def __post_init__(self) -> None:
        self.env = product_env(self.database, self.topics)

    def start(self, **overrides: str) -> WorkerProcess:
        """Start a worker; it may not be ready yet."""
        log = self.directory / f"worker-{len(self.workers) + 1}.log"
        worker = WorkerProcess({**self.env, **overrides}, log)
        self.workers.append(worker)
        return worker

    def send(self, messages: Iterable[Outgoing]) -> list[Message]:
        """Send to the input topic; what was sent, with its offsets."""
        sent = send(self.topics.bootstrap_servers, self.topics.input, list(messages))
        self.sent += sent
        return sent

    def send_values(self, values: Iterable[bytes | None]) -> list[Message]:
        """Send values without keys, dealt round the partitions."""
        return self.send(dealt(values, INPUT_PARTITIONS))

    def settled(self) -> int:
        """Messages of the topic that are behind the stored offsets."""
        try:
            if self._watch is None or self._watch.closed:
                self._watch = self.database.connect()
            with self._watch.cursor() as cursor:
                cursor.execute("SELECT coalesce(sum(next_offset), 0)::bigint FROM kafka_offsets")
                return int(cursor.fetchall()[0][0])
        except (psycopg2.OperationalError, psycopg2.InterfaceError):  # the database is away
            self._watch = None
            return -1
        except UndefinedTable:  # not migrated yet
            return -1

    def wait_settled(self, count: int | None = None, deadline_s: float = STORED_S) -> None:
        """Return once so many messages (default: all that were sent) are stored or dead letters."""
        wanted = len(self.sent) if count is None else count
        wait_until(
            lambda: self._alive() and self.settled() >= wanted,
            deadline_s,
            f"{wanted} messages are settled",
        )

    def expected(self, rules: Rules | None = None) -> Expected:
        """What a single pass over everything sent gives."""
        return single_pass(self.sent, rules or Rules(), time.time_ns() // 1000)

    def differences(self, rules: Rules | None = None, *, raw_rows: bool = True) -> list[str]:
        """Where the tables differ from a single pass over everything sent."""
        with contextlib.closing(self.database.connect()) as connection:
            return compare(connection, self.expected(rules), raw_rows=raw_rows)

    def close(self) -> None:
        """Let go of the database."""
        if self._watch is not None:
            self._watch.close()

    def _alive(self) -> bool:
        """Waiting on is of use only while a worker runs."""
        codes = [worker.exit_code for worker in self.workers]
        assert not codes or None in codes, f"no worker runs any more, exit codes {codes}"
        return True


@contextlib.contextmanager
def open_way(database: Database, topics: Topics, directory: Path) -> Iterator[WholeWay]:
    """A way whose workers are gone at the end."""
    with worker_processes(directory) as workers:
        way = WholeWay(database, topics, directory, workers)
        with contextlib.closing(way):
            yield way
