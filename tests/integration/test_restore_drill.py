"""The database is lost under load and comes back from a backup: the topic fills the gap, nothing lost, nothing twice.

RESTORE_DRILL_EVENTS (default 1000000) sets the size of the long one, which `make restore-drill` runs.

    events   ──────────────────────────────────────────────────────►
    worker   ───────────────────────╳            ┌─────────────────►
    database ──────[backup]─────────╳   [restore]┘ reads on from the backup's offsets
                                    └─── RTO ───────────┘ caught up
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from psycopg2.extensions import cursor as Cursor

from tests.client_programs import client_directory
from tests.databases import Database, create_database, drop_database, maintenance
from tests.integration.streaming import Feeder, plain_events
from tests.integration.whole_way import WholeWay
from tests.integration.worker_process import STACKLENS, WorkerProcess
from tests.reference.brute_force import Rules, single_pass
from tests.reference.compare import compare
from tests.reference.topic import read_topic
from tests.waiting import wait_until

SEED = 20_260_131
BIG = int(os.environ.get("RESTORE_DRILL_EVENTS", "1000000"))
CAUGHT_UP_S = 600.0


@dataclass
class Figures:
    """What a drill measured; times in seconds."""

    backup_s: float = 0.0
    backup_bytes: int = 0
    events_in_backup: int = 0
    events_to_read_again: int = 0
    restore_s: float = 0.0
    recovery_s: float = 0.0

    def tell(self) -> None:
        """One line, for `pytest -s` and for the runbook."""
        print("restore drill:", json.dumps(asdict(self)))


@contextmanager
def unlocking(cursor: Cursor) -> Iterator[None]:
    """The end of a transaction that others wait for, whatever happens."""
    try:
        yield
    finally:
        cursor.execute("COMMIT")


def stacklens(way: WholeWay, *arguments: str | Path) -> float:
    """Run a command that must succeed; how long it took."""
    began = time.monotonic()
    done = subprocess.run(
        [STACKLENS, *arguments],
        env={
            **os.environ,
            **way.env,
            "PG_CLIENT_DIRECTORY": str(client_directory(way.database.stack)),
        },
        cwd=way.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    return time.monotonic() - began


def back_up(way: WholeWay, figures: Figures) -> Path:
    """A backup of this moment; the file."""
    report = way.directory / "backup.json"
    figures.backup_s = stacklens(
        way, "backup", "--directory", way.directory / "backups", "--output-json", report
    )
    told = json.loads(report.read_text())
    figures.backup_bytes = told["bytes"]
    return Path(told["file"])


def lose(database: Database) -> None:
    """The database is gone, with every connection to it."""
    drop_database(database.stack, database.name)


def restore(way: WholeWay, file: Path, figures: Figures) -> None:
    """Into a database that was made anew."""
    create_database(way.database.stack, way.database.name, "template0")
    figures.restore_s = stacklens(way, "restore", file, "--confirm")


def assert_single_pass(way: WholeWay, *, raw_rows: bool) -> None:
    """Every table is what one pass over the topic gives, and the topic holds everything that was sent."""
    messages = read_topic(way.topics.bootstrap_servers, way.topics.input)
    sent = {(each.partition, each.offset, each.value) for each in way.sent}
    assert {(each.partition, each.offset, each.value) for each in messages} == sent
    expected = single_pass(messages, Rules(), time.time_ns() // 1000)
    with closing(way.database.connect()) as connection:
        assert compare(connection, expected, raw_rows=raw_rows) == []
    ends = dict.fromkeys(range(6), 0) | {each.partition: each.offset + 1 for each in messages}
    stored = way.database.rows("SELECT kafka_partition, next_offset FROM kafka_offsets")
    assert dict(stored) == ends
    counted = way.database.rows(
        "SELECT sum(events_stored)::bigint, sum(events_dead_lettered)::bigint FROM kafka_offsets"
    )
    assert counted == [(len(expected.events), len(expected.rejected))]


def drill(way: WholeWay, *, first: int, more: int, worker_stays: bool) -> Figures:
    """`first` events are there before the backup, `more` come after it. The worker dies, or goes through all of it."""
    figures = Figures()
    worker: WorkerProcess = way.start().wait_ready()
    way.send_values(plain_events(SEED, first))
    with Feeder(way, SEED + 1) as feeder:
        way.wait_settled(first, CAUGHT_UP_S)
        feeder.wait_progress(2_000)
        before = way.settled()
        file = back_up(way, figures)
        assert way.settled() > before, "the worker stood still while the backup was taken"
        feeder.wait_progress(more, CAUGHT_UP_S)
        if not worker_stays:
            worker.kill()
        at_loss = way.settled()
        lose(way.database)
        began = time.monotonic()
        restore(way, file, figures)
        if not worker_stays:
            figures.events_in_backup = way.settled()
            assert before <= figures.events_in_backup < at_loss
            figures.events_to_read_again = len(way.sent) - figures.events_in_backup
            worker = way.start()
        way.wait_settled(at_loss, CAUGHT_UP_S)
        figures.recovery_s = time.monotonic() - began
        feeder.wait_progress(2_000, CAUGHT_UP_S)
    way.wait_settled(deadline_s=CAUGHT_UP_S)
    assert worker.terminate() == 0
    return figures


@pytest.mark.slow
@pytest.mark.parametrize("worker_stays", [False, True], ids=["worker-dies", "worker-stays"])
def test_a_lost_database_comes_back_and_the_topic_fills_the_gap(
    way: WholeWay, worker_stays: bool
) -> None:
    drill(way, first=20_000, more=10_000, worker_stays=worker_stays).tell()
    assert_single_pass(way, raw_rows=True)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_large_drill(way: WholeWay) -> None:
    """What the runbook's figures come from."""
    drill(way, first=BIG, more=BIG // 10, worker_stays=False).tell()
    assert_single_pass(way, raw_rows=False)


@pytest.mark.slow
def test_a_worker_that_starts_during_the_restore_waits_for_it(way: WholeWay) -> None:
    """It must not take the empty database for a new one: it would migrate it and begin at offset 0."""
    worker = way.start().wait_ready()
    way.send_values(plain_events(SEED, 5_000))
    way.wait_settled()
    file = back_up(way, Figures())
    worker.kill()
    way.send_values(plain_events(SEED + 1, 5_000))
    lose(way.database)
    create_database(way.database.stack, way.database.name, "template0")
    with closing(way.database.connect()) as connection, connection.cursor() as cursor:
        # The restore stands in its middle for as long as we like.
        cursor.execute("CREATE EXTENSION timescaledb")
        cursor.execute("BEGIN; LOCK TABLE _timescaledb_catalog.tablespace IN ACCESS EXCLUSIVE MODE")
        with subprocess.Popen(
            [STACKLENS, "restore", file, "--confirm"],
            env={
                **os.environ,
                **way.env,
                "PG_CLIENT_DIRECTORY": str(client_directory(way.database.stack)),
            },
            stdout=subprocess.DEVNULL,
        ) as restoring:
            stands = """SELECT count(*) FROM pg_stat_activity WHERE datname = %s
                        AND application_name = 'stacklens-restore' AND wait_event_type = 'Lock'"""
            name, keeper = way.database.name, maintenance(way.database.stack)
            with unlocking(cursor):
                wait_until(lambda: keeper.rows(stands, name) == [(1,)], 60, "the restore waits")
                worker = way.start()
                worker.wait_for_line("Waiting for another process to migrate database")
            assert restoring.wait(120) == 0
    worker.wait_ready()
    way.wait_settled()
    assert_single_pass(way, raw_rows=True)


def test_the_way_back_of_the_newest_migrations_keeps_what_is_older(way: WholeWay) -> None:
    """The rehearsal of the runbook: two migrations down, up again, and every figure is what it was."""
    worker = way.start().wait_ready()
    way.send_values(plain_events(SEED, 5_000))
    way.wait_settled()
    assert worker.terminate() == 0
    newest = way.database.rows("SELECT max(version) FROM schema_migrations")
    target = str(newest[0][0] - 2)
    stacklens(way, "migrate", "down", "--to", target, "--dry-run")
    assert way.database.rows("SELECT max(version) FROM schema_migrations") == newest
    down_s = stacklens(way, "migrate", "down", "--to", target, "--confirm")
    assert way.database.rows("SELECT count(*) FROM analytics_events") != [(0,)]
    up_s = stacklens(way, "migrate", "up")
    print(f"rollback rehearsal: down {down_s:.1f} s, up {up_s:.1f} s")
    assert way.database.rows("SELECT max(version) FROM schema_migrations") == newest
    assert way.start().wait_ready().terminate() == 0
    assert_single_pass(way, raw_rows=True)
