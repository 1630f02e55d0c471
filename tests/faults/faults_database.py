"""Faults that another session of the database causes: locks held, locks in the wrong order, sessions ended."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from psycopg2 import sql
from psycopg2.errors import DeadlockDetected
from psycopg2.extensions import connection as Connection

from tests.faults.plan import Fault
from tests.faults.scene import CameToNothing, Scene

FLUSHED_TABLES = (
    "kafka_offsets",
    "analytics_events",
    "analytics_dead_letters",
    "analytics_metrics_1min",
    "analytics_metrics_5min",
    "analytics_metrics_1hour",
)
# A flush comes along every fraction of a second, unless something else holds it up.
FLUSH_COMES_S = 15.0
LOOK_S = 0.02
LINKS = 3
TERMINATIONS_S = 1.0


@contextlib.contextmanager
def _session(scene: Scene) -> Iterator[Connection]:
    """A session in a transaction, rolled back at the end; the server never chooses it as a deadlock's victim."""
    with contextlib.closing(scene.database.connect(connect_timeout=3)) as connection:
        connection.autocommit = False
        with connection.cursor() as cursor:
            cursor.execute("SET deadlock_timeout = '30s'; SET lock_timeout = '8s'")
        connection.commit()
        yield connection
        connection.rollback()


def _somebody_waits_for(scene: Scene, pid: int) -> bool:
    """Whether a session comes to wait for that of `pid`."""
    query = "SELECT 1 FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
    deadline = time.monotonic() + FLUSH_COMES_S
    with scene.database.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute(query, (pid,))
            if cursor.fetchone():
                return True
            scene.last(LOOK_S)
    return False


def deadlock(scene: Scene, fault: Fault) -> str:
    """Lock window rows in the opposite order: 1hour rows first, then, when a flush waits, its 1min rows."""
    del fault
    with _session(scene) as connection, connection.cursor() as cursor:
        cursor.execute(
            """SELECT service FROM analytics_metrics_1hour
               WHERE timestamp = (SELECT max(timestamp) FROM analytics_metrics_1hour) FOR UPDATE"""
        )
        if not _somebody_waits_for(scene, connection.get_backend_pid()):
            raise CameToNothing("no flush came by")
        try:
            cursor.execute(
                """SELECT service FROM analytics_metrics_1min
                   WHERE timestamp >= now() - interval '10 minutes' ORDER BY service, timestamp FOR UPDATE"""
            )
        except DeadlockDetected:
            return "a circle of locks, of which this session was the victim"
        return "a circle of locks, of which a flush was the victim"


def lock_timeout(scene: Scene, fault: Fault) -> str:
    """Hold a lock against all writing of one table for longer than a flush waits."""
    table = FLUSHED_TABLES[fault.target % len(FLUSHED_TABLES)]
    with _session(scene) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(sql.Identifier(table)))
        scene.last(fault.duration_s)
    return f"{table} locked for {fault.duration_s:.1f} s"


def statement_timeout(scene: Scene, fault: Fault) -> str:
    """Three rows held one after the other: each wait is shorter than a lock timeout, the statement is too long."""
    with contextlib.ExitStack() as holding:
        sessions = [holding.enter_context(_session(scene)) for _ in range(LINKS)]
        with sessions[0].cursor() as cursor:
            cursor.execute(
                """SELECT timestamp, service FROM analytics_metrics_1hour
                   WHERE timestamp = (SELECT max(timestamp) FROM analytics_metrics_1hour)
                   ORDER BY service LIMIT %s""",
                (LINKS,),
            )
            rows = cursor.fetchall()
        if len(rows) < LINKS:
            raise CameToNothing("too few window rows yet")
        for connection, row in zip(sessions, rows, strict=True):
            with connection.cursor() as cursor:
                cursor.execute(
                    """SELECT 1 FROM analytics_metrics_1hour
                       WHERE timestamp = %s AND service = %s FOR UPDATE""",
                    row,
                )
        for connection in sessions:
            scene.last(fault.duration_s)
            connection.rollback()
    return f"{LINKS} rows held for {fault.duration_s:.1f} s each, one after the other"


def terminate_sessions(scene: Scene, fault: Fault) -> str:
    """End every session of the workers, again and again for a while."""
    ended, rounds = 0, 1 + int(fault.duration_s / TERMINATIONS_S)
    for number in range(rounds):
        if number:
            scene.last(TERMINATIONS_S)
        with scene.database.cursor() as cursor:
            cursor.execute(
                """SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name LIKE 'stacklens%%'"""
            )
            ended += (cursor.fetchone() or (0,))[0]
    return f"{ended} sessions terminated in {rounds} round(s)"
