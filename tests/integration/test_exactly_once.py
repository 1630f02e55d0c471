"""Whatever happens to a worker or its database: the tables are what a single pass gives.

EXACTLY_ONCE_EVENTS (default 200000) sets the size of the backlog of the five kills.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Iterator

import pytest

from tests.integration.streaming import Feeder, plain_events
from tests.integration.whole_way import WholeWay
from tests.integration.worker_process import STOP_S
from tests.waiting import wait_until

SEED = 20_260_131
EVENTS = int(os.environ.get("EXACTLY_ONCE_EVENTS", "200000"))
KILLS = 5
SESSION_TIMEOUT_S = 10.0  # after so long Kafka gives a silent worker's partitions to others
# In the order in which a flush comes by them.
FLUSHED_TABLES = (
    "kafka_offsets",
    "analytics_events",
    "analytics_dead_letters",
    "analytics_metrics_1min",
    "analytics_metrics_5min",
    "analytics_metrics_1hour",
)


def finish(way: WholeWay, *, raw_rows: bool = False) -> None:
    """Wait for the rest, then compare everything."""
    way.wait_settled()
    assert way.differences(raw_rows=raw_rows) == []


@contextlib.contextmanager
def table_locked(way: WholeWay, table: str) -> Iterator[None]:
    """Nobody can write to `table` meanwhile: a flush gets as far as that and stands still."""
    with contextlib.closing(way.database.connect()) as connection:
        connection.autocommit = False
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {table} IN SHARE MODE")
            yield
        connection.rollback()


def wait_flush_stands(way: WholeWay) -> None:
    """Return once a flush waits for a lock."""
    query = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
               AND application_name = 'stacklens-analytics flush' AND wait_event_type = 'Lock'"""
    wait_until(lambda: way.database.rows(query) != [(0,)], 60.0, "a flush waits for the lock")


