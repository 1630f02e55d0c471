"""A rebuild and a flush on the same row, step by step in two sessions: whoever is first, the row ends exact.

flush:  raw rows ── 1min ── 5min ── 1hour ── commit
rebuild:            lock ── read ── write ── commit
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg2.extensions import connection as Connection

from analytics_service.adapters.timescale.flush import prepare_connection
from analytics_service.adapters.timescale.recalculation import (
    Batch,
    prepare_recalculation,
    rebuild,
)
from analytics_service.adapters.timescale.window_rows import ConcurrentInsert
from analytics_service.adapters.timescale.window_store import merge_window
from analytics_service.domain.aggregation import roll_up
from analytics_service.domain.events import Event
from analytics_service.domain.folding import fold_events
from analytics_service.domain.recalculation import plan_recalculation
from analytics_service.domain.windows import WINDOWS
from tests.databases import Database
from tests.integration.patience import be_patient
from tests.waiting import wait_until

START_S = 1_790_000_000 // 3600 * 3600
MINUTES, FIVES, HOURS = plan_recalculation(START_S, START_S + 3600, WINDOWS).steps
SERVICE = "s"
# Every row of the three tables beside what the raw events say, where they differ.
WRONG = " UNION ALL ".join(
    f"""
    SELECT '{window.name}', coalesce(held.total_requests, 0), coalesce(raw.total, 0)
    FROM {window.table} AS held FULL JOIN (
        SELECT service, to_timestamp(floor(extract(epoch FROM timestamp) / {window.seconds}) * {window.seconds}) AS at,
            count(*) AS total, sum(latency_ms) AS latency
        FROM analytics_events GROUP BY 1, 2
    ) AS raw ON held.service = raw.service AND held.timestamp = raw.at
    WHERE held.total_requests IS DISTINCT FROM raw.total OR abs(held.latency_sum_ms - raw.latency) > 1e-6
    """  # noqa: S608  # fixed names
    for window in WINDOWS
)


class Flush:
    """What a flush does to one service, a window after the other."""

    def __init__(self, connection: Connection, *seconds: int) -> None:
        self._connection = connection
        self._seconds = seconds
        self._minutes = fold_events(
            [
                Event((START_S + s) * 1_000_000, SERVICE, "info", latency_ms=1.5 + s)
                for s in seconds
            ],
            0.8,
        )

    def raw(self) -> Flush:
        """The raw rows."""
        with self._connection.cursor() as cursor:
            for second in self._seconds:
                cursor.execute(
                    """
                    INSERT INTO analytics_events (timestamp, service, level, latency_ms, topic_incarnation,
                        kafka_partition, kafka_offset) VALUES (%s, %s, 'info', %s, 1, 0, 0)
                    """,
                    (datetime.fromtimestamp(START_S + second, UTC), SERVICE, 1.5 + second),
                )
        return self

    def merge(self, *names: str) -> Flush:
        """The windows of these names, or all."""
        with self._connection.cursor() as cursor:
            for window in WINDOWS:
                if window.name in names or not names:
                    merge_window(cursor, window, roll_up(self._minutes, window))
        return self

    def commit(self) -> None:
        """The end."""
        self._connection.commit()


class Beside:
    """A call in a thread of its own, which is expected to wait for a lock."""

    def __init__(self, database: Database, call: Callable[[], Any]) -> None:
        self._database = database
        self._call = call
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def wait_blocked(self, sessions: int = 1) -> None:
        """Return once so many sessions wait for a lock."""
        waiting = """SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock'"""
        wait_until(lambda: self._database.rows(waiting) == [(sessions,)], 30, "somebody waits")

    def join(self) -> Exception | None:
        """What it raised, once it is over."""
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.error

    def _run(self) -> None:
        try:
            self._call()
        except Exception as error:  # noqa: BLE001  # the test looks at it
            self.error = error


Connect = Callable[..., Connection]


@pytest.fixture
def connect(database: Database) -> Iterator[Connect]:
    """Connections with transactions, closed at the end."""
    with contextlib.ExitStack() as closing:

        def make(prepare: Callable[[Connection], None] = prepare_connection) -> Connection:
            connection = closing.enter_context(contextlib.closing(database.connect()))
            connection.autocommit = False
            prepare(connection)
            be_patient(connection)
            return connection

        yield make


def nothing(*_: object) -> None:
    """No note is taken."""


def rebuild_step(connection: Connection, step: Any, note: Any = nothing) -> int:
    batch = Batch(step, START_S, [SERVICE], step is HOURS)
    return rebuild(connection, batch, 0.8, note)


def hold() -> tuple[Callable[..., None], threading.Event, threading.Event]:
    """A note that is taken for as long as the test wants: (the note, it has begun, it may end)."""
    begun, release = threading.Event(), threading.Event()

    def note(*_: object) -> None:
        begun.set()
        assert release.wait(30)

    return note, begun, release


