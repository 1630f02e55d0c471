"""Doing jobs: trouble, poison, a claim that is lost, a stop in between."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from datasketches import hll_sketch
from psycopg2 import sql

from analytics_service.adapters.timescale import recalculation_queue as queue
from analytics_service.adapters.timescale.connecting import parameters
from analytics_service.adapters.timescale.flush import prepare_connection
from analytics_service.adapters.timescale.window_store import merge_cells
from analytics_service.config import load_settings
from analytics_service.domain.aggregation import roll_up
from analytics_service.domain.events import Event
from analytics_service.domain.folding import fold_events
from analytics_service.domain.windows import WINDOWS
from analytics_service.recalculation import ATTEMPTS, Outcome, Runner
from tests.databases import Database
from tests.reference.sketches import distinct

HOUR = datetime(2026, 3, 10, 12, tzinfo=UTC)
EVENTS = 40
ROWS = "SELECT count(*), coalesce(sum(total_requests), 0)::bigint FROM analytics_metrics_1min"


@pytest.fixture
def make_runner(database: Database) -> Iterator[Callable[..., Runner]]:
    """Runners on a database with one job over some raw events of 40 minutes, of which no window is left."""
    for minute in range(EVENTS):
        database.execute(
            """
            INSERT INTO analytics_events (timestamp, service, level, topic_incarnation, kafka_partition, kafka_offset)
            VALUES (%s, 's', 'info', 1, 0, %s)
            """,
            HOUR + timedelta(minutes=minute),
            minute,
        )
    params = parameters(load_settings({**database.env, "APP_ENV": "test"}, env_file=None))
    with contextlib.closing(params.connect()) as conn:
        queue.enqueue_windows(conn, (HOUR, HOUR + timedelta(hours=1)), WINDOWS)
        conn.commit()
    with contextlib.ExitStack() as closing:

        def make(**options: Any) -> Runner:
            runner = Runner(params, WINDOWS, 0.8, "events", **options)
            closing.callback(runner.close)
            return runner

        yield make


USERS = 300  # so many are counted exactly, and a sketch of them is large enough to be left alone in its row


def uniques(database: Database, table: str) -> list[tuple[int, ...]]:
    """Of each row the figures of users and addresses, and what its sketches count."""
    return [
        (users, ips, distinct(*sketches[:2]), distinct(*sketches[2:]))
        for users, ips, *sketches in database.rows(
            f"""
            SELECT unique_users, unique_ips, users_sketch, users_recent, ips_sketch, ips_recent FROM {table}
            ORDER BY service DESC, timestamp
            """  # noqa: S608
        )
    ]


@pytest.mark.parametrize("spoil", ["", "NULL", "'wrong'"])
def test_windows_made_of_a_single_row_with_users_have_them_all(
    database: Database, make_runner: Callable[..., Runner], spoil: str
) -> None:
    # A service with a single minute beside one with 40 minutes without users, the first of which gets them, too.
    database.execute(
        """
        INSERT INTO analytics_events
            (timestamp, service, level, user_id, source_ip, topic_incarnation, kafka_partition, kafka_offset)
        SELECT %s, service, 'info', 'user-' || number, '10.0.0.0'::inet + number, 1, 1, number
        FROM generate_series(1, %s) AS number, unnest('{s,t}'::text[]) AS service
        """,
        HOUR,
        USERS,
    )
    if spoil:
        wrong = hll_sketch(12)
        for number in range(200):
            wrong.update(f"nobody-{number}")
        sketch = bytes(wrong.serialize_compact()) if spoil == "'wrong'" else None
        for window in WINDOWS:
            database.execute(
                f"""
                INSERT INTO {window.table} (timestamp, service, users_sketch, ips_sketch, ips_recent)
                SELECT DISTINCT date_bin(%s * interval '1 second', timestamp, 'epoch'), service,
                    %s::bytea, %s::bytea, %s::bytea
                FROM analytics_events
                """,  # noqa: S608
                window.seconds,
                *[sketch] * 3,
            )
    assert outcome(make_runner()) is Outcome.COMPLETED
    there = (USERS,) * 4
    nobody = (0,) * 4
    assert uniques(database, "analytics_metrics_1min") == [there, there] + [nobody] * 39
    assert uniques(database, "analytics_metrics_5min") == [there, there] + [nobody] * 7
    assert uniques(database, "analytics_metrics_1hour") == [there, there]
    # The next flush goes on from there.
    with contextlib.closing(database.connect()) as connection, connection.cursor() as cursor:
        connection.autocommit = False
        prepare_connection(connection)
        late = Event(int(HOUR.timestamp() + 30) * 1_000_000, "t", "info", user_id="late")
        for window in WINDOWS:
            merge_cells(cursor, window, roll_up(fold_events([late], 0.8), window))
        connection.commit()
    more = (USERS + 1, USERS, USERS + 1, USERS)
    assert uniques(database, "analytics_metrics_5min")[0] == more
    assert uniques(database, "analytics_metrics_1hour") == [more, there]


def refuse_writes(database: Database, sqlstate: str) -> None:
    """Every window row is refused with this state, and with a message that tells the password."""
    database.execute(
        sql.SQL(
            """
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION USING ERRCODE = {}, MESSAGE = 'refused, ' || {}; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON analytics_metrics_1min FOR EACH ROW EXECUTE FUNCTION refuse()
            """
        ).format(sql.Literal(sqlstate), sql.Literal(database.stack.db_password))
    )


def outcome(runner: Runner) -> Outcome:
    done = runner.run_next()
    assert done is not None
    return done[1]


def status(database: Database) -> str:
    ((found,),) = database.rows("SELECT status FROM recalculation_queue")
    return str(found)


@pytest.mark.parametrize(("sqlstate", "attempts"), [("40001", ATTEMPTS), ("23514", 1)])
def test_trouble_is_tried_again_for_a_while_and_poison_is_not(
    database: Database, make_runner: Callable[..., Runner], sqlstate: str, attempts: int
) -> None:
    refuse_writes(database, sqlstate)
    pauses: list[float] = []
    assert outcome(make_runner(sleep=pauses.append)) is Outcome.FAILED
    assert len(pauses) == attempts - 1
    assert pauses == sorted(pauses)
    ((error, finished),) = database.rows("SELECT last_error, finished_at FROM recalculation_queue")
    assert "refused, ********" in error
    assert database.stack.db_password not in error
    assert finished is not None
    assert database.rows(ROWS) == [(0, 0)]
    assert make_runner().run_next() is None, "a failed job is not done again"


def test_trouble_that_passes(database: Database, make_runner: Callable[..., Runner]) -> None:
    refuse_writes(database, "40001")
    runner = make_runner(sleep=lambda _: database.execute("DROP FUNCTION IF EXISTS refuse CASCADE"))
    assert outcome(runner) is Outcome.COMPLETED
    assert database.rows(ROWS) == [(EVENTS, EVENTS)]


def test_a_job_that_another_process_took_over(
    database: Database, make_runner: Callable[..., Runner]
) -> None:
    def take_over(*_: object) -> None:
        database.execute("UPDATE recalculation_queue SET claimed_by = 'other'")

    assert outcome(make_runner(on_progress=take_over)) is Outcome.TAKEN_OVER
    assert status(database) == "RUNNING"
    assert database.rows(ROWS) == [(1, 1)], "nothing was written after the claim was lost"
    assert make_runner().run_next() is None
    assert make_runner().is_open()


def test_stopped_between_two_batches_and_gone_on_with(
    database: Database, make_runner: Callable[..., Runner]
) -> None:
    shown: list[tuple[int, int]] = []

    def show(_job: object, done: int, total: int) -> None:
        shown.append((done, total))

    first = make_runner(on_progress=show, is_stopping=lambda: len(shown) == 3)
    assert outcome(first) is Outcome.STOPPED
    assert database.rows(ROWS) == [(3, 3)]
    assert outcome(make_runner(on_progress=show)) is Outcome.COMPLETED
    batches = 60 + 12 + 1
    assert [done for done, _ in shown] == sorted(done for done, _ in shown)
    assert shown[0] == (1, batches)
    assert shown[3] == (4, batches), "it went on where it stood"
    assert shown[-1] == (batches, batches)
    assert database.rows(ROWS) == [(EVENTS, EVENTS)]
    assert not make_runner().is_open()