@pytest.mark.slow
def test_five_kills_during_a_backlog(way: WholeWay) -> None:
    way.send_values(plain_events(SEED, EVENTS))
    rng = random.Random(SEED)
    for kill in range(KILLS):
        before = way.settled()
        if kill % 2:
            # In the middle of a flush, at a table drawn at random.
            with table_locked(way, rng.choice(FLUSHED_TABLES[1:])):
                worker = way.start()
                wait_flush_stands(way)
                worker.kill()
        else:
            # Between two looks at the progress: somewhere in what follows a commit.
            worker = way.start()
            step = rng.randrange(1, max(2, EVENTS // 20))
            wait_until(lambda goal=before + step: way.settled() >= goal, 120, "progress")  # type: ignore[misc]
            worker.kill()
        assert before <= way.settled() < EVENTS, "killed too late to show anything"
    last = way.start()
    finish(way, raw_rows=EVENTS <= 200_000)
    assert last.terminate() == 0


def test_killed_at_every_step_of_a_flush(way: WholeWay) -> None:
    # Static members: a successor needs not wait until Kafka has forgotten the dead one.
    worker = way.start(KAFKA_GROUP_INSTANCE_ID="only").wait_ready()
    for number, table in enumerate(FLUSHED_TABLES):
        before = len(way.sent)
        with table_locked(way, table):
            way.send_values([b"a dead letter", *plain_events(SEED + number, 1_000)])
            wait_flush_stands(way)
            worker.kill()
        assert way.settled() == before, f"killed too late at {table}"
        worker = way.start(KAFKA_GROUP_INSTANCE_ID="only").wait_ready()
        way.wait_settled()
    finish(way, raw_rows=True)


@pytest.mark.slow
def test_workers_come_and_go_in_mid_stream(way: WholeWay) -> None:
    with Feeder(way, SEED) as feeder:
        staying = way.start()
        feeder.wait_progress(3_000)
        stopped = way.start().wait_ready()
        feeder.wait_progress(15_000)
        assert stopped.terminate() == 0
        feeder.wait_progress(5_000)
        killed = way.start().wait_ready()
        feeder.wait_progress(15_000)
        killed.kill()
        feeder.wait_progress(15_000)
    finish(way)
    assert stopped.exit_code == 0
    assert staying.terminate() == 0


@pytest.mark.slow
@pytest.mark.parametrize("inside_a_flush", [False, True])
def test_a_frozen_worker_wakes_up_after_another_took_over(
    way: WholeWay, inside_a_flush: bool
) -> None:
    with Feeder(way, SEED) as feeder:
        frozen = way.start().wait_ready()
        feeder.wait_progress(3_000)
        other = way.start().wait_ready()
        feeder.wait_progress(5_000)
        if inside_a_flush:
            with table_locked(way, "analytics_metrics_5min"):
                wait_flush_stands(way)
                frozen.freeze()
        else:
            frozen.freeze()
        # The frozen one's partitions go to the other once Kafka misses its heartbeats.
        taken_over = other.output.count("reading incarnation")
        wait_until(
            lambda: other.output.count("reading incarnation") > taken_over,
            6 * SESSION_TIMEOUT_S,
            "the other worker takes over",
        )
        feeder.wait_progress(10_000)
        frozen.thaw()
        feeder.wait_progress(10_000)
        frozen.wait_ready()
        feeder.wait_progress(10_000)
    finish(way)
    assert [frozen.terminate(), other.terminate()] == [0, 0]


def test_terminated_database_sessions_in_mid_stream(way: WholeWay) -> None:
    terminate = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name LIKE 'stacklens-analytics%%'"""
    with Feeder(way, SEED) as feeder:
        worker = way.start()
        for table in (None, "analytics_events", "analytics_metrics_1hour", None, None):
            feeder.wait_progress(2_000)
            if table is None:
                assert way.database.rows(terminate)
            else:
                with table_locked(way, table):
                    wait_flush_stands(way)
                    assert way.database.rows(terminate)
        feeder.wait_progress(2_000)
    finish(way, raw_rows=True)
    assert worker.terminate() == 0
    assert "Detected dead connection, removing from pool" in worker.output


def test_a_stop_in_mid_stream_commits_and_goes_on_later(way: WholeWay) -> None:
    with Feeder(way, SEED) as feeder:
        for _ in range(2):
            worker = way.start()
            feeder.wait_progress(5_000)
            assert worker.terminate() == 0  # in time, while messages keep coming
        last = way.start()
        feeder.wait_progress(2_000)
    finish(way)
    assert last.terminate() == 0


def test_a_stop_during_a_backlog_does_not_wait_for_its_end(way: WholeWay) -> None:
    way.send_values(plain_events(SEED, 200_000))
    worker = way.start()
    with table_locked(way, "analytics_events"):
        wait_flush_stands(way)
        os.kill(worker.pid, signal.SIGTERM)
        worker.wait_for_line("Stopping...")
    assert worker.wait_exit(STOP_S) == 0
    # What it held, a few flushes, is committed; nothing more was fetched.
    stopped_at = way.settled()
    assert 0 < stopped_at < 150_000
    rows = way.database.rows(
        "SELECT (SELECT count(*) FROM analytics_events) + (SELECT count(*) FROM analytics_dead_letters)"
    )
    assert rows == [(stopped_at,)]


def test_everything_read_is_committed_at_an_orderly_end(way: WholeWay) -> None:
    # Nothing more comes: so a worker that was given all of it leaves nothing behind.
    worker = way.start().wait_ready()
    sent = way.send_values(plain_events(SEED, 5_000))
    wait_until(lambda: worker.metric("stacklens_events_consumed_total") > 0, 60.0, "some are read")
    assert worker.terminate() == 0
    settled = way.settled()
    assert way.database.rows(
        """SELECT (SELECT count(*) FROM analytics_events) + (SELECT count(*) FROM analytics_dead_letters),
           sum(total_requests) + (SELECT count(*) FROM analytics_dead_letters) FROM analytics_metrics_1min"""
    ) == [(settled, settled)]
    assert settled <= len(sent)


def test_a_database_commit_of_unknown_outcome(way: WholeWay) -> None:
    """The commit reaches the server, its answer does not reach the worker: nothing is written twice."""
    worker = way.start().wait_ready()
    for _ in range(3):
        way.send_values(plain_events(SEED, 500))
        # Terminated while it is flushing or right after: before or after its commit, who knows.
        wait_until(
            lambda: (
                way.database.rows(
                    """SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
                   AND application_name = 'stacklens-analytics flush' AND state <> 'idle'"""
                )
                or way.settled() >= len(way.sent)
            ),
            60.0,
            "a flush at work",
        )
    finish(way, raw_rows=True)
    assert worker.terminate() == 0