def test_a_rebuild_waits_for_a_flush_and_counts_its_raw_events(
    database: Database, connect: Connect
) -> None:
    Flush(connect(), 1).raw().merge().commit()
    flush = Flush(connect(), 2, 3).raw().merge("1min")
    rebuilding = connect(prepare_recalculation)
    beside = Beside(database, lambda: rebuild_step(rebuilding, MINUTES))
    beside.wait_blocked()
    flush.merge("5min", "1hour").commit()
    assert beside.join() is None
    assert database.rows(WRONG) == []


def test_a_flush_waits_for_a_rebuild_and_adds_to_what_it_wrote(
    database: Database, connect: Connect
) -> None:
    Flush(connect(), 1).raw().merge().commit()
    database.execute("UPDATE analytics_metrics_1min SET total_requests = 50")
    note, begun, release = hold()
    rebuilding = connect(prepare_recalculation)
    beside = Beside(database, lambda: rebuild_step(rebuilding, MINUTES, note))
    assert begun.wait(30)
    flush = Flush(connect(), 2).raw()
    flushing = Beside(database, lambda: flush.merge().commit())
    flushing.wait_blocked()
    release.set()
    assert beside.join() is None
    assert flushing.join() is None
    assert database.rows(WRONG) == []


def test_a_minute_that_appears_while_the_5min_row_is_waited_for(
    database: Database, connect: Connect
) -> None:
    Flush(connect(), 1).raw().merge().commit()
    database.execute("UPDATE analytics_metrics_5min SET total_requests = 50")
    first = Flush(connect(), 2, 61).raw().merge("1min", "5min")  # an old minute and a new one
    rebuilding = connect(prepare_recalculation)
    beside = Beside(database, lambda: rebuild_step(rebuilding, FIVES))
    beside.wait_blocked()
    second = Flush(connect(), 121).raw().merge("1min")  # one more, whose flush is not as far
    second_flush = Beside(database, lambda: second.merge("5min", "1hour").commit())
    second_flush.wait_blocked(2)
    first.merge("1hour").commit()
    assert beside.join() is None
    assert second_flush.join() is None
    assert database.rows(WRONG) == []


def test_a_row_of_nothing_is_deleted_while_a_flush_waits_for_it(
    database: Database, connect: Connect
) -> None:
    database.execute(
        "INSERT INTO analytics_metrics_1min (timestamp, service, total_requests) VALUES (%s, %s, 9)",
        datetime.fromtimestamp(START_S, UTC),
        SERVICE,
    )
    note, begun, release = hold()
    rebuilding = connect(prepare_recalculation)
    beside = Beside(database, lambda: rebuild_step(rebuilding, MINUTES, note))
    assert begun.wait(30)
    flush = Flush(connect(), 2).raw()
    flushing = Beside(database, lambda: flush.merge().commit())
    flushing.wait_blocked()
    release.set()
    assert beside.join() is None
    assert flushing.join() is None
    assert database.rows(WRONG) == []


def test_a_flush_finds_no_row_and_a_rebuild_makes_it_first(
    database: Database, connect: Connect
) -> None:
    Flush(connect(), 1).raw().merge().commit()
    database.execute("DELETE FROM analytics_metrics_1min")
    note, begun, release = hold()
    rebuilding = connect(prepare_recalculation)
    beside = Beside(database, lambda: rebuild_step(rebuilding, MINUTES, note))
    assert begun.wait(30)
    flush = Flush(connect(), 2).raw()
    flushing = Beside(database, flush.merge)
    flushing.wait_blocked()
    release.set()
    assert beside.join() is None
    assert flushing.join() is None
    flush.commit()
    assert database.rows(WRONG) == []


def test_a_rebuild_finds_no_row_and_a_flush_makes_it_first(
    database: Database, connect: Connect
) -> None:
    Flush(connect(), 1).raw().merge().commit()
    database.execute("DELETE FROM analytics_metrics_1min")
    flush = Flush(connect(), 2).raw().merge("1min")
    rebuilding = connect(prepare_recalculation)
    beside = Beside(database, lambda: rebuild_step(rebuilding, MINUTES))
    beside.wait_blocked()
    flush.merge("5min", "1hour").commit()
    assert isinstance(beside.join(), ConcurrentInsert)
    assert rebuild_step(rebuilding, MINUTES) == 1
    assert database.rows(WRONG) == []


def test_what_is_rolled_back_leaves_no_trace(database: Database, connect: Connect) -> None:
    Flush(connect(), 1).raw().merge().commit()
    database.execute("UPDATE analytics_metrics_1min SET total_requests = 50")
    rebuilding = connect(prepare_recalculation)

    def refuse(*_: object) -> None:
        raise LookupError("the claim is lost")

    with pytest.raises(LookupError):
        rebuild_step(rebuilding, MINUTES, refuse)
    assert database.rows(WRONG) == [("1min", 50, 1)]
    for step in (MINUTES, FIVES, HOURS):
        rebuild_step(rebuilding, step)
    assert database.rows(WRONG) == []
