"""A million events that are in Kafka before the worker starts: how fast are they in the database?

Reading begins when the worker knows its positions (its log line "reading incarnation"), right before the first fetch.
It ends when the offsets stored in the database reach the end of the topic: they are moved in the transaction that holds
the raw rows and the rows of all three window tables, so at that moment everything is committed and visible.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from psycopg2.extensions import connection

from analytics_service.adapters.kafka.producer import TopicProducer
from analytics_service.adapters.timescale.migrations import Migrator
from analytics_service.domain.windows import WINDOWS
from bench.child import Child
from bench.errors import WrongResult
from bench.events import Columns, Recipe, join
from bench.proc import cpu_seconds, peak_memory_bytes
from bench.progress import Progress
from bench.site import SECONDS_TO_BEGIN, SESSION_BEGAN, Site

POLL_S = 0.02
LONGEST_S = 900.0


@dataclass(frozen=True, slots=True)
class LoadResult:
    """One pass over the topic; CPU seconds from the first fetch on, None where the database is elsewhere.

    `session_cpu_s`: of the session of the flushes; `vacuum_cpu_s`: of that in which the worker vacuums. `disk_bytes`:
    of the tables of raw events and windows afterwards, indexes and out-of-line values included.
    """

    events: int
    seconds: float
    seconds_from_start: float
    peak_memory_bytes: int
    worker_cpu_s: float
    session_cpu_s: float | None
    vacuum_cpu_s: float | None
    wal_bytes: int
    disk_bytes: int

    @property
    def rate(self) -> float:
        """Events a second from the first fetch to the last commit."""
        return self.events / self.seconds


def fill(
    site: Site, topic: str, recipe: Recipe, progress: Progress, limit: int | None = None
) -> Columns:
    """Put the events of the recipe, or the first `limit` of them, into the topic; what they say."""
    parts = []
    sent = 0
    with TopicProducer(site.settings(site.stack.db_name, topic), topic) as producer:
        for block in recipe.blocks(limit):
            producer.send(block.values)
            parts.append(block.columns)
            sent += len(block.values)
            progress.tick(f"{sent:,} events sent")
        producer.flush()
    if producer.acknowledged != sent:
        raise WrongResult(f"the broker took {producer.acknowledged} of {sent} events")
    return join(parts)


def run_load(site: Site, database: str, topic: str, group: str, progress: Progress) -> LoadResult:
    """Start a worker on an empty database and wait until it has stored the whole topic."""
    events = sum(site.ends(topic).values())
    Migrator(site.settings(database, topic)).up()
    site.checkpoint()
    conn = site.connect(database)
    wal = _wal_position(conn)
    with site.worker(database, topic, group) as worker:
        began, _ = worker.wait_for(SESSION_BEGAN, SECONDS_TO_BEGIN)
        cpu = cpu_seconds(worker.pid)
        ended = _wait_for_end(conn, worker, topic, events, progress)
        cpu = cpu_seconds(worker.pid) - cpu
        memory = peak_memory_bytes(worker.pid)
        session_cpu = site.database_cpu_seconds(_pid_of_session(conn, "flush"))
        vacuum_cpu = site.database_cpu_seconds(_pid_of_session(conn, "vacuum"))
        status = worker.stop()
    if status != 0:
        raise worker.trouble(f"ended with exit status {status} on SIGTERM")
    wal_bytes, disk_bytes = _wal_position(conn) - wal, _disk_bytes(conn)
    conn.close()
    seconds, from_start = ended - began, ended - worker.started_at
    return LoadResult(
        events, seconds, from_start, memory, cpu, session_cpu, vacuum_cpu, wal_bytes, disk_bytes
    )


def _wait_for_end(
    conn: connection, worker: Child, topic: str, events: int, progress: Progress
) -> float:
    """The epoch time at which the stored offsets were first seen at the end of the topic."""
    deadline = time.monotonic() + LONGEST_S
    with conn.cursor() as cur:
        while time.monotonic() < deadline:
            cur.execute(
                "SELECT coalesce(sum(next_offset), 0)::bigint FROM kafka_offsets WHERE topic = %s",
                (topic,),
            )
            row = cur.fetchone()
            now = time.time()
            stored = int(row[0]) if row else 0
            if stored >= events:
                return now
            worker.check()
            progress.tick(f"{stored:,} of {events:,} events stored")
            time.sleep(POLL_S)
    raise worker.trouble(f"stored {stored} of {events} events in {LONGEST_S:g} s")


def _pid_of_session(conn: connection, what: str) -> int:
    """The server process of one of the worker's sessions; 0 when there is none."""
    with conn.cursor() as cur:
        cur.execute(
            """
            SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = %s
            """,
            (f"stacklens-analytics {what}",),
        )
        row = cur.fetchone()
    return int(row[0]) if row else 0


def _wal_position(conn: connection) -> int:
    with conn.cursor() as cur:
        cur.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")
        row = cur.fetchone()
    assert row is not None
    return int(row[0])


def _disk_bytes(conn: connection) -> int:
    with conn.cursor() as cur:
        cur.execute(
            """
            SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint FROM pg_inherits
            WHERE inhparent = ANY (%s::regclass[])
            """,
            (["analytics_events", *(window.table for window in WINDOWS)],),
        )
        ((size,),) = cur.fetchall()
    return int(size)
